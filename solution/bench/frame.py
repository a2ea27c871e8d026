"""The frame of a bench run: every stage in a process of its own, in a time box, one after the other.

In:  the stages asked for, seconds in all. Out: an outcome a stage, whatever happens to it. Light to import: no torch.
Time divides itself: fixed shares among the stages to come, so that what one leaves over goes to those after it.
Not here: what stages do, the command line (`__main__`).
"""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .context import Context, Result
from .files import CUT, FAILED, OK, PARTIAL, SKIPPED, Outcome

SHARES = {"ceilings": 0.06, "proof": 0.14, "train": 0.48, "score": 0.18, "speed": 0.08, "profile": 0.06}
OTHER_SHARE = 0.1
GRACE = 4.0
"""Seconds after the end of its box at which a stage is killed, and that the last one leaves for the summary."""
LEAST = 3.0
"""Seconds of a box below which a stage is not begun."""
SETUP = 45.0
"""Seconds that a training takes around its own time: imports, reading the pack, writing checkpoints."""
POLL = 0.2
HARMLESS = {"PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "MPLBACKEND": "Agg"}


def train_box(train: tuple[tuple[str, float], ...]) -> float:
    """Seconds that trainings of given lengths need, what is around them included."""
    return sum(seconds + SETUP for _, seconds in train)


def time_box(stage: str, later: list[str], left: float, train: tuple[tuple[str, float], ...]) -> float:
    """Seconds for `stage` where `left` are left for it and those `later`: trainings whose length is given (`train`) get what they
    need, the others their share of the rest."""
    fixed = train_box(train) if train and "train" in (stage, *later) else 0.0
    if fixed and stage == "train":
        return min(fixed, left)
    shared = [name for name in later if not (fixed and name == "train")]
    share = SHARES.get(stage, OTHER_SHARE)
    return max(0.0, left - fixed) * share / (share + sum(SHARES.get(name, OTHER_SHARE) for name in shared))


def run_boxed(
    stage: str, box: float, command: list[str], out: Path, between: Callable[[], None] = lambda: None
) -> Outcome:
    """Run a stage's command until it ends, or is killed with its children at the end of its box; its outcome, written.

    What it prints goes to OUT/STAGE.log. `between` is called now and then while it runs.
    """
    Outcome(stage, box=box).write(out)
    begin = time.monotonic()
    with open(out / f"{stage}.log", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                   env=HARMLESS | os.environ)  # fmt: skip
        try:
            while process.poll() is None and time.monotonic() - begin < box + GRACE:
                time.sleep(POLL)
                between()
        finally:
            killed = process.poll() is None
            kill_all(process.pid)
            process.wait()
    last = replace(Outcome.read(out, stage), seconds=time.monotonic() - begin, box=box)
    if killed:
        nothing = "" if last.result.lines else ", nothing measured"
        last = replace(last, state=CUT, fault=f"killed at the end of its {box:.0f} s{nothing}")
    elif last.state == PARTIAL:
        how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
        last = replace(last, state=FAILED, fault=f"ended by {how} without a result: see {stage}.log")
    last.write(out)
    return last


def skipped(stage: str, box: float, out: Path) -> Outcome:
    outcome = Outcome(stage, SKIPPED, box=box, fault="no time left for it")
    outcome.write(out)
    return outcome


def run_stage(stage: str, module: str, context: Context, box: float, begin: float) -> int:
    """In the stage's own process: run it, write what it notes and what came of it; the exit code.

    `begin`: when the process started, on the monotonic clock.
    """
    noted = Result()

    def outcome(state: str, fault: str = "") -> Outcome:
        return Outcome(stage, state, time.monotonic() - begin, box, fault, noted)

    def note(result: Result) -> None:
        nonlocal noted
        noted = result
        outcome(PARTIAL).write(context.out)

    try:
        noted = importlib.import_module(module).run(context, note)
        outcome(OK).write(context.out)
    except Exception as error:
        traceback.print_exc()
        told = " ".join(str(error).split())[:300]
        outcome(FAILED, f"{type(error).__name__}: {told}" if told else type(error).__name__).write(context.out)
    sys.stdout.flush()
    return 0


def kill_all(pid: int) -> None:
    """Kill a process, its session, and descendants that left it; returns at once where none is left."""
    for one in [pid, *descendants(pid)]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Processes below `pid`, from /proc; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parent = int(entry.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
