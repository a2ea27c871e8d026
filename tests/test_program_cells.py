"""Rules on cells: the compiled loops against plain references, what a rule promises, rules that are known."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from solution.program.cells import features, loops, maps, rules, sources
from solution.program.cells.rules import Shown

GROWN = 2
EVERY = np.iinfo(np.uint64).max


def random_table_task(seed, number=8, cells=30, known=20):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, (number, cells)).astype(np.uint8)
    values[0] = 0
    decides = values[rng.integers(1, number, 2), :known]
    possible = np.uint64(1) << (decides[0] * 3 + decides[1]).astype(np.uint64)
    possible |= rng.integers(0, 512, known).astype(np.uint64)
    return values, possible, rng


def decided(values, possible, chosen, tests):
    """Whether a set of features decides: plain dictionaries."""
    table = {}
    for cell, right in enumerate(possible.tolist()):
        key = tuple(values[list(chosen), cell])
        table[key] = table.get(key, int(EVERY)) & right
    known = all(tuple(values[list(chosen), cell]) in table for cell in range(len(possible), values.shape[1]))
    return all(table.values()), known or not tests, table


def sets_of(values, possible, grown):
    return [tuple(chosen) for chosen in rules.tables(values, possible, np.ones(len(possible), bool), grown).tolist()]


@given(st.integers(0, 10**6), st.sampled_from((0, GROWN)))
@example(144, 0)  # the first of three features decides alone
@settings(max_examples=60, deadline=None)
def test_consistent_sets_are_those_of_plain_dictionaries(seed, grown):
    values, possible, _ = random_table_task(seed)
    number, expected, decisive = len(values), set(), set()
    for size in (1, 2, 3):
        for chosen in combinations(range(1, number), size):
            if any(set(some) <= set(chosen) for some in decisive):
                continue
            if grown and max(chosen) < number - grown:
                continue
            right, known, _ = decided(values, possible, chosen, not grown)
            if right:
                if size < 3:
                    decisive.add(chosen)
                if known:
                    expected.add((0,) * (3 - size) + chosen)
    assert set(sets_of(values, possible, grown)) == expected


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_what_tables_are_like_is_what_plain_dictionaries_say(seed):
    values, possible, rng = random_table_task(seed)
    owner = np.sort(rng.integers(0, 3, len(possible)))
    owner[:3] = 0, 1, 2
    owner.sort()
    sets = np.array(sets_of(values, possible, 0) or [(0, 1, 2)][:0], np.int32).reshape(-1, 3)
    price = rng.random(64)
    found = rules.lengths(values, possible, owner, sets, price)
    for chosen, length in zip(sets, found):
        table = decided(values, possible, chosen, False)[2]
        taken = [(right & -right).bit_length() - 1 for right in table.values()]
        unexplained = 0
        for left_out in range(3):
            rest = decided(values[:, : len(possible)][:, owner != left_out], possible[owner != left_out], chosen, False)[2]
            own = decided(values[:, : len(possible)][:, owner == left_out], possible[owner == left_out], chosen, False)[2]
            unexplained += any(key not in rest or not right & (rest[key] & -rest[key]) for key, right in own.items())
        expected = rules.KEY_COST * len(table) + rules.CHANGE_COST * sum(s != 0 for s in taken)
        expected += price[sorted(set(taken))].sum() + rules.LEFT_OUT_COST * unexplained / 3
        assert length == pytest.approx(expected)


@given(st.integers(0, 10**6), st.sampled_from(sorted(rules.READING_ORDERS)))
@settings(max_examples=30, deadline=None)
def test_writing_is_the_same_compiled_and_plain(seed, order):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 7, 2)
    values = rng.integers(0, 3, (4, height * width)).astype(np.uint8)
    table = rng.integers(-1 if seed % 2 else 0, 3, 32**3)
    colours = rng.integers(0, 10, (3, height * width)).astype(np.uint8)
    steps = np.array(list(rules.READING_ORDERS[order].values()))
    sequence = rules.cells_in_order((height, width), order)
    chosen = np.array([rng.integers(0, 4), -1 - rng.integers(0, 4), rng.integers(-4, 4)])
    fast, plain = np.zeros((2, height, width), np.uint8)
    arguments = values, table, colours, steps, sequence
    assert loops.write(chosen, *arguments, fast) == loops.write.py_func(chosen, *arguments, plain)
    assert (fast == plain).all()


def grids(seed, number, colours=3):
    rng = np.random.default_rng(seed)
    return [(rng.integers(0, colours, rng.integers(3, 8, 2)) * rng.integers(0, 2)).astype(np.uint8) for _ in range(number)]


RULES = {
    "recolour by row": lambda g: np.where(g > 0, np.arange(len(g))[:, None] % 2 + 1, 0).astype(np.uint8),
    "mark empty cells with two filled neighbours above and below": lambda g: np.where(
        (g == 0) & (maps.shifted(g, -1, 0, 0) > 0) & (maps.shifted(g, 1, 0, 0) > 0), 4, g
    ).astype(np.uint8),
    "mirror where empty": lambda g: np.where(g == 0, g[:, ::-1], g),
}


@pytest.mark.parametrize("name", RULES)
def test_a_known_rule_is_learnt(name):
    inputs = [g for g in grids(5, 60) if g.any()][:16]
    outputs = [RULES[name](g) for g in inputs]
    found = rules.cell_rules(inputs, outputs[:14], [])
    assert found and all((a == b).all() for a, b in zip(found[0].answers, outputs[14:]))


def test_a_grown_rule_is_learnt():
    """Diagonals that start at a cell of the first row, and turn straight down once they met the side."""
    pairs = []
    for width, start in ((4, 0), (5, 2), (6, 1), (7, 0)):
        grid, grown = np.zeros((2, 9, width), np.uint8)
        grid[0, start] = 3
        for row in range(9):
            grown[row, min(start + row, width - 1)] = 3
        pairs.append((grid, grown))
    found = rules.cell_rules([p for p, _ in pairs], [q for _, q in pairs[:3]], [])
    assert any((rule.answers[0] == pairs[3][1]).all() for rule in found)


def test_further_images_decide_and_are_sources():
    rng = np.random.default_rng(0)
    bases, first, second = ([rng.integers(0, 4, (6, 6)).astype(np.uint8) for _ in range(5)] for _ in range(3))
    outputs = [np.where(a == 2, b, base) for base, a, b in zip(bases, first, second)]
    beside = [Shown("first", 1.0, first), Shown("second", 1.0, second)]
    found = rules.cell_rules(bases, outputs[:4], beside)
    assert found and (found[0].answers[0] == outputs[4]).all() and "second" in found[0].text
    assert not rules.cell_rules(bases, [np.roll(o, 1) for o in outputs[:4]], beside)


def test_rules_need_outputs_of_the_bases_sizes():
    assert rules.cell_rules([np.zeros((2, 2), np.uint8)] * 2, [np.zeros((2, 3), np.uint8)], []) == []


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_features_have_the_same_names_for_every_image_and_fit_the_tables(seed):
    numbered, names = {}, set()
    for grid in grids(seed, 3):
        given_sources = sources.sources(grid)
        told = features.features(grid, given_sources, (1, 2), numbered)
        names.add((tuple(given_sources), tuple(told)))
        for name, values in (given_sources | told).items():
            assert values.shape == grid.shape and values.max() <= maps.MOST, name
        assert max(values.max() for values in given_sources.values()) <= 9
    assert len(names) == 1
