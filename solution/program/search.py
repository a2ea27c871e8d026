"""Enumeration: every program of the vocabulary in the order of its cost, each behaviour once, as long as the clock allows.

In:  the inputs of a task, demonstrations first, and steps. Out: `Node`s as they are found. Two programs that give the same on
all inputs are one node, the cheaper one (observational equivalence); one that fails on any input is none.
Not here: what the operations do (`vocabulary`), which nodes explain the outputs (`explain`).
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

from ..arc.task import Grid
from .vocabulary import IMAGE, LIST, Image, Step, Type

STEPS_PER_CHECK = 64
MOST_NODES = 40_000
"""Behaviours kept at most in a view, so that memory is bounded. 47,577, both views of a task of ten 30 x 30 demonstrations, made
a process of 877 MB."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """A program's behaviour: `values`, an `Image` or a tuple of them for each input; how it came about, and its cost."""

    type: Type
    values: tuple
    cost: float
    parent: "Node | None" = None
    step: Step | None = None

    def __str__(self) -> str:
        return "input" if self.parent is None else f"{self.parent} > {self.step}"


def apply(step: Step, values: tuple) -> tuple | None:
    """The step on the value of each input; None as soon as one is None."""
    found = []
    for value in values:
        result = step(value)
        if result is None:
            return None
        found.append(result)
    return tuple(found)


def signature(kind: Type, values: tuple) -> int:
    """Equal for equal values; of different ones with a chance of 2^-64."""
    if kind is IMAGE:
        return hash(tuple(value.key for value in values))
    return hash((LIST, tuple(tuple(image.key for image in value) for value in values)))


def by_cost(steps: list[Step]) -> list[tuple[float, list[Step]]]:
    """Steps in groups of equal cost, the cheapest first."""
    groups: dict[float, list[Step]] = {}
    for step in steps:
        groups.setdefault(step.operation.cost, []).append(step)
    return sorted(groups.items())


def enumerate_programs(
    inputs: list[Grid], steps: list[Step], tries: int, most: int = MOST_NODES, out_of_time: Callable[[], bool] = lambda: False
) -> Iterator[Node]:
    """Nodes by cost, the input itself first: until `tries` steps were tried on a node, `most` nodes are kept, or `out_of_time`.

    Where the clock does not end it, the same nodes in the same order however fast the machine is.
    """
    root = Node(IMAGE, tuple(Image(grid) for grid in inputs), 0.0)
    groups = {kind: by_cost([step for step in steps if step.operation.takes is kind]) for kind in Type}
    seen = {signature(IMAGE, root.values)}
    ticket = count()
    waiting = []  # cost of what comes next, ticket, node, the group of steps that come next on it

    def wait(node: Node, group: int) -> None:
        if group < len(groups[node.type]):
            heapq.heappush(waiting, (node.cost + groups[node.type][group][0], next(ticket), node, group))

    wait(root, 0)
    yield root
    tried = 0
    while waiting:
        _, _, node, group = heapq.heappop(waiting)
        wait(node, group + 1)
        cost, choices = groups[node.type][group]
        for step in choices:
            tried += 1
            if tried > tries or (tried % STEPS_PER_CHECK == 0 and out_of_time()):
                return
            values = apply(step, node.values)
            if values is None:
                continue
            kind = step.operation.gives
            mark = signature(kind, values)
            if mark in seen:
                continue
            seen.add(mark)
            found = Node(kind, values, node.cost + cost, node, step)
            yield found
            if len(seen) >= most:
                return
            wait(found, 0)
