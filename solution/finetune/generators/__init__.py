"""Generator families of our own, by topic (paper.md, feature 15): `FAMILIES` has them all. See `family`."""

from . import (
    assembly,
    borders,
    colours,
    containment,
    counting,
    filling,
    gravity,
    hunting,
    lattices,
    lines,
    masks,
    movement,
    paths,
    patterns,
    rays,
    scaling,
    selection,
    sorting,
    symmetry,
    tiling,
)
from .family import families_of

FAMILIES = families_of(
    assembly, borders, colours, containment, counting, filling, gravity, hunting, lattices, lines, masks, movement, paths,
    patterns, rays, scaling, selection, sorting, symmetry, tiling,
)  # fmt: skip
