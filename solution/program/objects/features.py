"""What a rule can ask of an object: integers for every object of a scene, and the colours that an object can borrow.

In:  a `Scene`. Out: features by name, int (objects,) each; borrowed colours by name, likewise, `NONE` where there is none.
Not here: how objects are seen (`segments`), which features explain a task (`rules`).
"""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from .segments import FOUR, NONE, Scene, lone, occurrences, shape_code

COMPARED = ("size", "height", "width", "area", "long side", "holes", "colours", "density", "minority", "inner", "neighbours")
"""Measures by which an object can be the first, the last or the odd one of its scene."""

PLACES = frozenset(
    ("top", "left", "from bottom", "from right", "order", "order by columns", "order parity", "odd top", "odd left", "odd place")
    + ("others in rows", "others in columns", "neighbours", "density", "objects")
)
NOMINAL = frozenset(("colour", "minor colour", "shape", "free shape", "major shape"))
"""Features whose values have no order."""
PLACE_COST, RANK_COST = 1.0, 0.5
"""Description length in operations."""


def feature_cost(name: str) -> float:
    """Description length of a feature beyond a plain one: where an object is, and ranks, fit training tasks more by chance."""
    return PLACE_COST if name in PLACES else RANK_COST if "rank" in name or "extreme" in name else 0.0


def hole_counts(scene: Scene) -> np.ndarray:
    """Enclosed regions of cells that do not belong to the object."""
    found = np.zeros(scene.number, int)
    for i, mask in enumerate(scene.masks):
        if mask.shape[0] > 2 and mask.shape[1] > 2 and not mask.all():
            open_cells = np.ones((mask.shape[0] + 2, mask.shape[1] + 2), bool)
            open_cells[1:-1, 1:-1] = ~mask
            found[i] = ndimage.label(open_cells, FOUR)[1] - 1
    return found


def first_seen(scene: Scene) -> dict[str, np.ndarray]:
    """For each direction the first other object that a straight way from the middle of a side of the box meets: its colour."""
    cells, labels = scene.cells, scene.labels
    found = {side: np.full(scene.number, NONE) for side in ("up", "left", "down", "right")}
    for i, (top, left, bottom, right) in enumerate(scene.boxes.tolist()):
        row, column = (top + bottom - 1) // 2, (left + right - 1) // 2
        ways = {
            "up": (slice(None, top), column, -1),
            "left": (row, slice(None, left), -1),
            "down": (slice(bottom, None), column, 1),
            "right": (row, slice(right, None), 1),
        }
        for side, (y, x, step) in ways.items():
            met = np.flatnonzero(labels[y, x][::step])
            if len(met):
                found[side][i] = cells[y, x][::step][met[0]]
    return found


@lru_cache(512)
def features(scene: Scene) -> dict[str, np.ndarray]:
    """Every feature, the plainest first."""
    top, left, bottom, right = scene.boxes.T
    rows, columns = scene.cells.shape
    height, width, size, counts = bottom - top, right - left, scene.sizes, scene.counts
    present = counts > 0
    single_colour = (present.sum(1) == 1).all()
    minor = np.where(present, counts, 10**6).min(1)
    free = np.array([shape_code(mask, True) for mask in scene.masks])
    fixed = np.array([shape_code(mask, False) for mask in scene.masks])
    mirrored = np.array([np.array_equal(m, m[:, ::-1]) for m in scene.masks])
    flipped = np.array([np.array_equal(m, m[::-1]) for m in scene.masks])
    diagonal = np.array(
        [m.shape[0] == m.shape[1] and (np.array_equal(m, m.T) or np.array_equal(m, m[::-1, ::-1].T)) for m in scene.masks]
    )
    sides = np.stack([top == 0, left == 0, bottom == rows, right == columns])
    in_rows = (top[:, None] < bottom) & (top < bottom[:, None])
    in_columns = (left[:, None] < right) & (left < right[:, None])
    found = {
        "colour": scene.colours,
        "size": size,
        "height": height,
        "width": width,
        "area": height * width,
        "long side": np.maximum(height, width),
        "holes": hole_counts(scene),
        "shape": fixed,
        "free shape": free,
        "one cell": size == 1,
        "rectangle": size == height * width,
        "square box": height == width,
        "filled square": (height == width) & (size == height * width),
        "line": (height == 1) | (width == 1),
        "taller": np.sign(height - width),
        "mirrored": mirrored,
        "flipped": flipped,
        "symmetric": mirrored | flipped | diagonal,
        "edges": sides.sum(0),
        "at edge": sides.any(0),
        "at top": sides[0],
        "at left": sides[1],
        "at bottom": sides[2],
        "at right": sides[3],
        "neighbours": scene.touching.sum(1),
        "touches": scene.touching.any(1),
        "inner": scene.within.sum(0),
        "contains": scene.within.any(0),
        "inside": scene.within.any(1),
        "density": size * 100 // (height * width),
        "same colour": occurrences(scene.colours),
        "same shape": occurrences(free),
        "same fixed shape": occurrences(fixed),
        "same size": occurrences(size),
        "others in rows": in_rows.sum(1) - 1,
        "others in columns": in_columns.sum(1) - 1,
        "odd size": size % 2,
        "odd width": width % 2,
        "odd height": height % 2,
        "odd top": top % 2,
        "odd left": left % 2,
        "odd place": (top + left) % 2,
        "order": np.arange(scene.number),
        "order parity": np.arange(scene.number) % 2,
        "order by columns": np.lexsort((top, left)).argsort(),
        "top": top,
        "left": left,
        "from bottom": rows - bottom,
        "from right": columns - right,
        "corner": (sides[0] | sides[2]) & (sides[1] | sides[3]),
        "centre": (2 * top <= rows) & (2 * bottom >= rows) & (2 * left <= columns) & (2 * right >= columns),
        "objects": np.full(scene.number, scene.number),
    }
    if not single_colour:
        coloured = [shape_code(scene.cells[b] == c, False) for b, c in zip(scene.slices, scene.colours.tolist())]
        pictures = np.array(
            [hash((c.shape, (c * m).tobytes())) for c, m in zip(map(scene.cells.__getitem__, scene.slices), scene.masks)]
        )
        found |= {
            "colours": present.sum(1),
            "several colours": present.sum(1) > 1,
            "minority": minor,
            "minor colour": np.where(present, counts, 10**6).argmin(1),
            "major shape": np.array(coloured),
            "same picture": occurrences(pictures),
        }
        found |= {f"cells of {c}": counts[:, c] for c in range(10)}
        found |= {f"has {c}": present[:, c] for c in range(10)}
    for name in COMPARED:
        if name in found:
            found |= compared(name, found[name])
    for name, place in (("top", top), ("left", left), ("bottom", -bottom), ("right", -right)):
        found[f"nearest {name}"] = place == place.min()
    for name in ("same colour", "same shape", "same fixed shape", "same size", "same picture"):
        if name in found:
            found |= compared(name, found[name])
            found[f"only {name}"] = found[name] == 1
    touched = np.zeros((scene.number, 10), bool)
    first, second = scene.touching.nonzero()
    touched[first, scene.colours[second]] = True
    inner, outer = scene.within.nonzero()
    contained = np.zeros((scene.number, 10), bool)
    contained[outer, scene.colours[inner]] = True
    for c in range(10):
        found |= {f"touches {c}": touched[:, c], f"contains {c}": contained[:, c]}
    return {name: np.asarray(values).astype(np.int64) for name, values in found.items()}


