"""A worker: one thread, one device, one job at a time.

In:  jobs from the main thread's queue. Out: results to the main thread's queue, failures among them.
Nothing that a job does reaches another: an exception, out-of-memory or NaNs become a failed record with one line.
"""

import gc
import logging
import queue
import threading
import time
from dataclasses import dataclass

import torch

from ..schedule.job import Job, Record
from .health import is_lost
from .journal import Result
from .solve import Solver

log = logging.getLogger("solution")


@dataclass(frozen=True)
class Assignment:
    """A job and its limits on the monotonic clock: when training has to stop, and when decoding has to."""

    job: Job
    train_until: float
    until: float


class Worker:
    """Runs `solve` on assignments until it is given None. `threads`: CPU threads its operations use."""

    def __init__(self, device: str, solve: Solver, results: queue.Queue, threads: int):
        self.device, self._solve, self._results, self._threads = device, solve, results, threads
        self.assignments: queue.Queue[Assignment | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name=f"worker {device}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        torch.set_num_threads(self._threads)  # per thread under OpenMP
        while (assignment := self.assignments.get()) is not None:
            result = self._do(assignment)
            if not result.record.ok and not result.lost:
                result.lost = not self._clear()
            self._results.put((self, result))

    def _do(self, assignment: Assignment) -> Result:
        start = time.monotonic()
        try:
            if self.device.startswith("cuda"):
                torch.cuda.set_device(self.device)
            train_seconds = max(assignment.train_until - start, 1e-9)
            return self._solve(
                assignment.job,
                lambda: (time.monotonic() - start) / train_seconds,
                lambda: time.monotonic() > assignment.until,
            )
        except BaseException as error:  # whatever it is, it stays inside this job
            log.debug("job %s failed", assignment.job, exc_info=True)
            seconds = time.monotonic() - start
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            return Result(Record(assignment.job, self.device, seconds, ok=False), error=reason, lost=is_lost(error))

    def _clear(self) -> bool:
        """Give back what the failed job held, now that its exception is gone; False where the device does not answer."""
        gc.collect()
        try:
            if self.device.startswith("cuda"):
                torch.cuda.empty_cache()
        except RuntimeError:
            log.debug("%s", self.device, exc_info=True)
            return False
        return True

    def interrupt(self) -> bool:
        """End the search in flight, which then fails; False where there is none: other work cannot be ended from outside."""
        interrupt = getattr(self._solve, "interrupt", None)
        return interrupt is not None and interrupt()

    def stop(self) -> None:
        """Let the thread end after the job in flight."""
        self.assignments.put(None)

    def join(self, seconds: float) -> bool:
        """Wait for the thread to end; False where it has not within `seconds`."""
        self._thread.join(seconds)
        return not self._thread.is_alive()
