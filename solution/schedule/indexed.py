"""`next_job` with an index: the same jobs, without looking at all tasks for every decision.

In:  as `allocate.next_job`, and which jobs start and finish. Out: a job. The plain definition is `allocate.next_job`; a test
compares them on random runs.
It rests on three facts: what can be done next for a task, and its gain, follow from that task's own progress; seconds are a
job's work over a speed that a device has for a kind of job, but for trainings that were begun, which are few and looked at one by
one; a task once answered stays so.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..preset import Preset
from .allocate import (
    LEAST_SHARE,
    cheap_job,
    cut_search,
    cut_training,
    due_seconds,
    may_go_on,
    next_base_job,
    next_slice,
    open_base_jobs,
    open_program_jobs,
    open_training_jobs,
    searches,
    within_breadth,
)
from .cost import CostModel, kind
from .job import Job, Progress, Record


class _Kind:
    """The open jobs of one kind, by falling gain per work and by rising work. `total`: their work; `after`: that of the further
    views that may follow them."""

    def __init__(self):
        self.by_rate: list[tuple] = []  # (-gain / work, tasks, first view, gain, work, job)
        self.by_work: list[tuple] = []  # (work, tasks, job)
        self.total = self.after = 0.0

    def add(self, gain: float, work: float, after: float, job: Job) -> None:
        insort(self.by_rate, (-gain / work, job.tasks, job.first_view, gain, work, job))
        insort(self.by_work, (work, job.tasks, job))
        self.total, self.after = self.total + work, self.after + after

    def remove(self, gain: float, work: float, after: float, job: Job) -> None:
        del self.by_rate[bisect_left(self.by_rate, (-gain / work, job.tasks, job.first_view))]
        del self.by_work[bisect_left(self.by_work, (work, job.tasks))]
        self.total, self.after = self.total - work, self.after - after

    def best(self, most_work: float) -> tuple[float, float, Job] | None:
        """Gain, work and job of the greatest gain per work among jobs of no more than that work."""
        if not self.by_work or self.by_work[0][0] > most_work:
            return None
        return next((entry[3:] for entry in self.by_rate if entry[4] <= most_work), None)

    def longest(self, most_work: float) -> Job | None:
        """The job of the most work up to so much."""
        place = bisect_right(self.by_work, most_work, key=lambda entry: entry[0])
        return self.by_work[place - 1][2] if place else None


class Index:
    """`next_job` for one run without a joint adapter, on `devices`. Tell it of every job that starts, and of every one that ends
    once `progress` and `cost` know of it."""

    def __init__(self, progress: Progress, cost: CostModel, preset: Preset, devices: Sequence[str] = ()):
        if preset.joint is not None:
            raise ValueError("no index for a joint adapter: use next_job")
        self._progress, self._cost, self._preset, self._devices = progress, cost, preset, devices
        self._flying: set[Job] = set()
        self._running: dict[str, set[Job]] = defaultdict(set)  # task -> its jobs in flight
        self._base = open_base_jobs(progress, cost.sizes, preset)
        self._neural: dict[str, _Kind] = defaultdict(_Kind)
        self._program: dict[str, _Kind] = defaultdict(_Kind)
        self._open: dict[str, list[tuple]] = {}  # task -> its entries in the two, once they were needed
        self._begun: dict[str, tuple[float, Job]] = {}  # task -> gain and rest of its training, where that was begun

    def next_job(self, device: str, seconds_left: float) -> Job | None:
        """The job to start now, or None; of a training the next slice."""
        job = self._next_whole_job(device, seconds_left)
        job = job or cut_search(self._progress, self._cost, self._preset, self._flying, device, seconds_left)
        return job and next_slice(job, self._cost, device, seconds_left)

    def _next_whole_job(self, device: str, seconds_left: float) -> Job | None:
        cost, preset = self._cost, self._preset

        def most(kind: str) -> float:
            """The most work of a kind that fits."""
            return seconds_left * cost.speed(device, kind) / cost.margin(device, kind)

        def best(kinds: dict[str, _Kind]) -> list[tuple]:
            """Of every kind the job of the greatest gain per second, rated."""
            found = [(kind, jobs.best(most(kind))) for kind, jobs in kinds.items()]
            return [(-f[0] / (f[1] / cost.speed(device, kind)), f[2].stage, f[2].tasks, f[2].first_view, f[2])
                    for kind, f in found if f is not None]  # fmt: skip

        programs = self._programs(device)
        rated = best(programs)
        if device.startswith("search"):
            return min(rated, default=(None,))[-1]
        answer = None
        if self._base:
            answer = next_base_job(self._base, self._flying, lambda job: cost.work(job) <= most("base"))
            state = self._progress, cost, preset, self._flying, device
            early = answer if within_breadth(answer, *state, seconds_left, self._devices) else None
        first = next((entry[-1] for entry in rated if kind(entry[-1]) == "program 0"), None)
        job = cheap_job(early, first, *state) if self._base else first
        if job is not None:
            return job
        self._fill()
        due = self._due(device, programs, seconds_left, most)
        if due is not None:
            return due
        rated += best(self._neural)
        rated += [(-gain / cost.seconds(job, device), job.stage, job.tasks, job.first_view, job)
                  for gain, job in self._begun.values() if self._may_begin(job, device, seconds_left)]  # fmt: skip
        if answer is not None:
            gain = preset.gains.cheap * len(answer.tasks)
            rated.append((-gain / cost.seconds(answer, device), answer.stage, answer.tasks, answer.first_view, answer))
        return min(rated)[-1] if rated else self._cut_job(device, seconds_left)

    def _programs(self, device: str) -> dict[str, _Kind]:
        """Kinds of search that the device can do."""
        if not searches(device) or not (self._preset.program or self._preset.written):
            return {}
        self._fill()
        return {name: jobs for name, jobs in self._program.items() if name != "written" or device.endswith(":0")}

    def _may_begin(self, job: Job, device: str, seconds_left: float) -> bool:
        fits = self._cost.margin(device, kind(job)) * self._cost.seconds(job, device) <= seconds_left
        return fits and self._may_go_on(job, device)

    def _may_go_on(self, job: Job, device: str) -> bool:
        return may_go_on(job, self._progress, self._cost, device, self._devices)

    def _due(self, device: str, programs: dict[str, _Kind], seconds_left: float, most: Callable[[str], float]) -> Job | None:
        """The job that is due to begin, as `allocate.due_seconds` has it."""
        cost, trainings = self._cost, {name: jobs for name, jobs in self._neural.items() if jobs.by_work}
        ahead = sum(jobs.total / cost.speed(device, name) for name, jobs in (*programs.items(), *trainings.items()))
        begun = [job for _, job in self._begun.values()]
        ahead += sum(cost.seconds(job, device) for job in begun)
        after = (self._neural["ttt"].after + sum(cost.views_work(job) for job in begun)) / cost.speed(device, "views")
        longest = {name: jobs.by_work[-1][-1] for name, jobs in trainings.items()}
        if begun:
            untrained = [longest["ttt"]] if "ttt" in longest else []
            longest["ttt"] = max((*untrained, *begun), key=lambda job: (cost.work(job), job.tasks))
        limit = due_seconds(list(longest.values()), ahead, after, cost, device, self._devices, seconds_left)
        if not limit:
            return None
        found = [job for job in begun if self._may_begin(job, device, seconds_left)]
        for name, jobs in trainings.items() if not found else ():
            found.append(jobs.longest(min(limit * cost.speed(device, name), most(name))))
        return max((job for job in found if job), key=lambda job: (cost.seconds(job, device), job.stage, job.tasks), default=None)

    def _cut_job(self, device: str, seconds_left: float) -> Job | None:
        mine = [job for _, job in self._begun.values() if self._may_go_on(job, device)]
        begun = cut_training(mine, self._cost, device, seconds_left)
        if begun is not None:
            return begun
        speed = self._cost.speed(device, "ttt")
        for work, _, job in self._neural["ttt"].by_work:
            if LEAST_SHARE * work / speed > seconds_left:
                return None
            if LEAST_SHARE * work / speed + self._cost.decode_seconds(job, device) <= seconds_left:
                return job
        return None

    def started(self, job: Job) -> None:
        """A job has been started."""
        self._flying.add(job)
        for name in job.tasks:
            self._running[name].add(job)
            if self._open:
                self._refresh(name)

    def finished(self, job: Job, record: Record | None) -> None:
        """A job has ended; no record where it was lost."""
        self._flying.remove(job)
        for name in job.tasks:
            self._running[name].remove(job)
        if job.stage == "base":
            if record is not None and record.ok and not record.cut:
                done = set(job.tasks)
                left = ((base, tuple(name for name in base.tasks if name not in done)) for base in self._base)
                self._base = [base if names == base.tasks else replace(base, tasks=names) for base, names in left if names]
            else:
                self._base = open_base_jobs(self._progress, self._cost.sizes, self._preset)
        for name in job.tasks if self._open else ():
            self._refresh(name)

    def _fill(self) -> None:
        """Find what is open for all tasks, where that was not needed before."""
        if not self._open:
            for name in self._cost.sizes:
                self._refresh(name)

    def _refresh(self, name: str) -> None:
        """Find anew what is open for one task."""
        for jobs, entry in self._open.get(name, ()):
            jobs.remove(*entry)
        self._begun.pop(name, None)
        size, running = {name: self._cost.sizes[name]}, self._running[name]
        self._open[name] = found = []
        for kinds, jobs in (
            (self._neural, open_training_jobs(self._progress, size, self._preset, running)),
            (self._program, open_program_jobs(self._progress, size, self._preset, running, "search:0")),
        ):
            for gain, job in jobs:
                if job.first_step:
                    self._begun[name] = gain, job
                    continue
                after = self._cost.views_work(job) if job.stage == "ttt" else 0.0
                entry = kinds[kind(job)], (gain, self._cost.work(job), after, job)
                entry[0].add(*entry[1])
                found.append(entry)
