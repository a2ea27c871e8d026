"""Every generator family: grids in limits, deterministic rules, outputs that depend on the input, tasks that come quickly.
All families together: the sizes of their grids."""

import threading

import numpy as np
import pytest

from solution.arc.task import Pair, frozen, grid_key
from solution.finetune.generators import FAMILIES
from solution.finetune.generators.family import GeneratorFamily, is_grid, pair_tokens, with_a_test
from solution.finetune.generators.scenes import LARGEST_SIDE, Canvas, Object, blank, blob, canvas, drawing_on, objects, place
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
        assert not any(np.array_equal(p.input, p.output) for p in pairs)
        assert len({grid_key(p.output) for p in pairs[:-1]}) > 1, "demonstrations of one output show no rule"
        for branches in family.draw(np.random.default_rng(seed))[2:]:
            assert branches(pairs[-1].input) <= set().union(*(branches(p.input) for p in pairs[:-1]))
    assert given >= 6, "most draws must give a task of four pairs in 1,000 tokens"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f"{f.topic}.{f.name}")
def test_rule_is_a_function_of_the_grid(family):
    """The same grid gives the same output, however often and in whatever order it comes, and is not changed."""
    for seed in range(3):
        scene, rule = family.make(np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        with drawing_on(Canvas(alike=seed == 0, square=seed == 1, room=100 * seed)):  # of no room: as the family asks
            grids = [g for g in (scene(rng) for _ in range(6)) if g is not None]
        copies = [g.copy() for g in grids]
        first = [rule(g) for g in grids]
        for grid, copy, output in reversed(list(zip(grids, copies, first))):
            assert np.array_equal(grid, copy)
            second = rule(grid)
            assert (output is None and second is None) or np.array_equal(output, second)


def test_sizes_of_grids():
    """Much as in the public tasks: half of the tasks have one input size, most inputs are square, many have a long side."""
    alike, square, long = [], [], []
    for index, family in enumerate(FAMILIES):
        for count in (3, 4):
            pairs = family.sample(np.random.default_rng([index, count]), count, 1024)
            if pairs is not None:
                shapes = [p.input.shape for p in pairs]
                alike.append(len(set(shapes)) == 1)
                square += [height == width for height, width in shapes]
                long.append(max(map(max, shapes)) > 12)
    assert np.mean(alike) > 0.4 and np.mean(square) > 0.45 and np.mean(long) > 0.25


def test_canvas_is_the_tasks_own():
    """`canvas` keeps a task's size, ranges and room within `drawing_on`, there only, and in this thread only."""
    rng, elsewhere = np.random.default_rng(0), []

    def without_a_task():
        elsewhere.extend(canvas(np.random.default_rng(1), 3, 7) for _ in range(50))

    for alike in (True, False):
        for square in (True, False):
            task = Canvas(alike, square, room=90)
            with drawing_on(task):
                sizes = [canvas(rng, 3, 7) for _ in range(50)]
                oblong = [canvas(rng, 5, 8, (2, 4)) for _ in range(50)]
                thread = threading.Thread(target=without_a_task)
                thread.start()
                thread.join()
            assert (len(set(sizes)) == 1) == alike == (len(set(oblong)) == 1)
            assert all(3 <= h <= 14 and 3 <= w <= 14 and h * w <= 90 for h, w in sizes)
            assert all(5 <= h <= 16 and 2 <= w <= 8 and h * w <= 90 for h, w in oblong)
            assert not square or all(h == w for h, w in sizes + oblong)
            without_a_task()
    assert len(elsewhere) == 400 and all(3 <= side <= 7 for size in elsewhere for side in size)
    with drawing_on(Canvas(False, True, room=10_000)):
        assert max(canvas(rng, 5, 12)[0] for _ in range(200)) == LARGEST_SIDE


def test_demonstrations_show_what_the_test_needs():
    def pair(value, output):
        return Pair(frozen(blank(2, 2, value)), frozen(blank(1, 1, output)))

    a, b, c = pair(1, 5), pair(2, 5), pair(3, 6)
    assert with_a_test([a, b, c]) == (a, c, b)  # a and b alone have one output
    kinds = {1: {"x"}, 2: {"y"}, 3: {"x", "z"}}
    assert with_a_test([a, b, c], lambda grid: kinds[int(grid[0, 0])]) == (b, c, a)
    assert with_a_test([a, b], lambda grid: set()) is None

    family = GeneratorFamily("f", "t", "r", lambda rng: (lambda rng: blank(*canvas(rng, 2, 5), int(rng.integers(1, 4))),
                                                         lambda grid: grid[:1], lambda grid: set(np.unique(grid))))  # fmt: skip
    for seed in range(20):
        pairs = family.sample(np.random.default_rng(seed), 3, 1000)
        assert pairs is None or pairs[-1].input[0, 0] in {p.input[0, 0] for p in pairs[:-1]}


@pytest.mark.slow
def test_no_family_recreates_a_scored_task():
    """Rules of random draws, run on the scored tasks' own inputs: none may give all outputs, up to a renaming of colours.

    A sample of draws, one orientation: it can miss a copy. Families that it found were removed
    (docs/experiments/10-contamination-guard.md).
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
