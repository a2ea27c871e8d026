"""Operations that count: colours and figures become the cells of a new image, which has the place of the old one.

In:  an `Image` and constants. Out: an `Image`, or None where the operation does not apply.
Not here: the members of a list as cells (`laying`).
"""

import numpy as np

from ...arc.task import MAX_SIDE
from ..vocabulary import IMAGE, Image, operation
from .figures import figures_of
from .loops.figures import COLOUR, SIZE
from .recolouring import counted


def lined_up(image: Image, colours: list[int], axis: str) -> Image | None:
    cells = np.array(colours, np.uint8)
    return image.with_cells(cells[None] if axis == "rows" else cells[:, None])


@operation(IMAGE, gives=IMAGE, meaning="A row with one cell for each figure, in its colour, in reading order.")
def count_figures(image):
    figures = figures_of(image)
    return figures and lined_up(image, figures.colours, "rows")


@operation(IMAGE, "axis", gives=IMAGE, meaning="The colours of the figures in a row or column, largest first.")
def figure_colours_by_size(image, axis):
    figures = figures_of(image)
    if figures is None:
        return None
    colour_of = dict(zip(figures.table[:, SIZE].tolist(), figures.table[:, COLOUR].tolist()))
    if len(colour_of) < len(figures):
        return None
    return lined_up(image, [colour_of[size] for size in sorted(colour_of, reverse=True)], axis)


@operation(IMAGE, "axis", gives=IMAGE, meaning="The colours of coloured cells in a row or column, most frequent first.")
def colours_by_cells(image, axis):
    colours = ranked(counted(image))
    return colours and lined_up(image, colours, axis)


@operation(IMAGE, "axis", gives=IMAGE, meaning="The colours in a row or column, that of the most figures first.")
def colours_by_figures(image, axis):
    figures = figures_of(image)
    colours = figures and ranked(np.bincount(figures.table[:, COLOUR], minlength=10).tolist())
    return colours and lined_up(image, colours, axis)


def ranked(counts: list[int]) -> list[int] | None:
    """The colours in the order of `counts` (10), most first; None where two are equal or all are 0."""
    colours = [colour for colour in range(1, 10) if counts[colour]]
    if not colours or len({counts[colour] for colour in colours}) < len(colours):
        return None
    return sorted(colours, key=lambda colour: -counts[colour])


@operation(IMAGE, gives=IMAGE, meaning="A bar for each colour, as long as it has cells: one row each, longest first.")
def histogram(image):
    counts = counted(image)
    colours = ranked(counts)
    if colours is None or counts[colours[0]] > MAX_SIDE:
        return None
    lengths = np.array([counts[colour] for colour in colours])[:, None]
    return image.with_cells(np.array(colours)[:, None] * (np.arange(lengths[0, 0]) < lengths))
