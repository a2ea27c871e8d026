"""Families about gravity: things fall, rise, stack up and slide until something stops them."""

import numpy as np

from ...arc.view import apply_symmetry
from .family import family
from .scenes import blank, blob, noise, objects, painted, pick_colour, pick_colours, place, sides


def drop_cells(grid: np.ndarray) -> np.ndarray:
    """Every column's coloured cells at its foot, in their order."""
    fallen = np.zeros_like(grid)
    for column in range(grid.shape[1]):
        cells = grid[:, column][grid[:, column] != 0]
        fallen[grid.shape[0] - len(cells) :, column] = cells
    return fallen


@family("Every coloured cell falls to the bottom of its column.")
def cells_fall(rng):
    colours = pick_colours(rng, int(rng.integers(1, 5)))
    density = rng.uniform(0.15, 0.5)

    def scene(rng):
        return noise(rng, *sides(rng, 3, 9), colours, density)

    return scene, drop_cells


@family("Whole objects fall, keeping their form, until they rest on the floor or on another object.")
def objects_fall(rng):
    high = int(rng.integers(7, 12))
    colours = pick_colours(rng, int(rng.integers(1, 4)))

    def scene(rng):
        grid = blank(*sides(rng, 6, high))
        for _ in range(rng.integers(1, 4)):
            place(rng, grid, painted(blob(rng, rng.integers(2, 6), 3, 3), rng.choice(colours)))
        return grid

    def rule(grid):
        fallen = np.zeros_like(grid)
        for thing in sorted(objects(grid, by_colour=False), key=lambda o: -(o.row + o.height)):
            row = thing.row
            while row + thing.height < grid.shape[0]:
                below = fallen[row + 1 : row + 1 + thing.height, thing.column : thing.column + thing.width]
                if (below[thing.cells] != 0).any():
                    break
                row += 1
            fallen[row : row + thing.height, thing.column : thing.column + thing.width][thing.cells] = thing.colours[thing.cells]
        return fallen

    return scene, rule
