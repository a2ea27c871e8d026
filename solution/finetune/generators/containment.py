"""Families about inside and outside: frames and what they hold, nesting, touching, marks within objects."""

import numpy as np

from .family import family
from .filling import enclosed, wall_around
from .scenes import (
    Object,
    blank,
    blob,
    box_outline,
    canvas,
    colours_in,
    crop,
    noise,
    objects,
    painted,
    pick_colours,
    place,
    scatter,
    sides,
)


def framed(content: np.ndarray, colour: int) -> np.ndarray:
    """A sprite: `content` with a frame of one cell around it."""
    return np.pad(content, 1, constant_values=colour)


def dotted(rng: np.random.Generator, height: int, width: int, count: int, colours) -> np.ndarray:
    """An empty field with at most `count` dots: uint8 (height, width)."""
    field = blank(height, width)
    scatter(rng, field, count, colours)
    return field


def frames(grid: np.ndarray) -> list[Object]:
    """The hollow rectangles of one colour, in the order of `objects`."""
    tall_enough = (thing for thing in objects(grid) if min(thing.height, thing.width) > 2)
    return [thing for thing in tall_enough if np.array_equal(thing.cells, box_outline(thing.height, thing.width))]


def inside(grid: np.ndarray, frame: Object) -> np.ndarray:
    """What a frame encloses, a view into the grid."""
    return grid[frame.row + 1 : frame.row + frame.height - 1, frame.column + 1 : frame.column + frame.width - 1]


def box(grid: np.ndarray, thing: Object) -> np.ndarray:
    """An object's bounding box, a view into the grid."""
    return grid[thing.row : thing.row + thing.height, thing.column : thing.column + thing.width]


@family("A frame takes the colour of the dots it holds; the dots stay, vanish, or their colour fills the whole box.")
def frame_takes_content_colour(rng):
    frame, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    kind, empties = str(rng.choice(["stay", "vanish", "fill"])), rng.random() < 0.5

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(1, 5)):
            count = 0 if empties and rng.random() < 0.3 else rng.integers(1, 3)
            place(rng, grid, framed(dotted(rng, *sides(rng, 1, 3), count, [rng.choice(colours)]), frame))
        for _ in range(rng.integers(0, 4)):
            place(rng, grid, np.full((1, 1), rng.choice(colours), np.uint8))
        return grid

    def rule(grid):
        changed = grid.copy()
        for thing in frames(grid):
            held = np.unique(inside(grid, thing)[inside(grid, thing) != 0])
            if len(held) != 1:
                continue
            changed[thing.mask(grid)] = held[0]
            if kind != "stay":
                inside(changed, thing)[:] = held[0] if kind == "fill" else 0
        return changed

    return scene, rule


@family("Dots inside closed walls and dots outside them go different ways: they stay, vanish or are recoloured.")
def dots_inside_and_outside(rng):
    wall, dot, *new = pick_colours(rng, 4)
    ways = [[new[0], new[1]], [new[0], dot], [0, dot], [dot, 0], [dot, new[1]], [new[0], 0]]
    within, without = ways[rng.integers(len(ways))]
    rectangular, gap_chance, density = rng.random() < 0.5, rng.choice([0, 0.3]), rng.uniform(0.1, 0.35)

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, painted(wall_around(rng, rectangular, gap_chance), wall))
        dots = (grid == 0) & (rng.random(grid.shape) < density)
        return np.where(dots, np.uint8(dot), grid)

    def rule(grid):
        held, dots = enclosed(grid != wall), grid == dot
        if not (held & dots).any() or not (~held & dots).any():
            return None
        return np.where(dots, np.where(held, np.uint8(within), np.uint8(without)), grid)

    return scene, rule


@family("How many frames enclose the mark: the output is a bar with one cell for each of them, in the mark's or a fixed colour.")
def frames_around_mark(rng):
    mark, decoy, *colours = pick_colours(rng, 6)
    colour, upright = mark if rng.random() < 0.6 else decoy, rng.random() < 0.5

    def nest(rng, dot, depth):
        sprite, before = np.full((1, 1), dot, np.uint8), dot
        for _ in range(depth):
            before = rng.choice([c for c in colours if c != before])
            sprite = framed(np.pad(sprite, rng.integers(0, 2, (2, 2))), before)
        return sprite

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        if place(rng, grid, nest(rng, mark, rng.integers(1, 5))) is None:
            return None
        for _ in range(rng.integers(0, 4)):
            place(rng, grid, nest(rng, decoy, rng.integers(0, 3)))
        return grid

    def rule(grid):
        depth = sum(bool((inside(grid, frame) == mark).any()) for frame in frames(grid))
        bar = blank(1, depth, colour)
        return bar.T if upright else bar

    return scene, rule


