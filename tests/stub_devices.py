"""A run on devices that are none: the driver's own loop, workers and journal; what a job does is a function of the test's.

In:  device names, what breaks where. Out: how many tasks were trained, and what was recorded. Restarts as `driver.setup` does.
"""

import functools
import os
import queue
import threading
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import torch

from solution.arc.load import Challenges, public_training
from solution.codec.arc16 import Arc16
from solution.driver.board import Board
from solution.driver.clock import Clock, parse_duration
from solution.driver.journal import Journal, Result
from solution.driver.run import Setup, replay, run
from solution.driver.setup import MOST_RESTARTS, task_size
from solution.driver.worker import Worker
from solution.preset import PRESETS
from solution.schedule.job import Record

ERRORS = {
    "error": lambda: ValueError("this task is poison"),
    "memory": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    "cublas": lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "nan": lambda: ArithmeticError("loss nan at step 1 of test-time training"),
    "lost": lambda: RuntimeError("CUDA error: an illegal memory access was encountered"),
    "unknown": lambda: RuntimeError("the kernel left the device in a state that nothing here knows"),
}
PRESET = replace(PRESETS["test"], agreement=0.0)


@functools.cache
def stub_tasks(count):
    """The first so many of the public training tasks by size of their prompt."""
    tasks = public_training()[0].tasks
    chosen = sorted(tasks, key=lambda name: task_size(tasks[name], Arc16("grid")).prompt_tokens)[:count]
    return {name: tasks[name] for name in chosen}


def stub_run(folder, monkeypatch, devices, act, count=24, restarts=0, preset=PRESET):
    """Run on `devices`, with `act(device, job)` called in every job; it may raise. A process more after each loss, `restarts`
    at most. -> setup, outcome of the last process, results of all, number of processes."""
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda file: None)  # thousands of them would be most of the time
    tasks = stub_tasks(count)
    challenges = Challenges(tasks, {})
    sizes = {name: task_size(task, Arc16("grid")) for name, task in tasks.items()}
    results = []
    for process in range(restarts + 1):
        journal = Journal(folder / "journal.jsonl", {"stub": 1})
        board = Board(challenges, preset.select)
        clock = Clock(parse_duration("24h"))
        setup = Setup(challenges, None, sizes, preset, board, journal, folder / "s.json", clock, 1e6, process < restarts)
        replay(setup, False)
        finished = queue.Queue()
        lost = set()

        def solve(device, job, lost=lost):
            if device in lost:
                raise ERRORS["lost"]()
            try:
                act(device, job)
            except RuntimeError as error:
                if "illegal memory access" in str(error):
                    lost.add(device)
                raise
            shares = dict.fromkeys(job.tasks, 1.0) if job.stage in ("base", "ttt", "views") and not job.num_steps else {}
            return Result(Record(job, device, 0.001, agreement=shares))

        workers = [Worker(name, lambda job, *_, name=name: solve(name, job), finished, 1) for name in devices]
        outcome = run(setup, workers, finished)
        journal.close()
        results += outcome.results
        if outcome.ended != "lost":
            break
    return SimpleNamespace(setup=setup, outcome=outcome, results=results, processes=process + 1)


def poison(tasks, kind):
    """An `act` under which the trainings of some tasks always fail."""

    def act(device, job):
        if job.stage in ("ttt", "views") and set(job.tasks) & set(tasks):
            raise ERRORS[kind]()

    return act


def failures_by_device(results):
    return Counter(result.record.device for result in results if not result.record.ok)


def table(folder, monkeypatch):
    """Tasks trained of 24: neural devices x poisoned tasks x what they do -> number, with the processes it took."""
    found = {}
    for devices in (1, 2):
        for poisoned in (1, 2):
            for kind in ("error", "memory", "lost"):
                place = folder / f"{devices}-{poisoned}-{kind}"
                place.mkdir()
                bad = list(stub_tasks(24))[3 : 3 + poisoned]
                names = [f"cuda:{k}" for k in range(devices)] + ["search:0", "search:1"]
                done = stub_run(place, monkeypatch, names, poison(bad, kind), restarts=MOST_RESTARTS)
                found[devices, poisoned, kind] = len(done.setup.progress.trained), done.processes
    return found


if __name__ == "__main__":
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as where:
        patches = SimpleNamespace(setattr=setattr)
        for case, (trained, processes) in table(pathlib.Path(where), patches).items():
            print(*case, "trained", trained, "of 24, processes", processes, flush=True)
    print("threads left", threading.active_count())
