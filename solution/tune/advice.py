"""Which numbers to set, and what they would bring.

In:  evidence, a machine, a budget. Out: an `Advice`: settings compared, the one to take, forecasts around it.
One number is changed at a time, and only where the journals know the outcome: solvers that ran, views that were decoded, step
counts of which there is a journal. A number is advised against what was run only where it is clearly better (`is_better`).
Not here: words and pictures (`words`, `plots`, `page`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arc.load import InputError
from ..driver.clock import Closing, format_seconds
from ..schedule.replay import Noise, replay
from ..schedule.virtual import Device
from .evidence import Evidence, Journal
from .forecast import Forecast, Forecaster, Setting, with_steps, with_views
from .machine import one_dies, scaled
from .world import scatter, settled

SURE = 0.9
"""Share of worlds in which a setting has to be no worse than another to be called better."""
LEAST_GAIN = 0.005
"""Share of tasks that a setting has to gain on average to be worth changing to."""
HOURS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 1.5)
"""Budgets forecast, as shares of the one given."""
SPEEDS = (0.5, 0.7, 1.3, 2.0)
"""Speeds of the machine forecast: 0.7 is 30 % slower."""
STEP_FACTORS = (0.25, 0.5, 2.0, 4.0)
"""Step counts whose cost alone is forecast."""
DIES = "one worker stops half-way"
CHECKS = 10
"""Replays of each journal's own run."""


@dataclass(frozen=True)
class Plan:
    """What the forecast is for. `budget`: seconds of `submission.py --budget`. `same`: the tasks are the recorded ones.
    `reserve`: seconds that the driver keeps for its end, as it does before it has measured any. `startup`: seconds before its
    first job, None where no journal tells."""

    devices: list[Device]
    budget: float
    tasks: int
    same: bool
    reserve: float
    startup: float | None

    def seconds(self, budget: float) -> float:
        """What is left of a budget for jobs."""
        reserve = Closing.foretold(self.tasks).reserve(budget)
        return max(0.0, budget - reserve - (self.startup or 0.0))


@dataclass(frozen=True)
class Check:
    """A journal's own run, replayed on its own tasks: tasks right then and now (mean, least, most)."""

    journal: Journal
    mean: float
    least: float
    most: float


@dataclass(frozen=True)
class Advice:
    """`compared`: every setting, by name, at the budget; `own` and `best` are keys of it. `hours`: budget in seconds ->
    forecast of the best; `machines`: words -> forecast; `steps`: step count -> forecast of the cost alone."""

    plan: Plan
    evidence: list[Evidence]
    compared: dict[str, Forecast]
    own: str
    best: str
    hours: dict[float, Forecast]
    machines: dict[str, Forecast]
    steps: dict[int, Forecast]
    checks: list[Check]
    scatter: float

    @property
    def forecast(self) -> Forecast:
        """Of the setting to take."""
        return self.compared[self.best]


def make_plan(evidence: Sequence[Evidence], devices: list[Device], budget: float, count: int | None) -> Plan:
    """The plan for `count` tasks (None: the recorded ones), its reserve by the driver's own rule, its start-up the shortest of
    the journals': those without forecasts count all waiting as start-up. Raises `InputError` where no time is left."""
    startup = [j.startup for group in evidence for j in group.journals if j.startup is not None]
    tasks = count or len(evidence[0].trace.tasks)
    reserve = Closing.foretold(tasks).reserve(budget)
    plan = Plan(devices, budget, tasks, count is None, reserve, min(startup, default=None))
    if not plan.seconds(budget):
        start = format_seconds(plan.startup or 0.0)
        raise InputError(f"--budget: {format_seconds(budget)} is used up by start-up ({start}, as in the journals) and reserve")
    return plan


def is_better(new: Forecast, old: Forecast) -> bool:
    """Whether one setting is clearly better than another: by `LEAST_GAIN` on average, and no worse in `SURE` of the worlds.
    Worlds of different tasks cannot be compared one by one: then its mean has to lie above the other's band."""
    if set(new.setting.evidence.trace.tasks) != set(old.setting.evidence.trace.tasks):
        return new.mean > old.band[1]
    return new.mean >= old.mean + LEAST_GAIN and (new.right >= old.right).mean() >= SURE


