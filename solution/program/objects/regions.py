"""The parts of a picture that belong to an object and that a rule can paint: its cells, its box, holes, surroundings and rays.

In:  a `Scene` and the number of an object. Out: indices into the flat cells of a named region (`REGIONS`, made of `PARTS`).
Not here: in which colour a region is painted and for which objects (`columns`, `rules`); moves and copies
(`patterns`).
"""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from scipy import ndimage

from .segments import EIGHT, FOUR, Scene

STEPS = {
    "up": (-1, 0),
    "left": (0, -1),
    "down": (1, 0),
    "right": (0, 1),
    "up left": (-1, -1),
    "up right": (-1, 1),
    "down left": (1, -1),
    "down right": (1, 1),
}
Region = Callable[[Scene, int], np.ndarray]
LINES = ("ray", "stopped ray", "bridge", "bridge alike")
"""A ray goes on to the edge behind other things; or until something else; or only where it meets something; or its colour."""
POINTS = ("hit", "last", "edge")
"""Of such a ray only the cell that it meets, the last one before, or the one at the edge."""
RELATIVE = ("towards nearest", "away from nearest", "towards largest", "away from largest")


def own(scene: Scene, i: int) -> np.ndarray:
    """The object's cells."""
    return scene.own[i]


def box_cells(scene: Scene, i: int, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of the box grown by `margin`, as far as it lies in the picture, and which of them are the object's."""
    top, left, bottom, right = scene.boxes[i].tolist()
    height, width = scene.labels.shape
    rows, columns = (
        slice(max(top - margin, 0), min(bottom + margin, height)),
        slice(max(left - margin, 0), min(right + margin, width)),
    )
    flat = np.arange(height * width).reshape(height, width)[rows, columns]
    return flat, scene.labels[rows, columns] == i + 1


def unfilled(scene: Scene, flat: np.ndarray) -> np.ndarray:
    """Those of the cells that are empty."""
    return flat[scene.cells.ravel()[flat] == scene.empty]


def box(scene: Scene, i: int) -> np.ndarray:
    """Empty cells of its box."""
    flat, mask = box_cells(scene, i, 0)
    return unfilled(scene, flat[~mask])


def holes(scene: Scene, i: int) -> np.ndarray:
    """Empty cells that it encloses."""
    flat, mask = box_cells(scene, i, 0)
    return unfilled(scene, flat[ndimage.binary_fill_holes(mask, FOUR) & ~mask])


def ring(scene: Scene, i: int, structure: np.ndarray) -> np.ndarray:
    """Empty cells beside it."""
    flat, mask = box_cells(scene, i, 1)
    return unfilled(scene, flat[ndimage.binary_dilation(mask, structure) & ~mask])


def corners(scene: Scene, i: int) -> np.ndarray:
    """Empty cells that meet it only at corners."""
    flat, mask = box_cells(scene, i, 1)
    return unfilled(scene, flat[ndimage.binary_dilation(mask, EIGHT) & ~ndimage.binary_dilation(mask, FOUR)])


def frame(scene: Scene, i: int) -> np.ndarray:
    """Empty cells of the frame around its box."""
    flat, _ = box_cells(scene, i, 1)
    top, left, bottom, right = scene.boxes[i].tolist()
    y, x = np.divmod(flat, scene.labels.shape[1])
    return unfilled(scene, flat[(y < top) | (y >= bottom) | (x < left) | (x >= right)])


def way_to(scene: Scene, i: int, j: int) -> str:
    """The direction in which object i has object j: straight where they share rows or columns of their boxes."""
    top, left, bottom, right = scene.boxes[i].tolist()
    other_top, other_left, other_bottom, other_right = scene.boxes[j].tolist()
    down = "" if other_top < bottom and top < other_bottom else "up" if other_top < top else "down"
    across = "" if other_left < right and left < other_right else "left" if other_left < left else "right"
    return f"{down} {across}".strip()


OPPOSITE = {"up": "down", "down": "up", "left": "right", "right": "left"}


def resolved(scene: Scene, i: int, way: str) -> str:
    """A direction that depends on the nearest or largest other object, as a plain one; "" where there is none."""
    if way in STEPS:
        return way
    if scene.number == 1:
        return ""
    other = scene.gaps[i] if way.endswith("nearest") else np.where(np.arange(scene.number) == i, 0, -scene.sizes)
    towards = way_to(scene, i, int(other.argmin()))
    return towards if way.startswith("towards") else " ".join(OPPOSITE[w] for w in towards.split())


@lru_cache(20_000)
def cast(scene: Scene, i: int, way: str) -> tuple[np.ndarray, ...] | None:
    """Lines from an object's cells on in a plain direction; slanted ones begin at the corner of its box alone.

    Flat cells of each line (lines, far), which of them lie in the picture, which are empty, which come before anything else; the
    cell where each line stops, the one before, whether it meets something else there, and the cells where lines begin.
    """
    height, width = scene.labels.shape
    y, x = np.divmod(scene.own[i], width)
    dy, dx = STEPS[way]
    if dy and dx:
        top, left, bottom, right = scene.boxes[i].tolist()
        begins = (y == (top if dy < 0 else bottom - 1)) & (x == (left if dx < 0 else right - 1))
        y, x = y[begins], x[begins]
    inside = (y + dy >= 0) & (y + dy < height) & (x + dx >= 0) & (x + dx < width)
    y, x = y[inside], x[inside]
    free = scene.labels[y + dy, x + dx] != i + 1
    y, x = y[free], x[free]
    if not len(y):
        return None
    far = np.arange(1, max(height, width) + 1)
    ys, xs = y[:, None] + dy * far, x[:, None] + dx * far
    inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
    flat = np.where(inside, ys * width + xs, 0)
    empty = inside & (scene.cells.ravel()[flat] == scene.empty)
    open_cells = np.logical_and.accumulate(empty, 1)
    line, stop = np.arange(len(y)), np.minimum(open_cells.sum(1), len(far) - 1)
    met = flat[line, stop]
    meets = inside[line, stop] & (scene.labels.ravel()[met] != i + 1)
    return flat, inside, empty, open_cells, met, flat[line, stop - 1], meets, y * width + x


def ray(scene: Scene, i: int, way: str, end: str) -> np.ndarray:
    """Cells of the rays from an object on in a direction, as `LINES` and `POINTS` say."""
    way = resolved(scene, i, way)
    lines = cast(scene, i, way) if way else None
    if lines is None:
        return np.zeros(0, int)
    flat, inside, empty, open_cells, met, before, meets, begins = lines
    if end == "ray":
        return flat[empty]
    if end == "stopped ray":
        return flat[open_cells]
    if end == "hit":
        return met[meets]
    if end == "last":
        return before[meets & open_cells[:, 0]]
    if end == "edge":
        return flat[np.arange(len(flat)), inside.sum(1) - 1]
    if end == "bridge alike":
        colours = scene.cells.ravel()
        meets = meets & (colours[met] == colours[begins])
    return flat[open_cells & meets[:, None]]


STRAIGHT, SLANTED = tuple(STEPS)[:4], tuple(STEPS)[4:]
RAY_SETS = {way: (way,) for way in STEPS} | {
    "rows": ("left", "right"),
    "columns": ("up", "down"),
    "cross": STRAIGHT,
    "diagonals": SLANTED,
    "star": STRAIGHT + SLANTED,
    "falling": ("up left", "down right"),
    "rising": ("up right", "down left"),
}
PARTS: dict[str, Region] = {
    "own": own,
    "box": box,
    "holes": holes,
    "ring": partial(ring, structure=EIGHT),
    "sides": partial(ring, structure=FOUR),
    "corners": corners,
    "frame": frame,
    **{f"{end} {way}": partial(ray, way=way, end=end) for end in LINES for way in (*STEPS, *RELATIVE)},
    **{f"{end} {way}": partial(ray, way=way, end=end) for end in POINTS for way in (*STRAIGHT, *RELATIVE)},
}
"""Cells that belong to an object, by name. Apart from its own they are empty, so that what is painted shows behind all else."""
REGIONS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("box", "holes", "ring", "sides", "corners", "frame")},
    **{f"{end} {name}": tuple(f"{end} {way}" for way in ways) for end in LINES for name, ways in RAY_SETS.items()},
    **{f"{end} {way}": (f"{end} {way}",) for end in (*LINES, *POINTS) for way in RELATIVE},
    **{f"{end} {name}": tuple(f"{end} {way}" for way in RAY_SETS[name]) for end in POINTS for name in (*STRAIGHT, "cross")},
    "own, box": ("own", "box"),
    "own, holes": ("own", "holes"),
    "own, rows": ("own", "ray left", "ray right"),
    "own, columns": ("own", "ray up", "ray down"),
    "own, cross": ("own", "ray left", "ray right", "ray up", "ray down"),
}
"""What an action paints: parts together."""


