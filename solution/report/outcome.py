"""What a journal says of each task, and why a test input is not solved.

In:  a journal file, answers and solutions. Out: a `Run`; per test input one of `OUTCOMES`; candidates counted by grid.
Not here: drawing any of it (`page`).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..arc.load import Challenges, InputError
from ..arc.score import solved_tests
from ..arc.task import Grid, grid_key
from ..arc.view import SYMMETRIES
from ..decode.candidate import Candidate
from ..driver.journal import Result, read_lines, result_from_json
from ..schedule.job import STAGE_NAMES, STAGES
from .forecast import Forecast, forecast_from_json

NOT_SELECTED, NOT_GENERATED, NOT_REACHED, SOLVED = "not selected", "not generated", "not reached", "solved"
OUTCOMES = {
    NOT_SELECTED: "the answer is among the candidates, but is neither attempt",
    NOT_GENERATED: "no candidate is the answer",
    NOT_REACHED: "no job ran to its end after the cheap answer, and no candidate is the answer",
    SOLVED: "one of the two attempts is the answer",
}
"""What can become of a test input whose answer is known, with what it means."""

Jobs = dict[tuple[str, int], Result]
"""The jobs of one task that count, by stage and first view."""


@dataclass(frozen=True)
class Run:
    """A journal, read: what the run's results depend on, its results in order, and the closing line of its last process
    ("seconds", "budget", "ended"; None where that was killed or still runs), the allocator's forecasts."""

    identity: dict
    results: list[Result]
    end: dict | None
    forecasts: list[Forecast] = field(default_factory=list)

    def by_task(self) -> dict[str, Jobs]:
        """The jobs that count, by task: of those that did not fail, the last one done for each stage and first view; no slices of
        trainings, but for the last, which knows the losses of all."""
        found = defaultdict(dict)
        for result in self.results:
            if result.record.ok and not result.record.parked:
                for name in result.record.job.tasks:
                    found[name][result.record.job.stage, result.record.job.first_view] = result
        return found


def read_run(path: Path, challenges: Challenges) -> Run:
    """Read a journal. Raises `InputError` where it is none, or one of other tasks than `challenges`."""
    try:
        lines, _ = read_lines(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if not lines or not isinstance(lines[0].get("identity"), dict):
        raise InputError(f"{path}: not the journal of a run: its first line names none")
    results, forecasts = [], []
    for number, line in enumerate(lines, 1):
        if line.get("kind") == "forecast":
            try:
                forecasts.append(forecast_from_json(line, len(results)))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(f"{path}: line {number} is not a forecast: {type(error).__name__}: {error}") from None
        if line.get("kind") == "job":
            try:
                result = result_from_json(line)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise InputError(f"{path}: line {number} is not a job: {type(error).__name__}: {error}") from None
            _check_tasks(result, challenges, f"{path}: line {number}")
            results.append(result)
    return Run(lines[0]["identity"], results, lines[-1] if lines[-1].get("kind") == "end" else None, forecasts)


def _check_tasks(result: Result, challenges: Challenges, place: str) -> None:
    for name in (*result.record.job.tasks, *result.candidates):
        if name not in challenges.tasks:
            raise InputError(f"{place}: task {name} is not in the input: give the --input of that run")
        found, expected = len(result.candidates.get(name, ())), len(challenges.tasks[name].test)
        if found not in (0, expected):
            raise InputError(f"{place}: task {name}: answers to {found} test inputs, the input has {expected}")


def stage_rows(results: list[Result]) -> list[tuple]:
    """Per stage: name, jobs (each slice of a training one), tasks done, device-seconds, their share of all, tokens a second."""
    total = sum(r.record.seconds for r in results) or 1.0
    rows = []
    for stage in STAGES:
        mine = [r for r in results if r.record.job.stage == stage]
        seconds = sum(r.record.seconds for r in mine)
        tasks = {t for r in mine if r.record.ok and not r.record.cut and not r.record.parked for t in r.record.job.tasks}
        tokens = sum(sum(r.tokens.values()) + (r.ttt or {}).get("tokens", 0) for r in mine)
        rows.append((STAGE_NAMES[stage], len(mine), len(tasks), seconds, seconds / total, tokens / seconds if seconds else 0.0))
    return rows


def is_reached(jobs: Jobs) -> bool:
    """Whether any job of the task ran to its end after the cheap answer."""
    return any(stage != "base" and not result.record.cut for (stage, _), result in jobs.items())


def candidates_of(jobs: Jobs, name: str, test: int) -> list[Candidate]:
    """Every candidate for one test input, those of the cheap answer first."""
    return [c for _, result in sorted(jobs.items()) if result.candidates.get(name) for c in result.candidates[name][test]]


def outcome(attempts: Sequence[Grid], candidates: Sequence[Candidate], reached: bool, solution: Grid) -> str:
    """What became of one test input: the first of solved, not selected, not reached and not generated that holds."""
    if solved_tests([attempts], [solution])[0]:
        return SOLVED
    if any(np.array_equal(c.grid, solution) for c in candidates):
        return NOT_SELECTED
    return NOT_GENERATED if reached else NOT_REACHED


@dataclass(frozen=True)
class Proposal:
    """One grid and its candidates: votes after training, votes before, best log-probability (nats), views by symmetry."""

    grid: Grid
    trained: int
    untrained: int
    log_prob: float
    views: Counter


def proposals(candidates: Sequence[Candidate]) -> list[Proposal]:
    """The different grids among the candidates: most votes after training first, then before, then the likelier."""
    groups: dict[bytes, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(grid_key(candidate.grid), []).append(candidate)
    found = []
    for group in groups.values():
        untrained = sum(c.source == "base" for c in group)
        views = Counter(SYMMETRIES[c.view.symmetry] for c in group)
        found.append(Proposal(group[0].grid, len(group) - untrained, untrained, max(c.log_prob for c in group), views))
    return sorted(found, key=lambda p: (p.trained, p.untrained, p.log_prob), reverse=True)
