"""Operations from image to image: pure, deterministic, well-formed and alive on random images; hand-made examples of each."""


import numpy as np
import pytest

from solution.arc.task import MAX_SIDE
from solution.program.operations import ON_IMAGES, figure_moves, figures, lines
from solution.program.vocabulary import DIRECTIONS, IMAGE, Image, operations_of, steps

OPERATIONS = operations_of(*ON_IMAGES)
NAMED = {op.name: op for op in OPERATIONS}
COLOURS = (1, 2, 3)


def image(rows: str, y: int = 0, x: int = 0) -> Image:
    """An image of rows of digits, apart by spaces; a dot is empty."""
    return Image(np.array([[int(c) for c in row.replace(".", "0")] for row in rows.split()], np.uint8), y, x)


def rows(result: Image | None) -> str | None:
    return result and " ".join("".join(map(str, row)).replace("0", ".") for row in result.cells.tolist())


EXAMPLES = [
    # forms: operation, constants, before, after
    ("turn", (1,), "12. ..3", ".3 2. 1."),
    ("crop", (), "... .1. .2. ...", "1 2"),
    ("crop", (), "12 .1", None),
    ("peel", (), "555 512 555", "1"),
    ("half", ("up",), "12 34 56", "12"),
    ("half", ("right",), "12345", "45"),
    ("third", ("down",), "1 2 3", "3"),
    ("third", ("left",), "11522533", "11"),
    ("middle_third", ("columns",), "11522533", "22"),
    ("middle_third", ("rows",), "1 2 3", "2"),
    ("middle_third", ("rows",), "1 2 3 4", None),
    ("quarter", ("up",), "12 34", "2"),
    ("quarter", ("left",), "152 555 354", "1"),
    ("scale", (2,), "12", "1122 1122"),
    ("scale_by_colours", (), "12 2.", "1122 1122 22.. 22.."),
    ("shrink", (), "1122 1122 ..33 ..33", "12 .3"),
    ("shrink", (), "112 112", None),
    ("smallest_tile", (), "12121 34343 12121", "12 34 12"),
    ("smallest_tile", (), "1212 3434 1212 3434", "12 34"),
    ("tile", (2,), "12", "1212 1212"),
    ("repeat", ("rows", 3), "12", "12 12 12"),
    ("repeat", ("columns", 2), "12", "1212"),
    ("mirror_join", ("right",), "12", "1221"),
    ("mirror_join", ("up",), "1 2", "2 1 1 2"),
    ("mirror_four", (), "12 34", "1221 3443 3443 1221"),
    ("turn_four", (), "12 34", "1231 3442 2443 1321"),
    ("border", (5,), "12", "5555 5125 5555"),
    ("double_canvas", ("down",), "12", "12 .."),
    ("double_canvas", ("left",), "12", "..12"),
    ("space_out", (), "12 34", "1.2 ... 3.4"),
    ("every_second", (), "1.2 ... 3.4", "12 34"),
    ("fractal", (), "1. 11", "1... 11.. 1.1. 1111"),
    ("fractal_of_empty", (), "1. 11", "..1. ..11 .... ...."),
    ("fractal_of_inverse", (), "1. 11", ".1.. .... .1.1 ...."),
    ("fractal_of_inverse", (), "1. 12", None),
    ("fractal_of_majority", (), "21 11", "..21 ..11 2121 1111"),
    ("squeeze", (), "1122 1122 3344", "12 34"),
    ("drop_empty_lines", (), "1.2 ... 3.4", "12 34"),
    ("drop_separators", (), "152 555 354", "12 34"),
    ("keep_separators", (), "152 555 354", ".5. 555 .5."),
    ("roll", ("down",), "1 2 3", "3 1 2"),
    ("roll", ("left",), "123", "231"),
    ("shift", ("down",), "1 2 3", ". 1 2"),
    ("shift", ("left",), "123", "23."),
    ("sort_lines", ("rows",), "11. 1.. 111", "1.. 11. 111"),
    ("sort_lines", ("columns",), "2.1 2..", ".12 ..2"),
    ("triangle", ("up",), "111 111 111", "111 .11 ..1"),
    ("triangle", ("down",), "111 111 111", "1.. 11. 111"),
    ("triangle", ("left",), "111 111 111", "111 11. 1.."),
    ("triangle", ("right",), "111 111 111", "..1 .11 111"),
    # colours, fills, lines, completion
    ("keep_colour", (1,), "12 .1", "1. .1"),
    ("drop_colour", (1,), "12 .1", ".2 .."),
    ("paint", (3,), "12 .1", "33 .3"),
    ("fill_empty", (3,), "12 .1", "12 31"),
    ("keep_most_frequent", (), "12 .1", "1. .1"),
    ("keep_most_frequent", (), "12 ..", None),
    ("keep_least_frequent", (), "12 .1", ".2 .."),
    ("swap_two", (), "112 .23", "221 .13"),
    ("invert", (), "1. .1", ".1 1."),
    ("invert", (), "12 .1", None),
    ("empty_background", (), "888 818 888", "... .1. ..."),
    ("exchange_background", (), "88. 818", "..8 .1."),
    ("line_majority", ("rows",), "112 323 12.", "111 333 ..."),
    ("take_from_side", ("left",), "2.55 .55. 355.", "2.22 .55. 333."),
    ("fill_holes", (4,), ".11. 1..1 .11. ....", ".11. 1441 .11. ...."),
    ("fill_sealed_holes", (4,), ".11. 1..1 .11.", None),
    ("fill_sealed_holes", (4,), "111 1.1 111", "111 141 111"),
    ("keep_holes", (4,), "111 1.1 111", "... .4. ..."),
    ("fill_outside", (4,), ".11. 1..1 .11.", "4114 1..1 4114"),
    ("fill_holes_around", (), "1112 1.12 1112", "1112 1112 1112"),
    ("fill_holes_around", (), "111 1.2 111", "111 1.2 111"),
    ("flood", (1,), "1.2. ..2.", "112. 112."),
    ("draw_frame", (5,), "123 123 123", "555 525 555"),
    ("checkered", (), "111 111", "1.1 .1."),
    ("extend", ("down",), "1.. .2. ... 3..", "1.. 12. 12. 32."),
    ("extend", ("left",), ".1.2", "1122"),
    ("extend_over", ("right",), ".1.2.", ".1111"),
    ("extend_both_ways", ("rows",), ".1. .2. ...", "111 222 ..."),
    ("extend_both_ways", ("columns",), "... .1. .2.", ".1. .1. .2."),
    ("cross", (), "... .1. ...", ".1. 111 .1."),
    ("cross", (), "1.. ... ..2", "11. 1.2 .22"),
    ("ray", ("up",), "... ... 1..", "..1 .1. 1.."),
    ("ray", ("right",), "1... .... ....", "1... .1.. ..1."),
    ("ray", ("down",), "..1 ... ...", "..1 .1. 1.."),
    ("ray", ("left",), "... .2. ..1", "2.. .2. ..1"),
    ("rays", (), "... .1. ...", "1.1 .1. 1.1"),
    ("connect", ("rows",), "1.12 2..2 1...", "1112 2222 1..."),
    ("connect", ("columns",), "1.1 ... 1.2", "1.1 1.. 1.2"),
    ("connect_both", (), "1.1 ... 1.2", "111 1.. 1.2"),
    ("connect_diagonals", (), "1..2 .... .... 2..1", "1..2 .12. .21. 2..1"),
    ("gravity", ("down",), "12 .3 1.", ".. 12 13"),
    ("gravity", ("left",), ".1.2", "12.."),
    ("outline", (5,), ".... .1.. ....", "555. 515. 555."),
    ("outline_sides", (5,), ".... .1.. ....", ".5.. 515. .5.."),
    ("grow_sides", (), "1..2 ....", "1122 1..2"),
    ("grow_sides", (), "1.2", "1.2"),
    ("grow", (), "... .1. ...", "111 111 111"),
    ("erode_sides", (), ".1. 112 .1.", "... .1. ..."),
    ("erode", (), ".1. 112 .1.", "... ... ..."),
    ("hollow", (), "111 111 111", "111 1.1 111"),
    ("paint_interior", (2,), "111 111 111", "111 121 111"),
    ("keep_isolated", (), "1... ..22", "1... ...."),
    ("drop_isolated", (), "1... ..22", ".... ..22"),
    ("keep_ends", (), "1111 ...1", "1... ...1"),
    ("keep_with_neighbours", (2,), "1111 ...1", ".111 ...."),
    ("denoise", (), "111 121 111", "111 111 111"),
    ("denoise", (), "... .2. ...", "... ... ..."),
    ("continue_lines", ("down",), "12 34 12 .. ..", "12 34 12 34 12"),
    ("continue_lines", ("right",), "12...", "12121"),
    ("complete_period", (), "12121 343.3 1..21 34343", "12121 34343 12121 34343"),
    ("complete_symmetry", (5,), "1.. 23.", "1.1 232"),
    ("complete_symmetry", (1,), "12 .. ..", None),
    ("complete_all_symmetries", (), "1.. ... ...", "1.1 ... 1.1"),
    ("complete_mirror", ("columns",), "1221. 3443. 1.... .....", "1221. 3443. 1..1. ....."),
    # figures
    ("keep_largest", (), "11. ... 2.1", "11. ... ..."),
    ("keep_largest", (), "1.. .1. 2.2", "1.. .1. ..."),
    ("keep_largest_sides", (), "1..1 .1.1", "...1 ...1"),
    ("keep_largest_mixed", (), "123. ...4 .... 11..", "123. ...4 .... ...."),
    ("crop_largest", (), "11.2 21.. ...3", "11 .1"),
    ("crop_largest", (), "1.2", None),
    ("crop_largest_mixed", (), "11.2 21.. ...3", "11 21"),
    ("drop_largest", (), "11. ... 2.1", "... ... 2.1"),
    ("paint_largest", (5,), "11. ... 2.1", "55. ... 2.1"),
    ("keep_smallest", (), "11. ... 2.1", "... ... 2.1"),
    ("crop_smallest", (), "11.. ...2", "2"),
    ("paint_smallest", (5,), "11.. ...2", "11.. ...5"),
    ("paint_one_cell", (5,), "11.. ...2", "11.. ...5"),
    ("keep_at_edge", (), "11.. .... ..2. ....", "11.. .... .... ...."),
    ("drop_at_edge", (), "11.. .... ..2. ....", ".... .... ..2. ...."),
    ("paint_at_edge", (5,), "11.. .... ..2. ....", "55.. .... ..2. ...."),
    ("keep_with_hole", (), "111.2 1.1.2 11122", "111.. 1.1.. 111.."),
    ("keep_with_hole", (), "11111. 1...1. 1.2.1. 1...1. 111113", "11111. 1...1. 1...1. 1...1. 11111."),
    ("drop_with_hole", (), "111.2 1.1.2 11122", "....2 ....2 ...22"),
    ("paint_with_hole", (5,), "111.2 1.1.2 11122", "555.2 5.5.2 55522"),
    ("keep_filled_boxes", (), "11.2 1122", "11.. 11.."),
    ("paint_filled_boxes", (5,), "11.2 1122", "55.2 5522"),
    ("keep_mirrored", (), ".2...1. 222..11", ".2..... 222...."),
    ("drop_mirrored", (), ".2...1. 222..11", ".....1. .....11"),
    ("paint_mirrored", (5,), ".2...1. 222..11", ".5...1. 555..11"),
    ("keep_common_shape", (), "11.. .... 22.3 .... ..22", "11.. .... 22.. .... ..22"),
    ("keep_own_shape", (), "1.2 ... .11", "... ... .11"),
    ("paint_own_shape", (5,), "1.2 ... .11", "1.2 ... .55"),
    ("crop_own_shape", (), "12.12. ...... 2.1...", None),
    ("crop_own_shape", (), "12.21. ...... 2.....", "2"),
    ("crop_own_colour", (), "1.1.. ..... .22.. 1....", "22"),
    ("keep_inside", (), "11111. 1...1. 1.2.1. 1...1. 111113", "...... ...... ..2... ...... ......"),
    ("drop_inside", (), "11111. 1...1. 1.2.1. 1...1. 111113", "11111. 1...1. 1...1. 1...1. 111113"),
    ("paint_inside", (5,), "11111. 1...1. 1.2.1. 1...1. 111113", "11111. 1...1. 1.5.1. 1...1. 111113"),
    ("keep_upright", (), "1.22 1...", "1... 1..."),
    ("keep_lying", (), "1.22 1...", "..22 ...."),
    ("keep_nearest", ("up",), "1... ..2.", "1... ...."),
    ("keep_nearest", ("right",), "..1. .... ..2.", None),
    ("keep_nearest", ("right",), "1... .... ..2.", ".... .... ..2."),
    ("colour_by_rank", (), "55.5 .... 555.", "22.3 .... 111."),
    ("colour_by_size", (), "55.5 .... 555.", "22.1 .... 333."),
    ("take_mark", (), "112.22 11..22", "222.22 22..22"),
    ("take_majority", (), "112.22 11..21", "111.22 11..22"),
    ("move", ("down",), "11. .2. ... 3..", "... ... 11. 32."),
    ("move", ("right",), "11. ... 2..", ".11 ... ..2"),
    ("move", ("down",), "222 2.2 .1. ... ...", "... ... ... 222 212"),
    ("move_mixed", ("up",), "... 12. ..3 4..", "12. 4.3 ... ..."),
    ("move_colour", (1, "right"), "1..2. 11... 2....", "..12. ..11. 2...."),
    ("fill_boxes", (), "1.1 1.. 111", "111 111 111"),
    ("fill_boxes_with", (5,), "12. 1.. 11.", "12. 15. 11."),
    ("frame_boxes", (5,), "..... .12.. ..... .....", "5555. 5125. 5555. ....."),
    ("centre_cells", (), "111.. 1.1.. 111.2", "..... .1... ....2"),
    ("paint_centres", (5,), "111.. 1.1.. 111.2", "111.. 151.. 111.2"),
    ("first_cells", (), ".1.2 11.2", ".1.2 ...."),
    ("centre_lines", ("rows",), "1.... 11... 1....", "1.... 11111 1...."),
    ("centre_lines", ("columns",), "111 ... ...", "111 .1. .1."),
    ("cross_from_single", (), "22.. .... ..1. ....", "221. ..1. 1111 ..1."),
    ("mirror_beside", ("right",), "1.... 12...", "1..1. 1221."),
    ("repeat_to_edge", ("right",), "12... .....", "12121 ....."),
    ("repeat_spaced", ("down",), "1 . . . .", "1 . 1 . 1"),
    ("count_figures", (), "11.2 .... 3..1", "1231"),
    ("figure_colours_by_size", ("columns",), "11.2 .... 333.", "3 1 2"),
    ("colours_by_cells", ("rows",), "1.2 .2. 223", None),
    ("colours_by_cells", ("rows",), "112 22. 223", "213"),
    ("colours_by_figures", ("rows",), "1.1 ... 222", "12"),
    ("histogram", (), "112 22. 2.3", "2222 11.. 3..."),
]  # fmt: skip


