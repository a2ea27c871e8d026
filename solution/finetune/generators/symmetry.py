"""Families about symmetry: pictures that are completed, repaired, judged or cut by the mirrors and turns they obey."""

import numpy as np

from ...arc.view import apply_symmetry
from .family import family
from .scenes import blank, blob, canvas, draw, noise, objects, painted, pick_colour, pick_colours, place, scatter

LEFT_RIGHT, UP_DOWN, HALF_TURN, DIAGONAL, BOTH, QUARTERS = (0, 5), (0, 7), (0, 2), (0, 4), (0, 2, 5, 7), (0, 1, 2, 3)
"""Groups of symmetries, as indices for `apply_symmetry`; DIAGONAL and QUARTERS are for square pictures."""


def one_of(rng: np.random.Generator, options):
    """A random element of a sequence of anything."""
    return options[int(rng.integers(len(options)))]


def sides_for(rng: np.random.Generator, group, low: int, high: int) -> tuple[int, int]:
    """Height and width of a picture that can have the symmetries of a group."""
    return canvas(rng, low, high, square=group in (DIAGONAL, QUARTERS))


def symmetrised(picture: np.ndarray, group) -> np.ndarray:
    """A copy where every cell has the colour of the first of its images under a group of symmetries."""
    places = np.arange(picture.size).reshape(picture.shape)
    return picture.ravel()[np.min([apply_symmetry(places, g) for g in group], axis=0)]


def is_symmetric(picture: np.ndarray, group) -> bool:
    return all(np.array_equal(picture, apply_symmetry(picture, g)) for g in group[1:])  # the first is the identity


def revealed(grid: np.ndarray, hidden: int, group) -> np.ndarray | None:
    """The picture with its hidden cells taken from images of them that show; None where a cell has none."""
    whole = grid
    for symmetry in group:
        whole = np.where(whole == hidden, apply_symmetry(grid, symmetry), whole)
    return None if (whole == hidden).any() else whole


def cover(rng: np.random.Generator, picture: np.ndarray, colour: int, most: int) -> None:
    """Paint a random rectangle over a picture, at most `most` cells a side."""
    height, width = (int(rng.integers(1, min(most, side) + 1)) for side in picture.shape)
    row, column = int(rng.integers(picture.shape[0] - height + 1)), int(rng.integers(picture.shape[1] - width + 1))
    picture[row : row + height, column : column + width] = colour


def spoil(rng: np.random.Generator, picture: np.ndarray, count: int, colours) -> None:
    """Change `count` random cells of a picture, each to another of `colours`."""
    for place_number in rng.permutation(picture.size)[:count]:
        cell = np.unravel_index(place_number, picture.shape)
        picture[cell] = one_of(rng, [c for c in colours if c != picture[cell]])


def shape_of_kind(rng: np.random.Generator, kind: str, high: int = 3) -> np.ndarray:
    """A shape symmetric "across" (left-right), "along" (up-down), "both" ways, or one of "neither" (most of the time)."""
    for _ in range(8):
        shape = blob(rng, int(rng.integers(4, 7)), high, high)
        if kind != "neither":
            shape = shape | shape[:, ::-1]
        if kind == "along":
            shape = shape.T
        if kind == "both":
            shape = shape | shape[::-1]
        if (is_symmetric(shape, LEFT_RIGHT), is_symmetric(shape, UP_DOWN)) == (
            kind in ("across", "both"),
            kind in ("along", "both"),
        ):
            break
    return shape


@family("The cells on one side of the line are mirrored to the empty side beyond it.")
def mirror_across_line(rng):
    line, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    moves = rng.random() < 0.3
    ink = pick_colour(rng, (0, line)) if rng.random() < 0.3 else None
    density = rng.uniform(0.3, 0.7)

    def scene(rng):
        height, width = canvas(rng, 3, 8, (5, 11))
        axis = int(rng.integers(2, width - 2))
        grid = noise(rng, height, width, colours, density)
        grid[:, slice(0, axis) if rng.random() < 0.5 else slice(axis, None)] = 0
        grid[:, axis] = line
        return grid

    def rule(grid):
        axis = int(np.flatnonzero((grid == line).all(0))[0])
        output = np.where(grid == line, grid, 0) if moves else grid.copy()
        for r, c in np.argwhere((grid != 0) & (grid != line)):
            if 0 <= 2 * axis - c < grid.shape[1]:
                output[r, 2 * axis - c] = grid[r, c] if ink is None else ink
        return output if (output != 0).sum() > grid.shape[0] else None

    return scene, rule


