"""python -m filter: the same command as textsieve."""

from .command import main

if __name__ == "__main__":
    raise SystemExit(main())
