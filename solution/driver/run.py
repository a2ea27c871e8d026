"""The run: jobs to workers, results to journal, board and submission, until the budget or the work is over.

In:  a `Setup` with everything loaded. Out: the submission file, the journal, an `Outcome` for the summary.
The main thread alone touches journal, board and files. Not here: which job comes next (`schedule.allocate`), what a job
does (`solve`), which devices are fit for one (`health`).
"""

import logging
import queue
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..arc.load import Challenges, Solutions
from ..arc.submission import OutputError, write_submission
from ..preset import Preset
from ..schedule.allocate import exhausted, next_job, train_seconds
from ..schedule.cost import STEP_PASSES, CostModel, family, kind
from ..schedule.job import MAX_ATTEMPTS, Job, Progress, Record, TaskSize
from ..schedule.plan import Planned
from .board import Board
from .clock import WATCHDOG_SECONDS, Clock, Closing, format_seconds, margin_seconds
from .health import Health, hangs_after, serves
from .journal import Journal, Result, result_to_json
from .progress import Bar, Outlook
from .summary import Rehearsal
from .worker import Assignment, Worker

log = logging.getLogger("solution")

WRITE_EVERY, WRITE_SHARE = 2.0, 0.02
"""Seconds between two writes of the submission file, at the least, and the most of the time that they may take."""
ANSWER_SECONDS = 30.0
"""Seconds in which a worker answers whose search was ended."""
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
    """What happened: results of this process, the cost model, and why the run ended ("done", "budget", "lost": devices, or
    "told": by a signal).

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
    better; which jobs lost a device is not (`run`). `joint_adapter`: whether the joint adapter can be read; where it cannot, its
    training counts as not done."""
    for result in setup.journal.results:
        if result.record.ok and (joint_adapter or result.record.job.stage != "joint"):
            setup.progress.add(result.record)
            setup.board.add(result)


def run(setup: Setup, workers: list[Worker], finished: queue.Queue) -> Outcome:
    """Keep every worker busy until nothing is left to do or the time is; return with the submission file written."""
    loop = _Loop(setup, workers, finished)
    with Bar(setup, loop.outlook) as bar:
        while loop.hand_out(left := loop.seconds_left()) and left > 0:
            loop.look_ahead(left)
            loop.settle_next(left)
            loop.give_up_hanging()
            loop.write_now_and_then()
            bar.update(loop.outcome.results, left)
    return loop.end()


@dataclass
class _Flight:
    """A job on its worker since `begun`, given up after `hangs_at` (monotonic seconds). `trial`: a known-good job, to try the
    device. `ended`: its search was ended, an answer is due."""

    job: Job
    begun: float
    hangs_at: float
    trial: bool
    ended: bool = False


