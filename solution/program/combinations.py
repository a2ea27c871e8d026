"""Operations on two images, and the pairs of behaviours that they are tried on.

In:  the image nodes that a search found, rules for the outputs' sizes. Out: `Combined` nodes that have the outputs' sizes, in
the order of their cost, each behaviour once. Concepts: same and different, copying, filling, inside of a box, scaling.
Not here: tables over two images, which stand for every function of two colours in one cell (`explain`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..arc.task import MAX_SIDE
from .search import Node, signature
from .sizes import Shape, SizeRule
from .vocabulary import IMAGE, Image

NOWHERE = (-MAX_SIDE, -MAX_SIDE)
"""The place of an image that has only a size."""
COMBINED_COST = 1.0
"""Description length of an operation on two images, in operations."""
PAIRS_PER_CHECK = 256
"""Pairs after which the clock is asked."""


@dataclass(frozen=True, eq=False, slots=True)
class Combined(Node):
    """A behaviour that comes of two: `parent` and `other`, by the operation `name`."""

    other: Node | None = None
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} of ({self.parent}) and ({self.other})"


@dataclass(frozen=True, eq=False, slots=True)
class Sized(Node):
    """An empty image of the outputs' size, by the rule `text`."""

    text: str = ""

    def __str__(self) -> str:
        return f"empty {self.text}"


@dataclass(frozen=True, eq=False)
class Pairing:
    """`function(first, second)`: an image or None. `shape`: the result's shape by those of both, None where there is none.
    `meaning`: one line."""

    name: str
    shape: Callable[[Shape, Shape], Shape | None]
    meaning: str
    function: Callable[[Image, Image], Image | None]


def pairing(shape: Callable[[Shape, Shape], Shape | None], meaning: str):
    """Mark a function as a pairing of its name."""
    return lambda function: Pairing(function.__name__, shape, meaning, function)


# Shapes of results


def equal(a: Shape, b: Shape) -> Shape | None:
    return a if a == b else None


def smaller(a: Shape, b: Shape) -> Shape | None:
    """The first, where it is the smaller one and fits into the second."""
    return a if a != b and a[0] <= b[0] and a[1] <= b[1] else None


def larger(a: Shape, b: Shape) -> Shape | None:
    """The second, where the first is smaller and fits into it."""
    return b if smaller(a, b) else None


def times(a: Shape, b: Shape) -> Shape | None:
    """Both sides multiplied; not by 1 x 1."""
    return (a[0] * b[0], a[1] * b[1]) if (1, 1) not in (a, b) and max(a[0] * b[0], a[1] * b[1]) <= MAX_SIDE else None


# Pieces of one in the form of the other


@pairing(times, "Every coloured cell of the first becomes the second; an empty one an empty piece.")
def each_becomes(first, second):
    return first.with_cells(np.kron(first.cells != 0, second.cells))


@pairing(times, "Every cell of the first becomes the form of the second in its colour.")
def each_in_form(first, second):
    return first.with_cells(np.kron(first.cells, second.cells != 0))


# One beside the other


@pairing(lambda a, b: (a[0], a[1] + b[1]) if a[0] == b[0] and a[1] + b[1] <= MAX_SIDE else None, "The second on the right.")
def beside(first, second):
    return first.with_cells(np.concatenate((first.cells, second.cells), 1))


@pairing(lambda a, b: (a[0] + b[0], a[1]) if a[1] == b[1] and a[0] + b[0] <= MAX_SIDE else None, "The second below.")
def above(first, second):
    return first.with_cells(np.concatenate((first.cells, second.cells)))


# One at the place of the other


@pairing(smaller, "What the second shows in the box of the first.")
def window(first, second):
    top, left = first.y - second.y, first.x - second.x
    (height, width), (rows, columns) = first.cells.shape, second.cells.shape
    if top < 0 or left < 0 or top + height > rows or left + width > columns:
        return None
    return second.part(top, left, height, width)


@pairing(larger, "The first at its place over the second.")
def pasted_over(first, second):
    top, left = first.y - second.y, first.x - second.x
    (height, width), (rows, columns) = first.cells.shape, second.cells.shape
    if top < 0 or left < 0 or top + height > rows or left + width > columns:
        return None
    cells = second.cells.copy()
    here = cells[top : top + height, left : left + width]
    np.copyto(here, first.cells, where=first.cells != 0)
    return second.with_cells(cells)


# One as large as the other


