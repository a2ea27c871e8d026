"""Grids, pairs and tasks: the values that every other room takes and returns.

In:  rows of integers. Out: checked, read-only `Grid`s inside frozen `Pair`s and `Task`s.
Not here: files (`load`), re-expressions of a task (`view`), answers (`submission`, `score`).
"""

import reprlib
from dataclasses import dataclass, replace

import numpy as np

MAX_SIDE = 30
NUM_COLOURS = 10

Grid = np.ndarray
"""A puzzle grid: uint8, shape (height, width), each side 1-30, values 0-9, not writeable. Make one with `as_grid`."""


class GridError(ValueError):
    """The value is not an ARC grid; the message says why, without naming file or task."""


def as_grid(rows) -> Grid:
    """Check `rows` (nested lists or an array) against every rule of an ARC grid and return it as a `Grid`.

    Raises `GridError` for anything that is not rectangular, 1-30 by 1-30, whole numbers 0-9.
    """
    if not isinstance(rows, np.ndarray):
        if not isinstance(rows, (list, tuple)) or not rows or not all(isinstance(r, (list, tuple)) for r in rows):
            raise GridError("a grid must be a non-empty list of rows")
        widths = {len(r) for r in rows}
        if (grid := _plain(rows, widths)) is not None:
            return grid
        if len(widths) != 1:
            raise GridError(f"rows have different lengths: {sorted(widths)}")
        for row in rows:
            for value in row:
                if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                    raise GridError(f"cell {reprlib.repr(value)} is not a whole number")
                if not 0 <= value < NUM_COLOURS:
                    raise GridError(f"value {value} is outside 0 to {NUM_COLOURS - 1}")
        rows = np.array(rows, dtype=np.int64).reshape(len(rows), -1)
    if rows.ndim != 2 or rows.dtype.kind not in "iu":
        raise GridError(f"a grid must be a two-dimensional array of integers, not {rows.ndim}-d {rows.dtype}")
    if not (1 <= rows.shape[0] <= MAX_SIDE and 1 <= rows.shape[1] <= MAX_SIDE):
        raise GridError(f"size {rows.shape[0]}x{rows.shape[1]} is outside 1x1 to {MAX_SIDE}x{MAX_SIDE}")
    if rows.min() < 0 or rows.max() >= NUM_COLOURS:
        raise GridError(f"values {rows.min()} to {rows.max()} are outside 0 to {NUM_COLOURS - 1}")
    return frozen(rows.astype(np.uint8))


def _plain(rows, widths: set[int]) -> Grid | None:
    """The grid of rows of plain ints that keep every rule, ten times as fast as the rules one by one; else None."""
    if len(rows) > MAX_SIDE or len(widths) != 1 or not 1 <= min(widths) <= MAX_SIDE:
        return None
    if any(set(map(type, row)) != {int} for row in rows):
        return None
    try:
        grid = np.frombuffer(b"".join(map(bytes, rows)), np.uint8).reshape(len(rows), -1)
    except ValueError:  # outside 0 to 255
        return None
    return grid if grid.max() < NUM_COLOURS else None


def frozen(grid: np.ndarray) -> Grid:
    """A contiguous read-only copy of `grid` as uint8; the caller vouches for its values."""
    grid = np.array(grid, dtype=np.uint8, order="C")
    grid.setflags(write=False)
    return grid


def grid_key(grid: Grid) -> bytes:
    """A hashable value that is equal for two grids exactly when they are the same grid."""
    return bytes(grid.shape) + grid.tobytes()


def to_rows(grid: Grid) -> list[list[int]]:
    """The grid as nested lists of plain Python ints, as JSON wants it."""
    return grid.tolist()


@dataclass(frozen=True, eq=False)
class Pair:
    """An input grid and its output grid; `output` is None where the answer is not known."""

    input: Grid
    output: Grid | None = None

    @property
    def key(self) -> tuple[bytes, bytes | None]:
        """Equal for two pairs exactly when both grids are the same."""
        return grid_key(self.input), None if self.output is None else grid_key(self.output)

    def __eq__(self, other) -> bool:
        return isinstance(other, Pair) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@dataclass(frozen=True)
class Task:
    """A puzzle: demonstrations (`train`, always with outputs) and test inputs (`test`).

    The tasks that the driver solves never carry test outputs: those stay in a separate solutions mapping.
    Pseudo tasks made for training carry theirs, because the held-out pair is what is learnt.
    """

    id: str
    train: tuple[Pair, ...]
    test: tuple[Pair, ...]

    def only_test(self, index: int) -> "Task":
        """The same task with its test input `index` alone."""
        return replace(self, test=(self.test[index],))

    def without_answers(self) -> "Task":
        """The same task with every test output removed."""
        return replace(self, test=tuple(Pair(p.input) for p in self.test))
