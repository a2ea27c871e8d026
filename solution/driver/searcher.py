"""Program search in a process of its own, so that it shares neither the interpreter lock nor a crash with the devices' threads.

In:  "program" jobs. Out: `Result`s whose candidates are the outputs of programs that fit every demonstration.
Not here: the search (`program.solve`), which tasks (`schedule`).
"""

import multiprocessing
import os
import time
from collections.abc import Callable

from ..arc.task import Task
from ..arc.view import View
from ..decode.candidate import Candidate
from ..preset import Preset
from ..schedule.job import Job, Record
from .journal import Result

MOST_ANSWERS = 4
"""Different answers of programs that a test input gets as candidates."""
GRACE = 5.0
"""Seconds after its time at which a search that does not answer is killed."""


class Searcher:
    """Does "program" jobs, one at a time, in a child process that is started with the first one."""

    def __init__(self, device: str, tasks: dict[str, Task], preset: Preset):
        self.device, self.tasks, self.preset = device, tasks, preset
        self._child = self._pipe = None

    def __call__(self, job: Job, train_time_used: Callable[[], float], out_of_time: Callable[[], bool]) -> Result:
        """Search for programs. Raises `TimeoutError` where the search does not end, `RuntimeError` where its process dies."""
        start = time.monotonic()
        (name,) = job.tasks
        if self._child is None or not self._child.is_alive():
            self._start()
        self._stop.clear()
        try:
            self._pipe.send((self.tasks[name], self.preset.program.tries[job.first_view]))
            self._wait(out_of_time)
            found = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            self.close()
            raise RuntimeError("the search process died") from error
        if isinstance(found, Exception):
            raise found
        tests, cut, nodes = found
        candidates = [[Candidate(grid, View(), -cost, "program") for grid, cost in test] for test in tests]
        seconds = round(time.monotonic() - start, 4)
        record = Record(job, self.device, seconds, cut=cut, explained=any(candidates))
        return Result(record, {name: candidates}, tokens={"behaviours": nodes})

    def _wait(self, out_of_time: Callable[[], bool]) -> None:
        """Until there is an answer; told to end when the time is over, and killed where it does not."""
        cut_at = None
        while not self._pipe.poll(0.05):
            if cut_at is None and out_of_time():
                cut_at = time.monotonic()
                self._stop.set()
            if cut_at is not None and time.monotonic() > cut_at + GRACE:
                self.close()
                raise TimeoutError("the search did not end when told to")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._stop = context.Event()
        self._child = context.Process(target=serve, args=(theirs, self._stop), daemon=True)
        self._child.start()
        theirs.close()

    def close(self) -> None:
        """End the child process."""
        if self._child is not None:
            self._child.kill()
            self._child = None


def serve(pipe, stop) -> None:
    """The child: answers (task, tries) with answers and costs a test input, whether it was cut, and behaviours seen."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from ..program.solve import solve

    parent = os.getppid()
    while True:
        try:
            task, tries = pipe.recv()
        except EOFError:  # the parent is gone
            return
        try:
            solution = solve(task, tries, lambda: stop.is_set() or os.getppid() != parent)
            tests = [solution.ranked_answers(test)[:MOST_ANSWERS] for test in range(len(task.test))]
            pipe.send((tests, solution.cut, solution.nodes))
        except Exception as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
