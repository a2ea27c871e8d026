"""Readers of example pairs: what a training run learns from beside the generators of `generators`.

In:  packed npz files, JSON files of examples or of tasks, public task sets. Out: `Family`s, all examples of one rule each.
One bad example costs only itself: it is left out with a warning.
Not here: whether they may be used (`guard`), sampling tasks from them (`mixture`).
"""

import multiprocessing
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from ..arc.load import PUBLIC_SETS, Fault, InputError, by_id, is_task, public_set, read_pair
from ..arc.reading import JsonObject, json_files, read_json, tell
from ..arc.sources import SOLUTIONS, solutions_beside
from ..arc.task import MAX_SIDE, NUM_COLOURS, Pair, frozen
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

    `source`: a packed .npz file (`read_packed`); a .json file or a folder of them (`read_json_files`), of which Re-ARC's own
    has them in tasks/; or a name of `arc.load.PUBLIC_SETS`. Raises `InputError` where it is none of these or holds no example.
    """
    if source in PUBLIC_SETS:
        return read_public(source)
    path = Path(source)
    if path.suffix == ".npz" and path.is_file():
        return read_packed(path)
    if path.is_dir():
        return read_json_files(json_files(path / "tasks" if (path / "tasks").is_dir() else path), path)
    if path.suffix == ".json" and path.is_file():
        return read_json_files([path], path)
    raise InputError(f"{source}: neither an .npz or .json file, nor a folder, nor one of {', '.join(PUBLIC_SETS)}")


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
        if len(shapes) != len(owner) or shapes.min() < 0 or counts.sum() != len(cells):
            raise ValueError("its arrays do not fit together")
        bad = (shapes.min(1) < 1) | (shapes.max(1) > MAX_SIDE)
        ends = counts.sum(1).cumsum()
        bad[np.searchsorted(ends, np.flatnonzero(cells >= NUM_COLOURS), side="right")] = True
        if bad.all():
            raise ValueError(f"none of its {len(bad)} pairs is of grids of 1 to 30 cells a side, values 0 to 9")
        names = [str(keys[i]) for i in owner]
    except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not a file of packed examples: {error}") from None
    faults = [f"{path}: pair {i} of {names[i]}: no grids of 1 to 30 cells a side, values 0 to 9" for i in np.flatnonzero(bad)]
    _tell(faults, f"{path}: {len(faults)} of {len(names)} pairs are left out")
    pairs = defaultdict(list)
    starts, middles = ends - counts.sum(1), ends - counts[:, 1]
    for i, (h, w, h_out, w_out), start, middle, end in zip(range(len(names)), shapes, starts, middles, ends):
        if not bad[i]:
            output = frozen(cells[middle:end].reshape(h_out, w_out))
            pairs[names[i]].append(Pair(frozen(cells[start:middle].reshape(h, w)), output))
    return [Family.of(name, found) for name, found in sorted(pairs.items())]


def read_json_files(paths: Iterable[Path], source: Path) -> list[Family]:
    """Families out of JSON files, each of which may be: a list of {"input", "output"} (Re-ARC's output; the family is called
    as the file); one ARC task; tasks by id (Kaggle's challenges, whose solutions file is read where it lies beside them).

    Of a task, the demonstrations and the answered tests. Raises `InputError` where no file holds an example.
    """
    pairs: dict[str, list[Pair]] = defaultdict(list)
    faults, num_pairs, num_files = [], 0, 0
    for path in paths:
        if path.name.endswith(SOLUTIONS) or path.name == "sample_submission.json":
            continue
        try:
            for name, examples in _raw_families(path, faults):
                bad = []
                for place, raw in examples:
                    try:
                        pairs[name].append(read_pair(raw, place))
                    except Fault as fault:
                        bad.append(str(fault))
                if bad:
                    faults.append(f"{path}: {name}: {len(bad)} of {len(examples)} pairs left out, the first: {bad[0]}")
                    num_pairs += len(bad)
        except InputError as error:
            faults.append(str(error))
            num_files += 1
    families = [Family.of(name, found) for name, found in sorted(pairs.items()) if found]
    if not families:
        first = f"; the first of {len(faults)} faults: {faults[0]}" if faults else ""
        raise InputError(faults[0] if len(faults) == 1 else f"{source}: no .json of examples or of a task in it{first}")
    _tell(faults, f"{source}: {len(faults)} faults: {num_pairs} pairs and {num_files} files are left out")
    return families


def _raw_families(path: Path, faults: list[str]) -> Iterator[tuple[str, list[tuple[str, object]]]]:
    """Of each family in a JSON file, its id and its examples, unchecked, each with its place; a line in `faults` for what does
    not keep it from being read. Raises `InputError`."""
    if not path.is_file():
        raise InputError(f"{path}: not a file")
    data = read_json(path)
    if isinstance(data, list) and data:
        yield path.stem, [(f"[{i}]", value) for i, value in enumerate(data)]
        return
    bodies, answers = by_id(data, path), {}
    if not any(map(is_task, bodies.values())):
        raise InputError(f"{path}: holds neither a list of pairs nor a task")
    faults += [f"{path}: {name}: the id appears twice, the last is read" for name in bodies.repeated]
    if beside := solutions_beside(path):
        try:
            answers = by_id(read_json(beside), beside)
        except InputError as error:
            faults.append(str(error))
    for name, body in bodies.items():
        if is_task(body):
            yield name, _shown(body, answers.get(name))
        else:
            faults.append(f"{path}: {name}: not a task: no object with the lists train and test")


def _shown(body: JsonObject, outputs) -> list[tuple[str, object]]:
    """The examples of a task, unchecked, each with its place: demonstrations, and tests that carry an output or have one in
    the list `outputs`."""
    tests = body.get("test", [])
    if isinstance(tests, list):
        known = outputs if isinstance(outputs, list) and len(outputs) == len(tests) else [None] * len(tests)
        tests = [_answered(test, output) for test, output in zip(tests, known)]
    found = []
    for key, listed in (("train", body.get("train", [])), ("test", tests)):
        found += [(f"{key}[{i}]", pair) for i, pair in enumerate(listed)] if isinstance(listed, list) else [(key, listed)]
    return [(place, pair) for place, pair in found if pair is not None]


def _answered(test, output):
    """A test with its output; None for one that has none."""
    if not isinstance(test, dict) or test.get("output") is not None:
        return test
    return None if output is None else JsonObject([*((k, v) for k, v in test.items() if k != "output"), ("output", output)])


def _tell(faults: list[str], total: str) -> None:
    if multiprocessing.parent_process() is None:  # loader processes read the same sources again
        tell(faults, total)


def read_public(name: str) -> list[Family]:
    """The demonstrations and answered test pairs of a public set's tasks, a family each."""
    challenges, solutions = public_set(name)
    families = []
    for task in challenges.tasks.values():
        tests = (Pair(test.input, output) for test, output in zip(task.test, solutions[task.id]))
        families.append(Family.of(task.id, (*task.train, *tests)))
    return sorted(families, key=lambda f: f.id)
