"""Full fine-tuning of a pre-trained Llama by trl's SFTTrainer, with Unsloth where there is a GPU for it.

In:  `SftSettings`, a mixture's recipe. Out: OUT/final (config.json, model.safetensors in bf16, `weights.pack.DETAILS`);
     beside it OUT/base (the base, cut to our codec), OUT/checkpoint-N (everything to go on exactly), OUT/log.jsonl.
Called again with the same settings it goes on from the last checkpoint. Several GPUs: under `accelerate launch`, one
process each, every one with its own part of each step's sequences; the first one alone prints and writes.
float32 weights; products in bf16 (fp16 with a loss scale before Ampere) by autocast.
Not here: the base (`pretrained`), tasks (`mixture`), our own loop for small Llamas (`train`), packing (`weights.pack`).
"""

import ctypes
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..codec.arc16 import PAD, Arc16
from ..codec.prompt import Prompt
from ..models.precision import compute_dtype
from .batches import POOL_SEQUENCES, PoolMaker, collate
from .mixture import Mixture
from .throughput import peak_flops, training_flops
from .unsloth_full import choose_backend, load_unsloth

IGNORED = -100
SCHEDULES = ("cosine", "linear")
CHECKPOINTS_KEPT = 2
MAY_CHANGE = ("out", "minutes", "save_steps", "log_steps", "device", "backend", "gradient_checkpointing")
"""Settings in which a run that goes on may differ from its beginning: the others say what is computed."""


@dataclass(frozen=True)
class SftSettings:
    """Every hyperparameter of a run. A step reads `batch_size * accumulate` sequences in each process.

    `base`: what `pretrained.find_base` finds. `minutes`: stop and save then (0: no limit); the schedule goes by `steps` alone,
    so that an interrupted run ends as an uninterrupted one. `loaders`: processes that make batches (0: the training's own).
    `backend`: "auto" is Unsloth on a GPU with bf16 where it can be imported, else "transformers". The learning rate is a
    prior, between the paper's 2.5e-5 for 8B and what 100M models are pre-trained with; it is not measured. `positions`: after
    20,000 tokens the base's own gave SmolLM2-135M an output loss of 0.78, "grid" 1.22 on the same sequences; which is ahead
    after millions is not known. "grid" holds any task, the base's own no more than it was made for (SmolLM2: 8192 tokens).
    """

    out: str
    base: str = "smollm2"
    positions: str = "sequential"
    steps: int = 1000
    minutes: float = 0.0
    learning_rate: float = 3e-4
    schedule: str = "cosine"
    warmup: int = 100
    weight_decay: float = 0.0
    batch_size: int = 8
    accumulate: int = 4
    max_len: int = 2048
    gradient_checkpointing: bool = False
    save_steps: int = 200
    log_steps: int = 10
    loaders: int = 0
    seed: int = 0
    device: str = "cpu"
    backend: str = "auto"


