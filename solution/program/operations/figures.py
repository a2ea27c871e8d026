"""The figures (connected components) of an image, with the facts that operations ask of them.

In:  an `Image` and the kind of figure. Out: `Figures`, in reading order of their first cells. The last ones are remembered,
since a search asks many operations about the same image.
Not here: operations on them (`figure_choices`, `figure_moves`, `drawing`, `counting`), figures as a list of images (`splits`).
"""

from collections.abc import Callable
from functools import cached_property, lru_cache

import numpy as np

from ..vocabulary import Image
from .loops.figures import COLOUR, FIRST, RIGHT, SIZE, TOP, labelled

ONE, SIDES, MIXED, JOINED = "one", "sides", "mixed", "joined"
"""What a figure is: cells of one colour joined at sides or corners; of one colour at sides; coloured ones at sides or corners;
coloured ones at sides."""

JOINS = {ONE: (True, True), SIDES: (True, False), MIXED: (False, True), JOINED: (False, False)}
"""Whether a figure has one colour, whether corners join its cells."""

MAX_LOOPED = 60
"""Operations that go through figures one by one leave images with more of them alone."""


class Figures:
    """`labels`: int32 (height, width), 0 empty, then figures from 1 on. `table`: int64 (figures, 7), see `loops.figures`."""

    def __init__(self, cells: np.ndarray, labels: np.ndarray, table: np.ndarray):
        self.cells, self.labels, self.table = cells, labels, table
        self._chosen: dict[Callable, np.ndarray | None] = {}

    def __len__(self) -> int:
        return len(self.table)

    def chosen(self, choice: Callable) -> np.ndarray | None:
        """`choice` of these figures, bool (figures,), remembered; None where it is all or none of them."""
        if choice not in self._chosen:
            chosen = choice(self)
            self._chosen[choice] = chosen if 0 < np.count_nonzero(chosen) < len(chosen) else None
        return self._chosen[choice]

    @property
    def first(self) -> np.ndarray:
        """Where every figure begins: index into the flat cells."""
        return self.table[:, FIRST]

    @property
    def sizes(self) -> np.ndarray:
        """The number of cells of every figure."""
        return self.table[:, SIZE]

    @property
    def colours(self) -> np.ndarray:
        """The colour of the first cell; of all cells where figures have one colour. uint8 (figures,)."""
        return self.table[:, COLOUR].astype(np.uint8)

    @property
    def boxes(self) -> np.ndarray:
        """The bounding boxes: top, left, bottom, right (the last two exclusive); int (figures, 4)."""
        return self.table[:, TOP : RIGHT + 1]

    @cached_property
    def slices(self) -> list[tuple[slice, slice]]:
        """The bounding boxes."""
        return [(slice(top, bottom), slice(left, right)) for top, left, bottom, right in self.boxes.tolist()]

    @cached_property
    def masks(self) -> list[np.ndarray]:
        """What of the bounding box belongs to the figure; bool."""
        return [self.labels[box] == label for label, box in enumerate(self.slices, 1)]

    def spread(self, values: np.ndarray) -> np.ndarray:
        """For every cell the value of its figure, 0 for empty cells."""
        return np.concatenate((np.zeros(1, values.dtype), values))[self.labels]


@lru_cache(1024)
def _figures(image: Image, kind: str) -> Figures | None:
    labels, table = labelled(image.cells, *JOINS[kind])
    return Figures(image.cells, labels, table) if len(table) else None


def figures_of(image: Image, kind: str = ONE, looped: bool = False) -> Figures | None:
    """The figures of an image; None where there is none, or too many for an operation that goes through them (`looped`)."""
    figures = _figures(image, kind)
    return None if figures is None or (looped and len(figures) > MAX_LOOPED) else figures
