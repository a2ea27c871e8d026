"""Actions on the objects of a task: which of them the demonstrations allow for each object, and what they explain.

In:  scenes of a task seen in one way (demonstrations first, then tests) and the outputs of the demonstrations (`Seen`).
Out: `Column`s, one an action: for each object of the demonstrations whether the outputs agree with it.
Not here: cells of an action (`regions`, `patterns`), which objects get which action (`rules`).
"""

from dataclasses import dataclass

import numpy as np

from ...arc.task import Grid
from .features import borrowed_colours
from .patterns import PATTERNS, STEADY, pattern
from .regions import LINES, PARTS, REGIONS, STEPS, first_steps, part
from .segments import Scene

NOTHING = "nothing"
UNEVEN, FREE = -2, -3
"""What the output shows in a region: several colours; no cell, so that any colour is right."""
MOST_DRAWN, MOST_ELSEWHERE = 40, 20
"""Objects of pictures with more are only recoloured; are not drawn elsewhere."""


@dataclass(frozen=True, eq=False)
class Column:
    """An action on every object of the demonstrations and tests: a region painted, a move, or nothing.

    `colours`: int (objects,), `NONE` where the object has none to borrow; None for a move and nothing. `right`: bool, whether
    the outputs agree; `gained`: changed cells that it explains; both (objects of the demonstrations,)."""

    name: str
    action: str
    colours: np.ndarray | None
    cost: float
    right: np.ndarray
    gained: np.ndarray


