"""Progress for a person: a bar on a terminal, a line now and then in a log, and both in the log file; the forecast in them.

In:  how the run stands. Out: words, and a forecast line in the journal each time one is made.
Not here: the forecast itself (`schedule.plan`), the final table (`summary`).
"""

import logging
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..schedule.cost import CostModel
from ..schedule.job import STAGES
from ..schedule.plan import Flying, Planned, planned_run
from .clock import format_seconds
from .journal import Result

if TYPE_CHECKING:
    from .run import Setup

log = logging.getLogger("solution")
LOG_EVERY, FORECAST_EARLY = 30.0, 2.0
"""Seconds between two lines in the log; a forecast is made so much sooner, for the line to have it."""
FORECAST_SHARE, LEAST_LEFT = 0.005, 20
"""The most of the time that forecasts may take; none is made where less is left than so many times what the last one took."""
SHORT_NAMES = dict(zip(STAGES, ("cheap", "search", "written", "joint", "training", "views"), strict=True))


def foretell(setup: "Setup", cost: CostModel, devices: Sequence[str], seconds: float, flying: Flying | None = None) -> Planned:
    """Forecast the next `seconds` and write it to the journal: tasks known to be right, and by the gain model what is to come,
    or where nothing is known all by the gain model. Raises `OSError` where that fails."""
    planned, right = planned_run(cost, setup.preset, devices, seconds, setup.progress, flying), right_now(setup)
    if right is not None:
        planned = replace(planned, solved=min(len(setup.sizes), right + planned.solved - planned.now), now=right)
    line = {
        "kind": "forecast", "elapsed": round(setup.clock.elapsed(), 3), "process": os.getpid(),
        "planned": {stage: round(value, 2) for stage, value in planned.seconds.items()},
        "answered": planned.answered, "trained": planned.trained, "solved": round(planned.solved, 2),
        "right": right,
    }  # fmt: skip
    setup.journal.append(line)
    return planned


def right_now(setup: "Setup") -> int | None:
    """Tasks whose attempts are right as they stand; None where that is not known."""
    return None if setup.solutions is None else setup.board.score(setup.solutions).strict


class Outlook:
    """The forecast as it was last made; none where making it failed, which costs the run nothing."""

    def __init__(self, setup: "Setup", cost: CostModel):
        self._setup, self._cost = setup, cost
        self.planned = setup.planned
        self._due, self._taken = time.monotonic() + (LOG_EVERY - FORECAST_EARLY if self.planned else 0.0), 0.0

    def update(self, devices: Sequence[str], seconds: float, flying: Flying) -> None:
        """Forecast anew where that is due: twice a minute, or as much less often as it takes too long."""
        if time.monotonic() < self._due or seconds < LEAST_LEFT * self._taken:
            return
        begun = time.thread_time()  # others are at work meanwhile
        try:
            self.planned = foretell(self._setup, self._cost, devices, seconds, flying)
        except Exception as error:
            log.warning("no more forecasts: %s: %s", type(error).__name__, error)
            log.debug("forecast failed", exc_info=True)
            self.planned, self._due = None, math.inf
            return
        self._taken = time.thread_time() - begun
        self._due = time.monotonic() + max(LOG_EVERY - FORECAST_EARLY, self._taken / FORECAST_SHARE)

    def left(self) -> str:
        """Device time that each stage is still to get, in words."""
        seconds = {} if self.planned is None else self.planned.seconds
        parts = [f"{SHORT_NAMES[stage]} {_rounded(value)}" for stage, value in seconds.items() if value >= 0.5]
        return f"; device time left: {', '.join(parts)}" if parts else ""


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds < 60 else format_seconds(seconds)


class Bar:
    """The bar counts trained tasks; beside it: tasks with a cheap answer, tasks solved where that is known, tasks expected
    right in the end, time left."""

    def __init__(self, setup: "Setup", outlook: Outlook):
        self._setup, self._outlook, self._logged = setup, outlook, time.monotonic()
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
            words += f", solved {right_now(setup)}"
        if self._outlook.planned is not None:
            words += f", expected {self._outlook.planned.solved:.0f} at the end"
        time_left = f"{format_seconds(max(0.0, left))} left"
        self._bar.set_description_str(words, refresh=False)
        self._bar.n = len(progress.trained)
        self._bar.set_postfix_str(time_left)
        if time.monotonic() - self._logged > LOG_EVERY:
            self._logged = time.monotonic()
            level = logging.DEBUG if sys.stderr.isatty() else logging.INFO
            log.log(level, "%s, %s%s", words, time_left, self._outlook.left())