@family("The two frames of one colour exchange what they hold; frames of other colours keep their contents.")
def frames_exchange_contents(rng):
    frame, *colours = pick_colours(rng, int(rng.integers(4, 7)))
    others, turned = colours[:2] if rng.random() < 0.6 else [], rng.random() < 0.2
    density = rng.uniform(0.4, 0.8)

    def scene(rng):
        grid, shape = blank(*canvas(rng, 6, 11)), sides(rng, 1, 3)
        for colour in [frame, frame, *others]:
            place(rng, grid, framed(noise(rng, *shape, colours[2:] or colours, density), colour))
        return grid

    def rule(grid):
        pair = [thing for thing in frames(grid) if thing.colour == frame]
        if len(pair) != 2:
            return None
        changed = grid.copy()
        for thing, other in (pair, pair[::-1]):
            inside(changed, thing)[:] = inside(grid, other)[:, ::-1] if turned else inside(grid, other)
        return changed

    return scene, rule


@family("Of several frames with contents the one that holds a certain colour is cut out, with or without its border.")
def cut_out_frame(rng):
    mark, *others = pick_colours(rng, 6)
    with_frame, density = rng.random() < 0.4, rng.uniform(0.3, 0.7)

    def scene(rng):
        grid = blank(*canvas(rng, 6, 11))
        for number in range(rng.integers(2, 5)):
            content = noise(rng, *sides(rng, 1, 3), others[2:], density)
            if number == 0:
                content[rng.integers(len(content)), rng.integers(content.shape[1])] = mark
            place(rng, grid, framed(content, rng.choice(others[:2])))
        return grid

    def rule(grid):
        found = frames(grid)
        fitting = [frame for frame in found if (inside(grid, frame) == mark).any()]
        return (box if with_frame else inside)(grid, fitting[0]) if fitting and len(found) > 1 else None

    return scene, rule


@family("Where two colours touch, the larger part takes the other over (or drives it away); objects that touch none stay.")
def larger_part_takes_over(rng):
    colours = pick_colours(rng, int(rng.integers(2, 6)))
    takes, singles = rng.random() < 0.6, rng.uniform(0.2, 0.5)

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(2, 6)):
            first, second = rng.choice(colours, 2, replace=False)
            sprite = painted(blob(rng, rng.integers(3, 9), 3, 4), first)
            if rng.random() > singles:
                part = sprite[:, rng.integers(1, 3) :]
                part[part != 0] = second
            place(rng, grid, np.rot90(sprite, rng.integers(4)))
        return grid

    def rule(grid):
        changed = grid.copy()
        for thing in objects(grid, by_colour=False):
            counts = np.bincount(thing.colours[thing.cells], minlength=10)
            if (counts == counts.max()).sum() > 1:
                return None
            lost = thing.cells & (thing.colours != thing.colour)
            box(changed, thing)[lost] = thing.colour if takes else 0
        return changed

    return scene, rule, lambda grid: {len(np.unique(o.colours[o.cells])) for o in objects(grid, by_colour=False)}


@family("The frame with the most dots (or the fewest) is chosen: it is cut out, recoloured, or filled.")
def frame_with_most_dots(rng):
    frame, dot, new = pick_colours(rng, 3)
    most, kind = rng.random() < 0.65, str(rng.choice(["cut", "recolour", "fill"]))

    def scene(rng):
        grid = blank(*canvas(rng, 7, 11))
        for _ in range(rng.integers(2, 5)):
            height, width = sides(rng, 1, 3)
            place(rng, grid, framed(dotted(rng, height, width, rng.integers(1, height * width + 1), [dot]), frame))
        return grid

    def rule(grid):
        found = sorted(frames(grid), key=lambda thing: np.count_nonzero(inside(grid, thing)), reverse=bool(most))
        if len(found) < 2 or np.count_nonzero(inside(grid, found[0])) == np.count_nonzero(inside(grid, found[1])):
            return None
        changed = grid.copy()
        if kind == "recolour":
            changed[found[0].mask(grid)] = new
        elif kind == "fill":
            inside(changed, found[0])[inside(grid, found[0]) == 0] = new
        return inside(grid, found[0]) if kind == "cut" else changed

    return scene, rule


