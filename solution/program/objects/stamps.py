"""Rules that draw the same pattern at every object of a kind, the pattern learned from what the demonstrations show there.

In:  scenes of a task seen in one way (demonstrations first, then tests) and the outputs of the demonstrations. Out: (answers,
cost, text) of rules that reproduce every demonstration.
Not here: patterns that a rule names (`regions`), which depend on the object's size or on what is around.
"""

from collections.abc import Iterator

import numpy as np

from ...arc.task import Grid
from .features import features
from .segments import Scene

REACH = 5
"""Cells around the box of an object that its pattern may have."""
OUTSIDE, OWN, KEPT = 10, 11, 12
"""Values in patterns: beyond the picture; the object's colour; left as it is."""
STAMP_COST, KIND_COST = 2.0, 0.5
KINDS = ("colour", "size", "shape", "free shape", "one cell", "most size", "rectangle", "same colour", "same shape")
MOST_STAMPED = 40
MOST_KINDS = 4


def stamps(scenes: list[Scene], outputs: list[Grid]) -> Iterator[tuple[tuple[Grid, ...], float, str]]:
    """Rules that stamp: a pattern for each value of a feature, the same feature for all."""
    known = len(outputs)
    if max(scene.number for scene in scenes) > MOST_STAMPED or not near(scenes, outputs):
        return
    found = [features(scene) for scene in scenes]
    done = set()
    for name in ("", *KINDS):
        if name and not all(name in f for f in found):
            continue
        values = [f[name] if name else np.zeros(scene.number, int) for f, scene in zip(found, scenes)]
        mark = b"".join(v.tobytes() for v in values)
        kinds = sorted(set(np.concatenate(values[:known]).tolist()))
        if mark in done or len(kinds) > MOST_KINDS or not set(np.concatenate(values[known:]).tolist()) <= set(kinds):
            continue
        done.add(mark)
        patterns, cost = {}, STAMP_COST + KIND_COST * (len(kinds) - 1)
        for kind in kinds:
            where = [(number, i) for number in range(known) for i in np.flatnonzero(values[number] == kind).tolist()]
            pattern = learned(scenes, outputs, where)
            if pattern is None:
                break
            patterns[kind] = pattern
        if len(patterns) < len(kinds) or all((p == KEPT).all() for p in patterns.values()):
            continue
        pictures = [stamped(scene, [patterns[v] for v in some.tolist()]) for scene, some in zip(scenes, values)]
        if all(p is not None for p in pictures) and all(np.array_equal(p, o) for p, o in zip(pictures, outputs)):
            yield tuple(pictures[known:]), cost, f"stamp for each {name or 'object'}"


def near(scenes: list[Scene], outputs: list[Grid]) -> bool:
    """Whether every changed cell lies within reach of an object."""
    for scene, output in zip(scenes, outputs):
        covered = np.zeros(output.shape, bool)
        for top, left, bottom, right in scene.boxes.tolist():
            covered[max(top - REACH, 0) : bottom + REACH, max(left - REACH, 0) : right + REACH] = True
        if ((scene.cells != output) & ~covered).any():
            return False
    return True


def learned(scenes: list[Scene], outputs: list[Grid], where: list[tuple[int, int]]) -> np.ndarray | None:
    """What all outputs show around these objects alike, two of them at least, where one is changed, `KEPT` elsewhere.

    uint8 (box + 2 reach).
    None where the boxes differ in size, unless nothing is to be drawn."""
    boxes = [scenes[number].boxes[i] for number, i in where]
    if len({(int(b[2] - b[0]), int(b[3] - b[1])) for b in boxes}) > 1:
        return None
    after = np.array([window(outputs[number], b) for (number, _), b in zip(where, boxes)])
    before = np.array([window(scenes[number].cells, b) for (number, _), b in zip(where, boxes)])
    colours = np.array([scenes[number].colours[i] for number, i in where])[:, None, None]
    inside = after != OUTSIDE
    highest, lowest = np.where(inside, after, 0).max(0), after.min(0)
    alike = highest == lowest
    owned = ((after == colours) | ~inside).all(0)
    drawn = ((after != before) & inside).any(0) & (inside.sum(0) > 1)
    pattern = np.full(alike.shape, KEPT, np.uint8)
    pattern[alike & drawn] = lowest[alike & drawn]
    pattern[owned & drawn] = OWN
    return pattern


def window(cells: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The box with its surroundings, `OUTSIDE` beyond the picture."""
    padded = np.pad(cells, REACH, constant_values=OUTSIDE)
    return padded[box[0] : box[2] + 2 * REACH, box[1] : box[3] + 2 * REACH]


def stamped(scene: Scene, patterns: list[np.ndarray]) -> Grid | None:
    """The picture with the pattern of each object drawn; None where a box has another size than its pattern's."""
    picture = np.pad(scene.cells, REACH)
    for box, colour, pattern in zip(scene.boxes, scene.colours, patterns):
        place = slice(box[0], box[2] + 2 * REACH), slice(box[1], box[3] + 2 * REACH)
        if picture[place].shape != pattern.shape:
            return None
        drawn = np.where(pattern == OWN, colour, pattern)
        picture[place] = np.where(pattern == KEPT, picture[place], drawn)
    return picture[REACH:-REACH, REACH:-REACH].astype(np.uint8)
