"""Folders that are written whole or not at all: a kill at any moment leaves the old one or the new one.

In:  a folder's name and what fills it. Out: the folder, on the disk. Not here: what is in it.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")


def write_whole(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write into a folder aside, then put that in place of `folder`; whatever `fill` raises leaves the old one."""
    recover(folder)
    aside, old = _beside(folder)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    fill(aside)
    for path in (*aside.iterdir(), aside):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    if folder.exists():
        folder.rename(old)
    aside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Finish what a kill between the two renames of `write_whole` left; call before looking whether `folder` is there."""
    aside, old = _beside(folder)
    if not folder.exists() and old.exists():  # the new one is complete by then
        (aside if aside.exists() else old).rename(folder)
    shutil.rmtree(old, ignore_errors=True)
