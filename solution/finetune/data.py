"""Training batches out of Re-ARC examples.

In:  npz files of verified examples (keys, owner, shapes, cells: see `read_examples`).
Out: `Batch`es of right-padded sequences of about equal length, a fixed number of tokens each, without end.
The stream is a pure function of (examples, settings, seed, position), so a training run resumes it exactly.
Not here: how a task becomes tokens (`codec.arc16`), what a view does (`arc.view`), the loss (`train`).
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..arc.task import Pair, Task, frozen
from ..arc.view import View, random_colours
from ..codec.arc16 import PAD, Arc16, num_tokens
from ..codec.prompt import Prompt

MIN_PAIRS, MAX_PAIRS = 3, 7
MAX_FIRST_PAIR = 4
KEEP_ZERO_SHARE = 0.7
SAMPLE_TRIES = 20
POOL_SEQUENCES = 256
PAD_MULTIPLE = 32


@dataclass(frozen=True)
class Family:
    """All examples of one generator; `tokens[i]` is the most that example i costs in a sequence, in any view."""

    id: str
    pairs: tuple[Pair, ...]
    tokens: np.ndarray


@dataclass(frozen=True)
class Batch:
    """`ids`, `positions`: int64 (sequences, length), padded on the right; `supervised`: bool, the outputs to learn."""

    ids: torch.Tensor
    positions: torch.Tensor
    supervised: torch.Tensor

    @property
    def num_tokens(self) -> int:
        """Tokens without padding."""
        return int((self.ids != PAD).sum())

    def split(self, parts: int) -> list["Batch"]:
        """The sequences in at most `parts` batches of about equal size."""
        tensors = (self.ids, self.positions, self.supervised)
        return [Batch(*part) for part in zip(*(t.tensor_split(min(parts, len(t))) for t in tensors))]

    def to(self, device) -> "Batch":
        return Batch(*(t.to(device, non_blocking=True) for t in (self.ids, self.positions, self.supervised)))


def most_tokens(pair: Pair) -> int:
    """Tokens of an answered pair in its longest symmetry."""
    return sum(max(num_tokens(g), num_tokens(g.T)) for g in (pair.input, pair.output)) + 3


def read_examples(paths) -> list[Family]:
    """The examples of npz files, by family, sorted by id.

    Arrays: `keys` (family ids), `owner` (index into keys per example), `shapes` (h_in, w_in, h_out, w_out per example),
    `cells` (all cells, input then output, row-major, concatenated).
    """
    pairs = defaultdict(list)
    for path in paths:
        with np.load(path, allow_pickle=False) as arrays:
            cells, shapes, owner, keys = (arrays[k] for k in ("cells", "shapes", "owner", "keys"))
        start = 0
        for who, (h, w, h_out, w_out) in zip(owner, shapes.astype(int)):
            middle, end = start + h * w, start + h * w + h_out * w_out
            pair = Pair(frozen(cells[start:middle].reshape(h, w)), frozen(cells[middle:end].reshape(h_out, w_out)))
            pairs[str(keys[who])].append(pair)
            start = end
    return [Family(k, tuple(v), np.array([most_tokens(p) for p in v])) for k, v in sorted(pairs.items())]


def random_view(rng: np.random.Generator) -> View:
    """One of eight symmetries and a colour bijection, which keeps colour 0 seven times out of ten."""
    return View(int(rng.integers(8)), random_colours(rng, keep_zero=bool(rng.random() < KEEP_ZERO_SHARE)))


def sample_task(families: list[Family], rng: np.random.Generator, max_len: int) -> Task:
    """A pseudo task of 2-6 demonstrations and one answered test pair, at most `max_len` tokens, in a random view.

    Families are equally likely; pairs that do not fit are dropped. A family without three pairs that fit gives way to
    another. Raises `ValueError` where no family fits.
    """
    for _ in range(100):
        family = families[rng.integers(len(families))]
        for _ in range(SAMPLE_TRIES):
            wanted = min(int(rng.integers(MIN_PAIRS, MAX_PAIRS + 1)), len(family.pairs))
            chosen = rng.choice(len(family.pairs), wanted, replace=False, shuffle=True)
            count = int(np.searchsorted(np.cumsum(family.tokens[chosen]), max_len, side="right"))
            if count >= MIN_PAIRS:
                pairs = [family.pairs[i] for i in chosen[:count]]
                return random_view(rng).apply(Task(family.id, tuple(pairs[:-1]), (pairs[-1],)))
    raise ValueError(f"no three pairs of a family fit {max_len} tokens")


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


class BatchStream:
    """Endless batches of at most `batch_tokens` tokens with padding. `state` names the next batch and can be set.

    Sequences are made in pools, each from its own random generator (seed, pool), sorted by length and cut into batches,
    which come in random order. A batch has a multiple of `rows_multiple` sequences where so many fit.
    """

    def __init__(self, families: list[Family], batch_tokens: int, max_len: int, seed: int, pool: int = 0, taken: int = 0,
                 rows_multiple: int = 1):  # fmt: skip
        if not families:
            raise ValueError("no training examples")
        if batch_tokens < max_len + PAD_MULTIPLE:
            raise ValueError(f"a batch of {batch_tokens} tokens does not hold a padded sequence of {max_len}")
        self.families, self.batch_tokens, self.max_len, self.seed = families, batch_tokens, max_len, seed
        self.pool, self.taken, self.rows_multiple = pool, taken, rows_multiple
        self.codec = Arc16("grid")

    @property
    def state(self) -> dict:
        """What to pass to a new stream so that it goes on here: seed, pool and batches already taken from it."""
        return {"seed": self.seed, "pool": self.pool, "taken": self.taken}

    def _make_pool(self) -> list[list[Prompt]]:
        rng = np.random.default_rng([self.seed, self.pool])
        prompts = []
        for _ in range(POOL_SEQUENCES):
            task = sample_task(self.families, rng, self.max_len)
            prompts.append(self.codec.encode(task, answer=True, first_pair=int(rng.integers(MAX_FIRST_PAIR + 1))))
        prompts.sort(key=len, reverse=True)
        batches, start = [], 0
        while start < len(prompts):
            padded = -(-len(prompts[start]) // PAD_MULTIPLE) * PAD_MULTIPLE
            rows = self.batch_tokens // padded
            stop = start + max(rows - rows % self.rows_multiple, 1)
            batches.append(prompts[start:stop])
            start = stop
        return [batches[i] for i in rng.permutation(len(batches))]

    def __iter__(self) -> Iterator[Batch]:
        while True:
            batches = self._make_pool()
            while self.taken < len(batches):
                self.taken += 1
                yield collate(batches[self.taken - 1])
            self.pool, self.taken = self.pool + 1, 0
