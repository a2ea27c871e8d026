"""The driver's entry point: `python submission.py --help`."""

import os
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # until the driver listens Ctrl-C ends it without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from solution.driver.cli import main

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # everything is written: taking torch and CUDA down in order could outlast the budget
