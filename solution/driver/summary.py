"""The end of a run: its table, the journal's closing line, the report; and what all that takes, tried out while it works.

In:  setup and outcome. Out: text, report.html, a `Closing`. Every number was measured in this run or says otherwise.
Not here: what is drawn in the report (`report`).
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from signal import Signals
from typing import TYPE_CHECKING

from ..arc.load import InputError
from ..report.methods import interval
from ..report.outcome import stage_rows
from ..report.page import write_report
from ..schedule.job import MAX_ATTEMPTS, STAGE_NAMES, STAGES
from ..schedule.plan import starved
from .clock import WATCHDOG_SECONDS, Closing, format_seconds

if TYPE_CHECKING:
    from .run import Outcome, Setup

log = logging.getLogger("solution")
REPORT_RESULT = 0.002
"""Seconds by which a result prolongs the report, until that was measured."""
TRIED_SHARE, TRIED_EVERY = 0.005, 5.0
"""The end is tried out at most so large a share of the time, and with so many seconds between."""
REPORT_LEAST, REPORT_WRITE = 0.3, 0.05
"""The share of the report's time that must be left for it to be begun, and the seconds to write what was drawn of it."""


class Rehearsal:
    """Learns what the end of this run takes: from every writing of the submission, and from summary and report made now and
    then in the main thread, which has little else to do. The report stands beside the journal from then on."""

    def __init__(self, setup: "Setup", outcome: "Outcome"):
        self._setup, self._outcome = setup, outcome
        self._closing = Closing.foretold(len(setup.board.answers))
        self._tried: list[tuple[int, float]] = []  # (results then, seconds of the report), the first and the last
        self._writes: list[float] = []
        self._due = 0.0

    def wrote(self, seconds: float) -> None:
        """The submission was written in so many seconds; of the last three writes the middle one counts."""
        self._writes = [*self._writes[-2:], seconds]
        self._closing = replace(self._closing, write=sorted(self._writes)[(len(self._writes) - 1) // 2])

    def closing(self) -> Closing:
        """What the end would take now."""
        if not self._tried:
            return self._closing
        (few, first), (many, last) = self._tried[0], self._tried[-1]
        slope = max(0.0, last - first) / (many - few) if many > few else REPORT_RESULT
        return replace(self._closing, report=last + slope * (self._results() - many))

    def _results(self) -> int:
        return len(self._setup.journal.results) + len(self._outcome.results)

    def update(self, left: float) -> None:
        """Try the end out where that is due; not when only few of the `left` seconds for jobs would remain after it."""
        now = time.monotonic()
        if now < self._due or left < 3 * (self._closing.summary + self.closing().report):
            return
        taken = 0.0
        try:
            if not self._tried:
                summary(self._setup, self._outcome, {})  # the first draws the samples of its intervals
                words = _taken(lambda: summary(self._setup, self._outcome, {}))
                self._closing = replace(self._closing, summary=words)
            taken = _taken(lambda: report(self._setup))
        except Exception as error:  # the end will say so aloud
            log.debug("the end cannot be tried out now: %s", error, exc_info=True)
        self._tried = [*self._tried[:1], (self._results(), taken)]
        ended = time.monotonic()
        self._due = ended + max(TRIED_EVERY, (ended - now) / TRIED_SHARE)


def _taken(step: Callable[[], object]) -> float:
    """Seconds that a step of the end would take: the mean of those by the clock, while workers are at work beside it, and of
    those that this thread computed."""
    clock, computed = time.monotonic(), time.thread_time()
    step()
    return (time.monotonic() - clock + time.thread_time() - computed) / 2


def summary(setup: "Setup", outcome: "Outcome", planned: dict[str, float]) -> str:
    """The closing text of a run. `planned`: share of the device time planned for each stage at the start."""
    lines = ["", *fruitless(setup, outcome)]
    lines.append(f"{'stage':28}{'jobs':>6}{'tasks':>7}{'planned':>9}{'spent':>8}{'seconds':>10}{'tokens/s':>10}")
    for stage, row in zip(STAGES, stage_rows(outcome.results)):
        name, jobs, tasks, seconds, share, speed = row
        if stage in ("joint", "written") and getattr(setup.preset, stage) is None:
            continue
        lines.append(f"{name:28}{jobs:>6}{tasks:>7}{planned.get(stage, 0.0):>9.0%}{share:>8.0%}{seconds:>10.1f}{speed:>10.0f}")
    if setup.journal.results:
        lines.append(f"resumed: {len(setup.journal.results)} earlier jobs came from the journal")
    failed = [r for r in outcome.results if not r.record.ok]
    if failed:
        counts = Counter(r.error for r in failed)
        lines.append("failed jobs: " + "; ".join(f"{n} x {reason}" for reason, n in counts.most_common(5)))
    for name, fault in setup.challenges.faulty.items():
        lines.append(f"task {name} is broken and got a placeholder: {fault.reason}")
    if setup.board.faults:
        lines.append("answers that were no grid: " + ", ".join(f"{name} {n}" for name, n in sorted(setup.board.faults.items())))
    ended = {"done": "everything was done", "budget": "the clock left no room for more", "lost": "every device was lost"}
    if setup.clock.told:
        ended["told"] = f"{Signals(setup.clock.told).name} told it to; the same command goes on from here"
    given_up = {t for (_, tasks, _), n in setup.progress.failures.items() if n >= MAX_ATTEMPTS for t in tasks}
    if given_up:
        ended["done"] = f"everything was done but for {len(given_up)} task(s) with jobs that failed to the last"
    lasted = f"{format_seconds(setup.clock.elapsed())} of {format_seconds(setup.clock.budget)}"
    lines.append(f"ended after {lasted}: {ended[outcome.ended]}")
    if outcome.first_answer is not None:
        lines.append(f"first model answer after {outcome.first_answer:.1f}s")
    if setup.solutions is not None:
        before, after = setup.board.score_before_training(setup.solutions), setup.board.score(setup.solutions)
        for name, score in (("one view, before training", before), ("submission", after)):
            low, high = interval([all(f) for f in score.solved.values()])
            strict = f"strict {score.strict} of {score.tasks} tasks ({score.strict_share:.2%}, 95% {low:.2%} to {high:.2%})"
            partial = f"partial {score.outputs_solved} of {score.outputs} outputs ({score.partial_share:.2%})"
            lines.append(f"score, {name}: {strict}; {partial}")
    return "\n".join(lines)


def fruitless(setup: "Setup", outcome: "Outcome") -> list[str]:
    """A line for each stage of which every job has failed, in earlier processes of this run too."""
    lines = []
    for stage in STAGES:
        results = [r for r in (*setup.journal.results, *outcome.results) if r.record.job.stage == stage]
        if not results or any(r.record.ok for r in results):
            continue
        tasks = {task for r in results for task in r.record.job.tasks}
        (reason, times), *_ = Counter(r.error for r in results).most_common(1)
        lines.append(
            f"NOTHING CAME OF {STAGE_NAMES[stage]!r}: all {len(results)} jobs failed, of {len(tasks)} task(s); "
            f"the commonest reason, {times} times: {reason}"
        )
    return lines


def report(setup: "Setup") -> None:
    """Write the report beside the journal; tasks for which no time is left are not drawn."""
    clock = setup.clock
    path = setup.journal.path.with_name("report.html")
    write_report(
        path, setup.journal.path, setup.challenges, setup.solutions, setup.board.answers,
        lambda: clock.left() < WATCHDOG_SECONDS + REPORT_WRITE,
    )  # fmt: skip


def conclude(setup: "Setup", outcome: "Outcome") -> None:
    """Summary, closing line of the journal, and the report where time is left for it."""
    clock, journal = setup.clock, setup.journal
    planned = setup.planned.shares if setup.planned else {}
    log.info("%s", summary(setup, outcome, planned))
    spent = {stage: row[4] for stage, row in zip(STAGES, stage_rows(outcome.results))}
    wanted = [stage for stage, set_up in (("base", True), ("program", setup.preset.program), ("ttt", setup.preset.ttt)) if set_up]
    warnings = starved(planned, spent, wanted) if outcome.ended == "budget" and not journal.results else []
    for line in warnings:
        log.warning("starved: %s", line)
    end = {"kind": "end", "seconds": round(clock.elapsed(), 2), "budget": clock.budget, "ended": outcome.ended}
    kept = {name: round(value, 3) for name, value in vars(outcome.closing).items()} if outcome.closing else {}
    try:
        journal.append(end | {"planned": planned, "starved": warnings, "stopped": round(outcome.stopped, 3), "closing": kept})
        journal.close()
    except OSError as error:
        log.error("%s: cannot be written (%s), its closing line is missing", journal.path, error.strerror)
    path = journal.path.with_name("report.html")
    needed = outcome.closing.report if outcome.closing else 0.0
    if clock.left() < WATCHDOG_SECONDS + REPORT_LEAST * needed:
        log.info("no time is left for the whole report; afterwards: python -m solution.report %s", path.parent)
        return
    try:
        report(setup)
    except (InputError, OSError) as error:
        log.error("there is no report: %s", error)
        return
    log.info("report: %s", path)
