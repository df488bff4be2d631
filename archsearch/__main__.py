"""Entry point of `python -m archsearch`."""

import sys

from archsearch.platform.command_line import main

if __name__ == "__main__":
    sys.exit(main())
