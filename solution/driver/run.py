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
from ..schedule.cost import STEP_PASSES, CostModel
from ..schedule.job import Job, Progress, TaskSize
from ..schedule.plan import Planned
from .board import Board
from .clock import WATCHDOG_SECONDS, Clock, Closing, margin_seconds
from .journal import Journal, Result, result_to_json
from .progress import Bar, Outlook
from .summary import Rehearsal
from .worker import Assignment, Worker

log = logging.getLogger("solution")

WRITE_EVERY, WRITE_SHARE = 2.0, 0.02
"""Seconds between two writes of the submission file, at the least, and the most of the time that they may take."""
SICK_AFTER = 4
"""A worker that fails so many times in a row gets no more jobs while there is another; from the last but one on, its
failures are not held against the tasks."""
LOOK_STEPS, LOOK_SEARCH, LOOK_SHARE = 16, 0.5, 0.01
"""How long a job goes on after its time: so many steps of decoding (`decode.greedy`), or seconds of a search. No more than this
share of the budget is kept for it: what comes later is lost."""


@dataclass
class Setup:
    """Everything that a run needs, loaded and checked. `sizes` are the tasks to solve, the others get placeholders. `speed`:
    token-passes a second by a first timing. `may_restart`: where a device is lost, end the run when nothing is in flight, for
    a fresh process to go on with all of them; else go on with the others. `planned`: the forecast at the start."""

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
    planned: Planned | None = None


@dataclass
class Outcome:
    """What happened: results of this process, the cost model, and why the run ended ("done", "budget", or "lost": devices).

    `closing`: what was kept for the end; `stopped`: seconds from process start to when no more results were waited for.
    """

    results: list[Result]
    ended: str
    cost: CostModel
    first_answer: float | None = None
    closing: Closing | None = None
    stopped: float = 0.0


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
    outcome = Outcome([], "budget", cost)
    rehearsal, outlook = Rehearsal(setup, outcome), Outlook(setup, cost)
    busy: dict[Worker, Job] = {}
    begun: dict[Worker, float] = {}
    streak = dict.fromkeys(workers, 0)  # failures in a row
    idle, lost = list(workers), False
    next_write, dirty = time.monotonic() + WRITE_EVERY, True
    with Bar(setup, outlook) as bar:
        while True:
            left = setup.clock.left() - rehearsal.closing().reserve(setup.clock.budget)
            fruitful = any(result.record.ok for result in outcome.results)
            for worker in [] if lost and fruitful and setup.may_restart else list(idle):
                serving = [other.device for other in (*idle, *busy)]
                job = next_job(setup.progress, cost, setup.preset, set(busy.values()), worker.device, left, serving)
                if job is None:
                    continue
                now = time.monotonic()
                last_look = left - look_seconds(job, cost, worker.device, setup.clock.budget)
                train_for = train_seconds(job, cost, setup.preset, worker.device, last_look)
                worker.assignments.put(Assignment(job, now + train_for, now + last_look))
                busy[worker], begun[worker] = job, now
                idle.remove(worker)
            if not busy:
                done = exhausted(setup.progress, setup.sizes, setup.preset)
                outcome.ended = "done" if done else "lost" if lost and (fruitful and setup.may_restart or not idle) else "budget"
                break
            if left <= 0:
                break
            serving = [*idle, *busy]
            flying = {place: (busy[one], time.monotonic() - begun[one]) for place, one in enumerate(serving) if one in busy}
            outlook.update([one.device for one in serving], left, flying)
            rehearsal.update(left)
            try:
                worker, result = finished.get(timeout=min(1.0, max(0.02, left)))
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
            now = time.monotonic()
            if dirty and now > next_write:
                dirty = not write(setup)
                took = time.monotonic() - now
                rehearsal.wrote(took)
                next_write = now + max(WRITE_EVERY, took / WRITE_SHARE)
            bar.update(outcome.results, left)
    wait = (margin_seconds(setup.clock.budget) - WATCHDOG_SECONDS) / 2 if busy else 0.0
    while busy:  # what is handed in a little late counts as well
        begun_waiting = time.monotonic()
        try:
            worker, result = finished.get(timeout=max(0.0, wait))
        except queue.Empty:
            break
        wait -= time.monotonic() - begun_waiting
        busy.pop(worker)
        take(setup, result, blame_job=False)
        outcome.results.append(result)
    outcome.closing, outcome.stopped = rehearsal.closing(), setup.clock.elapsed()
    for worker, job in busy.items():
        log.debug("%s of %s on %s came too late", job.stage, ", ".join(job.tasks), worker.device)
    write(setup)
    for worker in workers:
        worker.stop()
    return outcome


def look_seconds(job: Job, cost: CostModel, device: str, budget: float) -> float:
    """Seconds that a job is taken to go on after its time is over, until it looks at the clock and hands in what it has."""
    if job.stage in ("program", "written"):
        seconds = LOOK_SEARCH
    else:
        rows = job.num_views * sum(cost.sizes[task].num_tests for task in job.tasks)
        seconds = LOOK_STEPS * STEP_PASSES * rows / cost.speed(device, "base")
    return min(seconds, LOOK_SHARE * budget)


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
