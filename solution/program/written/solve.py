"""Programs that somebody else writes: run in the sandbox, kept where they reproduce every demonstration.

In:  a task, an `Author`, a `Sandbox`. Out: `Written`: answers to each test input with a description length, shortest first.
Not here: authors (`author`, `rendered`), how programs are run (`sandbox`).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from ...arc.task import Grid, Task, grid_key
from .sandbox import Run, Sandbox

BITS_PER_OPERATION = 8.9
"""log2 of 482: so many steps a task's colours allowed, the median over the 400 training tasks, with 236 operations."""


class Author(Protocol):
    """Who writes programs."""

    def write(self, task: Task, count: int, seed: int, out_of_time: Callable[[], bool]) -> Iterator[str]:
        """`count` source texts that are to define `transform(grid)`, as they come; fewer where `out_of_time` says so."""


@dataclass
class Written:
    """`answers`: for each test input the different grids, each with its description length in operations, shortest first.
    `programs`: texts written, `fitting`: those that reproduce every demonstration. `faults`: how many of the others failed in
    which way. `cut`: whether the clock ended it."""

    answers: list[list[tuple[Grid, float]]]
    programs: int = 0
    fitting: int = 0
    faults: Counter = field(default_factory=Counter)
    cut: bool = False


def solve_by_writing(
    task: Task, author: Author, sandbox: Sandbox, samples: int, seed: int, out_of_time: Callable[[], bool] = lambda: False
) -> Written:
    """Let `author` write `samples` programs and keep what fits; test outputs are never looked at.

    The description length of an answer is minus log2 of the share of all texts that fit and give it, the bits that it takes to
    pick it out of what the author writes, in operations of the vocabulary.
    """
    inputs = [pair.input for pair in (*task.train, *task.test)]
    found = Written([])
    runs: dict[str, Run] = {}  # authors repeat themselves
    votes: list[dict[bytes, tuple[Grid, int]]] = [{} for _ in task.test]
    for source in author.write(task, samples, seed, out_of_time):
        if out_of_time():
            break
        found.programs += 1
        if source not in runs:
            runs[source] = sandbox.run(source, inputs)
        run = runs[source]
        if run.fault or not reproduces(run, task):
            found.faults[run.fault or "does not fit"] += 1
            continue
        found.fitting += 1
        for vote, grid in zip(votes, run.grids[len(task.train) :]):
            vote[grid_key(grid)] = grid, vote.get(grid_key(grid), (grid, 0))[1] + 1
    found.cut = out_of_time()
    for vote in votes:
        ranked = sorted(vote.items(), key=lambda item: (-item[1][1], item[0]))
        found.answers.append([(grid, math.log2(found.programs / n) / BITS_PER_OPERATION) for _, (grid, n) in ranked])
    return found


def reproduces(run: Run, task: Task) -> bool:
    """Whether the outputs of a program are those of all demonstrations."""
    return all(grid_key(grid) == grid_key(pair.output) for grid, pair in zip(run.grids, task.train))
