"""Composed tasks: pure and typed operations, well-typed programs, each filter, and kept tasks checked again by plain code."""

from functools import cache

import numpy as np
import pytest

from solution.arc.task import Pair, frozen
from solution.finetune.composer import compose as composer
from solution.finetune.composer.cell_operations import COMBINE
from solution.finetune.composer.compose import FILTERS, Evidence, compose, sample
from solution.finetune.composer.operations import TOWARDS, Objects, Type
from solution.finetune.composer.program import (
    CONSTANTS,
    OPERATIONS,
    SERVE,
    SIZES,
    Constant,
    Input,
    Program,
    sample_program,
    shortened,
    varied,
)
from solution.finetune.composer.scenes import Canvas, full_boxes, lines_and_dots, symmetric_picture, two_panels
from solution.finetune.composer.suited import (
    AFTER,
    BEFORE,
    DRAWING,
    GROUPS,
    GROWTH,
    SCENES,
    TAKE_COMPUTED,
    WAY,
    can_be,
    drawn_colours,
    growth,
    is_chain,
    is_single,
    operations_in,
    reads_well,
    suitable_scenes,
)
from solution.finetune.generators.family import is_grid, pair_tokens

NAMED = {o.name: o for o in OPERATIONS}
KINDS = [kind for kinds in SCENES.values() for kind in kinds]
CANVAS = Canvas(fixed=False, square=False, room=150)
CELLS = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)]


def tree(name, *arguments) -> Program:
    """A program; arguments that are no programs are constants."""
    takes = NAMED[name].takes
    return Program(NAMED[name], tuple(a if isinstance(a, (Input, Program)) else Constant(t, a) for a, t in zip(arguments, takes)))


def random_grid(rng, colours=4, high=9):
    values = rng.integers(0, colours, rng.integers(2, high, 2)).astype(np.uint8)
    return frozen(np.where(rng.random(values.shape) < 0.5, values, 0))


def copied(value):
    if isinstance(value, Objects):
        return [value.grid.copy(), *((o.row, o.column, o.cells.copy(), o.colours.copy()) for o in value.members)]
    return value.copy() if isinstance(value, np.ndarray) else value


def same(a, b) -> bool:
    if isinstance(a, Objects):
        a, b = copied(a), copied(b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b) and getattr(a, "dtype", None) == getattr(b, "dtype", None)


def has_type(value, wanted: Type) -> bool:
    if wanted is Type.GRID:
        return value.dtype == np.uint8 and is_grid(value)
    if wanted is Type.MASK:
        return value.dtype == bool and value.ndim == 2 and max(value.shape) <= 30
    if wanted in (Type.OBJECTS, Type.SOME, Type.OBJECT):
        cells = sum(o.mask(value.grid).astype(int) for o in value.members)
        return len(value.members) >= 1 and cells.max() == 1 and (wanted is not Type.OBJECT or len(value.members) == 1)
    return type(value) is int and 1 <= value <= (9 if wanted is Type.COLOUR else 900)


def evaluated(program, grid, seen: set):
    """What a program makes of a grid, without a cache; asserts that every operation on the way is pure, typed, repeatable."""
    if isinstance(program, Input):
        return grid
    if isinstance(program, Constant):
        return program.value
    arguments = [evaluated(a, grid, seen) for a in program.arguments]
    if any(a is None for a in arguments):
        return None
    before = [copied(a) for a in arguments]
    first, second = program.operation(*arguments), program.operation(*arguments)
    assert all(same(copied(a), b) for a, b in zip(arguments, before)), program.operation.name
    if first is None:
        assert second is None
        return None
    seen.add(program.operation.name)
    assert has_type(first, program.operation.gives), program
    assert same(first, second), program
    return first


def test_operations_have_names_and_meanings():
    assert 45 <= len(OPERATIONS) == len(NAMED) <= 70
    for operation in OPERATIONS:
        assert operation.meaning.endswith(".") and "\n" not in operation.meaning
        assert operation.takes and operation.gives not in CONSTANTS.keys() - {Type.COLOUR}


def test_tables_name_what_there_is():
    assert GROUPS.keys() <= NAMED.keys() and all(groups <= SCENES.keys() for groups in GROUPS.values())
    assert WAY.keys() == {o.name for o in OPERATIONS if o.gives is Type.GRID}
    assert all(Type.GRID in NAMED[n].takes for n in AFTER) and all(names <= WAY.keys() for names in BEFORE.values())
    assert all(NAMED[n].takes[-1] is Type.COLOUR for n in DRAWING) and GROWTH.keys() <= NAMED.keys()
    assert all(n in NAMED for names in TAKE_COMPUTED.values() for n in names)