@family("The picture is symmetric; the cells under the cover take the colours that its symmetry gives them.")
def uncover_symmetric_picture(rng):
    group = one_of(rng, (LEFT_RIGHT, BOTH, HALF_TURN, QUARTERS, DIAGONAL))
    hidden, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    density, covers = one_of(rng, (0.6, 1.0)), int(rng.integers(1, 3))

    def scene(rng):
        grid = symmetrised(noise(rng, *sides_for(rng, group, 4, 9), colours, density), group)
        for _ in range(covers):
            cover(rng, grid, hidden, 4)
        return grid

    return scene, lambda grid: revealed(grid, hidden, group)


@family("Only the part of the symmetric picture that the cover hides.")
def hidden_part_of_symmetric_picture(rng):
    group = one_of(rng, (HALF_TURN, DIAGONAL, QUARTERS))
    hidden, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    keep_place = rng.random() < 0.25  # the rest of the picture is blanked instead of cut off

    def scene(rng):
        grid = symmetrised(noise(rng, *sides_for(rng, group, 4, 8), colours, 1.0), group)
        cover(rng, grid, hidden, 4)
        return grid

    def rule(grid):
        whole = revealed(grid, hidden, group)
        if whole is None or keep_place:
            return None if whole is None else np.where(grid == hidden, whole, 0)
        rows, columns = np.nonzero(grid == hidden)
        return whole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]

    return scene, rule


@family("One cell: a colour for pictures with the symmetry, another for those without.")
def symmetric_or_not(rng):
    group, other = one_of(rng, ((LEFT_RIGHT, UP_DOWN), (UP_DOWN, LEFT_RIGHT), (BOTH, LEFT_RIGHT)))
    yes, no = pick_colours(rng, 2)
    colours = [yes, no] if rng.random() < 0.6 else pick_colours(rng, int(rng.integers(1, 4)))

    def scene(rng):
        picture = noise(rng, *canvas(rng, 3, 6), colours, 0.55)
        fate = rng.random()
        picture = symmetrised(picture, other if fate < 0.2 else group)
        if fate > 0.6:
            spoil(rng, picture, int(rng.integers(1, 4)), [0, *colours])
        return picture if picture.any() else None

    def rule(grid):
        return blank(1, 1, yes if is_symmetric(grid, group) else no)

    return scene, rule, lambda grid: {is_symmetric(grid, group)}


@family("The cells that differ from their mirror image are marked, the others stay or are blanked.")
def mark_mirror_faults(rng):
    group = one_of(rng, (LEFT_RIGHT, LEFT_RIGHT, UP_DOWN))
    mark, *colours = pick_colours(rng, int(rng.integers(2, 4)))
    others, density = one_of(rng, ("stay", "stay", "blank")), rng.uniform(0.3, 0.5)

    def scene(rng):
        grid = symmetrised(noise(rng, *sides_for(rng, group, 5, 9), colours, density), group)
        spoil(rng, grid, int(rng.integers(1, 4)), [0, *colours])
        return grid

    def rule(grid):
        faults = grid != apply_symmetry(grid, group[1])
        if not faults.any():
            return None
        return np.where(faults, np.uint8(mark), grid if others == "stay" else np.zeros_like(grid))

    return scene, rule


@family("The arm is turned about the marked centre by quarter turns, and every turn leaves a copy.")
def turn_arm_about_centre(rng):
    centre, *colours = pick_colours(rng, 5)
    turns = one_of(rng, ((1, 2, 3), (1, 2, 3), (2,), (1,), (1, 2)))
    inks = {k: colours.pop() for k in turns} if rng.random() < 0.3 else None
    colours = colours[: int(rng.integers(1, 3))]

    def scene(rng):
        reach = int(rng.integers(2, 4))
        arm = blob(rng, int(rng.integers(2, 6)), reach, reach + 1)
        arm = painted(arm, 1) * noise(rng, *arm.shape, colours, 1.0)
        square = blank(2 * reach + 1, 2 * reach + 1)
        draw(square, arm, reach - arm.shape[0], reach + int(rng.integers(reach + 2 - arm.shape[1])))
        square[reach, reach] = centre
        grid = blank(*canvas(rng, 2 * reach + 1, min(2 * reach + 4, 9)))
        corner = [int(rng.integers(side - 2 * reach)) for side in grid.shape]
        draw(grid, np.rot90(square, int(rng.integers(4))), *corner)
        return grid

    def rule(grid):
        (row, column), output = np.argwhere(grid == centre)[0], grid.copy()
        for r, c in np.argwhere((grid != 0) & (grid != centre)):
            down, right = r - row, c - column
            for turn in (1, 2, 3):
                down, right = right, -down  # a quarter turn clockwise
                if turn in turns:
                    output[row + down, column + right] = inks[turn] if inks else grid[r, c]
        return output

    return scene, rule


