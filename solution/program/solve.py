"""One task by program search: explanations of every demonstration, ranked by description length, two answers a test input.

In:  a task, a number of tries. Out: `Solution`. Anytime: whatever was found when the time is over counts.
Not here: enumeration (`search`), explanations (`explain`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..arc.task import Grid, Task, frozen, grid_key
from . import colourings, figures, forms, lists, splits
from .explain import Explainer, Explanation
from .search import enumerate_programs
from .vocabulary import IMAGE, operations_of, steps

OPERATIONS = operations_of(forms, colourings, figures, splits, lists)

VIEW_COST = 1.0
"""Description length of normalised colours, in operations."""


@dataclass
class Solution:
    """`explanations`: all different ones (by their answers), the shortest first. `nodes`: behaviours found. `cut`: whether the
    clock ended it."""

    explanations: list[Explanation] = field(default_factory=list)
    nodes: int = 0
    cut: bool = False

    def ranked_answers(self, test: int) -> list[tuple[Grid, float]]:
        """The different answers to a test input, each with the description length of its shortest program, shortest first."""
        found = {}
        for explanation in self.explanations:
            grid = explanation.answers[test]
            found.setdefault(grid_key(grid), (grid, explanation.cost))
        return list(found.values())

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
        inputs = [order[grid] for order, grid in zip(colours, (*(p for p, _ in pairs), *tests))]
        outputs = [order[output] for order, (_, output) in zip(colours, pairs)]
        more, seen = explanations(inputs, outputs, tries // len(views), out_of_time)
        nodes += seen
        for e in more:
            answers = tuple(np.argsort(order)[answer] for order, answer in zip(colours[len(pairs) :], e.answers))
            found.append(Explanation(answers, e.cost + cost, f"{e.program}, colours by frequency" if cost else e.program))
        cut |= out_of_time()
    return Solution(ranked(found), nodes, cut)


def explanations(
    inputs: list[Grid], outputs: list[Grid], tries: int, out_of_time: Callable[[], bool]
) -> tuple[list[Explanation], int]:
    """What explains these outputs, and the number of behaviours seen."""
    colours = {int(c) for grid in (*inputs[: len(outputs)], *outputs) for c in np.unique(grid)} - {0}
    explainer, found, nodes = Explainer(inputs, outputs), [], 0
    for node in enumerate_programs(inputs, list(steps(OPERATIONS, colours)), tries, out_of_time=out_of_time):
        nodes += 1
        if node.type is IMAGE and (explanation := explainer.take(node)):
            found.append(explanation)
    return found + explainer.stacks() + explainer.pairs(), nodes


def normalised(grid: Grid) -> np.ndarray:
    """Colour -> its rank by frequency in the grid, uint8 (10,): a bijection; 0 stays, colours that do not occur come last."""
    counts = np.bincount(grid.ravel(), minlength=10)
    order = sorted(range(1, 10), key=lambda colour: (-counts[colour], colour))
    ranks = np.zeros(10, np.uint8)
    ranks[order] = np.arange(1, 10)
    return ranks


def ranked(found: list[Explanation]) -> list[Explanation]:
    """Shortest first, one of each set of answers."""
    best: dict[tuple, Explanation] = {}
    for explanation in sorted(found, key=lambda e: e.cost):
        answers = tuple(frozen(np.array(answer, np.uint8)) for answer in explanation.answers)
        if all(max(a.shape) <= 30 for a in answers):
            best.setdefault(tuple(map(grid_key, answers)), Explanation(answers, explanation.cost, explanation.program))
    return list(best.values())
