"""The allocator: which job a free device does next.

In:  progress (from the journal), the cost model, what is running, seconds left, which devices there are. Out: a `Job`, or None.
Pure. Breadth first (docs/architecture.md, "The allocator"): no training, no deeper search and no further views begin on a device
while a cheap answer is left to start. A cheap answer is the untrained model's one view; on cores that search programs it is the
first round of that, and the model's only on as much of the device time as the preset's `breadth` allows. Then whatever has the
greatest expected gain per second among the jobs that still fit, the model's cheap answers beyond that share among them. Once all
that is left fits into the time left, the longest jobs come first as soon as, begun later, they could outlast the rest.
A training is rated, fitted and added up as what is left of it, through its decoding, and handed out in slices: after each one
everything is weighed anew, and any device may go on with it.
Not here: predictions (`cost`), chances (`gain`), the same with less work a decision (`indexed`).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ..preset import Preset
from .cost import CostModel, kind, planned_steps
from .job import MAX_ATTEMPTS, Job, Progress, TaskSize

LEAST_SHARE = 0.1
"""Where no training fits whole, the shortest is started all the same if the clock leaves it this share: the last seconds of
a budget are worth a training cut short, not nothing."""
LEAST_SEARCH = 0.5
"""Seconds below which no search begins that the clock will cut."""
LONGEST_FIRST = 2.0
"""The longest job begins where less than so many times its seconds are left to do on each device: twice, so that those next in
length begin in time as well."""
SLICED_ABOVE = 2.0
"""A training is handed out in slices where so many times the rest of it fits into the time left; else in one piece, so that
nothing comes between it and its decoding."""
TAKEN_OVER = 1.25
"""A device is slow where another is so much faster: that one goes on with trainings that this one has begun, and does the
longest. Where a device is gone, any goes on with what it began."""
FIRST_BATCH_TOKENS, BASE_BATCH_TOKENS = 2048, 16384


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


def retries(progress: Progress, job: Job) -> list[Job]:
    """The job as it is now to be tried: itself, smaller after a failure (a base batch task by task), nothing when given up."""
    if len(job.tasks) > 1:
        # Any failure, of this batch or of whatever part of it was tried, ends the batching.
        if not any(stage == "base" and set(tasks) & set(job.tasks) for stage, tasks, _ in progress.failures):
            return [job]
        return [piece for task in job.tasks for piece in retries(progress, Job("base", (task,)))]
    attempt = progress.failures.get((job.stage, job.tasks, job.first_view), 0)
    return [replace(job, attempt=attempt) if attempt else job] if attempt < MAX_ATTEMPTS else []


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
    """Every job of the trained model that could be started now, with its expected gain; a training that was begun through to its
    end."""
    if not preset.ttt or (preset.joint and not progress.joint):
        return []
    busy = {task for job in running if job.stage not in ("program", "written") for task in job.tasks}
    found = []
    for task, size in sizes.items():
        if task in busy:
            continue
        if task not in progress.trained:
            chance = preset.gains.training(size, progress.shown(task))
            for job in retries(progress, Job("ttt", (task,), 0, preset.first_views)):
                found.append((chance, replace(job, first_step=progress.steps[task, job.attempt])))
        elif progress.rounds[task] < preset.rounds and progress.agreement.get(task, 0.0) < preset.agreement:
            chance = preset.gains.further_views(size, progress.shown(task))
            job = Job("views", (task,), progress.next_view[task], preset.more_views)
            found += [(chance, job) for job in retries(progress, job)]
    return found


def open_program_jobs(
    progress: Progress, sizes: dict[str, TaskSize], preset: Preset, running: set[Job], device: str
) -> list[tuple[float, Job]]:
    """Every program search that the device could start now, with its expected gain: a round of the search for each task that no
    program explains yet; once all rounds are done, programs that the author writes, on one worker, as an author may fill the
    memory."""
    if not searches(device) or not (preset.program or preset.written):
        return []
    rounds, writes = len(preset.program.tries) if preset.program else 0, preset.written is not None and device.endswith(":0")
    busy = {(job.stage, task) for job in running for task in job.tasks}
    found = []
    for task, size in sizes.items():
        if task in progress.explained:
            continue
        number = progress.searched[task]
        if number < rounds:
            stage, chance = "program", preset.gains.program(size, progress.shown(task))
        elif writes and task not in progress.written:
            stage, chance, number = "written", preset.gains.program(size, progress.shown(task)), 0
        else:
            continue
        if (stage, task) not in busy:
            found += [(chance, job) for job in retries(progress, Job(stage, (task,), number, 0))]
    return found


def searches(device: str) -> bool:
    """Whether a worker is on CPU cores, where programs are searched; only those named "search" do nothing else."""
    return device.startswith(("cpu", "search"))


def next_job(
    progress: Progress,
    cost: CostModel,
    preset: Preset,
    running: set[Job],
    device: str,
    seconds_left: float,
    devices: Sequence[str] = (),
) -> Job | None:
    """The job to start now; None where none fits into `seconds_left` or what is running has to end first. `devices`: all that
    work on this run, by default this one alone.

    Cheap answers come first (`cheap_job`). Where a joint adapter is wanted, one device trains it after the breadth pass, or while
    another device is busy with the pass. Then, of the jobs that fit, one that is due to begin (`due_seconds`), else the greatest
    gain per second; at the very end a training or a search that the clock will cut. Ties are ordered by stage and name, never by
    chance. Of a training it is the next slice.
    """
    job = _next_whole_job(progress, cost, preset, running, device, seconds_left, devices)
    job = job or cut_search(progress, cost, preset, running, device, seconds_left)
    return job and next_slice(job, cost, device, seconds_left)


def _next_whole_job(
    progress: Progress,
    cost: CostModel,
    preset: Preset,
    running: set[Job],
    device: str,
    seconds_left: float,
    devices: Sequence[str],
) -> Job | None:
    """`next_job` with trainings in one piece, and without searches that the clock will cut."""

    def fits(job: Job) -> bool:
        return cost.margin(device, kind(job)) * cost.seconds(job, device) <= seconds_left

    def may_begin(job: Job) -> bool:
        return fits(job) and may_go_on(job, progress, cost, device, devices)

    programs = open_program_jobs(progress, cost.sizes, preset, running, device)
    whole = [(gain, job) for gain, job in programs if fits(job)]
    if device.startswith("search"):
        return best(whole, cost, device)
    answer = next_base_job(open_base_jobs(progress, cost.sizes, preset), running, fits)
    early = answer if within_breadth(answer, progress, cost, preset, running, device, seconds_left, devices) else None
    if joint_is_due(progress, preset, running, early):
        return retries(progress, Job("joint", ()))[0] if seconds_left > 0 else None
    first_rounds = [(gain, job) for gain, job in whole if kind(job) == "program 0"]
    job = cheap_job(early, best(first_rounds, cost, device), progress, cost, preset, running, device)
    if job is not None:
        return job
    training = open_training_jobs(progress, cost.sizes, preset, running)
    untrained = [job for _, job in training if job.stage == "ttt"]
    ahead = sum(cost.seconds(job, device) for _, job in (*programs, *training))
    after = sum(cost.views_work(job) for job in untrained) / cost.speed(device, "views")
    further = [job for _, job in training if job.stage == "views"]
    longest = [max(jobs, key=lambda job: (cost.work(job), job.tasks)) for jobs in (untrained, further) if jobs]
    limit = due_seconds(longest, ahead, after, cost, device, devices, seconds_left)
    due = [job for _, job in training if limit and may_begin(job) and (job.first_step or cost.seconds(job, device) <= limit)]
    if due:
        return max(due, key=lambda job: (job.first_step > 0, cost.seconds(job, device), job.stage, job.tasks))
    whole += [(gain, job) for gain, job in training if may_begin(job)]
    whole += [(preset.gains.cheap * len(answer.tasks), answer)] if answer is not None else []
    mine = [job for job in untrained if may_go_on(job, progress, cost, device, devices)]
    return best(whole, cost, device) or cut_training(mine, cost, device, seconds_left)


def next_base_job(base: list[Job], running: set[Job], fits: Callable[[Job], bool]) -> Job | None:
    """The first job of the breadth pass that is free and fits, else the first single task of the smallest ones that does."""
    busy = {task for job in running if job.stage == "base" for task in job.tasks}
    free = [job for job in base if busy.isdisjoint(job.tasks)]
    singles = (Job("base", (task,)) for task in free[0].tasks) if free and len(free[0].tasks) > 1 else ()
    return next((job for job in (*free, *singles) if fits(job)), None)


def within_breadth(
    job: Job | None,
    progress: Progress,
    cost: CostModel,
    preset: Preset,
    running: set[Job],
    device: str,
    seconds_left: float,
    devices: Sequence[str],
) -> bool:
    """Whether this job of the breadth pass is due: where programs are searched, as long as the pass stays within its share of the
    device time, spent and left (the first job always does); elsewhere it is the only cheap answer, and always due."""
    if job is None:
        return False
    if preset.program is None or not searches(device):
        return True
    base = [job, *(other for other in running if other.stage == "base")]
    spent = progress.seconds["base"] + sum(cost.seconds(other, device) for other in base)
    count = sum(not name.startswith("search") for name in devices) or 1
    every = sum(progress.seconds.values()) + count * seconds_left
    return spent <= preset.breadth * every or not (progress.answered or len(base) > 1)


def joint_is_due(progress: Progress, preset: Preset, running: set[Job], early: Job | None) -> bool:
    """Whether the joint adapter is to be trained now: nobody does, and no cheap answer is left or another device is at them."""
    stages = {job.stage for job in running}
    wanted = preset.ttt and preset.joint is not None and not progress.joint and "joint" not in stages
    return wanted and ("base" in stages or early is None)


def cheap_job(
    answer: Job | None,
    search: Job | None,
    progress: Progress,
    cost: CostModel,
    preset: Preset,
    running: set[Job],
    device: str,
) -> Job | None:
    """The model's cheap answers or a first search, by gain per second; the very first batch at once, so that there are any."""
    if answer is None or search is None:
        return answer or search
    if not progress.answered and not any(job.stage == "base" for job in running):
        return answer
    gains = preset.gains
    (task,) = search.tasks
    found = gains.program(cost.sizes[task], progress.shown(task))
    return best([(gains.cheap * len(answer.tasks), answer), (found, search)], cost, device)


