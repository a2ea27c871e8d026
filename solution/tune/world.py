"""Worlds that the journals leave possible: other tasks of the same kind, other outcomes where nothing was measured.

In:  a trace. Out: drawn traces of any number of tasks, and how much seconds scatter. Pure, the same for the same seed.
A world is drawn in three steps (a bootstrap, Efron and Tibshirani 1993, ch. 6 and 8, refitted for each draw):
1. as many tasks as were recorded, with replacement; everything not measured is imputed anew from these alone;
2. of these, as many as the forecast is for, with replacement: a set of tasks that nobody has seen;
3. every open chance becomes yes or no (`settled`).
The first carries what few measurements leave unknown, the second the luck of the tasks, the third that of the outcomes.
Not here: imputing (`schedule.impute`), replaying (`forecast`).
"""

import random
from dataclasses import replace

import numpy as np

from ..preset import Preset
from ..schedule.impute import SIZE_SLOPE, Curve, Measured, fit_curve, impute, prompt_length
from ..schedule.trace import TaskTrace, Trace

MOST_DRAWS = 1000
"""Draws of tasks until one has a cheap answer, and a training if there was any: more is taken to be never."""
EXPLAINED_SLOPE = (0.0, 2.0)
"""Prior on how much likelier (log odds) training solves a task that programs explain: wide. Our runs of 15 and 40 minutes:
13 of 46 such tasks against 11 of 69 others."""


def world(trace: Trace, preset: Preset, seed: int, count: int | None = None) -> Trace:
    """A drawn trace of `count` tasks; None: of the recorded tasks themselves, with all that was measured of them, instead of
    step 2. `preset`: the recorded runs'.

    Raises `ValueError` where hardly any draw has a finished training in it, though some task was trained.
    """
    rng, names = random.Random(f"tasks {seed}"), sorted(trace.tasks)
    needed = {"base", "ttt"} & {stage for task in trace.tasks.values() for stage in task.measured}
    for _ in range(MOST_DRAWS):
        picked = {f"{place:05} {name}": name for place, name in enumerate(rng.choices(names, k=len(names)))}
        drawn = {stage for name in picked.values() for stage in trace.tasks[name].measured}
        if needed <= drawn:
            break
    else:
        raise ValueError(f"{trace.name}: too little to learn from: hardly any task was trained")
    open_ones = {name: name for name in names if count is None and "ttt" not in trace.tasks[name].measured}
    found = {place: trace.tasks[name] for place, name in (picked | open_ones).items()}
    measured = {place: measurements(task, preset) for place, task in found.items()}
    again = impute(trace.name, measured, {place: task.size for place, task in found.items()}, preset)
    if count is None:
        tasks = {name: again.tasks.get(name, trace.tasks[name]) for name in names}
    else:
        chosen = rng.choices(list(again.tasks), k=count)
        tasks = {f"{place:05} {name}": again.tasks[name] for place, name in enumerate(chosen)}
    return settled(replace(again, tasks=tasks), preset, seed, chance_by_search(again, preset))


def settled(trace: Trace, preset: Preset, seed: int, chance: Curve | None = None) -> Trace:
    """A trace with every chance drawn. Tasks that were not trained get theirs by what search finds for them, too: what programs
    explain is easier for the model as well, and a trace by itself takes the two to be independent. `chance`: of
    `chance_by_search` (default: of this trace)."""
    drawn, chance = trace.draw(seed), chance or chance_by_search(trace, preset)
    if chance is None:
        return drawn
    tasks = {}
    for name, task in drawn.tasks.items():
        if "ttt" not in task.measured:
            views = trace.tasks[name].views_right
            level = views[min(preset.first_views, len(views)) - 1]
            ratio = chance(prompt_length(task.size), float(1.0 in task.explains)) / level if level else 0.0
            task = replace(task, views_right=tuple(min(1.0, value * ratio) for value in views), agreement=None)
        tasks[name] = task
    return replace(drawn, tasks=tasks).draw(seed)


def chance_by_search(trace: Trace, preset: Preset) -> Curve | None:
    """The chance that training solves a task, by its prompt and by whether programs explain it, of the tasks where both were
    done; None where none was."""
    both = [task for task in trace.tasks.values() if {"ttt", "program"} <= task.measured]
    if not both:
        return None
    features = [[prompt_length(task.size), float(1.0 in task.explains)] for task in both]
    outcomes = [task.neural_right(min(preset.first_views, len(task.views_right))) for task in both]
    return fit_curve(features, outcomes, (SIZE_SLOPE, EXPLAINED_SLOPE))


def measurements(task: TaskTrace, preset: Preset) -> Measured:
    """What was measured of a task, without what was imputed."""
    found = Measured()
    if "base" in task.measured:
        found.base, found.base_right = task.base, task.base_right
    if "views" in task.measured:
        found.view = task.view
    if "ttt" in task.measured:
        found.ttt = task.train + preset.first_views * task.view
        found.views_right, found.agreement = task.views_right, task.agreement
    if "program" in task.measured:
        found.explained, found.explained_right = 1.0 in task.explains, task.explained_right
        found.search = task.search[: task.searched]
        found.search_right = task.search_right[: len(found.search)]
    return found


def scatter(trace: Trace) -> float:
    """Standard deviation of the logarithm of a training's seconds around a straight line over the logarithm of its tokens, of
    the measured tasks; 0 for fewer than 8. How far a task that was not measured may be from its imputed seconds."""
    trained = [task for task in trace.tasks.values() if "ttt" in task.measured]
    if len(trained) < 8:
        return 0.0
    tokens, seconds = np.log([task.size.item_tokens for task in trained]), np.log([task.train for task in trained])
    line = np.polyfit(tokens, seconds, 1 if np.ptp(tokens) > 0 else 0)
    return float((seconds - np.polyval(line, tokens)).std())
