"""What a codec hands to the model and takes back: `Prompt` in, `Decoded` out.

Not here: how a particular codec writes grids (`arc16`).
"""

from dataclasses import dataclass

import numpy as np

from ..arc.task import Grid


@dataclass(frozen=True, eq=False)
class Prompt:
    """A task as the model reads it.

    `ids`: token ids, int64 (length,). `positions`: position ids, int64 (length,), in the codec's position scheme.
    `spans`: (start, stop) of each output in order: every token from the output's first cell to its end token;
    the loss of a span is taken where its tokens are *predicted*. A prompt to be continued has one span per
    demonstration; with the answer included the last span is the answer.
    """

    ids: np.ndarray
    positions: np.ndarray
    spans: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Decoded:
    """The grid read from generated tokens, or None and why: ragged, oversized, empty, unfinished or foreign token."""

    grid: Grid | None
    fault: str | None = None