class Seen:
    """A task seen in one way: scenes, demonstrations first, and what all their objects have."""

    def __init__(self, scenes: list[Scene], outputs: list[Grid]):
        self.scenes, self.outputs, self.known = scenes, outputs, len(outputs)
        self.flat = [output.ravel() for output in outputs]
        self.changed = [(scene.cells != output).ravel() for scene, output in zip(scenes, outputs)]
        self.explained = [np.zeros(output.size, bool) for output in outputs]
        self.starts = np.cumsum([0, *(scene.number for scene in scenes)])
        self.learned = int(self.starts[self.known])
        self.parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.regions: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self.later: dict[str, list[tuple]] = {}

    def joined(self, found: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Arrays of objects that every scene has, one after another; int (objects,)."""
        return {name: np.concatenate([f[name] for f in found]) for name in found[0] if all(name in f for f in found)}

    def part(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """For objects of the demonstrations: what the output shows in a part (colour, `UNEVEN`, `FREE`), cells changed.

        A part other than the object's own cells counts as painted only where it is wholly changed, else as `UNEVEN`.
        First only where the cells beside an object show that it may be painted; `complete` looks at the rest.
        """
        if name not in self.parts:
            way = next((w for end in LINES for w in STEPS if name == f"{end} {w}"), None)
            shows, gains, later = np.full(self.learned, UNEVEN), np.zeros(self.learned, int), []
            at = 0
            for scene, output, changed, explained in zip(self.scenes, self.flat, self.changed, self.explained):
                every = some = np.ones(scene.number, bool)
                if way is not None:
                    every, some = first_steps(scene, way, changed)
                likely, possible = (some, ~some) if name.startswith("bridge") else (every & some, every & ~some)
                for i in likely.nonzero()[0].tolist():
                    shows[at + i], gains[at + i] = look(scene, i, name, output, changed)
                    if shows[at + i] >= 0:
                        explained[part(scene, i, name)] = True
                later += [(at + i, scene, i, name, output, changed) for i in possible.nonzero()[0].tolist()]
                at += scene.number
            self.parts[name] = shows, gains
            self.later[name] = later
        return self.parts[name]

    def complete(self, name: str) -> None:
        """Look at the objects that `part` left out."""
        shows, gains = self.parts[name]
        for at, *where in self.later.pop(name, []):
            shows[at], gains[at] = look(*where)

    def shown(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """As `part`, for the parts of a region together."""
        if name == "own":
            return self.part("own")
        if name not in self.regions:
            if any(self.part(one)[1].any() for one in REGIONS[name]):
                for one in REGIONS[name]:
                    self.complete(one)
            shows, gains = np.full(self.learned, FREE), np.zeros(self.learned, int)
            for one in REGIONS[name]:
                show, gain = self.part(one)
                differs = (shows != FREE) & (show != FREE) & (shows != show)
                shows = np.where(differs, UNEVEN, np.where(shows == FREE, show, shows))
                gains = gains + gain
            self.regions[name] = shows, gains
        return self.regions[name]


def look(scene: Scene, i: int, name: str, output: np.ndarray, changed: np.ndarray) -> tuple[int, int]:
    """What the output shows in a part of an object, and how many of its cells are changed."""
    cells = part(scene, i, name)
    if not len(cells):
        return FREE, 0
    colours, new = output[cells], np.count_nonzero(changed[cells])
    if (colours != colours[0]).any() or (name != "own" and new < len(cells)):
        return UNEVEN, new
    return int(colours[0]), new


def explainable(seen: Seen) -> bool:
    """Whether actions on objects can explain every changed cell of the demonstration with the fewest objects."""
    number = min(range(seen.known), key=lambda k: seen.scenes[k].number)
    one = Seen(seen.scenes[number : number + 1], seen.outputs[number : number + 1])
    outside = (one.changed[0] & (one.scenes[0].labels.ravel() == 0)).any()
    if outside and max(scene.number for scene in seen.scenes) > MOST_DRAWN:
        return False
    left = one.changed[0]
    for name in ("own", *PARTS) if outside else ("own",):
        one.part(name)
        left = left & ~one.explained[0]
        if not left.any():
            return True
    patterns_of(one, outside)
    return not (left & ~one.explained[0]).any()


def columns_of(seen: Seen, patterns: bool) -> list[Column]:
    """The actions that explain a changed cell of a demonstration, and nothing; cheapest first. Empty where none can do."""
    shows, gains = seen.shown("own")
    kept = gains == 0
    objects = [scene.labels.ravel() > 0 for scene in seen.scenes[: seen.known]]
    outside = any((changed & ~inside).any() for changed, inside in zip(seen.changed, objects))
    columns = [Column(NOTHING, NOTHING, None, 0.0, kept, np.zeros(seen.learned, int))]
    borrowed, empties = None, {scene.empty for scene in seen.scenes}
    names = ["own"] if not kept.all() else []
    if outside:
        if max(scene.number for scene in seen.scenes) > MOST_DRAWN:
            return []
        names += REGIONS
    for name in names:
        if name != "own":
            shows, gains = seen.shown(name)
        plain = (shows >= 0) & (gains > 0)
        if not plain.any():
            continue
        for colour in np.unique(shows[plain]).tolist():
            if name.startswith("hit ") and colour in empties:
                continue
            everywhere = np.full(seen.starts[-1], colour)
            right = (shows == colour) | (shows == FREE)
            columns.append(Column(f"{name} {colour}", name, everywhere, 0.5, right, gains * right))
        if borrowed is None:
            borrowed = seen.joined([borrowed_colours(scene) for scene in seen.scenes])
        for term, colours in borrowed.items():
            right = (shows == FREE) | ((shows == colours[: seen.learned]) & (shows >= 0))
            if (right & plain).any():
                columns.append(Column(f"{name} {term}", name, colours, 1.0, right, gains * right))
    if patterns and (outside or not kept.all()):
        columns += patterns_of(seen, outside)
    if any((changed & ~explained).any() for changed, explained in zip(seen.changed, seen.explained)):
        return []
    return sorted(columns, key=lambda c: c.cost)


def patterns_of(seen: Seen, outside: bool) -> list[Column]:
    """Patterns that bring an object to where the output shows it. `outside`: whether cells beside objects change."""
    if max(scene.number for scene in seen.scenes) > MOST_ELSEWHERE:
        return []
    found = []
    stays = seen.part("own")[1] == 0
    for name, (_, goes) in PATTERNS.items():
        if (goes and stays.all()) or (not outside and not name.startswith("turn ")):
            continue
        right, gained = np.zeros(seen.learned, bool), np.zeros(seen.learned, int)
        shown = zip(seen.starts.tolist(), seen.scenes, seen.flat, seen.changed, seen.explained)
        for start, scene, output, changed, explained in shown:
            for i in range(scene.number):
                at = start + i
                if name in STEADY and stays[at]:
                    continue
                there = pattern(scene, i, name)
                if there is None:
                    right[at] = stays[at]
                elif (output[there[0]] == there[1]).all():
                    right[at] = True
                    explained[there[0]] = True
                    gained[at] = np.count_nonzero(changed[there[0]])
                    if goes:
                        explained[scene.own[i]] = True
                        gained[at] += np.count_nonzero(changed[scene.own[i]])
        if gained.any():
            found.append(Column(name, name, None, 0.5, right, gained))
    return found
