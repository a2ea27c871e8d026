"""What a setting would score on a machine: the simulator over many worlds.

In:  evidence, a setting, devices, seconds. Out: a `Forecast`: an entry a world, so that two forecasts can be compared world by
world (all meet the same worlds and the same noise). The same for the same seed.
Not here: drawing worlds (`world`), which settings to compare and what to conclude (`advice`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..preset import Preset
from ..schedule.job import STAGES
from ..schedule.replay import Noise, Replay, replay
from ..schedule.trace import Trace
from ..schedule.virtual import Device
from .evidence import Evidence
from .world import scatter, world

BAND = (2.5, 97.5)
"""Percentiles between which 95 % of the worlds lie."""
MOMENTS = 120
"""Times at which tasks reached are counted."""
IDLE = "idle"


@dataclass(frozen=True)
class Setting:
    """Numbers of a preset, with the group of journals that answers for them."""

    evidence: Evidence
    preset: Preset

    @property
    def views(self) -> str:
        """Views in words: first ones, and further ones where votes disagree."""
        more = f" + {self.preset.more_views}" * self.preset.rounds
        return f"{self.preset.first_views}{more}"

    @property
    def solvers(self) -> str:
        """As `submission.py --solvers` takes it."""
        return ",".join(["ttt"] * self.preset.ttt + ["program"] * (self.preset.program is not None))


@dataclass(frozen=True)
class Forecast:
    """Replays of a setting. `seconds`: of jobs, the reserve and start-up taken off. Per world: `right`: tasks; `ends`: second
    of the last job's end. Means over worlds: `stages`: device-seconds by stage and idle; `reached`: stage -> tasks that have
    finished a job of it by each of `MOMENTS` times, evenly from 0 to `seconds`."""

    setting: Setting
    seconds: float
    tasks: int
    right: np.ndarray
    ends: np.ndarray
    stages: dict[str, float]
    reached: dict[str, np.ndarray]

    @property
    def shares(self) -> np.ndarray:
        """Share of tasks right (strict), a world."""
        return self.right / self.tasks

    @cached_property
    def mean(self) -> float:
        return float(self.shares.mean())

    @cached_property
    def band(self) -> tuple[float, float]:
        """Shares between which 95 % of the worlds lie."""
        low, high = np.percentile(self.shares, BAND)
        return float(low), float(high)

    def share_of(self, stage: str) -> float:
        """The share of all device time that a stage gets."""
        return self.stages[stage] / (sum(self.stages.values()) or 1.0)


class Forecaster:
    """Forecasts for `count` tasks (None: the recorded ones) over `worlds` worlds from `seed` on; seconds scatter as the
    trainings of the trace do. `tick` is called after every replay."""

    def __init__(self, count: int | None, worlds: int, seed: int, tick: Callable[[], object] = int):
        self._count, self._seeds, self._tick = count, range(seed, seed + worlds), tick
        self._worlds: dict[str, list[Trace]] = {}

    def __call__(self, setting: Setting, devices: Sequence[Device], seconds: float) -> Forecast:
        """Replay a setting. Raises `ValueError` for journals with too little in them."""
        evidence, runs = setting.evidence, []
        spread = scatter(evidence.trace)
        for seed, trace in zip(self._seeds, self.worlds(evidence)):
            runs.append(replay(trace, setting.preset, devices, seconds, noise=Noise(seed, spread)))
            self._tick()
        return Forecast(
            setting,
            seconds,
            len(self.worlds(evidence)[0].tasks),
            np.array([run.solved for run in runs]),
            np.array([run.makespan for run in runs]),
            {name: float(np.mean([spent(run)[name] for run in runs])) for name in (*STAGES, IDLE)},
            {stage: np.mean([counts(run, stage) for run in runs], 0) for stage in STAGES},
        )

    def worlds(self, evidence: Evidence) -> list[Trace]:
        """The worlds of a group, drawn once. Groups of the same tasks have the same tasks drawn."""
        if evidence.name not in self._worlds:
            self._worlds[evidence.name] = [world(evidence.trace, evidence.preset, seed, self._count) for seed in self._seeds]
        return self._worlds[evidence.name]


def spent(run: Replay) -> dict[str, float]:
    """Device-seconds by stage, and of living devices without a job."""
    return run.seconds_by_stage | {IDLE: max(0.0, run.idle)}


def counts(run: Replay, stage: str) -> np.ndarray:
    """Tasks that have finished a job of a stage, by each of `MOMENTS` times."""
    return np.searchsorted(run.reached[stage], np.linspace(0, run.seconds, MOMENTS), side="right")


def with_views(setting: Setting, first: int, more: int) -> Setting:
    """The setting with other numbers of views; `more` 0: no further round."""
    changed = {"first_views": first, "rounds": int(more > 0), "more_views": more or setting.preset.more_views}
    return replace(setting, preset=replace(setting.preset, **changed))


def with_steps(setting: Setting, steps: int) -> Setting:
    """The setting with another number of TTT steps, which changes seconds alone: answers stay those of the trace."""
    train = setting.preset.train
    return replace(setting, preset=replace(setting.preset, train=replace(train, steps=steps)))
