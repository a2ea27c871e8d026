"""The driver's entry point: `python submission.py --help`."""

import sys

from solution.driver.cli import main

if __name__ == "__main__":
    sys.exit(main())
