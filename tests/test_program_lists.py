"""The operations that make lists of images and work on lists: laws that all keep, and examples by hand."""

from functools import cache

import numpy as np
import pytest

from solution.finetune.generators import scenes
from solution.program.operations import ON_LISTS, splits
from solution.program.operations import members as facts
from solution.program.operations.splits import MAX_MEMBERS
from solution.program.vocabulary import DIRECTIONS, IMAGE, LIST, Image, operations_of, steps

SPLITS = operations_of(splits)
OPERATIONS = operations_of(splits, *ON_LISTS)
NAMED = {op.name: op for op in OPERATIONS}
COLOURS = range(1, 10)
NUM_SCENES = 100
LISTS_PER_SCENE = 4


# Random scenes


def made_image(cells: np.ndarray, y: int = 0, x: int = 0) -> Image:
    return Image(np.array(cells, np.uint8, order="C"), y, x)


def with_shapes(rng) -> np.ndarray:
    """Blobs, rectangles, frames and single cells; some repeated, some in two colours."""
    grid = scenes.blank(*scenes.sides(rng, 5, 14))
    colours = scenes.pick_colours(rng, 3)
    sprites = []
    for _ in range(rng.integers(2, 7)):
        kind = rng.integers(5)
        height, width = scenes.sides(rng, 2, 4)
        if kind == 0 and sprites:
            sprite = scenes.painted(sprites[0] != 0, rng.choice(colours))
        elif kind == 1:
            sprite = scenes.painted(scenes.box_outline(height + 1, width + 1), rng.choice(colours))
        elif kind == 2:
            sprite = scenes.painted(np.ones((height, width), bool), rng.choice(colours))
        elif kind == 3:
            sprite = scenes.painted(np.ones((1, 1), bool), rng.choice(colours))
        else:
            shape = scenes.blob(rng, 6, diagonal=True)
            sprite = np.where(shape, rng.choice(np.array(colours, np.uint8), shape.shape), np.uint8(0))
        scenes.place(rng, grid, sprite, gap=int(rng.integers(2)))
        sprites.append(sprite)
    return grid


def with_panels(rng) -> np.ndarray:
    """Panels of one size between lines of one colour, one panel repeated; sometimes without the lines."""
    down, right = ((1, 2), (2, 2), (3, 3), (3, 1), (1, 4))[rng.integers(5)]
    height, width = scenes.sides(rng, 2, 4)
    line, *colours = scenes.pick_colours(rng, 3)
    panels = [scenes.noise(rng, height, width, colours) for _ in range(down * right)]
    panels[-1] = panels[0]
    gap = int(rng.integers(2))
    grid = scenes.blank(down * (height + gap) - gap, right * (width + gap) - gap, line)
    for number, panel in enumerate(panels):
        row, column = number // right * (height + gap), number % right * (width + gap)
        grid[row : row + height, column : column + width] = panel
    return grid


def with_units(rng) -> np.ndarray:
    """A small unit laid out with empty blocks, or noise in which every second scene has symmetric parts."""
    unit = scenes.noise(rng, *scenes.sides(rng, 1, 3), scenes.pick_colours(rng, 2), 0.7)
    if rng.integers(2):
        return np.kron(rng.integers(0, 2, scenes.sides(rng, 2, 4)), unit).astype(np.uint8)
    noise = scenes.noise(rng, *scenes.sides(rng, 2, 7), scenes.pick_colours(rng, 3), 0.5)
    return np.hstack((noise, noise[:, ::-1])) if rng.integers(2) else noise


@cache
def pictures() -> tuple[Image, ...]:
    rng = np.random.default_rng(0)
    make = (with_shapes, with_shapes, with_panels, with_units)
    extremes = (np.zeros((1, 1)), np.ones((1, 1)), np.zeros((30, 30)), np.full((30, 30), 3), np.eye(30) * 2, np.ones((1, 30)))
    some = [make[k % 4](rng) for k in range(NUM_SCENES)]
    return tuple(made_image(g, *(int(v) for v in rng.integers(0, 4, 2))) for g in (*some, *extremes))


