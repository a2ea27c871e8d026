"""What a run did not do for a task, filled in from the tasks that it did it for.

In:  what was measured of every task. Out: a whole `TaskTrace` each; `measured` names the stages that need no filling. Pure.
- Seconds: a straight line of log seconds on log work (`cost`), scaled to the measured total.
- Chances: a logistic curve over the logarithm of prompt tokens a test input, one for training and one for each round of search.
  Runs work on small tasks first, so for large ones it extrapolates; a prior holds its slope (`SIZE_SLOPE`).
- Agreement: left open, to be drawn from measured tasks with the same outcome (`Trace.draw`).
Not here: measuring (`recorded`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from ..preset import Preset
from .cost import CostModel
from .job import Job, Shown, TaskSize
from .trace import TaskTrace, Trace

SIZE_SLOPE = (-0.96, 0.5)
"""Mean and standard deviation of the normal prior on how log odds change with log prompt tokens. The mean is the one slope that
is measured over all sizes: of a first round of program search, on all 400 public evaluation tasks (our 15-minute run)."""
LEAST_TRAINING = 0.1
"""Share of a "ttt" job that is taken to be training at the least, where views are imputed to take longer than the job."""


@dataclass(frozen=True)
class Curve:
    """A chance by features: logistic in `level` + sum of `slopes` · (feature - `centre`)."""

    level: float
    slopes: tuple[float, ...]
    centre: tuple[float, ...]

    def __call__(self, *features: float) -> float:
        return 1 / (1 + math.exp(-self.level - sum(w * (x - c) for w, x, c in zip(self.slopes, features, self.centre))))


def fit_curve(
    features: Sequence[Sequence[float]], outcomes: Sequence[float], priors: Sequence[tuple[float, float]] = (SIZE_SLOPE,)
) -> Curve:
    """The logistic curve of most posterior probability, by Newton's method. `features`: (cases >= 1, features); `outcomes`: 0 or
    1 a case; `priors`: mean and standard deviation of each feature's slope. Half a case of either outcome is added at the mean:
    no chance becomes 0 or 1.
    """
    x = np.asarray(features, float)
    centre = x.mean(0)
    design = np.column_stack([np.vstack([x - centre, np.zeros((2, x.shape[1]))]), np.ones(len(x) + 2)])
    y, cases = np.append(outcomes, [0.0, 1.0]), np.append(np.ones(len(x)), [0.5, 0.5])
    mean = np.array([m for m, _ in priors] + [0.0])
    penalty = np.diag([spread**-2 for _, spread in priors] + [0.0])
    weights = mean * 0
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ weights))
        slope = design.T @ (cases * (y - p)) - penalty @ (weights - mean)
        weights = weights + np.linalg.solve(design.T @ (design * (cases * p * (1 - p))[:, None]) + penalty, slope)
    return Curve(float(weights[-1]), tuple(map(float, weights[:-1])), tuple(map(float, centre)))


def seconds_line(work: Mapping[str, float], seconds: Mapping[str, float]) -> Callable[[float], float]:
    """Work -> seconds by the tasks where both are known (at least one): log-linear, slope 1 for fewer than 8 tasks."""
    x, y = np.log([work[name] for name in seconds]), np.log(list(seconds.values()))
    slope = np.polyfit(x, y, 1)[0] if len(x) >= 8 and np.ptp(x) > 0 else 1.0
    scale = sum(seconds.values()) / np.exp(slope * x).sum()
    return lambda value: float(scale * value**slope)


@dataclass
class Measured:
    """What a run says of one task: seconds of its cheap answer, of training with first views, of a further view and of each
    round of search, None where not done; chances as in `TaskTrace`, of the rounds done; whether a search explained it."""

    base: float | None = None
    base_right: float = 0.0
    ttt: float | None = None
    view: float | None = None
    views_right: tuple[float, ...] = ()
    agreement: tuple[float, ...] = ()
    search: tuple[float, ...] = ()
    explained: bool = False
    explained_right: float = 0.0
    search_right: tuple[float, ...] = ()


def rate(successes: float, cases: int) -> float:
    """A chance by its measured frequency, half a case of either kind added."""
    return (successes + 0.5) / (cases + 1)


def prompt_length(size: TaskSize) -> float:
    """The logarithm of prompt tokens a test input: what chances are curves over."""
    return math.log(size.prompt_tokens / size.num_tests)


def views_profile(flags: Sequence[Sequence[float]], first_views: int) -> tuple[float, ...]:
    """How often tasks were right after 1, 2, ... views, relative to after `first_views`; a task's last flag stands for later
    ones. All 1 where none was right then, or none is given."""
    most = max(map(len, flags), default=0)
    if not most:
        return (1.0,)
    means = [fmean(task[min(k, len(task) - 1)] for task in flags) for k in range(most)]
    level = means[min(first_views, most) - 1]
    return tuple(mean / level if level else 1.0 for mean in means)


def impute(name: str, measured: Mapping[str, Measured], sizes: dict[str, TaskSize], preset: Preset) -> Trace:
    """The trace of a run with this preset. A run that trained nothing has its chances by the preset's gain model, its seconds by
    the cost model from those of the cheap answers. Raises `ValueError` where no task has its cheap answer."""
    cost = CostModel(sizes, preset)
    trained = {task: m for task, m in measured.items() if m.ttt}
    answered = {task: m for task, m in measured.items() if m.base}
    if not answered:
        raise ValueError(f"{name}: nothing to learn from: no cheap answer was finished")

    def line(job: Callable[[str], Job], known: Mapping[str, float]) -> Callable[[str], float]:
        fitted = seconds_line({task: cost.work(job(task)) for task in known}, known)
        return lambda task: fitted(cost.work(job(task)))

    base_seconds = line(lambda task: Job("base", (task,)), {task: m.base for task, m in answered.items()})
    pace = sum(m.base for m in answered.values()) / sum(cost.work(Job("base", (task,))) for task in answered)

    def train_job(task: str) -> Job:
        return Job("ttt", (task,), 0, preset.first_views)

    whole_line = line(train_job, {task: m.ttt for task, m in trained.items()}) if trained else None
    views = {task: m.view for task, m in measured.items() if m.view}
    # Without further views anywhere, the trained model is taken to decode as fast as the untrained one.
    view_job = (lambda task: Job("views", (task,))) if views else (lambda task: Job("base", (task,)))
    view_seconds = line(view_job, views or {task: m.base for task, m in answered.items()})
    solved = [m.views_right[min(preset.first_views, len(m.views_right)) - 1] for m in trained.values()]
    chance = fit_curve([[prompt_length(sizes[task])] for task in trained], solved) if trained else foretold(preset)
    profile = views_profile([m.views_right for m in trained.values()], preset.first_views)
    base_rate = rate(sum(m.base_right for m in answered.values()), len(answered))
    search = _Searches(measured, sizes, cost) if preset.program is not None else None

    def filled(task: str, m: Measured) -> TaskTrace:
        view = m.view or view_seconds(task)
        whole = m.ttt or (whole_line(task) if whole_line else pace * cost.work(train_job(task)))
        level = chance(prompt_length(sizes[task]))
        return TaskTrace(
            sizes[task],
            base=m.base or base_seconds(task),
            train=max(whole - preset.first_views * view, LEAST_TRAINING * whole),
            view=view,
            search=search.seconds(task) if search else (),
            base_right=m.base_right if m.base else base_rate,
            views_right=m.views_right if m.ttt else tuple(min(1.0, level * ratio) for ratio in profile),
            agreement=m.agreement if m.ttt else None,
            explains=search.chances(task) if search else (),
            explained_right=(m.explained_right if m.explained else search.right) if search else 0.0,
            search_right=search.rights(task) if search else (0.0,),
            searched=len(m.search),
            measured=frozenset(
                stage for stage, known in (("base", m.base), ("ttt", m.ttt), ("views", m.view), ("program", m.search)) if known
            ),
        )

    pools = tuple(tuple(m.agreement for m in trained.values() if m.views_right[-1] == flag) for flag in (0.0, 1.0))
    source = "logistic in log prompt tokens" if trained else "the preset's gain model, for nothing was trained"
    notes = (
        f"measured of {len(sizes)} tasks: {len(answered)} cheap answers, {len(trained)} trained ({sum(solved):g} right), "
        f"{len(views)} with further views, {sum(bool(m.search) for m in measured.values())} searched",
        f"imputed chance after training: {source}, {chance(math.log(200)):.3f} at 200, "
        f"{chance(math.log(1000)):.3f} at 1000, {chance(math.log(5000)):.3f} at 5000 tokens",
    )
    return Trace(name, {task: filled(task, m) for task, m in measured.items()}, preset.train.steps, pools, notes)


def foretold(preset: Preset) -> Callable[[float], float]:
    """The chance that training solves a task, by `prompt_length`, as the preset's gain model has it before any was trained."""
    return lambda length: preset.gains.before(TaskSize(round(math.exp(length)), 0, 0, 1, 1), Shown())


