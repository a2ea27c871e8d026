"""Jobs that are answered at once: candidates that follow from the job alone, and faults in chosen ones.

In:  a job. Out: a `Result` such as `Solver` and `Searcher` make, or what a broken job does. Not here: the models, the search.
"""

import threading
import time
import zlib
from collections.abc import Callable

import numpy as np
import torch

from solution.arc.task import Task, as_grid
from solution.arc.view import View
from solution.decode.candidate import Candidate
from solution.driver.journal import Result
from solution.models.adapted import NonFiniteError
from solution.schedule.job import Job, Record

SLICE = {"steps": 1, "tokens": 10, "losses": [1.0], "ended": "parked"}
ILLEGAL = "CUDA error: an illegal memory access was encountered"


def tiny_tasks(count: int, side: int = 3, pairs: int = 2) -> dict[str, dict]:
    """A challenges file of tasks whose output is their input mirrored, as JSON has it."""
    draw = np.random.default_rng(0)

    def pair() -> dict:
        grid = draw.integers(0, 10, (side, side))
        return {"input": grid.tolist(), "output": grid[:, ::-1].tolist()}

    return {f"task{k:03d}": {"train": [pair() for _ in range(pairs)], "test": [{"input": pair()["input"]}]} for k in range(count)}


def _candidate(job: Job, task: str, test: int, view: int) -> Candidate:
    drawn = zlib.crc32(f"{job.stage} {task} {test} {view}".encode())
    rows, columns = 1 + drawn % 3, 1 + drawn // 3 % 3
    grid = as_grid((drawn >> np.arange(rows * columns).reshape(rows, columns)) % 10)
    source = job.stage if job.stage in ("base", "program") else "ttt"
    return Candidate(grid, View(), -1.0 - drawn % 7 / 8, source, (-1.0,) if source == "ttt" else ())


def answer(device: str, tasks: dict[str, Task], job: Job) -> Result:
    """What the job brings, the same on every device; the views of a task never agree, so that more follow."""
    if job.stage == "joint":
        return Result(Record(job, device, 0.001), ttt={"steps": 1, "tokens": 10, "losses": [1.0], "ended": "planned"})
    if job.num_steps:
        return Result(Record(job, device, 0.001, loss=1.0), ttt=SLICE)
    views = range(job.first_view, job.first_view + job.num_views)
    found = {
        name: [[_candidate(job, name, test, view) for view in views] for test in range(len(tasks[name].test))]
        for name in job.tasks
    }
    if job.stage == "program":
        return Result(Record(job, device, 0.001, confidence=0.1), found, tokens={"behaviours": 10})
    sure = {name: -1.0 for name in job.tasks}
    record = Record(job, device, 0.001, agreement={name: 0.1 for name in job.tasks}, log_prob=sure)
    trained = SLICE | {"ended": "planned"} if job.stage == "ttt" else None
    return Result(record, found, tokens={"prompt": 10, "new": 10}, ttt=trained)


def _raises(error: Callable[[], BaseException]) -> Callable:
    def fail(job: Job, out_of_time: Callable[[], bool]):
        raise error()

    return fail


def _hangs(job: Job, out_of_time: Callable[[], bool]) -> None:
    threading.Event().wait()


def _is_slow(job: Job, out_of_time: Callable[[], bool]) -> None:
    """Until its time is over, and then a little."""
    while not out_of_time():
        time.sleep(0.01)
    time.sleep(0.05)


FAULTS: dict[str, Callable] = {
    "exception": _raises(lambda: ValueError("shapes (3,4) and (5,) do not match")),
    "assertion": _raises(lambda: AssertionError()),
    "exit": _raises(lambda: SystemExit(3)),
    "deep recursion": _raises(lambda: RecursionError("maximum recursion depth exceeded")),
    "no memory": _raises(lambda: MemoryError()),
    "no CUDA memory": _raises(lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")),
    "no CUDA memory, plain": _raises(lambda: RuntimeError("CUDA error: out of memory")),
    "no cuBLAS memory": _raises(
        lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
    ),
    "NaN": _raises(lambda: NonFiniteError("the loss is nan")),
    "lost context": _raises(lambda: RuntimeError(ILLEGAL)),
    "hang": _hangs,
    "slow": _is_slow,
}
"""What a broken job does, by name."""
DEVICE_LOST = ("lost context",)
ENDLESS = ("hang", "slow")
MEMORY = ("no memory", "no CUDA memory", "no CUDA memory, plain", "no cuBLAS memory")
