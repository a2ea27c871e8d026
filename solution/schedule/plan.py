"""What the allocator would do with a budget: the same allocator, run on a virtual clock.

In:  a cost model, devices, seconds. Out: the share of device time each stage is planned to get, the tasks trained. Pure.
Not here: replaying recorded traces.
"""

import heapq
from dataclasses import dataclass

from ..preset import Preset
from .allocate import next_job
from .cost import CostModel
from .job import STAGES, Job, Progress, Record

ASSUMED_AGREEMENT = 0.5


@dataclass(frozen=True)
class Planned:
    """A run as planned. `shares`: stage -> share of all device time, 0 for every stage where no job fits."""

    shares: dict[str, float]
    answered: int
    trained: int


def planned_run(cost: CostModel, preset: Preset, devices: list[str], seconds: float) -> Planned:
    """A run of `seconds` in which every job takes what the model predicts and votes agree on half of the candidates."""
    progress, running, spent = Progress(), {}, dict.fromkeys(STAGES, 0.0)
    free = [(0.0, index) for index in range(len(devices))]
    heapq.heapify(free)
    while free:
        now, index = heapq.heappop(free)
        if index in running:
            job = running.pop(index)
            agreement = dict.fromkeys(job.tasks, ASSUMED_AGREEMENT)
            progress.add(Record(job, devices[index], cost.seconds(job, devices[index]), agreement=agreement))
        job: Job | None = next_job(progress, cost, preset, set(running.values()), devices[index], seconds - now)
        if job is None:
            later = [time for time, other in free if other in running]
            if later:  # what is running may open new jobs
                heapq.heappush(free, (min(later) + 1e-9, index))
            continue
        running[index] = job
        took = cost.seconds(job, devices[index])
        if job.stage == "joint":
            took = min(took, preset.joint.share * (seconds - now))
        spent[job.stage] += took
        heapq.heappush(free, (now + took, index))
    total = sum(spent.values())
    shares = {stage: value / total if total else 0.0 for stage, value in spent.items()}
    return Planned(shares, len(progress.answered), len(progress.trained))
