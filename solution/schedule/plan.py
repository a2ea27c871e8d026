"""What the allocator will do with the time that is left: the same allocator, run on a virtual clock from where the run stands.

In:  a cost model, devices, seconds; what was done and what is in flight. Out: the device time each stage is planned to get, the
tasks trained, the tasks expected right; after the run, which stages were starved of time. Pure.
Not here: replaying recorded traces (`replay`), when a run foretells and who is told (`driver.progress`).
"""

import copy
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..preset import Preset
from .cost import CostModel
from .job import STAGE_NAMES, STAGES, Job, Progress, Record
from .policy import Allocator
from .virtual import Device, Start, run_virtually

ASSUMED_AGREEMENT = 0.5
LEAST_PLANNED, LEAST_SPENT = 0.02, 0.5
"""A stage that was planned at least the first share of device time and got less than the second share of it is starved."""
Flying = Mapping[int, tuple[Job, float]]
"""Jobs in flight: the device, by its place in the list of devices -> the job, and the seconds for which it has run."""


@dataclass(frozen=True)
class Planned:
    """A run as planned. `seconds`: stage -> device-seconds still to come, 0 for every stage where no job fits. `answered`,
    `trained`: tasks by the end; `solved`: tasks expected right then, by the preset's gain model, `now`: before any of it."""

    seconds: dict[str, float]
    answered: int
    trained: int
    solved: float
    now: float

    @property
    def shares(self) -> dict[str, float]:
        """Stage -> share of all planned device time."""
        total = sum(self.seconds.values())
        return {stage: value / total if total else 0.0 for stage, value in self.seconds.items()}


class _AsPredicted:
    """The world as the cost model has it: every job takes what it predicts, less what a job in flight has had, and votes agree
    on half of the candidates."""

    def __init__(self, cost: CostModel, flying: Flying):
        self._cost, self._ran = cost, {job: ran for job, ran in flying.values()}
        self.shares: dict[Job, float] = {}  # of each job, how much of it was done

    def run(self, start: Start, device: Device, now: float) -> tuple[float, Record]:
        job, whole = start.job, self._cost.seconds(start.job, device.name)
        ran = self._ran.get(job, 0.0)
        needed = max(0.0, (min(whole, start.train_for) if job.stage == "joint" else whole) - ran)
        seconds, cut = min(needed, start.run_for), needed > start.run_for
        self.shares[job] = (ran + seconds) / (ran + needed) if cut else 1.0
        agreement = dict.fromkeys(job.tasks, ASSUMED_AGREEMENT)
        return now + seconds, Record(job, device.name, seconds, cut=cut, agreement=agreement)

    def finished(self, record: Record, now: float) -> None:
        pass


class _GoingOn:
    """The allocator, its devices still at the jobs in flight; notes what a job may bring, by what is known when it begins."""

    def __init__(self, allocator: Allocator, flying: Flying):
        self._allocator, self._flying = allocator, dict(flying)
        self.chances: dict[Job, dict[str, float]] = {}  # job -> task -> chance that it solves it
        for job, _ in flying.values():
            allocator.begin(job)
            self.chances[job] = chances(job, allocator.progress, allocator.cost)

    def next(self, device: int, seconds_left: float) -> Start | None:
        if device in self._flying:
            return Start(self._flying.pop(device)[0], seconds_left, seconds_left)
        start = self._allocator.next(device, seconds_left)
        if start is not None:
            self.chances[start.job] = chances(start.job, self._allocator.progress, self._allocator.cost)
        return start

    def finished(self, device: int, job: Job, record: Record | None) -> None:
        self._allocator.finished(device, job, record)


def chances(job: Job, progress: Progress, cost: CostModel) -> dict[str, float]:
    """Task -> chance that the job solves it, as the allocator rates it. A slice of a training brings nothing by itself."""
    gains, stage = cost.preset.gains, job.stage
    if stage == "base":
        return {task: gains.cheap for task in job.tasks if not progress.next_view.get(task)}
    if stage == "joint" or stage == "ttt" and job.num_steps:
        return {}
    (task,) = job.tasks
    rate = {"ttt": gains.training, "views": gains.further_views}.get(stage, gains.program)
    return {task: rate(cost.sizes[task], progress.shown(task))}


def expected_right(progress: Progress, cost: CostModel, done: Sequence[tuple[Job, dict[str, float], float]]) -> float:
    """Tasks expected right after jobs, in the order of their begin: each with its `chances`, and the share of it that is done.

    A task's chance now, and what each job adds. All were rated as if no search planned before them had found a program: what
    they add is counted for that case alone.
    """
    gains = cost.preset.gains
    right = {task: gains.right(size, progress.shown(task)) for task, size in cost.sizes.items()}
    missed = defaultdict(lambda: 1.0)
    for job, rated, share in done:
        for task, chance in rated.items():
            right[task] += missed[task] * share * chance
            if job.stage in ("program", "written"):
                missed[task] *= 1 - share * chance
    return sum(min(1.0, chance) for chance in right.values())


def planned_run(
    cost: CostModel,
    preset: Preset,
    devices: Sequence[str],
    seconds: float,
    progress: Progress | None = None,
    flying: Flying | None = None,
) -> Planned:
    """The next `seconds` of a run in which every job takes what the model predicts and votes agree on half of the candidates.

    `progress`: what was done before, by default nothing; it stays as it is.
    """
    before, flying = progress or Progress(), flying or {}
    allocator = Allocator(cost, preset, tuple(devices), learns=False, progress=copy.deepcopy(before))
    policy, world = _GoingOn(allocator, flying), _AsPredicted(cost, flying)
    slices = run_virtually(policy, world, [Device(name) for name in devices], seconds)
    spent = dict.fromkeys(STAGES, 0.0)
    for piece in slices:
        spent[piece.job.stage] += piece.end - piece.start
    done = [(job, rated, world.shares[job]) for job, rated in policy.chances.items()]
    after = allocator.progress
    solved, now = (expected_right(before, cost, jobs) for jobs in (done, ()))
    return Planned(spent, len(after.answered), len(after.trained), solved, now)


def starved(planned: dict[str, float], spent: dict[str, float], wanted: Sequence[str] = ()) -> list[str]:
    """A line for each stage that got much less of the device time than was planned at the start, or nothing at all though it is
    `wanted`. Both: stage -> share."""
    return [
        f"{STAGE_NAMES[stage]}: planned {planned.get(stage, 0.0):.0%} of the device time, got {spent.get(stage, 0.0):.0%}"
        for stage in STAGES
        if planned.get(stage, 0.0) >= LEAST_PLANNED
        and spent.get(stage, 0.0) < LEAST_SPENT * planned[stage]
        or stage in wanted
        and not spent.get(stage)
    ]