def random_images(rng) -> list[Image]:
    """Sparse, dense, boxes, outlines, symmetric, periodic, noisy, with separators; single cells, the largest, empty ones."""
    images = [image("."), image("1"), image(". . ."), Image(np.zeros((MAX_SIDE, MAX_SIDE), np.uint8))]
    for number in range(150):
        height, width = rng.integers(1, 16, 2) if number % 15 else (MAX_SIDE, MAX_SIDE)
        cells = rng.integers(0, 4, (height, width)) * (rng.random((height, width)) < rng.choice([0.05, 0.2, 0.5, 1.0]))
        kind = number % 8
        if kind in (1, 2):  # boxes, filled or not
            cells = cells * (rng.random() < 0.3)
            for _ in range(rng.integers(1, 6)):
                (y, x), (tall, wide) = rng.integers(0, 12, 2), rng.integers(1, 7, 2)
                cells[y : y + tall, x : x + wide] = rng.integers(1, 4)
                if kind == 2:
                    cells[y + 1 : y + tall - 1, x + 1 : x + wide - 1] = 0
        elif kind == 3:
            cells = np.maximum(cells, cells[:, ::-1])
        elif kind == 4:
            period = rng.integers(1, 4, 2)
            cells = rng.integers(1, 4, period)[np.arange(height)[:, None] % period[0], np.arange(width) % period[1]]
            cells = cells * (rng.random((height, width)) < 0.9)
        elif kind == 5:
            cells = np.full((height, width), 3)
            cells[rng.random((height, width)) < 0.1] = 1
        elif kind == 6:
            cells[:, width // 2] = cells[height // 2] = 2
        images.append(Image(cells.astype(np.uint8), *rng.integers(0, 5, 2).tolist()))
    return images


IMAGES = random_images(np.random.default_rng(0))


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_pure_deterministic_well_formed(op):
    changes = False
    for step in steps([op], COLOURS):
        for before in IMAGES:
            key = before.key
            result = step(before)
            assert before.key == key
            figures._figures.cache_clear()
            again = step(before)
            assert (result is None) == (again is None)
            if result is None:
                continue
            assert isinstance(result, Image) and result.key == again.key
            assert isinstance(result.y, int) and isinstance(result.x, int)
            assert min(result.y - before.y, result.x - before.x) >= 0
            assert result.cells.dtype == np.uint8 and result.cells.ndim == 2 and result.cells.flags.c_contiguous
            assert 0 < min(result.cells.shape) <= max(result.cells.shape) <= MAX_SIDE and result.cells.max() < 10
            changes |= result.key != before.key
    assert changes, "never changes anything"


def test_names_and_meanings():
    assert len(NAMED) == len(OPERATIONS)
    for module in ON_IMAGES:
        for op in operations_of(module):
            assert getattr(module, op.name) is op and (op.takes, op.gives) == (IMAGE, IMAGE)
            assert op.meaning and "\n" not in op.meaning and op.meaning.endswith(".") and len(op.meaning) < 110
    assert not NAMED.keys() - {name for name, *_ in EXAMPLES}


@pytest.mark.parametrize("name, constants, before, after", EXAMPLES, ids=lambda v: str(v)[:40])
def test_example(name, constants, before, after):
    assert rows(NAMED[name].function(image(before), *constants)) == after


def test_parts_know_their_place():
    whole = image("...... .11... .1.2.. ......", 3, 4)
    for name, constants, place in (
        ("crop", (), (4, 5)),
        ("peel", (), (4, 5)),
        ("half", ("right",), (3, 7)),
        ("quarter", ("right",), (5, 7)),
        ("crop_largest", (), (4, 5)),
        ("crop_smallest", (), (5, 7)),
        ("paint", (2,), (3, 4)),
    ):
        result = NAMED[name].function(whole, *constants)
        assert (result.y, result.x) == place, name


def reference_fall(cells: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`fallen` one step at a time: every figure that nothing holds goes down a cell, until none does."""
    while True:
        free = set(range(1, labels.max() + 1))
        before = None
        while before != free:
            before = set(free)
            for y, x in np.argwhere(labels):
                below = labels[y + 1, x] if y + 1 < len(labels) else -1
                if below and below != labels[y, x] and below not in free:
                    free.discard(int(labels[y, x]))
        if not free:
            return cells
        falling = np.isin(labels, list(free))
        new_cells, new_labels = cells * ~falling, labels * ~falling
        ys, xs = falling.nonzero()
        new_cells[ys + 1, xs], new_labels[ys + 1, xs] = cells[ys, xs], labels[ys, xs]
        cells, labels = new_cells, new_labels


def test_move_equals_one_step_at_a_time():
    rng = np.random.default_rng(1)
    for _ in range(40):
        cells = (rng.integers(1, 4, (7, 7)) * (rng.random((7, 7)) < 0.4)).astype(np.uint8)
        found = figures.figures_of(Image(cells))
        moved = figure_moves.move.function(Image(cells), "down")
        assert found is None or np.array_equal(moved.cells, reference_fall(cells, found.labels))


def test_rays_equal_walks():
    rng = np.random.default_rng(2)
    steps_of = {"up": (-1, 1), "right": (1, 1), "down": (1, -1), "left": (-1, -1)}
    for direction in DIRECTIONS:
        for _ in range(10):
            cells = (rng.integers(1, 4, (6, 9)) * (rng.random((6, 9)) < 0.2)).astype(np.uint8)
            expected = cells.copy()
            for y, x in np.argwhere(cells):
                colour, (dy, dx) = cells[y, x], steps_of[direction]
                while 0 <= y + dy < 6 and 0 <= x + dx < 9 and not cells[y + dy, x + dx]:
                    y, x = y + dy, x + dx
                    expected[y, x] = colour
            assert np.array_equal(lines.ray.function(Image(cells), direction).cells, expected)


def test_figures_equal_a_search():
    rng = np.random.default_rng(3)
    sides = ((0, 1), (1, 0), (0, -1), (-1, 0))
    corners = ((1, 1), (1, -1), (-1, 1), (-1, -1))
    for kind, around in ((figures.ONE, sides + corners), (figures.SIDES, sides), (figures.MIXED, sides + corners)):
        for _ in range(20):
            cells = (rng.integers(1, 4, (6, 7)) * (rng.random((6, 7)) < 0.6)).astype(np.uint8)
            labels, number = np.zeros((6, 7), int), 0
            for start in map(tuple, np.argwhere(cells)):
                if labels[start]:
                    continue
                number += 1
                labels[start], waiting = number, [start]
                while waiting:
                    y, x = waiting.pop()
                    for place in ((y + dy, x + dx) for dy, dx in around):
                        if 0 <= place[0] < 6 and 0 <= place[1] < 7 and cells[place] and not labels[place]:
                            if kind == figures.MIXED or cells[place] == cells[y, x]:
                                labels[place] = number
                                waiting.append(place)
            found = figures.figures_of(Image(cells), kind)
            assert np.array_equal(found.labels, labels)
            assert np.array_equal(found.sizes, np.bincount(labels.ravel())[1:])
