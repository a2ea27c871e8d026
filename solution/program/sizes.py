"""How large the outputs must be: rules for the output's size that hold on every demonstration, most plausible first.

In:  the inputs of a task, demonstrations first; the shapes of the demonstrations' outputs; image nodes, if there are any.
Out: `SizeRule`s: a shape for every input, tests too, each with its description length.
Concepts: size, counting, scaling, borders and boxes (ConceptARC: count, extract objects, same and different).
Not here: what stands in the outputs (`explain`), the use of the sizes (`reductions`, `combinations`, `solve`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..arc.task import MAX_SIDE, Grid
from .operations.splits import EIGHT, EIGHT_IN_PLANES, separators
from .search import Node

Shape = tuple[int, int]

IMAGE_COST = 0.5
"""Description length of "as large as", beside that of the image, in operations."""
MOST_A_SIDE = 6
"""Rules a side that are combined with those of the other."""
FARTHEST = 3
"""The most cells that are added to or taken from a number."""


@dataclass(frozen=True)
class SizeRule:
    """`shapes`: (height, width) of the output of every input. `cost`: description length in operations. `text`: for people."""

    shapes: tuple[Shape, ...]
    cost: float
    text: str


@dataclass(frozen=True)
class Numbers:
    """A whole number that each input has: `values`, one for each; `cost` in operations; `text`."""

    values: tuple[int, ...]
    cost: float
    text: str


def size_rules(inputs: list[Grid], shapes: list[Shape], nodes: Iterable[Node] = ()) -> list[SizeRule]:
    """The rules that give `shapes` on the demonstrations, one for each different result on all inputs, the shortest first."""
    counted = [numbers_of(grid) for grid in inputs]
    known = [Numbers(tuple(c[name] for c in counted), cost, name) for name, cost in NUMBER_COSTS.items()]
    heights = side_rules([height for height, _ in shapes], known, "rows")
    widths = side_rules([width for _, width in shapes], known, "columns")
    rules = [SizeRule(tuple(zip(h.values, w.values)), h.cost + w.cost, f"{h.text} x {w.text}") for h in heights for w in widths]
    for node in nodes:
        found = tuple(image.cells.shape for image in node.values)
        if all(a == b for a, b in zip(found, shapes)):
            rules.append(SizeRule(found, node.cost + IMAGE_COST, f"as large as ({node})"))
    different: dict[tuple, SizeRule] = {}
    for rule in sorted(rules, key=lambda r: r.cost):
        if all(1 <= number <= MAX_SIDE for shape in rule.shapes for number in shape):
            different.setdefault(rule.shapes, rule)
    return list(different.values())


NUMBER_COSTS = {
    "rows": 0.0,
    "columns": 0.5,
    "longer side": 1.0,
    "shorter side": 1.0,
    "colours": 1.0,
    "coloured cells": 1.5,
    "objects": 1.5,
    "figures": 1.5,
    "panels down": 1.0,
    "panels across": 1.0,
    "cells of the most frequent colour": 2.0,
    "cells of the rarest colour": 2.0,
}
"""Description length of the numbers of an input, in operations."""


def numbers_of(grid: Grid) -> dict[str, int]:
    """Sizes and counts of one grid, by the names of `NUMBER_COSTS`; 0 is no colour, objects and figures touch at corners too."""
    counts = np.bincount(grid.ravel(), minlength=10)[1:]
    present = counts[counts > 0]
    planes = grid == np.flatnonzero(counts).astype(np.uint8)[:, None, None] + 1
    down, across = separators(grid), separators(grid.T)
    lines = down.keys() | across.keys()
    colour = max(lines, key=lambda c: (len(down.get(c, ())) + len(across.get(c, ())), -c), default=0)
    return {
        "rows": grid.shape[0],
        "columns": grid.shape[1],
        "longer side": max(grid.shape),
        "shorter side": min(grid.shape),
        "colours": len(present),
        "coloured cells": int(present.sum()),
        "objects": ndimage.label(planes, EIGHT_IN_PLANES)[1] if len(present) else 0,
        "figures": ndimage.label(grid != 0, EIGHT)[1],
        "panels down": stretches(down.get(colour, []), grid.shape[0]),
        "panels across": stretches(across.get(colour, []), grid.shape[1]),
        "cells of the most frequent colour": int(present.max()) if len(present) else 0,
        "cells of the rarest colour": int(present.min()) if len(present) else 0,
    }


def stretches(lines: list[int], length: int) -> int:
    """How many stretches of cells the lines leave."""
    stops = [-1, *lines, length]
    return sum(b - a > 1 for a, b in zip(stops, stops[1:]))


def side_rules(lengths: list[int], known: list[Numbers], own: str) -> list[Numbers]:
    """The numbers, or simple functions of them, that are the lengths of one side of the outputs; `own`: that side's name.

    Functions: a multiple, a fraction, some cells more or less, the product of two. The `MOST_A_SIDE` shortest.
    """
    inputs = len(known[0].values)
    found = [Numbers((lengths[0],) * inputs, 0.5, str(lengths[0]))] if len(set(lengths)) == 1 else []
    for number in known:
        extra = number.cost if own != "columns" else {"rows": 0.5, "columns": 0.0}.get(number.text, number.cost)
        values, demonstrations = number.values, number.values[: len(lengths)]
        if len(set(values)) == 1 and number.text != own:
            continue  # as good as a constant
        found += [Numbers(v, extra + cost, text.format(number.text)) for v, cost, text in simple(values, demonstrations, lengths)]
        if number.text in ("rows", "columns"):
            found += [
                Numbers(v, extra + cost, text.format(number.text)) for v, cost, text in near(values, demonstrations, lengths)
            ]
        for other in known:
            if number.text in ("rows", "columns") and all(a * b == t for a, b, t in zip(values, other.values, lengths)):
                product = tuple(a * b for a, b in zip(values, other.values))
                found.append(Numbers(product, extra + other.cost + 1.0, f"{number.text} x {other.text}"))
    return sorted(found, key=lambda f: f.cost)[:MOST_A_SIDE]


def simple(values: tuple[int, ...], demonstrations: tuple[int, ...], lengths: list[int]):
    """(values, cost, text) of each simple function of a number that gives the lengths on the demonstrations."""
    first, length = demonstrations[0], lengths[0]
    if demonstrations == tuple(lengths):
        yield values, 0.0, "{}"
        return
    if first and not length % first and all(v * (length // first) == t for v, t in zip(demonstrations, lengths)):
        yield tuple(v * (length // first) for v in values), 0.5, f"{length // first} x {{}}"
    if first and not first % length and all(v == t * (first // length) for v, t in zip(demonstrations, lengths)):
        yield tuple(v // (first // length) for v in values), 0.5, f"{{}} / {first // length}"


def near(values: tuple[int, ...], demonstrations: tuple[int, ...], lengths: list[int]):
    """As `simple`, for the sides of an input: some cells more or less, and one of two panels with a line between."""
    more = lengths[0] - demonstrations[0]
    if 0 < abs(more) <= FARTHEST and all(t - v == more for v, t in zip(demonstrations, lengths)):
        yield tuple(v + more for v in values), 1.0, f"{{}} {more:+d}"
    if all(v - 1 == 2 * t for v, t in zip(demonstrations, lengths)):
        yield tuple((v - 1) // 2 for v in values), 1.0, "({} - 1) / 2"
