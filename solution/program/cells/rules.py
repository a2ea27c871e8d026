"""Rules on cells, learned: up to three features of a cell decide which source its colour is taken from.

In:  a base image for every input (the input itself, or what a program makes of it) of the outputs' sizes, further images of the
same sizes. Out: answers with a description length. A rule is a table, values of its features -> source; it must be right on every
cell of every demonstration, and know all that occurs in the tests. *Grown* rules also look at cells of the output that
were written before, in one of four reading orders.
Not here: which features and sources there are (`features`), which programs give the images (`search`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arc.task import Grid
from ..compiled import COMPILES
from .features import features
from .loops import consistent_tables, rate_tables, write
from .maps import AROUND, Maps, shifted
from .sources import sources

VALUES = 32
"""Features are below this value."""
MOST_SOURCES = 64
"""Sources, the simplest first, as many as a word has bits."""
MOST_FOUND, MOST_WRITTEN = 4000, 200
"""Tables kept of each number of features, and the shortest of all of them that are followed to an answer."""
PAIRS_DRAWN, WORDS = 6000, 8
"""Pairs of cells that are drawn, and words of 64 of them that are used."""
MOST_COST = 12.0
"""Longer rules are left out: they hardly ever answer right."""
MOST_FEATURES = 3 if COMPILES else 2
FEATURE_COST, GROWN_COST, KEY_COST, CHANGE_COST, SOURCE_COST, LEFT_OUT_COST = 1.0, 0.5, 0.02, 0.1, 0.15, 4.0
"""Description length, in operations: of a feature, of one of the output, of a row of the table, of a row that changes the cell,
of each different source; and of demonstrations that the table of the others does not explain, were it all of them. Chosen on
public training tasks (docs/experiments/19-learned-rules.md)."""
READING_ORDERS = {
    order: {name: AROUND[name] for name in names}
    for order, names in {
        "down": ("up", "left", "up left", "up right"),
        "up": ("down", "right", "down right", "down left"),
        "right": ("left", "up", "up left", "down left"),
        "left": ("right", "down", "down right", "up right"),
    }.items()
}
"""The neighbours that are written before a cell, by the direction in which one goes line by line."""


@dataclass(frozen=True, eq=False)
class CellRule:
    """`answers`: a grid a test input. `cost`: description length beyond the images'. `text`: as a person reads it."""

    answers: tuple[Grid, ...]
    cost: float
    text: str


@dataclass(frozen=True, eq=False)
class Shown:
    """An image beside the base: `grids` of the bases' sizes, `cost` and `name` of how they were made. `source`: whether cells can
    take its colour; else it is only a feature, and may have other numbers."""

    name: str
    cost: float
    grids: list[Grid]
    source: bool = True


def stacked(maps: list[Maps], most: int) -> tuple[list[str], np.ndarray]:
    """Maps of all images as rows over all their cells: names, uint8 (maps, cells); equal rows once."""
    names, rows, seen = [], [], set()
    for name in maps[0]:
        row = np.concatenate([np.ascontiguousarray(m[name]).ravel() for m in maps])
        mark = row.tobytes()
        if mark not in seen and len(rows) < most:
            seen.add(mark)
            names.append(name)
            rows.append(row)
    return names, np.minimum(np.array(rows), VALUES - 1)


def cell_rules(
    bases: list[Grid],
    outputs: list[Grid],
    images: list[Shown],
    care: np.ndarray | None = None,
    out_of_time: Callable[[], bool] = lambda: False,
) -> list[CellRule]:
    """Rules that make `outputs` of `bases` (demonstrations first), the shortest first. `images` serve as features and as
    sources. `care`: which cells of the outputs, in a row, have to be right. Without a rule where sizes differ. The
    clock is asked before each reading order."""
    if any(base.shape != output.shape for base, output in zip(bases, outputs)):
        return []
    lesson = prepared(bases, outputs, images, np.ones(sum(o.size for o in outputs), bool) if care is None else care)
    if not lesson.possible.all():
        return []
    found = learn(lesson)
    if not lesson.care.all():
        return found
    for name in READING_ORDERS:
        if not out_of_time():
            found += learn(lesson, name)
    return sorted(found, key=lambda rule: rule.cost)


