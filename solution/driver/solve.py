"""One job on one device: the place where models, ttt and decode meet.

In:  a `Job` and an `AdaptedModel`. Out: a `Result`. The same job gives the same result whenever and beside whatever it runs; a
training in slices, by whichever workers, the same as in one piece. Between its slices it is parked on the disk.
Not here: which job (`schedule`), threads and failures (`worker`).
"""

import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError

from ..arc.task import Task
from ..arc.view import View
from ..decode.settings import DecodeConfig
from ..decode.views import Decoding, decode_views, plan_view
from ..models.adapted import PREFIX, AdaptedModel
from ..models.dense import DenseLlama
from ..models.memory import LEAST_TOKENS, UNLIMITED, MemoryPlan
from ..preset import Preset
from ..schedule.job import MAX_ATTEMPTS, Job, Record
from ..select.vote import agreement, sureness
from ..ttt.data import build
from ..ttt.joint import joint_items
from ..ttt.settings import DataConfig, TrainConfig
from ..ttt.train import Parked, Trained, train
from .health import is_out_of_memory
from .journal import Result
from .searcher import Searcher
from .stored import recall, store

JOINT = "joint-adapter"
DISK_LEFT = 2**30
"""Bytes of disk that stored adapters and parked trainings leave free: journal, submission and report need them more."""
PARKED_TENSORS, PARKED_FIGURES = ("masters", "means", "squares"), ("updates", "losses", "scale", "prefix_rows")
"""Fields of a `Parked` training, as its file has them."""
SHRINKS = 2
"""How often the plan of a device is halved after memory ran out: a job that fails with a quarter is to blame itself."""
log = logging.getLogger("solution")


