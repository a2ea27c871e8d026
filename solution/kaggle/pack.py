"""Staging for Kaggle: the project as a dataset folder, chosen weights as another, the kernels with names filled in.

In:  the user's name, a folder, weights, options for the runs. Out: OUT/code, OUT/weights, OUT/submit, OUT/wheels, OUT/finetune
and the commands that upload them. Nothing is uploaded here, and nothing of a user's runs or environment is copied.
"""

import contextlib
import io
import json
import os
import re
import shlex
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..command import CommandError
from ..driver.clock import SESSION_LEAVES, format_seconds
from ..finetune.folders import write_whole
from ..models.manifest import ENTRY_FILE, WeightsError, WeightSet, find_weights
from .metadata import code_dataset, kernel, weights_dataset
from .notebooks import KERNELS, TEXTS, stale
from .place import PROJECT
from .start import FINETUNE_SECONDS, PACKED

CODE = ("solution", "submission.py", "weights_manifest.json", "requirements.txt", "README.md", "LICENSE")
LEFT_OUT = ("__pycache__", "*.pyc", ".*", "docs")
"""Names inside `CODE` that do not travel: caches, hidden files, the documents."""
SPARE_MINUTES = 30
"""What a training on Kaggle needs besides, at the least: installing, checking, scoring, storing."""
DATASET_METADATA, KERNEL_METADATA = "dataset-metadata.json", "kernel-metadata.json"


class PackError(ValueError):
    """What was asked for cannot be packed; the message is one line."""


@dataclass(frozen=True)
class Order:
    """What to stage. `finetuned`: submit with what the finetune kernel leaves.
    `submit`, `finetune`: options for submission.py and solution.finetune when they run on Kaggle."""

    user: str
    out: Path
    weights: str | None = None
    finetuned: bool = False
    machine: str = "t4x2"
    competition: str = "arc-prize-2026-arc-agi-2"
    docker_image: str | None = None
    submit: list[str] = field(default_factory=list)
    finetune: list[str] = field(default_factory=list)


