"""Sizes, reductions, layouts and pairings: rules that hold on what they were made from, undone exactly, silent where unclear."""

from itertools import product

import numpy as np
import pytest

from solution.arc.task import MAX_SIDE
from solution.program.combinations import PAIRINGS, Combined, combinations, combine
from solution.program.operations import OPERATIONS
from solution.program.partitions import Layout, Mosaics, layouts
from solution.program.reductions import determined, named_colours, reductions
from solution.program.search import Node, enumerate_programs, signature
from solution.program.sizes import numbers_of, size_rules
from solution.program.vocabulary import IMAGE, Image, steps

from .test_codec import random_grid


def grid(rows: str) -> np.ndarray:
    """Rows of digits, apart by spaces; a dot is empty."""
    return np.array([[int(c) for c in row.replace(".", "0")] for row in rows.split()], np.uint8)


def image(rows: str, y: int = 0, x: int = 0) -> Image:
    return Image(grid(rows), y, x)


def node(grids, cost=1.0) -> Node:
    return Node(IMAGE, tuple(Image(np.asarray(g, np.uint8)) for g in grids), cost)


# Sizes

SHAPES = [(4, 6), (3, 5), (8, 2), (6, 7)]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (lambda h, w: (h, w), "rows x columns"),
        (lambda h, w: (w, h), "columns x rows"),
        (lambda h, w: (3, 3), "3 x 3"),
        (lambda h, w: (2 * h, w), "2 x rows x columns"),
        (lambda h, w: (h, w - 1), "rows x columns -1"),
        (lambda h, w: (h, 1), "rows x 1"),
    ],
)
def test_the_plainest_rule_comes_first_and_holds(rule, text):
    inputs = [np.ones(shape, np.uint8) for shape in SHAPES]
    wanted = [rule(*shape) for shape in SHAPES]
    rules = size_rules(inputs, wanted[:3])
    assert (rules[0].text, rules[0].shapes) == (text, tuple(wanted))
    assert all(r.shapes[:3] == tuple(wanted[:3]) for r in rules)
    assert [r.cost for r in rules] == sorted(r.cost for r in rules)
    assert len({r.shapes for r in rules}) == len(rules)


def test_counts_and_images_give_sizes_too():
    inputs = [grid("12. ... 3.."), grid("1.2 ... ..1"), grid("1.2 ... 3.4"), grid("1.2 3.4 5.6")]
    colours = [numbers_of(g)["colours"] for g in inputs]
    assert colours == [3, 2, 4, 6]
    assert size_rules(inputs, [(n, n) for n in colours[:3]])[0].shapes[3] == (6, 6)
    boxes = node([np.ones(shape) for shape in ((1, 2), (2, 5), (3, 1), (4, 4))])
    rules = size_rules(inputs, [(1, 2), (2, 5), (3, 1)], [boxes])
    assert [r.shapes[3] for r in rules] == [(4, 4)]
    assert size_rules(inputs, [(1, 2), (2, 5), (3, 1)]) == []


def test_no_rule_gives_a_size_that_no_grid_has():
    inputs = [np.ones((n, n), np.uint8) for n in (2, 3, 11)]
    assert size_rules(inputs, [(6, 6), (9, 9)]) == []


# Reductions

MADE = {
    "over the input": lambda g: np.where(np.roll(g, 1, 0) == 1, 7, g),
    "framed by 4": lambda g: np.pad(g, 1, constant_values=4),
    "framed by most frequent": lambda g: np.pad(g, 1, constant_values=named_colours(g)["most frequent"]),
    "mirrored, left and right": lambda g: np.concatenate((g, g[:, ::-1]), 1),
    "mirrored, above and below": lambda g: np.concatenate((g, g[::-1][1:])),
    "each cell 3 x 2": lambda g: g.repeat(3, 0).repeat(2, 1),
    "each cell colours x colours": lambda g: g.repeat(numbers_of(g)["colours"], 0).repeat(numbers_of(g)["colours"], 1),
    "tiled 2 x 3": lambda g: np.tile(g, (2, 3)),
    "in the colour rarest": lambda g: np.where(g > 1, named_colours(g)["rarest"], 0),
}
INPUTS = [grid("12.1 .311 2.11 1..1"), grid("2231 2233 1.4. 2..2"), grid("1454. 1..4. 11.1.")]
TEST = grid("333. .2.3 221.")


