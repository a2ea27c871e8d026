"""Packages that the image lacks, from the attached wheels, in a folder of their own that goes in front of the image's.

In:  a folder of wheels with its SHA256SUMS. Out: a folder for PYTHONPATH. The image itself is not touched, so that an
installation that fails leaves what was there. Standard library only. Not here: which wheels there are (`wheels`).
"""

import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

KEPT = ("torch", "torchvision", "torchaudio", "triton", "numpy", "scipy")
"""The image's own, fitted to its GPUs and to each other: never downloaded, never put in front."""
KEPT_PREFIXES = ("nvidia-", "cuda-")
PIP_SECONDS = 1200


class OverlayError(RuntimeError):
    """The wheels cannot be used; the message is one line that names the file and the fault."""


def is_kept(name: str) -> bool:
    name = normal(name)
    return name in KEPT or name.startswith(KEPT_PREFIXES)


def normal(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_and_version(wheel: Path) -> tuple[str, str]:
    """Of a wheel's file name (PEP 427)."""
    parts = wheel.name.removesuffix(".whl").split("-")
    if len(parts) < 5:
        raise OverlayError(f"{wheel}: not the file name of a wheel")
    return normal(parts[0]), parts[1]


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified_wheels(folder: Path) -> list[Path]:
    """The wheels of a folder, all listed in its SHA256SUMS and as listed. Raises `OverlayError` at the first that is not."""
    sums = {}
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    found = {path.name: path for path in folder.glob("*.whl")}
    if not found:
        raise OverlayError(f"{folder}: no wheel in it")
    for name in sorted(sums.keys() | found.keys()):
        if name not in found:
            raise OverlayError(f"{folder}: {name} is listed in SHA256SUMS but not there")
        if name not in sums:
            raise OverlayError(f"{folder}: {name} is not listed in SHA256SUMS")
        if sha256_of(found[name]) != sums[name]:
            raise OverlayError(f"{folder}: {name} does not have the sha256 that SHA256SUMS lists")
    return [found[name] for name in sorted(found)]


def installed_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def lacking(wheels: list[Path]) -> list[Path]:
    """The wheels whose version is not the image's."""
    named = [(wheel, *name_and_version(wheel)) for wheel in wheels]
    return [wheel for wheel, name, version in named if not is_kept(name) and installed_version(name) != version]


def install(wheels: list[Path], target: Path) -> None:
    """Unpack exactly these wheels into `target`: no index, no dependencies. Raises `OverlayError` with pip's last line."""
    command = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-compile", "--quiet",
               "--disable-pip-version-check", "--root-user-action", "ignore", "--target", str(target)]  # fmt: skip
    try:
        done = subprocess.run([*command, *map(str, wheels)], capture_output=True, text=True, timeout=PIP_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OverlayError(f"the wheels cannot be installed: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "pip said nothing").splitlines()[-1]
        raise OverlayError(f"the wheels cannot be installed: {last}")


def environment(project: Path, packages: Path | None) -> dict[str, str]:
    """The environment of a process that runs the project's code on those packages, without network waits."""
    paths = [str(packages)] if packages else []
    paths += [str(project), *filter(None, [os.environ.get("PYTHONPATH")])]
    changed = {
        "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1", "UNSLOTH_DISABLE_STATISTICS": "1",
    }  # fmt: skip
    return {key: value for key, value in os.environ.items() if key != "MPLBACKEND"} | changed  # the notebook's own