def pack(order: Order) -> list[str]:
    """Stage everything under `order.out`, replacing an earlier staging; the commands that upload it.

    Raises `PackError`, and `WeightsError` for weights that are not there or do not match their hashes.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{3,50}", order.user):
        raise PackError(f"--user: {order.user!r} is not a Kaggle user name (letters, digits, dashes)")
    if order.out.exists() and any(order.out.iterdir()) and not (order.out / "code" / DATASET_METADATA).is_file():
        raise PackError(f"--out: {order.out} holds something else than an earlier staging")
    if PROJECT / "solution" in (order.out.resolve(), *order.out.resolve().parents):
        raise PackError(f"--out: {order.out} lies inside the package that is packed")
    if order.weights and order.finetuned:
        raise PackError("--finetuned: --weights names others")
    if stale():
        raise PackError(f"{stale()[0]} is not in step with its source: python -m solution.kaggle notebooks")
    check_options(order)
    weights = find_weights(order.weights) if order.weights else None
    if weights:
        weights.verify()
    write_whole(order.out, lambda folder: stage(order, weights, folder))
    return commands(order.out, separate(weights))


def check_options(order: Order) -> None:
    """Raises `PackError` for options that the program which gets them would refuse, hours later and on Kaggle."""
    from ..driver.cli import parser as driver
    from ..finetune.__main__ import parser as finetune

    for option, parser, words in (("--submit", driver, order.submit), ("--finetune", finetune, order.finetune)):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                parsed = parser().parse_args(words)
        except SystemExit:
            raise PackError(f"{option}: --help is nothing that a run can do") from None
        except CommandError as error:
            raise PackError(f"{option}: {error}") from None
        if option == "--submit" and any(word.partition("=")[0] == "--output" for word in words):
            raise PackError("--submit: --output: Kaggle takes submission.json alone")
        if option == "--submit" and parsed.budget > SESSION_LEAVES:
            raise PackError(f"--submit: --budget {format_seconds(parsed.budget)} is longer than a Kaggle session leaves "
                            f"({format_seconds(SESSION_LEAVES)})")  # fmt: skip
        if option == "--finetune" and (parsed.minutes or 0) > FINETUNE_SECONDS / 60 - SPARE_MINUTES:
            raise PackError(f"--finetune: --minutes {parsed.minutes:g} leaves a session no time to check and store the weights")


def separate(weights: WeightSet | None) -> bool:
    """Whether the weights are a dataset of their own: those inside the package travel with the code."""
    return weights is not None and not weights.folder.resolve().is_relative_to(PROJECT / "solution")


def stage(order: Order, weights: WeightSet | None, folder: Path) -> None:
    submit, datasets = list(order.submit), []
    if separate(weights):
        datasets.append(stage_weights(order.user, weights, folder / "weights")["id"])
    elif weights:
        submit += ["--weights", weights.name]
    stage_code(order, submit, folder / "code")
    for name in TEXTS:
        (folder / name).mkdir()
        shutil.copy(KERNELS / name / f"{name}.ipynb", folder / name)
        template = KERNELS / name / KERNEL_METADATA
        metadata = kernel(template, order.user, order.machine, order.competition, order.docker_image)
        if name == "submit":
            metadata["dataset_sources"] += datasets
            metadata["kernel_sources"] += [f"{order.user}/arc-prize-finetune"] if order.finetuned else []
        write_json(folder / name / KERNEL_METADATA, metadata)


def stage_code(order: Order, submit: list[str], folder: Path) -> None:
    folder.mkdir()
    for name in CODE:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else:
            shutil.copy(PROJECT / name, folder / name)
    write_json(folder / PACKED, {"user": order.user, "submit": submit, "finetune": order.finetune})
    write_json(folder / DATASET_METADATA, code_dataset(order.user))


def stage_weights(user: str, weights: WeightSet, folder: Path) -> dict:
    """The files that the entry lists, links followed, and the entry; the dataset's metadata. Raises `WeightsError` where what
    was staged is not what the entry lists."""
    folder.mkdir()
    for file in weights.entry["files"]:
        source, target = (weights.folder / file["path"]).resolve(), folder / file["path"]
        try:
            os.link(source, target)  # gigabytes, and nothing writes to either name
        except OSError:
            shutil.copyfile(source, target)
    write_json(folder / ENTRY_FILE, weights.entry)
    check_staged(replace(weights, folder=folder))
    metadata = weights_dataset(user, folder)
    write_json(folder / DATASET_METADATA, metadata)
    return metadata


def check_staged(weights: WeightSet) -> None:
    """Raises `WeightsError` where the staged files are not those of the entry: a folder may change while it is copied."""
    for file in weights.entry["files"]:
        path = weights.folder / file["path"]
        if path.is_symlink() or not path.is_file():
            raise WeightsError(f"weights {weights.name}: {path.name} was staged as no file of its own")
    weights.verify()


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def commands(out: Path, with_weights: bool) -> list[str]:
    """What to type, in order. Folders inside a dataset are uploaded as zip files, which Kaggle unpacks again."""
    at = {name: shlex.quote(str(out / name)) for name in ("code", "weights", *TEXTS)}
    create = [f"kaggle datasets create -p {at['code']} --dir-mode zip"]
    update = [f'kaggle datasets version -p {at["code"]} --dir-mode zip -m "what changed"']
    if with_weights:
        create.append(f"kaggle datasets create -p {at['weights']}")
        update.append(f'kaggle datasets version -p {at["weights"]} -m "what changed"')
    return [
        "# once, the first time; the wheels again after a change of requirements.txt or of Kaggle's image:",
        *create,
        f"kaggle kernels push -p {at['wheels']}",
        "# after a change:",
        *update,
        "# when the datasets are ready and the wheels kernel has run:",
        f"kaggle kernels push -p {at['submit']}",
        "# to train on Kaggle:",
        f"kaggle kernels push -p {at['finetune']}",
    ]
