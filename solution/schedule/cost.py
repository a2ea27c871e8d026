"""The cost model: how many seconds a job will take on a device, and how far off that may be.

In:  task sizes, the preset, what finished jobs took. Out: seconds and margins. Pure; learns online from the run's own records.
Work is counted in token-passes: one token once forward through the model; training counts three, and attention adds to a
token in proportion to its context. Speed is learnt per device and kind of job. What a device has not done yet is foretold by
what others took, brought to its pace by the kinds that both have done; before anything is known, by one device-wide guess.
Late jobs count more than early ones, and a job that took far longer than foretold makes the model doubt what it knew.
Not here: what a job may bring (`gain`).
"""

import math
from collections import defaultdict
from dataclasses import replace

from ..preset import Preset
from .job import Job, TaskSize

ATTENTION_TOKENS = 3000
"""Context length at which attention costs as much as the rest of a small Llama (hidden 256). Of 1,000 to 20,000 it fits 134
recorded trainings on CPU best: their logarithms scatter by 0.16, with no trend over size."""
STEP_PASSES = 16
"""A decoding step's cost for one row, in token-passes: it is bound by launches and memory, not arithmetic. Of 4, 8, 16 and 32 it
fits 50 batches of cheap answers (scatter 0.21) and 117 rounds of further views (0.34) on CPU best."""
TRANSFORMATIONS = {"none": 1, "symmetries": 8, "paper": 24}
"""Versions of an item, itself included, before permutations (`ttt.data`, `arc.transforms`)."""
ROUND_SECONDS, TRY_SECONDS, TRY_TOKENS = 1.5, 1.06e-6, 6000
"""A round of program search takes `ROUND_SECONDS` on one core, and each try `TRY_SECONDS` for every 100 tokens of prompt and of
`TRY_TOKENS` more. The former: 67 rounds of 2,000 tries took 1.4 CPU seconds each, with no trend over size in 57 others. The
latter is fitted on 400 rounds of 20,000 tries (scatter 0.24). A prior, corrected by what is measured of each round."""
SAMPLE_SECONDS = 1.0
"""Writing one program and running it: a guess, until one task's were measured."""
FIRST_GUESS = 10000.0
"""Token-passes a second where nothing at all was measured (one CPU core, 6M parameters)."""

KEPT = 0.9
"""What a job's evidence weighs after each later job of its kind on its device: the last ten count."""
SURPRISE = math.log(2.5)
"""A job off by so much (logarithm), and by three times the model's own error, is taken for a change of its device."""
PRIOR_ERROR, PRIOR_JOBS = math.log(1.3), 4
"""Relative error of a prediction until it is known, and how many jobs that counts for."""
FAR_ERROR = math.log(3) / 2.33
"""The same for decoding before any further views were decoded: foretold by the untrained model's answers."""
FIT_DEVIATIONS, CUT_DEVIATIONS = 1.0, 2.33
"""Errors that a margin covers: where the clock may cut a job (one in six), and where that would leave nothing (one in 100)."""


def kind(job: Job) -> str:
    """What is alike in speed: a stage, for program search its round, and slices of trainings, which decode nothing."""
    if job.num_steps:
        return "slice"
    return f"program {job.first_view}" if job.stage == "program" else job.stage


def family(kind: str) -> str:
    """Kinds of job of which one tells something about the speed of another: those of the model, or those of a search."""
    stage = kind.partition(" ")[0]
    return stage if stage in ("program", "written") else "neural"


def token_passes(tokens: int, length: int) -> float:
    """Token-passes of `tokens` tokens in contexts of `length`."""
    return tokens * (1 + length / ATTENTION_TOKENS)


