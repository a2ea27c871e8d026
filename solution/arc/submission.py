"""The submission file: written whole or not at all, and checked by a second pair of eyes.

In:  answers (two grids per test input), or a file to check. Out: the file of docs/kaggle.md, "Output", or a list of faults.
Not here: which answers to give (`select`), when to write them (`driver`).
`validate_submission` shares no code with the writer, nor with `as_grid`, so that neither can hide the other's mistake.
"""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .load import Challenges
from .task import Grid, frozen, to_rows

Answers = dict[str, list[tuple[Grid, Grid]]]
"""Task id -> for each test input, in order, the two attempts."""


class OutputError(OSError):
    """The submission cannot be written; the message is one line that names the file and the reason."""


def placeholder(input_grid: Grid | None = None) -> tuple[Grid, Grid]:
    """The two attempts for a test input that has no answer (yet): the input itself, and zeros of the same shape.

    Both are valid whatever happens; 277 of the 419 public evaluation outputs have their input's shape, none is solved so.
    None, for a task that cannot be read: one zero.
    """
    if input_grid is None:
        input_grid = np.zeros((1, 1))
    return frozen(input_grid), frozen(np.zeros_like(input_grid))


def placeholders(challenges: Challenges) -> Answers:
    """A placeholder for every test input of every task, the faulty ones included."""
    return {
        name: [placeholder(challenges.tasks[name].test[i].input if name in challenges.tasks else None) for i in range(count)]
        for name, count in challenges.num_tests.items()
    }


def aside_of(path: Path) -> Path:
    """Where this thread writes what then becomes `path`."""
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")


def write_submission(path: str | os.PathLike, answers: Mapping[str, list[tuple[Grid, Grid]]]) -> None:
    """Write `answers` to `path`, ids in the given order, such that a reader sees the old file or the new one, never a part.

    Written aside in the same folder, flushed to disk and renamed; a kill at any moment leaves `path` whole and at most
    a `.tmp` file beside it that nothing reads. Safe from several threads and processes: the last rename wins.
    Raises `OutputError` where the folder is missing, full or not writable; the old file then still stands.
    """
    path = Path(path)
    content = {
        task_id: [{"attempt_1": to_rows(first), "attempt_2": to_rows(second)} for first, second in attempts]
        for task_id, attempts in answers.items()
    }
    aside = aside_of(path)
    try:
        try:
            with open(aside, "w", encoding="utf-8") as file:
                file.write(json.dumps(content, separators=(",", ":")))  # ten times as fast as json.dump
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            os.close(folder)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from error


def validate_submission(path: str | os.PathLike, num_tests: Mapping[str, int]) -> list[str]:
    """Every fault of a submission file, one line each; empty for a file that Kaggle accepts (docs/kaggle.md, "Output").

    `num_tests`: task id -> number of test inputs, for every task of the competition. A grid is reported once, by its
    first fault. Never raises for what the file holds.
    """
    repeated = []

    def unique(pairs):
        seen = set()
        for key, _ in pairs:
            if key in seen:
                repeated.append(f"key {key!r} appears more than once in one object")
            seen.add(key)
        return dict(pairs)

    try:
        data = json.loads(Path(path).read_bytes().decode("utf-8"), object_pairs_hook=unique)
    except OSError as error:
        return [f"{path}: cannot be read: {error.strerror}"]
    except UnicodeDecodeError as error:
        return [f"{path}: not UTF-8: {error.reason} at byte {error.start}"]
    except (ValueError, RecursionError) as error:
        return [f"{path}: not JSON, or cut short: {error}"]
    if not isinstance(data, dict):
        return [f"{path}: must be an object of task ids, not a {type(data).__name__}"]
    faults = repeated
    faults += [f"task {task_id!r}: not a task of the competition" for task_id in data if task_id not in num_tests]
    for task_id, count in num_tests.items():
        if task_id in data:
            faults += [f"task {task_id!r}: {fault}" for fault in _task_faults(data[task_id], count)]
        else:
            faults.append(f"task {task_id!r}: missing")
    return faults


def _task_faults(entries, count: int) -> list[str]:
    if not isinstance(entries, list):
        return [f"must be a list with one entry per test input, not a {type(entries).__name__}"]
    faults = [] if len(entries) == count else [f"{len(entries)} entries for {count} test inputs"]
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            faults.append(f"test {index}: must be an object, not a {type(entry).__name__}")
            continue
        for key in ("attempt_1", "attempt_2"):
            fault = _grid_fault(entry[key]) if key in entry else "missing"
            if fault:
                faults.append(f"test {index}, {key}: {fault}")
        faults += [f"test {index}: unknown key {key!r}" for key in entry if key not in ("attempt_1", "attempt_2")]
    return faults


def _grid_fault(grid) -> str | None:
    if not isinstance(grid, list):
        return f"must be a list of rows, not a {type(grid).__name__}"
    if not 1 <= len(grid) <= 30:
        return f"{len(grid)} rows, not 1 to 30"
    for y, row in enumerate(grid):
        if not isinstance(row, list):
            return f"row {y} must be a list, not a {type(row).__name__}"
        if not 1 <= len(row) <= 30:
            return f"row {y} has {len(row)} cells, not 1 to 30"
        if len(row) != len(grid[0]):
            return f"row {y} has {len(row)} cells, row 0 has {len(grid[0])}"
        for x, cell in enumerate(row):
            if type(cell) is not int or not 0 <= cell <= 9:  # a bool is an int to isinstance
                return f"cell ({y}, {x}) is {json.dumps(cell)[:40]}, not a whole number 0 to 9"
    return None
