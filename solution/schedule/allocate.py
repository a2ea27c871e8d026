"""The allocator: which job a free device does next.

In:  progress (from the journal), the cost model, what is running, seconds left. Out: a `Job`, or None. Pure.
Breadth first: every task gets its cheap answer before any task gets training (system.md, promise 2). Then the job with
the greatest expected gain per second among those that still fit.
"""

import math
from dataclasses import replace

from ..preset import Preset
from .cost import CostModel
from .job import MAX_ATTEMPTS, Job, Progress, TaskSize

SAFETY = 1.3
"""A job is started only if it fits with this factor on its predicted seconds."""
CUT_SAFETY = 3.0
"""The same for the decoding that has to follow a training which the clock will cut: cut too, it would leave nothing."""
LEAST_SHARE = 0.3
"""Where no training fits whole, the shortest is started all the same if the clock leaves it this share: the last seconds of
a budget are worth a training cut short, not nothing."""
FIRST_BATCH_TOKENS, BASE_BATCH_TOKENS = 2048, 16384
GAIN_TOKENS = 600
"""The chance that TTT solves a task is taken to fall by e for every so many prompt tokens: a prior, not yet fitted."""
PROGRAM_GAIN = (0.8, 0.1)
"""Chance that a round of program search solves a task (the last one's for all that follow), and `EXPLAINED_GAIN` that TTT adds to
a task that a program explains, on the scale of `solve_chance`: from a quarter of a public set (experiment log, 18)."""
EXPLAINED_GAIN = 0.1
VIEWS_GAIN = 0.1
"""Chance that a round of further views solves a task with no agreement at all, relative to TTT on it: likewise a prior."""


def base_jobs(sizes: dict[str, TaskSize], preset: Preset) -> list[Job]:
    """The breadth pass: all tasks, smallest first, neighbours in size together; first a small batch, then larger ones.

    A batch is filled by what its prompts take once they are cut to the pass's own limit.
    """
    order = sorted(sizes, key=lambda t: (sizes[t].prompt_tokens, t))
    jobs, batch, tokens = [], [], 0
    for task in order:
        shown = min(sizes[task].prompt_tokens, sizes[task].num_tests * preset.base.max_prompt_tokens)
        if batch and tokens + shown > min(BASE_BATCH_TOKENS, FIRST_BATCH_TOKENS << len(jobs)):
            jobs.append(Job("base", tuple(batch)))
            batch, tokens = [], 0
        batch.append(task)
        tokens += shown
    return jobs + [Job("base", tuple(batch))] if batch else jobs


def solve_chance(size: TaskSize) -> float:
    """Prior chance that TTT solves a task, up to a factor."""
    return math.exp(-(size.prompt_tokens / size.num_tests) / GAIN_TOKENS) / size.num_tests


def retries(progress: Progress, job: Job) -> list[Job]:
    """The job as it is now to be tried: itself, smaller after a failure (a base batch task by task), nothing when given up."""
    if len(job.tasks) > 1:
        # Any failure, of this batch or of whatever part of it was tried, ends the batching.
        if not any(stage == "base" and set(tasks) & set(job.tasks) for stage, tasks, _ in progress.failures):
            return [job]
        return [piece for task in job.tasks for piece in retries(progress, Job("base", (task,)))]
    attempt = progress.failures.get((job.stage, job.tasks, job.first_view), 0)
    return [replace(job, attempt=attempt)] if attempt < MAX_ATTEMPTS else []


def open_base_jobs(progress: Progress, sizes: dict[str, TaskSize], preset: Preset) -> list[Job]:
    """What is left of the breadth pass, running jobs included."""
    found = []
    for whole in base_jobs(sizes, preset):
        for job in retries(progress, whole):
            left = tuple(task for task in job.tasks if task not in progress.answered)
            if left:
                found.append(replace(job, tasks=left))
    return found