@dataclass(frozen=True, eq=False)
class Lesson:
    """All that rules are learnt from. Cells of all images in a row, those of the `known` demonstrations first.

    `values`: uint8 (features, cells), the first one 0 everywhere. `colours`: uint8 (sources, cells). `possible`: uint64
    (known,), a bit for every source that is right. `names`, `prices`: of features, then of sources. `tests`: their sizes.
    `care`: bool, the cells of the outputs that are among the `known`.
    """

    outputs: list[Grid]
    care: np.ndarray
    tests: list[tuple[int, int]]
    values: np.ndarray
    colours: np.ndarray
    possible: np.ndarray
    names: tuple[list[str], list[str]]
    prices: tuple[np.ndarray, np.ndarray]


def prepared(bases: list[Grid], outputs: list[Grid], images: list[Shown], care: np.ndarray) -> Lesson:
    """Features and sources of every cell."""
    palette = tuple(c for c in range(1, 10) if any((base == c).any() for base in bases))
    numbered: dict = {}
    given = [sources(base) for base in bases]
    maps = [{"nothing": np.zeros_like(base)} | features(base, own, palette, numbered) for base, own in zip(bases, given)]
    prices = {image.name: image.cost for image in images}
    for image in images:
        for one, other, grid in zip(given, maps, image.grids):
            other[image.name] = grid
            if image.source:
                one[image.name] = grid
    source_names, colours = stacked(given, MOST_SOURCES)
    names, values = stacked(maps, len(maps[0]))
    target = np.concatenate([output.ravel() for output in outputs])[care]
    mattering = np.concatenate((care, np.ones(values.shape[1] - len(care), bool)))
    values, colours = values[:, mattering], colours[:, mattering]
    right = (colours[:, : len(target)] == target).astype(np.uint64)
    possible = np.bitwise_or.reduce(right << np.arange(len(right), dtype=np.uint64)[:, None], 0)
    price = np.array([prices.get(name, 0.0) + FEATURE_COST for name in names])
    price[0] = 0.0
    source_price = np.array([prices.get(name, 0.0) + SOURCE_COST for name in source_names])
    shapes = [base.shape for base in bases[len(outputs) :]]
    return Lesson(outputs, care, shapes, values, colours, possible, (names, source_names), (price, source_price))


def learn(lesson: Lesson, order: str | None = None) -> list[CellRule]:
    """The rules that look at no cell of the output, or those that look at cells which are written before in a reading order."""
    values, possible, (names, source_names), (price, source_price) = (
        lesson.values, lesson.possible, lesson.names, lesson.prices
    )  # fmt: skip
    known, plain = len(possible), len(values)
    steps = READING_ORDERS[order] if order else {}
    if order:
        rows = [np.concatenate([shifted(output, *step).ravel() for output in lesson.outputs]) for step in steps.values()]
        unknown = np.zeros((len(rows), values.shape[1] - known), np.uint8)
        values = np.concatenate((values, np.concatenate((np.array(rows), unknown), 1)))
        names = [*names, *(f"written {name}" for name in steps)]
        price = np.concatenate((price, np.full(len(rows), FEATURE_COST + GROWN_COST)))
    owner = np.repeat(np.arange(len(lesson.outputs)), [output.size for output in lesson.outputs])[lesson.care]
    found = tables(values, possible, (possible & np.uint64(1)) != 0, len(steps))
    costs = price[found].sum(1) + lengths(values, possible, owner, found, source_price)
    rules = []
    for index in np.argsort(costs, kind="stable")[:MOST_WRITTEN]:
        chosen, cost = found[index].tolist(), float(costs[index])
        if cost > MOST_COST:
            break
        table, used = fill(chosen, values, possible)
        marked = np.array([plain - 1 - feature if feature >= plain else feature for feature in chosen])
        answers = answers_of(marked, table, lesson, order)
        if answers is not None:
            by = ", ".join(names[f] for f in chosen if f) or "nothing"
            text = f"by {by}: {', '.join(source_names[u] for u in used)}{f', going {order}' if order else ''}"
            rules.append(CellRule(answers, cost, text))
    return rules


def answers_of(chosen: np.ndarray, table: np.ndarray, lesson: Lesson, order: str | None) -> tuple[Grid, ...] | None:
    """What a table writes for each test; None where it lacks a key. `chosen` as in `write`."""
    steps = np.array(list(READING_ORDERS[order or "down"].values()))
    answers, at = [], len(lesson.possible)
    for shape in lesson.tests:
        answer, end = np.zeros(shape, np.uint8), at + shape[0] * shape[1]
        sequence = cells_in_order(shape, order or "down")
        if not write(chosen, lesson.values[:, at:end], table, lesson.colours[:, at:end], steps, sequence, answer):
            return None
        answers.append(answer)
        at = end
    return tuple(answers)