def test_operations_are_pure_and_typed():
    """Every operation, in random programs on random grids and scenes; every one applies somewhere."""
    rng, seen = np.random.default_rng(0), set()
    for operation in OPERATIONS:
        for _ in range(20):
            program = sample_program(rng, (1, 2, 3), operation)
            for grid in (random_grid(rng), frozen(KINDS[rng.integers(len(KINDS))](rng, [1, 2, 3], CANVAS)(rng))):
                result = evaluated(program, grid, seen)
                assert same(program(grid), result) if result is not None else program(grid) is None
                assert result is None or not np.shares_memory(result, grid) or not result.flags.writeable
    assert seen == NAMED.keys()


def naive(name, grid, *arguments):
    """Some operations again, cell by cell."""
    height, width = grid.shape
    inside = lambda r, c: 0 <= r < height and 0 <= c < width  # noqa: E731
    at = lambda r, c: int(grid[r, c]) if inside(r, c) else 0  # noqa: E731
    result = grid.copy()
    for r in range(height):
        for c in range(width):
            around = [at(r + i, c + j) for i, j in CELLS if (i, j) != (0, 0)]
            if name == "outline" and not grid[r, c] and any(around):
                result[r, c] = arguments[0]
            if name == "hollow" and all(around):
                result[r, c] = 0
            if name == "drop_single_cells" and not any(around):
                result[r, c] = 0
            if name == "extend":
                down, right = TOWARDS[arguments[0]]
                i, j = r, c
                while inside(i, j) and not grid[i, j]:
                    i, j = i - down, j - right
                result[r, c] = at(i, j)
            if name == "fill_holes" and not grid[r, c]:
                reached = {(r, c)}
                for _ in range(grid.size):
                    steps = [(i + a, j + b) for i, j in reached if inside(i, j) for a, b in TOWARDS.values()]
                    reached |= {(i, j) for i, j in steps if not at(i, j)}
                if all(inside(i, j) for i, j in reached):
                    result[r, c] = arguments[0]
            if name == "grow" and not grid[r, c]:
                near = {at(r + a, c + b) for a, b in TOWARDS.values()} - {0}
                if len(near) > 1:
                    return None
                result[r, c] = max(near, default=0)
    if name == "gravity":
        down, right = TOWARDS[arguments[0]]
        for _ in range(height + width):
            for r in range(height):
                for c in range(width):
                    if result[r, c] and inside(r + down, c + right) and not result[r + down, c + right]:
                        result[r + down, c + right], result[r, c] = result[r, c], 0
    return None if not result.any() or np.array_equal(result, grid) else result


@pytest.mark.parametrize("name", ["outline", "hollow", "drop_single_cells", "extend", "fill_holes", "grow", "gravity"])
def test_operations_against_loops(name):
    rng, applied = np.random.default_rng(1), 0
    for _ in range(60):
        grid = random_grid(rng, colours=int(rng.integers(2, 4)), high=6)
        if name in ("hollow", "fill_holes"):  # they ask for dense grids
            grid = frozen(np.where(rng.random(grid.shape) < 0.75, np.maximum(grid, 1), 0))
        arguments = {"outline": [5], "fill_holes": [5], "extend": [str(rng.choice(list(TOWARDS)))]}.get(name, [])
        arguments = [str(rng.choice(list(TOWARDS)))] if name == "gravity" else arguments
        expected, result = naive(name, grid, *arguments), NAMED[name](grid, *arguments)
        assert (expected is None) == (result is None) and (result is None or np.array_equal(expected, result))
        applied += result is not None
    assert applied >= 5


def test_objects_that_slide_keep_their_cells():
    rng = np.random.default_rng(2)
    for _ in range(100):
        grid = random_grid(rng, colours=3)
        things = NAMED["figures"](grid)
        for direction in TOWARDS if things else ():
            result = NAMED["slide"](things, direction)
            if result is not None:
                assert np.array_equal(np.bincount(result.ravel(), minlength=9), np.bincount(grid.ravel(), minlength=9))


def test_logic_of_halves():
    left, right = np.array([[1, 1], [0, 0]], np.uint8), np.array([[2, 0], [2, 0]], np.uint8)
    grid = frozen(np.concatenate((left, np.full((2, 1), 5), right), 1))
    for logic in COMBINE:
        expected = {"both": "1000", "either": "1110", "only_one": "0110", "neither": "0001", "only_first": "0100"}[logic]
        assert "".join(str(int(v)) for v in NAMED["halves"](grid, logic).ravel()) == expected


