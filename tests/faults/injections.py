"""What is broken inside a forked run, by name: jobs, disks, limits, clocks, a kill at a chosen moment.

In:  an order's injections, before the run begins. Out: a patched process. Not here: forking (`warm`).
"""

import builtins
import errno
import io
import os
import resource
import signal
import sys
import time
from collections.abc import Callable

from .stand_in import answer

_done = []
"""The jobs done so far."""


def stand_in(pause: float = 0.0, hold: str | None = None) -> None:
    """Jobs are answered at once, after `pause` seconds; from the fourth on not while the file `hold` is there. Nothing waits for
    the disk: what is written outlives the process all the same."""
    from solution.driver.searcher import Searcher
    from solution.driver.solve import Solver

    def do(self, job, train_time_used, out_of_time):
        time.sleep(pause)
        while hold and len(_done) >= 3 and os.path.exists(hold):
            time.sleep(0.01)
        _done.append(job)
        return answer(self.device, self.tasks, job)

    Solver.__call__ = Searcher.__call__ = do
    os.fsync = lambda number: None


class _Full:
    """A file whose disk is full after half of the first text."""

    def __init__(self, file, fail: Callable[[], None]):
        self._file, self._fail = file, fail

    def write(self, text):
        try:
            self._fail()
        except OSError:
            self._file.write(text[: len(text) // 2])
            self._file.flush()
            raise
        return self._file.write(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __iter__(self):
        return iter(self._file)

    def __getattr__(self, name):
        return getattr(self._file, name)


def disk(writer: str, fault: str, at: str, after: int = 0) -> None:
    """Writing of files with `writer` in their path fails with errno `fault` when they are opened, written, synced or renamed
    (`at`), once `after` jobs are done; all others work."""
    number = getattr(errno, fault)

    def fail(path) -> None:
        if writer in os.fspath(path) and len(_done) >= after:
            raise OSError(number, os.strerror(number), os.fspath(path))

    if at in ("open", "write"):
        opened = io.open

        def open_(file, mode="r", *rest, **named):
            if isinstance(file, int) or not set(mode) & set("wax+") or writer not in os.fspath(file):
                return opened(file, mode, *rest, **named)
            if at == "open":
                fail(file)
                return opened(file, mode, *rest, **named)
            return _Full(opened(file, mode, *rest, **named), lambda: fail(file))

        io.open = builtins.open = open_
    elif at == "sync":
        synced = os.fsync

        def fsync(number):
            fail(os.readlink(f"/proc/self/fd/{number if isinstance(number, int) else number.fileno()}"))
            synced(number)

        os.fsync = fsync
    else:
        for name in ("replace", "rename"):
            setattr(os, name, _checked(getattr(os, name), fail))


def _checked(move: Callable, fail: Callable[[object], None]) -> Callable:
    def moved(source, target, *rest, **named):
        fail(target)
        move(source, target, *rest, **named)

    return moved


def limit(name: str, amount: int) -> None:
    """A limit of the process, by the kernel. Of its memory: so many bytes more than it has now."""
    if name == "RLIMIT_AS":
        with open("/proc/self/statm") as file:
            amount += int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(getattr(resource, name), (amount, amount))


def clock(jump: float, after: int) -> None:
    """The time of day jumps by so many seconds once `after` jobs are done."""
    before = time.time
    time.time = lambda: before() + (jump if len(_done) >= after else 0.0)


def kill(event: int, folder: str) -> None:
    """SIGKILL at the so-many-th event (opening, renaming, removing, cutting, syncing) on the files of `folder`."""
    seen = []

    def count(path) -> None:
        if folder in os.fspath(path):
            seen.append(1)
            if len(seen) == event:
                os.kill(os.getpid(), signal.SIGKILL)

    def audit(name, arguments):
        if name in ("open", "os.rename", "os.remove", "os.truncate", "os.mkdir") and isinstance(arguments[0], (str, os.PathLike)):
            count(arguments[0])

    synced = os.fsync

    def fsync(number):
        path = os.readlink(f"/proc/self/fd/{number}")
        count(path)  # written, perhaps not on the disk
        synced(number)
        count(path)

    os.fsync = fsync
    sys.addaudithook(audit)


INJECTIONS = {"stand_in": stand_in, "disk": disk, "limit": limit, "clock": clock, "kill": kill}