def open_training_jobs(
    progress: Progress, sizes: dict[str, TaskSize], preset: Preset, running: set[Job]
) -> list[tuple[float, Job]]:
    """Every job of the trained model that could be started now, with its expected gain (relative)."""
    if not preset.ttt or (preset.joint and not progress.joint):
        return []
    busy = {task for job in running if job.stage != "program" for task in job.tasks}
    found = []
    for task, size in sizes.items():
        if task in busy:
            continue
        if task not in progress.trained:
            chance = solve_chance(size) * (EXPLAINED_GAIN if task in progress.explained else 1.0)
            found += [(chance, job) for job in retries(progress, Job("ttt", (task,), 0, preset.first_views))]
        elif progress.rounds[task] < preset.rounds and progress.agreement.get(task, 0.0) < preset.agreement:
            gain = VIEWS_GAIN * solve_chance(size) * (1 - progress.agreement.get(task, 0.0))
            job = Job("views", (task,), progress.next_view[task], preset.more_views)
            found += [(gain, job) for job in retries(progress, job)]
    return found


def open_program_jobs(
    progress: Progress, sizes: dict[str, TaskSize], preset: Preset, running: set[Job]
) -> list[tuple[float, Job]]:
    """Every program search that could be started now, with its expected gain (relative)."""
    if preset.program is None:
        return []
    busy = {task for job in running if job.stage == "program" for task in job.tasks}
    found = []
    for task in sizes:
        number = progress.searched[task]
        if task in busy or task in progress.explained or number == len(preset.program.tries):
            continue
        gain = PROGRAM_GAIN[min(number, len(PROGRAM_GAIN) - 1)]
        found += [(gain, job) for job in retries(progress, Job("program", (task,), number, 0))]
    return found


def searches(device: str) -> bool:
    """Whether a worker is on CPU cores, where programs are searched; only those named "search" do nothing else."""
    return device.startswith(("cpu", "search"))


def next_job(
    progress: Progress, cost: CostModel, preset: Preset, running: set[Job], device: str, seconds_left: float
) -> Job | None:
    """The job to start now; None where none fits into `seconds_left` or what is running has to end first.

    While the breadth pass has jobs, the first of them that fits, else the first single task of one that fits. Where a joint
    adapter is wanted, one device trains it after the breadth pass, or during it while another device is busy with it.
    Only when nothing more of either fits or runs comes the training job with the greatest gain per second; at the very end
    one that the clock will cut. Ties are ordered by stage and name, never by chance.
    """

    def fits(job: Job) -> bool:
        return SAFETY * cost.seconds(job, device) <= seconds_left

    programs = open_program_jobs(progress, cost.sizes, preset, running) if searches(device) else []
    if device.startswith("search"):
        return best([(gain, job) for gain, job in programs if fits(job)], cost, device)
    base = open_base_jobs(progress, cost.sizes, preset)
    stages = {job.stage for job in running}
    if preset.ttt and preset.joint and not progress.joint and "joint" not in stages and ("base" in stages or not base):
        return retries(progress, Job("joint", ()))[0] if seconds_left > 0 else None
    if base:
        busy = {task for job in running for task in job.tasks}
        free = [job for job in base if not busy & set(job.tasks)]
        singles = (Job("base", (task,)) for job in free if len(job.tasks) > 1 for task in job.tasks)
        for job in (*free, *singles):
            if fits(job):
                return job
        if "base" in stages:
            return None
    whole, cut = [(gain, job) for gain, job in programs if fits(job)], []
    for gain, job in open_training_jobs(progress, cost.sizes, preset, running):
        seconds = cost.seconds(job, device)
        if fits(job):
            whole.append((gain, job))
        elif job.stage == "ttt" and LEAST_SHARE * seconds + CUT_SAFETY * cost.decode_seconds(job, device) <= seconds_left:
            cut.append((seconds, job.stage, job.tasks, job))
    return best(whole, cost, device) or min(cut, default=(None,))[-1]


def best(jobs: list[tuple[float, Job]], cost: CostModel, device: str) -> Job | None:
    """The job with the greatest gain per second."""
    rated = [(-gain / cost.seconds(job, device), job.stage, job.tasks, job.first_view, job) for gain, job in jobs]
    return min(rated, default=(None,))[-1]


def exhausted(progress: Progress, sizes: dict[str, TaskSize], preset: Preset) -> bool:
    """Whether nothing is left to do however much time there were."""
    waiting = preset.ttt and preset.joint is not None and not progress.joint
    left = (open_training_jobs(progress, sizes, preset, set()), open_program_jobs(progress, sizes, preset, set()))
    return not (waiting or open_base_jobs(progress, sizes, preset) or any(left))
