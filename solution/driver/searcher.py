"""Program search in a process of its own, so that it shares neither the interpreter lock nor a crash with the devices' threads.

In:  "program" and "written" jobs. Out: `Result`s whose candidates are the outputs of programs that fit every demonstration.
Not here: the search (`program.solve`), programs that an author writes (`program.written`), which tasks (`schedule`).
"""

import logging
import math
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable

from ..arc.task import Task
from ..arc.view import View
from ..decode.candidate import Candidate
from ..preset import Preset
from ..program.confidence import confidences
from ..program.settings import VOCABULARY, WrittenConfig
from ..schedule.job import Job, Record
from ..select.experts import ATTEMPTS
from .journal import Result

MOST_ANSWERS = 4
"""Different answers of programs that a test input gets as candidates."""
SURE = 0.6
"""A task counts as explained where the best answer to each of its test inputs is at least so likely right."""
DAMAGED_CACHE = ("UnpicklingError", "EOFError")
"""How the errors begin of a search that cannot read the compiled loops on disk; the next process compiles them anew elsewhere."""
GRACE = 5.0
"""Seconds after its time at which a search that does not answer is killed."""
log = logging.getLogger("solution")


class Searcher:
    """Does "program" and "written" jobs, one at a time, in a child process that is started with the first one."""

    def __init__(self, device: str, tasks: dict[str, Task], preset: Preset, seed: int = 0):
        self.device, self.tasks, self.preset, self.seed = device, tasks, preset, seed
        self._child = self._pipe = None
        self._searching = False

    def __call__(self, job: Job, train_time_used: Callable[[], float], out_of_time: Callable[[], bool]) -> Result:
        """Search for programs. Raises `TimeoutError` where the search does not end, `RuntimeError` where its process dies."""
        start = time.monotonic()
        (name,) = job.tasks
        if self._child is None or not self._child.is_alive():
            self._start()
        self._stop.value = 0
        searched = job.stage == "program"
        how = self.preset.program.tries[job.first_view] if searched else (self.preset.written, self.seed)
        try:
            self._searching = True
            self._pipe.send((job.stage, self.tasks[name], how))
            self._wait(out_of_time)
            found = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            self.close()
            raise RuntimeError("the search process died") from error
        finally:
            self._searching = False
        if isinstance(found, Exception):
            if str(found).startswith(DAMAGED_CACHE):
                self.close()
                os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="arc-loops-")
            raise found
        tests, cut, counts, fault = found
        if fault:
            log.error("%s: no programs are written: %s", self.device, fault)
        sure = [confidences([cost for _, cost in test]) for test in tests]
        candidates = [
            [Candidate(grid, View(), math.log(chance), "program") for (grid, _), chance in zip(test, chances)]
            for test, chances in zip(tests, sure)
        ]
        explained = all(chances and chances[0] >= SURE for chances in sure)
        seconds = round(time.monotonic() - start, 4)
        # That one of two attempts is right, of the least sure test input.
        confidence = min(1.0, *(sum(chances[:ATTEMPTS]) for chances in sure)) if all(sure) else None
        record = Record(job, self.device, seconds, cut=cut, explained=explained, confidence=confidence)
        return Result(record, {name: candidates}, tokens=counts)

    def _wait(self, out_of_time: Callable[[], bool]) -> None:
        """Until there is an answer; told to end when the time is over, and killed where it does not."""
        cut_at = None
        while not self._pipe.poll(0.05):
            if cut_at is None and out_of_time():
                cut_at = time.monotonic()
                self._stop.value = 1
            if cut_at is not None and time.monotonic() > cut_at + GRACE:
                self.close()
                raise TimeoutError("the search did not end when told to")

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._stop = context.RawValue("b", 0)  # an Event would need to be taken down in order at the end
        self._child = context.Process(target=serve, args=(theirs, self._stop), daemon=True)
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"  # read when the child imports numpy, before any code of ours runs there
        self._child.start()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
        theirs.close()

    def interrupt(self) -> bool:
        """End the child process from another thread, so that the job in flight fails; False where there is none."""
        child = self._child
        if not self._searching or child is None:
            return False
        child.kill()
        return True

    def close(self) -> None:
        """End the child process."""
        if self._child is not None:
            self._child.kill()
            self._child.join(1.0)
            self._pipe.close()
            self._child = None


def serve(pipe, stop) -> None:
    """The child: answers (stage, task, tries or configuration and seed) with answers and costs a test input, whether it was cut,
    counts for the summary, and a fault that is to be told once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of the terminal: the parent ends this one
    parent, writer = os.getppid(), Writer()

    def out_of_time() -> bool:
        return bool(stop.value) or os.getppid() != parent

    while True:
        try:
            stage, task, how = pipe.recv()
        except EOFError:  # the parent is gone
            return
        try:
            pipe.send(search(task, how, out_of_time) if stage == "program" else writer.write(task, *how, out_of_time))
        except Exception as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


def search(task: Task, tries: int, out_of_time: Callable[[], bool]) -> tuple:
    """What the child answers to a "program" job."""
    from ..program.solve import solve

    solution = solve(task, tries, out_of_time)
    tests = [solution.ranked_answers(test)[:MOST_ANSWERS] for test in range(len(task.test))]
    return tests, solution.cut, {"behaviours": solution.nodes}, None


class Writer:
    """The child's author and sandbox, made with the first "written" job and kept."""

    def __init__(self):
        self._author = self._sandbox = self._fault = None

    def write(self, task: Task, config: WrittenConfig, seed: int, out_of_time: Callable[[], bool]) -> tuple:
        """What the child answers to a "written" job; nothing is found where author or sandbox cannot be had."""
        from ..program.written.author import AuthorError
        from ..program.written.sandbox import SandboxError
        from ..program.written.solve import solve_by_writing

        fault = None
        if self._sandbox is None and self._fault is None:
            try:
                self._prepare(config)
            except (AuthorError, SandboxError) as error:
                self._fault = fault = str(error)
        if self._fault:
            return [[] for _ in task.test], False, {"programs": 0}, fault
        found = solve_by_writing(task, self._author, self._sandbox, config.samples, seed, out_of_time)
        return [test[:MOST_ANSWERS] for test in found.answers], found.cut, {"programs": found.programs}, None

    def _prepare(self, config: WrittenConfig) -> None:
        from ..program.written.author import libraries_of
        from ..program.written.sandbox import Limits, Sandbox

        self._author = make_author(config)
        self._sandbox = Sandbox(Limits(config.seconds, config.memory), libraries_of(config.author))


def make_author(config: WrittenConfig):
    """The author that the configuration names. Raises `AuthorError`."""
    if config.author == VOCABULARY:
        from ..program.operations import OPERATIONS
        from ..program.written.rendered import VocabularyAuthor

        return VocabularyAuthor(OPERATIONS)
    from ..program.written.author import LlamaAuthor

    return LlamaAuthor(config)