@cache
def collections() -> tuple[tuple[Image, ...], ...]:
    """Lists cut from the scenes, each split used about equally often; and lists that no split gives."""
    choices = list(steps(SPLITS, (1, 5)))
    found = []
    for number, image in enumerate(pictures()):
        order = np.random.default_rng(number).permutation(len(choices))
        results = [r for r in (choices[k](image) for k in order) if r]
        found += results[:LISTS_PER_SCENE]
    found += [tuple(reversed(f)) for f in found[::7]]
    empty, small = made_image(np.zeros((3, 3))), made_image(np.ones((1, 2)), 28, 28)
    found += [(empty,), (small,), (empty, small), (small,) * 30, (made_image(np.ones((30, 30)), 0, 30), empty)]
    return tuple(tuple(made_image(m.cells, m.y, m.x) for m in members) for members in found)


def keys(value) -> tuple:
    return (value.key,) if isinstance(value, Image) else tuple(m.key for m in value)


def assert_image(image) -> None:
    assert isinstance(image, Image) and type(image.y) is int and type(image.x) is int
    cells = image.cells
    assert cells.dtype == np.uint8 and cells.ndim == 2 and cells.flags.c_contiguous
    assert 1 <= cells.shape[0] <= 30 and 1 <= cells.shape[1] <= 30 and cells.max() <= 9


# Laws


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_operation_keeps_the_laws(op):
    changes = 0
    for value in pictures() if op.takes is IMAGE else collections():
        before = keys(value)
        for step in steps([op], COLOURS if len(before) < 6 else (1, 5)):
            result = step(value)
            assert keys(value) == before
            if result is None:
                continue
            if op.gives is IMAGE:
                assert_image(result)
            else:
                assert type(result) is tuple and 1 <= len(result) <= MAX_MEMBERS
                for member in result:
                    assert_image(member)
            again = step(value)
            assert keys(again) == keys(result)
            changes += keys(result) != before
    assert changes, "no scene that it changes"


def test_names_and_meanings():
    assert len(NAMED) == len(OPERATIONS)
    for op in OPERATIONS:
        assert op.meaning.endswith(".") and "\n" not in op.meaning and len(op.meaning) < 100
        assert op.gives is LIST or op.takes is LIST


@pytest.mark.parametrize("op", SPLITS, ids=lambda op: op.name)
def test_splits_give_parts_at_their_places_in_reading_order(op):
    drawn = op.name in ("holes", "empty_rectangles")  # what they give shows where the picture is empty
    for image in pictures():
        for step in steps([op], (1, 5)):
            members = step(image) or ()
            assert op.name == "colour_layers" or [(m.y, m.x) for m in members] == sorted((m.y, m.x) for m in members)
            for m in members:
                there = image.part(m.y - image.y, m.x - image.x, *m.cells.shape).cells
                assert there.shape == m.cells.shape
                assert (there[m.cells != 0] == (0 if drawn else m.cells[m.cells != 0])).all()


@pytest.mark.parametrize("name", ["objects", "loose_objects", "figures", "tight_figures", "colour_layers", "colour_crops"])
def test_splits_by_colour_and_connection_lose_nothing(name):
    for image in pictures():
        members = NAMED[name].function(image)
        if members:
            canvas = np.zeros_like(image.cells)
            for m in members:
                scenes.draw(canvas, m.cells, m.y - image.y, m.x - image.x)
            assert np.array_equal(canvas, image.cells)
            assert sum(facts.size(m) for m in members) == np.count_nonzero(image.cells)


