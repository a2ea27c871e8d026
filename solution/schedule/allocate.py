"""The allocator: which job a free device does next.

In:  progress (from the journal), the cost model, what is running, seconds left. Out: a `Job`, or None. Pure.
Breadth first: every task gets its cheap answer before any task gets training (system.md, promise 2). Then the job with
the greatest expected gain per second among those that still fit.
"""

import math

from ..preset import Preset
from .cost import CostModel
from .job import MAX_ATTEMPTS, Job, Progress, TaskSize

SAFETY = 1.3
"""A job is started only if it fits with this factor on its predicted seconds."""
BASE_BATCH_TOKENS = 8192
SHARED_SHARE = 0.5
"""Of the time left, what the training of a shared adapter may take at most."""
GAIN_TOKENS = 600
"""The chance that TTT solves a task falls by e for every so many prompt tokens; measured on training tasks, see the log."""
VIEWS_GAIN = 0.1
"""Chance that a round of further views solves a task with no agreement at all, relative to TTT on it."""


def base_jobs(sizes: dict[str, TaskSize]) -> list[Job]:
    """The breadth pass: all tasks, smallest first, neighbours in size together."""
    order = sorted(sizes, key=lambda t: (sizes[t].prompt_tokens, t))
    jobs, batch, tokens = [], [], 0
    for task in order:
        if batch and tokens + sizes[task].prompt_tokens > BASE_BATCH_TOKENS:
            jobs.append(Job("base", tuple(batch)))
            batch, tokens = [], 0
        batch.append(task)
        tokens += sizes[task].prompt_tokens
    return jobs + [Job("base", tuple(batch))] if batch else jobs


def solve_chance(size: TaskSize) -> float:
    """Prior chance that TTT solves a task, up to a factor."""
    return math.exp(-(size.prompt_tokens / size.num_tests) / GAIN_TOKENS) / size.num_tests


def open_jobs(progress: Progress, sizes: dict[str, TaskSize], preset: Preset, running: set[Job]) -> list[tuple[float, Job]]:
    """Every job that could be started now, with its expected gain (relative). Base jobs alone while there are any."""
    busy = {task for job in running for task in job.tasks}

    def retried(job: Job) -> list[Job]:
        attempt = progress.failures.get((job.stage, job.tasks, job.first_view), 0)
        if attempt == 0:
            return [job]
        if job.stage == "base" and len(job.tasks) > 1:
            return [piece for task in job.tasks for piece in retried(Job("base", (task,)))]
        return [Job(job.stage, job.tasks, job.first_view, job.num_views, attempt)] if attempt < MAX_ATTEMPTS else []

    base = []
    waiting = False
    for whole in base_jobs(sizes):
        for job in retried(whole):
            if set(job.tasks) <= progress.answered:
                continue
            waiting = True
            if not busy & set(job.tasks):
                base.append((1.0, job))
    if base or waiting:
        return base
    if preset.shared_adapter and not progress.shared:
        return [] if busy or any(job.stage == "shared" for job in running) else [(1.0, job) for job in retried(Job("shared", ()))]
    found = []
    for task, size in sizes.items():
        if task in busy:
            continue
        if task not in progress.trained:
            found += [(solve_chance(size), job) for job in retried(Job("ttt", (task,), 0, preset.first_views))]
        elif progress.rounds[task] < preset.rounds and progress.agreement.get(task, 0.0) < preset.agreement:
            gain = VIEWS_GAIN * solve_chance(size) * (1 - progress.agreement.get(task, 0.0))
            found += [(gain, job) for job in retried(Job("views", (task,), progress.next_view[task], preset.more_views))]
    return found


def next_job(
    progress: Progress, cost: CostModel, preset: Preset, running: set[Job], device: str, seconds_left: float
) -> Job | None:
    """The open job with the greatest gain per second that fits into `seconds_left`; None where none does.

    Ties and equal tasks are ordered by size and name, never by chance. Base jobs keep their order, smallest first.
    """
    best, best_key = None, None
    for gain, job in open_jobs(progress, cost.sizes, preset, running):
        if job.stage == "shared" and seconds_left > 0:
            return job  # it stops by the clock
        seconds = cost.seconds(job, device)
        if SAFETY * seconds > seconds_left:
            continue
        if job.stage == "base":
            return job
        key = (-gain / seconds, job.stage, job.tasks)
        if best_key is None or key < best_key:
            best, best_key = job, key
    return best


def exhausted(progress: Progress, cost: CostModel, preset: Preset) -> bool:
    """Whether nothing is left to do however much time there were."""
    return not open_jobs(progress, cost.sizes, preset, set())
