"""Transformations: each against a plain reference, the same for every grid of a task, and never beyond 30x30."""

import dataclasses

import numpy as np
import pytest

from solution.arc.task import Pair, Task, as_grid, grid_key
from solution.arc.transforms import MAX_SHIFT, transforms


def double(grid):
    return np.kron(grid, np.ones((2, 2), int))


PLAIN = {
    "rot90": np.rot90,
    "rot270": lambda g: np.rot90(g, 3),
    "rot180": lambda g: np.rot90(g, 2),
    "flip_ud": np.flipud,
    "flip_lr": np.fliplr,
    "mirror_above": lambda g: np.vstack([np.flipud(g), g]),
    "mirror_left": lambda g: np.hstack([np.fliplr(g), g]),
    "mirror_below": lambda g: np.vstack([g, np.flipud(g)]),
    "mirror_right": lambda g: np.hstack([g, np.fliplr(g)]),
    "transpose": np.transpose,
    "scale": double,
    "scale_height": lambda g: np.kron(g, np.ones((2, 1), int)),
    "scale_width": lambda g: np.kron(g, np.ones((1, 2), int)),
    "rot90+scale": lambda g: double(np.rot90(g)),
    "rot270+scale": lambda g: double(np.rot90(g, 3)),
    "rot180+scale": lambda g: double(np.rot90(g, 2)),
    "flip_ud+scale": lambda g: double(np.flipud(g)),
    "flip_lr+scale": lambda g: double(np.fliplr(g)),
    "transpose+scale": lambda g: double(g.T),
    "tile_down": lambda g: np.vstack([g, g]),
    "tile_across": lambda g: np.hstack([g, g]),
    "tile": lambda g: np.block([[g, g], [g, g]]),
}


def by_name(seed=0):
    return {t.name: t for t in transforms(np.random.default_rng(seed))}


def random_task(rng, max_side=15):
    def grid():
        return as_grid(rng.integers(0, 10, rng.integers(1, max_side + 1, 2)))

    return Task("t", tuple(Pair(grid(), grid()) for _ in range(3)), (Pair(grid(), grid()), Pair(grid())))


def grids_of(task):
    return [g for p in (*task.train, *task.test) for g in (p.input, p.output) if g is not None]


@pytest.mark.parametrize("name", PLAIN)
def test_each_transformation_is_what_its_name_says(name):
    rng = np.random.default_rng(1)
    for _ in range(10):
        grid = as_grid(rng.integers(0, 10, rng.integers(1, 16, 2)))
        result = by_name()[name].apply_grid(grid)
        assert np.array_equal(result, PLAIN[name](grid))
        assert grid_key(as_grid(result)) == grid_key(result) and not result.flags.writeable


def test_the_list_is_the_papers_in_one_order_with_one_translation():
    names = [t.name for t in transforms(np.random.default_rng(0))]
    assert len(names) == 23 and set(names) == {*PLAIN, "translate"}
    assert names == [t.name for t in transforms(np.random.default_rng(7))]
    assert transforms(np.random.default_rng(3)) == transforms(np.random.default_rng(3))


def test_translation_always_moves_wraps_and_draws_every_shift():
    shifts = {by_name(seed)["translate"].shift for seed in range(400)}
    assert shifts == {(y, x) for y in range(1, MAX_SHIFT + 1) for x in range(1, MAX_SHIFT + 1)}
    grid = as_grid(np.arange(70).reshape(7, 10) % 10)
    for seed in range(20):
        translate = by_name(seed)["translate"]
        assert np.array_equal(translate.apply_grid(grid), np.roll(grid, translate.shift, (0, 1)))
        for shape in ((1, 2), (2, 1), (2, 2), (3, 4), (4, 2), (30, 30)):
            spot = np.zeros(shape, int)
            spot[0, 0] = 1
            moved = translate.apply_grid(as_grid(spot))
            assert moved.sum() == 1 and moved[0, 0] == 0


@pytest.mark.parametrize("inputs, outputs", [(True, True), (True, False), (False, True)])
def test_every_pair_is_transformed_alike_on_the_wanted_sides(inputs, outputs):
    task = random_task(np.random.default_rng(2))
    for transform in by_name().values():
        if transform.name == "translate":
            transform = dataclasses.replace(transform, shift=(1, 1))  # cut short in no grid of this task
        result = transform.apply(task, inputs=inputs, outputs=outputs)
        assert result.id == "t" and len(result.train) == 3 and len(result.test) == 2
        for old, new in zip((*task.train, *task.test), (*result.train, *result.test)):
            for before, after, wanted in ((old.input, new.input, inputs), (old.output, new.output, outputs)):
                if before is None:
                    assert after is None
                else:
                    assert grid_key(after) == grid_key(transform.apply_grid(before) if wanted else before)


def test_a_shift_that_is_cut_short_in_some_grids_is_refused():
    wide, narrow = as_grid(np.arange(40).reshape(5, 8) % 10), as_grid(np.arange(10).reshape(5, 2) % 10)
    shift = dataclasses.replace(by_name()["translate"], shift=(2, 3))
    alike, mixed = Task("t", (Pair(wide, wide),), (Pair(wide),)), Task("t", (Pair(wide, narrow),), (Pair(wide),))
    assert shift.apply(alike) is not None and shift.apply(mixed) is None
    assert shift.apply(mixed, outputs=False) is not None and shift.apply(mixed, inputs=False) is not None
    assert dataclasses.replace(shift, shift=(2, 1)).apply(mixed) is not None  # cut short nowhere


def test_none_exactly_where_a_wanted_grid_would_exceed_thirty():
    rng = np.random.default_rng(4)
    seen = {True: 0, False: 0}
    for _ in range(30):
        task = random_task(rng, 17)
        for name, plain in PLAIN.items():
            fits = all(max(plain(g).shape) <= 30 for g in grids_of(task))
            assert (by_name()[name].apply(task) is not None) == fits
            seen[fits] += 1
    assert min(seen.values()) > 50
    large, small = as_grid(np.zeros((16, 1), int)), as_grid([[1]])
    lopsided = Task("t", (Pair(small, large),), (Pair(small),))
    scale = by_name()["scale"]
    assert scale.apply(lopsided) is None and scale.apply(lopsided, inputs=False) is None
    assert scale.apply(lopsided, outputs=False).train[0].input.shape == (2, 2)
