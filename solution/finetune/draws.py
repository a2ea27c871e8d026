"""Which tasks a training run sees: drawn from a pack as tables of indices, many at once.

In:  a pack, the sources' shares, a random generator. Out: `Draws`: pairs, symmetry, colours and first pair of every task.
Stored examples vary background and size from pair to pair as no real task does, so most of their tasks are drawn from pairs of
one background, of one input size, or of both, by `mixture`'s frequencies. Numpy on the host: a thousandth of what laying out the
tokens costs.
Not here: the tokens (`assembly`), batches (`streams`), the same mixture drawn task by task from sources (`mixture`).
"""

from dataclasses import dataclass, field, fields

import numpy as np

from .mixture import (
    BACKGROUND_ZERO,
    KEEP_ZERO_SHARE,
    MAX_PAIRS,
    MIN_PAIRS,
    ONE_BACKGROUND,
    ONE_SIZE,
    PAIR_SHARES,
    RANDOM_BACKGROUND,
    TRANSFORMED_PAIRS,
    Recipe,
)
from .pack import Pack

MAX_FIRST_PAIR = 4
NUM_COLOURS = 10
TRIES, MOST_TRIES = 8, 8 * 50
"""Draws from one family before another of its source takes its place: families of large grids stay nearly as frequent."""
LEAST_PAIRS = {"transformed": TRANSFORMED_PAIRS}
"""Sources whose tasks have more than `MIN_PAIRS` pairs at least."""
PICKED = ("examples",)
"""Sources whose groups are whole families: pairs of one task have to be picked to go together."""
WHOLE = ("generators", "composer")
"""Sources whose groups are tasks to be shown whole, their test last: it needs nothing that the demonstrations do not show."""
ONE_PAIR_TOKENS = 3
"""A pair's INPUT, OUTPUT and END."""
LEAST_BUCKET = 4
"""Pairs that agree in something, at least, for a task to be drawn from them alone."""


@dataclass(frozen=True)
class Sampling:
    """`shares`: of all tasks by source (relative); sources of the pack that are not named are left out.

    `one_background`, `one_size`: shares of the stored examples' tasks whose pairs agree in background, in input size.
    `background_zero`: how often the background of examples is shown as colour 0.
    """

    shares: dict[str, float] = field(default_factory=lambda: Recipe().shares)
    one_background: float = ONE_BACKGROUND
    one_size: float = ONE_SIZE
    background_zero: float = BACKGROUND_ZERO


@dataclass(frozen=True)
class Draws:
    """Tasks, a row each. `pairs`: int64 (tasks, MAX_PAIRS), indices into the pack's pairs, the test pair last; `counts`: how
    many of them are used. `symmetry`: index into `view.SYMMETRIES`. `colours`: uint8 (tasks, 10), old to new. `first_pair`: of
    the pair coordinate. `tokens`: of the whole sequence. `source`: index into the pack's sources."""

    pairs: np.ndarray
    counts: np.ndarray
    symmetry: np.ndarray
    colours: np.ndarray
    first_pair: np.ndarray
    tokens: np.ndarray
    source: np.ndarray

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, rows: np.ndarray | slice) -> "Draws":
        """These rows."""
        return Draws(*(getattr(self, f.name)[rows] for f in fields(self)))


class Buckets:
    """Pairs of one group that agree in a key, `least` or more of them.

    `members`: indices of pairs, by group and bucket. `bucket_start`, `bucket_size`: of the bucket that member i is in.
    `start`, `size`: a group's members.
    """

    def __init__(self, group_of: np.ndarray, key: np.ndarray, groups: int, least: int):
        order = np.lexsort((key, group_of))
        group, key = group_of[order], key[order]
        begins = np.flatnonzero(np.r_[True, (group[1:] != group[:-1]) | (key[1:] != key[:-1])])
        sizes = np.diff(np.r_[begins, len(order)])
        kept = np.repeat(sizes >= least, sizes)
        self.members, sizes = order[kept], sizes[sizes >= least]
        self.bucket_size = np.repeat(sizes, sizes)
        self.bucket_start = np.repeat(np.cumsum(sizes) - sizes, sizes)
        self.size = np.bincount(group[kept], minlength=groups)
        self.start = np.cumsum(self.size) - self.size


