"""The paper's rule-based transformations of training data (feature 3); many cannot be undone, unlike a `View`.

In:  a task and one of the `transforms`. Out: the task with that transformation on every demonstration and held-out
pair alike, or None where a grid grows beyond 30x30.
Rule: arXiv 2411.07279, appendix on augmentations, and its public code: `arclib/augmenters.py` (what Rotate, Flip,
Reflect, RandomTranslateXY, Transpose, IncreaseResolution, IncreaseHeight, IncreaseWidth, Repeat and Chain do) and
`get_augmenters` of `ttt/preprocess.py` (the list and its order). One departure: there a shift may be 0 and differs from
grid to grid; here a task has one shift and every grid moves.
Not here: colour and demonstration order (`view`), which tasks to transform (`ttt`, `finetune`).
"""

from dataclasses import dataclass, replace

import numpy as np

from .task import MAX_SIDE, Grid, Pair, Task, frozen
from .view import SYMMETRIES, apply_symmetry

MAX_SHIFT = 4
"""Largest translation in cells (paper: "the maximum shift size is 4")."""

MIRRORS = ("left", "right", "above", "below")
"""The side of the grid on which its mirror image is joined."""


@dataclass(frozen=True)
class Transform:
    """A transformation of grids; its parts act in the order of the fields, and a chain is one with two parts.

    `symmetry`: index into `SYMMETRIES`. `shift`: cells down and right, around the edge; at most side - 1, so that a
    grid of two cells or more always moves. `mirror`: one of `MIRRORS`, or None. `scale`: each cell becomes
    scale[0] x scale[1] cells. `tile`: the grid is repeated tile[0] times down and tile[1] times across.
    """

    name: str
    symmetry: int = 0
    shift: tuple[int, int] = (0, 0)
    mirror: str | None = None
    scale: tuple[int, int] = (1, 1)
    tile: tuple[int, int] = (1, 1)

    def apply_grid(self, grid: Grid) -> Grid | None:
        """The transformed grid, or None where a side exceeds 30."""
        grid = apply_symmetry(grid, self.symmetry)
        grid = np.roll(grid, tuple(min(s, n - 1) for s, n in zip(self.shift, grid.shape)), (0, 1))
        if self.mirror is not None:
            axis = 1 if self.mirror in ("left", "right") else 0
            image = np.flip(grid, axis)
            grid = np.concatenate((image, grid) if self.mirror in ("left", "above") else (grid, image), axis)
        grid = np.tile(grid.repeat(self.scale[0], 0).repeat(self.scale[1], 1), self.tile)
        return frozen(grid) if max(grid.shape) <= MAX_SIDE else None

    def apply(self, task: Task, inputs: bool = True, outputs: bool = True) -> Task | None:
        """The task with its inputs, its outputs or (for test-time training: always) both transformed.

        None where a transformed grid exceeds 30x30, and where a shift is cut short in some of the grids alone: they would be
        shifted by different rules. An unknown output stays unknown.
        """
        moved = [g for p in (*task.train, *task.test) for g, wanted in ((p.input, inputs), (p.output, outputs)) if wanted]
        if len({tuple(min(s, n - 1) for s, n in zip(self.shift, g.shape)) for g in moved if g is not None}) > 1:
            return None
        pairs = []
        for pair in (*task.train, *task.test):
            input = self.apply_grid(pair.input) if inputs else pair.input
            output = self.apply_grid(pair.output) if outputs and pair.output is not None else pair.output
            if input is None or (output is None and pair.output is not None):
                return None
            pairs.append(Pair(input, output))
        count = len(task.train)
        return replace(task, train=tuple(pairs[:count]), test=tuple(pairs[count:]))


def transforms(rng: np.random.Generator) -> tuple[Transform, ...]:
    """The paper's 23 transformations, always in the same order; `rng` draws the shift, anew for each task."""
    turned = {name: SYMMETRIES.index(name) for name in ("rot90", "rot270", "rot180", "flip_ud", "flip_lr", "transpose")}
    down, right = (int(s) for s in rng.integers(1, MAX_SHIFT + 1, 2))
    return (
        *(Transform(name, index) for name, index in turned.items() if name != "transpose"),
        *(Transform(f"mirror_{side}", mirror=side) for side in ("above", "left", "below", "right")),
        Transform("translate", shift=(down, right)),
        Transform("transpose", turned["transpose"]),
        Transform("scale", scale=(2, 2)),
        Transform("scale_height", scale=(2, 1)),
        Transform("scale_width", scale=(1, 2)),
        *(Transform(f"{name}+scale", index, scale=(2, 2)) for name, index in turned.items()),
        Transform("tile_down", tile=(2, 1)),
        Transform("tile_across", tile=(1, 2)),
        Transform("tile", tile=(2, 2)),
    )
