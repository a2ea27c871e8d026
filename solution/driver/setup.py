"""Everything between the parsed command line and a finished run: weights, models, journal, workers, summary, report.

In:  options and input. Out: an exit code. Imports torch; what can be refused without a model is settled already.
Not here: the loop (`run`).
"""

import argparse
import hashlib
import json
import logging
import multiprocessing
import os
import queue
import shutil
import sys
import time
from dataclasses import dataclass, replace

import numpy as np

from ..arc.load import InputError
from ..arc.task import Task, grid_key
from ..codec.codec import Codec
from ..command import one_line, tell_fault
from ..models.adapted import NonFiniteError
from ..models.manifest import PROJECT, WeightsError, WeightSet
from ..preset import Preset
from ..program.written.sandbox import Sandbox, SandboxError
from ..schedule.cost import CostModel
from ..schedule.job import TaskSize
from .board import Board
from .cli import PROGRAM, Input
from .clock import STARTED, Clock, Closing, format_seconds
from .devices import search_workers, threads_per_worker
from .journal import Journal
from .logs import set_up_logging
from .output import Claim, folder_of, log_of
from .progress import foretell
from .run import Setup, replay, run, write
from .searcher import Searcher
from .solve import JOINT, Solver, can_read_adapter
from .startup import get_ready
from .summary import conclude
from .worker import Worker

log = logging.getLogger("solution")

RESTARTS = "ARC_RESTARTS"
"""Environment variable of a process that started itself again: how often."""
MOST_RESTARTS, RESTART_SECONDS, RESTART_EVERY = 5, 60.0, 1200.0
"""Restarts at most, seconds that must be left for one, seconds of the budget for each further one: a restart costs a minute."""
LAST_WORD = 0.1
"""Seconds that workers have to end once everything is written."""


@dataclass(frozen=True)
class Wanted:
    """What a run is to be made with. `rerun`: it is Kaggle's competition rerun, in which nobody can answer an error."""

    weights: WeightSet
    preset: Preset
    names: list[str]
    backend: str
    rerun: bool


def start(options: argparse.Namespace, found: Input, chosen: list[str], clock: Clock, wanted: Wanted, claim: Claim) -> int:
    """Load, run, report. Exit code 0, or 2 with one line for weights, devices or folders that cannot be used.

    Once models are loaded nothing may cost the submission: whatever goes wrong then is logged, and the file written. Where
    every device was lost, the process starts itself again and goes on from the journal (`restart`).
    """
    try:
        setup, workers, finished = prepare(options, found, chosen, clock, wanted, claim)
    except Exception as error:
        claim.withdraw()
        if not isinstance(error, (InputError, OSError, WeightsError, NonFiniteError)):
            # a broken device, a library that fails as it likes
            log.debug("start-up failed", exc_info=True)
            error = f"cannot start: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
        tell_fault(PROGRAM, error)
        return 2
    try:
        clock.works = True
        outcome = run(setup, workers, finished)
        if outcome.ended == "lost" and setup.may_restart and clock.left() > RESTART_SECONDS:
            restart(clock)
        conclude(setup, outcome)
    except Exception as error:
        log.exception("the run broke off, the submission holds what was answered: %s", error)
        write(setup)
    log.info("submission: %s\nlog: %s", one_line(options.output), one_line(log_of(options.output)))
    log.debug("everything is written after %.2fs", clock.elapsed())
    code, until = 128 + clock.told if clock.told else 0, time.monotonic() + LAST_WORD
    if not all([worker.join(max(0.0, until - time.monotonic())) for worker in workers]):
        # A worker is still inside a long operation: its result is not wanted, and waiting for it could cost the budget.
        for child in multiprocessing.active_children():
            child.kill()
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


def num_restarts() -> int:
    """How often this process has started itself again."""
    return int(os.environ.get(RESTARTS, 0))


def restart(clock: Clock) -> None:
    """Begin this process anew, with the same clock: a device that is lost to a process often serves a fresh one."""
    log.error("every device is lost: starting again with %s left", format_seconds(clock.left()))
    logging.shutdown()
    arguments = [argument for argument in sys.argv[1:] if argument != "--fresh"]
    os.environ[STARTED] = repr(clock.start)
    os.environ[RESTARTS] = str(num_restarts() + 1)
    os.execv(sys.executable, [sys.executable, str(PROJECT / "submission.py"), *arguments])


