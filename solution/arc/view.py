"""`View`: an invertible re-expression of a task, the one idea behind every augmentation here.

A view is a symmetry of the square, a bijection of the ten colours and an order of the demonstrations.
TTT data are views of leave-one-out tasks, prompts are views of the task, voting groups candidates by view.
Not here: transformations that cannot be undone (`transforms`).
"""

from dataclasses import dataclass

import numpy as np

from .task import NUM_COLOURS, Grid, Pair, Task, frozen

SYMMETRIES = ("identity", "rot90", "rot180", "rot270", "transpose", "flip_lr", "antitranspose", "flip_ud")
"""The eight symmetries of the square by index: k quarter turns counter-clockwise; for k >= 4, k - 4 turns, then a transpose."""

IDENTITY_COLOURS = tuple(range(NUM_COLOURS))


def apply_symmetry(grid: np.ndarray, symmetry: int) -> np.ndarray:
    """`grid` under symmetry `symmetry` (an index into `SYMMETRIES`); a numpy view, not a copy."""
    turned = np.rot90(grid, symmetry % 4)
    return turned.T if symmetry >= 4 else turned


def _find(action) -> int:
    probe = np.arange(6).reshape(2, 3)
    return next(k for k in range(8) if np.array_equal(apply_symmetry(probe, k), action(probe)))


_AFTER = tuple(tuple(_find(lambda g, a=a, b=b: apply_symmetry(apply_symmetry(g, a), b)) for b in range(8)) for a in range(8))
_INVERSE = tuple(next(b for b in range(8) if _AFTER[a][b] == 0) for a in range(8))


@dataclass(frozen=True)
class View:
    """Symmetry (index into `SYMMETRIES`), colours (old colour -> new colour), demonstration order.

    `order[i]` is the original index of the demonstration that comes i-th; None keeps the order.
    Raises `ValueError` where a part is not a symmetry, a bijection or a permutation.
    """

    symmetry: int = 0
    colours: tuple[int, ...] = IDENTITY_COLOURS
    order: tuple[int, ...] | None = None

    def __post_init__(self):
        if self.symmetry not in range(8):
            raise ValueError(f"symmetry {self.symmetry} is not one of 0 to 7")
        if tuple(sorted(self.colours)) != IDENTITY_COLOURS:
            raise ValueError(f"colours {self.colours} are not a bijection of 0 to 9")
        if self.order is not None and sorted(self.order) != list(range(len(self.order))):
            raise ValueError(f"order {self.order} is not a permutation")

    def apply_grid(self, grid: Grid) -> Grid:
        """The grid as this view shows it: colours exchanged, then turned."""
        return frozen(apply_symmetry(np.array(self.colours, np.uint8)[grid], self.symmetry))

    def restore(self, grid: Grid) -> Grid:
        """Undo `apply_grid`: `restore(apply_grid(g))` equals `g` for every grid."""
        inverse = np.argsort(self.colours).astype(np.uint8)
        return frozen(inverse[apply_symmetry(grid, _INVERSE[self.symmetry])])

    def apply_pair(self, pair: Pair) -> Pair:
        """Both grids of a pair as this view shows them; an unknown output stays unknown."""
        return Pair(self.apply_grid(pair.input), None if pair.output is None else self.apply_grid(pair.output))

    def apply(self, task: Task) -> Task:
        """The task as this view shows it. Raises `ValueError` where `order` does not fit its demonstrations."""
        order = range(len(task.train)) if self.order is None else self.order
        if len(order) != len(task.train):
            raise ValueError(f"view orders {len(order)} demonstrations, task {task.id} has {len(task.train)}")
        return Task(task.id, tuple(self.apply_pair(task.train[i]) for i in order), tuple(map(self.apply_pair, task.test)))

    def then(self, later: "View") -> "View":
        """The single view that equals this one followed by `later`."""
        colours = tuple(later.colours[c] for c in self.colours)
        if self.order is not None and later.order is not None and len(self.order) != len(later.order):
            raise ValueError(f"orders of {len(self.order)} and {len(later.order)} demonstrations cannot follow each other")
        if self.order is None or later.order is None:
            order = later.order if self.order is None else self.order
        else:
            order = tuple(self.order[i] for i in later.order)
        return View(_AFTER[self.symmetry][later.symmetry], colours, order)

    def inverse(self) -> "View":
        """The view that undoes this one on whole tasks."""
        order = None if self.order is None else tuple(int(i) for i in np.argsort(self.order))
        return View(_INVERSE[self.symmetry], tuple(int(c) for c in np.argsort(self.colours)), order)


def random_colours(rng: np.random.Generator, keep_zero: bool = True) -> tuple[int, ...]:
    """A fresh bijection of the colours; 0, the usual background, stays 0 (paper, feature 4) unless told otherwise."""
    if keep_zero:
        return (0, *(int(c) for c in rng.permutation(np.arange(1, NUM_COLOURS))))
    return tuple(int(c) for c in rng.permutation(NUM_COLOURS))


def random_order(rng: np.random.Generator, count: int) -> tuple[int, ...]:
    """A fresh order of `count` demonstrations."""
    return tuple(int(i) for i in rng.permutation(count))
