"""What each way of choosing two attempts would have solved: the paper's ablation of voting (features 13 and 14).

In:  a run, solutions. Out: a row for each method, with its score and how sure that is.
Candidates are those of the trained model's views alone, without what programs found. Every task with a solution counts, one
that was not trained as unsolved.
Not here: the methods (`select.vote`), drawing the table (`page`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..arc.load import Solutions
from ..arc.score import Score, solved_tests
from ..select.vote import METHODS
from .outcome import Run, candidates_of

UNTRAINED = "untrained, flattened"
"""The row of the untrained model's candidates."""
SAMPLES = 10_000


@dataclass(frozen=True)
class MethodRow:
    """A method's score over all tasks, strict and partial, each with its 95 % interval (shares)."""

    name: str
    score: Score
    strict: tuple[float, float]
    partial: tuple[float, float]


def method_rows(run: Run, solutions: Solutions) -> tuple[list[MethodRow], int]:
    """A row for every method, for an oracle that takes any candidate, and for the untrained model; and how many tasks have
    candidates of the trained one."""
    by_task, trained, untrained = run.by_task(), {}, {}
    for name, outputs in solutions.items():
        jobs = by_task.get(name, {})
        found = [candidates_of(jobs, name, test) for test in range(len(outputs))]
        trained[name] = [[c for c in test if c.source == "ttt"] for test in found]
        untrained[name] = [[c for c in test if c.source == "base"] for test in found]
    methods = METHODS | {"oracle": lambda found: [c.grid for c in found]}
    chosen = [(name, select, trained) for name, select in methods.items()] + [(UNTRAINED, METHODS["flattened"], untrained)]
    rows = []
    for name, select, found in chosen:
        score = Score({
            task: solved_tests([select(test) if test else () for test in found[task]], outputs)
            for task, outputs in solutions.items()
        })  # fmt: skip
        rows.append(MethodRow(name, score, interval([all(f) for f in score.solved.values()]), interval(score.solved.values())))
    return rows, sum(any(tests) for tests in trained.values())


def interval(flags: Sequence) -> tuple[float, float]:
    """`arc.score.bootstrap_interval`, the same numbers, made for many calls: the tasks are drawn once."""
    flags = list(flags)
    hits, counts = (np.array([size(f) for f in flags], np.float32) for size in (np.sum, np.size))
    times = _times_drawn(len(flags))
    low, high = np.quantile((times @ hits).astype(float) / (times @ counts).astype(float), (0.025, 0.975))
    return float(low), float(high)


@lru_cache(maxsize=2)
def _times_drawn(tasks: int) -> np.ndarray:
    """How often each task is drawn in each sample, (samples, tasks): whole numbers, which float32 adds up exactly."""
    drawn = np.random.default_rng(0).integers(0, tasks, (SAMPLES, tasks))
    drawn += np.arange(SAMPLES)[:, None] * tasks
    return np.bincount(drawn.ravel(), minlength=SAMPLES * tasks).reshape(SAMPLES, tasks).astype(np.float32)
