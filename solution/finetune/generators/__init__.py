"""Generator families of our own, by topic (paper.md, feature 15): `FAMILIES` has them all. See `family`."""

from . import gravity
from .family import families_of

FAMILIES = families_of(gravity)
