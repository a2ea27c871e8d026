"""Where log lines go: the terminal and the file beside the submission, and no line may cost the run anything.

In:  a path. Out: handlers of the logger "solution". Not here: what is said (`progress`, `summary`).
"""

import logging
import sys
from pathlib import Path

from tqdm import tqdm

log = logging.getLogger("solution")


class _ThroughBar(logging.StreamHandler):
    """Writes log lines above the bar instead of through it."""

    def emit(self, record):
        try:
            tqdm.write(self.format(record).encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
        except (OSError, ValueError):  # nobody reads the terminal any more: the log file does
            pass


class _File(logging.FileHandler):
    """A line that the disk does not take is dropped: the terminal has it."""

    def handleError(self, record):
        pass


def set_up_logging(path: Path) -> None:
    """Log lines to the terminal (INFO) and to `path` beside the submission (everything), appended; what UTF-8 cannot write, such
    as the bytes of a path, is escaped. Raises `OSError`.

    A notebook's own log can be invisible after a successful run (docs/kaggle.md, "Images and packages"): the file is what
    remains.
    """
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.handlers.clear()
    console, file = _ThroughBar(), _File(path, encoding="utf-8", errors="backslashreplace")
    console.setLevel(logging.INFO)
    console.setFormatter(logging.Formatter("%(message)s"))
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s: %(message)s"))
    log.addHandler(console)
    log.addHandler(file)
