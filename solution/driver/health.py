"""Health: which devices are fit to work, and which jobs are kept from which of them.

In:  how jobs ended, and where. Out: devices to be tried with a known-good job, failures that are no fault of their tasks, jobs
held back. Pure: moments are given as seconds, nothing is read or written.

A task's failures are its own. A device is suspected only after failures on `SICK_AFTER` different tasks with no success between,
and judged by a known-good job, one that has succeeded before: where that succeeds, the failures stay the tasks'; where it fails,
the device is retired, what failed there is forgiven, and it is tried again, ever less often, until it comes back. A job that
failed goes to another device next, where there is one. A job that lost its device is done after everything else; after a second
loss it is left out.
Not here: which job comes next (`schedule.allocate`), the loop that asks (`run`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..schedule.allocate import searches
from ..schedule.cost import family
from ..schedule.job import MAX_ATTEMPTS, Job

SICK_AFTER = 3
"""Different tasks that fail on a device, with no success between, before it is tried with a known-good job."""
PROBE_AFTER, PROBE_MOST = 2.0, 300.0
"""Seconds until a retired device is tried again: at first, then twice as many each time, at the most."""
PROBES_ALONE = 6
"""Trials in a row that the only device of its kind may fail (about a minute): then there is nothing better, and it goes on."""
MOST_LOSSES = 2
"""Devices that jobs of a task may lose before the task is left out."""
HANG_LEAST, HANG_TIMES = 600.0, 5.0
"""A job hangs that takes longer than these seconds, and than so many times what was foretold, the forecast's own margin added."""
MEMORY = re.compile(r"out of memory|STATUS_ALLOC_FAILED|can(.|no)t allocate memory|not enough memory", re.IGNORECASE)
LOST = re.compile(
    r"CUDA (driver |kernel )?errors?|Triton Error \[CUDA\]|CUDNN_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR)"
    r"|illegal memory access|misaligned address|device-side assert|unspecified launch failure"
)

Key = tuple[str, tuple[str, ...], int]
"""Stage, tasks and first view: a job whatever its attempt, as `Progress.failures` counts them."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out: a smaller job may do, the device serves on."""
    return isinstance(error, MemoryError) or bool(MEMORY.search(str(error)))


def is_lost(error: BaseException) -> bool:
    """Whether an exception means that the device serves this process no more: after a fault in a kernel every further call
    fails."""
    return not is_out_of_memory(error) and bool(LOST.search(str(error)))


def hangs_after(forecast: float) -> float:
    """Seconds after which a job is given up together with its device; `forecast`: foretold for it, with the forecast's margin."""
    return max(HANG_LEAST, HANG_TIMES * forecast)


def serves(device: str, kind: str) -> bool:
    """Whether a device does jobs of a family (`cost.family`)."""
    if kind == "neural":
        return not device.startswith("search")
    return searches(device) and (kind == "program" or device.endswith(":0"))


def key_of(job: Job) -> Key:
    return job.stage, job.tasks, job.first_view


@dataclass
class _Device:
    """`failed`: by family, what failed since the last success, in order. `tried`: what failed here and is not done. `trials`:
    failed ones in a row, of a job of stage `judged_by`; the next one due at `trial_at`. `trusted`: False where nothing better is
    left, until it succeeds."""

    state: str = "fit"
    failed: dict[str, list[Key]] = field(default_factory=lambda: defaultdict(list))
    tried: set[Key] = field(default_factory=set)
    trials: int = 0
    trial_at: float = 0.0
    judged_by: str = "base"
    trusted: bool = True
    first: Job | None = None


