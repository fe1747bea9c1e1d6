"""Run the command line from a checkout: python cli.py run INPUT... -o OUT."""

from filter.command import program

if __name__ == "__main__":
    program()
