"""`python -m ireko`: the command line."""

import sys

from ireko.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
