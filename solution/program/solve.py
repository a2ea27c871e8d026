"""One task by program search: explanations of every demonstration, ranked by description length, two answers a test input.

In:  a task, a number of tries. Out: `Solution`. Anytime: whatever was found when the time is over counts.
Not here: the ways to explanations (`ways`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..arc.task import MAX_SIDE, Grid, Task, frozen, grid_key
from .confidence import confidences
from .explain import Explanation
from .ways import explanations

SURE = 0.95
"""Confidence from which the second view is left out."""
VIEW_COST = 1.0
"""Description length of normalised colours, in operations."""


@dataclass
class Solution:
    """`explanations`: of every different set of answers the shortest, whose `cost` counts all that agree (`ranked`), the best
    first. `nodes`: behaviours found. `cut`: whether the clock ended it."""

    explanations: list[Explanation] = field(default_factory=list)
    nodes: int = 0
    cut: bool = False

    def ranked_answers(self, test: int) -> list[tuple[Grid, float]]:
        """The different answers to a test input with their costs, as of `explanations`, the best first."""
        return [(answers[0], cost) for answers, cost, _ in agreeing([(e.answers[test : test + 1], e) for e in self.explanations])]

    def attempts(self, test: int, most: int = 2) -> list[Grid]:
        """The first different answers to a test input."""
        return [grid for grid, _ in self.ranked_answers(test)[:most]]


def solve(task: Task, tries: int, out_of_time: Callable[[], bool] = lambda: False) -> Solution:
    """Search with so many tries (a step on a behaviour), or until the clock cuts it; test outputs are never looked at.

    Half of them on the task as it is, half with each pair's colours in the order of their frequency in its input
    (`normalised`), where that changes anything. The same tries give the same solution.
    """
    found, nodes, cut = [], 0, False
    pairs = [(np.asarray(pair.input), np.asarray(pair.output)) for pair in task.train]
    tests = [np.asarray(pair.input) for pair in task.test]
    orders = [normalised(grid) for grid in (*(p for p, _ in pairs), *tests)]
    plain = [np.arange(10, dtype=np.uint8)] * len(orders)
    views = [(plain, 0.0)] + ([(orders, VIEW_COST)] if any((order != plain[0]).any() for order in orders) else [])
    for colours, cost in views:
        if found and is_sure(ranked(found), len(tests)):
            break
        inputs = [order[grid] for order, grid in zip(colours, (*(p for p, _ in pairs), *tests))]
        outputs = [order[output] for order, (_, output) in zip(colours, pairs)]
        more, seen = explanations(inputs, outputs, tries // len(views), out_of_time)
        nodes += seen
        for e in more:
            answers = tuple(np.argsort(order)[answer] for order, answer in zip(colours[len(pairs) :], e.answers))
            found.append(Explanation(answers, e.cost + cost, f"{e.program}, colours by frequency" if cost else e.program))
        cut |= out_of_time()
    return Solution(ranked(found), nodes, cut)


def is_sure(explanations: list[Explanation], tests: int) -> bool:
    """Whether the best answer to each test input is so likely right that no other view is needed."""
    known = Solution(explanations)
    return all(confidences([cost for _, cost in known.ranked_answers(test)])[0] >= SURE for test in range(tests))


def normalised(grid: Grid) -> np.ndarray:
    """Colour -> its rank by frequency in the grid, uint8 (10,): a bijection; 0 stays, colours that do not occur come last."""
    counts = np.bincount(grid.ravel(), minlength=10)
    order = sorted(range(1, 10), key=lambda colour: (-counts[colour], colour))
    ranks = np.zeros(10, np.uint8)
    ranks[order] = np.arange(1, 10)
    return ranks


def ranked(found: list[Explanation]) -> list[Explanation]:
    """Of each set of answers the shortest explanation, with the cost of them all, the best first."""
    usable = [(tuple(frozen(np.array(answer, np.uint8)) for answer in e.answers), e) for e in found]
    usable = [(answers, e) for answers, e in usable if all(max(answer.shape) <= MAX_SIDE for answer in answers)]
    return [Explanation(answers, cost, shortest.program) for answers, cost, shortest in agreeing(usable)]


def agreeing(
    explained: list[tuple[tuple[Grid, ...], Explanation]],
) -> list[tuple[tuple[Grid, ...], float, Explanation]]:
    """Explanations by their answers: answers, cost, the shortest explanation; the lowest cost first.

    Every explanation counts as a chance of 2^-cost, and chances add up: answers that many short rules give are more likely right
    than those of one a little shorter (measured on training tasks: docs/experiments/19-learned-rules.md).
    """
    groups: dict[tuple, list] = {}
    for answers, explanation in explained:
        groups.setdefault(tuple(map(grid_key, answers)), []).append((answers, explanation))
    found = []
    for group in groups.values():
        answers, shortest = min(group, key=lambda one: one[1].cost)
        found.append((answers, float(-np.log2(sum(2.0**-e.cost for _, e in group))), shortest))
    return sorted(found, key=lambda one: one[1])
