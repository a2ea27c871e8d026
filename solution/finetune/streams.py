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
"""A pool has the sequences of about so many steps: the fewer, the more is lost to its last batch and to lengths that differ."""
USUAL_TOKENS = 800
LEAST_TASKS = 256


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
    """Endless steps, each a list of batches of `at_once` tokens, or at most so many without `fixed` shapes. `state` names the
    next step and can be set.

    Tasks are drawn in pools of about `BATCHES_A_POOL` times `step_tokens`, sorted by length and cut into batches, which come in
    random order; the next pool is drawn while the batches of this one are trained on. `part` of `parts`: one of several
    processes that share the steps. With another `at_once` or other `parts` a pool has the same tasks in other steps.
    """

    def __init__(self, pack: Pack, sampling: Sampling, step_tokens: int, max_len: int, device: torch.device, seed: int,
                 pool: int = 0, taken: int = 0, part: int = 0, parts: int = 1, at_once: int = 0, fixed: bool = True):  # fmt: skip
        free = list(range(FREE_MULTIPLE, max_len + FREE_MULTIPLE, FREE_MULTIPLE))
        self.at_once = at_once or step_tokens // parts
        self.fixed, self.lengths = fixed, lengths_within(self.at_once, max_len) if fixed else free
        self.step_tokens, self.seed, self.pool, self.taken, self.part, self.parts = step_tokens, seed, pool, taken, part, parts
        self.each = max(1, step_tokens // (self.at_once * parts))  # batches of a step in each process
        self.drawer = Drawer(pack, sampling, max_len)
        self.assembler = Assembler(pack, device)

    @property
    def state(self) -> dict:
        """What to pass to a new stream so that it goes on here: seed, pool, and steps already taken from it."""
        return {"seed": self.seed, "pool": self.pool, "taken": self.taken}

    def cut(self, number: int) -> list[list[tuple[Draws, int]]]:
        """Pool `number` as steps in order, each the batches of all processes: tasks and their length."""
        rng = np.random.default_rng([self.seed, number])
        draws = self.drawer.draw(rng, max(LEAST_TASKS, BATCHES_A_POOL * self.step_tokens // USUAL_TOKENS))
        draws = draws.take(np.argsort(-draws.tokens, kind="stable"))
        found, start = [], 0
        while start < len(draws):
            length = next(n for n in self.lengths if n >= draws.tokens[start])
            stop = start + max(1, self.at_once // length)
            found.append((draws.take(slice(start, stop)), length))
            start = stop
        order, together = rng.permutation(len(found)), self.each * self.parts
        return [[found[i] for i in order[k : k + together]] for k in range(0, len(found) - together + 1, together)]

    def __iter__(self) -> Iterator[list[Batch]]:
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.cut, self.pool)
            while True:
                steps, coming = coming.result(), ahead.submit(self.cut, self.pool + 1)
                while self.taken < len(steps):
                    self.taken += 1
                    yield [self._batch(steps[self.taken - 1], k) for k in range(self.each)]
                self.pool, self.taken = self.pool + 1, 0

    def _batch(self, step: list[tuple[Draws, int]], number: int) -> Batch:
        """This process's batch of that number, its tokens counted with those of the others at the same place."""
        together = step[number * self.parts : (number + 1) * self.parts]
        draws, length = together[self.part]
        batch = self.assembler.assemble(draws, length, self.at_once // length if self.fixed else None)
        return replace(batch, counted=sum(int(other.tokens.sum()) for other, _ in together))
