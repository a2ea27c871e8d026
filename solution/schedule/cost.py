"""The cost model: how many seconds a job will take on a device.

In:  task sizes, the preset, what finished jobs took. Out: seconds. Pure; learns online from the run's own records.
Work is counted in token-passes: one token once forward through the model; training counts three, and attention adds to a
token in proportion to its context. Speed is learnt per device and stage, and starts from one device-wide guess.
"""

from collections import defaultdict

from ..preset import Preset
from .job import Job, TaskSize

ATTENTION_TOKENS = 3000
"""Context length at which attention costs as much as the rest of a small Llama (hidden 256): an estimate, not measured."""
STEP_PASSES = 8
"""A decoding step's cost for one row, in token-passes: it is bound by launches and memory, not arithmetic."""
TRANSFORMATIONS = {"none": 1, "symmetries": 8, "paper": 24}
"""Versions of an item, itself included, before permutations (`ttt.data`, `arc.transforms`)."""
TRY_SECONDS = 4e-6
"""One step tried on one input of 10 x 10 cells, on one core: a prior, corrected by what is measured."""
FIRST_GUESS = 10000.0
"""Token-passes a second where nothing at all was measured (one CPU core, 6M parameters)."""


def token_passes(tokens: int, length: int) -> float:
    """Token-passes of `tokens` tokens in contexts of `length`."""
    return tokens * (1 + length / ATTENTION_TOKENS)


def decode_work(size: TaskSize, views: int, max_prompt_tokens: int) -> float:
    """Token-passes of decoding `views` views of every test input of a task."""
    prompt = min(size.prompt_tokens, size.num_tests * max_prompt_tokens)
    return views * (token_passes(prompt, prompt // size.num_tests) + STEP_PASSES * size.answer_tokens)


def train_work(size: TaskSize, preset: Preset) -> float:
    """Token-passes of a task's whole test-time training."""
    batch = max(1, min(preset.train.batch_size, preset.train.batch_tokens // max(1, size.item_tokens)))
    variants = TRANSFORMATIONS[preset.data.transformations] * (1 + preset.data.permutations)
    held_out = size.num_train
    if preset.data.kind == "leave_one_out" and held_out * variants < preset.data.max_items and held_out > 2:
        held_out *= size.num_train  # leave-two-out fills up
    epochs_end = preset.train.epochs * -(-min(held_out * variants, preset.data.max_items) // batch)
    steps = min(preset.train.steps, epochs_end)
    return 3 * steps * batch * token_passes(size.item_tokens, size.item_tokens)


def joint_work(sizes: dict[str, TaskSize], preset: Preset) -> float:
    """Token-passes of the joint adapter's training, were it not for the clock."""
    shown = [s.item_tokens for s in sizes.values() if s.item_tokens <= preset.joint.max_tokens]
    return 3 * preset.joint.passes * sum(token_passes(tokens, tokens) for tokens in shown)


class CostModel:
    """Predicts seconds from work; `observe` feeds it finished jobs. `guess`: token-passes a second until then."""

    def __init__(self, sizes: dict[str, TaskSize], preset: Preset, guess: float = FIRST_GUESS):
        self.sizes, self.preset, self.guess = sizes, preset, guess
        self._work = defaultdict(float)  # (device, stage) -> token-passes done
        self._seconds = defaultdict(float)

    def work(self, job: Job) -> float:
        """Token-passes of a job; seconds by a prior of a program search."""
        if job.stage == "base":
            return sum(decode_work(self.sizes[t], 1, self.preset.base.max_prompt_tokens) for t in job.tasks)
        if job.stage == "joint":
            return joint_work(self.sizes, self.preset)
        size = self.sizes[job.tasks[0]]
        if job.stage == "program":  # seconds on the core that the prior is of, so its speed is about 1
            inputs = size.num_train + size.num_tests
            return TRY_SECONDS * self.preset.program.tries[job.first_view] * (inputs + size.prompt_tokens / 100)
        decode = decode_work(size, job.num_views, self.preset.decode.max_prompt_tokens)
        trains = job.stage == "ttt" and (self.preset.joint is None or self.preset.joint.per_task)
        return decode + (train_work(size, self.preset) if trains else 0.0)

    def observe(self, job: Job, device: str, seconds: float) -> None:
        """Take a finished job into account."""
        self._work[device, job.stage] += self.work(job)
        self._seconds[device, job.stage] += seconds

    def speed(self, device: str, stage: str) -> float:
        """Token-passes a second: this device's in this stage, else its own in any, else any device's, else the guess."""
        neural = [k for k in self._seconds if k[1] != "program"]
        others = [] if stage == "program" else [[k for k in neural if k[0] == device], neural]
        for keys in ([(device, stage)], [k for k in self._seconds if k[1] == stage], *others):
            seconds = sum(self._seconds.get(k, 0.0) for k in keys)
            if seconds > 0:
                return sum(self._work[k] for k in keys) / seconds
        return 1.0 if stage == "program" else self.guess

    def seconds(self, job: Job, device: str) -> float:
        """Predicted seconds of `job` on `device`."""
        return self.work(job) / self.speed(device, job.stage)

    def decode_seconds(self, job: Job, device: str) -> float:
        """Predicted seconds of the part of a "ttt" job that follows the training."""
        return decode_work(self.sizes[job.tasks[0]], job.num_views, self.preset.decode.max_prompt_tokens) / self.speed(
            device, "views" if ("views" in {k[1] for k in self._seconds}) else "base"
        )
