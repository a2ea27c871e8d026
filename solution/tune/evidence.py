"""Journals of dry runs, grouped by what they can be compared in: one trace a group.

In:  journal files, challenges, solutions. Out: an `Evidence` a group; faults as `InputError` of one line.
Journals with the same weights, precision and settings are one group, whatever their solvers. Program search depends neither on
the weights nor on training: a group that searched nothing takes the searches of another.
Not here: reading a journal line (`driver.journal`), making a trace (`schedule.recorded`), drawing worlds from it (`world`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..arc.load import Challenges, InputError, Solutions
from ..arc.score import Score, score
from ..codec.arc16 import Arc16
from ..driver.board import Board
from ..driver.setup import task_size
from ..preset import Preset
from ..report.forecast import of_last_process
from ..report.outcome import Run, read_run, stage_rows
from ..schedule.job import STAGE_NAMES
from ..schedule.recorded import preset_of, trace_of_run
from ..schedule.trace import Trace

ORDER = ("name", "program", "written", "ttt", "breadth", "slices", "gains")
"""Parts of a preset that say which solvers run and in which order, not how: journals that differ in these alone are one group."""


@dataclass(frozen=True)
class Journal:
    """One dry run. `devices`: its workers. `score`: of its answers in the end. `seconds`, `budget`: of its closing line, None
    where it has none. `startup`: seconds before its first job; `worked`: from then until it waited for no more results; None
    where that cannot be told. `speeds`: stage name -> tokens a device-second."""

    name: str
    preset: Preset
    identity: dict
    run: Run
    devices: tuple[str, ...]
    score: Score
    seconds: float | None
    budget: float | None
    startup: float | None
    worked: float | None
    speeds: dict[str, float]


@dataclass(frozen=True)
class Evidence:
    """A group of journals. `trained`, `trained_right`, ...: tasks measured. `views`: the most views that any task was decoded
    in. `borrowed`: the journal whose program searches it takes, None where they are its own or there are none."""

    journals: tuple[Journal, ...]
    preset: Preset
    trace: Trace
    trained: int
    trained_right: int
    searched: int
    explained: int
    views: int
    borrowed: str | None

    @property
    def name(self) -> str:
        return " + ".join(journal.name for journal in self.journals)

    @property
    def steps(self) -> int:
        return self.preset.train.steps


def read_journal(path: Path, name: str, challenges: Challenges, solutions: Solutions) -> Journal:
    """Read one journal. Raises `InputError` where it is none, of other tasks, or of a kind that cannot be replayed."""
    run = read_run(path, challenges)
    try:
        preset = preset_of(run.identity["preset"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: its preset cannot be read: {type(error).__name__}: {error}") from None
    if preset.joint is not None:
        raise InputError(f"{path}: a run with a joint adapter cannot be replayed: no trace knows what it changes")
    done = [result for result in run.results if result.record.ok]
    if not done:
        raise InputError(f"{path}: no job was finished: nothing to learn from")
    board = Board(challenges, preset.select)
    for result in done:
        board.add(result)
    named = {task for result in done for task in result.record.job.tasks}
    unknown = sorted(named - set(solutions))
    if unknown:
        raise InputError(f"{path}: task {unknown[0]} has no solution: give the --solutions of that run")
    devices = tuple(sorted({result.record.device for result in run.results}))
    startup, worked = working_time(run, len(devices))
    ended = run.end or {}
    return Journal(
        name,
        replace(preset, written=None),
        run.identity,
        run,
        devices,
        score(board.answers, {task: solutions[task] for task in named}),
        ended.get("seconds"),
        ended.get("budget"),
        startup,
        worked,
        {stage: speed for stage, *_, speed in stage_rows(run.results) if speed},
    )


def working_time(run: Run, workers: int) -> tuple[float | None, float | None]:
    """`startup` and `worked` of a run by one process, as its forecasts and its closing line have them; without forecasts it is
    taken to have waited for nothing but its start. None for a run of several processes, or one that was killed."""
    if run.end is None or len(of_last_process(run.forecasts)) < len(run.forecasts):
        return None, None
    stopped = run.end.get("stopped", run.end["seconds"])
    busy = sum(result.record.seconds for result in run.results) / workers
    startup = run.forecasts[0].elapsed if run.forecasts else stopped - busy
    return (startup, stopped - startup) if 0 <= startup < stopped else (None, None)


def gather(paths: Sequence[Path], challenges: Challenges, solutions: Solutions) -> list[Evidence]:
    """Read journals and group them, in the order in which they are named. Raises `InputError`."""
    journals = [read_journal(path, name, challenges, solutions) for path, name in zip(paths, short_names(paths), strict=True)]
    groups: dict[str, list[Journal]] = {}
    for journal in journals:
        groups.setdefault(group_key(journal), []).append(journal)
    return [_evidence(group, journals, challenges, solutions) for group in groups.values()]


def short_names(paths: Sequence[Path]) -> list[str]:
    """The folder of each journal, or as much of its path as tells it from the others."""
    for depth in range(1, max(len(path.absolute().parts) for path in paths)):
        names = ["/".join(path.absolute().parent.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def group_key(journal: Journal) -> str:
    """What two journals must have in common to be one group."""
    settings = {name: value for name, value in journal.preset.as_dict().items() if name not in ORDER}
    return json.dumps([journal.identity.get("weights"), journal.identity.get("dtype"), settings], sort_keys=True)


def _evidence(group: list[Journal], journals: list[Journal], challenges: Challenges, solutions: Solutions) -> Evidence:
    results = [result for journal in group for result in journal.run.results]
    searching = [journal for journal in group if journal.preset.program is not None]
    others = [journal for journal in journals if journal.preset.program is not None]
    borrowed = None
    if not searching and others:
        borrowed, searching = others[0], others[:1]
        results = [r for r in borrowed.run.results if r.record.job.stage == "program"] + results
    preset = replace(group[0].preset, program=searching[0].preset.program if searching else None, ttt=True)
    if any(journal.preset.program != preset.program for journal in searching):
        raise InputError(f"{group[0].name}: journals of one group searched programs with different tries: give one of them")
    named = {task for journal in group for r in journal.run.results if r.record.ok for task in r.record.job.tasks}
    codec = Arc16("grid")  # costs are fitted on the ratios of token counts: any codec's will do
    sizes = {name: task_size(task, codec) for name, task in challenges.tasks.items() if name in named}
    try:
        trace = trace_of_run(group[0].name, results, sizes, preset, solutions, lambda: Board(challenges, preset.select))
    except ValueError as error:
        raise InputError(str(error)) from None
    trained = [task for task in trace.tasks.values() if "ttt" in task.measured]
    searched = [task for task in trace.tasks.values() if "program" in task.measured]
    return Evidence(
        tuple(group),
        preset,
        trace,
        trained=len(trained),
        trained_right=sum(task.neural_right(preset.first_views) == 1 for task in trained),
        searched=len(searched),
        explained=sum(1.0 in task.explains for task in searched),
        views=max((len(task.views_right) for task in trained), default=0),
        borrowed=borrowed.name if borrowed else None,
    )


def training_speed(journals: Sequence[Journal]) -> float | None:
    """Tokens a device-second of training and first views, of the first journal that trained; None where none did."""
    return next((j.speeds[STAGE_NAMES["ttt"]] for j in journals if STAGE_NAMES["ttt"] in j.speeds), None)
