"""Views: what each symmetry is, and that whatever a view does can be undone and joined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from solution.arc.task import Pair, Task, as_grid, grid_key
from solution.arc.view import IDENTITY_COLOURS, SYMMETRIES, View, apply_symmetry, random_colours, random_order

unhurried = settings(deadline=None, max_examples=60)

PLAIN = {
    "identity": lambda g: g,
    "rot90": lambda g: np.rot90(g, 1),
    "rot180": lambda g: np.rot90(g, 2),
    "rot270": lambda g: np.rot90(g, 3),
    "transpose": np.transpose,
    "flip_lr": np.fliplr,
    "antitranspose": lambda g: np.flipud(np.fliplr(g)).T,
    "flip_ud": np.flipud,
}

grids = hnp.arrays(np.uint8, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.integers(0, 9)).map(as_grid)
small_grids = hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.integers(0, 9)).map(as_grid)
DEMONSTRATIONS = 4


def views(order=True):
    orders = st.none() | st.permutations(range(DEMONSTRATIONS)).map(tuple) if order else st.none()
    return st.builds(View, st.integers(0, 7), st.permutations(range(10)).map(tuple), orders)


tasks = st.builds(
    Task,
    st.just("t"),
    st.tuples(*[st.builds(Pair, small_grids, small_grids)] * DEMONSTRATIONS),
    st.tuples(st.builds(Pair, small_grids), st.builds(Pair, small_grids, small_grids)),
)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_a_symmetry_is_what_its_name_says(name):
    probe = as_grid(np.arange(6).reshape(2, 3))
    expected = PLAIN[name](probe)
    index = SYMMETRIES.index(name)
    assert np.array_equal(apply_symmetry(probe, index), expected)
    assert np.array_equal(View(index).apply_grid(probe), expected)


def test_the_eight_symmetries_differ():
    probe = as_grid(np.arange(6).reshape(2, 3))
    assert len({grid_key(View(k).apply_grid(probe)) for k in range(8)}) == len(SYMMETRIES) == 8


@unhurried
@given(grids, views())
def test_restore_undoes_apply_and_both_give_proper_grids(grid, view):
    shown = view.apply_grid(grid)
    assert grid_key(view.restore(shown)) == grid_key(grid)
    for result in (shown, view.restore(shown)):
        assert grid_key(as_grid(result)) == grid_key(result) and not result.flags.writeable
    swaps = SYMMETRIES[view.symmetry] in ("rot90", "rot270", "transpose", "antitranspose")
    assert shown.shape == (grid.shape[::-1] if swaps else grid.shape)


@unhurried
@given(grids, views(order=False))
def test_colours_go_where_the_view_sends_them(grid, view):
    plain = PLAIN[SYMMETRIES[view.symmetry]](grid)
    assert all(view.colours[old] == new for old, new in zip(plain.ravel(), view.apply_grid(grid).ravel()))


@unhurried
@given(tasks, views(), views())
def test_then_equals_one_after_the_other(task, first, second):
    assert first.then(second).apply(task) == second.apply(first.apply(task))


@unhurried
@given(tasks, views())
def test_inverse_undoes_whole_tasks_on_either_side(task, view):
    assert view.inverse().apply(view.apply(task)) == task
    assert view.apply(view.inverse().apply(task)) == task


def test_order_names_the_original_index_and_unknown_outputs_stay_unknown():
    pairs = tuple(Pair(as_grid([[i]]), as_grid([[i + 5]])) for i in range(3))
    shown = View(order=(2, 0, 1)).apply(Task("t", pairs, (Pair(as_grid([[9]])),)))
    assert [int(p.input[0, 0]) for p in shown.train] == [2, 0, 1] and [int(p.output[0, 0]) for p in shown.train] == [7, 5, 6]
    assert shown.id == "t" and shown.test[0].output is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"symmetry": 8},
        {"symmetry": -1},
        {"colours": IDENTITY_COLOURS[:9]},
        {"colours": (0, 0, *range(2, 10))},
        {"colours": tuple(range(1, 11))},
        {"order": (0, 2)},
        {"order": (0, 0, 1)},
        {"order": (1, 2)},
    ],
)
def test_a_view_that_could_not_be_undone_is_refused(arguments):
    with pytest.raises(ValueError):
        View(**arguments)


def test_an_order_of_another_length_than_the_task_is_refused():
    task = Task("t", (Pair(as_grid([[1]]), as_grid([[1]])),) * 2, (Pair(as_grid([[1]])),))
    with pytest.raises(ValueError, match="orders 3 demonstrations, task t has 2"):
        View(order=(0, 1, 2)).apply(task)


def test_random_parts_are_fresh_valid_and_repeatable():
    rng = np.random.default_rng(0)
    kept = [random_colours(rng) for _ in range(50)]
    free = [random_colours(rng, keep_zero=False) for _ in range(50)]
    orders = [random_order(rng, 4) for _ in range(50)]
    for colours, order in zip(kept + free, orders * 2):
        View(colours=colours, order=order)
    assert all(c[0] == 0 for c in kept) and any(c[0] != 0 for c in free)
    assert len(set(kept)) > 40 and len(set(orders)) > 10
    assert random_colours(np.random.default_rng(0)) == kept[0]
