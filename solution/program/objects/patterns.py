"""The ways to draw an object elsewhere: moves, copies, mirror images and turns.

In:  a `Scene` and the number of an object. Out: the cells and colours of a named pattern (`PATTERNS`), None where the object has
none.
Not here: regions that are painted in one colour (`regions`), which objects are drawn so (`rules`).
"""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from .regions import STEPS, STRAIGHT, way_to
from .segments import Scene, see


def slide(scene: Scene, i: int, way: str, through: bool) -> tuple[int, int]:
    """As far as it can go in a direction: to the edge (`through`), or until something else."""
    height, width = scene.labels.shape
    top, left, bottom, right = scene.boxes[i].tolist()
    dy, dx = STEPS[way]
    most = {(-1, 0): top, (0, -1): left, (1, 0): height - bottom, (0, 1): width - right}[dy, dx]
    if through:
        return dy * most, dx * most
    y, x = np.divmod(scene.own[i], width)
    for far in range(1, most + 1):
        ny, nx = y + dy * far, x + dx * far
        if ((scene.cells[ny, nx] != scene.empty) & (scene.labels[ny, nx] != i + 1)).any():
            return dy * (far - 1), dx * (far - 1)
    return dy * most, dx * most


def by_size(scene: Scene, i: int, way: str) -> tuple[int, int]:
    """Its own length in a direction."""
    top, left, bottom, right = scene.boxes[i].tolist()
    dy, dx = STEPS[way]
    return dy * (bottom - top), dx * (right - left)


def towards(scene: Scene, i: int, which: str) -> tuple[int, int] | None:
    """Until it meets something on the way to another object in its rows or columns: the nearest, the largest, or the nearest of
    its colour; None where there is not just one way."""
    top, left, bottom, right = scene.boxes[i].tolist()
    tops, lefts, bottoms, rights = scene.boxes.T
    in_rows, in_columns = (tops < bottom) & (top < bottoms), (lefts < right) & (left < rights)
    reach = (in_rows != in_columns) & (np.arange(scene.number) != i)
    if which == "alike":
        reach &= scene.colours == scene.colours[i]
    if not reach.any():
        return None
    best = np.where(reach, scene.sizes, -1).argmax() if which == "largest" else np.where(reach, scene.gaps[i], 99).argmin()
    return slide(scene, i, way_to(scene, i, int(best)), False)


def into_hole(scene: Scene, i: int) -> tuple[int, int] | None:
    """To the one region of empty cells of its shape."""
    regions = see(scene.cells, "empty", scene.empty)
    if regions is None:
        return None
    size = scene.sizes[i]
    fits = [j for j in np.flatnonzero(regions.sizes == size).tolist() if np.array_equal(regions.masks[j], scene.masks[i])]
    if len(fits) != 1:
        return None
    here, there = scene.boxes[i].tolist(), regions.boxes[fits[0]].tolist()
    return there[0] - here[0], there[1] - here[1]


def beside(scene: Scene, i: int, which: str) -> tuple[int, int] | None:
    """Up or down, or left or right, until its box begins where that of the largest other object does."""
    if scene.number == 1:
        return None
    sizes = scene.sizes.copy()
    sizes[i] = -1
    here, there = scene.boxes[i].tolist(), scene.boxes[int(sizes.argmax())].tolist()
    return (there[0] - here[0], 0) if which == "rows" else (0, there[1] - here[1])


MOVES: dict[str, Callable[[Scene, int], tuple[int, int] | None]] = {
    **{f"{n} {w}": (lambda s, i, v=(n * dy, n * dx): v) for w, (dy, dx) in STEPS.items() for n in (1, 2, 3, 4)},
    **{f"until contact {w}": partial(slide, way=w, through=False) for w in STRAIGHT},
    **{f"to the edge {w}": partial(slide, way=w, through=True) for w in STRAIGHT},
    **{f"own size {w}": partial(by_size, way=w) for w in STEPS},
    **{f"towards the {w}": partial(towards, which=w) for w in ("nearest", "largest", "alike")},
    **{f"to the largest's {w}": partial(beside, which=w) for w in ("rows", "columns")},
    "into a hole": into_hole,
}