def check_types(program, wanted):
    if isinstance(program, Input):
        assert wanted in (Type.INPUT, Type.GRID)
    elif isinstance(program, Constant):
        assert program.type is wanted and program.value in CONSTANTS[wanted]
    else:
        assert program.type is wanted or program.type in SERVE.get(wanted, ())
        assert len(program.arguments) == len(program.operation.takes)
        for argument, taken in zip(program.arguments, program.operation.takes):
            check_types(argument, taken)


def test_programs_are_well_typed():
    rng, sizes, names = np.random.default_rng(0), set(), set()
    for _ in range(500):
        program = sample_program(rng)
        inner = [p for p in program.parts() if isinstance(p, Program)]
        check_types(program, Type.GRID)
        assert program.size == len(inner) == str(program).count("(") and str(program).startswith(program.operation.name)
        sizes.add(program.size)
        names |= {p.operation.name for p in inner}
        for other in (*shortened(program), *varied(program)):
            check_types(other, Type.GRID)
            assert other != program
        assert all(s.size < program.size for s in shortened(program)) and all(v.size == program.size for v in varied(program))
    assert sizes == SIZES.keys() and names == NAMED.keys()
    around = NAMED["halves"]
    assert all(around.name in str(sample_program(rng, (1, 2), around)) for _ in range(20))


def grids(*rows) -> list[np.ndarray]:
    """Grids out of texts: rows parted by spaces, a dot for 0."""
    return [frozen(np.array([[int(v.replace(".", "0")) for v in row] for row in text.split()])) for text in rows]


def evidence(program, *rows) -> Evidence:
    """The evidence of a program on inputs out of texts."""
    inputs = grids(*rows)
    return Evidence(program, tuple(Pair(g, frozen(program(g))) for g in inputs))


def shown(program, inputs, outputs) -> Evidence:
    """Evidence of pairs that need not come from the program."""
    return Evidence(program, tuple(map(Pair, grids(*inputs), grids(*outputs))))


PLAIN = ("12. .1. ..3", "1.2 ..3 .4.", "..1 12. 3..", "5.. 12. .4.")
"""Four inputs without symmetry, regularity or single colour."""

LARGEST = tree("cut_out", tree("choose", tree("objects", Input()), "largest"))

FILLED = tree("turn", tree("fill_holes", Input(), 5), "flip_lr")
OUTLINED = tree("turn", tree("outline", Input(), 5), "rot90")

KEPT_OR_NOT = {
    "outputs_differ_from_inputs": (
        evidence(tree("turn", Input(), "rot90"), *PLAIN),
        shown(tree("turn", Input(), "rot90"), ("12 34", "56 78", "1. .1"), ("24 13", "68 57", "1. .1")),
    ),
    "outputs_vary": (
        evidence(tree("turn", Input(), "rot90"), *PLAIN),
        evidence(tree("recolour_all", Input(), 4), "12. ...", "21. ...", "22. ...", "3.. 3.."),
    ),
    "outputs_are_worth_drawing": (
        evidence(tree("bar", tree("number_of_colours", Input()), 4), "123", "1234", "12345", "1.."),
        evidence(tree("bar", tree("number_of_colours", Input()), 4), "123", "1234", "12.", "1.."),
    ),
    "every_operation_acts": (
        evidence(tree("turn", tree("recolour_all", Input(), 5), "rot90"), *PLAIN),
        evidence(tree("recolour_all", tree("swap_colours", Input(), 1, 2), 5), *PLAIN[:3]),
    ),
    "steps_are_noticed": (
        evidence(FILLED, "111.. 1.1.. 1.1.. 111..", "1111. 1..1. 1111.", "222. 2.2. 222."),
        evidence(FILLED, "111.. 1.1.. 111..", "1111. 1..1. 1111.", "222. 2.2. 222."),
    ),
    "steps_repaint_little": (
        evidence(OUTLINED, "..... ..... 1....", "....2 ..... .....", "..... ..... ....3"),
        evidence(OUTLINED, "..... ..... 1....", "....2 ..... .....", "...3. .3... ....."),
    ),
    "constants_are_visible": (
        evidence(tree("roll", Input(), "right", 1), *PLAIN),
        evidence(LARGEST, "11. ... 3..", "1.. ... 22.", "4.. ..1 ..1"),
    ),
    "no_wrong_simple_rule": (
        evidence(tree("turn", tree("outline", Input(), 5), "rot90"), "..... .1...", "1... .... ...2", "2... ....", ".1.. ...."),
        evidence(tree("turn", tree("turn", Input(), "flip_lr"), "flip_ud"), *PLAIN),
    ),
    "input_matters": (
        evidence(tree("turn", Input(), "rot90"), *PLAIN),
        evidence(tree("bar", tree("number_of_colours", Input()), 4), "1122 1122 3333", "1122 1122 1122", "1144 2233 5566 5566"),
    ),
}