class Collator:
    """The sequences of a step by their numbers: a pure function of (mixture, settings, number).

    trl takes only Hugging Face data sets, and those of examples would be stored, hashed and sent around. So its data set is
    the bare numbers 0, 1, 2, ..., which it deals out, splits between processes and skips on resumption, and this makes
    the examples. Micro-batch k has numbers k * size and on. Its sequences are of about equal length: `PoolMaker` sorts
    pools of 256, without which half of each batch would be padding. Micro-batch k is in a pool of lane k modulo `lanes`, one
    lane for each loader of each process, so that no two of them make the same pool.
    """

    def __init__(self, maker: PoolMaker, size: int, lanes: int):
        self.maker, self.size, self.lanes = maker, size, lanes
        self._number, self._pool = -1, []

    def prompts(self, micro_batch: int) -> list[Prompt]:
        turn, lane = divmod(micro_batch, self.lanes)
        batches = POOL_SEQUENCES // self.size
        number = turn // batches * self.lanes + lane
        if number != self._number:
            self._number, self._pool = number, self.maker(number)
        start = self.size * np.random.default_rng([self.maker.seed, number, 1]).permutation(batches)[turn % batches]
        return self._pool[start : start + self.size]

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        """`rows`: {"number"} of a micro-batch's sequences. -> int64 (sequences, length), padded on the right.

        `labels` are the supervised tokens themselves (trl shifts), else `IGNORED`. The attention mask is all ones: no token
        sees the padding to its right, and without a mask transformers takes jumps in the positions for borders.
        """
        batch = collate(self.prompts(rows[0]["number"] // self.size))
        return {
            "input_ids": batch.ids,
            "labels": torch.where(batch.supervised, batch.ids, IGNORED),
            "position_ids": batch.positions,
            "attention_mask": torch.ones_like(batch.ids),
        }


def trainer_class():
    """Our `SFTTrainer`. Made when asked for: Unsloth, where used, has to be imported before trl and replaces trl's own."""
    from trl import SFTTrainer

    class Trainer(SFTTrainer):
        """Its loss without trl's kernel; tokens/s and MFU with every line of the log.

        trl 1.15 has one way to the loss, a Triton kernel that works through the vocabulary in tiles of 32,768. Without a GPU
        that fails ("0 active drivers": Triton finds no device to compile for), and no loss_type avoids it. For 16 tokens it
        has no use on a GPU either. `compute_loss` is what trl says to override: here plain cross-entropy on the logits,
        which also needs no labels inside the model (Unsloth would hand back empty logits then).
        """

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            """The mean nll of the step's supervised tokens: `num_items_in_batch` counts those of all its parts and processes,
            whose gradients DDP averages."""
            ids, labels = inputs["input_ids"], inputs["labels"][:, 1:]
            output = model(
                input_ids=ids, position_ids=inputs["position_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            )
            logits = output.logits[:, :-1].float()  # (sequences, length - 1, vocabulary)
            nll = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
            learnt = labels != IGNORED
            with torch.no_grad():
                right = (logits.argmax(-1) == labels).sum()
                read = (nll, right, learnt.sum(), (ids != PAD).sum(), torch.tensor(len(ids), device=ids.device))
                self.meter.add(torch.stack([value.double() for value in read]))
            if num_items_in_batch is None:
                loss = nll / learnt.sum()
            else:
                loss = nll / num_items_in_batch * self.accelerator.num_processes
            return (loss, output) if return_outputs else loss

        def log(self, logs, start_time=None):
            if "loss" in logs:
                logs |= self.meter.row(self.state)
                if self.is_world_process_zero():
                    print(json.dumps(logs), flush=True)
                    with open(Path(self.args.output_dir) / "log.jsonl", "a") as file:
                        file.write(json.dumps(logs) + "\n")
            super().log(logs, start_time)

        def _save_checkpoint(self, model, trial):
            self.meter.gather(self.state)  # the count of tokens is part of the checkpoint
            super()._save_checkpoint(model, trial)

        def create_model_card(self, *arguments, **options):
            """None: the manifest entry says what a model card would."""

    return Trainer


class Meter:
    """Loss and speed since the last line of the log, over all processes. MFU: FLOPs of the tokens read, padding left out."""

    def __init__(self, trainer, peak: float):
        self.accelerator, self.args, self.config, self.peak = trainer.accelerator, trainer.args, trainer.model.config, peak
        self.parameters = sum(p.numel() for p in trainer.model.parameters())
        self.here = torch.zeros(5, dtype=torch.float64, device=trainer.args.device)
        self.everywhere, self.begin = torch.zeros(5, dtype=torch.float64), time.monotonic()
        self.since = self.begin

    def add(self, sums: torch.Tensor) -> None:
        """`sums`: nll, right and count of the supervised tokens, tokens without padding, sequences."""
        self.here += sums

    def gather(self, state) -> None:
        """Sum up over the processes, and count the tokens in the trainer's state, which checkpoints keep."""
        new = self.accelerator.reduce(self.here, reduction="sum").cpu()
        self.everywhere += new
        state.num_input_tokens_seen += int(new[3])
        self.here.zero_()

    def row(self, state) -> dict:
        """What one line of the log adds, and start anew. Raises `NonFiniteError` where the loss is no number any more."""
        self.gather(state)
        nll, right, count, tokens, sequences = self.everywhere.tolist()
        if not np.isfinite(nll):
            from ..models.adapted import NonFiniteError  # imports transformers, which Unsloth has to come before

            raise NonFiniteError(f"the loss is {nll} before step {state.global_step}: go on from an earlier checkpoint")
        now = time.monotonic()
        seconds = now - self.since
        flops = training_flops(self.parameters, self.config, int(tokens), tokens / sequences)
        self.everywhere.zero_()
        self.since = now
        if self.args.device.type == "cpu" and os.name == "posix":
            ctypes.CDLL(None).malloc_trim(0)  # varying shapes fragment the heap by gigabytes otherwise
        return {"step": state.global_step, "tokens": state.num_input_tokens_seen, "output_loss": round(nll / count, 4),
                "output_accuracy": round(right / count, 4), "tokens_per_s": round(tokens / seconds),
                "mfu": round(flops / seconds / self.peak, 3), "minutes": round((now - self.begin) / 60, 2)}  # fmt: skip


def time_limit(minutes: float, begin: float, clock: Callable[[], float] = time.monotonic):
    """A callback that saves and stops `minutes` after `begin`. The first process's clock counts for all of them."""
    from accelerate.utils import broadcast
    from transformers import TrainerCallback

    class TimeLimit(TrainerCallback):
        def on_step_end(self, args, state, control, **rest):
            over = torch.tensor(float(clock() - begin > 60 * minutes), device=args.device)
            if float(broadcast(over) if args.world_size > 1 else over):
                control.should_save = control.should_training_stop = True

    return TimeLimit()


def last_checkpoint(out: Path) -> Path | None:
    """The newest checkpoint that was written to its end (its trainer_state.json comes last)."""
    whole = [path.parent for path in out.glob("checkpoint-*/trainer_state.json")]
    return max(whole, key=lambda folder: int(folder.name.split("-")[1]), default=None)


def check_same_run(settings: SftSettings, processes: int, out: Path) -> None:
    """Raises `ValueError` where the checkpoints in `out` belong to other settings; what is computed must not change midway."""
    now = {k: v for k, v in asdict(settings).items() if k not in MAY_CHANGE} | {"processes": processes}
    before = json.loads((out / "settings.json").read_text())
    changed = [f"{name} {before.get(name)!r}, now {value!r}" for name, value in now.items() if before.get(name) != value]
    if changed:
        raise ValueError(f"{out}: holds checkpoints of another run ({'; '.join(changed)})")


def fine_tune(settings: SftSettings, build: Callable[[], Mixture]) -> Path:
    """Train to the end of `settings`, or on from the last checkpoint in OUT; the folder OUT/final.

    `build` makes the mixture. Raises `WeightsError` for a base that cannot be used, `ValueError` for settings that cannot
    be, `NonFiniteError` where the loss is lost.
    """
    begin = time.monotonic()
    out, dtype = Path(settings.out), compute_dtype(torch.device(settings.device))
    if settings.schedule not in SCHEDULES:
        raise ValueError(f"schedule {settings.schedule!r} is not one of {', '.join(SCHEDULES)}")
    if POOL_SEQUENCES % settings.batch_size:
        raise ValueError(f"a batch of {settings.batch_size} sequences does not divide pools of {POOL_SEQUENCES}")
    backend = choose_backend(settings.backend, dtype)

    from datasets import Dataset
    from transformers import AutoTokenizer, LlamaConfig, PrinterCallback
    from transformers.utils.logging import disable_progress_bar
    from trl import SFTConfig

    from ..models.load import read_llama
    from ..weights.pack import DETAILS
    from .pretrained import write_base, write_llama

    disable_progress_bar()
    arguments = SFTConfig(
        output_dir=str(out), max_steps=settings.steps, learning_rate=settings.learning_rate, lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup, weight_decay=settings.weight_decay, adam_beta2=0.95, max_grad_norm=1.0,
        per_device_train_batch_size=settings.batch_size, gradient_accumulation_steps=settings.accumulate,
        max_length=None, packing=False, padding_free=False,
        gradient_checkpointing=settings.gradient_checkpointing, bf16=dtype == torch.bfloat16, fp16=dtype == torch.float16,
        use_cpu=settings.device == "cpu", save_steps=settings.save_steps, save_total_limit=CHECKPOINTS_KEPT,
        logging_steps=settings.log_steps, logging_nan_inf_filter=False, report_to="none", disable_tqdm=True, seed=settings.seed,
        train_sampling_strategy="sequential", remove_unused_columns=False, dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_num_workers=settings.loaders, dataloader_pin_memory=settings.device != "cpu",
        dataloader_multiprocessing_context="forkserver" if settings.loaders else None,  # threads and CUDA do not survive a fork
        dataloader_prefetch_factor=POOL_SEQUENCES // settings.batch_size if settings.loaders else None,  # a pool ahead
        ddp_find_unused_parameters=False,
    )  # fmt: skip
    processes, first = arguments.world_size, arguments.process_index == 0
    checkpoint = last_checkpoint(out)
    if checkpoint:
        check_same_run(settings, processes, out)
    with arguments.main_process_first(local=False):
        if first and not checkpoint:
            write_base(settings.base, settings.positions, settings.max_len, out / "base")
            (out / "settings.json").write_text(json.dumps(asdict(settings) | {"processes": processes}, indent=1))

    if backend == "unsloth":
        lm = load_unsloth(out / "base", settings.positions, arguments.device, settings.gradient_checkpointing)
    else:
        lm = read_llama(out / "base", torch.float32, settings.positions).train()
    maker = PoolMaker(build, Arc16(settings.positions), settings.max_len, settings.seed)
    sequences = settings.steps * settings.accumulate * settings.batch_size * processes
    trainer = trainer_class()(
        model=lm, args=arguments, data_collator=Collator(maker, settings.batch_size, processes * max(settings.loaders, 1)),
        train_dataset=Dataset.from_dict({"number": np.arange(sequences)}),
        processing_class=AutoTokenizer.from_pretrained(out / "base"),
        callbacks=[time_limit(settings.minutes, begin)] if settings.minutes else [],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    peak = peak_flops(arguments.device, dtype, torch.get_num_threads())
    trainer.meter = Meter(trainer, peak * processes)
    if first:
        print(f"{trainer.meter.parameters / 1e6:.1f}M parameters, {settings.positions} positions, {backend}, {processes} x "
              f"{arguments.device.type}, from {checkpoint.name if checkpoint else settings.base}; {dtype} matrix products: "
              f"{peak / 1e12:.2f} TFLOP/s", flush=True)  # fmt: skip
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    trainer.meter.gather(trainer.state)
    if first:
        details = json.loads((out / "base" / DETAILS).read_text())
        details["training"] |= {"tokens": trainer.state.num_input_tokens_seen, "steps": trainer.state.global_step,
                                "processes": processes, "settings": asdict(settings)}  # fmt: skip
        state = trainer.accelerator.unwrap_model(trainer.model).state_dict()
        state = {name: tensor.bfloat16() for name, tensor in state.items()}
        write_llama(state, LlamaConfig.from_pretrained(out / "base"), details, out / "final")
    trainer.accelerator.wait_for_everyone()
    return out / "final"
