"""The simulator: a trace replayed under any policy, budget and machine.

In:  a `Trace`, a preset, devices, seconds, a policy, noise. Out: a `Replay`: what ran when, and tasks right over time. Pure, and
the same for the same seed. Bounds that no policy can beat stand beside it.
A job's noise depends on the seed, the task and the stage, not on when or where it runs: policies meet the same noise.
Not here: the loop (`virtual`), what a policy does (`policy`).
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random

from ..preset import Preset
from .cost import CostModel, planned_steps
from .job import STAGES, Job, Record
from .policy import Brief, allocator
from .trace import NO_NOISE, Factors, Trace
from .virtual import Device, Policy, Slice, Start, run_virtually


@dataclass(frozen=True)
class Noise:
    """`job`: standard deviation of the logarithm of the factor on each job's seconds, whose mean is 1. `seed` also draws what
    the trace leaves to chance."""

    seed: int = 0
    job: float = 0.0

    def factors(self, trace: Trace) -> dict[str, Factors]:
        """Task -> factors on its jobs' seconds."""
        return _factors(self, tuple(sorted(trace.tasks)))


@lru_cache(maxsize=4)
def _factors(noise: Noise, tasks: tuple[str, ...]) -> dict[str, Factors]:
    if not noise.job:
        return dict.fromkeys(tasks, NO_NOISE)
    rng, shift = Random(noise.seed), noise.job**2 / 2
    return {name: tuple(math.exp(rng.gauss(0.0, noise.job) - shift) for _ in range(4)) for name in tasks}


@dataclass(frozen=True)
class Replay:
    """A run that might have been. `curve`: seconds and tasks expected right from then on, rising or falling at each."""

    seconds: float
    devices: tuple[Device, ...]
    slices: tuple[Slice, ...]
    curve: tuple[tuple[float, float], ...]

    @property
    def makespan(self) -> float:
        """When the last job ended."""
        return self.slices[-1].end if self.slices else 0.0

    @property
    def solved(self) -> float:
        """Tasks expected right in the end."""
        return self.curve[-1][1]

    def solved_at(self, time: float) -> float:
        """Tasks expected right at a time."""
        return self.curve[bisect_right(self.curve, (time, math.inf)) - 1][1]

    def area(self, until: float | None = None) -> float:
        """Tasks expected right, averaged over the time from 0 to `until` (default: the budget)."""
        until = self.seconds if until is None else until
        return step_mean(self.curve, until)

    @cached_property
    def seconds_by_stage(self) -> dict[str, float]:
        """Device-seconds by stage."""
        spent = dict.fromkeys(STAGES, 0.0)
        for piece in self.slices:
            spent[piece.job.stage] += piece.end - piece.start
        return spent

    @cached_property
    def reached(self) -> dict[str, tuple[float, ...]]:
        """Stage -> the times at which its 1st, 2nd, ... task first finished a job of it, not cut."""
        first: dict[str, dict[str, float]] = {stage: {} for stage in STAGES}
        for piece in self.slices:
            if not piece.cut and not piece.lost and not piece.job.num_steps:
                for task in piece.job.tasks:
                    first[piece.job.stage].setdefault(task, piece.end)
        return {stage: tuple(sorted(times.values())) for stage, times in first.items()}

    @property
    def idle(self) -> float:
        """Device-seconds up to the budget in which a living device had no job."""
        return sum(min(self.seconds, d.dies_at) for d in self.devices) - sum(self.seconds_by_stage.values())


def replay(
    trace: Trace,
    preset: Preset,
    devices: Sequence[Device],
    seconds: float,
    policy: Callable[[Brief], Policy] = allocator,
    noise: Noise = Noise(),
    guess: float | None = None,
) -> Replay:
    """Replay a trace under a policy for `seconds`, from the first job to when the last must have ended (no reserve).

    `guess`: token-passes a second that the policy is told at the start, as the driver's first timing tells it; None: what the
    trace took on average. A trace with open chances is drawn by `noise.seed` first where a policy could see how they fall.
    Raises `ValueError` for what a trace does not know: a joint adapter, written programs, or more rounds of program search than
    it has.
    """
    if preset.joint is not None or preset.written is not None:
        raise ValueError("a joint adapter or written programs cannot be replayed: no trace knows of them")
    if preset.program and any(len(task.search) < len(preset.program.tries) for task in trace.tasks.values()):
        raise ValueError(f"trace {trace.name} does not know {len(preset.program.tries)} rounds of program search")
    trace = trace if trace.settled else trace.draw(noise.seed)
    world = TraceWorld(trace, preset, noise)
    brief = Brief(trace.sizes, preset, tuple(d.name for d in devices), seconds, guess or average_speed(trace, preset))
    slices = run_virtually(policy(brief), world, list(devices), seconds)
    return Replay(seconds, tuple(devices), tuple(slices), tuple(world.curve))


def average_speed(trace: Trace, preset: Preset) -> float:
    """Token-passes a second that training and first views of a trace's tasks took, by the cost model's count."""
    cost = CostModel(trace.sizes, preset)
    work = sum(cost.work(Job("ttt", (name,), 0, preset.first_views)) for name in trace.tasks)
    return work / sum(trace.train_seconds(n, preset) + preset.first_views * t.view for n, t in trace.tasks.items())