def cells_in_order(shape: tuple[int, int], order: str) -> np.ndarray:
    """Flat indices of the cells as they are read: row by row going down or up, column by column going right or left."""
    cells = np.arange(shape[0] * shape[1]).reshape(shape)
    line = (cells if order in ("down", "up") else cells.T).ravel()
    return line[::-1] if order in ("up", "left") else line


def told_apart(values: np.ndarray, possible: np.ndarray) -> np.ndarray | None:
    """Which features tell pairs of cells apart that no source is right for both of: uint64 (features, `WORDS`), a bit a pair.

    Of random pairs (always the same) those that the fewest features tell apart, in this order. None where there is one that no
    feature tells apart, so that there is no table at all.
    """
    one, other = np.random.default_rng(0).integers(0, len(possible), (2, PAIRS_DRAWN))
    disjoint = (possible[one] & possible[other]) == 0
    differ = values[:, one[disjoint]] != values[:, other[disjoint]]
    tellers = differ.sum(0)
    if not tellers.all():
        return None
    differ = differ[:, np.argsort(tellers, kind="stable")]
    _, first = np.unique(np.packbits(differ, axis=0), axis=1, return_index=True)
    chosen = differ[:, np.sort(first)[: 64 * WORDS]]
    bits = np.ones((len(values), 64 * WORDS), bool)
    bits[:, : chosen.shape[1]] = chosen
    return np.packbits(bits, axis=1).view(np.uint64)


def tables(values: np.ndarray, possible: np.ndarray, kept: np.ndarray, grown: int) -> np.ndarray:
    """Sets of one to `MOST_FEATURES` features that decide everything (`consistent_tables`): indices, 0 for none, int32 (sets, 3).

    Changed and unchanged cells are looked at in turns, in an order that is random but always the same: most sets fail early.
    """
    known = len(possible)
    apart = told_apart(values[:, :known], possible)
    if apart is None:
        return np.zeros((0, 3), np.int32)
    order = np.random.default_rng(0).permutation(known)
    order = order[np.argsort(np.where(kept[order], np.cumsum(kept[order]), np.cumsum(~kept[order])), kind="stable")]
    mixed = np.ascontiguousarray(np.concatenate((values[:, order], values[:, known:]), 1))
    stamp, masks = np.zeros(VALUES**3, np.int32), np.zeros(VALUES**3, np.uint64)
    pairs = np.zeros((len(values), len(values)), np.bool_)
    found = []
    for size in range(1, MOST_FEATURES + 1):
        room = np.zeros((MOST_FOUND, 3), np.int32)
        number = consistent_tables(mixed, possible[order], known, grown, size, apart, pairs, stamp, masks, room)
        found.append(room[:number])
    return np.concatenate(found)


def lengths(values: np.ndarray, possible: np.ndarray, owner: np.ndarray, sets: np.ndarray, price: np.ndarray) -> np.ndarray:
    """Description lengths of the tables of `sets`, their features apart; `price` of each source. Float (sets,)."""
    rated = np.zeros((len(sets), 4), np.int64)
    stamp, slot = np.zeros(VALUES**3, np.int32), np.zeros(VALUES**3, np.int32)
    fits = np.zeros((owner[-1] + 1, VALUES**3), np.uint64)
    rate_tables(values, possible, owner, sets, stamp, slot, fits, rated)
    rows, changing, used, unexplained = rated.T
    sources_used = (used.astype(np.uint64)[:, None] >> np.arange(len(price), dtype=np.uint64)) & np.uint64(1)
    return KEY_COST * rows + CHANGE_COST * changing + sources_used @ price + LEFT_OUT_COST * unexplained / len(fits)


def fill(chosen: list[int], values: np.ndarray, possible: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The table of some features, int (32768,) with -1 for what does not occur, and the sources used.

    Of several sources that are right the simplest is taken.
    """
    known = len(possible)
    keys = np.zeros(known, int)
    for feature in chosen:
        keys = keys * VALUES + values[feature, :known]
    different, inverse = np.unique(keys, return_inverse=True)
    fits = np.full(len(different), np.iinfo(np.uint64).max, np.uint64)
    np.bitwise_and.at(fits, inverse, possible)
    source = np.log2((fits & (~fits + np.uint64(1))).astype(np.float64)).astype(int)
    table = np.full(VALUES**3, -1)
    table[different] = source
    return table, sorted(set(source.tolist()))
