"""What the allocator would do with a budget: the same allocator, run on a virtual clock.

In:  a cost model, devices, seconds. Out: the share of device time each stage is planned to get, the tasks trained; after the
run, which stages were starved of it. Pure.
Not here: replaying recorded traces (`replay`).
"""

from dataclasses import dataclass

from ..preset import Preset
from .cost import CostModel
from .job import STAGE_NAMES, STAGES, Record
from .policy import Allocator
from .virtual import Device, Start, run_virtually

ASSUMED_AGREEMENT = 0.5
LEAST_PLANNED, LEAST_SPENT = 0.02, 0.5
"""A stage that was planned at least the first share of device time and got less than the second share of its plan is starved."""


@dataclass(frozen=True)
class Planned:
    """A run as planned. `seconds`: stage -> device-seconds, 0 for every stage where no job fits."""

    seconds: dict[str, float]
    answered: int
    trained: int

    @property
    def shares(self) -> dict[str, float]:
        """Stage -> share of all planned device time."""
        total = sum(self.seconds.values())
        return {stage: value / total if total else 0.0 for stage, value in self.seconds.items()}


@dataclass(frozen=True)
class _AsPredicted:
    """The world as the cost model has it: every job takes what it predicts, and votes agree on half of the candidates."""

    cost: CostModel

    def run(self, start: Start, device: Device, now: float) -> tuple[float, Record]:
        seconds = self.cost.seconds(start.job, device.name)
        if start.job.stage == "joint":
            seconds = min(seconds, start.train_for)
        agreement = dict.fromkeys(start.job.tasks, ASSUMED_AGREEMENT)
        seconds, cut = min(seconds, start.run_for), seconds > start.run_for
        return now + seconds, Record(start.job, device.name, seconds, cut=cut, agreement=agreement)

    def finished(self, record: Record, now: float) -> None:
        pass


def planned_run(cost: CostModel, preset: Preset, devices: list[str], seconds: float) -> Planned:
    """A run of `seconds` in which every job takes what the model predicts and votes agree on half of the candidates."""
    policy = Allocator(cost, preset, tuple(devices), learns=False)
    slices = run_virtually(policy, _AsPredicted(cost), [Device(name) for name in devices], seconds)
    spent = dict.fromkeys(STAGES, 0.0)
    for piece in slices:
        spent[piece.job.stage] += piece.end - piece.start
    return Planned(spent, len(policy.progress.answered), len(policy.progress.trained))


def starved(planned: dict[str, float], spent: dict[str, float]) -> list[str]:
    """A line for each stage that got much less of the device time than was planned at the start. Both: stage -> share."""
    return [
        f"{STAGE_NAMES[stage]}: planned {planned[stage]:.0%} of the device time, got {spent.get(stage, 0.0):.0%}"
        for stage in STAGES
        if planned.get(stage, 0.0) >= LEAST_PLANNED and spent.get(stage, 0.0) < LEAST_SPENT * planned[stage]
    ]