@family("The content of the one filled frame is copied (or moved) into the empty frames of the same colour.")
def fill_empty_frames(rng):
    frame, other, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    moved, distractors = rng.random() < 0.3, rng.random() < 0.5
    mirrored = rng.random() < 0.2

    def scene(rng):
        grid = blank(*canvas(rng, 7, 11))
        height, width = sides(rng, 2, 3)
        place(rng, grid, framed(noise(rng, height, width, colours, 0.6), frame))
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, framed(blank(height, width), frame))
        if distractors:
            place(rng, grid, framed(blank(*sides(rng, 1, 3)), other))
        return grid

    def rule(grid):
        found = [thing for thing in frames(grid) if thing.colour == frame]
        full = [thing for thing in found if inside(grid, thing).any()]
        if len(full) != 1 or len(found) < 2:
            return None
        content, changed = inside(grid, full[0]).copy(), grid.copy()
        for thing in found:
            inside(changed, thing)[:] = content[:, ::-1] if mirrored else content
        inside(changed, full[0])[:] = 0 if moved else content
        return changed

    return scene, rule


@family("Only the frames that hold a certain colour stay, with their contents (in some tasks exactly these vanish).")
def keep_frames_holding(rng):
    wanted, *colours = pick_colours(rng, int(rng.integers(4, 7)))
    stay, frame_colours = rng.random() < 0.7, colours[:2] if rng.random() < 0.5 else colours[:1]

    def scene(rng):
        grid = blank(*canvas(rng, 7, 10))
        for _ in range(rng.integers(2, 6)):
            content = dotted(rng, *sides(rng, 1, 3), rng.integers(0, 3), [wanted, wanted, *colours[2:]])
            place(rng, grid, framed(content, rng.choice(frame_colours)))
        return grid

    def rule(grid):
        changed = grid.copy()
        holding = [(frame, bool((inside(grid, frame) == wanted).any())) for frame in frames(grid)]
        if len({holds for _, holds in holding}) < 2:
            return None
        for frame, holds in holding:
            if holds != stay:
                box(changed, frame)[:] = 0
        return changed

    return scene, rule


@family("Every frame becomes a bar as long as it holds dots, the frames from left to right; dots outside do not count.")
def bars_of_contents(rng):
    dot, other, *colours = pick_colours(rng, 6)
    frame_colours = colours[: int(rng.integers(1, 5))]
    in_frame_colour, upright, others = rng.random() < 0.5, rng.random() < 0.5, rng.random() < 0.5

    def scene(rng):
        grid, palette = blank(*canvas(rng, 6, 10)), [dot, dot, other] if others else [dot]
        for colour in rng.choice(frame_colours, rng.integers(2, 5)):
            place(rng, grid, framed(dotted(rng, *sides(rng, 1, 3), rng.integers(0, 6), palette), colour))
        outside = np.where(enclosed(~np.isin(grid, frame_colours)), 10, grid).astype(np.uint8)  # 10: no dot is added there
        scatter(rng, outside, rng.integers(0, 6), palette)
        return np.where(outside == 10, grid, outside)

    def rule(grid):
        found = sorted(frames(grid), key=lambda thing: thing.column)
        counts = [int((inside(grid, frame) == dot).sum()) for frame in found]
        if len({frame.column for frame in found}) < max(2, len(found)) or not any(counts):
            return None
        bars = blank(len(found), max(counts))
        for bar, frame, count in zip(bars, found, counts):
            bar[:count] = frame.colour if in_frame_colour else dot
        return bars.T[::-1] if upright else bars

    return scene, rule


