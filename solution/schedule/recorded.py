"""Our own runs as traces: what every finished job cost, and after which job the answers first were right.

In:  a journal's results, already read, with the solutions and an empty board. Out: a `Trace`. Pure.
Seconds are brought to those of an average device of the run: a device that did more work a second in a stage has them scaled up.
Not here: reading files, choosing attempts (the board does), what the run did not do (`impute`).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, get_args, get_type_hints

from ..arc.load import Solutions
from ..arc.score import solved_tests
from ..preset import Preset
from ..select.vote import agreement
from .cost import CostModel
from .impute import Measured, impute
from .job import Job, Record, TaskSize
from .trace import Trace

if TYPE_CHECKING:
    from ..driver.board import Board
    from ..driver.journal import Result

KNOWN = ("base", "program", "ttt", "views")
"""Stages that a trace knows of. A journal with others can be read; what those cost and brought is left out."""


def trace_of_run(
    name: str,
    results: Sequence["Result"],
    sizes: dict[str, TaskSize],
    preset: Preset,
    solutions: Solutions,
    board: Callable[[], "Board"],
) -> Trace:
    """The trace of a journal, or of several together that were made with the same weights, steps and views.

    `preset`: the run's (`preset_of`). `board`: makes an empty board that chooses attempts as the driver does. `sizes`,
    `solutions`: of all tasks of the trace, run or not. Cut and failed jobs do not count.

    Raises `ValueError` where the run finished no cheap answer.
    """
    whole = [r for r in results if r.record.ok and not r.record.cut and r.record.job.stage in KNOWN]
    done = [r for r in whole if set(r.record.job.tasks) <= set(sizes)]
    measured = {task: Measured() for task in sizes}
    _measure_seconds(measured, done, CostModel(sizes, preset))
    _measure_answers(measured, done, solutions, board)
    return impute(name, measured, sizes, preset)


def preset_of(value: dict) -> Preset:
    """The preset that a journal's first line has as nested plain values; one older than program search had none."""
    return _from_plain(Preset, {"program": None} | value)


def _from_plain(kind: type, value: dict):
    found = {}
    for name, hint in get_type_hints(kind).items():
        if name in value:
            inner = next((t for t in (hint, *get_args(hint)) if is_dataclass(t)), None)
            plain = value[name]
            nested = _from_plain(inner, plain) if inner is not None and plain is not None else plain
            found[name] = tuple(nested) if isinstance(nested, list) else nested
    return kind(**found)


def _measure_seconds(measured: dict[str, Measured], done: Sequence["Result"], cost: CostModel) -> None:
    speeds = relative_speeds([r.record for r in done], cost)
    slices: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)  # (task, attempt) -> first step -> seconds
    for record in (r.record for r in done):
        job, seconds = record.job, record.seconds * speeds[record.device, record.job.stage]
        if job.stage == "base":
            for task in job.tasks:
                measured[task].base = seconds * cost.work(Job("base", (task,))) / cost.work(job)
        elif job.stage == "ttt":
            mine = slices[job.tasks[0], job.attempt]
            if not job.first_step:
                mine.clear()  # of another journal
            mine[job.first_step] = seconds
            if not record.parked:
                measured[job.tasks[0]].ttt = sum(took for step, took in mine.items() if step <= job.first_step)
        elif job.stage == "views":
            measured[job.tasks[0]].view = seconds / job.num_views
        elif job.stage == "program":
            mine = measured[job.tasks[0]]
            if job.first_view <= len(mine.search):  # else the round before it is not known
                mine.search = (*mine.search[: job.first_view], seconds, *mine.search[job.first_view + 1 :])
                mine.explained |= record.explained


def relative_speeds(records: Sequence[Record], cost: CostModel) -> dict[tuple[str, str], float]:
    """(device, stage) -> work a second relative to that of all devices together in that stage."""
    work, seconds = defaultdict(float), defaultdict(float)
    for record in records:
        for device in (record.device, None):
            work[device, record.job.stage] += cost.work(record.job)
            seconds[device, record.job.stage] += record.seconds
    return {key: work[key] / seconds[key] * seconds[None, key[1]] / work[None, key[1]] for key in work}


def _measure_answers(
    measured: dict[str, Measured], done: Sequence["Result"], solutions: Solutions, board: Callable[[], "Board"]
) -> None:
    """What was right after the cheap answer, after 1, 2, ... views of the trained model, and after each round of programs."""
    neural, programs = board(), board()
    views, rounds = defaultdict(dict), defaultdict(dict)  # task -> first view, or number of the round -> result
    for result in done:
        job = result.record.job
        if job.stage == "base":
            neural.add(result)
        elif job.stage == "program":
            rounds[job.tasks[0]][job.first_view] = result
        elif job.stage in ("ttt", "views") and not result.record.parked:
            views[job.tasks[0]][job.first_view] = result

    def right(on: "Board", task: str) -> float:
        return float(all(solved_tests(on.answers[task], solutions[task])))

    for task, mine in measured.items():
        mine.base_right = right(neural, task)
    for task, searches in rounds.items():
        flags = []
        for number, result in sorted(searches.items()):
            if number != len(flags):
                break
            programs.add(result)
            flags.append(right(programs, task))
        measured[task].search_right = tuple(flags)
        measured[task].explained_right = float(measured[task].explained and bool(flags) and flags[-1])
    for task, jobs in views.items():
        flags, shares, before = [], [], [[] for _ in solutions[task]]
        for first, result in sorted(jobs.items()):
            if first != len(flags):
                break
            tests = result.candidates[task]
            for number in range(1, result.record.job.num_views + 1):  # views without a grid shift those after them
                neural.add(replace(result, candidates={task: [test[:number] for test in tests]}))
                flags.append(right(neural, task))
                seen = [old + test[:number] for old, test in zip(before, tests)]
                shares.append(min(agreement(test) * len(test) for test in seen) / len(flags))
            before = [old + test for old, test in zip(before, tests)]
        measured[task].views_right, measured[task].agreement = tuple(flags), tuple(shares)