@pytest.mark.parametrize("filter_", FILTERS, ids=lambda f: f.__name__)
def test_filter_keeps_and_refuses(filter_):
    kept, refused = KEPT_OR_NOT[filter_.__name__]
    assert filter_(kept) and not filter_(refused)
    assert filter_.__doc__.strip()


def test_an_operation_must_act_in_every_pair():
    """A filter of objects that leaves out nothing in one of the pairs would be learnt from the others only."""
    program = tree("recolour_all", tree("drop_colour", Input(), 1), 5)
    pairs = evidence(program, *PLAIN[:3]).pairs
    plain = Pair(grids("..2 .3.")[0], grids("..5 .5.")[0])  # nothing of colour 1: recolouring alone gives this output
    assert composer.every_operation_acts(Evidence(program, pairs))
    assert not composer.every_operation_acts(Evidence(program, (*pairs, plain)))


def test_a_rule_that_misses_one_pair_is_refused():
    """The pair that is missed may be the one that is asked for."""
    program = tree("turn", Input(), "flip_lr")
    level = ("12. 12.", ".3. .3. .31", "..4 5.4 ..4", "1.. 22.")  # three of them symmetric up and down, as rot180 sees them
    assert not composer.no_wrong_simple_rule(evidence(program, level[0], "1.2 1.2", level[2], level[3]))
    assert composer.no_wrong_simple_rule(evidence(program, level[0], level[1], *PLAIN[1:3]))


@pytest.mark.parametrize("plain, kept", [(2, True), (3, False)])
def test_a_rule_that_many_demonstrations_leave_open_is_refused(plain, kept):
    """Of six pairs a rival may explain three: three demonstrations are then unlikely to be just those."""
    rows = ["1.2 1.3", "..4 3.4", "1.. 2..", "12. 34.", ".3. .31"]  # turned left to right
    level = ["12. 12.", "..4 ..4", "1.. 1..", "123 123"]  # symmetric up and down, as rot180 sees them
    inputs = [*level[: plain + 1], *rows[: 5 - plain]]
    assert composer.no_wrong_simple_rule(evidence(tree("turn", Input(), "flip_lr"), *inputs)) == kept


def test_whole_grids_may_be_turned_and_scaled():
    for program in (tree("turn", Input(), "rot180"), tree("scale", Input(), 2), tree("mirror_join", Input(), "right")):
        assert composer.steps_repaint_little(evidence(program, *PLAIN))


OBJECTS = tree("objects", Input())


@pytest.mark.parametrize(
    "program, good",
    [
        (tree("outline", tree("keep_colour", Input(), 1), 2), True),
        (tree("outline", tree("grow", Input()), 2), False),  # draws over what was drawn
        (tree("drop_colour", tree("extend", Input(), "up"), 2), False),  # removes what was drawn
        (tree("turn", tree("mirror_join", Input(), "up"), "flip_lr"), False),  # the same as another chain
        (tree("turn", tree("extend", Input(), "up"), "rot180"), False),  # the same as a line in the other direction
        (tree("border", tree("crop", Input()), 3), True),
        (tree("outline", Input(), tree("most_common", Input())), False),  # the new cells cannot be told from the old ones
        (tree("border", Input(), tree("most_common", Input())), True),
        (tree("tile", Input(), tree("number_of_colours", Input())), False),
        (tree("diagonal", tree("size_of", tree("choose", OBJECTS, "largest")), 3), False),
        (tree("recolour", tree("those", OBJECTS, "at_edge"), 3), True),
    ],
    ids=str,
)
def test_chains_that_can_be_read(program, good):
    assert reads_well(program) == good and reads_well(tree("scale", program, 2)) in (False, good)


