"""The 2025 winner's costs as a trace, with our own answers.

In:  the text of the table (`nvarc_arc1_4xh100.csv`: real seconds of 400 public evaluation tasks on four H100), task sizes, a
trace of ours. Out: a `Trace`. Pure.
Real: seconds of training and of all decoding with scoring. Stated, not recorded:
- decoding is of `VIEWS` views that cost alike;
- votes agree on one in so many views as candidates a test input were scored;
- the cheap answer costs what it costs in our trace, relative to a view;
- answers become right as ours do: by size and agreement after the first views, then as often as ours by further views.
"""

import csv
import io
import math
from dataclasses import dataclass
from statistics import median

from ..preset import Preset
from .impute import SIZE_SLOPE, Curve, fit_curve, prompt_length, rate, views_profile
from .job import TaskSize
from .trace import TaskTrace, Trace

STEPS, VIEWS = 128, 16
"""Training steps a task, and views that its decoding is taken to be of: eight symmetries, twice (not in the table)."""
AGREEMENT_SLOPE = (0.0, 2.0)
"""Prior on how log odds change with agreement (0 to 1): wide."""


@dataclass(frozen=True)
class Outcomes:
    """When answers become right, fitted on the trained tasks of a trace: chance by log prompt tokens a test input and agreement
    after the first views; how often after n views relative to that; the cheap answer's chance, and its seconds in views."""

    chance: Curve
    profile: tuple[float, ...]
    base_right: float
    base_views: float


def outcomes_of(trace: Trace, preset: Preset) -> Outcomes:
    """The model behind a trace of ours. Raises `ValueError` where it has no measured training."""
    trained = [task for task in trace.tasks.values() if "ttt" in task.measured]
    if not trained:
        raise ValueError(f"{trace.name}: no task was trained")
    views = preset.first_views
    features = [[prompt_length(task.size), task.agreement_after(views)] for task in trained]
    chance = fit_curve(features, [task.neural_right(views) for task in trained], (SIZE_SLOPE, AGREEMENT_SLOPE))
    answered = [task for task in trace.tasks.values() if "base" in task.measured]
    ratios = [task.base / task.view for task in answered if "views" in task.measured]
    return Outcomes(
        chance,
        views_profile([task.views_right for task in trained], views),
        rate(sum(task.base_right for task in answered), len(answered)),
        median(ratios) if ratios else 1.0,
    )


def nvarc_trace(text: str, sizes: dict[str, TaskSize], outcomes: Outcomes) -> Trace:
    """The trace of the table. `sizes`: of every task in it. Raises `ValueError` for a missing column, a number that is none, or a
    task without a size."""
    tasks = {}
    for number, row in enumerate(csv.DictReader(io.StringIO(text)), 2):
        try:
            name, train, total = row["task_id"], float(row["ttt_seconds"]), float(row["total_seconds"])
            candidates, size = int(row["scored_candidates"]), sizes[row["task_id"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"line {number} of the table: {type(error).__name__}: {error}") from None
        view = (total - train) / VIEWS
        if not 0 < train < total < math.inf or candidates < 1:
            raise ValueError(f"line {number} of the table: {train} s of training in {total} s, {candidates} candidates")
        agreement = min(1.0, size.num_tests / candidates)
        level = outcomes.chance(prompt_length(size), agreement)
        tasks[name] = TaskTrace(
            size,
            base=outcomes.base_views * view,
            train=train,
            view=view,
            base_right=outcomes.base_right,
            views_right=tuple(min(1.0, level * ratio) for ratio in outcomes.profile),
            agreement=(agreement,),
            measured=frozenset(("ttt", "views")),
        )
    shown = ", ".join(f"{outcomes.chance(math.log(tokens), 1.0):.2f} at {tokens}" for tokens in (300, 1000, 3000))
    extra = sum(t.base for t in tasks.values()) / sum(t.train + VIEWS * t.view for t in tasks.values())
    notes = (
        f"cheap answers taken to add {extra:.1%} to the table's seconds: each {outcomes.base_views:.2f} views, as in our trace",
        f"chance after the first views where all agree, by our trace: {shown} prompt tokens a test input",
    )
    return Trace("nvarc", tasks, STEPS, notes=notes)