@pytest.mark.parametrize(
    "name, how",
    [("objects", {}), ("loose_objects", {"diagonal": True}), ("figures", {"diagonal": True, "by_colour": False}),
     ("tight_figures", {"by_colour": False})],
)  # fmt: skip
def test_connection_is_that_of_the_plain_search(name, how):
    for image in pictures():
        expected = scenes.objects(image.cells, **how)
        members = NAMED[name].function(image) or ()
        if len(expected) <= MAX_MEMBERS:
            plain = {(o.row + image.y, o.column + image.x, o.colours.shape, o.colours.tobytes()) for o in expected}
            assert set(keys(members)) == plain and len(members) == len(expected)
        else:
            assert not members


def test_slide_is_that_of_the_plain_search():
    """Against moving one cell at a time."""
    for members in collections():
        for direction, (down, right) in DIRECTIONS.items():
            result = NAMED["slide"].function(members, direction)
            if result is None:
                continue
            top, left, bottom, end = facts.frame(members)
            taken, expected = set(), {}
            for i in sorted(range(len(members)), key=lambda i: -facts.end(members[i], direction)):
                m = members[i]
                body = {(m.y + r, m.x + c) for r, c in np.argwhere(m.cells).tolist()}
                n = 0
                while True:
                    ahead = {(r + down, c + right) for r, c in body}
                    if ahead & taken or not all(top <= r < bottom and left <= c < end for r, c in ahead):
                        break
                    body, n = ahead, n + 1
                taken |= body
                expected[i] = (m.y + n * down, m.x + n * right)
            assert [(m.y, m.x) for m in result] == [expected[i] for i in range(len(members))]


# Examples by hand


def I(rows: str, y: int = 0, x: int = 0) -> Image:  # noqa: E743
    """An image of rows of digits, "/" between; "." is empty."""
    return made_image([[int(c) for c in row] for row in rows.replace(".", "0").split("/")], y, x)


A, B, C = I("11/1."), I("2", 0, 4), I("33/3.", 3, 2)
RING, BOX, DOT = I("111/1.1/111"), I("222/222", 0, 4), I("4", 4, 1)
TWO = (I("12/.."), I("1./.3", 0, 3))
SPREAD = (I("1"), I("22", 0, 2), I("3", 0, 7))

