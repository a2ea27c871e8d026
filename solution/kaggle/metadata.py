"""What Kaggle's command line reads beside uploaded files: dataset-metadata.json and kernel-metadata.json.

In:  a user's name and what is uploaded. Out: JSON objects that `kaggle datasets create` and `kaggle kernels push` take.
Standard library only. Not here: staging the files (`pack`).
"""

import json
import re
from pathlib import Path

from .inputs import WEIGHTS_MARK

PLACEHOLDER = "USERNAME"
"""Stands for the user's name in kernels/*/kernel-metadata.json."""
MACHINES = {"t4x2": "NvidiaTeslaT4", "l4x4": "NvidiaL4"}
"""Kaggle's `machine_shape` of the editor's "GPU T4 x2" (that the name means two is documented) and of "L4 x4" (supposed: there is
an NvidiaL4X1 beside it). The second is offered inside some competitions only."""
LICENCES = {"MIT": "MIT", "Apache-2.0": "apache-2.0", "CC0-1.0": "CC0-1.0"}
"""A manifest's licence -> Kaggle's name for it; any other becomes "other", and its text stands in manifest_entry.json."""
SLUG_LENGTH = (6, 50)
"""Characters of a dataset's slug and of its title, as Kaggle's command line checks them."""


def slug(text: str) -> str:
    """Lower case, dashes for everything else: what Kaggle makes of a title."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[: SLUG_LENGTH[1]].strip("-")


def dataset(user: str, title: str, licence: str) -> dict:
    return {"title": title, "id": f"{user}/{slug(title)}", "licenses": [{"name": LICENCES.get(licence, "other")}]}


def code_dataset(user: str) -> dict:
    return dataset(user, "ARC Prize code", "MIT")


def weights_dataset(user: str, folder: Path) -> dict:
    """Of a weights folder with its manifest_entry.json; one dataset per name of weights."""
    entry = json.loads((folder / WEIGHTS_MARK).read_text())
    return dataset(user, f"ARC weights {slug(entry['name'])}"[: SLUG_LENGTH[1]].strip("-"), entry["licence"])


def kernel(template: Path, user: str, machine: str, competition: str, docker_image: str | None) -> dict:
    """A kernel's metadata for this user: the template's, with names, accelerator, competition and image filled in."""
    filled = json.loads(template.read_text().replace(f"{PLACEHOLDER}/", f"{user}/"))
    filled["machine_shape"] = MACHINES[machine]
    if filled["competition_sources"]:
        filled["competition_sources"] = [competition]
    if docker_image:
        filled["docker_image"] = docker_image
    return filled
