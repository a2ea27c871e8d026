"""Outputs that are laid out of several pieces, each a behaviour of its own.

In:  the outputs of the demonstrations, then image nodes as they are found. Out: `Explanation`s: a node for every piece.
The layouts: m x n equal pieces, the same numbers on all demonstrations, without gaps or with lines of one colour between.
Concepts: copying, mirroring and turning in a mosaic, order (ConceptARC: top and bottom, horizontal and vertical).
Not here: layouts whose pieces are all alike or mirror each other (`reductions`).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from ..arc.task import MAX_SIDE, Grid
from .explain import Explanation
from .search import Node

MOST_A_SIDE = 4
"""Pieces below or beside each other at most."""
PIECE_COST, LINE_COST = 0.5, 1.0
"""Description length of each different piece beyond its node's, and of lines between pieces, in operations."""


@dataclass(frozen=True, eq=False)
class Layout:
    """`down` x `right` pieces with lines of `gap` cells of `colour` between them."""

    down: int
    right: int
    gap: int
    colour: int

    def pieces(self, output: Grid) -> list[Grid] | None:
        """The pieces in reading order; None where the output is not laid out so."""
        height, rest = divmod(output.shape[0] - self.gap * (self.down - 1), self.down)
        width, over = divmod(output.shape[1] - self.gap * (self.right - 1), self.right)
        if rest or over or height < 1 or width < 1 or (self.down * self.right > 1 and height * width == 1):
            return None
        found = [
            output[top : top + height, left : left + width]
            for top in range(0, len(output), height + self.gap)
            for left in range(0, output.shape[1], width + self.gap)
        ]
        whole = self.join(found)
        return found if whole is not None and (whole == output).all() else None

    def join(self, pieces: list[Grid]) -> Grid | None:
        """The output of pieces in reading order; None where they differ in size or it grows too large."""
        height, width = pieces[0].shape
        rows, columns = (height + self.gap) * self.down - self.gap, (width + self.gap) * self.right - self.gap
        if max(rows, columns) > MAX_SIDE or any(piece.shape != (height, width) for piece in pieces):
            return None
        whole = np.full((rows, columns), self.colour, np.uint8)
        places = product(range(0, rows, height + self.gap), range(0, columns, width + self.gap))
        for piece, (top, left) in zip(pieces, places):
            whole[top : top + height, left : left + width] = piece
        return whole


def layouts(outputs: list[Grid]) -> list[Layout]:
    """The layouts that all outputs have, those of fewest pieces first."""
    found = []
    numbers = sorted(product(range(1, MOST_A_SIDE + 1), repeat=2), key=lambda n: n[0] * n[1])[1:]
    for down, right in numbers:
        for gap, colours in ((0, (0,)), (1, np.unique(outputs[0]).tolist())):
            found += [
                layout
                for layout in (Layout(down, right, gap, colour) for colour in colours)
                if all(layout.pieces(output) for output in outputs)
            ]
    return found


class Mosaics:
    """Collects the cheapest node of each piece of each layout. `outputs`: of the demonstrations."""

    def __init__(self, outputs: list[Grid]):
        self.known = len(outputs)
        self.layouts = layouts(outputs)
        self.wanted: dict[tuple, Node | None] = {}
        self.keys = []  # layout, piece
        for layout in self.layouts:
            pieces = zip(*(layout.pieces(output) for output in outputs))
            self.keys.append([key_of(piece) for piece in pieces])
            self.wanted |= dict.fromkeys(self.keys[-1])
        self.shapes = {key[::2] for key in self.wanted}

    def take(self, node: Node) -> None:
        """Look at one more image, cheaper ones first."""
        cells = [image.cells for image in node.values[: self.known]]
        if tuple(c.shape for c in cells) in self.shapes:
            key = key_of(cells)
            if key in self.wanted and self.wanted[key] is None:
                self.wanted[key] = node

    def explanations(self) -> list[Explanation]:
        """One for each layout all of whose pieces were found, in the order of the layouts."""
        found = []
        for layout, keys in zip(self.layouts, self.keys):
            nodes = [self.wanted[key] for key in keys]
            if None in nodes:
                continue
            tests = range(self.known, len(nodes[0].values))
            answers = tuple(layout.join([node.values[test].cells for node in nodes]) for test in tests)
            if all(answer is not None for answer in answers):
                different = {id(node): node for node in nodes}
                cost = sum(node.cost + PIECE_COST for node in different.values()) + LINE_COST * layout.gap
                text = "; ".join(map(str, different.values()))
                found.append(Explanation(answers, cost, f"{layout.down} x {layout.right} pieces: {text}"))
        return found


def key_of(grids) -> tuple:
    """Equal for equal sequences of grids: shape, cells, shape, cells, ..."""
    return tuple(part for grid in grids for part in (grid.shape, grid.tobytes()))
