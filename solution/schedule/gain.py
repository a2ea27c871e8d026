"""The gain model: the chance that a job turns into a solved task.

In:  a task's size and what the journal shows of it. Out: chances, and by how much a job raises them. Pure; its numbers are
stored with the presets. `python -m tests.benchmarks.gain_fit` makes them, and says how sure they are.
Nothing here was fitted on public evaluation tasks, which are scored.
Not here: what a job costs (`cost`), which job is taken (`allocate`).
"""

import math
from dataclasses import dataclass

from .job import Shown, TaskSize

LEAST_LOG_PROB, LEAST_LOSS = 0.1, 0.01
"""Added under logarithms: below these, in nats, a model is sure, and how sure says little."""


def _sureness(log_prob: float | None) -> float | None:
    """Rises with a log-probability in nats: 2.3 at 0, -0.1 at -1, -2.3 at -10."""
    return None if log_prob is None else -math.log(LEAST_LOG_PROB - min(log_prob, 0.0))


FEATURES = {
    "size": lambda size, shown: math.log(size.prompt_tokens / size.num_tests),
    "untrained": lambda size, shown: _sureness(shown.untrained),
    "agreement": lambda size, shown: shown.agreement,
    "log_prob": lambda size, shown: _sureness(shown.log_prob),
    "loss": lambda size, shown: None if shown.loss is None else math.log(LEAST_LOSS + shown.loss),
    "explained": lambda size, shown: float(shown.explained) if shown.explained or shown.searched else None,
    "fitting": lambda size, shown: float(shown.confidence is not None) if shown.searched else None,
}
"""What a chance may depend on, by name, from a `TaskSize` and a `Shown`; None is what was not measured. The logarithm of prompt
tokens a test input; how sure the untrained and the trained model are of their most frequent answer; the share of views that
gave it; the logarithm of the training's loss; whether programs explain the task, and whether any fitted its demonstrations."""


@dataclass(frozen=True)
class Odds:
    """A chance, logistic in `level` + sum of `slopes` · (feature - `means`), the features being those of these `names`.

    A feature that was not measured counts as its mean: it says nothing, and the chance is that of the cases fitted on.
    """

    level: float
    names: tuple[str, ...] = ()
    slopes: tuple[float, ...] = ()
    means: tuple[float, ...] = ()

    def __call__(self, size: TaskSize, shown: Shown) -> float:
        total = self.level
        for name, slope, mean in zip(self.names, self.slopes, self.means):
            value = FEATURES[name](size, shown)
            if value is not None:
                total += slope * (value - mean)
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


@dataclass(frozen=True)
class Gains:
    """Chances from 0 to 1, of weights like the embedded ones, with the default preset.

    `cheap`: that the untrained model's one view is right.
    `before`, `during`: that the model's answers are right after training and first views, as it looks before a training and in
    the middle of one. `after`: that they are, as it looks once they are decoded. `more`: that a round of further views makes
    wrong ones right; `spoilt`: right ones wrong.
    `first`, `second`: that this round of program search solves a task that none before it solved or explained; `later`: of each
    round after it and of programs that are written, relative to `second`.
    `sure`: that programs are right which explain a task, where the journal does not say how likely they are.
    `least`: what every job is taken to gain at the least, so that none waits for ever.

    Trainings: weights of the embedded ones' size and recipe whose training left these rules out; 60 ARC-AGI-1 training tasks of
    at most 1,100 tokens and 10 of ARC-AGI-2's, 7 solved; 16 that the embedded weights had seen, 4 solved, for the slopes. With
    11 right in 86 a slope is half its prior (standard errors: sizes 0.2, loss 0.2, agreement 1.1, log-probability 0.4, levels
    0.3 to 0.4). Whether programs explain a task, and how sure the untrained model is, did not pay in cross-validation. `during`
    is of half the steps. Further views made 1 of 69 wrong tasks right (standard error of its level: 0.8), 1 of 7 right ones
    wrong.
    Searches: 400 training tasks, for which the vocabulary was written: 232 solved by the first round, 7 of 96 by the second; 97
    of ARC-AGI-2's: 12, and 0 of 51. Levels are half-way between the two kinds, in log odds. Explained: 194 of 202 right.
    Cheap answers: 2 of 162 right, both of small tasks; by size that is 0.4 % at 2,000 tokens.
    Guesses: `later`, `least`; `cheap` is set below what was measured, for a task that is trained later does not need it; `sure`
    too, for the vocabulary knows most of those tasks; that the model and programs are independent. Stronger weights solve more:
    set other levels for them. A run cannot find them: it sees no solutions, only, in `after`, how sure the model is.
    """

    cheap: float = 0.002
    before: Odds = Odds(-2.11, ("size",), (-0.94,), (5.97,))
    during: Odds = Odds(-2.13, ("size", "loss"), (-0.96, -0.45), (5.97, -1.68))
    after: Odds = Odds(-2.50, ("size", "log_prob", "agreement"), (-0.87, 0.82, 2.30), (5.97, -0.75, 0.32))
    more: Odds = Odds(-3.81, ("size",), (-0.81,), (6.03,))
    spoilt: float = 0.19
    first: Odds = Odds(-0.86, ("size",), (-0.88,), (6.57,))
    second: Odds = Odds(-3.57, ("size",), (-0.91,), (6.32,))
    later: float = 0.67
    sure: float = 0.9
    least: float = 0.0005

    def neural(self, size: TaskSize, shown: Shown) -> float:
        """That the model's answers are right as they stand."""
        return self.after(size, shown) if shown.views else self.cheap if shown.answered else 0.0

    def programs(self, shown: Shown) -> float:
        """That the programs' answers are right as they stand."""
        return shown.confidence if shown.confidence is not None else self.sure if shown.explained else 0.0

    def right(self, size: TaskSize, shown: Shown) -> float:
        """That the task's answers are right as they stand: the model's or the programs', independently."""
        return 1 - (1 - self.neural(size, shown)) * (1 - self.programs(shown))

    def training(self, size: TaskSize, shown: Shown) -> float:
        """By how much training and first views, or the rest of them, raise the chance that the task is solved."""
        then = (self.before if shown.loss is None else self.during)(size, shown)
        return max(self.least, (then - self.neural(size, shown)) * (1 - self.programs(shown)))

    def further_views(self, size: TaskSize, shown: Shown) -> float:
        """By how much a round of further views raises it."""
        now = self.neural(size, shown)
        change = (1 - now) * self.more(size, shown) - now * self.spoilt
        return max(self.least, change * (1 - self.programs(shown)))

    def program(self, size: TaskSize, shown: Shown) -> float:
        """By how much the next round of program search raises it, or programs that are written once all rounds are done."""
        chance = (self.second if shown.searched else self.first)(size, shown) * (self.later if shown.searched > 1 else 1.0)
        return max(self.least, (1 - self.right(size, shown)) * chance)
