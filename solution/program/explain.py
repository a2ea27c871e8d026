"""From behaviours to answers: which programs explain every demonstration, alone, through a colour table, or stacked.

In:  `Node`s as they are found, the outputs of the demonstrations. Out: `Explanation`s: a grid for each test input, with the
description length of how it was made. Every explanation reproduces all demonstrations exactly.
Not here: finding nodes (`search`), choosing between explanations (`solve`).
"""

from dataclasses import dataclass

import numpy as np

from ..arc.task import Grid
from .search import Node

TABLE_COST, PAIR_COST, LAYER_COST = 1.0, 2.0, 1.0
"""Description length of a colour table, of a table over two images, and of each layer beyond the first, in operations."""
MOST_LAYERS = 3
TRIED_PER_LAYER = (40, 10, 4)
"""How many of the best layers are followed up at each depth of a stack."""
MOST_PAIRED = 120
"""Images, the cheapest, that are tried in pairs."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """`answers`: a grid a test input. `cost`: description length in operations. `program`: as a person reads it."""

    answers: tuple[Grid, ...]
    cost: float
    program: str


class Explainer:
    """Collects nodes and finds the explanations among them. `outputs`: of the demonstrations, in the order of the inputs."""

    def __init__(self, inputs: list[Grid], outputs: list[Grid]):
        self.inputs, self.outputs = inputs, outputs
        self.known = len(outputs)
        self.shapes = [grid.shape for grid in outputs]
        self.keeps_size = all(grid.shape == output.shape for grid, output in zip(inputs, outputs))
        self.target = np.concatenate([grid.ravel() for grid in outputs])
        self.filled = bits(self.target != 0)
        self.fitting: list[tuple[Node, np.ndarray]] = []  # images of the outputs' shapes, flat over the demonstrations
        self.layers: list[tuple[Node, int, int, list[Grid]]] = []  # node, bits covered, bits wrong, grids

    def take(self, node: Node) -> Explanation | None:
        """Look at one more image; an explanation where it alone, or through a colour table, reproduces the outputs."""
        cells = [image.cells for image in node.values]
        if all(c.shape == shape for c, shape in zip(cells, self.shapes)):
            flat = np.concatenate([c.ravel() for c in cells[: self.known]])
            self.fitting.append((node, flat))
            self._add_layer(node, flat, cells)
            if (flat == self.target).all():
                return Explanation(tuple(cells[self.known :]), node.cost, str(node))
            return self._through_table(node, flat, cells)
        if self.keeps_size:
            placed = [paste(image, grid.shape) for image, grid in zip(node.values, self.inputs)]
            if all(p is not None for p in placed):
                self._add_layer(node, np.concatenate([p.ravel() for p in placed[: self.known]]), placed)
        return None

    def _add_layer(self, node: Node, flat: np.ndarray, grids: list[Grid]) -> None:
        covered = flat != 0
        right = covered & (flat == self.target)
        if right.any():
            self.layers.append((node, bits(covered), bits(covered & ~right), grids))

    def _through_table(self, node: Node, flat: np.ndarray, cells: list[Grid]) -> Explanation | None:
        table = learn(flat, self.target, 10)
        if table is None:
            return None
        answers = [look_up(table, c) for c in cells[self.known :]]
        if any(a is None for a in answers):
            return None
        return Explanation(tuple(answers), node.cost + TABLE_COST, f"{node} > colours {describe(table)}")

    def pairs(self) -> list[Explanation]:
        """Explanations by a table over the colours that two images show in the same cell."""
        found = []
        cheapest = sorted(self.fitting, key=lambda f: f[0].cost)[:MOST_PAIRED]
        for index, (first, flat) in enumerate(cheapest):
            for second, other in cheapest[index + 1 :]:
                table = learn(flat.astype(np.int64) * 10 + other, self.target, 100)
                if table is None:
                    continue
                tests = zip(first.values[self.known :], second.values[self.known :])
                answers = [
                    look_up(table, a.cells.astype(np.int64) * 10 + b.cells) if a.cells.shape == b.cells.shape else None
                    for a, b in tests
                ]
                if all(answer is not None for answer in answers):
                    cost = first.cost + second.cost + PAIR_COST
                    found.append(Explanation(tuple(answers), cost, f"table of ({first}) and ({second})"))
        return found

    def stacks(self) -> list[Explanation]:
        """Explanations by layers, the first on top: each is right wherever none above it covers, together they cover all."""
        found: list[Explanation] = []
        self._stack([], 0, found)
        return found

    def _stack(self, above: list[tuple], covered: int, found: list[Explanation]) -> None:
        missing = self.filled & ~covered
        if not missing and above:
            found.append(self._stacked(above))
            return
        depth = len(above)
        if depth == MOST_LAYERS:
            return
        open_cells = ~covered
        usable = [
            (-((layer[1] & missing).bit_count()), layer[0].cost, index)
            for index, layer in enumerate(self.layers)
            if not layer[2] & open_cells and layer[1] & missing
        ]
        usable.sort()
        for _, _, index in usable[: TRIED_PER_LAYER[depth]]:
            self._stack([*above, self.layers[index]], covered | self.layers[index][1], found)

    def _stacked(self, layers: list[tuple]) -> Explanation:
        answers = []
        for test in range(self.known, len(self.inputs)):
            answer = np.array(layers[0][3][test])
            for _, _, _, grids in layers[1:]:
                if grids[test].shape == answer.shape:
                    answer = np.where(answer == 0, grids[test], answer)
            answers.append(answer)
        cost = sum(node.cost for node, *_ in layers) + LAYER_COST * (len(layers) - 1)
        return Explanation(tuple(answers), cost, " over ".join(f"({node})" for node, *_ in layers))


def bits(flags: np.ndarray) -> int:
    """Flags as one integer, a bit each."""
    return int.from_bytes(np.packbits(flags).tobytes(), "big")


def paste(image, shape: tuple[int, int]) -> Grid | None:
    """The image at its place on an empty picture of that shape; None where it does not lie wholly in it."""
    height, width = image.cells.shape
    if image.y < 0 or image.x < 0 or image.y + height > shape[0] or image.x + width > shape[1]:
        return None
    canvas = np.zeros(shape, np.uint8)
    canvas[image.y : image.y + height, image.x : image.x + width] = image.cells
    return canvas


def learn(index: np.ndarray, target: np.ndarray, size: int) -> np.ndarray | None:
    """The function from index to target colour, int (size,) with -1 where an index never occurs; None where there is none."""
    counts = np.bincount(index.astype(np.int64) * 10 + target, minlength=10 * size).reshape(size, 10)
    if ((counts > 0).sum(1) > 1).any():
        return None
    return np.where(counts.any(1), counts.argmax(1), -1)


def look_up(table: np.ndarray, index: np.ndarray) -> Grid | None:
    """The colours that a table gives; None where it says nothing of an index."""
    found = table[index]
    return None if (found < 0).any() else found.astype(np.uint8)


def describe(table: np.ndarray) -> str:
    return ",".join(f"{i}to{c}" for i, c in enumerate(table) if c not in (-1, i))
