"""Generator families of our own, by topic (paper.md, feature 15): `FAMILIES` has them all. See `family`."""

from . import (
    borders,
    colours,
    containment,
    counting,
    filling,
    gravity,
    lines,
    masks,
    movement,
    paths,
    patterns,
    scaling,
    selection,
    sorting,
    symmetry,
    tiling,
)
from .family import families_of

FAMILIES = families_of(
    borders, colours, containment, counting, filling, gravity, lines, masks, movement, paths, patterns, scaling, selection,
    sorting, symmetry, tiling,
)  # fmt: skip
