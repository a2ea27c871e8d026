"""Progress for a person: a bar on a terminal, a line now and then in a log, and both in the log file.

Not here: the final table (`summary`).
"""

import logging
import sys
import time
from typing import TYPE_CHECKING

from tqdm import tqdm

from .clock import format_seconds
from .journal import Result

if TYPE_CHECKING:
    from .run import Setup

log = logging.getLogger("solution")
LOG_EVERY = 30.0


class _ThroughBar(logging.StreamHandler):
    """Writes log lines above the bar instead of through it."""

    def emit(self, record):
        try:
            tqdm.write(self.format(record), file=sys.stderr)
        except OSError:  # nobody reads the terminal any more: the log file does
            pass


def set_up_logging(path) -> None:
    """Log lines to the terminal (INFO) and to `path` beside the submission (everything), appended.

    A notebook's own log can be invisible after a successful run (kaggle.md): the file is what remains.
    """
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.handlers.clear()
    console, file = _ThroughBar(), logging.FileHandler(path, encoding="utf-8")
    console.setLevel(logging.INFO)
    console.setFormatter(logging.Formatter("%(message)s"))
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(threadName)s: %(message)s"))
    log.addHandler(console)
    log.addHandler(file)


class Bar:
    """The bar counts trained tasks; beside it: tasks with a cheap answer, tasks solved where that is known, time left."""

    def __init__(self, setup: "Setup", num_workers: int):
        self._setup, self._logged = setup, time.monotonic()
        self._bar = tqdm(
            total=len(setup.sizes), unit="task", file=sys.stderr, disable=not sys.stderr.isatty(), dynamic_ncols=True,
            bar_format="{desc} |{bar}| {postfix}",
        )  # fmt: skip
        self.update([], setup.clock.left())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def update(self, results: list[Result], left: float) -> None:
        """Show how things stand, `left` seconds before the work has to end."""
        setup = self._setup
        progress, total = setup.progress, len(setup.sizes)
        words = f"answered {len(progress.answered)}, trained {len(progress.trained)} of {total}"
        if progress.explained:
            words += f", programs fit {len(progress.explained)}"
        if progress.rounds:
            words += f", more views {len(progress.rounds)}"
        if setup.solutions is not None:
            score = setup.board.score(setup.solutions)
            words += f", solved {score.strict}"
        time_left = f"{format_seconds(max(0.0, left))} left"
        self._bar.set_description_str(words, refresh=False)
        self._bar.n = len(progress.trained)
        self._bar.set_postfix_str(time_left)
        if time.monotonic() - self._logged > LOG_EVERY:
            self._logged = time.monotonic()
            log.log(logging.DEBUG if sys.stderr.isatty() else logging.INFO, "%s, %s", words, time_left)
