"""``python -m mpc.cli``."""

import sys

from mpc.cli import main

if __name__ == "__main__":
    sys.exit(main())
