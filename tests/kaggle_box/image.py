"""Kaggle's image and its attached wheels, imitated by a virtual environment: torch and transformers are there, the rest is not.

In:  an empty folder. Out: a Python that has what the image has, and a wheelhouse made with it of what it lacks.
`linked`: packages of the environment that runs this, by links, in seconds. `fresh`: installed from the package index.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

from packaging.requirements import Requirement

from solution.kaggle.overlay import normal
from solution.kaggle.place import PROJECT
from solution.kaggle.wheels import pinned

IMAGE = ("torch", "numpy", "scipy", "transformers", "tqdm", "ipykernel")
"""What stands for Kaggle's image; the real one has hundreds more."""
LACKING = ("peft", "accelerate", "bitsandbytes")
"""What the small scale makes wheels of; the full one makes them of everything that a Kaggle run uses."""
OLD_TRANSFORMERS = "transformers==5.0.0"
"""What a recent image ships: the wheels bring the pinned one."""


def linked(folder: Path) -> Path:
    """A virtual environment with links to this one's `IMAGE` packages and what they require, and nothing else; its Python."""
    python = _new(folder, sys.executable)
    (site,) = folder.glob("lib/python*/site-packages")
    for distribution in _closure(IMAGE):
        top = {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}
        for name in top:
            source = Path(distribution.locate_file(name))
            if source.exists() and not os.path.lexists(site / name):
                (site / name).symlink_to(source.resolve())
    return python


def fresh(folder: Path, base: str, torch: str) -> Path:
    """A virtual environment of the Python `base` with that torch and Kaggle's older transformers, from the index; its Python."""
    python = _new(folder, base)
    others = [str(r) for r in pinned(("numpy", "scipy", "tqdm"))]
    every = [torch, OLD_TRANSFORMERS, *others, "ipykernel"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", *every], check=True)
    return python


def wheelhouse(python: Path, out: Path, names: tuple[str, ...] | None) -> None:
    """Run the project's own wheel building with the image's Python, as the wheels kernel does."""
    only = ["--only", *names] if names else []
    subprocess.run([python, "-m", "solution.kaggle", "wheels", "--out", out, *only], cwd=PROJECT, check=True)


def kernel_spec(python: Path, folder: Path) -> None:
    """Make "python3" the name of the image's Python for notebooks run with JUPYTER_PATH=`folder`."""
    path = folder / "kernels" / "python3" / "kernel.json"
    path.parent.mkdir(parents=True)
    command = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    path.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))


def _new(folder: Path, base: str) -> Path:
    if base == sys.executable:
        venv.create(folder, with_pip=True, symlinks=True)
    else:
        subprocess.run([base, "-m", "venv", folder], check=True)
    return folder / "bin" / "python"


def _closure(names: tuple[str, ...]) -> list[importlib.metadata.Distribution]:
    waiting, found = list(names), {}
    while waiting:
        name = normal(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an optional one
        requirements = map(Requirement, found[name].requires or ())
        waiting += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return list(found.values())
