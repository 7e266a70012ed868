"""`python -m ganspec` is the command `ganspec`."""

import sys

from ganspec.tools.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
