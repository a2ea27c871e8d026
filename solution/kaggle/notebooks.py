"""The notebooks of kernels/, made from this source: one cell each that finds the code dataset and calls `start`.

In:  nothing. Out: the .ipynb files, or whether they are in step. Not here: what a notebook does (`start`).
"""

import json
from pathlib import Path

from .place import PROJECT

KERNELS = PROJECT / "kernels"
TEXTS = {
    "submit": "# Submit\nInstalls what the image lacks from the attached wheels, runs `submission.py`, writes `submission.json`.",
    "wheels": "# Wheels\nBuilds the wheelhouse for this image. Its output is what *submit* and *finetune* attach.",
    "finetune": "# Fine-tune\nRuns `solution.finetune` and leaves a weights folder that *submit* can attach.",
}
"""Kernel, which is also the name of the function in `start` -> what its notebook says."""
MADE = "\n\nMade by `python -m solution.kaggle notebooks`; the code is in the attached dataset."
CELL = """\
import glob
import os
import sys

starts = sorted(glob.glob("/kaggle/input/**/solution/kaggle/start.py", recursive=True))
if not starts:
    raise RuntimeError("no attached dataset holds solution/kaggle/start.py: attach the one that `solution.kaggle pack` staged")
sys.path.insert(0, os.path.abspath(os.path.join(starts[0], "../../..")))

from solution.kaggle import start

start.{name}()
"""


def notebook(name: str) -> dict:
    """The notebook of a kernel, in the file format's version 4.4."""
    code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": _lines(CELL.format(name=name))}
    return {
        "cells": [{"cell_type": "markdown", "metadata": {}, "source": _lines(TEXTS[name] + MADE)}, code],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 4,
    }


def _lines(text: str) -> list[str]:
    return text.strip("\n").splitlines(keepends=True)


def contents(kernels: Path = KERNELS) -> dict[Path, str]:
    """Every notebook's file and what has to be in it."""
    return {kernels / name / f"{name}.ipynb": json.dumps(notebook(name), indent=1) + "\n" for name in TEXTS}


def write(kernels: Path = KERNELS) -> list[Path]:
    for path, text in contents(kernels).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return list(contents(kernels))


def stale(kernels: Path = KERNELS) -> list[Path]:
    """The notebooks that are missing or not as this source makes them."""
    return [path for path, text in contents(kernels).items() if not path.is_file() or path.read_text() != text]