@family("The objects that are left-right symmetric are treated: kept alone, removed or recoloured.")
def treat_symmetric_objects(rng):
    colours = pick_colours(rng, int(rng.integers(1, 4)))
    ink, treatment = pick_colour(rng, (0, *colours)), one_of(rng, ("keep", "remove", "recolour"))

    def scene(rng):
        grid = blank(*canvas(rng, 7, 11))
        for _ in range(rng.integers(3, 6)):
            kind = one_of(rng, ("across", "across", "along", "neither"))
            place(rng, grid, painted(shape_of_kind(rng, kind), one_of(rng, colours)))
        return grid

    def rule(grid):
        output, found = grid.copy(), objects(grid)
        chosen = [is_symmetric(thing.cells, LEFT_RIGHT) for thing in found]
        if all(chosen) or not any(chosen):
            return None
        for thing, symmetric in zip(found, chosen):
            if symmetric != (treatment == "keep"):
                output[thing.mask(grid)] = ink if treatment == "recolour" else 0
        return output

    return scene, rule


@family("Only the one tile that has (or lacks) the symmetry of colours.")
def tile_with_the_symmetry(rng):
    group, wanted = one_of(rng, (LEFT_RIGHT, HALF_TURN, DIAGONAL)), rng.random() < 0.7
    colours, side = pick_colours(rng, int(rng.integers(2, 4))), int(rng.integers(3, 5))

    def scene(rng):
        grid = blank(*canvas(rng, 2 * side + 1, 2 * side + 3))
        count = int(rng.integers(2, 5))
        for number in range(count):
            tile = noise(rng, side, side, colours, 1.0)
            symmetric = (number == 0) == wanted
            place(rng, grid, symmetrised(tile, group) if symmetric else tile)
        return grid

    def rule(grid):
        found = objects(grid, by_colour=False)
        chosen = [thing for thing in found if is_symmetric(thing.colours, group) == wanted]
        return chosen[0].colours if len(chosen) == 1 and len(found) > 1 else None

    return scene, rule


@family("The picture is cut along each of its mirrors; one half remains, or a quarter where it has two mirrors.")
def cut_along_mirrors(rng):
    colours, density = pick_colours(rng, int(rng.integers(2, 5))), one_of(rng, (0.6, 1.0))
    far = rng.random() < 0.4  # the half to the right or at the bottom remains
    odd = rng.random() < 0.5  # odd sides occur; the middle line belongs to both halves

    def scene(rng):
        group = one_of(rng, (LEFT_RIGHT, UP_DOWN, BOTH))
        height, width = (side if odd else side + side % 2 for side in canvas(rng, 3, 9))
        return symmetrised(noise(rng, height, width, colours, density), group)

    def rule(grid):
        height, width = grid.shape
        across, along = is_symmetric(grid, LEFT_RIGHT), is_symmetric(grid, UP_DOWN)
        part = grid[:, width // 2 :] if across and far else grid[:, : (width + 1) // 2] if across else grid
        return part[height // 2 :] if along and far else part[: (height + 1) // 2] if along else part

    return scene, rule, lambda grid: {(is_symmetric(grid, LEFT_RIGHT), is_symmetric(grid, UP_DOWN))}


@family("Every object is unfolded at its side in the hinge colour: its mirror image appears beyond the hinge.")
def unfold_at_hinge(rng):
    hinge, *colours = pick_colours(rng, int(rng.integers(2, 4)))
    ink = pick_colour(rng, (0, hinge, *colours)) if rng.random() < 0.3 else None

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 4)):
            shape = blob(rng, int(rng.integers(3, 7)), 3, 3)
            body = painted(shape, 1) * noise(rng, *shape.shape, colours, 1.0)
            open_sprite = np.hstack([body, np.full((len(body), 1), hinge, np.uint8), body[:, ::-1]])
            symmetry = int(rng.integers(8))
            spot = place(rng, grid, apply_symmetry(open_sprite, symmetry)) if len(body) > 1 else None
            if spot:
                open_sprite[:, body.shape[1] + 1 :] = 0
                shut = apply_symmetry(open_sprite, symmetry)
                grid[spot[0] : spot[0] + shut.shape[0], spot[1] : spot[1] + shut.shape[1]] = shut
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid, by_colour=False):
            box = thing.colours == hinge
            ends = [bool(line.all()) for line in (box[:, 0], box[:, -1], box[0], box[-1])]  # left, right, top, bottom
            if sum(ends) != 1:
                return None
            row, column = thing.row + (thing.height - 1) * ends[3], thing.column + (thing.width - 1) * ends[1]
            for r, c in thing.places:
                to = (r, 2 * column - c) if ends[0] or ends[1] else (2 * row - r, c)
                if grid[r, c] != hinge:
                    if min(to) < 0 or to[0] >= grid.shape[0] or to[1] >= grid.shape[1] or output[to]:
                        return None
                    output[to] = grid[r, c] if ink is None else ink
        return output

    return scene, rule


