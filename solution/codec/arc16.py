"""Our 16-token codec: one token a cell.

0-9 are the colours, ROW ends a row, INPUT and OUTPUT open a grid, END closes an output, PAD fills up; 15 is unused.
A pair reads INPUT rows OUTPUT rows END; a task is its pairs, then INPUT, the test input's rows and OUTPUT.

Positions come in two schemes. "sequential" is 0, 1, 2, ... "grid" packs (pair, y, x) as `pair << 12 | y << 6 | x`:
markers at (0, 0), cells from (1, 1), `pair` = 2 * index of the pair, + 1 for its output. The model reads the three
coordinates through the rotary table of `models.rotary`.
"""

import numpy as np

from ..arc.task import MAX_SIDE, Grid, Pair, Task, as_grid
from .prompt import Decoded, Prompt

ROW, INPUT, OUTPUT, END, PAD = 10, 11, 12, 13, 14
VOCABULARY_SIZE = 16
POSITION_SCHEMES = ("grid", "sequential")
X_BITS, Y_BITS = 6, 6
MAX_ANSWER_TOKENS = MAX_SIDE * (MAX_SIDE + 1) + 1
TOKEN_NAMES = (*"0123456789", "<row>", "<input>", "<output>", "<end>", "<pad>", "<unused>")


def num_tokens(grid: Grid) -> int:
    """Tokens of a grid: its cells and one ROW a row."""
    return grid.shape[0] * (grid.shape[1] + 1)


def task_tokens(train: tuple[Pair, ...], test: Pair, answer_tokens: int = 0) -> int:
    """Tokens of the prompt of these demonstrations and this test input, and of an answer of `answer_tokens`."""
    return sum(num_tokens(p.input) + num_tokens(p.output) + 3 for p in train) + num_tokens(test.input) + 2 + answer_tokens


