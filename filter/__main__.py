"""python -m filter: the same command as textsieve."""

from .command import program

if __name__ == "__main__":
    program()
