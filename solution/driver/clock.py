"""The budget's clock: counts from process start, says how much of it the end needs, and ends the process if all else fails.

In:  a budget, what the steps of the end took so far. Out: seconds left, seconds to keep for the end.
Not here: how the time is spent (`schedule`), measuring the end (`summary`).
"""

import ctypes
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SESSION_SECONDS, SESSION_LEAVES = 12 * 3600.0, 11 * 3600.0 + 50 * 60.0
"""A Kaggle session, and the longest budget that ends within it: starting the notebook and storing its output count too."""
LONGEST_SECONDS = 366 * 24 * 3600.0
"""A longer time is taken to be a slip."""
MAX_AGE = 600.0
"""Seconds that may lie between the start of the process and the making of its clock."""
STARTED = "ARC_STARTED"
"""Environment variable of a process that started itself again: when it first began, on the monotonic clock."""
WATCHDOG_SECONDS = 0.5
"""How long before the end of the budget the watchdog ends the process: its threads take up to 0.4 s to go where other work is
on the cores."""
TIMER_LATER = 0.1
"""Seconds after the watchdog's thread at which the C library's timer ends the process, where that thread could not."""
SIGEV_THREAD = 2
"""Of glibc's <bits/sigevent-consts.h>: notify by calling a function in a new thread."""
MARGIN_SHARE, MARGIN_LEAST, MARGIN_SECONDS, LONG_SHARE = 0.01, 0.05, 2.0, 0.001
"""The margin is the first share of a short budget, but the first seconds more than the watchdog's; of a long budget it is the
other seconds and the last share: 43 s of 11h30m."""
REPORT_SHARE = 0.0075
"""The most of the budget that is kept for the report; where that does not do, not all tasks are drawn."""
MOST_KEPT = 0.2
"""The most of the budget that is kept for the end, whatever that takes."""


def margin_seconds(budget: float) -> float:
    """Seconds of the budget that nothing is planned for, the watchdog's among them."""
    return min(max(MARGIN_SHARE * budget, WATCHDOG_SECONDS + MARGIN_LEAST), MARGIN_SECONDS + LONG_SHARE * budget)


@dataclass(frozen=True)
class Closing:
    """What each step of a run's end takes, in seconds: writing the submission, summary with score, the report."""

    write: float
    summary: float
    report: float

    @classmethod
    def foretold(cls, num_tasks: int) -> "Closing":
        """Before anything was measured: what 400 tasks took here on a busy CPU core, after a short run."""
        return cls(write=0.0003 * num_tasks, summary=0.1, report=0.1 + 0.001 * num_tasks)

    def reserve(self, budget: float) -> float:
        """Seconds to keep for the end, its margin included: no jobs run in them."""
        report = min(self.report, REPORT_SHARE * budget)
        return min(MOST_KEPT * budget, margin_seconds(budget) + self.write + self.summary + report)


class Clock:
    """Seconds since process start, and seconds left of `budget` (seconds). `told`: the signal that told this process to end."""

    def __init__(self, budget: float):
        self.budget = budget
        begun = os.environ.get(STARTED)
        self.start = float(begun) if begun else time.monotonic() - _process_age()
        self.works = False
        self.told: int | None = None

    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def left(self) -> float:
        return self.budget - self.elapsed()

    def listen(self) -> None:
        """From now on SIGTERM and Ctrl-C end the process with exit code 128 + the signal's number: at once while nothing is done
        yet, in order once the run `works`; a second one at once in any case."""
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._be_told)

    def _be_told(self, number: int, _) -> None:
        if self.works and self.told is None:
            self.told = number
            return
        text = f"{signal.Signals(number).name}: ended, the submission stands as it was written last\n"
        os.write(2, text.encode())
        os._exit(128 + number)

    def watch(self, last: Callable[[], None] = lambda: None) -> None:
        """Start the watchdog: shortly before the budget ends it exits with code 0, whatever the process is doing.

        The submission file is complete at every moment, so ending hard loses nothing that was answered. `last` is called a
        little before.
        """

        def wait():
            time.sleep(max(0.0, self.left() - WATCHDOG_SECONDS))
            os._exit(0)

        def do_last():
            time.sleep(max(0.0, self.left() - 2 * WATCHDOG_SECONDS))
            last()

        def warn():
            time.sleep(max(0.0, self.left() - 2 * WATCHDOG_SECONDS))
            print(f"budget of {format_seconds(self.budget)} is over: stopping as things stand", file=sys.stderr, flush=True)

        for job in (wait, do_last, warn):  # apart, so that a blocked or broken terminal cannot keep the process alive
            threading.Thread(target=job, name="watchdog", daemon=True).start()
        exit_in(max(0.001, self.left() - WATCHDOG_SECONDS + TIMER_LATER))


class _Event(ctypes.Structure):
    """glibc's `struct sigevent`, 64 bytes: the value for the function, signal, how to notify, function, attributes."""

    _fields_ = [
        ("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("notify", ctypes.c_int), ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p), ("padding", ctypes.c_char * 32),
    ]  # fmt: skip


class _TimerSpec(ctypes.Structure):
    """`struct itimerspec`: interval and first expiry, seconds and nanoseconds each."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")]


def exit_in(seconds: float) -> bool:
    """End this process with code 0 after so many seconds by a timer of the C library, which calls `_exit` in a thread of its own:
    a thread of Python's waits for the interpreter's lock, and an import or a long operation can hold that. False where there is
    no such timer (not Linux on 64 bits, or another C library): then the watchdog's thread has to do."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        function = ctypes.cast(libc._exit, ctypes.c_void_p).value
        event = _Event(None, 0, SIGEV_THREAD, function, None)
        timer, spec = ctypes.c_void_p(), _TimerSpec(0, 0, int(seconds), int(seconds % 1 * 1e9))
        if libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)):
            return False
        return not libc.timer_settime(timer, 0, ctypes.byref(spec), None)
    except (AttributeError, OSError):
        return False


def _process_age() -> float:
    """Seconds since this process was started, from /proc; 0 where that gives none that can be."""
    try:
        ticks = float(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        age = float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0
    # In a container the uptime can be its own and the start time the host's: what cannot be is not believed.
    return age if 0 <= age < MAX_AGE else 0.0


def parse_duration(text: str) -> float:
    """Seconds of "11h30m", "15m", "90s", "1h" or a plain number of seconds. Raises `ValueError` for anything else, and for more
    than a year."""
    part = r"([0-9]+(?:\.[0-9]+)?)"
    match = re.fullmatch(rf"(?:{part}h)?(?:{part}m)?(?:{part}s)?|{part}", text.strip())
    if not text.strip() or match is None:
        raise ValueError(f"{text!r} is not a duration such as 11h30m, 15m or 90s")
    hours, minutes, seconds, alone = (float(part or 0) for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds + alone
    if total <= 0:
        raise ValueError(f"{text!r} is not a positive duration")
    if total > LONGEST_SECONDS:
        raise ValueError(f"{text[:40]!r} is longer than a year")
    return total


def format_seconds(seconds: float) -> str:
    """Seconds as a person reads them: 8.3s, 14m05s, 11h30m."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    if seconds < 3600:
        return f"{int(seconds // 60)}m{int(seconds % 60):02d}s"
    return f"{int(seconds // 3600)}h{int(seconds % 3600 // 60):02d}m"
