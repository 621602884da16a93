"""`python -m clipcond`, the same as the command `clipcond`."""

import sys

from clipcond.cli import main

if __name__ == "__main__":
    sys.exit(main())
