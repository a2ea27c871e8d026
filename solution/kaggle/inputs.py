"""What is attached under /kaggle/input: folders, found by a file that only they hold, wherever they are mounted.

In:  the root. Out: folders. Kaggle mounts a dataset at a path that changed over the years, and sometimes at two, one a link.
Standard library only. Not here: the challenges file (`arc.load`), what is done with a folder (`start`).
"""

import os
from pathlib import Path

CODE_MARK = Path("solution", "kaggle", "start.py")
WHEELS_MARK = Path("SHA256SUMS")
WEIGHTS_MARK = Path("manifest_entry.json")


def folders_with(root: Path, mark: Path, outside: Path | None = None) -> list[Path]:
    """Every folder at or under `root` that holds the file `mark`, in a fixed order, each once however many links lead to it.

    Hidden folders are not entered, nor is `outside`.
    """
    entered, found = {os.path.realpath(outside)} if outside else set(), []
    for folder, subfolders, _ in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in entered:
            subfolders.clear()
            continue
        entered.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if (Path(folder) / mark).is_file():
            found.append(Path(folder))
    return found