def due_seconds(
    longest: Sequence[Job], ahead: float, after: float, cost: CostModel, device: str, devices: Sequence[str], seconds_left: float
) -> float:
    """Seconds of the longest of the model's jobs that the device may begin now, so that all devices end together; 0 where gain
    per second is to choose.

    `longest`: the job of the most work of each kind. `ahead`: seconds of all that is left to start, were this the only device;
    `after`: of further views that may follow. Where that does not fit into the time left, not all will be done, and it matters
    what is. Else the longest is due, with the views that may follow it, where it could outlast the others' even shares
    (`LONGEST_FIRST`). A slow device begins no job that would much outlast the longest on the fastest (`TAKEN_OVER`).
    """
    speed = cost.speed(device, "ttt")
    speeds = [cost.speed(name, "ttt") for name in devices if not name.startswith("search")] or [speed]
    alike = sum(speeds) / speed  # devices like this one that all are worth
    if not longest or cost.margin(device, "ttt") * (ahead + after) > alike * seconds_left:
        return 0.0
    chain = max(
        cost.seconds(job, device) + (cost.views_work(job) / cost.speed(device, "views") if job.stage == "ttt" else 0.0)
        for job in longest
    )
    if LONGEST_FIRST * chain * alike < ahead:
        return 0.0
    alone = max(cost.seconds(job, device) for job in longest) * min(1.0, TAKEN_OVER * speed / max(speeds))
    return max(ahead / alike, alone) * (1 + 1e-9)