def prepare(
    options: argparse.Namespace, found: Input, chosen: list[str], clock: Clock, wanted: Wanted, claim: Claim
) -> tuple[Setup, list[Worker], queue.Queue]:
    """Load and check everything; -> setup, workers, their results' queue."""
    folder = folder_of(options.output)
    set_up_logging(log_of(options.output))
    num_tasks, budget = len(found.challenges.num_tests), format_seconds(clock.budget)
    log.info("input: %s, %d tasks (%d to solve), budget %s", one_line(found.name), num_tasks, len(chosen), budget)
    for name, fault in found.challenges.faulty.items():
        log.warning("task %s is broken and gets a placeholder: %s", one_line(name), fault.reason)

    tasks = {name: found.challenges.tasks[name] for name in chosen}
    ready = get_ready(wanted.weights, lockable(wanted.preset, wanted.rerun), wanted.names, wanted.backend, tasks, wanted.rerun)
    preset, names, model = ready.preset, ready.names, ready.models[0]
    log.info("preset: %s", json.dumps(preset.as_dict()))
    identity = run_identity(ready.weights, preset.as_dict(), options.seed, tasks, str(model.dtype), ready.backend)
    journal = Journal(folder / "journal.jsonl", identity, options.fresh, keep=wanted.rerun)
    claim.first()
    if journal.damaged:
        log.warning("%s: %d damaged lines are left out, they are in %s", journal.path, journal.damaged, journal.put_aside)
    elif journal.put_aside:
        log.info("the journal there was another run's, or not wanted, and is now %s", journal.put_aside)
    if not journal.results:
        shutil.rmtree(folder / "adapters", ignore_errors=True)  # another run's
    else:
        log.info("going on from %d earlier jobs in %s", len(journal.results), journal.path)

    # Scored are the tasks to solve: the placeholders of the others would only blur it.
    solutions = {name: found.solutions[name] for name in chosen if name in (found.solutions or {})} or None
    setup = Setup(
        found.challenges, solutions, {n: task_size(t, model.codec) for n, t in tasks.items()}, preset,
        Board(found.challenges, preset.select), journal, options.output, clock, ready.speed,
        num_restarts() < max(MOST_RESTARTS, clock.budget / RESTART_EVERY),
    )  # fmt: skip
    joint_adapter = preset.joint is not None and can_read_adapter(folder / "adapters", JOINT)
    if any(r.record.job.stage == "joint" and r.record.ok for r in journal.results) and not joint_adapter:
        log.warning("the joint adapter of the earlier run cannot be read: it is trained again")
    replay(setup, joint_adapter)
    seconds = clock.left() - Closing.foretold(num_tasks).reserve(clock.budget)
    searchers = search_workers(names) if preset.program or preset.written else []
    try:
        setup.planned = planned = foretell(setup, CostModel(setup.sizes, preset, ready.speed), names + searchers, seconds)
        log.info("estimate from one forward pass: %d of %d tasks answered, %d trained, %.0f right in %s", planned.answered,
                 len(tasks), planned.trained, planned.solved, format_seconds(seconds))  # fmt: skip
    except Exception as error:
        log.warning("%s: there is no forecast (%s: %s)", journal.path, type(error).__name__, error)
    finished: queue.Queue = queue.Queue()
    threads = threads_per_worker(names)
    workers = [
        Worker(name, Solver(model, name, tasks, preset, options.seed, folder / "adapters", ready.memory), finished, threads)
        for name, model in zip(names, ready.models)
    ]
    workers += [Worker(name, Searcher(name, tasks, preset, options.seed), finished, 1) for name in searchers]
    return setup, workers, finished


def lockable(preset: Preset, rerun: bool) -> Preset:
    """The preset, where programs that nobody has read can be locked in or none are to be run. Raises `InputError`; in the
    competition rerun, goes on without them."""
    if preset.written is None:
        return preset
    try:
        Sandbox().close()
    except SandboxError as error:
        if not rerun:
            raise InputError(f"--author: {error}") from error
        log.error("%s: none are written", error)
        return replace(preset, written=None)
    return preset


def run_identity(weights: WeightSet, preset: dict, seed: int, tasks: dict[str, Task], dtype: str, backend: str) -> dict:
    """What a job's result depends on. A journal is gone on with only under the same identity."""
    content = hashlib.sha256()
    for name, task in sorted(tasks.items()):
        content.update(name.encode("utf-8", "surrogatepass"))
        for pair in (*task.train, *task.test):
            content.update(grid_key(pair.input) + (grid_key(pair.output) if pair.output is not None else b"?"))
    identity = {
        "format": 1,
        "weights": weights.fingerprint, "preset": preset, "seed": seed, "tasks": content.hexdigest(), "dtype": dtype,
        "backend": backend,
    }  # fmt: skip
    return json.loads(json.dumps(identity))


def task_size(task: Task, codec: Codec) -> TaskSize:
    """The token counts that the cost model works with."""
    answer = int(np.mean([codec.num_tokens(p.output) for p in task.train])) + 1
    return TaskSize(
        prompt_tokens=sum(codec.task_tokens(task.train, test) for test in task.test),
        answer_tokens=answer * len(task.test),
        item_tokens=codec.task_tokens(task.train[:-1], task.train[-1], codec.num_tokens(task.train[-1].output) + 1),
        num_tests=len(task.test),
        num_train=len(task.train),
    )