@pairing(larger, "The first repeated from the first corner on until it is as large as the second.")
def repeated_to(first, second):
    (height, width), (rows, columns) = first.cells.shape, second.cells.shape
    return second.with_cells(np.tile(first.cells, (-(-rows // height), -(-columns // width)))[:rows, :columns])


@pairing(larger, "The first enlarged to the size of the second.")
def enlarged_to(first, second):
    (height, width), (rows, columns) = first.cells.shape, second.cells.shape
    if rows % height or columns % width:
        return None
    return second.with_cells(first.cells.repeat(rows // height, 0).repeat(columns // width, 1))


# Cell by cell


@pairing(equal, "The first over the second.")
def over(first, second):
    return first.with_cells(np.where(first.cells != 0, first.cells, second.cells))


@pairing(lambda a, b: a, "The form of the first in the one colour of the second.")
def in_colour_of(first, second):
    colours = np.unique(second.cells)
    if len(colours) > 2 or not colours[-1] or (len(colours) == 2 and colours[0]):
        return None
    return first.with_cells((first.cells != 0) * colours[-1])


PAIRINGS = tuple(v for v in list(globals().values()) if isinstance(v, Pairing))


def combine(pairing: Pairing, first: tuple[Image, ...], second: tuple[Image, ...]) -> tuple[Image, ...] | None:
    """The pairing on the two images of each input; None as soon as one is None."""
    found = []
    for a, b in zip(first, second):
        if pairing.shape(a.cells.shape, b.cells.shape) is None:
            return None
        image = pairing.function(a, b)
        if image is None:
            return None
        found.append(image)
    return tuple(found)


def combinations(
    nodes: Iterable[Node],
    shapes: list[Shape],
    sizes: list[SizeRule],
    most: int,
    pairings: tuple[Pairing, ...] = PAIRINGS,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Iterator[Combined]:
    """Pairs of image nodes combined, by cost: those whose results have `shapes` on the demonstrations; `most` pairs are tried, or
    as many as the clock allows.

    `sizes`: rules for the size of every output; where no node has that size, an empty image is one more. Shapes are compared
    for groups of nodes of the same shapes, before any result is computed.
    """
    nodes = list(nodes)
    present = {tuple(image.cells.shape for image in node.values) for node in nodes}
    canvases = [
        Sized(IMAGE, tuple(Image(np.zeros(shape, np.uint8), *NOWHERE) for shape in r.shapes), r.cost, text=r.text)
        for r in sizes
        if r.shapes not in present
    ]
    nodes = sorted((*canvases, *nodes), key=lambda n: n.cost)
    seen = {signature(IMAGE, node.values) for node in nodes}
    groups: dict[Shape, dict[tuple, list[Node]]] = {}  # shape of the first image -> shapes of all demonstrations -> nodes
    for node in nodes:
        found = tuple(image.cells.shape for image in node.values[: len(shapes)])
        groups.setdefault(found[0], {}).setdefault(found, []).append(node)
    fitting = [
        (group, other, kind)
        for kind, first, second in product(pairings, groups, groups)
        if kind.shape(first, second) == shapes[0]
        for (a, group), (b, other) in product(groups[first].items(), groups[second].items())
        if all(kind.shape(*pair) == shape for pair, shape in zip(zip(a, b), shapes))
    ]
    for number, (cost, first, second, kind) in enumerate(cheapest_pairs(fitting, most)):
        if number % PAIRS_PER_CHECK == 0 and out_of_time():
            return
        values = combine(kind, first.values, second.values)
        if values is None or (mark := signature(IMAGE, values)) in seen:
            continue
        seen.add(mark)
        yield Combined(IMAGE, values, cost + COMBINED_COST, first, None, second, kind.name)


def cheapest_pairs(fitting: list[tuple], most: int) -> list[tuple[float, Node, Node, Pairing]]:
    """Of the pairs of a node of one group with one of another the `most` cheapest; the groups are in the order of cost."""
    pairs = sum((sums(group, other) for group, other, _ in fitting), Counter())
    limit, number = -1.0, 0
    for cost in sorted(pairs):
        limit, number = cost, number + pairs[cost]
        if number >= most:
            break
    found = []
    for group, other, kind in fitting:
        for first in group:
            if first.cost + other[0].cost > limit:
                break
            for second in other:
                if first.cost + second.cost > limit:
                    break
                found.append((first.cost + second.cost, first, second, kind))
    return sorted(found, key=lambda pair: pair[0])[:most]


def sums(group: list[Node], other: list[Node]) -> Counter:
    """How many pairs have which summed cost."""
    costs, others = Counter(node.cost for node in group), Counter(node.cost for node in other)
    found = Counter()
    for (a, n), (b, m) in product(costs.items(), others.items()):
        found[a + b] += n * m
    return found