def decode_work(size: TaskSize, views: int, max_prompt_tokens: int) -> float:
    """Token-passes of decoding `views` views of every test input of a task."""
    prompt = min(size.prompt_tokens, size.num_tests * max_prompt_tokens)
    return views * (token_passes(prompt, prompt // size.num_tests) + STEP_PASSES * size.answer_tokens)


def items_a_step(size: TaskSize, preset: Preset) -> int:
    """Sequences of one training step."""
    return max(1, min(preset.train.batch_size, preset.train.batch_tokens // max(1, size.item_tokens)))


def planned_steps(size: TaskSize, preset: Preset) -> int:
    """Steps of a task's whole test-time training, as far as its size tells; 0 where the preset trains nothing per task."""
    if preset.joint is not None and not preset.joint.per_task:
        return 0
    variants = TRANSFORMATIONS[preset.data.transformations] * (1 + preset.data.permutations)
    held_out = size.num_train
    if preset.data.kind == "leave_one_out" and held_out * variants < preset.data.max_items and held_out > 2:
        held_out *= size.num_train  # leave-two-out fills up
    epoch = -(-min(held_out * variants, preset.data.max_items) // items_a_step(size, preset))
    return min(preset.train.steps, preset.train.epochs * epoch)


def train_work(size: TaskSize, preset: Preset, first_step: int = 0, num_steps: int = 0) -> float:
    """Token-passes of a task's test-time training from step `first_step` on, over `num_steps` steps, or with 0 to its end."""
    steps = planned_steps(size, preset)
    stop = min(steps, first_step + num_steps) if num_steps else steps
    return 3 * max(0, stop - first_step) * items_a_step(size, preset) * token_passes(size.item_tokens, size.item_tokens)


def joint_work(sizes: dict[str, TaskSize], preset: Preset) -> float:
    """Token-passes of the joint adapter's training, were it not for the clock."""
    shown = [s.item_tokens for s in sizes.values() if s.item_tokens <= preset.joint.max_tokens]
    return 3 * preset.joint.passes * sum(token_passes(tokens, tokens) for tokens in shown)


class CostModel:
    """Predicts seconds from work; `observe` feeds it finished jobs. `guess`: token-passes a second until then."""

    def __init__(self, sizes: dict[str, TaskSize], preset: Preset, guess: float = FIRST_GUESS):
        self.sizes, self.preset, self.guess = sizes, preset, guess
        # (device, kind of job) -> token-passes done, their seconds; jobs, and their squared errors; late ones weigh more
        self._work, self._seconds = {}, {}
        self._jobs, self._squares = defaultdict(float), defaultdict(float)
        self._unmeasured: dict[tuple[str, str], float] = {}  # speeds as foretold, until the next job is observed
        self._job_work: dict[Job, float] = {}

    def work(self, job: Job) -> float:
        """Token-passes of a job, of a slice of a training those of the slice alone; of a program search and of written programs,
        seconds by a prior."""
        work = self._job_work.get(job)
        if work is None:
            work = self._job_work[job] = self._count(job)
        return work

    def _count(self, job: Job) -> float:
        if job.stage == "base":
            return sum(decode_work(self.sizes[t], 1, self.preset.base.max_prompt_tokens) for t in job.tasks)
        if job.stage == "joint":
            return joint_work(self.sizes, self.preset)
        if job.stage == "written":
            return self.preset.written.samples * SAMPLE_SECONDS
        size = self.sizes[job.tasks[0]]
        if job.stage == "program":
            tries = self.preset.program.tries[job.first_view]
            return ROUND_SECONDS + TRY_SECONDS * tries * (TRY_TOKENS + size.prompt_tokens) / 100
        decode = 0.0 if job.num_steps else decode_work(size, job.num_views, self.preset.decode.max_prompt_tokens)
        return decode + (train_work(size, self.preset, job.first_step, job.num_steps) if job.stage == "ttt" else 0.0)

    def views_work(self, job: Job) -> float:
        """Token-passes of all rounds of further views that may follow a "ttt" job."""
        return self.work(Job("views", job.tasks, 0, self.preset.rounds * self.preset.more_views))

    def observe(self, job: Job, device: str, seconds: float) -> None:
        """Take a finished job into account. A slice counts in proportion; the end of a training as the whole of it, its slices
        at the device's pace."""
        whole = replace(job, first_step=0, num_steps=0)
        if job.first_step and not job.num_steps:
            job, seconds = whole, seconds + self._begun_seconds(job, device)
        work, key = self.work(job), (device, kind(job))
        if work <= 0 or seconds <= 0:
            return
        part = work / self.work(whole)
        kept = fade = KEPT**part
        if key in self._seconds:
            error = math.log(seconds * self._work[key] / (self._seconds[key] * work))
            surprise = max(SURPRISE, 3 * self.error(*key))
            self._squares[key] = fade * self._squares[key] + part * error**2
            self._jobs[key] = fade * self._jobs[key] + part
            if abs(error) > surprise:
                kept = 0.5
                for other in self._seconds:  # half believed of what the device has not done since
                    if other[0] == device and other != key:
                        self._seconds[other] *= math.exp(error / 2)
        self._work[key] = kept * self._work.get(key, 0.0) + work
        self._seconds[key] = kept * self._seconds.get(key, 0.0) + seconds
        self._unmeasured.clear()

    def speed(self, device: str, kind: str) -> float:
        """Token-passes a second of a kind of job on a device."""
        key = device, kind
        seconds = self._seconds.get(key)
        if seconds is not None:
            return self._work[key] / seconds
        if key not in self._unmeasured:
            self._unmeasured[key] = self._foretold(device, kind)
        return self._unmeasured[key]

    def _foretold(self, device: str, kind: str) -> float:
        """Of a kind of job that the device has not done: what others do it at, brought to its pace; else its own in whatever is
        alike; else any device's in that; else the guess."""
        alike = [key for key in self._seconds if family(key[1]) == family(kind)]
        others = [key[0] for key in alike if key[1] == kind]
        if others:
            ratios = [math.log(self.speed(other, kind) * self._pace(device, other, alike)) for other in others]
            return math.exp(sum(ratios) / len(ratios))
        for keys in ([key for key in alike if key[0] == device], alike):
            if keys:
                return sum(self._work[key] for key in keys) / sum(self._seconds[key] for key in keys)
        return self.guess if family(kind) == "neural" else 1.0

    def _pace(self, device: str, other: str, alike: list[tuple[str, str]]) -> float:
        """How much faster a device is than another, by what both have done; 1 where that is nothing."""
        both = [kind for name, kind in alike if name == device and (other, kind) in self._seconds]
        logs = [math.log(self.speed(device, kind) / self.speed(other, kind)) for kind in both]
        return math.exp(sum(logs) / len(logs)) if logs else 1.0

    def error(self, device: str, kind: str, prior: float = PRIOR_ERROR) -> float:
        """Relative error of a prediction (standard deviation of its logarithm): the prior's, and with ever more weight that of
        the jobs that were predicted."""
        squares = self._squares.get((device, kind), 0.0) + PRIOR_JOBS * prior**2
        return math.sqrt(squares / (self._jobs.get((device, kind), 0.0) + PRIOR_JOBS))

    def margin(self, device: str, kind: str) -> float:
        """The factor on predicted seconds within which a job ends, as far as the model's own error tells."""
        return math.exp(FIT_DEVIATIONS * self.error(device, kind))

    def seconds(self, job: Job, device: str) -> float:
        """Predicted seconds of `job` on `device`; of the end of a training the whole's less its slices', as decoding and training
        differ in speed."""
        if job.first_step and not job.num_steps:
            whole = self.seconds(replace(job, first_step=0), device)
            return max(whole - self._begun_seconds(job, device), self.work(job) / self.speed(device, "slice"))
        return self.work(job) / self.speed(device, kind(job))

    def _begun_seconds(self, job: Job, device: str) -> float:
        """Seconds of a training on `device` up to where `job` goes on with it."""
        return self.work(replace(job, first_step=0, num_steps=job.first_step)) / self.speed(device, "slice")

    def decode_seconds(self, job: Job, device: str) -> float:
        """Seconds that the decoding of a "ttt" job takes at the most, as far as the model's own error tells: cut, it would leave
        nothing of the training before it."""
        stage = "views" if any(key[1] == "views" for key in self._seconds) else "base"
        work = decode_work(self.sizes[job.tasks[0]], job.num_views, self.preset.decode.max_prompt_tokens)
        error = self.error(device, "views", FAR_ERROR)
        return math.exp(CUT_DEVIATIONS * error) * work / self.speed(device, stage)
