"""Rules that re-create scored tasks: the search finds planted ones in any view, the guard's list is well formed and obeyed."""

import numpy as np
import pytest

from solution.arc.task import Pair, frozen
from solution.arc.view import View, random_colours
from solution.finetune.composer.program import (
    CONSTANTS,
    OPERATIONS,
    Constant,
    Input,
    Program,
    Type,
    sample_program,
    single_operations,
)
from solution.finetune.forbidden import forbids_rule, recreated, rule_name
from solution.finetune.generators.family import family
from solution.finetune.guard import HELD_OUT, HELD_OUT_CLEAN, Guard
from solution.finetune.recreated import (
    KEEPS_SHAPE,
    KINDS,
    Scored,
    matching_programs,
    programs_of,
    scored_tasks,
    search,
    tasks_of,
    transformations_of,
    trials_of,
)

NAMED = {o.name: o for o in OPERATIONS}
PLAIN = View()


def tree(name, *arguments) -> Program:
    """A program; constants are given by their values."""
    operation = NAMED[name]
    leaves = (a if isinstance(a, Input | Program) else Constant(t, a) for a, t in zip(arguments, operation.takes))
    return Program(operation, tuple(leaves))


def random_grids(seed: int, count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [frozen(rng.choice([0, 0, 1, 2], rng.integers(2, 8, 2))) for _ in range(count)]


def planted(rule, seed: int = 0, view: View = PLAIN, colours=(0, 0, 1, 2, 3)) -> Scored:
    """Four pairs of a rule on random grids, in a view."""
    rng, pairs = np.random.default_rng(seed), []
    while len(pairs) < 4:
        grid = frozen(rng.choice(colours, rng.integers(4, 7, 2)))
        output = rule(grid)
        if output is not None:
            pairs.append(view.apply_pair(Pair(grid, frozen(output))))
    return Scored("planted", "00000000", tuple(sorted(pairs, key=lambda p: p.input.size)))


def random_view(seed: int, keep_zero: bool = False) -> View:
    rng = np.random.default_rng(seed)
    return View(int(rng.integers(8)), random_colours(rng, keep_zero=keep_zero))


# The search


@pytest.mark.parametrize(
    "program",
    [
        tree("drop_empty_lines", Input()),
        tree("replace_colour", Input(), 1, 5),
        tree("outline", Input(), 7),
        tree("mirror_four", Input()),
    ],
    ids=str,
)
def test_a_single_operation_is_found_in_any_view(program):
    for seed in range(3):
        assert rule_name(program) in programs_of(planted(program, seed, random_view(seed)), 1)


@pytest.mark.parametrize(
    "program",
    [
        tree("turn", tree("outline", Input(), 5), "rot90"),
        tree("recolour", tree("choose", tree("objects", Input()), "largest"), 5),
        tree("draw_mask", tree("empty_lines", Input()), 4),
    ],
    ids=str,
)
def test_programs_of_several_operations_are_found(program):
    view = View(0, random_colours(np.random.default_rng(0), keep_zero=True))
    assert rule_name(program) in programs_of(planted(program, view=view), 3)


def test_programs_are_searched_as_a_loop_over_all_would():
    for grid in random_grids(seed=3, count=12):
        for goal in single_operations((1, 2))[::7]:
            output = goal(grid)
            if output is not None:
                right = {
                    str(p) for p in single_operations((1, 2)) if (made := p(grid)) is not None and np.array_equal(made, output)
                }
                found = {str(p) for p in matching_programs(Pair(grid, frozen(output)), [1, 2], 1)}
                assert right <= found and str(goal) in found


def test_operations_said_to_keep_the_shape_keep_it():
    rng, seen = np.random.default_rng(0), set()
    for name in sorted(KEEPS_SHAPE):
        for _ in range(12):
            program = sample_program(rng, (1, 2), NAMED[name])
            parts = [p for p in program.parts() if isinstance(p, Program) and p.operation.name == name]
            for grid in random_grids(seed=int(rng.integers(99)), count=6):
                first = parts[0].arguments[0]
                value, result = grid if isinstance(first, Input) else first(grid), parts[0](grid)
                if result is not None:
                    assert result.shape == getattr(value, "grid", value).shape, name
                    seen.add(name)
    assert len(seen) > 25


def test_transformations_and_colour_maps_are_found():
    colours = np.array([3, 5, 5, 1, 4, 2, 6, 7, 8, 9], np.uint8)
    assert "colour map" in transformations_of(planted(lambda g: colours[g], view=random_view(1)))
    assert "tile" in transformations_of(planted(lambda g: np.tile(g, (2, 2)), view=random_view(2)))
    assert "translate_1_2" in transformations_of(planted(lambda g: np.roll(g, (1, 2), (0, 1))))
    assert not [*transformations_of(planted(lambda g: np.concatenate((g[:1], g[1:, ::-1]))))]


@family("Cells beside a coloured cell of one colour take another.")
def shadows(rng):
    body, paint = rng.permutation(np.arange(1, 10))[:2]

    def scene(rng):
        return rng.choice([0, 0, body], rng.integers(4, 7, 2)).astype(np.uint8)

    def rule(grid):
        if grid.max() > 9 or body not in grid:
            raise KeyError(body)  # as a family may, on inputs that it never shows
        beside = np.zeros(grid.shape, bool)
        beside[:, 1:] = grid[:, :-1] == body
        return np.where(beside & (grid == 0), np.uint8(paint), grid)

    return scene, rule


def test_a_family_is_found_in_any_view_and_colours():
    rule = shadows.make(np.random.default_rng(5))[1]
    body, paint = (int(c) for c in np.random.default_rng(5).permutation(np.arange(1, 10))[:2])
    task = planted(rule, view=random_view(4), colours=(0, 0, body))
    other = planted(lambda g: np.where(g == 0, np.uint8(paint), g), 1, colours=(0, 0, body))
    assert tasks_of(shadows, trials_of([task]), 40) == {("planted", "00000000")}
    assert not tasks_of(shadows, trials_of([other]), 40)
    rows = [*search([task], ("family",), 1, 40, families=(shadows,))]
    assert rows == [("planted", "00000000", "family", "shadows")]


# The list


def test_the_list_names_scored_tasks_and_rules():
    ids = Guard.standard_pairs().keys()
    for row in recreated():
        assert row.set in ("arc-agi-1/evaluation", "arc-agi-2/evaluation", "held-out") and row.kind in KINDS
        assert row.task in ids and (row.set != "held-out" or row.task in HELD_OUT)
    assert len({*recreated()}) == len(recreated()) and [*recreated()] == sorted(recreated())


def test_held_out_tasks_that_a_rule_recreates_are_not_clean():
    assert {*HELD_OUT_CLEAN} == {*HELD_OUT} - {row.task for row in recreated()}
    assert not {"67a3c6ac", "b1948b0a", "ded97339"} & {*HELD_OUT_CLEAN} and 30 <= len(HELD_OUT_CLEAN) < 60


def test_forbidden_rules_are_known_in_all_colours():
    colours = CONSTANTS[Type.COLOUR]
    assert all(forbids_rule(tree("fill_empty", Input(), c)) for c in colours)
    assert all(forbids_rule(tree("replace_colour", Input(), a, b)) for a in colours for b in colours if a != b)
    assert forbids_rule(tree("turn", Input(), "flip_lr")) and not forbids_rule(tree("turn", Input(), "rot90"))
    assert not forbids_rule("no family of this name")
    assert all(forbids_rule(row.rule) for row in recreated() if row.kind == "family")
    program = tree("recolour_all", tree("swap_colours", Input(), 4, 2), 4)
    assert rule_name(program) == "recolour_all(swap_colours(input, A, B), A)"
    assert rule_name(tree("roll", Input(), "down", 2)) == "roll(input, down, 2)"


@pytest.mark.slow
def test_the_list_holds_what_a_new_search_finds():
    """A rule that is new here re-creates a scored task: `python -m solution.finetune.recreated --write` adds it."""
    assert {*search(scored_tasks(), KINDS, 1, 4)} <= {*recreated()}
