"""The training mixture: one endless, seeded stream of pseudo tasks out of several sources.

In:  sources of pairs with their shares.
Out: tasks of 2-6 demonstrations and one answered test pair, at most so many tokens long, in a random view.
Rules: docs/sources.md, feature 15 and "Details", 6 (30 % of variants transformed: input only 0.3, output only 0.6, both 0.1).
Not here: reading examples (`examples`), generating them (`generators`), tokens (`batches`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arc.load import PUBLIC_SETS
from ..arc.task import Pair, Task
from ..arc.transforms import Transform, transforms
from ..arc.view import View, random_colours
from .composer.compose import sample as compose
from .examples import Family, read_families
from .generators import FAMILIES
from .generators.family import pair_tokens
from .guard import Guard

MIN_PAIRS, MAX_PAIRS = 3, 7
"""Pairs a task, its test pair included (paper: 2-7 examples; one demonstration alone says too little)."""
TRANSFORMED_PAIRS = 4
"""Pairs of a transformed task at least: a transformation on top of a rule takes three demonstrations to see."""
PAIR_SHARES = (0.15, 0.35, 0.25, 0.15, 0.1)
"""How often a task has `MIN_PAIRS` to `MAX_PAIRS` pairs, its test pair among them."""
ONE_BACKGROUND, ONE_SIZE, BACKGROUND_ZERO = 0.75, 0.55, 0.78
"""How often the pairs of stored examples in a task agree in background and in input size, and how often that background is shown
as colour 0: as in the 400 public training tasks (`python -m solution.finetune likeness`)."""
RANDOM_BACKGROUND = ("examples", "transformed")
"""Sources whose background is of any colour; in the others it is 0 where a real task's would be."""
KEEP_ZERO_SHARE = 0.9
"""How often colour 0 stays 0 in the others: as at test time, where it always does, but not quite."""
SIDES, SIDE_SHARES = ((True, False), (False, True), (True, True)), (0.3, 0.6, 0.1)
"""Which of (inputs, outputs) a transformation acts on, and how often."""
SOURCES = ("examples", "real", "generators", "composer", "transformed")
FAMILY_TRIES, TASK_TRIES = 20, 1000