@family("Frames within frames: each is coloured by its depth, the outermost in a first colour, what it holds in a second, ...")
def colour_by_depth(rng):
    plain, *by_depth = pick_colours(rng, 4)
    by_depth[0] = plain if rng.random() < 0.3 else by_depth[0]
    by_depth[2] = by_depth[0] if rng.random() < 0.3 else by_depth[2]

    def scene(rng):
        grid, room, dot = blank(*canvas(rng, 7, 10)), blank(*sides(rng, 5, 8)), np.full((1, 1), plain, np.uint8)
        for number in range(rng.integers(1, 5)):
            middle = framed(blank(*np.minimum(sides(rng, 1, 4), np.array(room.shape) - 4)), plain)
            place(rng, middle, dot)  # needs three free cells a side
            place(rng, room, middle if number == 0 or rng.random() < 0.7 else dot, margin=1)
        place(rng, grid, framed(room, plain))
        for _ in range(rng.integers(0, 3)):
            place(rng, grid, framed(blank(*sides(rng, 1, 3)), plain))
        return grid

    def rule(grid):
        changed, things = grid.copy(), objects(grid)
        rooms = [enclosed(~thing.mask(grid)) for thing in things]
        depths = [sum(bool(room[thing.places[0]]) for room in rooms) for thing in things]
        if max(depths, default=0) < 1:
            return None
        for thing, depth in zip(things, depths):
            changed[thing.mask(grid)] = by_depth[depth]
        return changed

    return scene, rule, lambda grid: colours_in(rule(grid))


@family("A dot in a frame with a gap leaves straight through the gap to the edge; a dot that is not in line with it stays.")
def leave_through_gap(rng):
    frame, dot, other = pick_colours(rng, 3)
    trail, others = int(rng.choice([0, dot, other])), rng.random() < 0.7

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 4)):
            height, width = sides(rng, 1, 3)
            sprite = np.rot90(framed(blank(height, width), frame), turns := int(rng.integers(4))).copy()
            row, column = rng.integers(1, len(sprite) - 1), rng.integers(1, sprite.shape[1] - 1)
            sprite[row, column] = dot
            if others and rng.random() < 0.3:
                row, column = rng.integers(1, len(sprite) - 1), rng.integers(1, sprite.shape[1] - 1)
            sprite[[(0, column), (row, 0), (-1, column), (row, -1)][turns]] = 0
            place(rng, grid, sprite)
        return grid

    def rule(grid):
        changed = grid.copy()
        for row, column in np.argwhere(grid == dot):
            ways = [grid[row, column + 1 :], grid[row, :column][::-1], grid[row + 1 :, column], grid[:row, column][::-1]]
            targets = [
                changed[row, column:],
                changed[row, : column + 1][::-1],
                changed[row:, column],
                changed[: row + 1, column][::-1],
            ]
            free = [target for way, target in zip(ways, targets) if not way.any()]
            if len(free) == 1:
                if np.count_nonzero(free[0]) > 1:  # trails would cross
                    return None
                free[0][:-1] = trail
                free[0][-1] = dot
        return changed

    return scene, rule


@family("What a frame holds takes the colour of the frame; the frame stays or vanishes, and so do the dots outside.")
def content_takes_frame_colour(rng):
    neutral, *colours = pick_colours(rng, int(rng.integers(3, 7)))
    frame_stays, outside_stays, density = rng.random() < 0.6, rng.random() < 0.5, rng.uniform(0.3, 0.8)

    def scene(rng):
        grid = blank(*canvas(rng, 5, 10))
        for _ in range(rng.integers(1, 5)):
            place(rng, grid, framed(noise(rng, *sides(rng, 1, 4), [neutral], density), rng.choice(colours)))
        for _ in range(rng.integers(0, 5)):
            place(rng, grid, np.full((1, 1), neutral, np.uint8))
        return grid

    def rule(grid):
        changed, found = grid.copy() if outside_stays else np.where(grid == neutral, np.uint8(0), grid), frames(grid)
        if not any(inside(grid, frame).any() for frame in found):
            return None
        for frame in found:
            inside(changed, frame)[:] = np.where(inside(grid, frame), frame.colour, 0)
            if not frame_stays:
                changed[frame.mask(grid)] = 0
        return changed

    return scene, rule


@family("Every frame closes in on what it holds, as tightly as it can; empty frames vanish or stay.")
def frames_close_in(rng):
    frame, *colours = pick_colours(rng, int(rng.integers(2, 5)))
    empties, empties_stay = rng.uniform(0, 0.3), rng.random() < 0.5

    def scene(rng):
        grid = blank(*canvas(rng, 6, 10))
        for _ in range(rng.integers(1, 4)):
            room = blank(*sides(rng, 2, 6))
            if rng.random() >= empties:
                place(rng, room, painted(blob(rng, rng.integers(1, 5), 2, 3), rng.choice(colours)), gap=0)
            place(rng, grid, framed(room, frame))
        return grid

    def rule(grid):
        changed, found = grid.copy(), frames(grid)
        if not any(inside(grid, thing).any() for thing in found):
            return None
        for thing in found:
            held = crop(inside(grid, thing))
            if held.any() or not empties_stay:
                box(changed, thing)[:] = 0
            if held.any():
                rows, columns = np.nonzero(inside(grid, thing))
                top, left = thing.row + rows.min(), thing.column + columns.min()
                changed[top : top + len(held) + 2, left : left + held.shape[1] + 2] = framed(held, frame)
        return changed

    return scene, rule, lambda grid: {bool(inside(grid, thing).any()) for thing in frames(grid)}