@pytest.mark.parametrize("text", MADE)
def test_a_reduction_is_found_and_undone(text):
    outputs = [MADE[text](g).astype(np.uint8) for g in INPUTS]
    found = {r.text: r for r in reductions(INPUTS, outputs)}
    assert text in found
    reduced = [r for r in reductions([*INPUTS, TEST], [*outputs, MADE[text](TEST).astype(np.uint8)]) if r.text == text][-1]
    answer = found[text].restore(reduced.outputs[-1], TEST)
    assert np.array_equal(answer, MADE[text](TEST))


def test_every_reduction_gives_every_demonstration_back_whatever_the_cells_that_do_not_matter():
    rng = np.random.default_rng(0)
    kinds = set()
    for n in range(300):
        inputs = [random_grid(rng, 8) % 4 for _ in range(3)]
        one, other = [list(MADE.values())[i] for i in rng.integers(0, len(MADE), 2)]
        try:
            outputs = [one(other(g) if n % 2 else g).astype(np.uint8) for g in inputs]
        except KeyError:  # no colour is the rarest
            continue
        if any(max(o.shape) > MAX_SIDE for o in outputs):
            continue
        for r in reductions(inputs, outputs):
            kinds.add(r.text.split()[0])
            for k, (before, after) in enumerate(zip(inputs, outputs)):
                reduced = r.outputs[k]
                if r.care is not None:
                    reduced = np.where(r.care[k], reduced, rng.integers(0, 10, reduced.shape)).astype(np.uint8)
                if r.masks:
                    assert reduced.max() <= 1
                    reduced = reduced * np.uint8(5)
                restored = r.restore(reduced, before)
                assert np.array_equal(restored, after) and restored.dtype == np.uint8
    assert kinds >= {"over", "framed", "mirrored,", "each", "tiled"}


def test_what_the_input_does_not_say_is_not_answered():
    inputs = [grid("112 ..."), grid("331 ..."), grid("12 ..")]
    outputs = [grid("2. .2"), grid("1. .1")]
    texts = [r.text for r in reductions(inputs, outputs) if r.masks]
    assert texts == ["in the colour second corner"]  # the test has no rarest colour
    texts = [r.text for r in reductions([*inputs[:2], grid("443 55.")], outputs) if r.masks]
    assert texts == ["in the colour rarest"]  # the second corner says the same
    assert list(determined([2, 5], inputs, named_colours)) == []


# Layouts


def test_pieces_join_to_the_output_and_unlike_outputs_have_none():
    rng = np.random.default_rng(1)
    for _ in range(100):
        layout = Layout(*rng.integers(1, 4, 2).tolist(), gap := int(rng.integers(0, 2)), 5 * gap)
        shape = rng.integers(2, 6, 2)
        pieces = [rng.integers(0, 5, shape).astype(np.uint8) for _ in range(layout.down * layout.right)]
        whole = layout.join(pieces)
        assert all(np.array_equal(a, b) for a, b in zip(layout.pieces(whole), pieces))
        if gap and layout.down > 1:
            broken = whole.copy()
            broken[shape[0], 0] = 1
            assert layout.pieces(broken) is None
    assert Layout(2, 1, 0, 0).join([grid("1"), grid("12")]) is None
    assert Layout(4, 4, 0, 0).join([np.ones((8, 8), np.uint8)] * 16) is None
    assert layouts([grid("123 456 789"), grid("12 34")]) == layouts([grid("12"), grid("1 2")]) == []


def test_mosaics_need_a_node_for_every_piece():
    inputs = INPUTS
    turned = [np.rot90(g, 2) for g in (*inputs, TEST)]
    outputs = [np.block([[a, b], [b, a]]) for a, b in zip(inputs, turned)]
    mosaics = Mosaics(outputs)
    mosaics.take(node([*inputs, TEST]))
    assert mosaics.explanations() == []
    mosaics.take(node(turned, 2.0))
    mosaics.take(node(turned, 3.0))
    (found,) = [e for e in mosaics.explanations() if e.program.startswith("2 x 2")]
    assert np.array_equal(found.answers[0], np.block([[TEST, turned[3]], [turned[3], TEST]]))
    assert found.cost == 1.0 + 2.0 + 2 * 0.5


# Pairings

PAIRED = {p.name: p for p in PAIRINGS}


