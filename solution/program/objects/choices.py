"""Rules that pick one object of the picture and show it alone: by a value, an extreme or an oddity, learned.

In:  scenes of a task seen in one way (demonstrations first, then tests) and the outputs of the demonstrations. Out: (answers,
cost, text) of rules that reproduce every demonstration.
Not here: rules for all objects (`rules`), what features mean (`features`).
"""

from collections.abc import Callable, Iterator

import numpy as np

from ...arc.task import Grid
from .features import feature_cost, features
from .segments import TURNED_BACK, Scene, turned

CHOICE_COST, VALUE_COST, SECOND_COST, TURN_COST = 1.0, 0.5, 1.5, 0.5
MOST_TESTS = 160
"""Conditions, the plainest, that are tried in pairs."""


def box(scene: Scene, i: int) -> np.ndarray:
    """Everything in its box."""
    return scene.cells[scene.slices[i]]


def alone(scene: Scene, i: int) -> np.ndarray:
    """Its box, without what does not belong to it."""
    return np.where(scene.masks[i], scene.cells[scene.slices[i]], np.uint8(scene.empty))


def grown(scene: Scene, i: int, margin: int) -> np.ndarray | None:
    """Its box with a margin, or (negative) without its own edge; None where that is no picture."""
    top, left, bottom, right = scene.boxes[i].tolist()
    top, left, bottom, right = top - margin, left - margin, bottom + margin, right + margin
    height, width = scene.cells.shape
    if top < 0 or left < 0 or bottom > height or right > width or bottom <= top or right <= left:
        return None
    return scene.cells[top:bottom, left:right]


def colour(scene: Scene, i: int) -> np.ndarray:
    """One cell in its colour."""
    return np.array([[scene.colours[i]]], np.uint8)


PICTURES: dict[str, tuple[float, Callable[[Scene, int], np.ndarray | None]]] = {
    "box": (0.0, box),
    "alone": (0.2, alone),
    "inner": (0.5, lambda s, i: grown(s, i, -1)),
    "wider": (0.5, lambda s, i: grown(s, i, 1)),
    "colour": (0.5, colour),
}
"""How a picked object is shown, with the cost."""


def choices(scenes: list[Scene], outputs: list[Grid]) -> Iterator[tuple[tuple[Grid, ...], float, str]]:
    """Rules that show one object: every picture of it, turned or not, and every condition that picks it."""
    known = len(outputs)
    conditions = None
    for name, (cost, picture) in PICTURES.items():
        shown = [[picture(scene, i) for i in range(scene.number)] for scene in scenes]
        for turn in range(8):
            wanted = [turned(output)[turn] for output in outputs]  # the output turned back
            right = [
                np.array([p is not None and p.shape == w.shape and np.array_equal(p, w) for p in some])
                for some, w in zip(shown, wanted)
            ]
            if not all(r.any() for r in right):
                continue
            if conditions is None:
                conditions = list(conditions_of(scenes))
            extra = cost + (TURN_COST if turn else 0)
            for picks, price, text in picking(conditions, right, scenes, known):
                answers = agreed(shown[known:], picks)
                if answers is not None:
                    back = [turned(a)[TURNED_BACK[turn]] for a in answers]
                    yield tuple(np.ascontiguousarray(b) for b in back), extra + price, f"{name} of {text}"
            break


def agreed(shown: list[list[np.ndarray | None]], picks: list[np.ndarray]) -> list[np.ndarray] | None:
    """For each test the picture of the picked objects; None where they differ or have none."""
    answers = []
    for pictures, pick in zip(shown, picks):
        first, *others = (pictures[i] for i in np.flatnonzero(pick).tolist())
        if first is None or any(o is None or not np.array_equal(first, o) for o in others):
            return None
        answers.append(first)
    return answers


def conditions_of(scenes: list[Scene]) -> Iterator[tuple[list[np.ndarray], float, str]]:
    """Every "feature has this value" that holds for an object of each picture: bool (objects,) a picture, cost, text."""
    found = [features(scene) for scene in scenes]
    done = set()
    for name in found[0]:
        if not all(name in f for f in found):
            continue
        values = [f[name] for f in found]
        common = set(values[0].tolist()).intersection(*(v.tolist() for v in values[1:]))
        for value in sorted(common):
            picks = [v == value for v in values]
            mark = b"".join(p.tobytes() for p in picks)
            if mark in done:
                continue
            done.add(mark)
            relative = name.split()[0] in ("most", "least", "only", "alone", "nearest") and value == 1
            yield picks, feature_cost(name) + (0.0 if relative else VALUE_COST), f"{name} {value}"


def picking(conditions: list, right: list[np.ndarray], scenes: list[Scene], known: int):
    """Conditions, alone or two together, that hold only for objects whose picture is right: (tests' picks, cost, text)."""
    bounds = np.cumsum([0, *(scene.number for scene in scenes)])
    useful = [c for c in conditions if all((p & r).any() for p, r in zip(c[0], right))]
    single = False
    for picks, cost, text in useful:
        if all(not (p & ~r).any() for p, r in zip(picks, right)):
            single = True
            yield picks[known:], CHOICE_COST + cost, text
    if single or not useful:
        return
    useful = useful[:MOST_TESTS]
    table = np.array([np.concatenate(picks) for picks, _, _ in useful])
    wrong = np.concatenate([~r for r in right])
    starts = bounds[:-1]
    for k in range(len(useful)):
        both = table[k] & table[k + 1 :]
        clean = ~(both[:, : bounds[known]] & wrong).any(1)
        for j in np.flatnonzero(clean).tolist():
            if np.logical_or.reduceat(both[j], starts).all():
                picks = np.split(both[j], bounds[1:-1])
                cost = CHOICE_COST + SECOND_COST + useful[k][1] + useful[k + 1 + j][1]
                yield picks[known:], cost, f"{useful[k][2]} and {useful[k + 1 + j][2]}"