@family("A table of frames shrinks to one cell for each: the colour of the dots it holds, or its own colour where it holds any.")
def table_of_contents(rng):
    frame_colours = pick_colours(rng, int(rng.integers(1, 4)))
    colours = pick_colours(rng, int(rng.integers(2, 5)), exclude=(0, *frame_colours))
    gap, own = int(rng.integers(0, 2)), len(frame_colours) > 1 and rng.random() < 0.5
    tall, wide = sides(rng, 1, 2)

    def scene(rng):
        rows = []
        for _ in range(count := rng.integers(1, 4)):
            rows.append([])
        across = rng.integers(1 if count > 1 else 2, 4)
        for row in rows:
            for _ in range(across):
                content = dotted(rng, tall, wide, rng.integers(1, 3) if rng.random() < 0.7 else 0, [rng.choice(colours)])
                row.append(np.pad(framed(content, rng.choice(frame_colours)), ((0, gap), (0, gap))))
        grid = np.block(rows)
        return grid[:-1, :-1] if gap else grid

    def rule(grid):
        tops, lefts = range(0, len(grid), tall + 2 + gap), range(0, grid.shape[1], wide + 2 + gap)
        table = blank(len(tops), len(lefts))
        for r, top in enumerate(tops):
            for c, left in enumerate(lefts):
                held = grid[top + 1 : top + 1 + tall, left + 1 : left + 1 + wide].max()
                table[r, c] = (grid[top, left] if held else 0) if own else held
        return table

    return scene, rule


@family("The contents of two frames are laid together: the output keeps what both show alike, or joins them, one on top.")
def compare_two_frames(rng):
    first, second, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    kind, density = str(rng.choice(["both", "joined"])), rng.uniform(0.4, 0.8)

    def scene(rng):
        grid, shape = blank(*canvas(rng, 8, 11)), sides(rng, 2, 4)
        contents = [noise(rng, *shape, colours, density) for _ in range(2)]
        for colour, content in zip((first, second), contents):
            if place(rng, grid, framed(content, colour)) is None:
                return None
        return grid

    def rule(grid):
        found = {thing.colour: inside(grid, thing) for thing in frames(grid)}
        if set(found) != {first, second}:
            return None
        one, other = found[first], found[second]
        alike = (one == other) & (one != 0)
        if kind == "both":
            return np.where(alike, one, np.uint8(0)) if alike.any() else None
        return np.where(one != 0, one, other)

    return scene, rule


@family("What lies inside the frame is seen as through a lens: mirrored, turned or in other colours; the rest stays as it is.")
def frame_is_a_lens(rng):
    frame, *colours = pick_colours(rng, int(rng.integers(3, 6)))
    kind, density = str(rng.choice(["mirror", "flip", "half turn", "recolour"])), rng.uniform(0.25, 0.7)
    recoloured = np.arange(10, dtype=np.uint8)
    recoloured[colours] = np.roll(colours, 1)

    def scene(rng):
        grid = noise(rng, *canvas(rng, 5, 9), colours, density)
        height, width = rng.integers(4, len(grid) + 1), rng.integers(4, grid.shape[1] + 1)
        row, column = rng.integers(0, len(grid) - height + 1), rng.integers(0, grid.shape[1] - width + 1)
        grid[row : row + height, column : column + width][box_outline(height, width)] = frame
        return grid

    def rule(grid):
        changed = grid.copy()
        rows, columns = np.nonzero(grid == frame)
        seen = changed[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()]
        turned = {"mirror": seen[:, ::-1], "flip": seen[::-1], "half turn": seen[::-1, ::-1], "recolour": recoloured[seen]}
        seen[:] = turned[kind].copy()
        return changed

    return scene, rule
