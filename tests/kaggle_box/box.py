"""Lay out a Kaggle session, run the submit notebook in it, judge what it left.

In:  an empty folder, tasks, an image (`image`). Out: a `Verdict`. Not here: the inside (`inside`).
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from solution.arc.load import load_challenges, public_set
from solution.arc.submission import validate_submission
from solution.codec.arc16 import task_tokens
from solution.kaggle.pack import Order, pack
from solution.kaggle.place import PROJECT, RERUN
from solution.kaggle.start import ARGUMENTS

COMPETITION = "arc-prize-2026-arc-agi-2"
LARGE = 20 * 2**20
"""Bytes in the working folder at the end that would be more than a run's own files."""
NAMESPACES = (["unshare", "--map-root-user", "--mount", "--net"], ["unshare", "--mount", "--net"])


def namespaces() -> tuple[list[str] | None, str]:
    """The command that opens the box's namespaces here, or None; and why not."""
    told = "no unshare command"
    for command in NAMESPACES:
        try:
            done = subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True)
        except OSError as error:
            told = str(error)
            continue
        if done.returncode == 0:
            return command, ""
        told = done.stderr.strip()
    return None, told


def small_tasks(count: int) -> dict:
    """The challenges file's object for the `count` ARC-AGI-1 evaluation tasks with the fewest tokens, outputs left out."""
    challenges, _ = public_set("arc-agi-1/evaluation")
    tasks = sorted(challenges.tasks.items(), key=lambda item: sum(task_tokens(item[1].train, test) for test in item[1].test))
    return {
        name: {
            "train": [{"input": p.input.tolist(), "output": p.output.tolist()} for p in task.train],
            "test": [{"input": p.input.tolist()} for p in task.test],
        }
        for name, task in tasks[:count]
    }


def lay_out(root: Path, tasks: dict) -> None:
    """ROOT/kaggle as Kaggle mounts it, but for the wheels: the competition (at two paths), the code, unpacked from its upload."""
    kaggle = root / "kaggle"
    for name in ("input/competitions", "working", "temp"):
        (kaggle / name).mkdir(parents=True)
    competition = kaggle / "input" / "competitions" / COMPETITION
    competition.mkdir()
    (competition / "arc-agi_test_challenges.json").write_text(json.dumps(tasks))
    (kaggle / "input" / COMPETITION).symlink_to(Path("competitions", COMPETITION))
    pack(Order(user="ada", out=root / "staged"))
    shutil.copy(root / "staged" / "submit" / "submit.ipynb", root)
    upload(root / "staged" / "code", kaggle / "input" / "arc-prize-code")


def upload(staged: Path, mounted: Path) -> None:
    """What `kaggle datasets create --dir-mode zip` and the mount make of a folder: metadata gone, folders zipped and unpacked."""
    mounted.mkdir()
    for entry in staged.iterdir():
        if entry.is_dir():
            archive = shutil.make_archive(str(staged.parent / entry.name), "zip", entry)
            shutil.unpack_archive(archive, mounted / entry.name)
            os.remove(archive)
        elif entry.name != "dataset-metadata.json":
            shutil.copy(entry, mounted)


def run(root: Path, command: list[str], arguments: str) -> dict:
    """Run the notebook as the competition does, with these driver options; what `inside` reports."""
    (root / "home").mkdir()
    environment = {key: os.environ[key] for key in ("LANG", "OMP_NUM_THREADS") if key in os.environ} | {
        "PATH": f"{root / 'image' / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(root / "home"),
        "JUPYTER_PATH": str(root / "jupyter"), "JUPYTER_RUNTIME_DIR": str(root / "home" / "runtime"),
        "PIP_CONFIG_FILE": os.devnull, RERUN: "1", ARGUMENTS: arguments,
    }  # fmt: skip
    inside = [*command, sys.executable, "-m", "tests.kaggle_box.inside", str(root)]
    subprocess.run(inside, env=environment, cwd=PROJECT, check=True)
    return json.loads((root / "result.json").read_text())


def digest(folder: Path) -> str:
    """Of the names and contents of all files."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return total.hexdigest()


@dataclass(frozen=True)
class Verdict:
    """`faults`: everything that would have gone wrong on Kaggle, one line each. `told`: the notebook's own lines."""

    faults: list[str]
    told: str
    tasks: int
    answered: int
    working_bytes: int


def judge(root: Path, result: dict, input_before: str) -> Verdict:
    working = root / "kaggle" / "working"
    tasks = load_challenges(root / "kaggle" / "input").num_tests
    faults = [f"notebook: {result['error']}"] if result["error"] else []
    faults += [f"submission: {fault}" for fault in validate_submission(working / "submission.json", tasks)]
    faults += [f"{what} was open" for what in ("network", "input") if not result[what]]
    faults += ["the project's own package was in reach"] if result["project"] else []
    faults += ["the input was written"] if digest(root / "kaggle" / "input") != input_before else []
    files = [path for path in working.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    faults += [f"{size} bytes left in the working folder"] if size > LARGE else []
    faults += [f"left in the working folder: {path.name}" for path in files if path.suffix in (".whl", ".safetensors", ".tmp")]
    faults += [f"left in temp: {path.name}" for path in (root / "kaggle" / "temp").iterdir()]
    log = working / "notebook.log"
    journal = working / "submission.run" / "journal.jsonl"
    lines = journal.read_text().splitlines() if journal.is_file() else []
    answered = {name for line in lines for name in json.loads(line).get("candidates", {})}
    faults += [f"task {name} was never decoded" for name in tasks if name not in answered]
    return Verdict(faults, log.read_text() if log.is_file() else "", len(tasks), len(answered), size)
