"""What `--input` and `--solutions` may name: every form in which ARC tasks are published.

In:  a path or the name of a public set. Out: an `Input`: tasks without test outputs, and the outputs where they are known.
Forms: Kaggle's challenges and solutions files, or a folder to find them in; a folder with one JSON file a task, at any
depth (ARC-AGI-1, ARC-AGI-2, ConceptARC); one such file; a public set by name.
Not here: what a task must be (`load`), examples to train on (`finetune.examples`).
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .load import (
    PUBLIC_SETS,
    TEST_CHALLENGES,
    Challenges,
    Solutions,
    check_any,
    choose_solutions,
    find_file,
    is_task,
    load_challenges,
    load_solutions,
    public_set,
    read_tasks,
    sort_out,
    tell_unscored,
)
from .reading import InputError, json_files, read_json, tell
from .task import Task

CHALLENGES, SOLUTIONS = "_challenges.json", "_solutions.json"
"""How the names of Kaggle's files end."""
SHORT_NAMES = {"evaluation": "arc-agi-1/evaluation", "training": "arc-agi-1/training"}


@dataclass(frozen=True)
class Input:
    """The tasks to answer, and the outputs of those whose outputs are all known; None where that is none of them."""

    challenges: Challenges
    solutions: Solutions | None
    name: str


def read_input(source: str | None, solutions: str | None = None, attached: Path | None = None) -> Input:
    """The tasks that `source` names, with the outputs that `solutions` names, else those that come with the tasks.

    `source`: a path, or a name of `PUBLIC_SETS` ("training" and "evaluation": ARC-AGI-1's); None: Kaggle's test tasks under
    the folder `attached` where that is there, else the public evaluation set. What is faulty among good tasks is left out
    with a warning. Raises `InputError`.
    """
    if source is None and attached is not None and attached.is_dir():
        path = find_file(attached, TEST_CHALLENGES)
        challenges, known = load_challenges(path), {}
    else:
        given, source = source, "evaluation" if source is None else source
        name = SHORT_NAMES.get(source, source)
        if name in PUBLIC_SETS:
            if given is not None and os.path.exists(given):
                raise InputError(f"--input {given!r} names a public set and is a path here: give ./{given} for the path")
            if solutions is not None:
                raise InputError("--solutions needs --input: the public sets bring their own")
            version, half = name.removeprefix("arc-agi-").split("/")
            return Input(*public_set(name), f"ARC-AGI-{version} public {half} set")
        path, challenges, known = _read_path(_existing(source, "--input"))
    if solutions is not None:
        known = read_solutions(solutions, challenges.tasks, path)
    return Input(challenges, known or None, str(path))


def _existing(text: str, option: str) -> Path:
    if not os.path.exists(text):
        raise InputError(f"{option} {text!r}: no such file or folder, nor one of the public sets {', '.join(PUBLIC_SETS)}")
    return Path(text)


def _read_path(path: Path) -> tuple[Path, Challenges, Solutions]:
    """The file or folder that the tasks are taken from, the tasks and their outputs."""
    if path.is_dir():
        kaggle = _kaggle_file(path)
        if kaggle is None:
            return path, *read_task_folder(path)
        path = kaggle
    challenges, known = read_tasks(path)
    beside = solutions_beside(path)
    if beside is not None and not known:
        try:
            known = load_solutions(beside, challenges.tasks)
        except InputError as error:  # nobody asked for it
            tell([str(error)], f"{path}: nothing is scored")
    return path, challenges, known


def _kaggle_file(folder: Path) -> Path | None:
    """The challenges file under a folder: the test tasks, else the only one. Raises `InputError` for two."""
    found = {path.resolve(): path for path in json_files(folder) if path.name.endswith(CHALLENGES)}
    if any(path.name == TEST_CHALLENGES for path in found.values()):
        return find_file(folder, TEST_CHALLENGES)
    matches = list(found.values())
    if len(matches) > 1:
        first, second = (path.relative_to(folder) for path in matches[:2])
        raise InputError(f"{folder}: {len(matches)} challenges files, one expected: {first} and {second}")
    return matches[0] if matches else None


def solutions_beside(path: Path) -> Path | None:
    """Kaggle's solutions file of a challenges file, where it lies beside it."""
    if not path.name.endswith(CHALLENGES):
        return None
    beside = path.with_name(path.name.removesuffix(CHALLENGES) + SOLUTIONS)
    return beside if beside.is_file() else None


class _Files:
    """The tasks of a folder with one file each: id -> parsed JSON, one at a time; `left_out`: of the other files why, a line."""

    def __init__(self, folder: Path):
        self.folder, self.left_out = folder, []
        self._paths: dict[str, Path] = {}

    def read(self, wanted: Mapping[str, Task] | None = None) -> Iterator[tuple[str, object]]:
        """Each good file's id and value; only those `wanted` where that is given."""
        for path in json_files(self.folder):
            if wanted is not None and path.stem not in wanted:
                continue
            try:
                body = self._task(path)
            except InputError as error:
                self.left_out.append(str(error))
            else:
                self._paths[path.stem] = path
                yield path.stem, body

    def _task(self, path: Path):
        if path.stem in self._paths:
            raise InputError(f"{path}: left out: task {path.stem} is already that of {self._paths[path.stem]}")
        if not path.is_file():
            raise InputError(f"{path}: not a file")
        body = read_json(path)
        if not is_task(body):
            raise InputError(f"{path}: not a task: no object with the lists train and test")
        return body


def read_task_folder(folder: Path) -> tuple[Challenges, Solutions]:
    """The tasks in a folder with one JSON file each, at any depth, by file name; and the outputs of those that bring all.

    A file that holds no task is left out with a warning, a task that is faulty is one of the faulty ones. Raises
    `InputError` where no task is good.
    """
    files = _Files(folder)
    challenges, solutions, unscored = sort_out(files.read())
    if not challenges.num_tests:
        first = f"; the first of {len(files.left_out)}: {files.left_out[0]}" if files.left_out else ""
        raise InputError(f"{folder}: no {TEST_CHALLENGES} and no JSON file of one task in it{first}")
    check_any(challenges, folder)
    tell(files.left_out, f"{folder}: {len(files.left_out)} files are left out")
    tell_unscored(folder, unscored)
    return challenges, solutions


def read_solutions(source: str, tasks: Mapping[str, Task], challenges: Path) -> Solutions:
    """The outputs of `tasks`, as `load_solutions` gives them, from any form of tasks with outputs or of Kaggle's solutions.

    `challenges`: the file or folder of the tasks, whose solutions file is taken where a folder has several.
    """
    name = SHORT_NAMES.get(source, source)
    if name in PUBLIC_SETS:
        known = {task: list(outputs) for task, outputs in public_set(name)[1].items()}
        return choose_solutions(known, tasks, Path(name))
    path = _existing(source, "--solutions")
    if not path.is_dir():
        return load_solutions(path, tasks)
    found = [file for file in json_files(path) if file.name.endswith(SOLUTIONS)]
    named = [file for file in found if file.name == challenges.name.removesuffix(CHALLENGES) + SOLUTIONS]
    if len(matches := named or found) > 1:
        raise InputError(f"{path}: {len(matches)} solutions files, one expected: {matches[0]} and {matches[1]}")
    if matches:
        return load_solutions(matches[0], tasks)
    files = _Files(path)
    solutions = choose_solutions(dict(files.read(tasks)), tasks, path)
    tell(files.left_out, f"{path}: {len(files.left_out)} files are left out")
    return solutions