EXAMPLES = [
    ("colour_layers", (), I(".2/12", 1, 1), [I(".2/.2", 1, 1), I("../1.", 1, 1)]),
    ("colour_crops", (), I(".2./12./..1"), [I("2/2", 0, 1), I("1../..1", 1, 0)]),
    ("colour_boxes", (), I(".2./12./..1"), [I("2/2", 0, 1), I("12./..1", 1, 0)]),
    ("objects", (), I("11./..1/2..", 0, 2), [I("11", 0, 2), I("1", 1, 4), I("2", 2, 2)]),
    ("loose_objects", (), I("11./..1/2.."), [I("11./..1"), I("2", 2, 0)]),
    ("figures", (), I("12../..3./..../5..."), [I("12./..3"), I("5", 3, 0)]),
    ("tight_figures", (), I("12./..3"), [I("12"), I("3", 1, 2)]),
    ("object_boxes", (), I("11./1.3/11."), [I("11/1./11"), I("3", 1, 2)]),
    ("object_boxes", (), I("111/121/111"), [I("111/121/111"), I("2", 1, 1)]),
    ("figure_boxes", (), I("1..3/1.../1111"), [I("1..3/1.../1111"), I("3", 0, 3)]),
    ("rectangles", (), I("11.3/11.."), [I("11/11"), I("3", 0, 3)]),
    ("rectangles", (), I("11./1.."), None),
    ("framed_parts", (), I("1111/12.1/1111"), [I("2.", 1, 1)]),
    ("framed_parts", (), I("111/111/111"), None),
    ("framed_parts", (), I("111/1.1/11."), None),
    ("holes", (), I("1111/1..2/1111"), [I("11", 1, 1)]),
    ("holes", (), I("111/1../111"), None),
    ("empty_rectangles", (5,), I("1..1/1..2/1111/.111"), [I("55/55", 0, 1), I("5", 3, 0)]),
    ("surroundings", (2,), I("2.1./...1/..12"), [I("2./.."), I(".1/12", 1, 2)]),
    ("surroundings", (1,), I("11"), None),
    ("panels", (), I("1.5.2/55555/..53."), [I("1."), I(".2", 0, 3), I("..", 2, 0), I("3.", 2, 3)]),
    ("panels", (), I("123/456"), None),
    ("panels_along", ("rows",), I("1./55/.2"), [I("1."), I(".2", 2, 0)]),
    ("panels_along", ("columns",), I("1./55/.2"), None),
    ("equal_parts", ("columns", 2), I("1252"), [I("12"), I("52", 0, 2)]),
    ("equal_parts", ("columns", 2), I("12513"), [I("12"), I("13", 0, 3)]),
    ("equal_parts", ("rows", 3), I("1/2/3"), [I("1"), I("2", 1, 0), I("3", 2, 0)]),
    ("equal_parts", ("rows", 3), I("1/2"), None),
    ("square_parts", (2,), I("12/34"), [I("1"), I("2", 0, 1), I("3", 1, 0), I("4", 1, 1)]),
    ("lines", ("rows",), I("12/34"), [I("12"), I("34", 1, 0)]),
    ("lines", ("columns",), I("12/34"), [I("1/3"), I("2/4", 0, 1)]),
    ("unit_blocks", (), I("12../..12"), [I("12"), I("12", 1, 2)]),
    ("unit_blocks", (), I("12/21"), None),
    ("most_cells", (), (A, B), A),
    ("most_cells", (), (A, C), None),
    ("most_cells", (), (B, A, A), A),
    ("fewest_cells", (), (A, B, C), B),
    ("most_colours", (), TWO + (DOT,), None),
    ("most_colours", (), (TWO[0], DOT), TWO[0]),
    ("fewest_colours", (), (TWO[0], DOT), DOT),
    ("largest_box", (), (A, RING), RING),
    ("smallest_box", (), (A, RING), A),
    ("most_holes", (), (BOX, RING), RING),
    ("most_holes", (), (I("11111/1.1.1/11111"), RING), I("11111/1.1.1/11111")),
    ("fewest_holes", (), (BOX, RING), BOX),
    ("tallest", (), (BOX, RING), RING),
    ("widest", (), (A, BOX), BOX),
    ("first", (), (A, B), A),
    ("last", (), (A, B), B),
    ("furthest", ("down",), (A, B, C), C),
    ("furthest", ("up",), (A, B, C), None),
    ("furthest", ("right",), (A, B, C), B),
    ("furthest", ("left",), (A, B, C), A),
    ("unlike_in_shape", (), (A, B, C), B),
    ("unlike_in_shape", (), (A, B), None),
    ("unlike_in_colours", (), (A, RING, C), C),
    ("unlike_in_size", (), (A, B, C), B),
    ("unlike_in_symmetry", (), (A, B, C), B),
    ("unlike_in_symmetry", (), (A, B, RING), A),
    ("only_symmetric", (), (A, B), B),
    ("only_symmetric", (), (B, DOT, A), None),
    ("only_asymmetric", (), (A, B), A),
    ("most_frequent", (), (B, A, I("11/1.", 5, 5)), A),
    ("most_frequent", (), (A, B), None),
    ("most_frequent", (), (A, A, B, B), None),
    ("only_off_edge", (), (I("1"), I("2", 1, 1), I("3", 2, 2)), I("2", 1, 1)),
    ("only_with", (3,), (A, B, C), C),
    ("only_with", (1,), (A, A, C), None),
    ("overlay", (), (I("11", 1, 1), I("2", 1, 2), I("3", 2, 3)), I("12./..3", 1, 1)),
    ("overlay", (), (I("1"), I("2", 30, 0)), None),
    ("underlay", (), (I("11", 1, 1), I("2", 1, 2), I("3", 2, 3)), I("11./..3", 1, 1)),
    ("pile", (), TWO, I("12/.3")),
    ("pile", (), (A, B), None),
    ("in_all", (), (I("12/.1"), I("33/..")), I("12/..")),
    ("common_part", (), TWO, I("1./..")),
    ("common_part", (), (I("12"), I("13"), I("12")), I("1.")),
    ("in_exactly_one", (), TWO, I(".2/.3")),
    ("in_exactly_one", (), (I("1."), I("1."), I("11")), I(".1")),
    ("in_odd_number", (), (I("12.."), I("33.1"), I("4...")), I("1..1")),
    ("in_none", (7,), TWO, I("../7.")),
    ("join_in_row", (), (A, C), I("1133/1.3.")),
    ("join_in_row", (), (A, B), None),
    ("join_in_column", (), (I("12", 1, 3), I("3.")), I("12/3.", 1, 3)),
    ("join_in_square", (), tuple(map(I, "1234")), I("12/34")),
    ("join_in_square", (), tuple(map(I, "123")), None),
    ("join_in_layout", (), (I("12"), I("34", 2, 0), I("56", 4, 0)), I("12/34/56")),
    ("join_in_layout", (), (I("4", 3, 3), I("1"), I("2", 0, 3), I("3", 3, 0)), I("12/34")),
    ("join_in_layout", (), (I("1"), I("2", 1, 1)), None),
    ("colours_row", (), (A, B, C), I("123")),
    ("colours_column", (), (A, B, I("33.4")), I("1/2/3")),
    ("colours_row_by_size", (), (B, A, RING), I("112")),
    ("colours_column_by_size", (), (B, A, RING), I("1/1/2")),
    ("colours_layout", (), (I("11"), I("2", 0, 5), I("3.", 4, 5)), I("12/.3")),
    ("colours_layout", (), (I("1"), I("2")), None),
    ("count_row", (8,), (A, B, C), I("888")),
    ("sort_by_cells", (), (A, B, C), [B, A, C]),
    ("sort_by_box", (), (RING, A, B), [B, A, RING]),
    ("sort_by_place", (), (C, B, A), [A, B, C]),
    ("sort_along", ("right",), (A, B, C), [A, C, B]),
    ("sort_along", ("left",), (A, B, C), [B, C, A]),
    ("sort_along", ("up",), (A, B, C), [C, A, B]),
    ("in_reverse", (), (A, B), [B, A]),
    ("keep_repeated_shapes", (), (A, B, C), [A, C]),
    ("keep_repeated_shapes", (), (A, B), None),
    ("keep_single_shapes", (), (A, B, C), [B]),
    ("keep_different", (), (A, B, I("11/1.", 7, 7)), [A, B]),
    ("keep_outermost", (), (I("1"), I("2", 1, 1), I("3", 2, 2)), [I("1"), I("3", 2, 2)]),
    ("keep_inner", (), (I("1"), I("2", 1, 1), I("3", 2, 2)), [I("2", 1, 1)]),
    ("keep_holed", (), (A, RING), [RING]),
    ("keep_solid", (), (A, RING), [A]),
    ("keep_holed", (), (I("111/1../111"),), None),
    ("keep_single_cells", (), (A, B, DOT), [B, DOT]),
    ("keep_several_cells", (), (A, B, DOT), [A]),
    ("keep_symmetric", (), (A, B, RING), [B, RING]),
    ("keep_asymmetric", (), (A, B, RING), [A]),
    ("keep_frequent_colour", (), (A, B, RING), [A, RING]),
    ("keep_frequent_colour", (), (A, B), None),
    ("keep_rare_colour", (), (A, B, RING), [B]),
    ("keep_rare_colour", (), (A, B, RING, C), None),
    ("keep_of_colour", (1,), (A, B, RING), [A, RING]),
    ("drop_fewest_cells", (), (A, B, C), [A, C]),
    ("drop_most_cells", (), (A, B, RING), [A, B]),
    ("drop_most_cells", (), (A, C), None),
    ("crop_each", (), (I("../.1", 2, 2), I("..")), [I("1", 3, 3)]),
    ("recolour_each", (6,), (A, TWO[0]), [I("66/6."), I("66/..")]),
    ("recolour_alike", (), (A, B), [A, I("1", 0, 4)]),
    ("recolour_alike", (), (A, C), None),
    ("recolour_in_main", (), (I("112"),), [I("111")]),
    ("recolour_by_rank", (), (B, A, C), [I("2", 0, 4), I("11/1."), I("11/1.", 3, 2)]),
    ("recolour_like_twin", (), (I("55/5."), I("5", 9, 9), C, B), [I("33/3."), I("2", 9, 9), C, B]),
    ("recolour_like_twin", (), (A, C), None),
    ("recolour_like_twin", (), (I("5"), I("5", 0, 2), I("5", 0, 4), I("1", 2, 0), I("2", 2, 2)), None),
    ("fill_boxes_each", (), (A, I("1.2/1..")), [I("11/11"), I("112/111")]),
    ("fill_holes_each", (), (RING, A, I("333./3.../333.")), [I("111/111/111"), A, I("333./3.../333.")]),
    ("turn_each", (2,), (A, TWO[1]), [I(".1/11"), I("3./.1", 0, 3)]),
    ("turn_each", (5,), (A, I("12", 1, 0)), [I("11/.1"), I("21", 1, 0)]),
    ("interior_each", (), (I("1111/1121/1111"), A), [I("..../.12./....")]),
    ("outline_each", (), (I("1111/1121/1111"), A), [I("1111/1..1/1111"), A]),
    ("trim_each", (), (I("1111/1.21/1111", 1, 1), A), [I(".2", 2, 2)]),
    ("largest_group_each", (), (I("1.2/..2"), I("1.1")), [I("2/2", 0, 2)]),
    ("slide", ("down",), (A, I("2", 4, 0), I("3", 5, 3)), [I("11/1.", 3, 0), I("2", 5, 0), I("3", 5, 3)]),
    ("slide", ("left",), (I("1", 0, 2), I("22/.2", 0, 4), I("3", 1, 0)), [I("1"), I("22/.2", 0, 1), I("3", 1, 0)]),
    ("slide", ("right",), (I("1.1"), I("1", 0, 1)), [I("1.1"), I("1", 0, 1)]),
    ("slide", ("up",), (I("1", 0, 0), I("2", 3, 0)), [I("1"), I("2", 1, 0)]),
    ("slide", ("up",), (I("1"), I("2")), None),
    ("align", ("down",), (A, I("2", 3, 3)), [I("11/1.", 2, 0), I("2", 3, 3)]),
    ("align", ("left",), (A, I("2", 3, 3)), [A, I("2", 3, 0)]),
    ("distribute", ("columns",), SPREAD, [I("1"), I("22", 0, 3), I("3", 0, 7)]),
    ("distribute", ("columns",), SPREAD[:2], None),
    ("distribute", ("rows",), (I("1"), I("2", 3, 5), I("3", 4, 1)), [I("1"), I("2", 2, 5), I("3", 4, 1)]),
    ("distribute", ("rows",), (I("1"), I("2", 3, 5), I("3", 5, 1)), None),
]  # fmt: skip


@pytest.mark.parametrize("name, constants, before, after", EXAMPLES)
def test_example(name, constants, before, after):
    result = NAMED[name].function(before, *constants)
    if after is None:
        assert result is None
    else:
        assert result is not None
        assert keys(result) == keys(after if isinstance(after, Image) else tuple(after))


def test_every_operation_has_an_example():
    assert {name for name, _, _, after in EXAMPLES if after is not None} == set(NAMED)
