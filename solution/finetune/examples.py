"""Readers of example pairs: what a training run learns from beside the generators of `generators`.

In:  packed npz files, folders of Re-ARC JSON files, public task sets. Out: `Family`s, all examples of one rule each.
Not here: whether they may be used (`guard`), sampling tasks from them (`mixture`).
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..arc.load import PUBLIC_SETS, InputError, public_set
from ..arc.task import GridError, Pair, as_grid, frozen
from .generators.family import pair_tokens


@dataclass(frozen=True)
class Family:
    """All examples of one generator or one public task; `tokens[i]` is the most that example i costs in a sequence, in any
    symmetry."""

    id: str
    pairs: tuple[Pair, ...]
    tokens: np.ndarray

    @cached_property
    def backgrounds(self) -> np.ndarray:
        """The commonest colour of every input, int64 (pairs,)."""
        return np.array([np.bincount(pair.input.ravel()).argmax() for pair in self.pairs])

    @cached_property
    def sizes(self) -> np.ndarray:
        """A number for every input, int64 (pairs,): equal for those of one height and width."""
        return np.array([pair.input.shape[0] * 32 + pair.input.shape[1] for pair in self.pairs])

    @classmethod
    def of(cls, id: str, pairs: Iterable[Pair]) -> "Family":
        """The family of these pairs, each input once: a repeated one could be demonstration and test at the same time."""
        pairs = tuple({pair.key[0]: pair for pair in pairs}.values())
        return cls(id, pairs, np.array([pair_tokens(p) for p in pairs]))


def read_families(source: str) -> list[Family]:
    """The examples of one source, by family, sorted by id.

    `source`: a packed .npz file (`read_packed`); a folder of Re-ARC's JSON files, <id>.json or tasks/<id>.json, each a list
    of {"input", "output"}; or a name of `arc.load.PUBLIC_SETS`. Raises `InputError` where it is none of these or is broken.
    """
    if source in PUBLIC_SETS:
        return read_public(source)
    path = Path(source)
    if path.suffix == ".npz" and path.is_file():
        return read_packed(path)
    if path.is_dir():
        return read_rearc_folder(path)
    raise InputError(f"{source}: neither an .npz file, nor a folder, nor one of {', '.join(PUBLIC_SETS)}")


def read_packed(path: Path) -> list[Family]:
    """An npz file of verified examples.

    Arrays: `keys` (family ids), `owner` (index into keys per example), `shapes` (h_in, w_in, h_out, w_out per example),
    `cells` (all cells, input then output, row-major, concatenated).
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            cells, shapes, owner, keys = (arrays[k] for k in ("cells", "shapes", "owner", "keys"))
        if any(a.dtype.kind not in "iu" for a in (cells, shapes, owner)) or owner.min() < 0 or cells.min() < 0:
            raise ValueError("its arrays hold something else than whole numbers from 0 on")
        shapes = shapes.astype(int)
        counts = shapes[:, [0, 2]] * shapes[:, [1, 3]]  # cells of input and output
        if len(shapes) != len(owner) or counts.sum() != len(cells) or shapes.min() < 1 or shapes.max() > 30 or cells.max() > 9:
            raise ValueError("its arrays do not fit together")
        names = [str(keys[i]) for i in owner]
    except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a file of packed examples: {error}") from None
    pairs = defaultdict(list)
    start = 0
    for name, (h, w, h_out, w_out), (first, second) in zip(names, shapes, counts):
        middle, end = start + first, start + first + second
        pairs[name].append(Pair(frozen(cells[start:middle].reshape(h, w)), frozen(cells[middle:end].reshape(h_out, w_out))))
        start = end
    return [Family.of(name, found) for name, found in sorted(pairs.items())]


def read_rearc_folder(folder: Path) -> list[Family]:
    """Re-ARC's own output format: one JSON file a family, a list of {"input", "output"}."""
    found = folder / "tasks" if (folder / "tasks").is_dir() else folder
    families = []
    for path in sorted(found.glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            families.append(Family.of(path.stem, (Pair(as_grid(v["input"]), as_grid(v["output"])) for v in values)))
        except (OSError, ValueError, GridError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a list of input and output grids: {type(error).__name__}: {error}") from None
    if not families:
        raise InputError(f"{folder}: no <id>.json of examples in it")
    return families


def read_public(name: str) -> list[Family]:
    """The demonstrations and answered test pairs of a public set's tasks, a family each."""
    challenges, solutions = public_set(name)
    families = []
    for task in challenges.tasks.values():
        tests = (Pair(test.input, output) for test, output in zip(task.test, solutions[task.id]))
        families.append(Family.of(task.id, (*task.train, *tests)))
    return sorted(families, key=lambda f: f.id)
