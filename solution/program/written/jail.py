"""The inside of the sandbox: a server that forks a child for every program, and the child, which locks itself in and runs it.

A process of its own, started by `sandbox` as `python -m solution.program.written.jail`, with an environment that holds nothing.
In:  on stdin, requests: a program's source, input grids and limits. Out: on stdout, one reply each: how the child ended, and
the bytes that it wrote. The server never looks into what a child wrote, nor does it hold anything worth knowing: no expected
output ever comes here. Libraries are imported once, before the first fork; a child can import nothing further.
Not here: what is made of the bytes (`sandbox`), which system calls are left (`seccomp`).
"""

import gc
import importlib
import os
import random
import resource
import select
import signal
import struct
import sys
import time
from contextlib import suppress
from types import ModuleType

from . import seccomp

REQUEST = struct.Struct("<dQII")
"""CPU seconds, bytes of memory, bytes of source, bytes of grids; source and grids follow. The source is a program, before it
names and sources of modules that it imports, all with a zero byte between."""
REPLY = struct.Struct("<BI")
"""How the child ended (`ENDED`, ...), bytes that follow."""
ENDED, TOO_SLOW, TOO_LONG, DIED, UNPROTECTED = range(5)
GRID, FAILED, NO_GRID, NO_PROGRAM = range(4)
"""What the child says of each input, in a byte: a grid follows; an exception; what came back is no grid; nothing to call."""
WALL, WALL_SECONDS = 3.0, 1.0
"""The wall clock that a child has, in its CPU seconds and beyond: for one that waits, and for a machine that does other work."""
RESULTS = 3
"""The descriptor that a child may write to, its only one."""
UNPROTECTED_STATUS = 99
"""Exit status of a child that could not lock itself in, and so ran nothing."""
MODULES = (
    "math", "cmath", "collections", "itertools", "functools", "operator", "random", "re", "copy", "heapq", "bisect", "string",
    "typing", "types", "dataclasses", "enum", "abc", "statistics", "fractions", "decimal", "numbers", "time", "json",
    "contextlib", "warnings", "ctypes", "numpy", "numpy.linalg", "numpy.random", "numpy.fft", "numpy.ma", "numpy.polynomial",
)  # fmt: skip
IF_INSTALLED = ("scipy.ndimage",)
NOBODY = 65534
PR_SET_PDEATHSIG = 1


class Silence:
    """A text file that forgets what is written."""

    def write(self, text):
        return len(text)

    def flush(self):
        pass


def pack_grids(grids) -> bytes:
    """Height, width and cells of each, a byte each."""
    return b"".join(bytes(grid.shape) + grid.tobytes() for grid in grids)


def unpack_grids(data: bytes) -> list:
    """The grids as the programs get them: int64 arrays of their own."""
    import numpy as np

    grids, place = [], 0
    while place < len(data):
        height, width = data[place], data[place + 1]
        cells = np.frombuffer(data, np.uint8, height * width, place + 2)
        grids.append(cells.reshape(height, width).astype(np.int64))
        place += 2 + height * width
    return grids


def packed_result(value) -> bytes:
    """The child's word on one result: the grid, where it is one."""
    import numpy as np

    grid = np.asarray(value)
    if grid.ndim != 2 or not 0 < max(grid.shape) <= 30 or not grid.size or grid.dtype.kind not in "biuf":
        return bytes([NO_GRID])
    cells = grid.astype(np.uint8)
    return bytes([GRID, *grid.shape]) + cells.tobytes() if (cells == grid).all() and (cells < 10).all() else bytes([NO_GRID])


def define(name: str, source: bytes) -> ModuleType:
    """Run a source as a module that can be imported; dataclasses look for theirs too."""
    module = sys.modules[name] = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def run_program(source: bytes, inputs: list) -> bytes:
    """What `transform` of the source gives for each input, up to the first fault."""
    words = []
    try:
        *modules, program = source.split(b"\0")
        for name, text in zip(modules[::2], modules[1::2]):
            define(name.decode(), text)
        transform = define("program", program).transform
    except BaseException:
        return bytes([NO_PROGRAM])
    for grid in inputs:
        try:
            words.append(packed_result(transform(grid)))
        except BaseException:
            words.append(bytes([FAILED]))
        if words[-1][0] != GRID:
            break
    return b"".join(words)


