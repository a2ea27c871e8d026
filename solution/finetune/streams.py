"""Batches of fixed shapes out of a pack, without end.

In:  a pack, how it is sampled, tokens a batch. Out: `Batch`es on the training's device.
The stream is a pure function of (pack, settings, seed, position): a training run resumes it exactly. With fixed shapes all
batches have the same number of tokens, padding included, and one of a handful of lengths: kernels are compiled once.
Not here: which tasks (`draws`), tokens (`assembly`), batches encoded task by task from sources (`batches`).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from .assembly import Assembler
from .batches import Batch
from .draws import Drawer, Draws, Sampling
from .pack import Pack

LENGTH_MULTIPLE = 128
FREE_MULTIPLE = 32
"""The same where shapes are free: on a CPU padding costs more than another shape."""
BATCHES_A_POOL = 64
"""A pool has the sequences of about so many batches: the fewer, the more is lost to its last batch and to lengths that differ."""
USUAL_TOKENS = 800


def lengths_within(batch_tokens: int, max_len: int) -> list[int]:
    """The lengths of sequences: multiples of 128 that divide a batch, up to the first that holds `max_len`.

    Raises `ValueError` where none does.
    """
    found = [n for n in range(LENGTH_MULTIPLE, batch_tokens + 1, LENGTH_MULTIPLE) if batch_tokens % n == 0]
    holding = [n for n in found if n >= max_len]
    if not holding:
        raise ValueError(f"a batch of {batch_tokens} tokens cannot hold sequences of {max_len}: it must be a multiple of "
                         f"{LENGTH_MULTIPLE} and of a length of at least that")  # fmt: skip
    return [n for n in found if n <= holding[0]]


class PackStream:
    """Endless batches of `batch_tokens` tokens, or at most so many without `fixed` shapes. `state` names the next one and can be
    set.

    Tasks are drawn in pools, sorted by length and cut into batches, which come in random order; the next pool is drawn while
    the batches of this one are trained on. `part` of `parts`: the batches of one of several processes that share a stream.
    """

    def __init__(self, pack: Pack, sampling: Sampling, batch_tokens: int, max_len: int, device: torch.device, seed: int,
                 pool: int = 0, taken: int = 0, part: int = 0, parts: int = 1, fixed: bool = True):  # fmt: skip
        free = list(range(FREE_MULTIPLE, max_len + FREE_MULTIPLE, FREE_MULTIPLE))
        self.fixed, self.lengths = fixed, lengths_within(batch_tokens, max_len) if fixed else free
        self.batch_tokens, self.seed, self.pool, self.taken, self.part, self.parts = batch_tokens, seed, pool, taken, part, parts
        self.drawer = Drawer(pack, sampling, max_len)
        self.assembler = Assembler(pack, device)

    @property
    def state(self) -> dict:
        """What to pass to a new stream so that it goes on here: seed, pool, and batches already taken from it."""
        return {"seed": self.seed, "pool": self.pool, "taken": self.taken}

    def cut(self, number: int) -> list[tuple[Draws, int]]:
        """Pool `number` as batches in order: tasks and their length; a multiple of `parts` of them."""
        rng = np.random.default_rng([self.seed, number])
        draws = self.drawer.draw(rng, self.parts * BATCHES_A_POOL * self.batch_tokens // USUAL_TOKENS)
        draws = draws.take(np.argsort(-draws.tokens, kind="stable"))
        found, start = [], 0
        while start < len(draws):
            length = next(n for n in self.lengths if n >= draws.tokens[start])
            stop = start + max(1, self.batch_tokens // length)
            found.append((draws.take(slice(start, stop)), length))
            start = stop
        order = rng.permutation(len(found))
        return [found[i] for i in order[: len(order) - len(order) % self.parts]]

    def __iter__(self) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.cut, self.pool)
            while True:
                batches, coming = coming.result(), ahead.submit(self.cut, self.pool + 1)
                while self.taken < len(batches):
                    together = batches[self.taken : self.taken + self.parts]
                    self.taken += self.parts
                    draws, length = together[self.part]
                    batch = self.assembler.assemble(draws, length, self.batch_tokens // length if self.fixed else None)
                    yield replace(batch, counted=sum(int(other.tokens.sum()) for other, _ in together))
                self.pool, self.taken = self.pool + 1, 0