def advise(evidence: list[Evidence], plan: Plan, forecaster: Forecaster, stage: Callable[[str, int], None]) -> Advice:
    """Compare settings, take the best, look around it. `stage` is told what comes next, and its number of forecasts.

    Raises `ValueError` for journals with too little in them.
    """
    seconds = plan.seconds(plan.budget)

    def run(setting: Setting) -> Forecast:
        return forecaster(setting, plan.devices, seconds)

    first = solver_settings(evidence)
    stage("solvers", len(first))
    compared = {name: run(setting) for name, setting in first.items()}
    own = next(iter(compared))
    best = choose(compared, own)
    views = {k: s for k, s in view_settings(compared[best].setting, len(evidence) > 1).items() if k not in compared}
    stage("views", len(views))
    compared |= {name: run(setting) for name, setting in views.items()}
    best = choose(compared, best)
    setting = compared[best].setting

    stage("hours", len(HOURS) - 1)
    hours = {
        share * plan.budget: compared[best]
        if share == 1
        else forecaster(setting, plan.devices, plan.seconds(share * plan.budget))
        for share in HOURS
    }
    machines = {speed_name(speed): scaled(plan.devices, speed) for speed in SPEEDS}
    if sum(not device.name.startswith("search") for device in plan.devices) > 1:
        machines[DIES] = one_dies(plan.devices, seconds / 2)
    stage("machines", len(machines))
    others = {name: forecaster(setting, devices, seconds) for name, devices in machines.items()}
    counts = {max(1, round(factor * setting.evidence.steps)) for factor in STEP_FACTORS} - {setting.evidence.steps}
    counts = counts if setting.preset.ttt else set()
    stage("steps", len(counts))
    steps = {count: run(with_steps(setting, count)) for count in sorted(counts)}
    journals = [(group, journal) for group in evidence for journal in group.journals if journal.worked is not None]
    checks = [check(group, journal, scatter(group.trace)) for group, journal in journals]
    spread = scatter(setting.evidence.trace)
    return Advice(plan, evidence, compared, own, best, hours, others, steps, checks, spread)


def choose(compared: dict[str, Forecast], held: str) -> str:
    """The setting with the greatest mean among those that are clearly better than the one held, else that one."""
    better = [name for name, forecast in compared.items() if is_better(forecast, compared[held])]
    return max(better, key=lambda name: compared[name].mean, default=held)


def solver_settings(evidence: Sequence[Evidence]) -> dict[str, Setting]:
    """Of every group, its own numbers with both solvers and with either; the first is what the first journal ran."""
    found = {}
    for group in evidence:
        ran = group.journals[0].preset
        own = replace(group.preset, program=group.preset.program if ran.program is not None else None, ttt=ran.ttt)
        presets = [own, group.preset, replace(group.preset, program=None)]
        if group.preset.program is not None:
            presets.append(replace(group.preset, ttt=False))
        for preset in presets:
            setting = Setting(group, preset)
            found.setdefault(name_of(setting, len(evidence) > 1), setting)
    return found


def view_settings(setting: Setting, grouped: bool) -> dict[str, Setting]:
    """The setting with other numbers of views, none beyond what was decoded; none where it trains nothing."""
    counts = [2**k for k in range(10) if 2**k <= setting.evidence.views] if setting.preset.ttt else []
    pairs = [(first, 0) for first in counts] + [(n, n) for n in counts if 1 < n and 2 * n <= setting.evidence.views]
    return {name_of(changed, grouped): changed for changed in (with_views(setting, *pair) for pair in pairs)}


def name_of(setting: Setting, grouped: bool) -> str:
    """A setting in words; `grouped`: with its journals."""
    trained = f"{setting.preset.train.steps} steps, {setting.views} views" if setting.preset.ttt else "no training"
    return f"{setting.solvers}: {trained}" + (f" ({setting.evidence.name})" if grouped else "")


def speed_name(speed: float) -> str:
    """How much slower or faster a machine is, in words."""
    if speed in (0.5, 2.0):
        return f"{'half' if speed < 1 else 'twice'} as fast"
    return f"{round(100 * abs(speed - 1))} % {'slower' if speed < 1 else 'faster'}"


def check(group: Evidence, journal: Journal, spread: float) -> Check:
    """Replay a journal's own run: its tasks, its budget, its devices, its solvers."""
    devices = [Device(name) for name in journal.devices]
    preset = replace(group.preset, program=journal.preset.program, ttt=journal.preset.ttt)
    worlds = [settled(group.trace, group.preset, seed) for seed in range(CHECKS)]
    solved = [replay(w, preset, devices, journal.worked, noise=Noise(seed, spread)).solved for seed, w in enumerate(worlds)]
    return Check(journal, float(np.mean(solved)), min(solved), max(solved))
