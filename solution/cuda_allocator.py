"""The memory allocator of CUDA, told how to work before anything imports torch, which reads that only once.

In:  the environment. Out: the same, with segments that grow in place: batches of ever other lengths would else leave gaps that
nothing fits into. A value of the user's stays. Not here: how much memory is planned with (`models.memory`).
"""

import os
import platform
import re
import sys
from collections.abc import MutableMapping
from importlib.metadata import PackageNotFoundError, version

NAME, OLD_NAME = "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"
"""The variable that torch reads, and the one that it read before 2.10."""
SETTING = "expandable_segments:True"


def set_up_allocator(environment: MutableMapping[str, str] = os.environ) -> None:
    """Ask for expandable segments, for this process and those that it starts; not on Windows and its Linux, which have none."""
    if sys.platform != "linux" or "microsoft" in platform.release().lower() or {NAME, OLD_NAME} & set(environment):
        return
    try:
        major, minor = map(int, re.match(r"(\d+)\.(\d+)", version("torch")).groups())
    except PackageNotFoundError:  # what imports torch will say so
        return
    environment[NAME if (major, minor) >= (2, 10) else OLD_NAME] = SETTING
