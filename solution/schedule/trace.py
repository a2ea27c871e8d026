"""`Trace`: what every job of every task really costs, and when its answers become right.

In:  figures of recorded runs (`recorded`). Out: true seconds and outcomes, which the simulator (`replay`) deals out. Pure.
What no run measured is a chance here; `draw` makes a possible world of it, in which everything is settled.
Not here: how figures are measured or imputed (`recorded`), what the allocator predicts (`cost`).
"""

import math
import random
from dataclasses import dataclass, field, replace

from ..preset import Preset
from .job import TaskSize

Factors = tuple[float, float, float, float]
"""Of noise, on the seconds of a task's cheap answer, training, decoding and search."""
NO_NOISE: Factors = (1.0, 1.0, 1.0, 1.0)


@dataclass(frozen=True)
class TaskTrace:
    """One task. Seconds are those of a device of speed 1, chances go from 0 to 1; right means every test input is.

    `base`: seconds of its part of the breadth pass. `train`: of its whole training. `view`: of decoding one view of every test
    input. `search`: of each round of program search.
    `base_right`: chance that the cheap answer is right. `views_right`: the same once it is trained and 1, 2, ... views are
    decoded; further views change nothing. `agreement`: the share of the most frequent grid after so many views, None where it
    is to be drawn. `explains`: chance that a round finds programs so likely right that no further round follows, where none
    before did; `explained_right`: that they are right. `search_right`: chance that the programs' answers are right after each
    round up to which nothing explained the task; the last stands for later ones. `measured`: stages whose figures are measured,
    the others are imputed; `searched`: rounds of search that were run.
    """

    size: TaskSize
    base: float
    train: float
    view: float
    search: tuple[float, ...] = ()
    base_right: float = 0.0
    views_right: tuple[float, ...] = (0.0,)
    agreement: tuple[float, ...] | None = None
    explains: tuple[float, ...] = ()
    explained_right: float = 0.0
    search_right: tuple[float, ...] = (0.0,)
    measured: frozenset[str] = frozenset()
    searched: int = 0

    def neural_right(self, views: int) -> float:
        """Chance that the model's answer is right: trained, with so many views, or with 0 the cheap answer."""
        return self.views_right[min(views, len(self.views_right)) - 1] if views else self.base_right

    def unexplained_right(self, number: int) -> float:
        """Chance that the programs' answers are right after round `number` (from 0), where nothing explained the task by then."""
        return self.search_right[min(number, len(self.search_right) - 1)]

    def agreement_after(self, views: int) -> float:
        """Agreement after so many views (>= 1) of a drawn trace."""
        return self.agreement[min(views, len(self.agreement)) - 1]


@dataclass(frozen=True)
class Trace:
    """Tasks by id. `steps`: optimiser steps that `train` is for; a preset with more or fewer takes proportionally longer, and
    is taken to answer as well: only a trace with those steps can tell.
    `agreements`: agreements by number of views, of measured tasks that ended wrong and of those that ended right, to draw from.
    `notes`: where the figures come from and how others were imputed, for a person.
    """

    name: str
    tasks: dict[str, TaskTrace]
    steps: int
    agreements: tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]] = ((), ())
    notes: tuple[str, ...] = ()
    _sizes: dict[str, TaskSize] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "_sizes", {name: task.size for name, task in self.tasks.items()})

    @property
    def sizes(self) -> dict[str, TaskSize]:
        return self._sizes

    @property
    def settled(self) -> bool:
        """Whether the allocator could see it all: every agreement known, no search that explains by chance alone."""
        return all(t.agreement is not None and all(c in (0, 1) for c in t.explains) for t in self.tasks.values())

    @property
    def certain(self) -> bool:
        """Whether it is drawn: every chance 0 or 1."""
        chances = (c for t in self.tasks.values() for c in (t.base_right, *t.views_right, *t.search_right, t.explained_right))
        return self.settled and all(c in (0, 1) for c in chances)

    def draw(self, seed: int) -> "Trace":
        """A possible world: all chances 0 or 1, all agreements known. A task's draw depends on the seed and its id alone."""
        return replace(self, tasks={name: self._draw(task, random.Random(f"{seed} {name}")) for name, task in self.tasks.items()})

    def _draw(self, task: TaskTrace, rng: random.Random) -> TaskTrace:
        level, base, program, search = (rng.random() for _ in range(4))
        right = tuple(float(level < chance) for chance in task.views_right)
        agreement = task.agreement
        if agreement is None:
            pool = self.agreements[int(right[-1])] or self.agreements[1 - int(right[-1])] or ((0.0,),)
            agreement = rng.choice(pool)
        return replace(
            task,
            base_right=float(base < task.base_right),
            views_right=right,
            agreement=agreement,
            explains=tuple(float(rng.random() < chance) for chance in task.explains),
            explained_right=float(program < task.explained_right),
            search_right=tuple(float(search < chance) for chance in task.search_right),
        )

    def train_seconds(self, task: str, preset: Preset) -> float:
        """Seconds of a task's whole training under a preset."""
        return self.tasks[task].train * preset.train.steps / self.steps if self.steps else 0.0

    def train_share(self, preset: Preset) -> float:
        """The share of training in all neural seconds of a drawn trace."""
        total = sum(self.whole_seconds(name, preset) for name in self.tasks)
        return sum(self.train_seconds(name, preset) for name in self.tasks) / total

    def whole_seconds(self, task: str, preset: Preset, factors: Factors = NO_NOISE) -> float:
        """Seconds of all neural work on a task without a cheap answer: trained, the first views decoded, and every further round
        that its agreement asks for. For drawn traces."""
        mine, views = self.tasks[task], preset.first_views
        for _ in range(preset.rounds):
            views += preset.more_views if mine.agreement_after(views) < preset.agreement else 0
        return self.train_seconds(task, preset) * factors[1] + views * mine.view * factors[2]

    def least_seconds(self, task: str, preset: Preset, factors: Factors = NO_NOISE) -> float:
        """The fewest seconds that make a task right under a preset, infinite where nothing does. For drawn traces."""
        mine, ways = self.tasks[task], [math.inf]
        if mine.base_right:
            ways.append(mine.base * factors[0])
        for number, chance in enumerate(mine.explains[: len(preset.program.tries)] if preset.program else ()):
            if mine.explained_right if chance == 1 else mine.unexplained_right(number):
                ways.append(sum(mine.search[: number + 1]) * factors[3])
            if chance == 1:
                break
        for more in range(preset.rounds + 1) if preset.ttt else ():
            views = preset.first_views + more * preset.more_views
            if mine.neural_right(views):
                ways.append(self.train_seconds(task, preset) * factors[1] + views * mine.view * factors[2])
        return min(ways)
