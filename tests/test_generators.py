"""Every generator family: grids in limits, deterministic rules, outputs that depend on the input, tasks that come quickly."""

import numpy as np
import pytest

from solution.arc.task import Pair, frozen, grid_key
from solution.finetune.generators import FAMILIES
from solution.finetune.generators.family import is_grid, pair_tokens
from solution.finetune.generators.scenes import Object, blob, objects, place
from solution.finetune.guard import Guard, canonical_key


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f"{f.topic}.{f.name}")
def test_family(family):
    assert family.rule.endswith(".") and len(family.rule) <= 130 and "\n" not in family.rule
    given = 0
    for seed in range(12):
        pairs = family.sample(np.random.default_rng(seed), 4, 1000)
        again = family.sample(np.random.default_rng(seed), 4, 1000)
        assert pairs == again
        if pairs is None:
            continue
        given += 1
        assert sum(map(pair_tokens, pairs)) <= 1000
        assert len({grid_key(p.input) for p in pairs}) == 4
        for k, pair in enumerate(pairs):  # no answer needs a colour that is shown nowhere else
            others = {int(c) for p in pairs[:k] + pairs[k + 1 :] for g in (p.input, p.output) for c in g.flat}
            assert {*pair.output.flat} <= {*pair.input.flat} | others
        assert not any(np.array_equal(p.input, p.output) for p in pairs) and len({grid_key(p.output) for p in pairs}) > 1
    assert given >= 6, "most draws must give a task of four pairs in 1,000 tokens"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f"{f.topic}.{f.name}")
def test_rule_is_a_function_of_the_grid(family):
    """The same grid gives the same output, however often and in whatever order it comes, and is not changed."""
    for seed in range(3):
        scene, rule = family.make(np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        grids = [g for g in (scene(rng) for _ in range(6)) if g is not None]
        copies = [g.copy() for g in grids]
        first = [rule(g) for g in grids]
        for grid, copy, output in reversed(list(zip(grids, copies, first))):
            assert np.array_equal(grid, copy)
            second = rule(grid)
            assert (output is None and second is None) or np.array_equal(output, second)


@pytest.mark.slow
def test_no_family_recreates_a_scored_task():
    """Rules of random draws, run on the scored tasks' own inputs: none may give all outputs, up to a renaming of colours.

    A sample of draws, one orientation: it can miss a copy. Families that it found were taken out (EXPERIMENTS.md, 10).
    """
    scored = {name: pairs for name, pairs in Guard.standard_pairs().items() if min(p.input.size for p in pairs) <= 225}

    def matches(rule, pair):
        output = rule(pair.input)
        return output is not None and is_grid(output) and canonical_key(Pair(pair.input, frozen(output))) == canonical_key(pair)

    copies = set()
    for index, family in enumerate(FAMILIES):
        for draw in range(3):
            rule = family.make(np.random.default_rng([draw, index]))[1]
            for name, pairs in scored.items():
                first, *others = sorted(pairs, key=lambda p: p.input.size)
                try:
                    if matches(rule, first) and sum(matches(rule, p) for p in others) >= max(1, len(others) - 1):
                        copies.add((family.name, name))
                except (ValueError, IndexError):  # an input that the family's scenes never show
                    continue
    assert not copies


def test_objects_cover_the_grid_once():
    rng = np.random.default_rng(0)
    for _ in range(50):
        grid = rng.integers(0, 4, (7, 9)).astype(np.uint8)
        for diagonal in (False, True):
            for by_colour in (False, True):
                found: list[Object] = objects(grid, diagonal, by_colour=by_colour)
                assert np.array_equal(sum((o.mask(grid).astype(int) for o in found), np.zeros(grid.shape, int)), grid != 0)
                for thing in found:
                    assert all(grid[r, c] == thing.colours[r - thing.row, c - thing.column] for r, c in thing.places)


def test_place_keeps_its_distance():
    rng = np.random.default_rng(0)
    for _ in range(100):
        grid = np.zeros((8, 8), np.uint8)
        count = sum(place(rng, grid, blob(rng, 4).astype(np.uint8)) is not None for _ in range(4))
        assert len(objects(grid, diagonal=True)) == count