def test_scenes_suit_what_looks_at_them():
    assert suitable_scenes(tree("hollow", Input())) == [full_boxes]
    assert suitable_scenes(tree("complete", Input(), "flip_lr")) == [symmetric_picture]
    assert suitable_scenes(tree("mirror_join", tree("stack_halves", Input()), "up")) == [two_panels]
    assert lines_and_dots in suitable_scenes(tree("recolour", tree("those", OBJECTS, "single_cell"), 3))
    gravity = suitable_scenes(tree("gravity", tree("keep_colour", Input(), 1), "down"))  # moves what is left of the input
    assert {k.__name__ for k in gravity} == {"dots", "loose_cells"}
    assert suitable_scenes(tree("paint", Input(), tree("unlike_mirror", Input(), "flip_lr"), 3)) == [symmetric_picture]
    assert suitable_scenes(tree("join", tree("drop_repeats", Input()), tree("complete", Input(), "flip_lr"), "up")) == []


def test_forms_of_programs():
    recolour, chosen = tree("recolour_all", Input(), 4), tree("choose", OBJECTS, "largest")
    assert is_single(recolour) and is_single(tree("frame", OBJECTS, 3)) and not is_chain(recolour)
    assert not is_single(tree("cut_out", chosen)) and not is_chain(tree("cut_out", chosen))
    assert not is_single(tree("recolour_all", Input(), tree("most_common", Input())))
    assert is_chain(tree("crop", tree("keep_colour", Input(), 1)))
    assert drawn_colours(tree("outline", tree("keep_colour", Input(), 1), 2)) == {2}
    assert drawn_colours(tree("replace_colour", tree("fill_holes", Input(), 4), 1, 5)) == {4, 5}
    assert growth(recolour) == 1 and growth(tree("scale", tree("mirror_four", Input()), 2)) == 16


def test_every_program_can_be_what_it_is():
    rng = np.random.default_rng(3)
    for _ in range(600):
        around = OPERATIONS[rng.integers(len(OPERATIONS))]
        program = sample_program(rng, (1, 2, 3), around)
        assert not reads_well(program) or can_be(around, is_single(program), is_chain(program)), program


def test_nearly_symmetric_grids_only():
    near, far = grids("123321 456654 12332.", "123456 456123 12332.")
    assert NAMED["unlike_mirror"](near, "flip_lr").sum() == 2 and NAMED["unlike_mirror"](far, "flip_lr") is None
    assert NAMED["complete"](near, "flip_lr")[2, 5] == 1 and NAMED["complete"](far, "flip_lr") is None


def test_crops_that_can_be_seen_only():
    small, large = grids("... .12 ...", "... 312 1.2")
    assert NAMED["crop"](small).tolist() == [[1, 2]] and NAMED["crop"](large).shape == (2, 3)
    assert NAMED["crop"](grids("1... .... ...2 ....")[0]) is None and NAMED["crop"](grids("12 34")[0]) is None


def test_canvas():
    rng, fixed, square, seen = np.random.default_rng(4), 0, 0, set()
    for _ in range(400):
        canvas = Canvas.drawn(rng, 700)
        size = canvas.sides(rng, 5, 20)
        drawn = [size(rng) for _ in range(4)]
        assert all(5 <= n <= 20 for pair in drawn for n in pair)
        assert len(set(drawn)) == 1 or not canvas.fixed
        assert all(h == w for h, w in drawn) or not canvas.square
        fixed, square, seen = fixed + canvas.fixed, square + canvas.square, seen | {h for h, _ in drawn}
    assert 170 <= fixed <= 230 and 190 <= square <= 250 and seen == {*range(5, 21)}
    small = Canvas(False, False, 60).sides(rng, 3, 20)
    assert all(h * (w + 1) <= 60 for h, w in (small(rng) for _ in range(50)))
    assert Canvas(False, True, 6).sides(rng, 5, 20)(rng)[0] >= 5  # too little room: the least that a scene needs


def test_colour_maps_are_refused_for_longer_programs():
    program = tree("replace_colour", tree("replace_colour", Input(), 1, 2), 3, 4)
    assert not composer.no_wrong_simple_rule(evidence(program, *PLAIN[:3]))
    assert composer.no_wrong_simple_rule(evidence(tree("swap_colours", Input(), 1, 2), "12. ..3", "1.. .2.", "2.1 3.."))


@cache
def composed(seeds: int = 60):
    return [compose(np.random.default_rng(seed), 4, 1000) for seed in range(seeds)]


