"""Rules on objects, learned: the same action for all objects with the same value of a feature, as the demonstrations show it.

In:  images of a task (demonstrations first, then tests) and the outputs of the demonstrations. Out: `ObjectRule`s that
reproduce every demonstration, with a grid for every test and a description length.
A rule sees the grid as objects (`segments`), and has for each value of one feature (`features`) an action: a region of
the object painted in one colour or in a colour that the object borrows, a pattern drawn elsewhere, or nothing.
Not here: which actions the demonstrations allow (`columns`), patterns learned from examples (`stamps`), rules that
pick one object and show it alone (`choices`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np

from ...arc.task import Grid
from ..vocabulary import Image
from .choices import choices
from .columns import NOTHING, Column, Seen, columns_of, explainable
from .groups import Assignment, assignments, paired
from .patterns import PATTERNS, pattern
from .regions import region
from .segments import NONE, WAYS, Scene, see
from .stamps import stamps

MOST_LAYERS, MOST_RULES = 6, 8
"""Actions, those that explain most cells, that are tried in pairs, and rules for each."""
AGREEING = 0.3
"""Operations by which an answer becomes shorter each time that the number of rules that give it doubles."""
LEAST_COST = 0.5
ANSWERS_KEPT = 4


@dataclass(frozen=True, eq=False)
class ObjectRule:
    """`answers`: a grid a test input. `cost`: description length in operations. `program`: as a person reads it."""

    answers: tuple[Grid, ...]
    cost: float
    program: str


def object_explanations(images: tuple[Image, ...], outputs: list[Grid]) -> list[ObjectRule]:
    """Rules on objects for these images, the shortest first, one for each set of answers."""
    found = []
    cells = [image.cells for image in images]
    if all(c.shape == output.shape for c, output in zip(cells, outputs)):
        if all(np.array_equal(c, output) for c, output in zip(cells, outputs)):
            return []
        for extra, scenes in views(cells):
            found += [ObjectRule(r.answers, r.cost + extra, r.program) for r in painted(Seen(scenes, outputs))]
            found += [ObjectRule(answers, cost + extra, text) for answers, cost, text in stamps(scenes, outputs)]
    else:
        for extra, scenes in views(cells):
            found += [ObjectRule(answers, cost + extra, text) for answers, cost, text in choices(scenes, outputs)]
    return shortest(found)


def shortest(found: list[ObjectRule]) -> list[ObjectRule]:
    """The shortest rule for each set of answers, shorter still where more rules give the same."""
    same: dict[tuple, list[ObjectRule]] = {}
    for rule in sorted(found, key=lambda r: r.cost):
        same.setdefault(tuple((a.shape, a.tobytes()) for a in rule.answers), []).append(rule)
    agreed = [
        ObjectRule(first.answers, max(first.cost - AGREEING * math.log2(1 + len(others)), LEAST_COST), first.program)
        for first, *others in same.values()
    ]
    return sorted(agreed, key=lambda r: r.cost)[:ANSWERS_KEPT]


def views(cells: list[np.ndarray]) -> Iterator[tuple[float, list[Scene]]]:
    """The ways to see the grids as objects, with their cost: on background 0, and on the most frequent colour of each."""
    frequent = [int(np.bincount(c.ravel()).argmax()) for c in cells]
    backgrounds = [(0.0, [0] * len(cells))] + ([(0.5, frequent)] if any(frequent) else [])
    for extra, empties in backgrounds:
        if not all((c == e).any() for c, e in zip(cells, empties)):
            continue
        seen = []
        for index, way in enumerate(WAYS):
            scenes = []
            for c, e in zip(cells, empties):
                scene = see(c, way, e)
                if scene is None:
                    break
                scenes.append(scene)
            if len(scenes) < len(cells):
                continue
            mark = [scene.labels for scene in scenes]
            if any(all(np.array_equal(a, b) for a, b in zip(mark, other)) for other in seen):
                continue
            seen.append(mark)
            yield extra + 0.1 * index, scenes


def painted(seen: Seen) -> list[ObjectRule]:
    """Rules that paint objects; else that may draw them elsewhere too; else by two features; else two layers of such rules."""
    if not explainable(seen):
        return []
    painting = columns_of(seen, False)
    if rules := complete(seen, painting, assignments(seen, painting)):
        return rules
    drawing = columns_of(seen, True)
    return (
        complete(seen, drawing, assignments(seen, drawing))
        or complete(seen, painting, paired(seen, painting))
        or layered(seen, drawing)
    )


def complete(seen: Seen, columns: list[Column], ways: Iterator[Assignment]) -> list[ObjectRule]:
    """The assignments that reproduce all demonstrations."""
    return [
        ObjectRule(tuple(pictures[seen.known :]), cost, text)
        for missing, pictures, cost, text in applied(seen, columns, ways)
        if not missing
    ]


def applied(seen: Seen, columns: list[Column], ways: Iterator[Assignment]) -> Iterator[tuple[int, list[Grid], float, str]]:
    """Assignments that change nothing wrongly: (changed cells left unexplained, pictures of all inputs, cost, text)."""
    tried = set()
    for cost, text, groups, choice in ways:
        chosen = choice[groups]
        key = chosen.tobytes()
        if key in tried or not choice.any():
            continue
        tried.add(key)
        pictures, missing = drawn(seen, columns, chosen)
        if pictures is not None:
            yield missing, pictures, cost, text


def layered(seen: Seen, columns: list[Column]) -> list[ObjectRule]:
    """Two rules on different regions that explain all changes together."""
    gains: dict[str, int] = {}
    for column in columns[1:]:
        gains[column.action] = max(gains.get(column.action, 0), int(column.gained.sum()))
    layers = []
    everything = sum(int(c.sum()) for c in seen.changed)
    for action in sorted(gains, key=lambda a: -gains[a])[:MOST_LAYERS]:
        some = [c for c in columns if c.action == action]
        shown = np.logical_or.reduce([c.right & (c.gained > 0) for c in some])
        rest = Column(NOTHING, NOTHING, None, 0.0, ~shown, np.zeros(seen.learned, int))
        some = [rest, *some]
        layers += [(action, *found) for found in islice(applied(seen, some, assignments(seen, some)), MOST_RULES)]
    rules = []
    inputs = [scene.cells for scene in seen.scenes]
    for (action, missing, pictures, cost, text), (other, missed, more, price, what) in combinations(layers, 2):
        if action == other or everything - missing < missed or everything - missed < missing:
            continue
        both = [np.where(a != c, a, b) for a, b, c in zip(pictures, more, inputs)]
        if all(np.array_equal(b, output) for b, output in zip(both, seen.outputs)):
            rules.append(ObjectRule(tuple(both[seen.known :]), cost + price, f"{text}; and {what}"))
    return rules


def drawn(seen: Seen, columns: list[Column], chosen: np.ndarray) -> tuple[list[Grid] | None, int]:
    """The pictures by a column for each object, and how many changed cells of the demonstrations they leave as they were.

    None where a demonstration is changed wrongly or a test object lacks a colour."""
    pictures, missing = [], 0
    for number, scene in enumerate(seen.scenes):
        start = seen.starts[number]
        picture = result(scene, start, columns, chosen[start : seen.starts[number + 1]].tolist())
        if picture is None:
            return None, 0
        if number < seen.known:
            wrong = picture != seen.flat[number]
            if wrong.any():
                if (wrong & (picture != scene.cells.ravel())).any():
                    return None, 0
                missing += np.count_nonzero(wrong)
        pictures.append(picture.reshape(scene.cells.shape))
    return pictures, missing


def result(scene: Scene, start: int, columns: list[Column], chosen: list[int]) -> np.ndarray | None:
    """The picture after all actions, flat: what moves is taken away first. `start`: the first object's place in columns."""
    picture = scene.cells.ravel().copy()
    drawn_cells = {}
    for i, c in enumerate(chosen):
        column = columns[c]
        if column.action in PATTERNS and (made := pattern(scene, i, column.action)) is not None:
            drawn_cells[i] = made
            if PATTERNS[column.action][1]:
                picture[scene.own[i]] = scene.empty
    for i, c in enumerate(chosen):
        column = columns[c]
        if i in drawn_cells:
            cells, colours = drawn_cells[i]
            picture[cells] = colours
        elif column.colours is not None:
            cells, colour = region(scene, i, column.action), column.colours[start + i]
            if colour == NONE and len(cells):
                return None
            picture[cells] = colour
    return picture
