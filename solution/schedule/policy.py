"""Who decides what a free device does: our allocator, and the orders that public systems and textbooks use.

In:  a `Brief`, then free devices and finished jobs. Out: a `Start`. Each is pure but for its own memory of the run.
Every policy sees what a driver would see, no more: sizes, seconds left, records. All do the same jobs with the same rules for
further views; the orders have no cheap answers first, as their originals have none.
Not here: the clock (`virtual`), which job our allocator takes (`allocate`, `indexed`), bounds by foresight (`replay`).
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ..preset import Preset
from .allocate import next_job, searches, train_seconds
from .cost import CostModel
from .indexed import Index
from .job import Job, Progress, Record, TaskSize
from .virtual import Policy, Start

TASK_CAP = 1200.0
"""Seconds that one task may take on one device, training to last view: the cap of the 2025 winner (issue 6)."""


@dataclass(frozen=True)
class Brief:
    """What a policy knows at the start. `names`: of the devices. `guess`: token-passes a second by a first timing."""

    sizes: dict[str, TaskSize]
    preset: Preset
    names: tuple[str, ...]
    seconds: float
    guess: float

    def cost(self) -> CostModel:
        return CostModel(self.sizes, self.preset, self.guess)


class Allocator:
    """Our allocator as the driver runs it, by its plain definition or `indexed` (which knows no joint adapter); its cost model
    learns where `learns`. `progress`: where it starts from, by default the beginning."""

    def __init__(
        self,
        cost: CostModel,
        preset: Preset,
        names: tuple[str, ...],
        indexed: bool = True,
        learns: bool = True,
        progress: Progress | None = None,
    ):
        self.cost, self.preset, self.names, self.learns = cost, preset, names, learns
        self.progress, self._running = progress or Progress(), set()
        self._serving = list(names)
        indexed &= preset.joint is None
        self._index = Index(self.progress, cost, preset, self._serving) if indexed else None

    def next(self, device: int, seconds_left: float) -> Start | None:
        name = self.names[device]
        if self._index is not None:
            job = self._index.next_job(name, seconds_left)
        else:
            job = next_job(self.progress, self.cost, self.preset, self._running, name, seconds_left, self._serving)
        if job is None:
            return None
        self.begin(job)
        return Start(job, train_seconds(job, self.cost, self.preset, name, seconds_left), seconds_left)

    def begin(self, job: Job) -> None:
        """A job is in flight from now on."""
        self._running.add(job)
        if self._index is not None:
            self._index.started(job)

    def finished(self, device: int, job: Job, record: Record | None) -> None:
        self._running.remove(job)
        if record is not None:
            self.progress.add(record)
            if self.learns and record.ok and not record.cut:
                self.cost.observe(job, self.names[device], record.seconds)
        else:
            self._serving.remove(self.names[device])
        if self._index is not None:
            self._index.finished(job, record)


def allocator(brief: Brief) -> Policy:
    """Our allocator, with an index."""
    return Allocator(brief.cost(), brief.preset, brief.names)


def plain_allocator(brief: Brief) -> Policy:
    """Our allocator by its plain definition, which looks at all tasks for every decision."""
    return Allocator(brief.cost(), brief.preset, brief.names, indexed=False)


class InOrder:
    """Whole tasks in a fixed order, each on the first device that is free: every round of program search where the device can,
    training, all views. A task ends at `cap` seconds on its device; a device goes on until the deadline."""

    def __init__(self, brief: Brief, order: Sequence[str], cap: float = math.inf):
        self._brief, self._cap, self._waiting = brief, cap, deque(order)
        self._spent = [0.0] * len(brief.names)
        self._plans: list[deque[Job]] = [deque() for _ in brief.names]

    def next(self, device: int, seconds_left: float) -> Start | None:
        plan = self._plans[device]
        while not plan:
            if not self._waiting:
                return None
            plan.extend(whole_task(self._waiting.popleft(), self._brief.preset, self._brief.names[device]))
            self._spent[device] = 0.0
        limit = min(seconds_left, self._cap - self._spent[device])
        return Start(plan.popleft(), limit, limit)

    def finished(self, device: int, job: Job, record: Record | None) -> None:
        if record is None:
            return
        plan, preset = self._plans[device], self._brief.preset
        self._spent[device] += record.seconds
        if record.cut and self._spent[device] >= self._cap:
            plan.clear()
        elif record.explained:
            self._plans[device] = deque(other for other in plan if other.stage != "program")
        elif job.stage in ("ttt", "views") and record.agreement.get(job.tasks[0], 0.0) >= preset.agreement:
            plan.clear()


def whole_task(task: str, preset: Preset, device: str) -> list[Job]:
    """Everything that may be done for a task on a device, in order."""
    found = []
    if preset.program is not None and searches(device):
        found += [Job("program", (task,), number, 0) for number in range(len(preset.program.tries))]
    if preset.ttt and not device.startswith("search"):
        found.append(Job("ttt", (task,), 0, preset.first_views))
        found += [further_views(task, preset, number) for number in range(preset.rounds)]
    return found


def further_views(task: str, preset: Preset, number: int) -> Job:
    """Round `number` of further views."""
    return Job("views", (task,), preset.first_views + number * preset.more_views, preset.more_views)


class StaticHalves:
    """The ARChitects' of 2024: tasks are dealt to devices in sorted order, each device trains its own, then decodes those that it
    has trained. Its budget is planned: training gets `share` of it, so that decoding has the rest. No program search."""

    def __init__(self, brief: Brief, share: float):
        self._brief, self._until = brief, brief.seconds * (1 - share)
        neural = [index for index, name in enumerate(brief.names) if not name.startswith("search")]
        names = sorted(brief.sizes)
        self._untrained = [deque() for _ in brief.names]
        for place, index in enumerate(neural):
            self._untrained[index].extend(names[place :: len(neural)])
        self._views: list[deque[Job]] = [deque() for _ in brief.names]

    def next(self, device: int, seconds_left: float) -> Start | None:
        untrained = self._untrained[device]
        if untrained and seconds_left > self._until:
            limit = seconds_left - self._until
            return Start(Job("ttt", (untrained.popleft(),), 0, 0), limit, limit)
        if not self._views[device]:
            return None
        job = self._views[device].popleft()
        return Start(job, seconds_left, seconds_left)

    def finished(self, device: int, job: Job, record: Record | None) -> None:
        if record is None or record.cut:
            return
        preset, (name,) = self._brief.preset, job.tasks
        if job.stage == "ttt":
            self._views[device].append(Job("views", (name,), 0, preset.first_views))
            return
        number = (job.first_view + job.num_views - preset.first_views) // preset.more_views
        if number < preset.rounds and record.agreement[name] < preset.agreement:
            self._views[device].appendleft(further_views(name, preset, number))


def sorted_order(brief: Brief) -> Policy:
    """The 2025 winner's: tasks sorted by id, `TASK_CAP` each."""
    return InOrder(brief, sorted(brief.sizes), TASK_CAP)


def shortest_first(brief: Brief) -> Policy:
    """Whole tasks by rising predicted seconds."""
    return InOrder(brief, by_work(brief))


def longest_first(brief: Brief) -> Policy:
    """Whole tasks by falling predicted seconds, which is good for the makespan."""
    return InOrder(brief, by_work(brief)[::-1])


def by_work(brief: Brief) -> list[str]:
    """Task ids by the cost model's work for training and first views."""
    cost = brief.cost()
    return sorted(brief.sizes, key=lambda name: (cost.work(Job("ttt", (name,), 0, brief.preset.first_views)), name))


def policies(train_share: float) -> dict[str, Callable[[Brief], Policy]]:
    """Every policy by the name that tables use. `train_share`: of the budget that static halves plan for training."""
    return {
        "allocator": allocator,
        "sorted order": sorted_order,
        "static halves": partial(StaticHalves, share=train_share),
        "shortest first": shortest_first,
        "longest first": longest_first,
    }
