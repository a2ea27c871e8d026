"""`Codec`: what every way of writing tasks as tokens offers to training and decoding.

In:  a `Task`. Out: a `Prompt`; from generated ids a `Decoded`. Not here: any particular way (`arc16`, `architects`, `marc`).
"""

from typing import Protocol

import numpy as np

from ..arc.task import Grid, Pair, Task
from .prompt import Decoded, Prompt


class AnswerCheck(Protocol):
    """Follows the answers of a batch as they are written."""

    def hopeless(self, rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Take token `ids[i]` of answer `rows[i]`; True where that answer can no longer become a grid."""


class Codec(Protocol):
    """`position_scheme`: "grid" or "sequential". `end_id` closes every output, `pad_id` fills up on the right.

    Ids from `vocabulary_size` on read the learned prefix table of the adapter.
    """

    position_scheme: str
    vocabulary_size: int
    end_id: int
    pad_id: int
    max_answer_tokens: int

    def num_tokens(self, grid: Grid) -> int:
        """Tokens of a grid's cells and row ends, `end_id` not counted."""

    def task_tokens(self, train: tuple[Pair, ...], test: Pair, answer_tokens: int = 0) -> int:
        """Tokens of the prompt of these demonstrations and this test input, and of an answer of `answer_tokens`."""

    def encode(
        self, task: Task, test_index: int = 0, answer: bool = False, first_pair: int = 0, prefix: range = range(0)
    ) -> Prompt:
        """The prompt for one test input; with `answer`, its known output follows. Raises `ValueError` where it is not known."""

    def next_positions(self, ids, positions):
        """Positions of the tokens that follow (`ids`, `positions`); elementwise on torch tensors or numpy arrays."""

    def answer_ids(self, grid: Grid) -> np.ndarray:
        """The tokens that a model must generate to answer `grid`, `end_id` included."""

    def decode(self, ids) -> Decoded:
        """Read a grid from generated ids up to the first `end_id`; any fault gives no grid and its name."""

    def answer_check(self, rows: int) -> AnswerCheck:
        """What tells hopeless answers of a batch of so many rows early."""