def compared(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Whether each is the greatest or least, and the rank both ways."""
    distinct, ranks = np.unique(values, return_inverse=True)
    return {
        f"most {name}": values == distinct[-1],
        f"least {name}": values == distinct[0],
        f"{name} rank": ranks,
        f"{name} rank from the greatest": len(distinct) - 1 - ranks,
        f"alone in {name}": occurrences(values) == 1,
        f"extreme {name}": (values == distinct[-1]) * 1 - (values == distinct[0]),
    }


@lru_cache(512)
def borrowed_colours(scene: Scene) -> dict[str, np.ndarray]:
    """Colours that an object can take from itself, another object or the picture."""
    colours, size, counts, gaps = scene.colours, scene.sizes, scene.counts, scene.gaps
    number = scene.number
    minor = np.where(counts > 0, counts, 10**6).argmin(1)
    found = {"own": colours, "minor colour": np.where((counts > 0).sum(1) > 1, minor, NONE)}
    nearest, least = gaps.argmin(1), gaps.min(1)
    found["nearest's"] = np.where(least < 99, colours[nearest], NONE)
    foreign = np.where(colours[:, None] == colours, 99, gaps)
    found["nearest other colour"] = np.where(foreign.min(1) < 99, colours[foreign.argmin(1)], NONE)
    found["touching"] = np.array([lone(colours[t]) for t in scene.touching])
    found["contained"] = np.array([lone(colours[w]) for w in scene.within.T])
    found["container's"] = np.array([lone(colours[w]) for w in scene.within])
    free = features(scene)["free shape"]
    alike = (free[:, None] == free) & (colours[:, None] != colours)
    found["same shape's"] = np.array([lone(colours[a]) for a in alike])
    area = features(scene)["area"]
    alike = (area[:, None] == area) & (colours[:, None] != colours)
    found["same area's"] = np.array([lone(colours[a]) for a in alike])
    top, left, bottom, right = scene.boxes.T
    in_rows = (top[:, None] < bottom) & (top < bottom[:, None]) & ~np.eye(number, dtype=bool)
    in_columns = (left[:, None] < right) & (left < right[:, None]) & ~np.eye(number, dtype=bool)
    found["in its rows"] = np.array([lone(colours[a]) for a in in_rows])
    found["in its columns"] = np.array([lone(colours[a]) for a in in_columns])
    for name, best in (("largest's", size == size.max()), ("smallest's", size == size.min())):
        found[name] = np.full(number, lone(colours[best]))
    found["alone's"] = np.full(number, lone(colours[occurrences(colours) == 1]))
    total = np.bincount(scene.cells.ravel(), minlength=10)
    total[scene.empty] = 0
    present = np.flatnonzero(total)
    if len(present):
        found["rarest in picture"] = np.full(number, lone(present[total[present] == total[present].min()]))
        found["commonest in picture"] = np.full(number, lone(present[total[present] == total.max()]))
    corners = scene.cells[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int)
    for place, colour in zip(("top left", "top right", "bottom left", "bottom right"), corners.tolist()):
        if colour != scene.empty:
            found[f"{place} corner's"] = np.full(number, colour)
    if number <= 40:
        found |= {f"first seen {side}": values for side, values in first_seen(scene).items()}
    return found
