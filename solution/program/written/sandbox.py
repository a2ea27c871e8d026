"""Programs that nobody has read, run where they can do no harm: no file, no network, no process, little memory, little time.

In:  Python source that defines `transform(grid)`, input grids (an int64 array each). Out: the grids it gives, or the fault.
A program runs in a process of its own behind a system-call filter (`jail`, `seccomp`), preloaded with numpy, what scipy has
for images, and the harmless part of the standard library. What comes back is read as bytes that may be anything. It can claim
any grid that it could also have returned, and no more: the outputs that it has to match are never sent there.
Needs Linux on x86-64 or aarch64; where the filter does not hold, nothing is run at all. Not here: who wrote the programs and
what is made of the grids (`written`).
"""

import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ...arc.task import MAX_SIDE, NUM_COLOURS, Grid, frozen
from ...models.manifest import PROJECT
from . import jail
from .jail import DIED, ENDED, FAILED, GRID, NO_GRID, NO_PROGRAM, REPLY, REQUEST, TOO_LONG, TOO_SLOW, pack_grids

START_SECONDS, GRACE = 60.0, 5.0
"""Seconds that the preloading may take, and those beyond a program's time after which the sandbox itself is given up."""
MOST_SOURCE = 2**20
"""Characters of a program."""
FAULTS = {TOO_SLOW: "took too long", TOO_LONG: "wrote too much", DIED: "died"}
WORDS = {FAILED: "raised an exception", NO_GRID: "gave no grid", NO_PROGRAM: "has no transform that can be called"}
PROBE = """
import ctypes, os
libc = ctypes.CDLL(None)
def denied(action):
    try:
        return action() == -1
    except OSError:
        return True
def transform(grid):
    return [[denied(action) for action in (
        lambda: os.open("/", 0), lambda: os.listdir("/"), lambda: libc.socket(2, 1, 0), os.fork, os.pipe,
        lambda: os.write(1, b"x"), lambda: os.kill(os.getppid(), 0), lambda: os.execv("/bin/true", ["true"]),
    )]]
"""
"""Tries what no program may; a 1 for each that was denied."""


class SandboxError(RuntimeError):
    """Untrusted programs cannot be run safely here; the message is one line."""


@dataclass(frozen=True)
class Limits:
    """Of one program on all of its inputs: CPU seconds, which do not depend on what else runs, and bytes of memory beyond the
    libraries'. The wall clock ends it too, later (`jail.WALL`)."""

    seconds: float = 2.0
    memory: int = 512 * 2**20


@dataclass(frozen=True)
class Run:
    """`grids`: the outputs, one an input; empty where there is a `fault`, which says why in words."""

    grids: tuple[Grid, ...] = ()
    fault: str | None = None


class Sandbox:
    """Runs programs one after the other; a program that hangs, dies or lies costs only itself. `close` ends it."""

    def __init__(self, limits: Limits | None = None, libraries: Mapping[str, str] | None = None):
        """`libraries`: sources of modules, by name, that programs may import; they run locked in as well.

        Raises `SandboxError` where programs cannot be locked in on this machine: shown by trying, with a known program."""
        self.limits, self.libraries = limits or Limits(), libraries or {}
        self._server: subprocess.Popen | None = None
        self._start()
        run = self._ask(PROBE.encode(), (np.zeros((1, 1), np.uint8),), START_SECONDS)
        if run.fault or not run.grids[0].all():
            self.close()
            raise SandboxError(f"programs cannot be locked in on this machine ({run.fault or 'the filter does not hold'})")

    def run(self, source: str, inputs: Sequence[Grid]) -> Run:
        """The program on every input."""
        if len(source) > MOST_SOURCE or "\0" in source:
            return Run(fault="is no source text")
        parts = [part for name, text in self.libraries.items() if name in source for part in (name, text)]
        text = "\0".join([*parts, source]).encode("utf-8", "replace")
        if self._server is None:
            self._start()
        return self._ask(text, inputs, jail.WALL * self.limits.seconds + jail.WALL_SECONDS + GRACE)

    def _ask(self, source: bytes, inputs: Sequence[Grid], seconds: float) -> Run:
        until = time.monotonic() + seconds
        try:
            grids = pack_grids(inputs)
            header = REQUEST.pack(self.limits.seconds, self.limits.memory, len(source), len(grids))
            self._server.stdin.write(header + source + grids)
            self._server.stdin.flush()
            end, size = REPLY.unpack(self._read(REPLY.size, until))
            words = self._read(size, until)
        except (OSError, EOFError, struct.error):
            self.close()  # the next program gets a new one
            return Run(fault="ended the sandbox")
        if end != ENDED:
            return Run(fault=FAULTS.get(end, "could not be locked in"))
        return read_words(words, len(inputs))

    def _read(self, size: int, until: float) -> bytes:
        found, pipe = b"", self._server.stdout.fileno()
        while len(found) < size:
            if not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
                raise OSError("no answer")
            more = os.read(pipe, size - len(found))
            if not more:
                raise EOFError
            found += more
        return found

    def _start(self) -> None:
        """A server with nothing of ours but the places of modules, which it forgets, and a fixed order of sets."""
        environment = {"PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path), "PYTHONHASHSEED": "0"}
        self._server = subprocess.Popen(
            [sys.executable, "-sB", "-m", "solution.program.written.jail"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=environment, cwd=PROJECT, close_fds=True, start_new_session=True, bufsize=-1,
        )  # fmt: skip

    def close(self) -> None:
        """End the server, and with it whatever runs in it."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            for pipe in (self._server.stdin, self._server.stdout):
                with suppress(OSError):  # what was not sent is not wanted
                    pipe.close()
            self._server = None


def read_words(words: bytes, expected: int) -> Run:
    """What a child claims, read as bytes that may be anything: as many grids as expected and nothing else, or a fault."""
    grids, place = [], 0
    while place < len(words):
        word = words[place]
        if word != GRID:
            return Run(fault=WORDS.get(word, "wrote nonsense"))
        if place + 3 > len(words):
            return Run(fault="wrote nonsense")
        height, width = words[place + 1], words[place + 2]
        cells = np.frombuffer(words[place + 3 : place + 3 + height * width], np.uint8)
        whole = 0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE and len(cells) == height * width
        if not whole or cells.max() >= NUM_COLOURS:
            return Run(fault="wrote nonsense")
        grids.append(frozen(cells.reshape(height, width)))
        place += 3 + height * width
    if len(grids) > expected:
        return Run(fault="wrote nonsense")
    return Run(tuple(grids)) if len(grids) == expected else Run(fault="ended too early")
