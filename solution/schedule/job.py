"""`Job`, `Record`, `Progress`: what is to be done, what was done, and what follows from all that was done.

In:  the journal's records. Out: a `Progress` that the allocator reads. No clock, no I/O.
A job's result depends on the weights, the preset, the seed and the job alone, never on when or beside what it ran:
whatever the interleaving, the same set of finished jobs gives the same submission.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

STAGES = ("base", "program", "written", "joint", "ttt", "views")
STAGE_NAMES = {
    "base": "cheap answer",
    "program": "program search (behaviours)",
    "written": "written programs (texts)",
    "joint": "joint adapter",
    "ttt": "training + first views",
    "views": "more views",
}
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Job:
    """One slice of work for one device.

    "base": one greedy view of each of `tasks`, before training. "program": search for programs that explain the one task, in the
    preset's round number `first_view`. "written": let the preset's author write programs for the one task. "joint": train the
    joint adapter on items of all tasks, where the preset asks for it; `tasks` is empty. "ttt": train the adapter of the one task
    from step `first_step` on, where an earlier job of the same attempt parked it; 0 begins anew. With `num_steps` 0 it trains to
    the end and decodes the task's first views, else it parks the training again after so many steps. "views": decode views number
    `first_view` to `first_view + num_views` with that adapter. `attempt` counts failures so far; each makes the job smaller.
    """

    stage: str
    tasks: tuple[str, ...]
    first_view: int = 0
    num_views: int = 1
    attempt: int = 0
    first_step: int = 0
    num_steps: int = 0


@dataclass(frozen=True)
class TaskSize:
    """What the cost model knows of a task: prompt tokens and expected answer tokens summed over its test inputs,
    tokens of one D_TTT item, and counts."""

    prompt_tokens: int
    answer_tokens: int
    item_tokens: int
    num_tests: int
    num_train: int


@dataclass(frozen=True)
class Record:
    """A job that ended: on which device, in how many seconds, over how many tokens, and with what.

    `agreement`: task -> share of the job's views that gave the most frequent grid, for its least sure test input. `log_prob`:
    task -> mean log-probability that the model gave that grid. `loss`: of the training's last quarter, nats a token.
    `explained`: programs fit every demonstration, and their answers are likely right; `confidence`: how likely one of their
    two best is, None where none fit. `ok` is False for a failure, `cut` True where the clock stopped it: a cut job's candidates
    count, but the job may be done again. `steps`: of a training that ended before its slice did, all that its preset plans:
    decoding is left.
    """

    job: Job
    device: str
    seconds: float
    ok: bool = True
    cut: bool = False
    explained: bool = False
    agreement: dict[str, float] = field(default_factory=dict)
    log_prob: dict[str, float] = field(default_factory=dict)
    loss: float | None = None
    confidence: float | None = None
    steps: int = 0

    @property
    def parked(self) -> bool:
        """Whether the job was a slice of a training that another job goes on with; its task is not yet trained."""
        return self.ok and not self.cut and self.job.num_steps > 0


@dataclass(frozen=True)
class Shown:
    """What the journal shows of one task, for the gain model; None is what was not measured, or where nothing was found.

    `answered`: its cheap answer is there; `untrained`: the log-probability of that. `views`: decoded by the trained model, 0
    before; `agreement`, `log_prob`: of those, as in `Record`; `loss`: of its training. `searched`: rounds of program search;
    `explained`, `confidence`: what they found.
    """

    answered: bool = False
    untrained: float | None = None
    views: int = 0
    agreement: float | None = None
    log_prob: float | None = None
    loss: float | None = None
    searched: int = 0
    explained: bool = False
    confidence: float | None = None


class Progress:
    """All that the allocator needs to know of the records so far; `add` them in any order."""

    def __init__(self):
        self.answered: set[str] = set()  # tasks with their cheap answer
        self.trained: set[str] = set()
        self.steps: Counter = Counter()  # (task, attempt) -> steps of its training that are behind it, parked
        self.parked_by: dict[str, str] = {}  # task -> the device that did them
        self.searched: Counter = Counter()  # rounds of program search done
        self.written: set[str] = set()  # tasks for which programs were written
        self.explained: set[str] = set()
        self.joint = False  # the joint adapter is trained, or given up
        self.next_view: dict[str, int] = defaultdict(int)
        self.rounds: Counter = Counter()
        self.agreement: dict[str, float] = {}  # of the trained model's views
        self.log_prob: dict[str, float] = {}
        self.untrained: dict[str, float] = {}  # log-probabilities of cheap answers
        self.loss: dict[str, float] = {}
        self.confidence: dict[str, float] = {}
        self.failures: dict[tuple, int] = {}  # (stage, tasks, first view) -> attempts that failed
        self.seconds: Counter = Counter()  # stage -> device-seconds, but for those of workers that only search

    def add(self, record: Record) -> None:
        """Take one more record into account."""
        job = record.job
        if not record.device.startswith("search"):
            self.seconds[job.stage] += record.seconds
        if not record.ok:
            self.failures[job.stage, job.tasks, job.first_view] = job.attempt + 1
            self.joint |= job.stage == "joint" and job.attempt + 1 == MAX_ATTEMPTS
            return
        if job.stage == "joint":  # it takes the time it is given: cut is done
            self.joint = True
            return
        if record.explained:
            self.explained |= set(job.tasks)
        if record.confidence is not None:
            (task,) = job.tasks
            self.confidence[task] = max(record.confidence, self.confidence.get(task, 0.0))
        if record.cut:
            return
        if job.stage == "program":
            self.searched[job.tasks[0]] = max(self.searched[job.tasks[0]], job.first_view + 1)
            return
        if job.stage == "written":
            self.written |= set(job.tasks)
            return
        if job.stage == "base":
            self.answered |= set(job.tasks)
            self.untrained |= record.log_prob
            return
        (task,) = job.tasks
        if record.loss is not None and (job.first_step or not record.parked):  # a first slice's says too little
            self.loss[task] = record.loss
        if record.parked:
            done = max(record.steps, job.first_step + job.num_steps)
            self.steps[task, job.attempt] = max(self.steps[task, job.attempt], done)
            self.parked_by[task] = record.device
            return
        self.agreement |= record.agreement
        self.log_prob |= record.log_prob
        if job.stage == "ttt":
            self.trained.add(task)
        else:
            self.rounds[task] += 1
        self.next_view[task] = max(self.next_view[task], job.first_view + job.num_views)

    def shown(self, task: str) -> Shown:
        """What is known of one task."""
        return Shown(
            task in self.answered, self.untrained.get(task), self.next_view.get(task, 0), self.agreement.get(task),
            self.log_prob.get(task), self.loss.get(task), self.searched.get(task, 0), task in self.explained,
            self.confidence.get(task),
        )  # fmt: skip
