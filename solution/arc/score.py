"""Scores of answers against known outputs; pure, no files.

In:  attempts and outputs. Out: which test inputs are solved, and the two scores the field reports, always named:
**strict** counts a task where every one of its test inputs is solved (the paper's 80 tasks); **partial** credit counts
test inputs, as Kaggle does: the mean over test outputs of "either attempt exact" (docs/kaggle.md, "Output").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .task import Grid


def solved_tests(attempts: Sequence[Sequence[Grid]], outputs: Sequence[Grid]) -> tuple[bool, ...]:
    """For each test input: is any of its attempts the output, cell for cell?

    Raises `ValueError` where there are not as many lists of attempts as outputs.
    """
    return tuple(any(np.array_equal(a, output) for a in tries) for tries, output in zip(attempts, outputs, strict=True))


@dataclass(frozen=True)
class Score:
    """Which test inputs were solved, by task id, and what follows from it. Shares are 0 to 1."""

    solved: dict[str, tuple[bool, ...]]

    @property
    def tasks(self) -> int:
        """Tasks scored."""
        return len(self.solved)

    @property
    def strict(self) -> int:
        """Tasks with every test input solved."""
        return sum(map(all, self.solved.values()))

    @property
    def outputs(self) -> int:
        """Test outputs scored."""
        return sum(map(len, self.solved.values()))

    @property
    def outputs_solved(self) -> int:
        """Test outputs that an attempt matched."""
        return sum(map(sum, self.solved.values()))

    @property
    def strict_share(self) -> float:
        """Share of tasks with every test input solved."""
        return self.strict / self.tasks

    @property
    def partial_share(self) -> float:
        """Share of test outputs matched: Kaggle's score."""
        return self.outputs_solved / self.outputs


def score(submission: Mapping[str, Sequence[tuple[Grid, Grid]]], solutions: Mapping[str, Sequence[Grid]]) -> Score:
    """Score a submission on every task of `solutions`; its other tasks are ignored.

    Raises `ValueError` for no solutions, and for a task of `solutions` that is unanswered or has the wrong number of
    answers: that is a fault of the submission, not a wrong answer.
    """
    if not solutions:
        raise ValueError("there are no solutions to score against")
    solved = {}
    for task_id, outputs in solutions.items():
        answers = submission.get(task_id, ())
        if len(answers) != len(outputs):
            raise ValueError(f"task {task_id}: {len(answers)} answers for {len(outputs)} test inputs")
        solved[task_id] = solved_tests(answers, outputs)
    return Score(solved)


def bootstrap_interval(flags: Sequence, seed: int = 0, samples: int = 10_000) -> tuple[float, float]:
    """95 % interval (low, high) of a share, by the percentile bootstrap over tasks (Efron and Tibshirani 1993, ch. 13).

    `flags` has an entry per task: one flag (strict), or the flags of its test inputs (partial: `Score.solved.values()`),
    which are drawn together because a task's test inputs succeed and fail together. Raises `ValueError` for no task.
    """
    flags = list(flags)
    if not flags:
        raise ValueError("no task to draw from")
    hits, counts = np.array([np.sum(f) for f in flags]), np.array([np.size(f) for f in flags])
    drawn = np.random.default_rng(seed).integers(0, len(flags), (samples, len(flags)))  # (samples, tasks)
    low, high = np.quantile(hits[drawn].sum(1) / counts[drawn].sum(1), (0.025, 0.975))
    return float(low), float(high)