class Examples:
    """Pairs drawn from stored examples; families are equally likely. `picks`: whether pairs of a task are picked to go together:
    a generator's have to be, a real task's do."""

    def __init__(self, name: str, families: Sequence[Family], picks: bool = True):
        self.name, self.picks = name, picks
        self.families = [f for f in families if len(f.pairs) >= MIN_PAIRS]
        if not self.families:
            raise ValueError(f"{name}: no family of {MIN_PAIRS} examples or more")
        self._least = np.array([np.sort(f.tokens)[:MIN_PAIRS].sum() for f in self.families])  # tokens of the smallest task

    def sample(self, rng: np.random.Generator, max_len: int) -> tuple[Pair, ...] | None:
        """3-7 pairs of one family, at most `max_len` tokens together in any symmetry; pairs that do not fit are dropped where no
        draw of pairs that fit comes. Most agree in background, in size, or in both."""
        fitting = np.flatnonzero(self._least <= max_len)
        if not len(fitting):
            return None
        family = self.families[rng.choice(fitting)]
        for tried in range(FAMILY_TRIES):
            like = self._alike(family, rng)
            wanted = min(num_pairs(rng), len(like))
            chosen = rng.choice(like, wanted, replace=False, shuffle=True)
            count = int(np.searchsorted(np.cumsum(family.tokens[chosen]), max_len, side="right"))
            if count >= (MIN_PAIRS if tried > FAMILY_TRIES // 2 else wanted):
                return tuple(family.pairs[i] for i in chosen[:count])
        return None

    def _alike(self, family: Family, rng: np.random.Generator) -> np.ndarray:
        """Indices of the pairs that one task is drawn from: those that agree with a random one, where there are enough."""
        everything = np.arange(len(family.pairs))
        anchor = int(rng.integers(len(everything)))
        background, size = rng.random() < ONE_BACKGROUND, rng.random() < ONE_SIZE
        for by_background, by_size in ((background, size), (background, False)):
            found = everything
            for wanted, key in ((by_background, family.backgrounds), (by_size, family.sizes)):
                if wanted and self.picks:
                    found = found[key[found] == key[anchor]]
            if len(found) > MIN_PAIRS:
                return found
        return everything


def num_pairs(rng: np.random.Generator) -> int:
    """How many pairs a task is to have."""
    return int(rng.choice(np.arange(MIN_PAIRS, MAX_PAIRS + 1), p=PAIR_SHARES))


class Generated:
    """Pairs made on the spot by our own generator families; families are equally likely."""

    name = "generators"

    def sample(self, rng: np.random.Generator, max_len: int) -> tuple[Pair, ...] | None:
        family = FAMILIES[rng.integers(len(FAMILIES))]
        return family.sample(rng, num_pairs(rng), max_len)


class Composed:
    """Pairs made on the spot by random programs."""

    name = "composer"

    def sample(self, rng: np.random.Generator, max_len: int) -> tuple[Pair, ...] | None:
        return compose(rng, num_pairs(rng), max_len)


class Transformed:
    """Tasks of stored examples, each with one of the paper's transformations; its families are equally likely."""

    name = "transformed"

    def __init__(self, examples: Examples):
        self.examples = examples

    def sample(self, rng: np.random.Generator, max_len: int) -> tuple[Pair, ...] | None:
        """None where no transformation leaves four pairs within `max_len`."""
        pairs = self.examples.sample(rng, max_len)
        if pairs is None:
            return None
        task = Task(self.name, pairs[:-1], (pairs[-1],))
        other = transformed(task, rng, max_len)
        return None if other is task else (*other.train, *other.test)


Source = Examples | Generated | Composed | Transformed


def random_view(rng: np.random.Generator, background: int | None = None) -> View:
    """One of eight symmetries and a colour bijection, which mostly keeps colour 0; or makes `background`, if given, mostly 0."""
    symmetry, special = int(rng.integers(8)), 0 if background is None else background
    keep = rng.random() < (KEEP_ZERO_SHARE if background is None else BACKGROUND_ZERO)
    colours = list(random_colours(rng, keep_zero=False))
    if keep:
        holder = colours.index(0)
        colours[holder], colours[special] = colours[special], 0
    return View(symmetry, tuple(colours))


def transformed(task: Task, rng: np.random.Generator, max_len: int) -> Task:
    """The task with the first of the paper's transformations, in random order, that leaves four pairs within `max_len`, on
    its inputs, its outputs or both; without the pairs that do not fit. The task itself where no transformation does. Refused
    are those that change nothing, undo the task's rule, or tear what is drawn over the edge."""
    choices = transforms(rng)
    inputs, outputs = SIDES[rng.choice(len(SIDES), p=SIDE_SHARES)]
    for index in rng.permutation(len(choices)):
        other = choices[index].apply(task, inputs, outputs)
        if other is None or tears(choices[index], task, inputs, outputs):
            continue
        before, pairs = (*task.train, *task.test), (*other.train, *other.test)
        if any(p.key == q.key or np.array_equal(q.input, q.output) for p, q in zip(before, pairs)):
            continue
        count = int(np.searchsorted(np.cumsum([pair_tokens(p) for p in pairs]), max_len, side="right"))
        if count >= TRANSFORMED_PAIRS:
            return Task(task.id, pairs[: count - 1], (pairs[count - 1],))
    return task


def tears(transform: Transform, task: Task, inputs: bool, outputs: bool) -> bool:
    """Whether a shift takes more than empty space over the edge of a grid: rows and columns of several colours."""
    down, right = transform.shift
    for pair in (*task.train, *task.test):
        for grid, moved in ((pair.input, inputs), (pair.output, outputs)):
            over = np.r_[grid[-down:].ravel() if down else [], grid[:, -right:].ravel() if right else []]
            if moved and len(over) and (over != over[0]).any():
                return True
    return False


@dataclass(frozen=True)
class Mixture:
    """`parts`: sources with their shares of all tasks (relative). `guard`: tasks that hold a pair it knows are left out:
    generators may hit upon one, and so may a transformation."""

    parts: tuple[tuple[float, Source], ...]
    guard: Guard | None = None

    def __post_init__(self):
        if not self.parts or min(share for share, _ in self.parts) <= 0:
            raise ValueError("a mixture needs sources with positive shares")

    def sample(self, rng: np.random.Generator, max_len: int) -> Task:
        """One task in a random view; the source is drawn first, then asked until it gives one. Raises `ValueError` where it
        gives none in `TASK_TRIES` draws."""
        shares = np.array([share for share, _ in self.parts])
        source = self.parts[rng.choice(len(shares), p=shares / shares.sum())][1]
        for _ in range(TASK_TRIES):
            pairs = source.sample(rng, max_len)
            if pairs is None:
                continue
            task = Task(source.name, pairs[:-1], (pairs[-1],))
            if self.guard is not None and any(map(self.guard.task_of, (*task.train, *task.test))):
                continue
            anywhere = source.name in RANDOM_BACKGROUND
            return random_view(rng, int(np.bincount(pairs[0].input.ravel()).argmax()) if anywhere else None).apply(task)
        raise ValueError(f"{source.name}: no task of three pairs in {max_len} tokens came in {TASK_TRIES} draws")

    def describe(self) -> str:
        """One line for the manifest."""
        total = sum(share for share, _ in self.parts)
        return ", ".join(f"{share / total:.0%} {source.name}" for share, source in self.parts)


@dataclass(frozen=True)
class Recipe:
    """What a mixture is made of; small enough to store with a checkpoint and to send to a loader process.

    `data`: sources that `examples.read_families` reads. The shares are those of all tasks (relative), of sources that are there:
    `examples` of `data`; `real`, of the public sets in it; `generators`, our own families; `composer`, random programs;
    `transformed`, examples (real ones where there are no others) with one of the paper's transformations. `drop_scored`: leave
    out examples that are scored on (the public evaluation sets, the held-out training tasks) instead of refusing them.
    """

    data: tuple[str, ...] = ("arc-agi-1/training",)
    examples: float = 0.42
    real: float = 0.08
    generators: float = 0.25
    composer: float = 0.12
    transformed: float = 0.13
    drop_scored: bool = True

    @property
    def shares(self) -> dict[str, float]:
        """Share by source. Raises `ValueError` where one is negative or all are 0."""
        shares = {name: getattr(self, name) for name in SOURCES}
        if min(shares.values()) < 0 or sum(shares.values()) <= 0:
            raise ValueError(f"shares of the sources must not be negative, nor all 0: {shares}")
        return shares

    def build(self) -> Mixture:
        """Read and check everything. Raises `InputError` for sources that cannot be read or may not be used."""
        guard = Guard.standard()
        stored = {name: Examples(name, families, name == "examples") for name, families in self.stored(guard).items()}
        sources: dict[str, Source] = stored | {"generators": Generated(), "composer": Composed()}
        if stored:
            sources["transformed"] = Transformed(next(iter(stored.values())))
        shares = self.shares
        return Mixture(tuple((shares[name], source) for name, source in sources.items() if shares[name]), guard)

    def stored(self, guard: Guard) -> dict[str, list[Family]]:
        """The families of examples that may be used by source, "examples" before "real"; sources without data are left out.

        Raises `InputError` for data that cannot be read or may not be used.
        """
        real = [source for source in self.data if source in PUBLIC_SETS]
        examples = [source for source in self.data if source not in PUBLIC_SETS]
        return {name: self._families(data, guard) for name, data in (("examples", examples), ("real", real)) if data}

    def _families(self, data: Sequence[str], guard: Guard) -> list[Family]:
        merged: dict[str, list[Pair]] = {}
        for source in data:
            families = read_families(source)
            if self.drop_scored:
                families = guard.drop(families)
            else:
                guard.check(families, source)
            for family in families:
                merged.setdefault(family.id, []).extend(family.pairs)
        return [Family.of(name, pairs) for name, pairs in sorted(merged.items())]