class Solver:
    """Does jobs with one model. `adapters` is the folder that trained adapters and parked trainings are kept in between jobs;
    `memory` limits what is computed at once, and less of it once that was too much."""

    def __init__(
        self,
        model: AdaptedModel,
        device: str,
        tasks: dict[str, Task],
        preset: Preset,
        seed: int,
        adapters: Path,
        memory: MemoryPlan = UNLIMITED,
    ):
        self.model, self.device, self.tasks, self.seed, self.adapters, self.memory = model, device, tasks, seed, adapters, memory
        self.preset = within_memory(preset, memory)
        self._untrained: DenseLlama | None = None
        self._parked_here: tuple[Path, Parked] | None = None  # what the job before has parked, and where
        self._used_up: list[Path] = []  # files that nobody needs once the job before is in the journal
        self._searcher = Searcher(device, tasks, preset, seed)
        self._shrunk = 0

    def __call__(self, job: Job, train_time_used: Callable[[], float], out_of_time: Callable[[], bool]) -> Result:
        """Do `job`. Training stops when it has used all of its time (`train_time_used` is its share, 0 to 1 and beyond),
        decoding when `out_of_time` says so. A slice whose training is so stopped decodes with what was learnt."""
        start = time.monotonic()
        for path in self._used_up:  # the job before is in the journal by now
            path.unlink(missing_ok=True)
        self._used_up = []
        parked_here, self._parked_here = self._parked_here, None
        if job.stage in ("program", "written"):
            return self._searcher(job, train_time_used, out_of_time)
        try:
            if job.stage == "base":
                result = self._base(job, out_of_time)
            elif job.stage == "joint":
                result = self._result(job, {}, self._train_joint(job.attempt, train_time_used))
            else:
                result = self._task(job, lambda: train_time_used() >= 1, out_of_time, parked_here)
        except Exception as error:
            if is_out_of_memory(error) and not job.attempt:  # a later attempt is smaller than the plan
                self._shrink()
            raise
        result.record = replace(result.record, seconds=round(time.monotonic() - start, 4))
        return result

    def interrupt(self) -> bool:
        """End the search in flight from another thread; False where there is none."""
        return self._searcher.interrupt()

    def _shrink(self) -> None:
        """The plan was too much for the memory that there is: halve it for all later jobs here, twice at the most."""
        self._untrained = None
        if self._shrunk == SHRINKS:
            return
        self._shrunk += 1
        self.memory, self.preset = halved(self.memory, self.preset)
        log.warning(
            "%s: out of memory: from now on training keeps the activations of up to %d tokens, decoding takes up to %d at once",
            self.device, self.memory.kept_tokens, self.memory.decode_tokens,
        )  # fmt: skip

    def _base(self, job: Job, out_of_time) -> Result:
        if self._untrained is None:
            self._untrained = DenseLlama(self.model, adapter=False, merged=self.memory.merged)
        config = smaller(self.preset.base, job.attempt)
        views = [(self.tasks[name], 0, View()) for name in job.tasks]
        return self._result(job, decode_views(self._untrained, self.model.codec, views, config, "base", out_of_time), None)

    def _task(self, job: Job, train_out_of_time, out_of_time, parked_here: tuple[Path, Parked] | None) -> Result:
        (name,) = job.tasks
        task, trained = self.tasks[name], None
        self._untrained = None  # two sets of dense weights may not fit
        if not self._per_task:
            joint = self._joint_adapter(name)
            self.model.reset() if joint is None else self.model.load_adapter(joint)  # None: its training failed
        elif job.stage == "ttt":
            try:
                trained = self._train_task(task, job, train_out_of_time, self._take_up(job, parked_here))
            except BaseException:
                if job.attempt + 1 == MAX_ATTEMPTS:
                    self._forget_parked(name)
                raise
            if job.num_steps and trained.ended != "deadline":
                self._park(job, trained)
                return self._result(job, {}, trained)
        elif not self._recall(name):  # lost or damaged: training again gives the same adapter
            trained = self._train_task(task, Job("ttt", job.tasks), train_out_of_time)
        config = smaller(self.preset.decode, job.attempt)
        numbers = range(job.first_view, job.first_view + job.num_views)
        views = [(task, number, plan_view(task, number, config, self.seed)) for number in numbers]
        llama = DenseLlama(self.model, merged=self.memory.merged)
        decodings = decode_views(llama, self.model.codec, views, config, "ttt", out_of_time)
        result = self._result(job, decodings, trained)
        if self._per_task:
            self._keep_or_forget(job, result.record)
        if job.stage == "ttt" and not result.record.cut:
            self._used_up += self._parked_files(name)
        return result

    @property
    def _per_task(self) -> bool:
        return self.preset.joint is None or self.preset.joint.per_task

    def _train_task(self, task: Task, job: Job, out_of_time, parked: Parked | None = None) -> Trained:
        """Train to the end of a "ttt" job; from where it was parked, else from the first step on."""
        config, data, kept = smaller_training(self.preset, self.memory, job.attempt)
        items = build(task, data, self.model.codec, self.seed) if config.steps else []
        start = self._joint_adapter(task.id) if self.preset.joint and parked is None else None
        rows = parked.prefix_rows if parked else self.preset.joint.prefix_tokens if start else 0
        return train(
            self.model, items, data, config, self.seed, out_of_time, start,
            prefixes={task.id: range(rows)},
            kept_tokens=kept,
            parked=parked,
            park_at=job.first_step + job.num_steps if job.num_steps else None,
        )  # fmt: skip

    def _park(self, job: Job, trained: Trained) -> None:
        """Store a training between two slices. The file that this slice began with stays until the next begins: a process that
        is killed before the slice is in the journal goes on from it."""
        steps = self._steps_behind(job, trained)
        parked = trained.parked
        path = parked_file(self.adapters, job.tasks[0], job.attempt, steps)
        tensors = {f"{kind}.{k}": tensor for kind in PARKED_TENSORS for k, tensor in enumerate(getattr(parked, kind))}
        figures = {name: getattr(parked, name) for name in PARKED_FIGURES}
        if not self._store(path, tensors, {"figures": json.dumps(figures)}):
            log.warning("the training of %s could not be parked", job.tasks[0])
        self._parked_here = path, parked

    def _steps_behind(self, job: Job, trained: Trained) -> int:
        """Steps that need not be done any more after a slice: where the training ended before the slice's end, the preset's."""
        return job.first_step + job.num_steps if trained.ended == "parked" else self.preset.train.steps

    def _take_up(self, job: Job, parked_here: tuple[Path, Parked] | None) -> Parked | None:
        """The state that a job goes on from; None where it begins anew, or where the state is lost or damaged: training again
        gives the same. Whatever else was parked of the task is of no use any more."""
        path = parked_file(self.adapters, job.tasks[0], job.attempt, job.first_step)
        parked = None
        if job.first_step:
            parked = parked_here[1] if parked_here and parked_here[0] == path else read_parked(path)
            if parked is not None:
                self.model.reset(parked.prefix_rows)
                shapes = [tensor.shape for tensor in self.model.trainable]
                fits = all([t.shape for t in getattr(parked, kind)] == shapes for kind in PARKED_TENSORS)
                parked = parked if fits else None
            if parked is None:
                log.warning("task %s is trained again: what was parked of it is lost", job.tasks[0])
        self._forget_parked(job.tasks[0], but=path)
        return parked

    def _forget_parked(self, name: str, but: Path | None = None) -> None:
        """Remove the parked trainings of a task, but for one file."""
        for path in self._parked_files(name):
            if path != but:
                path.unlink(missing_ok=True)

    def _parked_files(self, name: str) -> list[Path]:
        return [*self.adapters.glob(f"{adapter_file(self.adapters, name).stem}.*.parked")]

    def _joint_adapter(self, name: str) -> dict[str, torch.Tensor] | None:
        """The joint adapter with the task's own rows of the prefix table; None where it was lost or never trained."""
        if not self._recall(JOINT):
            log.warning("task %s does without the joint adapter: it was never trained, or is lost", name)
            return None
        tensors = self.model.adapter()
        if PREFIX in tensors:
            rows = self._prefixes()[name]
            tensors[PREFIX] = tensors[PREFIX][rows.start : rows.stop].clone()
        return tensors

    def _prefixes(self) -> dict[str, range]:
        """Task id -> its rows of the joint adapter's prefix table."""
        count = self.preset.joint.prefix_tokens
        return {name: range(k * count, (k + 1) * count) for k, name in enumerate(sorted(self.tasks))} if count else {}

    def _keep_or_forget(self, job: Job, record: Record) -> None:
        """Store a task's adapter only where the votes disagree and further views may follow; remove it after them."""
        (name,) = job.tasks
        if job.stage == "ttt" and self.preset.rounds and not record.cut and record.agreement[name] < self.preset.agreement:
            self._keep(name)
        elif job.stage == "views" and self.preset.rounds == 1:
            self._used_up.append(self._kept(name))

    def _train_joint(self, attempt: int, time_used: Callable[[], float]) -> Trained:
        """The joint adapter, on items of every task, until its passes or its time are over."""
        config, data, kept = smaller_training(self.preset, self.memory, attempt)
        joint = self.preset.joint
        items = joint_items(self.tasks.values(), joint, self.model.codec, self.seed)
        config = replace(config, steps=len(items), epochs=1, learning_rate=joint.learning_rate, flat_window=0)
        trained = train(self.model, items, data, config, self.seed, lambda: time_used() >= 1, time_used=time_used,
                        prefixes=self._prefixes(), kept_tokens=kept)  # fmt: skip
        if not self._keep(JOINT):
            raise OSError("the joint adapter could not be stored")  # no other job could use it
        return trained

    def _keep(self, name: str) -> bool:
        """Store the adapter as it is now, whole or not at all; without room for it, it will be trained again if needed."""
        return self._store(self._kept(name), self.model.adapter())

    def _store(self, path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> bool:
        """Write tensors to the folder of adapters, whole or not at all; False where that fails."""
        aside = path.with_suffix(f".{self.device.replace(':', '-')}.part")
        try:
            self.adapters.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.adapters).free < sum(t.nbytes for t in tensors.values()) + DISK_LEFT:
                raise OSError("the disk is nearly full")
            store(path, aside, tensors, metadata)
        except (OSError, SafetensorError) as error:
            log.warning("%s could not be stored: %s", path.name, error)
            return False
        return True

    def _recall(self, name: str) -> bool:
        """Load a kept adapter; False where there is none that can be read."""
        try:
            self.model.load_adapter(recall(self._kept(name))[0])
        except (OSError, ValueError, KeyError):
            return False
        return True

    def _kept(self, name: str) -> Path:
        return adapter_file(self.adapters, name)

    def _result(self, job: Job, decodings: dict[str, Decoding], trained: Trained | None) -> Result:
        cut = any(d.cut for d in decodings.values()) or (trained is not None and trained.ended == "deadline")
        # Of all views decoded, not only of those that became a grid; of the least sure test input.
        shares = {
            name: min(agreement(test) * len(test) for test in d.candidates) / job.num_views for name, d in decodings.items()
        }
        sure = {name: [sureness(test) for test in d.candidates] for name, d in decodings.items()}
        tokens = {
            "prompt": sum(d.prompt_tokens for d in decodings.values()),
            "new": sum(d.new_tokens for d in decodings.values()),
        }
        ttt, loss, steps = None, None, 0
        if trained is not None:
            last = trained.losses[-max(1, trained.steps // 4) :]
            loss = round(sum(last) / len(last), 5) if last else None
            losses = [round(loss, 5) for loss in trained.losses]
            steps = self._steps_behind(job, trained) if job.num_steps and not cut else 0
            ttt = {"steps": trained.steps, "tokens": trained.tokens, "losses": losses, "ended": trained.ended}
        return Result(
            Record(
                job, self.device, 0.0, cut=cut, agreement=shares, loss=loss, steps=steps,
                log_prob={name: round(min(found), 4) for name, found in sure.items() if None not in found},
            ),  # fmt: skip
            {name: d.candidates for name, d in decodings.items()},
            {name: d.faults for name, d in decodings.items() if d.faults},
            ttt,
            tokens,
        )


def adapter_file(folder: Path, name: str) -> Path:
    """Where the adapter of a task, or the joint one, is kept."""
    plain = re.fullmatch(r"[0-9A-Za-z_-]{1,64}", name)  # ids are the user's: they may be no file names
    return folder / f"{name if plain else hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}.safetensors"


def parked_file(folder: Path, name: str, attempt: int, steps: int) -> Path:
    """Where a task's training waits, parked in so many steps of an attempt."""
    return adapter_file(folder, name).with_suffix(f".{attempt}.{steps}.parked")


def read_parked(path: Path) -> Parked | None:
    """A parked training; None where there is none that can be read."""
    try:
        found, words = recall(path)
        figures = json.loads(words["figures"])
        kinds = {kind: [] for kind in PARKED_TENSORS}
        for k in range(len(found) // len(kinds)):
            for kind, tensors in kinds.items():
                tensors.append(found[f"{kind}.{k}"])
        figures["losses"] = tuple(figures["losses"])
        return Parked(**{kind: tuple(tensors) for kind, tensors in kinds.items()}, **figures)
    except (OSError, KeyError, TypeError, ValueError):
        return None


def can_read_adapter(folder: Path, name: str) -> bool:
    """Whether a kept adapter is there and whole."""
    try:
        return bool(recall(adapter_file(folder, name))[0])
    except (OSError, ValueError):
        return False


def within_memory(preset: Preset, memory: MemoryPlan) -> Preset:
    """The preset with no batch larger than the memory plan's, and no item that would not fit alone."""

    def decoded(config):
        return replace(config, batch_tokens=min(config.batch_tokens, memory.decode_tokens))

    return replace(
        preset,
        data=replace(preset.data, max_tokens=min(preset.data.max_tokens, memory.train_tokens)),
        train=replace(preset.train, batch_tokens=min(preset.train.batch_tokens, memory.train_tokens)),
        decode=decoded(preset.decode),
        base=decoded(preset.base),
    )


def halved(memory: MemoryPlan, preset: Preset) -> tuple[MemoryPlan, Preset]:
    """Half the plan, and the preset within it: batches of half the tokens to decode, and to train on with activations kept. The
    batches of trainings get smaller only where none keep theirs: a parked training goes on with the steps that it began with."""
    kept = min(memory.kept_tokens, preset.train.batch_tokens) // 2
    decode = min(memory.decode_tokens, max(preset.decode.batch_tokens, preset.base.batch_tokens)) // 2
    if not kept:
        preset = replace(preset, train=replace(preset.train, batch_tokens=max(1, preset.train.batch_tokens // 2)))
    memory = replace(memory, kept_tokens=kept, decode_tokens=max(LEAST_TOKENS, decode))
    return memory, within_memory(preset, memory)


def smaller(config: DecodeConfig, attempt: int) -> DecodeConfig:
    """The configuration for a job that failed `attempt` times: a quarter of the batch each time, then shorter prompts."""
    return replace(
        config,
        batch_tokens=config.batch_tokens >> 2 * attempt,
        max_prompt_tokens=config.max_prompt_tokens >> max(0, attempt - 1),
    )


def smaller_training(preset: Preset, memory: MemoryPlan, attempt: int) -> tuple[TrainConfig, DataConfig, int]:
    """The training of a job that failed `attempt` times, and the tokens of a batch that may keep their activations.

    First a quarter of the batch, activations computed twice; then also items of half the preset's length or the memory's, with
    fewer demonstrations. What still fails is skipped (`schedule.job.MAX_ATTEMPTS`).
    """
    train_config = replace(
        preset.train,
        batch_tokens=preset.train.batch_tokens >> 2 * attempt,
        batch_size=max(1, preset.train.batch_size >> 2 * attempt),
    )
    shorter = max(0, attempt - 1)
    data = replace(preset.data, max_tokens=preset.data.max_tokens >> shorter, shorten=preset.data.shorten or shorter > 0)
    return train_config, data, memory.kept_tokens if attempt == 0 else 0