@pytest.mark.parametrize(
    ("name", "first", "second", "after"),
    [
        ("each_becomes", image("1. .2"), image("34"), grid("34.. ..34")),
        ("over", image("1. .2"), image("34 56"), grid("14 52")),
        ("each_in_form", image("1. .2"), image("3. 44"), grid("1... 11.. ..2. ..22")),
        ("beside", image("1 2"), image("34 56"), grid("134 256")),
        ("above", image("12"), image("34 56"), grid("12 34 56")),
        ("window", image("99", 1, 2), image("1234 5678"), grid("78")),
        ("window", image("99", 1, 3), image("1234 5678"), None),
        ("pasted_over", image("9.", 1, 1), image("123 456"), grid("123 496")),
        ("pasted_over", image("99", -1, 0), image("123 456"), None),
        ("repeated_to", image("12"), image("... ..."), grid("121 121")),
        ("enlarged_to", image("12"), image(".... ...."), grid("1122 1122")),
        ("enlarged_to", image("12"), image("... ..."), None),
        ("in_colour_of", image("12 .1"), image("5.5"), grid("55 .5")),
        ("in_colour_of", image("12 .1"), image("54."), None),
    ],
)
def test_pairings(name, first, second, after):
    found = combine(PAIRED[name], (first,), (second,))
    assert (found is None) == (after is None)
    if after is not None:
        assert np.array_equal(found[0].cells, after)


def test_pairings_are_pure_and_say_the_shape_beforehand():
    rng = np.random.default_rng(2)
    alive = set()
    for _ in range(400):
        size = int(rng.integers(2, 7))
        first, second = (Image(random_grid(rng, size) % 3, *rng.integers(0, 3, 2).tolist()) for _ in range(2))
        before = first.key, second.key
        for kind in PAIRINGS:
            found = combine(kind, (first,), (second,))
            if found is not None:
                alive.add(kind)
                assert found[0].cells.shape == kind.shape(first.cells.shape, second.cells.shape)
                assert found[0].cells.dtype == np.uint8 and 1 <= max(found[0].cells.shape) <= MAX_SIDE
                assert found[0].cells.max() <= max(first.cells.max(), second.cells.max())
        assert (first.key, second.key) == before
    assert alive == set(PAIRINGS)


def test_combinations_come_by_cost_each_once_and_have_the_outputs_shapes():
    rng = np.random.default_rng(3)
    inputs = [random_grid(rng, 6) % 3 for _ in range(4)]
    shapes = [(2 * h, w) for h, w in (g.shape for g in inputs[:3])]
    nodes = [n for n in enumerate_programs(inputs, list(steps(OPERATIONS, (1, 2))), 3000) if n.type is IMAGE]
    rules = size_rules(inputs, shapes)
    found = list(combinations(nodes, shapes, rules[:1], 500))
    assert found and all(isinstance(n, Combined) for n in found)
    assert all([v.cells.shape for v in n.values[:3]] == shapes for n in found)
    assert [n.cost for n in found] == sorted(n.cost for n in found)
    marks = [signature(IMAGE, n.values) for n in found]
    assert len(set(marks)) == len(marks) and not set(marks) & {signature(IMAGE, n.values) for n in nodes}
    assert [str(n) for n in found] == [str(n) for n in combinations(nodes, shapes, rules[:1], 500)]
    for n in found:  # a node is what it says
        again = combine(PAIRED[n.name], n.parent.values, n.other.values)
        assert signature(IMAGE, again) == signature(IMAGE, n.values)


def test_the_cheapest_pairs_are_tried_first():
    """Against all pairs in the order of their cost."""
    rng = np.random.default_rng(4)
    nodes = [node([rng.integers(0, 9, (2, 2)) for _ in range(2)], float(c)) for c in rng.integers(0, 5, 30)]
    found = list(combinations(nodes, [(2, 4), (2, 4)], [], 60, (PAIRED["beside"],)))
    naive = sorted(a.cost + b.cost for a, b in product(nodes, nodes))[:60]
    assert [n.cost - 1.0 for n in found] == naive


def test_a_tile_grows_to_the_size_that_a_rule_gives():
    inputs = [grid("12 34"), grid("56 78"), grid("13 57")]
    wanted = [np.tile(g, (2, 3))[:3, :5] for g in inputs]
    found = combinations([node(inputs, 0.0)], [(3, 5)] * 2, size_rules(inputs, [(3, 5)] * 2)[:1], 10)
    assert any(all(np.array_equal(v.cells, w) for v, w in zip(n.values, wanted)) for n in found)
