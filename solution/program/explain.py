"""From behaviours to answers: which programs explain every demonstration, alone, through a colour table, or stacked.

In:  `Node`s as they are found, the outputs of the demonstrations. Out: `Explanation`s: a grid for each test input, with the
description length of how it was made. Every explanation reproduces all demonstrations exactly.
Not here: finding nodes (`search`), choosing between explanations (`solve`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..arc.task import Grid
from .cells.maps import MOST
from .cells.rules import Shown, cell_rules
from .search import Node

TABLE_COST, LAYER_COST = 1.0, 1.0
"""Description length of a colour table, and of each layer beyond the first, in operations."""
RULE_COST, NUMBER_COST = 1.0, 0.5
MOST_BASES, MOST_BESIDE = 4, 100
"""Images on which rules on cells are learnt, and images that a rule may look at beside."""
MOST_LAYERS = 3
TRIED_PER_LAYER = (40, 10, 4)
"""How many of the best layers are followed up at each depth of a stack."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """`answers`: a grid a test input. `cost`: description length in operations. `program`: as a person reads it."""

    answers: tuple[Grid, ...]
    cost: float
    program: str


class Explainer:
    """Collects nodes and finds the explanations among them. `outputs`: of the demonstrations, in the order of the inputs.
    `care`: the cells of each that have to be right, bool; None for all. (Stacks do not know of it.) `out_of_time` ends what takes
    long; what was found by then counts."""

    def __init__(
        self,
        inputs: list[Grid],
        outputs: list[Grid],
        care: Sequence[np.ndarray] | None = None,
        out_of_time: Callable[[], bool] = lambda: False,
    ):
        self.inputs, self.outputs, self.out_of_time = inputs, outputs, out_of_time
        self.care = np.ones(sum(output.size for output in outputs), bool)
        if care is not None:
            self.care = np.concatenate([cells.ravel() for cells in care])
        self.known = len(outputs)
        self.shapes = [grid.shape for grid in outputs]
        self.keeps_size = all(grid.shape == output.shape for grid, output in zip(inputs, outputs))
        self.target = np.concatenate([grid.ravel() for grid in outputs])
        self.filled = bits(self.target != 0)
        self.fitting: list[tuple[Node, np.ndarray]] = []  # images of the outputs' shapes, flat over the demonstrations
        self.layers: dict[tuple[int, int], tuple[Node, list[Grid]]] = {}  # bits covered and wrong -> the first such node, grids

    def take(self, node: Node) -> Explanation | None:
        """Look at one more image; an explanation where it alone, or through a colour table, reproduces the outputs."""
        cells = [image.cells for image in node.values]
        if all(c.shape == shape for c, shape in zip(cells, self.shapes)):
            flat = np.concatenate([c.ravel() for c in cells[: self.known]])
            self.fitting.append((node, flat))
            self._add_layer(node, flat, cells)
            if ((flat == self.target) | ~self.care).all():
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
            self.layers.setdefault((bits(covered), bits(covered & ~right)), (node, grids))

    def _through_table(self, node: Node, flat: np.ndarray, cells: list[Grid]) -> Explanation | None:
        table = learn(flat[self.care], self.target[self.care], 10)
        if table is None:
            return None
        if not self.care.all():  # a colour that never mattered may stay
            table = np.where((table < 0) & (np.bincount(flat, minlength=10) > 0), np.arange(10), table)
        answers = [look_up(table, c) for c in cells[self.known :]]
        if any(a is None for a in answers):
            return None
        return Explanation(tuple(answers), node.cost + TABLE_COST, f"{node} > colours {describe(table)}")

    def cell_rules(self, numbers: list[dict[str, int]] | None = None, bases: int = MOST_BASES) -> list[Explanation]:
        """Explanations by rules on cells, on each of the cheapest images, with others beside it; and with `numbers` of each
        input, by name."""
        found = []
        cheapest = sorted(self.fitting, key=lambda f: f[0].cost)
        for base, _ in cheapest[:bases]:
            if self.out_of_time():
                break
            grids = [image.cells for image in base.values]
            beside = []
            for node, _ in cheapest:
                shown = [image.cells for image in node.values]
                if node is not base and len(beside) < MOST_BESIDE and all(a.shape == b.shape for a, b in zip(grids, shown)):
                    beside.append(Shown(str(node), node.cost, shown))
            for name in numbers[0] if numbers else ():
                shown = [np.full_like(grid, min(own.get(name, 0), MOST)) for grid, own in zip(grids, numbers)]
                beside.append(Shown(name, NUMBER_COST, shown, False))
            for rule in cell_rules(grids, self.outputs, beside, self.care, self.out_of_time):
                found.append(Explanation(rule.answers, base.cost + RULE_COST + rule.cost, f"{base} {rule.text}"))
        return found

    def stacks(self) -> list[Explanation]:
        """Explanations by layers, the first on top: each is right wherever none above it covers, together they cover all."""
        layers = [(covered, wrong, node, grids) for (covered, wrong), (node, grids) in self.layers.items()]
        found: list[Explanation] = []
        self._stack(layers, [], 0, found)
        return found

    def _stack(self, layers: list[tuple], above: list[tuple], covered: int, found: list[Explanation]) -> None:
        missing = self.filled & ~covered
        if not missing and above:
            found.append(self._stacked(above))
            return
        depth = len(above)
        if depth == MOST_LAYERS or self.out_of_time():
            return
        usable = [
            (-((layer[0] & missing).bit_count()), layer[2].cost, index)
            for index, layer in enumerate(layers)
            if layer[0] & missing and not layer[1] & ~covered and (depth < MOST_LAYERS - 1 or not missing & ~layer[0])
        ]
        usable.sort()
        for _, _, index in usable[: TRIED_PER_LAYER[depth]]:
            self._stack(layers, [*above, layers[index]], covered | layers[index][0], found)

    def _stacked(self, layers: list[tuple]) -> Explanation:
        answers = []
        for test in range(self.known, len(self.inputs)):
            answer = np.array(layers[0][3][test])
            for *_, grids in layers[1:]:
                if grids[test].shape == answer.shape:
                    answer = np.where(answer == 0, grids[test], answer)
            answers.append(answer)
        cost = sum(node.cost for _, _, node, _ in layers) + LAYER_COST * (len(layers) - 1)
        return Explanation(tuple(answers), cost, " over ".join(f"({node})" for _, _, node, _ in layers))


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