class _Searches:
    """Rounds of program search: seconds and chances, measured or imputed."""

    def __init__(self, measured: Mapping[str, Measured], sizes: dict[str, TaskSize], cost: CostModel):
        self._measured, self._sizes, self._cost = measured, sizes, cost
        self._lines, self._curves, self._rights = [], [], []
        for number in range(len(cost.preset.program.tries)):
            known = {task: m for task, m in measured.items() if len(m.search) > number}
            work = {task: self._work(task, number) for task in known}
            found = [float(m.explained and len(m.search) == number + 1) for m in known.values()]
            self._lines.append(seconds_line(work, {task: m.search[number] for task, m in known.items()}) if known else None)
            self._curves.append(fit_curve([[prompt_length(sizes[task])] for task in known], found) if known else None)
            unexplained = {task: m for task, m in known.items() if not (m.explained and len(m.search) == number + 1)}
            right = [m.search_right[number] for m in unexplained.values()]
            self._rights.append(fit_curve([[prompt_length(sizes[t])] for t in unexplained], right) if unexplained else None)
        explained = [m.explained_right for m in measured.values() if m.explained]
        self.right = rate(sum(explained), len(explained))

    def _work(self, task: str, number: int) -> float:
        return self._cost.work(Job("program", (task,), number, 0))

    def seconds(self, task: str) -> tuple[float, ...]:
        """Of every round; where none of its number was run at all, the cost model's prior."""
        seconds = self._measured[task].search
        lines = ((self._lines[n] or float)(self._work(task, n)) for n in range(len(seconds), len(self._lines)))
        return (*seconds, *lines)

    def chances(self, task: str) -> tuple[float, ...]:
        """That each round finds programs where none before it did; 0 where none of its number was run at all."""
        m, length = self._measured[task], prompt_length(self._sizes[task])
        known = [0.0] * len(m.search)
        if m.explained:
            known[-1] = 1.0
        open_curves = self._curves[len(known) :]
        return (*known, *(0.0 if m.explained or curve is None else curve(length) for curve in open_curves))

    def rights(self, task: str) -> tuple[float, ...]:
        """That programs are right after each round, where none explained the task; as before the round where none of its number
        was run at all."""
        m, length = self._measured[task], prompt_length(self._sizes[task])
        found = list(m.search_right)
        for curve in self._rights[len(found) :]:
            before = found[-1] if found else 0.0
            found.append(before if curve is None else curve(length))
        return tuple(found) or (0.0,)
