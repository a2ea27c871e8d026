"""The virtual clock: devices, a policy that gives them jobs, a world that says what those take and bring.

In:  a policy, a world, devices, seconds. Out: everything that ran, in order of its end. Pure: no time passes.
It treats a deadline as the driver does: nothing is started after it, what still runs is cut there, trainings stop early enough
to decode. A device that dies takes the job in flight with it, and no further job.
Not here: what the policies do (`policy`), real costs (`replay`), the allocator's own predictions (`plan`).
"""

import heapq
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .job import Job, Record


@dataclass(frozen=True)
class Device:
    """`speed`: relative to the world's seconds. It serves until second `dies_at`, and from second `slow_from` on takes `slow_by`
    times as long."""

    name: str
    speed: float = 1.0
    dies_at: float = math.inf
    slow_from: float = math.inf
    slow_by: float = 1.0

    def done_by(self, start: float, end: float) -> float:
        """Seconds of a device of speed 1 that it is worth from `start` to `end`, were it not to die."""
        slow = max(0.0, end - max(start, self.slow_from))
        return self.speed * (end - start - slow + slow / self.slow_by)

    def end_of(self, start: float, work: float) -> float:
        """When work of so many seconds at speed 1 is done that begins at `start`, were it not to die."""
        end = start + work / self.speed
        if end <= self.slow_from:
            return end
        begun = max(start, self.slow_from)
        return begun + (work - self.speed * (begun - start)) * self.slow_by / self.speed

    def worth(self, seconds: float) -> float:
        """Seconds of a device of speed 1 that it gives from 0 to `seconds`, its death and slowness included."""
        return self.done_by(0.0, min(seconds, self.dies_at))


class Start(NamedTuple):
    """A job, the seconds from now that its training may take, and those that all of it may."""

    job: Job
    train_for: float
    run_for: float


class Slice(NamedTuple):
    """What ran: a job on a device (by index), from second `start` to `end`; `cut` by a limit, `lost` with its device."""

    job: Job
    device: int
    start: float
    end: float
    cut: bool
    lost: bool


class Policy(Protocol):
    """Decides what a free device does. A policy sees what the driver sees: names, records, seconds left."""

    def next(self, device: int, seconds_left: float) -> Start | None:
        """The job for a free device; None to leave it free until another job ends."""

    def finished(self, device: int, job: Job, record: Record | None) -> None:
        """A job has ended; no record where its device died."""


class World(Protocol):
    """Knows what jobs take and bring."""

    def run(self, start: Start, device: Device, now: float) -> tuple[float, Record]:
        """When a job that starts now will end, were its device to live, and its record."""

    def finished(self, record: Record, now: float) -> None:
        """That job has ended."""


def run_virtually(policy: Policy, world: World, devices: list[Device], seconds: float) -> list[Slice]:
    """Let a policy work for `seconds`; ends earlier where it leaves every device free. Devices that are free are asked in the
    order in which they became so, like the driver's."""
    slices, flying, free, now, number = [], [], list(range(len(devices))), 0.0, 0
    while True:
        for index in list(free):
            device = devices[index]
            start = policy.next(index, seconds - now) if now < min(seconds, device.dies_at) else None
            if start is None:
                continue
            end, record = world.run(start, device, now)
            if end > device.dies_at:
                end, record = device.dies_at, None
            heapq.heappush(flying, (end, number, index, start.job, now, record))
            number += 1
            free.remove(index)
        if not flying:
            return slices
        now, _, index, job, began, record = heapq.heappop(flying)
        slices.append(Slice(job, index, began, now, record is not None and record.cut, record is None))
        policy.finished(index, job, record)
        if record is not None:
            world.finished(record, now)
            free.append(index)