def cut_training(untrained: Sequence[Job], cost: CostModel, device: str, seconds_left: float) -> Job | None:
    """A training that was begun, else the shortest, where the clock leaves it its least share and the decoding after it."""
    for _, _, _, job in sorted((not job.first_step, cost.work(job), job.tasks, job) for job in untrained):
        if LEAST_SHARE * cost.seconds(job, device) + cost.decode_seconds(job, device) <= seconds_left:
            return job
    return None


def cut_search(
    progress: Progress, cost: CostModel, preset: Preset, running: set[Job], device: str, seconds_left: float
) -> Job | None:
    """The search that gains most per second, where none fits: what it finds until the clock cuts it counts."""
    if seconds_left < LEAST_SEARCH:
        return None
    return best(open_program_jobs(progress, cost.sizes, preset, running, device), cost, device)


def may_go_on(job: Job, progress: Progress, cost: CostModel, device: str, devices: Sequence[str]) -> bool:
    """Whether a device may do a job, as far as that is a training which another one has begun (`TAKEN_OVER`)."""
    other = progress.parked_by.get(job.tasks[0]) if job.first_step else None
    if other == device or other not in devices:
        return True
    return TAKEN_OVER * cost.seconds(job, device) <= cost.seconds(job, other)


def next_slice(job: Job, cost: CostModel, device: str, seconds_left: float) -> Job:
    """The part of a job that a device does before everything is weighed anew: of a training the next of the preset's slices,
    unless it is the last one or little more than the rest fits (`SLICED_ABOVE`); any other job whole."""
    if job.stage != "ttt":
        return job
    steps = planned_steps(cost.sizes[job.tasks[0]], cost.preset)
    num_steps = -(-steps // cost.preset.slices)
    rest = cost.margin(device, kind(job)) * cost.seconds(job, device)
    if job.first_step + num_steps >= steps or SLICED_ABOVE * rest > seconds_left:
        return job
    return replace(job, num_steps=num_steps)


def train_seconds(job: Job, cost: CostModel, preset: Preset, device: str, seconds_left: float) -> float:
    """The seconds from now that the training of a job may take: a task's leaves time to decode, a joint one has its share."""
    if job.stage == "ttt":
        return seconds_left - cost.decode_seconds(job, device)
    return preset.joint.share * seconds_left if job.stage == "joint" else seconds_left


def best(jobs: list[tuple[float, Job]], cost: CostModel, device: str) -> Job | None:
    """The job with the greatest gain per second."""
    rated = [(-gain / cost.seconds(job, device), job.stage, job.tasks, job.first_view, job) for gain, job in jobs]
    return min(rated, default=(None,))[-1]


def exhausted(progress: Progress, sizes: dict[str, TaskSize], preset: Preset) -> bool:
    """Whether nothing is left to do however much time there were."""
    waiting = preset.ttt and preset.joint is not None and not progress.joint
    left = (open_training_jobs(progress, sizes, preset, set()), open_program_jobs(progress, sizes, preset, set(), "search:0"))
    return not (waiting or open_base_jobs(progress, sizes, preset) or any(left))