class _Loop:
    """The state of a run: what is in flight, how the devices are, what came out."""

    def __init__(self, setup: Setup, workers: list[Worker], finished: queue.Queue):
        self._setup, self._workers, self._finished = setup, workers, finished
        self.cost = CostModel(setup.sizes, setup.preset, setup.speed)
        self.outcome = Outcome([], "budget", self.cost)
        self.outlook = Outlook(setup, self.cost)
        self._rehearsal = Rehearsal(setup, self.outcome)
        self._health = Health([worker.device for worker in workers])
        self._idle, self._flying, self._given_up = list(workers), {}, {}
        self._next_write, self._dirty = time.monotonic() + WRITE_EVERY, True
        for result in setup.journal.results:
            record = result.record
            if record.ok and not record.cut:
                self.cost.observe(record.job, record.device, record.seconds)
                self._health.known_good(record.job)
            elif result.lost:
                self._blame_loss(record)

    def seconds_left(self) -> float:
        """Seconds that jobs may still take; none once the process is told to end."""
        if self._setup.clock.told:
            return 0.0
        return self._setup.clock.left() - self._rehearsal.closing().reserve(self._setup.clock.budget)

    def hand_out(self, left: float) -> bool:
        """Give every idle worker its next job. False where nothing is in flight then, nor worth waiting for; says why."""
        setup, awaited = self._setup, False
        restarts = self._restarts()
        for worker in [] if restarts else list(self._idle):
            job, trial = self._next(worker.device, left)
            if job is not None:
                self._start(worker, job, trial, left)
            awaited |= trial and job is None
        if self._flying or awaited:
            return True
        if setup.clock.told:
            return False
        if exhausted(setup.progress, setup.sizes, setup.preset):
            self.outcome.ended = "done"
        elif restarts or (self._health.has("lost") and not self._health.has("fit")):
            self.outcome.ended = "lost"
        return False

    def _restarts(self) -> bool:
        """Whether a fresh process is to go on with what is left for the models: once nothing is in flight here."""
        setup = self._setup
        if not (self._health.has("lost") and setup.may_restart and any(result.record.ok for result in self.outcome.results)):
            return False
        return not exhausted(setup.progress, setup.sizes, replace(setup.preset, program=None, written=None))

    def _next(self, device: str, left: float) -> tuple[Job | None, bool]:
        """The job that a device is to do now, and whether that is to try the device. No job, but a trial: one is due later."""
        setup, health, now = self._setup, self._health, time.monotonic()
        running = {flight.job for flight in self._flying.values()}
        aside = running | health.held(device, setup.progress.failures)
        serving = [w.device for w in (*self._idle, *self._flying) if w.device == device or health.is_fit(w.device)]
        waiting, doubtful = health.waiting(), health.doubtful(device)
        job = next_job(setup.progress, self.cost, setup.preset, aside | waiting | doubtful, device, left, serving)
        if job is None and doubtful:
            job = next_job(setup.progress, self.cost, setup.preset, aside | waiting, device, left, serving)
        if job is None and waiting and not any(serves(device, family(other.stage)) for other in running):
            job = next_job(setup.progress, self.cost, setup.preset, aside, device, left, serving)
        if job is None or health.is_fit(device) and not health.trial_due(device, now):
            return job, False
        if not health.trial_due(device, now):
            return None, True
        busy = {task for other in running for task in other.tasks}
        good = [trial for trial in health.trials(device) if busy.isdisjoint(trial.tasks)]
        good = [trial for trial in good if self._foretold(trial, device) <= left]
        if not good:
            return (job, False) if health.is_fit(device) else (None, True)
        return min(good, key=lambda trial: (self.cost.seconds(trial, device), trial.stage, trial.tasks)), True

    def _foretold(self, job: Job, device: str) -> float:
        """Seconds within which a job is foretold to end."""
        return self.cost.margin(device, kind(job)) * self.cost.seconds(job, device)

    def _start(self, worker: Worker, job: Job, trial: bool, left: float) -> None:
        now, budget = time.monotonic(), self._setup.clock.budget
        last_look = left - look_seconds(job, self.cost, worker.device, budget)
        train_for = train_seconds(job, self.cost, self._setup.preset, worker.device, last_look)
        foretold = train_for if job.stage == "joint" else self._foretold(job, worker.device)
        worker.assignments.put(Assignment(job, now + train_for, now + last_look))
        self._flying[worker] = _Flight(job, now, now + hangs_after(foretold), trial)
        self._idle.remove(worker)

    def look_ahead(self, left: float) -> None:
        """Forecast the rest of the run, and try its end out, where that is due."""
        serving = [w for w in (*self._idle, *self._flying) if w in self._flying or self._health.is_fit(w.device)]
        now = time.monotonic()
        flights = ((place, self._flying.get(worker)) for place, worker in enumerate(serving))
        flying = {place: (flight.job, now - flight.begun) for place, flight in flights if flight}
        self.outlook.update([w.device for w in serving], left, flying)
        self._rehearsal.update(left)

    def settle_next(self, left: float) -> None:
        """Wait for a result, a second at the most, and let it count."""
        try:
            worker, result = self._finished.get(timeout=min(1.0, max(0.02, left)))
        except queue.Empty:
            return
        flight = self._flying.pop(worker, None)
        if flight is None:  # of a device that was given up
            self._given_up.pop(worker)
            if not result.record.ok:
                return
            log.warning("%s answers after all", worker.device)
            flight = _Flight(result.record.job, 0.0, 0.0, trial=False)
        if result.lost:
            self._lose(worker, flight, result)
            return
        self._idle.append(worker)
        self._take(worker, flight, result)

    def _take(self, worker: Worker, flight: _Flight, result: Result) -> None:
        """Let a result of a device that goes on count."""
        setup, record, device = self._setup, result.record, worker.device
        self.outcome.results.append(result)
        take(setup, result, blame_job=not flight.trial)
        if record.ok:
            if not self._health.is_fit(device):
                log.warning("%s works again", device)
            self._health.succeeded(device, record.job)
            self._dirty = True
            if self.outcome.first_answer is None and any(any(tests) for tests in result.candidates.values()):
                self.outcome.first_answer = setup.clock.elapsed()
            if not record.cut:
                self.cost.observe(record.job, device, record.seconds)
        elif flight.trial:
            forgive(setup.progress, self._health.failed_trial(device, record.job, time.monotonic()))
            if not self._health.is_fit(device):
                log.error("%s fails where others succeed, and waits for its next trial: %s", device, result.error)
            elif setup.may_restart and serves(device, "neural"):
                self._health.lost(device)
                self._idle.remove(worker)
                log.error("%s is lost to this process, it fails whatever it is given: %s", device, result.error)
                if (culprit := self._health.first_failed(device)) is not None:
                    blamed = Result(Record(culprit, device, 0.0, ok=False), error=f"{device} failed ever after", lost=True)
                    take(setup, blamed, blame_job=False)
                    self._blame_loss(blamed.record)
        else:
            self._health.failed(device, record.job)

    def _lose(self, worker: Worker, flight: _Flight, result: Result) -> None:
        """Go on without a device: what was lost is written down against the job, unless that is known to be good."""
        log.error("%s is lost to this process: %s", worker.device, result.error)
        result.lost = not flight.trial
        self.outcome.results.append(result)
        take(self._setup, result, blame_job=False)
        self._health.lost(worker.device)
        if result.lost:
            self._blame_loss(result.record)

    def _blame_loss(self, record: Record) -> None:
        """A job of one task waits for the end, or is left out; a batch is done in parts from now on."""
        progress, stages = self._setup.progress, ("base", "ttt", "views")
        for task in self._health.loss(record.job):
            log.error("task %s has cost more than one device, and is left out", task)
            views = dict.fromkeys(stages, 0) | {"views": progress.next_view.get(task, 0)}
            if record.job.stage not in stages:
                views = {record.job.stage: record.job.first_view}
            progress.failures |= {(stage, (task,), view): MAX_ATTEMPTS for stage, view in views.items()}
        if len(record.job.tasks) != 1:
            progress.add(record)

    def give_up_hanging(self) -> None:
        """End the searches that take several times as long as foretold, and give up other jobs that do together with their
        device: a thread cannot be ended."""
        if not self._finished.empty():
            return
        for worker, flight in list(self._flying.items()):
            now = time.monotonic()
            if now < flight.hangs_at:
                continue
            if not flight.ended and worker.interrupt():
                log.warning("%s of %s hangs and is ended", flight.job.stage, ", ".join(flight.job.tasks))
                flight.hangs_at, flight.ended = now + ANSWER_SECONDS, True
                continue
            reason = f"no answer after {format_seconds(now - flight.begun)}, several times what was foretold"
            self._given_up[worker] = self._flying.pop(worker)
            lost = Result(Record(flight.job, worker.device, now - flight.begun, ok=False), error=reason, lost=True)
            self._lose(worker, flight, lost)

    def write_now_and_then(self) -> None:
        """Write the submission where something is new, not too often."""
        begun = time.monotonic()
        if self._dirty and begun > self._next_write:
            self._dirty = not write(self._setup)
            took = time.monotonic() - begun
            self._rehearsal.wrote(took)
            self._next_write = begun + took + max(WRITE_EVERY, took / WRITE_SHARE)

    def end(self) -> Outcome:
        """Wait a little for what is in flight, write everything, and let the workers end."""
        setup = self._setup
        wait = 0.0 if setup.clock.told else (margin_seconds(setup.clock.budget) - WATCHDOG_SECONDS) / 2
        while self._flying:  # what is handed in a little late counts as well
            begun_waiting = time.monotonic()
            try:
                worker, result = self._finished.get(timeout=max(0.0, wait))
            except queue.Empty:
                break
            wait -= time.monotonic() - begun_waiting
            if self._flying.pop(worker, None):
                take(setup, result, blame_job=False)
                self.outcome.results.append(result)
        if setup.clock.told:
            self.outcome.ended = "told"
        self.outcome.closing, self.outcome.stopped = self._rehearsal.closing(), setup.clock.elapsed()
        for worker, flight in self._flying.items():
            log.debug("%s of %s on %s came too late", flight.job.stage, ", ".join(flight.job.tasks), worker.device)
        write(setup)
        for worker in self._workers:
            worker.stop()
        return self.outcome


def forgive(progress: Progress, failures: Counter) -> None:
    """Take failures back that were a device's, not their jobs'. `failures`: (stage, tasks, first view) -> how many."""
    for (stage, tasks, view), count in failures.items():
        before = progress.failures.get((stage, tasks, view), 0)
        progress.failures[stage, tasks, view] = before - count
        if before <= count:
            progress.failures.pop((stage, tasks, view))
        if stage == "joint" and before == MAX_ATTEMPTS:
            progress.joint = False


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
    """Journal a result first, then let it count; a failure that is not the job's fault is only written down."""
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