class Health:
    """Of every device of a run, by name, and of the jobs that lost one."""

    def __init__(self, devices: Sequence[str]):
        self._devices = {name: _Device() for name in devices}
        self._good: dict[str, dict[Key, Job]] = defaultdict(dict)  # stage -> what succeeded, whole
        self._losses: Counter = Counter()  # (family, task)
        self._waiting: dict[tuple[str, str], Job] = {}  # the job of one task that lost a device

    def is_fit(self, device: str) -> bool:
        """Whether it gets jobs."""
        return self._devices[device].state == "fit"

    def has(self, state: str) -> bool:
        """Whether a device of a model is "fit", "retired" or "lost"."""
        return any(own.state == state and serves(name, "neural") for name, own in self._devices.items())

    def others(self, device: str, kind: str) -> list[str]:
        """The other fit devices that do jobs of that family: a worker that only searches is none for a model's device."""
        return [name for name, own in self._devices.items() if name != device and own.state == "fit" and serves(name, kind)]

    def known_good(self, job: Job) -> None:
        """A job succeeded, here or in an earlier process: it may be used to try a device."""
        if job.stage in ("base", "program", "written") or (job.stage == "ttt" and not job.num_steps):
            self._good[job.stage][key_of(job)] = replace(job, first_step=0)

    def succeeded(self, device: str, job: Job) -> None:
        """A job ended well on a device that is fit, or is so again: what failed there before is the tasks' own fault."""
        own = self._devices[device]
        own.failed.pop(family(job.stage), None)
        own.first = None
        own.state, own.trials, own.trusted = "fit", 0, True
        for each in self._devices.values():
            each.tried.discard(key_of(job))
        for task in job.tasks:
            self._waiting.pop((family(job.stage), task), None)
        self.known_good(job)

    def failed(self, device: str, job: Job) -> None:
        """A job failed, whatever of: memory, NaN, an exception."""
        own = self._devices[device]
        own.first = own.first or job
        own.failed[family(job.stage)].append(key_of(job))
        own.tried.add(key_of(job))

    def suspected(self, device: str) -> str | None:
        """The stage that failed last, where a device has failed on so many different tasks that it is to be tried."""
        own = self._devices[device]
        for failed in own.failed.values() if own.trusted else ():
            apart: list[tuple[str, ...]] = []  # the tasks of jobs that have none in common
            for _, tasks, _ in failed:
                apart += [tasks] if all(set(tasks).isdisjoint(other) for other in apart) else []
            if len(apart) >= SICK_AFTER:
                return failed[-1][0]
        return None

    def trial_due(self, device: str, now: float) -> bool:
        """Whether the next job of a device is to be a known-good one: it is suspected, or retired for long enough."""
        own = self._devices[device]
        return now >= own.trial_at if own.state == "retired" else self.suspected(device) is not None

    def trials(self, device: str) -> list[Job]:
        """Known-good jobs to try a device with: of the stage that it failed in, else the model's cheap answers; none where
        nothing has succeeded yet: then the device is as good as any."""
        stage = self.suspected(device) or self._devices[device].judged_by
        stages = [{"views": "ttt", "joint": "ttt"}.get(stage, stage), *(["base"] if family(stage) == "neural" else [])]
        return next((list(self._good[name].values()) for name in stages if self._good[name]), [])

    def failed_trial(self, device: str, job: Job, now: float) -> Counter:
        """A known-good job failed: retire the device. -> what failed there and is forgiven, and how often. The only device of its
        kind goes on after `PROBES_ALONE` trials: there is nothing better, and its failures count."""
        own = self._devices[device]
        own.state, own.judged_by, own.trials = "retired", job.stage, own.trials + 1
        own.trial_at = now + min(PROBE_MOST, PROBE_AFTER * 2 ** min(own.trials - 1, 30))
        forgiven = Counter(key for keys in own.failed.values() for key in keys)
        own.tried -= set(forgiven)
        own.failed.clear()
        if own.trials >= PROBES_ALONE and not self.others(device, family(job.stage)):
            own.state, own.trusted, own.trials = "fit", False, 0
        return forgiven

    def first_failed(self, device: str) -> Job | None:
        """What failed first since a device's last success: the likeliest to have broken it, where known-good jobs fail too."""
        return self._devices[device].first

    def lost(self, device: str) -> None:
        """A device serves this process no more."""
        self._devices[device].state = "lost"

    def loss(self, job: Job) -> list[str]:
        """Count a device, in this process or an earlier one, that was lost in a job. -> tasks that are to be left out: of a job
        of one task that one, after `MOST_LOSSES`; of a batch none, as any of them may be to blame."""
        for task in job.tasks:
            self._losses[family(job.stage), task] += 1
        if len(job.tasks) != 1:
            return []
        place = family(job.stage), job.tasks[0]
        if self._losses[place] >= MOST_LOSSES:
            self._waiting.pop(place, None)
            return [job.tasks[0]]
        self._waiting[place] = replace(job, attempt=0, first_step=0, num_steps=0)
        return []

    def held(self, device: str, failures: Mapping[Key, int]) -> set[Job]:
        """Jobs that a device leaves to others: they failed here, and another that is fit has not tried them. `failures`: attempts
        that failed so far (`Progress.failures`)."""
        found = set()
        for stage, tasks, view in self._devices[device].tried:
            others = self.others(device, family(stage))
            untried = any((stage, tasks, view) not in self._devices[other].tried for other in others)
            if untried and len(tasks) < 2 and failures.get((stage, tasks, view), 0) < MAX_ATTEMPTS:
                found.add(Job(stage, tasks, view))
        return found

    def doubtful(self, device: str) -> set[Job]:
        """Jobs that failed on a device since its last success: others come first, which show whose fault that was."""
        return {Job(*key) for keys in self._devices[device].failed.values() for key in keys if len(key[1]) < 2}

    def waiting(self) -> set[Job]:
        """Jobs that lost a device: to be done after everything else."""
        return set(self._waiting.values())
