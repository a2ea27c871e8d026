"""Operations that move the figures of an image rigidly, and those that draw mirror images and copies beside them.

In:  an `Image` and constants. Out: an `Image` of the same size and place, or None where the operation does not apply.
Not here: single cells that fall (`lines`), members of a list that slide (`changing`).
"""

import numpy as np

from ..vocabulary import DIRECTIONS, IMAGE, Image, operation
from .figures import MIXED, ONE, figures_of
from .loops.falls import MIRRORED, REPEATED, SPACED, drawn_beside, fallen


def drop_figures(image: Image, direction: str, kind: str, colour: int | None = None) -> Image | None:
    figures = figures_of(image, kind)
    if figures is None:
        return None
    moving = np.ones(len(figures), bool) if colour is None else figures.colours == colour
    if colour is not None and not moving.any():
        return None
    return image.with_cells(fallen(image.cells, figures.labels, moving, *DIRECTIONS[direction]))


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="Figures of one colour move rigidly in one direction until they meet.",
)
def move(image, direction):
    return drop_figures(image, direction, ONE)


@operation(
    IMAGE,
    "direction",
    gives=IMAGE,
    meaning="Figures of any colours move rigidly in one direction until they meet.",
)
def move_mixed(image, direction):
    return drop_figures(image, direction, MIXED)


@operation(IMAGE, "colour", "direction", gives=IMAGE, meaning="The figures of this colour move rigidly until they meet.")
def move_colour(image, colour, direction):
    return drop_figures(image, direction, ONE, colour)


def drawn_on(image: Image, direction: str, kind: int) -> Image | None:
    figures = figures_of(image, MIXED, looped=True)
    if figures is None:
        return None
    return image.with_cells(drawn_beside(image.cells, figures.labels, len(figures), *DIRECTIONS[direction], kind))


@operation(IMAGE, "direction", gives=IMAGE, meaning="The mirror image of every figure of any colours beside it on one side.")
def mirror_beside(image, direction):
    return drawn_on(image, direction, MIRRORED)


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every figure of any colours repeated in one direction up to the edge.")
def repeat_to_edge(image, direction):
    return drawn_on(image, direction, REPEATED)


@operation(IMAGE, "direction", gives=IMAGE, meaning="Every figure of any colours repeated up to the edge, a cell apart.")
def repeat_spaced(image, direction):
    return drawn_on(image, direction, SPACED)