def first_steps(scene: Scene, way: str, changed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For the empty cells where rays of each object begin: whether all are changed, whether any is; bool (objects,) each."""
    height, width = scene.labels.shape
    dy, dx = STEPS[way]
    if dy and dx:
        top, left, bottom, right = scene.boxes.T
        y, x, owner = (top if dy < 0 else bottom - 1), (left if dx < 0 else right - 1), np.arange(1, scene.number + 1)
        mine = scene.labels[y, x] == owner
        y, x, owner = y[mine], x[mine], owner[mine]
    else:
        y, x = scene.labels.nonzero()
        owner = scene.labels[y, x]
    y, x = y + dy, x + dx
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    y, x, owner = y[inside], x[inside], owner[inside]
    empty = (scene.cells[y, x] == scene.empty) & (scene.labels[y, x] != owner)
    met, owner = changed[y[empty] * width + x[empty]], owner[empty]
    every, some = np.ones(scene.number + 1, bool), np.zeros(scene.number + 1, bool)
    every[owner[~met]] = False
    some[owner[met]] = True
    return every[1:], some[1:]


@lru_cache(20_000)
def part(scene: Scene, i: int, name: str) -> np.ndarray:
    """The cells of a part of an object, remembered."""
    return PARTS[name](scene, i)


def region(scene: Scene, i: int, name: str) -> np.ndarray:
    """The cells of a region of an object."""
    if name == "own":
        return scene.own[i]
    parts = [part(scene, i, p) for p in REGIONS[name]]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