def moved(scene: Scene, i: int, move: str, inside: bool = True) -> tuple[np.ndarray, np.ndarray] | None:
    """Where an object's cells go, and their colours; None where it has no way, or (`inside`) would leave the picture."""
    way = MOVES[move](scene, i)
    return None if way is None or way == (0, 0) else placed(scene, scene.own[i], scene.cells.ravel()[scene.own[i]], way, inside)


def placed(scene: Scene, cells: np.ndarray, colours: np.ndarray, way, inside: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Cells moved by rows and columns, and the colours of those that stay in the picture; None where none does, or (`inside`)
    not all do."""
    height, width = scene.labels.shape
    y, x = np.divmod(cells, width)
    y, x = y + way[0], x + way[1]
    stay = (y >= 0) & (x >= 0) & (y < height) & (x < width)
    if not (stay.all() if inside else stay.any()):
        return None
    return (y * width + x)[stay], colours[stay]


def repeated(scene: Scene, i: int, way: str, gap: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Copies of it in a direction, with so many cells between, to the edge."""
    top, left, bottom, right = scene.boxes[i].tolist()
    dy, dx = STEPS[way][0] * (bottom - top + gap), STEPS[way][1] * (right - left + gap)
    colours, parts = scene.cells.ravel()[scene.own[i]], []
    while (part := placed(scene, scene.own[i], colours, (dy * (len(parts) + 1), dx * (len(parts) + 1)), False)) is not None:
        parts.append(part)
    return tuple(map(np.concatenate, zip(*parts))) if parts else None


def reflected(scene: Scene, i: int, way: str, shift: bool) -> tuple[np.ndarray, np.ndarray] | None:
    """Its mirror image, over its side in a direction (`shift`) or in its own box; what leaves the picture is left out."""
    height, width = scene.labels.shape
    top, left, bottom, right = scene.boxes[i].tolist()
    y, x = np.divmod(scene.own[i], width)
    dy, dx = STEPS[way]
    if dy:
        y = top + bottom - 1 - y + shift * dy * (bottom - top)
    if dx:
        x = left + right - 1 - x + shift * dx * (right - left)
    stay = (y >= 0) & (x >= 0) & (y < height) & (x < width)
    return (y[stay] * width + x[stay], scene.cells.ravel()[scene.own[i]][stay]) if stay.any() else None


def quarter(scene: Scene, i: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Its image turned by a quarter in its own box; None where that is not square."""
    top, left, bottom, right = scene.boxes[i].tolist()
    if bottom - top != right - left:
        return None
    y, x = np.divmod(scene.own[i], scene.labels.shape[1])
    return (top + x - left) * scene.labels.shape[1] + right - 1 - (y - top), scene.cells.ravel()[scene.own[i]]


PATTERNS: dict[str, tuple[Callable[[Scene, int], tuple[np.ndarray, np.ndarray] | None], bool]] = {
    **{f"move {name}": (partial(moved, move=name), True) for name in MOVES},
    **{f"copy {name}": (partial(moved, move=name, inside=False), False) for name in MOVES if not name[0].isdigit()},
    **{f"repeat {w} gap {g}": (partial(repeated, way=w, gap=g), False) for w in STEPS for g in (0, 1)},
    **{f"mirror {w}": (partial(reflected, way=w, shift=True), False) for w in STEPS},
    **{f"complete {w}": (partial(reflected, way=w, shift=False), False) for w in ("up", "left", "up left")},
    **{f"turn over {w}": (partial(reflected, way=w, shift=False), True) for w in ("up", "left", "up left")},
    "complete by a quarter": (quarter, False),
    "turn by a quarter": (quarter, True),
}
"""Cells and colours that an object is drawn with elsewhere, by name, and whether it goes from where it was."""


STEADY = frozenset(f"move {name}" for name in MOVES if name[0].isdigit())
"""Patterns that take every object away from where it was."""


@lru_cache(20_000)
def pattern(scene: Scene, i: int, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """The cells and colours of a pattern of an object, remembered."""
    return PATTERNS[name][0](scene, i)