def test_sampling_is_deterministic_and_sure():
    given = composed()
    assert sum(task is None for task in given) <= 1, "nearly every draw must give a task"
    for seed, task in enumerate(given[:20]):
        again = compose(np.random.default_rng(seed), 4, 1000)
        assert str(again.program) == str(task.program) and again.pairs == task.pairs and again.scene == task.scene
        assert sample(np.random.default_rng(seed), 4, 1000) == task.pairs


@pytest.mark.parametrize("count, max_tokens", [(3, 500), (6, 1600)])
def test_other_lengths(count, max_tokens):
    tasks = [sample(np.random.default_rng(seed), count, max_tokens) for seed in range(25)]
    assert sum(t is not None for t in tasks) >= 22
    assert all(len(t) == count and sum(map(pair_tokens, t)) <= max_tokens for t in tasks if t)


def replaced(program, path, new):
    if not path:
        return new
    arguments = list(program.arguments)
    arguments[path[0]] = replaced(arguments[path[0]], path[1:], new)
    return Program(program.operation, tuple(arguments))


def places(program, wanted=Type.GRID, path=()):
    """Every part of a program with the type asked for in its place and the way to it."""
    yield program, wanted, path
    if isinstance(program, Program):
        for index, argument in enumerate(program.arguments):
            yield from places(argument, program.operation.takes[index], (*path, index))


def test_kept_tasks_obey_the_filters():
    """All that the filters promise, again, by trying every shorter program, constant and symmetry on every pair."""
    for task in filter(None, composed()):
        program, pairs = task.program, task.pairs

        def right(other, pairs=pairs):
            made = [evaluated(other, p.input, set()) for p in pairs]
            return [m is not None and np.array_equal(m, p.output) for m, p in zip(made, pairs)]

        assert all(right(program))
        assert len(pairs) == len({p.key[0] for p in pairs}) == 4 and len({p.key[1] for p in pairs}) >= 3
        assert sum(map(pair_tokens, pairs)) <= 1000
        for pair in pairs:
            assert is_grid(pair.input) and is_grid(pair.output) and not np.array_equal(pair.input, pair.output)
            assert len(np.unique(pair.output)) > 1 or pair.output.size <= 16
        assert sum(p.output.size <= 2 for p in pairs) <= 1
        assert reads_well(program) and all(np.isin(p.input, [*drawn_colours(program)]).sum() == 0 for p in pairs)
        for part, wanted, path in places(program):
            if isinstance(part, Constant):
                for other in CONSTANTS[part.type]:
                    if other != part.value:
                        assert sum(right(replaced(program, path, Constant(part.type, other)))) <= 2, (str(program), other)
            for inner, _, below in places(part):
                fits = not isinstance(inner, Constant) and (inner.type is wanted or inner.type in SERVE.get(wanted, ()))
                if below and fits and wanted is not Type.INPUT:
                    assert not any(right(replaced(program, path, inner))), str(program)
        actions = [lambda g, k=k, t=t: np.rot90(g.T if t else g, k) for k in range(4) for t in (0, 1)]
        for action in actions:
            fits = sum(np.array_equal(action(p.input), p.output) for p in pairs)
            assert fits <= 2 or (program.size == 1 and fits == 4)
        if program.size > 1:
            for left_out in range(4):
                assert not is_recolouring([p for i, p in enumerate(pairs) if i != left_out]), str(program)


def is_recolouring(pairs) -> bool:
    image = {}
    for pair in pairs:
        if pair.input.shape != pair.output.shape:
            return False
        for before, after in zip(pair.input.ravel().tolist(), pair.output.ravel().tolist()):
            if image.setdefault(before, after) != after:
                return False
    return True


def test_variety():
    """Several hundred draws: many different programs, every operation, every kind of scene, every size."""
    tasks = [task for task in (compose(np.random.default_rng(seed), 4, 1000) for seed in range(450)) if task]
    parts = [p for task in tasks for p in operations_in(task.program)]
    assert len(tasks) >= 440 and len({str(t.program) for t in tasks}) >= 300
    assert {p.operation.name for p in parts} == NAMED.keys()
    assert {t.scene for t in tasks} == {k.__name__ for k in KINDS}
    assert {t.program.size for t in tasks} == SIZES.keys()
    assert sum(is_single(t.program) for t in tasks) <= 0.1 * len(tasks)
    shapes = [[p.input.shape for p in t.pairs] for t in tasks]
    assert 0.4 <= sum(len(set(s)) == 1 for s in shapes) / len(tasks) <= 0.62
    assert 0.5 <= sum(all(h == w for h, w in s) for s in shapes) / len(tasks) <= 0.75