def lock_in(results: int, seconds: float, memory: int) -> None:
    """Give up everything: descriptors but one, further memory, time, files, and all system calls that are not needed."""
    os.dup2(results, RESULTS)
    for descriptor in range(RESULTS):
        os.close(descriptor)
    os.closerange(RESULTS + 1, os.sysconf("SC_OPEN_MAX"))
    signal.setitimer(signal.ITIMER_PROF, seconds)  # of its CPU time; then SIGPROF ends it
    cpu = int(seconds) + 2
    for limit, value in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_NOFILE, 0), (resource.RLIMIT_MEMLOCK, 0), (resource.RLIMIT_MSGQUEUE, 0),
    ):  # fmt: skip
        resource.setrlimit(limit, (value, value))
    seccomp.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    seccomp.install(RESULTS)


def child(source: bytes, grids: bytes, results: int, seconds: float, memory: int) -> None:
    """Lock in, run, tell; never returns."""
    status = UNPROTECTED_STATUS
    try:
        inputs = unpack_grids(grids)
        random.seed(0)  # a fork seeds it anew
        sys.modules["numpy"].random.seed(0)
        lock_in(results, seconds, memory)
        status = 1
        words = run_program(source, inputs)
        while words:
            words = words[os.write(RESULTS, words) :]
        status = 0
    finally:
        os._exit(status)


def supervise(pid: int, results: int, seconds: float, most: int) -> tuple[int, bytes]:
    """How a child ended and what it wrote; ended it is when this returns, whatever it does."""
    end, words, size, until = None, [], 0, time.monotonic() + WALL * seconds + WALL_SECONDS
    while end is None:
        left = until - time.monotonic()
        if left <= 0:
            end = TOO_SLOW
        elif select.select([results], [], [], left)[0]:
            words.append(os.read(results, 65536))
            size += len(words[-1])
            if size > most:
                end = TOO_LONG
            elif not words[-1]:  # it cannot close the descriptor: it is gone
                end = ENDED
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if end == ENDED and status:
        end = {UNPROTECTED_STATUS: UNPROTECTED, -signal.SIGPROF: TOO_SLOW, -signal.SIGXCPU: TOO_SLOW}.get(status, DIED)
    return end, b"".join(words) if end == ENDED else b""


def serve() -> None:
    """Answer requests until stdin ends."""
    base = resource.getpagesize() * int(open("/proc/self/statm").read().split()[0])  # of address space, libraries and all
    drop_privileges()
    gc.collect()
    gc.freeze()  # children look through no object of ours, so that its page stays shared
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    sys.stdin, sys.stdout, sys.stderr = Silence(), Silence(), Silence()
    while len(header := requests.read(REQUEST.size)) == REQUEST.size:
        seconds, memory, source_bytes, grid_bytes = REQUEST.unpack(header)
        source, grids = requests.read(source_bytes), requests.read(grid_bytes)
        if len(grids) != grid_bytes:
            break
        read_end, write_end = os.pipe()
        pid = os.fork()
        if not pid:
            child(source, grids, write_end, seconds, base + memory)
        os.close(write_end)
        most = 1024 * (1 + grids_at_most(grid_bytes))
        end, words = supervise(pid, read_end, seconds, most)
        os.close(read_end)
        replies.write(REPLY.pack(end, len(words)) + words)
        replies.flush()


def grids_at_most(size: int) -> int:
    """How many grids so many bytes can hold."""
    return size // 3


def drop_privileges() -> None:
    """Be nobody, where this is root, and the first to be ended where memory runs out."""
    with suppress(OSError):
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    if os.geteuid() == 0:
        with suppress(OSError):  # a root without the right to: the filter is the wall, this is a second one
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)


def preload() -> None:
    """Import what programs may use, on one thread; then forget where modules and environment are."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    for name in MODULES:
        importlib.import_module(name)
    for name in IF_INSTALLED:
        with suppress(ImportError):
            importlib.import_module(name)
    sys.path.clear()
    sys.argv.clear()
    os.environ.clear()


if __name__ == "__main__":
    preload()
    serve()
