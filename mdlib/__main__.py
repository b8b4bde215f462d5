"""python -m mdlib COMMAND ...; see cli."""

import sys

from mdlib.cli import main

if __name__ == "__main__":
    sys.exit(main())
