"""Generator families of our own, by topic (docs/sources.md, feature 15): `FAMILIES` has them all. See `family`."""

from ..forbidden import forbids_rule
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

MADE = families_of(
    assembly, borders, colours, containment, counting, filling, gravity, hunting, lattices, lines, masks, movement, paths,
    patterns, rays, scaling, selection, sorting, symmetry, tiling,
)  # fmt: skip
FAMILIES = tuple(family for family in MADE if not forbids_rule(family.name))
"""Those that re-create no scored task, as far as is known (`python -m solution.finetune.recreated`)."""