def _grid_tokens(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of a grid and the (y, x) part of their positions, both (height * (width + 1),)."""
    height, width = grid.shape
    ids = np.full((height, width + 1), ROW, np.int64)
    ids[:, :width] = grid
    y, x = np.mgrid[1 : height + 1, 1 : width + 2]
    return ids.ravel(), ((y << X_BITS) | x).ravel()


class Arc16:
    """Encodes tasks and decodes answers. `position_scheme` is "grid" or "sequential" and belongs to the weights."""

    vocabulary_size = VOCABULARY_SIZE
    end_id = END
    pad_id = PAD
    max_answer_tokens = MAX_ANSWER_TOKENS
    num_tokens = staticmethod(num_tokens)
    task_tokens = staticmethod(task_tokens)

    def __init__(self, position_scheme: str):
        if position_scheme not in POSITION_SCHEMES:
            raise ValueError(f"position scheme {position_scheme!r} is not one of {POSITION_SCHEMES}")
        self.position_scheme = position_scheme

    def encode(
        self, task: Task, test_index: int = 0, answer: bool = False, first_pair: int = 0, prefix: range = range(0)
    ) -> Prompt:
        """The prompt for one test input; with `answer`, its known output and END follow (training, scoring).

        `first_pair` shifts the pair coordinate of the grid scheme, so that training covers more pairs than it shows.
        `prefix`: rows of the model's learned prefix table that stand before everything else, as ids from VOCABULARY_SIZE on;
        in the grid scheme at (1, 0), (2, 0), ... of pair 0, where nothing else stands.
        Raises `ValueError` where `answer` is asked for and not known.
        """
        test = task.test[test_index]
        if answer and test.output is None:
            raise ValueError(f"task {task.id}: test input {test_index} has no output to encode")
        ids, positions, spans, length = [], [], [], 0

        def add(token_ids, token_positions):
            nonlocal length
            ids.append(token_ids)
            positions.append(token_positions)
            length += len(token_ids)

        if prefix:
            add(VOCABULARY_SIZE + np.array(prefix), 1 + np.arange(len(prefix)))
        for index, pair in enumerate((*task.train, test)):
            base = (first_pair + index) << (1 + X_BITS + Y_BITS)
            output_base = base | (1 << (X_BITS + Y_BITS))
            cells, yx = _grid_tokens(pair.input)
            add([INPUT], [base])
            add(cells, base | yx)
            add([OUTPUT], [output_base])
            if index == len(task.train) and not answer:
                break
            start = length
            cells, yx = _grid_tokens(pair.output)
            add(cells, output_base | yx)
            add([END], [output_base | ((pair.output.shape[0] + 1) << X_BITS)])
            spans.append((start, length))
        joined = np.concatenate(ids).astype(np.int64)
        where = np.concatenate(positions).astype(np.int64) if self.position_scheme == "grid" else np.arange(length)
        return Prompt(joined, where, tuple(spans))

    def next_positions(self, ids, positions):
        """Positions of the tokens that follow (`ids`, `positions`); elementwise on torch tensors or numpy arrays.

        END is never fed back, so its place needs no rule here.
        """
        if self.position_scheme == "sequential":
            return positions + 1
        starts_row = (ids == ROW) | (ids == OUTPUT)
        x = positions & ((1 << X_BITS) - 1)
        next_row = ((positions >> X_BITS) + 1 << X_BITS) | 1
        return starts_row * next_row + ~starts_row * (positions + (x < (1 << X_BITS) - 1))

    def answer_ids(self, grid: Grid) -> np.ndarray:
        """The tokens that a model must generate to answer `grid`, END included."""
        return np.concatenate([_grid_tokens(grid)[0], [END]])

    def decode(self, ids) -> Decoded:
        """Read a grid from generated ids up to the first END. Trusts nothing: any fault gives no grid and its name."""
        ids = np.asarray(ids, np.int64)
        ends = np.flatnonzero(ids == END)
        if not len(ends):
            return Decoded(None, "unfinished")
        ids = ids[: ends[0]]
        if not len(ids):
            return Decoded(None, "empty")
        if ((ids > ROW) | (ids < 0)).any():
            return Decoded(None, "foreign token")
        row_ends = np.flatnonzero(ids == ROW)
        widths = np.diff(row_ends, prepend=-1) - 1
        if not len(row_ends) or row_ends[-1] != len(ids) - 1 or (widths != widths[0]).any():
            return Decoded(None, "ragged")
        if widths[0] == 0:
            return Decoded(None, "empty")
        if widths[0] > MAX_SIDE or len(widths) > MAX_SIDE:
            return Decoded(None, "oversized")
        return Decoded(as_grid(ids.reshape(len(widths), -1)[:, :-1]))

    def answer_check(self, rows: int) -> "AnswerCheck":
        """What tells hopeless answers of a batch of so many rows early."""
        return AnswerCheck(rows)


class AnswerCheck:
    """Tells row by row, as tokens arrive, which answers of a batch can no longer become a grid, so that decoding them stops.

    Plain reference: `Arc16.decode` on the whole answer. A row is given up only where every continuation has a fault.
    """

    def __init__(self, rows: int):
        self.x = np.zeros(rows, np.int64)
        self.y = np.zeros(rows, np.int64)
        self.width = np.zeros(rows, np.int64)

    def hopeless(self, rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Take token `ids[i]` of answer `rows[i]`; True where that answer can no longer become a grid."""
        x, y, width = self.x[rows], self.y[rows], self.width[rows]
        is_row, is_end = ids == ROW, ids == END
        limit = np.where(y > 0, width, MAX_SIDE)
        bad = (ids > END) | (ids == INPUT) | (ids == OUTPUT)
        bad |= is_row & ((x == 0) | ((y > 0) & (x != width)) | (y >= MAX_SIDE))
        bad |= is_end & ((x != 0) | (y == 0))
        bad |= (ids < ROW) & ((x >= limit) | (y >= MAX_SIDE))
        self.width[rows] = np.where(is_row & (y == 0), x, width)
        self.y[rows] = y + is_row
        self.x[rows] = np.where(is_row, 0, x + (ids < ROW))
        return bad