class TraceWorld:
    """A trace as the world that jobs run in. `curve`: tasks expected right, after every job."""

    def __init__(self, trace: Trace, preset: Preset, noise: Noise):
        self._trace, self._preset, self._tasks = trace, preset, trace.tasks
        self._factors = noise.factors(trace)
        self._neural: dict[str, float] = {}  # chance that the model's answer is right, as things stand
        self._program: dict[str, float] = {}
        self._right = 0.0
        self._chances: dict[Job, float] = {}  # of the jobs in flight that will decode: chance after them
        self.curve = [(0.0, 0.0)]

    def run(self, start: Start, device: Device, now: float) -> tuple[float, Record]:
        """When a job ends, and its record. A training that is cut counts for its share of the chance; a decoding or a search that
        is cut brings nothing, for views are decoded at once. A slice takes its steps' share of the training's seconds."""
        job, must_end, share, agreement = start.job, now + start.run_for, 1.0, {}
        if job.stage == "base":
            end = device.end_of(now, sum(self._tasks[name].base * self._factors[name][0] for name in job.tasks))
            return min(end, must_end), Record(job, device.name, min(end, must_end) - now, True, end > must_end)
        (name,) = job.tasks
        task, (_, train_factor, view_factor, search_factor) = self._tasks[name], self._factors[name]
        if job.stage == "program":
            end = device.end_of(now, task.search[job.first_view] * search_factor)
            explained = end <= must_end and task.explains[job.first_view] == 1
            return min(end, must_end), Record(job, device.name, min(end, must_end) - now, True, end > must_end, explained)
        end = now
        self._chances.pop(job, None)  # of the same job on a device that died
        if job.stage == "ttt":
            whole = self._trace.train_seconds(name, self._preset) * train_factor
            steps = max(1, planned_steps(task.size, self._preset))
            stop = job.first_step + job.num_steps if job.num_steps else steps
            end = device.end_of(now, whole * (stop - job.first_step) / steps)
            if end > now + start.train_for:  # slices that are cut decode, too
                end = now + max(0.0, start.train_for)
                share = job.first_step / steps + (device.done_by(now, end) / whole if whole else 1.0)
            elif job.num_steps:
                return end, Record(job, device.name, end - now)
        end = device.end_of(end, job.num_views * task.view * view_factor)
        if job.num_views and end <= must_end:
            views = job.first_view + job.num_views
            agreement = {name: task.agreement_after(views)}
            self._chances[job] = share * task.neural_right(views)
        cut = share < 1 or end > must_end
        return min(end, must_end), Record(job, device.name, min(end, must_end) - now, True, cut, False, agreement)

    def finished(self, record: Record, now: float) -> None:
        """Take a job into the count of what is right."""
        job, before = record.job, self._right
        if job.stage == "base":
            for name in () if record.cut else job.tasks:
                self._set(self._neural, name, self._tasks[name].base_right)
        elif job.stage == "program":
            (name,) = job.tasks
            task = self._tasks[name]
            if not record.cut:
                right = task.explained_right if record.explained else task.unexplained_right(job.first_view)
                self._set(self._program, name, right)
        elif job in self._chances:
            chance = self._chances.pop(job)
            self._set(self._neural, job.tasks[0], max(chance, self._neural.get(job.tasks[0], 0.0)) if record.cut else chance)
        if self._right != before:
            self.curve.append((now, self._right))

    def _set(self, chances: dict[str, float], name: str, chance: float) -> None:
        """Change one chance of a task: it is right where the model's answer or the programs' is, independently."""
        self._right -= 1 - (1 - self._neural.get(name, 0.0)) * (1 - self._program.get(name, 0.0))
        chances[name] = chance
        self._right += 1 - (1 - self._neural.get(name, 0.0)) * (1 - self._program.get(name, 0.0))


def clairvoyant(trace: Trace, preset: Preset, devices: Sequence[Device], seconds: float, noise: Noise = Noise()) -> Replay:
    """What no policy can beat: it knows every cost and every outcome, does for each task only the cheapest thing that makes it
    right, cheapest task first, and divides work among devices without remainder. Only its `curve` is filled.

    `trace`: drawn by `noise.seed` where chances are open. A training that the clock cuts counts for a share of its chance, which
    whole tasks do not: a policy can be ahead by one such share a device.
    """
    trace = trace if trace.certain else trace.draw(noise.seed)
    factors = noise.factors(trace)
    costs = sorted(trace.least_seconds(name, preset, factors[name]) for name in trace.tasks)
    ends = sorted({d.dies_at for d in devices} | {d.slow_from for d in devices} | {seconds})
    curve, done = [(0.0, 0.0)], 0.0
    for solved, cost in enumerate(costs, 1):
        done += cost
        time = time_of(devices, done, [end for end in ends if end <= seconds])
        if time > seconds:
            break
        curve.append((time, float(solved)))
    return Replay(seconds, tuple(devices), (), tuple(curve))


def makespan_bound(trace: Trace, preset: Preset, devices: Sequence[Device], noise: Noise = Noise()) -> float:
    """No schedule can end all neural work of a drawn trace sooner, cheap answers left out: all of it divided among devices
    without remainder, or its longest task on the fastest. For devices that neither die nor slow down."""
    factors = noise.factors(trace)
    costs = [trace.whole_seconds(name, preset, factors[name]) for name in trace.tasks]
    return max(sum(costs) / sum(d.speed for d in devices), max(costs) / max(d.speed for d in devices))


def time_of(devices: Sequence[Device], work: float, turns: Sequence[float]) -> float:
    """When devices together can have done work of so many seconds at speed 1; infinite after the last of `turns`, the times at
    which the speed of any changes."""
    start = before = 0.0
    for turn in turns:
        worth = sum(d.worth(turn) for d in devices)
        if worth >= work:
            return start + (turn - start) * (work - before) / (worth - before)
        start, before = turn, worth
    return math.inf


def step_mean(curve: Sequence[tuple[float, float]], until: float) -> float:
    """The mean from 0 to `until` of a step function given as (time, value from then on), times rising from 0."""
    total = 0.0
    for (start, value), (end, _) in zip(curve, [*curve[1:], (until, 0.0)]):
        total += value * max(0.0, min(end, until) - start)
    return total / until
