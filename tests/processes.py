"""Other processes, as tests watch them: by what happens and by CPU time, for no test may depend on how fast or how busy the
machine is. In: process numbers. Out: when something happened, what it took. Not here: `submission.py` (`test_driver`)."""

import os
import time
from collections.abc import Callable
from pathlib import Path

HANGS = 3600
"""Seconds after which something is taken to hang."""


def wait_until(has_happened: Callable[[], bool]) -> None:
    """Until something has happened, however long that takes here. Raises `TimeoutError` where it never does."""
    deadline = time.monotonic() + HANGS
    while not has_happened():
        if time.monotonic() > deadline:
            raise TimeoutError("it never happened")
        time.sleep(0.01)


def fields(pid: int) -> list[str]:
    """Of /proc/PID/stat, from the state on, the third. Raises `OSError` where there is no such process."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def is_running(pid: int) -> bool:
    try:
        return fields(pid)[0] != "Z"
    except OSError:
        return False


def processes_of(session: int) -> list[int]:
    """The processes of a session that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            of = fields(int(stat.parent.name))
        except OSError:
            continue
        if int(of[3]) == session and of[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def cpu_seconds(pid: int, ended_children: bool = False) -> float:
    """What a process has taken so far, or those of its children that have ended."""
    start = 13 if ended_children else 11
    return sum(map(int, fields(pid)[start : start + 2])) / os.sysconf("SC_CLK_TCK")