@family("Every object's only mirror axis is drawn: on its own cells, or on the background up to the edges.")
def draw_mirror_axis(rng):
    ink, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    inside, most = rng.random() < 0.5, int(rng.integers(1, 4))

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, most + 1)):
            place(rng, grid, painted(shape_of_kind(rng, one_of(rng, ("across", "along")), 5), one_of(rng, colours)))
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid):
            across, along = is_symmetric(thing.cells, LEFT_RIGHT), is_symmetric(thing.cells, UP_DOWN)
            if across == along or (thing.width if across else thing.height) % 2 == 0:
                return None
            line = np.zeros(grid.shape, bool)
            line[(slice(None), thing.column + thing.width // 2) if across else thing.row + thing.height // 2] = True
            output[line & (thing.mask(grid) if inside else grid == 0)] = ink
        return output

    return scene, rule


@family("The mirror or turned images of all coloured cells are added, so that the picture becomes symmetric.")
def make_picture_symmetric(rng):
    group = one_of(rng, (LEFT_RIGHT, BOTH, HALF_TURN, QUARTERS, DIAGONAL))
    colours = pick_colours(rng, int(rng.integers(1, 5)))

    def scene(rng):
        grid = blank(*sides_for(rng, group, 4, 9))
        scatter(rng, grid, int(rng.integers(2, 3 + grid.size // 10)), colours)
        return grid

    def rule(grid):
        output = grid.copy()
        for symmetry in group:
            image = apply_symmetry(grid, symmetry)
            if ((output != 0) & (image != 0) & (output != image)).any():
                return None
            output = np.maximum(output, image)
        return output

    return scene, rule


@family("In a picture with four equal parts, each spoiled cell takes the colour that its other three images have.")
def outvoted_by_symmetry(rng):
    group, colours = one_of(rng, (BOTH, QUARTERS)), pick_colours(rng, int(rng.integers(2, 5)))
    stain = pick_colours(rng, 2, (0, *colours))

    def scene(rng):
        half = sides_for(rng, group, 2, 4)
        grid = symmetrised(noise(rng, 2 * half[0], 2 * half[1], colours, 1.0), group)
        spoil(rng, grid, int(rng.integers(1, 6)), stain)
        return grid

    def rule(grid):
        images = np.sort([apply_symmetry(grid, g) for g in group], axis=0)
        clear = (images[0] == images[2]) | (images[1] == images[3])
        return images[1] if clear.all() else None

    return scene, rule


@family("Objects are recoloured by their mirrors: one colour for left-right, one for up-down, one for both, one for none.")
def colour_by_mirrors(rng):
    base, *inks = pick_colours(rng, 5)
    inks[3] = one_of(rng, (inks[3], base, 0))
    kinds = ["across", "along", one_of(rng, ("both", "neither")), one_of(rng, ("across", "neither"))]

    def scene(rng):
        grid = blank(*canvas(rng, 7, 11))
        for kind in rng.permutation(kinds):
            place(rng, grid, painted(shape_of_kind(rng, kind), base))
        return grid

    def rule(grid):
        output = grid.copy()
        for thing in objects(grid):
            across, along = is_symmetric(thing.cells, LEFT_RIGHT), is_symmetric(thing.cells, UP_DOWN)
            output[thing.mask(grid)] = inks[2 if across and along else 0 if across else 1 if along else 3]
        return output

    return scene, rule, lambda grid: {(is_symmetric(o.cells, LEFT_RIGHT), is_symmetric(o.cells, UP_DOWN)) for o in objects(grid)}
