"""Working backwards from the outputs: what can be undone for certain, so that less has to be explained.

In:  the inputs of a task, demonstrations first; the outputs of the demonstrations. Out: `Reduction`s: smaller or simpler
outputs in their stead, and how the answer to a test input comes back from an answer to that. `restore(reduced output, input)`
is the output on every demonstration; what it needs to know of a test (factors, colours) is a constant or read off its input.
Concepts: enlarging, repetition, symmetry, borders, drawing on a picture, form and colour apart (ConceptARC: copy, fill).
Not here: explaining the reduced outputs (`explain`), outputs of several pieces (`partitions`), sizes (`sizes`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from ..arc.task import MAX_SIDE, Grid
from .operations.splits import divisors
from .sizes import numbers_of

PASTE_COST, MASK_COST, FRAME_COST, MIRROR_COST, TILE_COST, SCALE_COST = 1.0, 1.0, 1.0, 1.0, 1.0, 1.0
"""Description length of each kind of reduction, in operations, beside that of its parameters."""
MOST_TILINGS = 6
"""Tilings with the same numbers on all demonstrations that are tried."""


@dataclass(frozen=True, eq=False)
class Reduction:
    """`outputs`: what is to be explained instead, for each demonstration. `care`: which of their cells matter, bool of the same
    shapes; None where all do. `masks`: only which cells are filled matters, they are 1 and 0 here. `cost`: in operations.
    `restore(answer, input)`: the output that a reduced answer stands for; None where the input does not say."""

    outputs: tuple[Grid, ...]
    cost: float
    text: str
    restore: Callable[[Grid, Grid], Grid | None]
    care: tuple[np.ndarray, ...] | None = None
    masks: bool = False


def reductions(inputs: list[Grid], outputs: list[Grid]) -> list[Reduction]:
    """All that apply, the shortest first."""
    found = []
    for kind in (pasted, one_colour, framed, mirrored, enlarged, tiled):
        found += kind(inputs, outputs)
    return sorted(found, key=lambda r: r.cost)


# Parameters that the input determines


@lru_cache(64)
def colours_of(key: tuple[int, int, bytes]) -> dict[str, int]:
    """Colours that a grid (height, width, cells) names, those that are unclear left out."""
    grid = np.frombuffer(key[2], np.uint8).reshape(key[:2])
    counts = np.bincount(grid.ravel(), minlength=10)
    order = sorted(np.flatnonzero(counts[1:]) + 1, key=lambda c: (-counts[c], c))
    found = {}
    if len(order) == 1:
        found["there is"] = int(order[0])
    if len(order) > 1 and counts[order[0]] > counts[order[1]]:
        found["most frequent"] = int(order[0])
    if len(order) > 1 and counts[order[-1]] < counts[order[-2]]:
        found["rarest"] = int(order[-1])
    if len(order) > 2 and counts[order[0]] > counts[order[1]] > counts[order[2]]:
        found["second most frequent"] = int(order[1])
    corners = {"first corner": grid[0, 0], "second corner": grid[0, -1], "third corner": grid[-1, 0], "last corner": grid[-1, -1]}
    return found | {name: int(colour) for name, colour in corners.items()}


def named_colours(grid: Grid) -> dict[str, int]:
    """See `colours_of`."""
    return colours_of((*grid.shape, np.ascontiguousarray(grid, np.uint8).tobytes()))


def determined(values: list[int], inputs: list[Grid], features: Callable[[Grid], dict[str, int]]):
    """(cost, text, function of an input) for each way to read `values`, a number or colour of each demonstration, off the
    inputs, tests too: a constant; a feature; a feature through a table that explains one value at least twice.

    Each different result on the tests once, the shortest. A feature that a test does not have says nothing there, but in a table.
    """
    if len(set(values)) == 1:
        yield 0.0, str(values[0]), lambda grid, value=values[0]: value
        return
    read, known = [features(grid) for grid in inputs], len(values)
    found = set()
    for name in read[0]:
        seen = [r.get(name) for r in read]
        if seen[:known] == values and None not in seen and tuple(seen[known:]) not in found:
            found.add(tuple(seen[known:]))
            yield 1.0, name, lambda grid, name=name: features(grid).get(name)
    for name in read[0]:
        seen = [r.get(name) for r in read]
        table = dict(zip(seen, values))
        if not len(table) < known or any(s not in table for s in seen) or any(table[s] != v for s, v in zip(seen, values)):
            continue
        result = tuple(table[s] for s in seen[known:])
        if result not in found:
            found.add(result)
            yield 2.0, f"by {name}", lambda grid, name=name, table=table: table.get(features(grid).get(name))


# Kinds


def pasted(inputs: list[Grid], outputs: list[Grid]) -> Iterator[Reduction]:
    """Outputs that are their inputs with cells changed: what is put over the input, and what is put under it."""
    inputs = inputs[: len(outputs)]
    if any(i.shape != o.shape for i, o in zip(inputs, outputs)):
        return
    changed = [i != o for i, o in zip(inputs, outputs)]
    if not any(c.any() for c in changed):
        return
    difference = tuple(np.where(c, o, np.uint8(0)) for c, o in zip(changed, outputs))
    if all(o[c].all() for c, o in zip(changed, outputs)):
        yield Reduction(
            difference, PASTE_COST, "over the input", lambda a, i: np.where(a != 0, a, i) if a.shape == i.shape else None
        )
        if all(not i[c].any() for c, i in zip(changed, inputs)):
            yield Reduction(
                difference,
                PASTE_COST,
                "under the input",
                lambda a, i: np.where(i != 0, i, a) if a.shape == i.shape else None,
                care=tuple(i == 0 for i in inputs),
            )
    # one colour of the input gives way, the rest stays
    lost = {int(c) for c, i in zip(changed, inputs) for c in np.unique(i[c])}
    if len(lost) == 1 and 0 not in lost:
        colour = lost.pop()
        yield Reduction(
            tuple(np.where(i == colour, o, np.uint8(0)) for i, o in zip(inputs, outputs)),
            PASTE_COST,
            f"where the input shows {colour}",
            lambda a, i: np.where(i == colour, a, i) if a.shape == i.shape else None,
            care=tuple(i == colour for i in inputs),
        )


def one_colour(inputs: list[Grid], outputs: list[Grid]) -> Iterator[Reduction]:
    """Outputs of one colour beside empty cells: their form alone."""
    colours = [set(np.unique(o).tolist()) for o in outputs]
    if any(len(c - {0}) != 1 for c in colours):
        return
    filled = [max(c) for c in colours]
    form = tuple((o == f).astype(np.uint8) for o, f in zip(outputs, filled))
    for cost, text, colour in determined(filled, inputs, named_colours):

        def restore(answer: Grid, grid: Grid, colour=colour) -> Grid | None:
            value = colour(grid)
            return None if value is None else np.where(answer != 0, value, 0).astype(np.uint8)

        yield Reduction(form, MASK_COST + cost, f"in the colour {text}", restore, masks=True)


def framed(inputs: list[Grid], outputs: list[Grid]) -> Iterator[Reduction]:
    """Outputs with a border of one colour, or of none: their inside."""
    if any(min(o.shape) < 3 for o in outputs):
        return
    rims = [np.concatenate((o[0], o[-1], o[1:-1, 0], o[1:-1, -1])) for o in outputs]
    if any((rim != rim[0]).any() for rim in rims):
        return
    inside = tuple(np.ascontiguousarray(o[1:-1, 1:-1]) for o in outputs)
    for cost, text, colour in determined([int(rim[0]) for rim in rims], inputs, named_colours):

        def restore(answer: Grid, grid: Grid, colour=colour) -> Grid | None:
            value = colour(grid)
            if value is None or max(answer.shape) + 2 > MAX_SIDE:
                return None
            return np.pad(answer, 1, constant_values=value)

        yield Reduction(inside, FRAME_COST + cost, f"framed by {text}", restore)


def mirrored(inputs: list[Grid], outputs: list[Grid]) -> Iterator[Reduction]:
    """Outputs whose halves mirror each other: the first half, with the middle line where the number of lines is odd."""
    for name, across, down in (("left and right", True, False), ("above and below", False, True), ("all four", True, True)):
        if any((down and len(o) < 2) or (across and o.shape[1] < 2) for o in outputs):
            continue
        if not all((not down or (o == o[::-1]).all()) and (not across or (o == o[:, ::-1]).all()) for o in outputs):
            continue
        same = all(i.shape == o.shape for i, o in zip(inputs, outputs))
        for side, use in enumerate((down, across)):
            if use and not same and len({o.shape[side] % 2 for o in outputs}) > 1:
                break
        else:
            part = tuple(
                np.ascontiguousarray(o[: (len(o) + 1) // 2 if down else None, : (o.shape[1] + 1) // 2 if across else None])
                for o in outputs
            )
            odd = [outputs[0].shape[side] % 2 for side in (0, 1)]

            def restore(answer: Grid, grid: Grid, across=across, down=down, odd=odd, same=same) -> Grid | None:
                rows, columns = (n % 2 for n in grid.shape) if same else odd
                if down:
                    answer = np.concatenate((answer, answer[::-1][rows:]))
                if across:
                    answer = np.concatenate((answer, answer[:, ::-1][:, columns:]), 1)
                return answer if max(answer.shape) <= MAX_SIDE else None

            yield Reduction(part, MIRROR_COST, f"mirrored, {name}", restore)


def blocks(inputs: list[Grid], factors: list[tuple[int, int]], cost: float, word: str, grow, parts) -> Iterator[Reduction]:
    """Reductions to `parts` for which `grow(answer, rows, columns)` by the factors gives the outputs back."""
    rows = list(determined([f for f, _ in factors], inputs, numbers_of))
    columns = list(determined([f for _, f in factors], inputs, numbers_of))
    for (more, text, down), (again, other, across) in product(rows, columns):

        def restore(answer: Grid, grid: Grid, down=down, across=across) -> Grid | None:
            by_rows, by_columns = down(grid), across(grid)
            if not by_rows or not by_columns or max(answer.shape[0] * by_rows, answer.shape[1] * by_columns) > MAX_SIDE:
                return None
            return grow(answer, by_rows, by_columns)

        yield Reduction(tuple(parts), cost + max(more, again), f"{word} {text} x {other}", restore)


def enlarged(inputs: list[Grid], outputs: list[Grid]) -> Iterator[Reduction]:
    """Outputs that are built of equal one-coloured blocks: a cell for each block."""

    def unit(output: Grid) -> tuple[int, int]:
        rows = (output[1:] != output[:-1]).any(1).nonzero()[0] + 1
        columns = (output[:, 1:] != output[:, :-1]).any(0).nonzero()[0] + 1
        return int(np.gcd.reduce([*rows, len(output)])), int(np.gcd.reduce([*columns, output.shape[1]]))

    units = [unit(o) for o in outputs]
    common = tuple(int(np.gcd.reduce([u[side] for u in units])) for side in (0, 1))
    square = int(np.gcd(*common))
    choices = {tuple(units), (common,) * len(units), ((square, square),) * len(units)}
    for choice in sorted(choices):
        if all(f == (1, 1) for f in choice):
            continue
        parts = [np.ascontiguousarray(o[::rows, ::columns]) for o, (rows, columns) in zip(outputs, choice)]
        yield from blocks(
            inputs, list(choice), SCALE_COST, "each cell", lambda a, down, across: a.repeat(down, 0).repeat(across, 1), parts
        )


def tiled(inputs: list[Grid], outputs: list[Grid]) -> Iterator[Reduction]:
    """Outputs that repeat a tile, uncut, in rows and columns: the tile."""

    def numbers(output: Grid) -> set[tuple[int, int]]:
        found = set()
        for down, across in product(divisors(len(output)), divisors(output.shape[1])):
            rows, columns = len(output) // down, output.shape[1] // across
            if (output == np.tile(output[:rows, :columns], (down, across))).all():
                found.add((down, across))
        return found

    possible = [numbers(o) for o in outputs]
    for choice in sorted(set.intersection(*possible) - {(1, 1)})[:MOST_TILINGS]:
        parts = [np.ascontiguousarray(o[: len(o) // choice[0], : o.shape[1] // choice[1]]) for o in outputs]
        yield from blocks(inputs, [choice] * len(outputs), TILE_COST, "tiled", lambda a, *n: np.tile(a, n), parts)
    most = [max(p, key=lambda n: (n[0] * n[1], n)) for p in possible]
    if len(set(most)) > 1 and (1, 1) not in most:
        parts = [np.ascontiguousarray(o[: len(o) // down, : o.shape[1] // across]) for o, (down, across) in zip(outputs, most)]
        yield from blocks(inputs, most, TILE_COST, "tiled", lambda a, *n: np.tile(a, n), parts)
