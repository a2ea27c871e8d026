"""The run: jobs to workers, results to journal, board and submission, until the budget or the work is over.

In:  a `Setup` with everything loaded. Out: the submission file, the journal, an `Outcome` for the summary.
The main thread alone touches journal, board and files. Not here: which job comes next (`schedule.allocate`), what a job
does (`solve`).
"""

import logging
import queue
import time
from dataclasses import dataclass, field
from pathlib import Path

from ..arc.load import Challenges, Solutions
from ..arc.submission import OutputError, write_submission
from ..preset import Preset
from ..schedule.allocate import exhausted, next_job, train_seconds
from ..schedule.cost import CostModel
from ..schedule.job import Job, Progress, TaskSize
from .board import Board
from .clock import Clock
from .journal import Journal, Result, result_to_json
from .progress import Bar
from .worker import Assignment, Worker

log = logging.getLogger("solution")

WRITE_EVERY = 2.0
"""Seconds between two writes of the submission file, at the least."""
SICK_AFTER = 4
"""A worker that fails so many times in a row gets no more jobs while there is another; from the last but one on, its
failures are not held against the tasks."""
LAST_WAIT = 0.5
"""Share of the reserve that cut jobs have to hand in what they found."""


@dataclass
class Setup:
    """Everything that a run needs, loaded and checked. `sizes` are the tasks to solve, the others get placeholders. `speed`:
    token-passes a second by a first timing. `may_restart`: where a device is lost, end the run when nothing is in flight, for
    a fresh process to go on with all of them; else go on with the others."""

    challenges: Challenges
    solutions: Solutions | None
    sizes: dict[str, TaskSize]
    preset: Preset
    board: Board
    journal: Journal
    output: Path
    clock: Clock
    speed: float
    may_restart: bool = False
    progress: Progress = field(default_factory=Progress)


@dataclass
class Outcome:
    """What happened: results of this process, the cost model, and why the run ended ("done", "budget", or "lost": devices)."""

    results: list[Result]
    ended: str
    cost: CostModel
    first_answer: float | None = None


def replay(setup: Setup, joint_adapter: bool) -> None:
    """Take the journal's earlier results into board and progress. Earlier failures are forgotten: a new process may fare
    better. `joint_adapter`: whether the joint adapter can be read; where it cannot, its training counts as not done."""
    for result in setup.journal.results:
        if result.record.ok and (joint_adapter or result.record.job.stage != "joint"):
            setup.progress.add(result.record)
            setup.board.add(result)


def run(setup: Setup, workers: list[Worker], finished: queue.Queue) -> Outcome:
    """Keep every worker busy until nothing is left to do or the time is; return with the submission file written."""
    cost = CostModel(setup.sizes, setup.preset, setup.speed)
    for record in (r.record for r in setup.journal.results):
        if record.ok and not record.cut:
            cost.observe(record.job, record.device, record.seconds)
    reserve = setup.clock.reserve(len(setup.board.answers))
    outcome = Outcome([], "budget", cost)
    busy: dict[Worker, Job] = {}
    streak = dict.fromkeys(workers, 0)  # failures in a row
    idle, lost = list(workers), False
    last_write = time.monotonic()
    dirty = True
    with Bar(setup, len(workers)) as bar:
        while True:
            left = setup.clock.left() - reserve
            fruitful = any(result.record.ok for result in outcome.results)
            for worker in [] if lost and fruitful and setup.may_restart else list(idle):
                serving = [other.device for other in (*idle, *busy)]
                job = next_job(setup.progress, cost, setup.preset, set(busy.values()), worker.device, left, serving)
                if job is None:
                    continue
                now = time.monotonic()
                train_for = train_seconds(job, cost, setup.preset, worker.device, left)
                worker.assignments.put(Assignment(job, now + train_for, now + left))
                busy[worker] = job
                idle.remove(worker)
            if not busy:
                done = exhausted(setup.progress, setup.sizes, setup.preset)
                outcome.ended = "done" if done else "lost" if lost and (fruitful and setup.may_restart or not idle) else "budget"
                break
            if left <= -LAST_WAIT * reserve:
                break
            try:
                worker, result = finished.get(timeout=min(1.0, max(0.05, left + LAST_WAIT * reserve)))
            except queue.Empty:
                bar.update(outcome.results, left)
                continue
            job = busy.pop(worker)
            streak[worker] = 0 if result.record.ok else streak[worker] + 1
            others = bool(idle or busy)
            if result.lost:
                log.error("%s is lost to this process: %s", worker.device, result.error)
                take(setup, result, blame_job=False)
                outcome.results.append(result)
                lost = True
                continue
            if streak[worker] >= SICK_AFTER and others:
                log.error("%s failed %d times in a row and gets no more jobs: %s", worker.device, streak[worker], result.error)
            else:
                idle.append(worker)
            take(setup, result, blame_job=not others or streak[worker] < SICK_AFTER - 1)
            outcome.results.append(result)
            if result.record.ok:
                dirty = True
                if outcome.first_answer is None and any(any(tests) for tests in result.candidates.values()):
                    outcome.first_answer = setup.clock.elapsed()
                if not result.record.cut:
                    cost.observe(job, worker.device, result.record.seconds)
            if dirty and time.monotonic() - last_write > WRITE_EVERY:
                last_write, dirty = time.monotonic(), not write(setup)
            bar.update(outcome.results, left)
    write(setup)
    for worker in workers:
        worker.stop()
    return outcome


def write(setup: Setup) -> bool:
    """Write the submission as it stands; False where that fails, which loses nothing: the file before it still stands."""
    try:
        write_submission(setup.output, setup.board.answers)
    except OutputError as error:
        log.error("%s (the submission written before still stands)", error)
        return False
    return True


def take(setup: Setup, result: Result, blame_job: bool = True) -> None:
    """Journal a result first, then let it count. A failure of a worker that keeps failing is not held against the job."""
    try:
        setup.journal.append(result_to_json(result))
    except OSError as error:
        log.error("%s: cannot be written (%s); a restart will not know of this job", setup.journal.path, error.strerror)
    record = result.record
    if record.ok or blame_job:
        setup.progress.add(record)
    if not record.ok:
        names = ", ".join(record.job.tasks)
        log.warning("%s of %s failed (attempt %d): %s", record.job.stage, names, record.job.attempt + 1, result.error)
        return
    setup.board.add(result)
