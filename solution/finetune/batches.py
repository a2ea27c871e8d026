"""Training batches: tasks of a mixture as right-padded sequences.

In:  a recipe for a mixture. Out: `Batch`es of sequences of about equal length, a fixed number of tokens each, without end.
The stream is a pure function of (mixture, settings, seed, position), so a training run resumes it exactly, whether
its pools are made in this process or, ahead of time, in others.
Not here: which tasks (`mixture`), how a task becomes tokens (`codec.arc16`), the loss (`train`).
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context

import numpy as np
import torch

from ..codec.arc16 import PAD, Arc16
from ..codec.prompt import Prompt
from .mixture import Mixture

MAX_FIRST_PAIR = 4
POOL_SEQUENCES = 256
BATCHES_A_POOL = 4
"""A pool has at least the sequences of so many batches, at `USUAL_TOKENS` each: else sorting it would leave no choice."""
USUAL_TOKENS = 512
PAD_MULTIPLE = 32
POOLS_AHEAD = 2
"""Pools that each loader process has finished or in work before they are asked for."""


@dataclass(frozen=True)
class Batch:
    """`ids`, `positions`: int64 (sequences, length), padded on the right; `supervised`: bool, the outputs to learn. `counted`:
    tokens without padding, where known (counting them waits for the device), with those of the other processes' batches that
    are trained on at the same time."""

    ids: torch.Tensor
    positions: torch.Tensor
    supervised: torch.Tensor
    counted: int | None = None

    @property
    def num_tokens(self) -> int:
        """Tokens without padding."""
        return int((self.ids != PAD).sum()) if self.counted is None else self.counted

    def split(self, parts: int) -> list["Batch"]:
        """The sequences in at most `parts` batches of about equal size."""
        tensors = (self.ids, self.positions, self.supervised)
        return [Batch(*part) for part in zip(*(t.tensor_split(min(parts, len(t))) for t in tensors))]

    def to(self, device) -> "Batch":
        return Batch(*(t.to(device, non_blocking=True) for t in (self.ids, self.positions, self.supervised)), self.counted)


def targets_of(batch: Batch, input_weight: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The next token of every token, its loss weight and whether it is supervised, all (sequences * length,).

    Every token but padding is a target: outputs from the second pair on weigh 1, all others `input_weight`.
    """
    target, supervised = batch.ids.roll(-1, 1), batch.supervised.roll(-1, 1)
    known = target != PAD
    known[:, -1] = False  # nothing follows the last column
    supervised = supervised & known
    return target.flatten(), torch.where(supervised, 1.0, input_weight * known).flatten(), supervised.flatten()


def supervised_tokens(prompt: Prompt) -> np.ndarray:
    """Mask of the tokens to learn: every output with its end token from the second pair on; bool (length,)."""
    mask = np.zeros(len(prompt), bool)
    for start, stop in prompt.spans[1:]:
        mask[start:stop] = True
    return mask


def collate(prompts: list[Prompt]) -> Batch:
    """Pad on the right to a common length, a multiple of `PAD_MULTIPLE`."""
    length = -(-max(map(len, prompts)) // PAD_MULTIPLE) * PAD_MULTIPLE
    ids = np.full((len(prompts), length), PAD, np.int64)
    positions, supervised = np.zeros_like(ids), np.zeros(ids.shape, bool)
    for row, prompt in enumerate(prompts):
        n = len(prompt)
        ids[row, :n], positions[row, :n], supervised[row, :n] = prompt.ids, prompt.positions, supervised_tokens(prompt)
    return Batch(*map(torch.from_numpy, (ids, positions, supervised)))


@dataclass(frozen=True)
class PoolMaker:
    """Makes pools of encoded tasks. `build` makes the mixture: a loader process is sent the recipe, not the examples."""

    build: Callable[[], Mixture]
    codec: Arc16
    max_len: int
    seed: int
    sequences: int = POOL_SEQUENCES

    @cached_property
    def mixture(self) -> Mixture:
        return self.build()

    def __call__(self, number: int) -> list[Prompt]:
        """Pool `number`: its tasks, longest first, from the random generator (seed, number)."""
        rng = np.random.default_rng([self.seed, number])
        prompts = []
        for _ in range(self.sequences):
            task = self.mixture.sample(rng, self.max_len)
            prompts.append(self.codec.encode(task, answer=True, first_pair=int(rng.integers(MAX_FIRST_PAIR + 1))))
        return sorted(prompts, key=len, reverse=True)


_maker: PoolMaker | None = None  # of a loader process


def _start_loader(maker: PoolMaker) -> None:
    global _maker
    _maker = maker
    torch.set_num_threads(1)


def _load(number: int) -> list[Prompt]:
    return _maker(number)


class BatchStream:
    """Endless batches of at most `batch_tokens` tokens with padding. `state` names the next batch and can be set.

    Sequences are made in pools, sorted by length and cut into batches, which come in random order. A batch has a multiple of
    `rows_multiple` sequences where so many fit. `loaders`: processes that make pools ahead; 0: made here, when asked for.
    """

    def __init__(self, build: Callable[[], Mixture], codec: Arc16, batch_tokens: int, max_len: int, seed: int,
                 pool: int = 0, taken: int = 0, rows_multiple: int = 1, loaders: int = 0):  # fmt: skip
        if batch_tokens < max_len + PAD_MULTIPLE:
            raise ValueError(f"a batch of {batch_tokens} tokens does not hold a padded sequence of {max_len}")
        self.batch_tokens, self.seed, self.pool, self.taken = batch_tokens, seed, pool, taken
        self.rows_multiple, self.loaders = rows_multiple, loaders
        self.maker = PoolMaker(build, codec, max_len, seed, max(POOL_SEQUENCES, BATCHES_A_POOL * batch_tokens // USUAL_TOKENS))

    @property
    def state(self) -> dict:
        """What to pass to a new stream so that it goes on here: seed, pool and batches already taken from it."""
        return {"seed": self.seed, "pool": self.pool, "taken": self.taken}

    def _batches(self, prompts: list[Prompt]) -> list[list[Prompt]]:
        batches, start = [], 0
        while start < len(prompts):
            padded = -(-len(prompts[start]) // PAD_MULTIPLE) * PAD_MULTIPLE
            rows = self.batch_tokens // padded
            stop = start + max(rows - rows % self.rows_multiple, 1)
            batches.append(prompts[start:stop])
            start = stop
        order = np.random.default_rng([self.seed, self.pool, 1]).permutation(len(batches))
        return [batches[i] for i in order]

    def _pools(self) -> Iterator[list[Prompt]]:
        if not self.loaders:
            while True:
                yield self.maker(self.pool)
        context = get_context("forkserver")  # threads and CUDA do not survive a fork
        with ProcessPoolExecutor(self.loaders, context, _start_loader, (self.maker,)) as processes:
            coming: deque = deque()
            while True:
                while len(coming) < POOLS_AHEAD * self.loaders:
                    coming.append(processes.submit(_load, self.pool + len(coming)))
                yield coming.popleft().result()

    def __iter__(self) -> Iterator[Batch]:
        for prompts in self._pools():
            batches = self._batches(prompts)
            while self.taken < len(batches):
                self.taken += 1
                yield collate(batches[self.taken - 1])
            self.pool, self.taken = self.pool + 1, 0