class Drawer:
    """Draws tasks of at most `max_len` tokens from a pack. Raises `ValueError` where no named source is in the pack, or none has
    a task that fits."""

    def __init__(self, pack: Pack, sampling: Sampling, max_len: int):
        self.pack, self.sampling, self.max_len = pack, sampling, max_len
        shares = sampling.shares
        self._shares = np.array([shares.get(name, 0.0) for name in pack.sources])
        if self._shares.sum() <= 0:
            raise ValueError(f"the pack has {', '.join(pack.sources)}: none of the sources {', '.join(shares)}")
        shapes = pack.shapes.astype(np.int64)
        rows, columns = shapes[:, [0, 2]], shapes[:, [1, 3]]
        cells = pack.counts.sum(1) + ONE_PAIR_TOKENS
        self._tokens = np.stack([cells + rows.sum(1), cells + columns.sum(1)])  # as it is, and with the sides exchanged
        groups = len(pack.group_sizes)
        group_of = np.repeat(np.arange(groups), pack.group_sizes)
        self.background = commonest_colours(pack)
        size = shapes[:, 0] * 32 + shapes[:, 1]
        self._levels = [Buckets(group_of, key, groups, least) for key, least in (
            (np.zeros_like(size), MIN_PAIRS), (self.background, LEAST_BUCKET), (size, LEAST_BUCKET),
            (size * NUM_COLOURS + self.background, LEAST_BUCKET),
        )]  # fmt: skip
        self._least_pairs = np.array([LEAST_PAIRS.get(name, MIN_PAIRS) for name in pack.sources])
        families = np.arange(len(pack.families))
        source_of = np.repeat(np.arange(len(pack.sources)), pack.source_sizes)  # of each family
        family_of = np.repeat(families, pack.family_sizes)  # of each group
        self._whole = np.isin(pack.sources, WHOLE)
        source_of_group = source_of[family_of]
        pairs = np.where(self._whole[source_of_group], pack.group_sizes, self._least_pairs[source_of_group])
        least = least_tokens(pack, self._tokens.max(0), pairs)
        self._groups, self._group_start, self._group_size = ragged(np.flatnonzero(least <= max_len), family_of, len(families))
        fitting = np.flatnonzero(self._group_size)
        self._families, self._family_start, self._family_size = ragged(fitting, source_of, len(pack.sources))
        self._shares = self._shares * (self._family_size > 0)
        if not self._shares.sum():
            raise ValueError(f"no task of three pairs in {max_len} tokens in this pack")
        self._shares /= self._shares.sum()
        self._picked = np.isin(pack.sources, PICKED)
        self._any_background = np.isin(pack.sources, RANDOM_BACKGROUND)

    def draw(self, rng: np.random.Generator, tasks: int) -> Draws:
        """So many tasks. Sources are drawn first, by their shares; each is then asked until it gives a task that fits."""
        source = rng.choice(len(self._shares), tasks, p=self._shares)
        symmetry = rng.integers(0, 8, tasks)
        turned = (symmetry & 1) ^ (symmetry >> 2)  # whether it exchanges the sides
        pairs, counts, tokens = np.zeros((tasks, MAX_PAIRS), np.int64), np.zeros(tasks, np.int64), np.zeros(tasks, np.int64)
        todo, family = np.arange(tasks), np.zeros(tasks, np.int64)
        tries = 0
        while len(todo):
            if tries == MOST_TRIES:
                raise ValueError(f"hardly any tasks of three pairs in {self.max_len} tokens in this pack")
            if tries % TRIES == 0:
                of = source[todo]
                family[todo] = self._families[self._family_start[of] + rng.integers(0, self._family_size[of])]
            chosen, wanted = self._pick(rng, source[todo], family[todo])
            cost = np.cumsum(self._tokens[turned[todo][:, None], chosen], 1)
            count = np.minimum((cost <= self.max_len).sum(1), wanted)
            last = tries % TRIES == TRIES - 1  # until then no pair is left out: large pairs would make two demonstrations usual
            good = count >= np.maximum(self._least_pairs[source[todo]], 0 if last else wanted)
            rows = todo[good]
            pairs[rows], counts[rows] = chosen[good], count[good]
            tokens[rows] = cost[good, count[good] - 1]
            todo = todo[~good]
            tries += 1
        colours = self._colours(rng, source, pairs[:, 0])
        return Draws(pairs, counts, symmetry, colours, rng.integers(0, MAX_FIRST_PAIR + 1, tasks), tokens, source)

    def _pick(self, rng: np.random.Generator, source: np.ndarray, family: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A group of each family, and of each group `MAX_PAIRS` pairs in random order, (tasks, MAX_PAIRS), of which the first
        `wanted`, (tasks,), are different and to be used."""
        tasks = len(source)
        group = self._groups[self._group_start[family] + rng.integers(0, self._group_size[family])]
        level = (rng.random(tasks) < self.sampling.one_background) + 2 * (rng.random(tasks) < self.sampling.one_size)
        level *= self._picked[source]
        for strict, less in ((3, 1), (2, 0), (1, 0)):  # a group without such buckets: one background says more than one size
            level[(level == strict) & (self._levels[strict].size[group] == 0)] = less
        wanted = np.maximum(rng.choice(np.arange(MIN_PAIRS, MAX_PAIRS + 1), tasks, p=PAIR_SHARES), self._least_pairs[source])
        chosen = np.empty((tasks, MAX_PAIRS), np.int64)
        for number, buckets in enumerate(self._levels):
            rows = np.flatnonzero(level == number)
            anchor = buckets.start[group[rows]] + rng.integers(0, buckets.size[group[rows]])
            size = buckets.bucket_size[anchor]
            offsets = distinct(rng, size, MAX_PAIRS)
            chosen[rows] = buckets.members[buckets.bucket_start[anchor][:, None] + offsets]
            wanted[rows] = np.minimum(wanted[rows], size)
        rows = np.flatnonzero(self._whole[source])
        start, size = self._levels[0].start[group[rows]], self._levels[0].size[group[rows]]
        chosen[rows] = self._levels[0].members[start[:, None] + distinct(rng, size - 1, MAX_PAIRS)]
        chosen[rows, size - 1], wanted[rows] = self._levels[0].members[start + size - 1], size
        return chosen, wanted

    def _colours(self, rng: np.random.Generator, source: np.ndarray, first: np.ndarray) -> np.ndarray:
        """A bijection for each task. Colour 0, or the background of sources that have any, becomes 0 as often as said."""
        tasks = len(source)
        colours = rng.permuted(np.tile(np.arange(NUM_COLOURS), (tasks, 1)), axis=1)
        anywhere = self._any_background[source]
        special = np.where(anywhere, self.background[first], 0)
        keep = rng.random(tasks) < np.where(anywhere, self.sampling.background_zero, KEEP_ZERO_SHARE)
        rows = np.flatnonzero(keep)
        holder = (colours[rows] == 0).argmax(1)  # which colour would become 0
        colours[rows, holder] = colours[rows, special[rows]]
        colours[rows, special[rows]] = 0
        return colours.astype(np.uint8)


def distinct(rng: np.random.Generator, sizes: np.ndarray, count: int) -> np.ndarray:
    """For each of `sizes`, `count` numbers below it, (len(sizes), count): uniformly drawn without repetition, as long as there
    are so many."""
    found = np.zeros((len(sizes), count), np.int64)
    for i in range(count):
        number = (rng.random(len(sizes)) * np.maximum(sizes - i, 1)).astype(np.int64)
        for earlier in np.sort(found[:, :i], 1).T:  # number is the rank among those not yet taken
            number += number >= earlier
        found[:, i] = np.minimum(number, sizes - 1)
    return found


def ragged(chosen: np.ndarray, owner: np.ndarray, owners: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chosen indices, in order, with where each owner's begin and how many they are, both (owners,). `owner`: of every index;
    it never falls."""
    sizes = np.bincount(owner[chosen], minlength=owners)
    return chosen, np.cumsum(sizes) - sizes, sizes


def least_tokens(pack: Pack, tokens: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Tokens of the smallest task of every group, int64 (groups,); out of reach where the group has not the pairs for one.

    `tokens`: of each pair of the pack. `pairs`: that a task of each group has at least.
    """
    sizes = pack.group_sizes.astype(np.int64)
    group_of = np.repeat(np.arange(len(sizes)), sizes)
    before = np.r_[0, np.cumsum(tokens[np.lexsort((tokens, group_of))])]  # smallest first within a group
    starts = np.cumsum(sizes) - sizes
    least = before[starts + np.minimum(pairs, sizes)] - before[starts]
    least[sizes < pairs] = np.iinfo(np.int64).max
    return least


def commonest_colours(pack: Pack) -> np.ndarray:
    """The most frequent colour of every pair's input, the lowest of equals, int64 (pairs,)."""
    counts = pack.counts
    ends = np.cumsum(counts.sum(1))
    edges = np.stack([ends - counts.sum(1), ends - counts[:, 1]], 1).ravel()  # where inputs and outputs begin
    frequency = np.stack(
        [np.add.reduceat((pack.cells == c).view(np.uint8), edges, dtype=np.int32)[::2] for c in range(NUM_COLOURS)]
    )
    return frequency.argmax(0)
