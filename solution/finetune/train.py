"""The training loop for small Llamas: batches -> weights.

In:  `Settings`, a mixture's recipe, optionally a folder of weights or a checkpoint of an earlier run.
Out: folders that transformers loads (config.json, model.safetensors in bf16) and that also hold everything to go on
     exactly (training_state.safetensors: fp32 masters and optimizer moments; training_state.json: counters, data
     position): OUT/latest every few minutes, OUT/stable before the decay, OUT/final; OUT/log.jsonl.
Weights in the device's type (`models.precision`) with fp32 masters; Muon on the matrices, AdamW on the rest; warm-up,
stable, linear decay to zero by time or by tokens.
Not here: pre-trained bases (`sft`), quantized weights and manifest entries (`publish`), scores.
"""

import ctypes
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from ..codec.arc16 import END, PAD, VOCABULARY_SIZE, Arc16
from ..models.adapted import NonFiniteError
from ..models.lean import can_compute
from ..models.load import read_llama
from ..models.precision import FP16_SCALE, compute_dtype
from ..models.rotary import GridRotary
from ..models.shards import write_shards
from ..weights.pack import COUNTERS
from . import ranks
from .batches import Batch, BatchStream
from .draws import Sampling
from .folders import recover, write_whole
from .mixture import Mixture
from .pack import Pack
from .settings import HEAD_DIM, Settings
from .stacked import StackedEngine
from .streams import LENGTH_MULTIPLE, PackStream
from .threaded import ThreadedEngine
from .throughput import command_line, hardware, peak_flops, training_flops

STATE = "training_state.safetensors"
AGREE_EVERY = 10
"""Steps between two looks of several processes at the first one's clock, each of which waits for the device."""
KEPT_OF_HIDDEN, KEPT_OF_INNER = 14, 6
"""Values that a layer keeps of a token for its backward pass, in hidden and in feed-forward widths: an estimate, on the safe
side."""


def learning_rate_scale(step: int, progress: float, warmup: int, decay: float) -> float:
    """Warm-up over steps, then 1, then linear to 0 over the last `decay` share of the time; `progress` is 0 to 1."""
    up = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return up * (min(1.0, (1 - progress) / decay) if decay else 1.0)


def check_supported(config: LlamaConfig) -> None:
    """Raises `ValueError` for a Llama that `models.lean` does not compute."""
    if not can_compute(config) or config.head_dim != HEAD_DIM:
        raise ValueError(f"this trains only Llamas with heads of {HEAD_DIM}, as many key heads, tied embeddings, no biases")


def start_model(settings: Settings, folder: Path | None) -> LlamaForCausalLM:
    """The Llama that training starts from, float32: that of `folder`, 16 or 4 bits, or random weights.

    Raises `ValueError` where the folder holds none, one of another size, or one trained with another position scheme.
    """
    if folder is None:
        heads = settings.hidden // HEAD_DIM
        return LlamaForCausalLM(LlamaConfig(
            vocab_size=VOCABULARY_SIZE, hidden_size=settings.hidden, num_hidden_layers=settings.layers,
            num_attention_heads=heads, num_key_value_heads=heads, intermediate_size=settings.intermediate,
            max_position_embeddings=32768, tie_word_embeddings=True, pad_token_id=PAD, bos_token_id=None, eos_token_id=END,
        ))  # fmt: skip
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder}: no weights to start from: it holds no config.json")
    scheme = position_scheme(folder)
    if scheme not in (None, settings.positions):
        raise ValueError(f"{folder} was trained with {scheme} positions, not {settings.positions}")
    model = read_llama(folder, torch.float32, settings.positions)
    config = model.config
    found = config.hidden_size, config.num_hidden_layers, config.intermediate_size
    wanted = settings.hidden, settings.layers, settings.intermediate
    if found != wanted:
        raise ValueError(f"{folder} holds {found[1]} layers of {found[0]} with feed-forward {found[2]}, not {wanted[1]} of "
                         f"{wanted[0]} with {wanted[2]}: give --hidden, --layers and --intermediate")  # fmt: skip
    return model


def position_scheme(folder: Path) -> str | None:
    """The position scheme of a folder that `Trainer.save` wrote; None where it does not say."""
    return read_counters(folder)["settings"].get("positions", "grid") if (folder / COUNTERS).is_file() else None


def read_counters(folder: Path) -> dict:
    """What `Trainer.save` wrote of a run: steps, tokens, minutes, data position, settings."""
    return json.loads((folder / COUNTERS).read_text())


class Trainer:
    """Model, fp32 masters, optimizers and counters of one run; `step` trains on a batch, `save` writes all of it.

    `resume`: a checkpoint of this very run, to go on from exactly. `recipe`: what the data are, for the record; `stages`
    lists the recipes of this run and of those that its starting weights come from, with the tokens read of each. `dtype`: of
    the forward pass. `engine`: what trains, on this kind of device.
    """

    def __init__(self, settings: Settings, resume: Path | None = None, recipe: dict | None = None):
        self.settings, self.dtype = settings, compute_dtype(torch.device(settings.device))
        torch.manual_seed(settings.seed)
        start = resume or (Path(settings.start_from) if settings.start_from else None)
        model = start_model(settings, start)
        masters = {n: p.detach() for n, p in model.named_parameters()}
        check_supported(model.config)
        self.config = model.config
        rotary = GridRotary(HEAD_DIM) if settings.positions == "grid" else model.model.rotary_emb.to(settings.device)
        engine = StackedEngine if in_flat_buffers(settings) else ThreadedEngine
        self.engine = engine(masters, self.config, settings, rotary, self.dtype)
        self.masters = self.engine.masters()
        self.num_parameters = sum(p.numel() for p in self.masters.values())
        self.steps, self.tokens, self.minutes, self.data_state = 0, settings.tokens_before, 0.0, {"seed": settings.seed}
        self.first_token, self.earlier, self.recipe = self.tokens, [], recipe
        self.began, self.shape = "random weights", None
        if start and (start / STATE).exists():
            self._restore(start, resume is not None)
        elif start:
            self._take_weights_alone(start)

    @property
    def stages(self) -> list[dict]:
        """What the weights were trained on so far, first to last: what a run began with, its recipe and tokens."""
        return [*self.earlier, {"began": self.began, "recipe": self.recipe, "tokens": self.tokens - self.first_token}]

    def _restore(self, folder: Path, same_run: bool) -> None:
        tensors, counters = load_file(folder / STATE), read_counters(folder)
        for name, tensor in ({f"master.{n}": m for n, m in self.masters.items()} | self.engine.moments()).items():
            tensor.copy_(tensors[name])
        self._go_on_from(counters, folder)
        self.steps = counters["steps"]
        if self.dtype == torch.float16:
            self.engine.loss_scale = counters.get("loss_scale", FP16_SCALE)
        self.began = "weights and optimizers of the stage before"
        if same_run:  # any other starts its schedule anew
            self.minutes, self.first_token = counters["minutes"], counters["first_token"]
            *self.earlier, this = self.earlier
            self.began = this.get("began", "unknown")
        else:
            self._take_own_seed(counters)

    def _take_weights_alone(self, folder: Path) -> None:
        """Optimizers and schedule start anew; where the folder says what its weights have read, the data go on behind it."""
        self.began = "the weights alone of the stage before, optimizers anew"
        if (folder / COUNTERS).is_file():
            self._go_on_from(counters := read_counters(folder), folder)
            self._take_own_seed(counters)
        else:
            self.earlier = [{"recipe": f"unknown: {folder} does not say", "tokens": self.tokens}]

    def _take_own_seed(self, counters: dict) -> None:
        """A seed that is not that of the stage before draws data of its own, from their beginning."""
        if counters["settings"].get("seed", 0) != self.settings.seed:
            self.data_state = {"seed": self.settings.seed}

    def _go_on_from(self, counters: dict, folder: Path) -> None:
        self.tokens, self.data_state, self.shape = counters["tokens"], counters["data"], counters.get("shape")
        self.first_token = self.tokens
        self.earlier = counters.get("stages", [{"recipe": f"unknown: {folder} does not say", "tokens": self.tokens}])

    @property
    def progress(self) -> float:
        """Share of the run that is done, 0 to 1 and beyond: by tokens where their number is set, else by time."""
        if self.settings.tokens:
            return (self.tokens - self.first_token) / self.settings.tokens
        return self.minutes / self.settings.minutes

    def save(self, folder: Path) -> None:
        """Write the folder whole: weights for transformers and the state to go on from.

        Raises `NonFiniteError` where the weights are no numbers any more: the last checkpoint stays.
        """
        if not all(torch.isfinite(m).all() for m in self.masters.values()):
            raise NonFiniteError(f"NaN or infinity in the weights at step {self.steps}; {folder} is not overwritten")
        counters = {
            "steps": self.steps, "tokens": self.tokens, "first_token": self.first_token, "minutes": self.minutes,
            "data": self.data_state, "shape": self.shape, "loss_scale": self.engine.loss_scale, "stages": self.stages,
            "settings": asdict(self.settings), "hardware": hardware(torch.device(self.settings.device)),
            "command": command_line(),
        }  # fmt: skip

        def fill(aside: Path) -> None:
            self.config.save_pretrained(aside)
            weights = {n: m.bfloat16().cpu().contiguous() for n, m in self.masters.items()}  # never the NF4-rounded ones
            write_shards(weights, aside)
            state = {f"master.{n}": m for n, m in self.masters.items()} | self.engine.moments()
            save_file({n: t.to("cpu", copy=True).contiguous() for n, t in state.items()}, aside / STATE)
            (aside / COUNTERS).write_text(json.dumps(counters, indent=1))

        write_whole(folder, fill)

    def try_to_save(self, folder: Path) -> None:
        """`save`, where a full disk costs a line and not the run."""
        try:
            self.save(folder)
        except (OSError, SafetensorError) as error:
            print(f"{folder} could not be written, the training goes on: {error}", file=sys.stderr, flush=True)

    def step(self, batches: list[Batch], scale: float, round_to_nf4: bool = False) -> torch.Tensor:
        """Train on the batches as one at `scale` times the learning rates; sums over the supervised tokens, fp64 (3,), on the
        device: nll, right ones, count."""
        sums = self.engine.step(batches, scale, round_to_nf4)
        self.steps += 1
        self.tokens += sum(batch.num_tokens for batch in batches)
        return sums


def train(
    settings: Settings, build: Callable[[], Mixture] | None, recipe: dict | None = None, pack: Pack | None = None
) -> dict:
    """Run to the end of `settings`, from OUT/latest where the run was interrupted; the last row of the log. `pack`: that of the
    settings, where it has been read.

    Under `torchrun` every process calls it: each trains on its part of every batch, the first one writes.
    Raises `NonFiniteError` where the loss is no number any more, `ValueError` for weights that it cannot start from. A
    checkpoint that cannot be written costs a line, not the run; the last one has to be.
    """
    device = torch.device(settings.device)
    ranks.start(device)
    out, first = Path(settings.out), ranks.rank() == 0
    if first:
        out.mkdir(parents=True, exist_ok=True)
        recover(out / "latest")
    ranks.of_the_first(0.0, device)  # the folder is as it should be
    resume = out / "latest" if (out / "latest").is_dir() else None
    if settings.device == "cpu":
        torch.set_num_threads(1)  # the workers are the parallelism
    trainer = Trainer(settings, resume, recipe)
    at_once = tokens_at_once(settings, trainer.config)
    stream = open_stream(settings, build, recipe, at_once, trainer.data_state, pack)
    peak = peak_flops(device, trainer.dtype, settings.threads) * ranks.size()
    start = resume or settings.start_from or "random weights"
    if first:
        print(f"{trainer.num_parameters / 1e6:.1f}M parameters, {settings.positions} positions, {ranks.size()} x "
              f"{settings.device}, from {start}, step {trainer.steps}, {trainer.tokens / 1e6:.1f}M tokens; "
              f"{trainer.dtype} matrix products: {peak / 1e12:.2f} TFLOP/s", flush=True)  # fmt: skip
    shape = {"at_once": at_once, "processes": ranks.size()}
    if first and trainer.shape not in (None, shape):
        print(f"the rest of this pool of tasks comes in other steps: {trainer.shape} before, {shape} now", flush=True)
    trainer.shape = shape
    meter = Meter(trainer, peak, out / "log.jsonl")
    if device.type == "cuda" and settings.compile and settings.pack:
        seconds = trainer.engine.warm_up(at_once)
        if first:
            print(f"layers compiled for {at_once} tokens in {seconds:.0f} s", flush=True)
    begin, last_save, decaying = None, time.monotonic(), False
    for batches in stream if settings.pack else grouped(stream, max(1, settings.batch_tokens // at_once)):
        if begin is None:  # reading the examples is not part of the run
            begin = time.monotonic() - 60 * trainer.minutes
            meter.start_anew()
        if ranks.size() == 1 or trainer.steps % AGREE_EVERY == 0:
            trainer.minutes = ranks.of_the_first((time.monotonic() - begin) / 60, device)
        progress = trainer.progress
        if progress >= 1 or settings.steps and trainer.steps >= settings.steps:
            break
        if settings.decay and progress >= 1 - settings.decay and not decaying:
            decaying = True
            if first and not (out / "stable").exists():
                trainer.try_to_save(out / "stable")
        scale = learning_rate_scale(trainer.steps, progress, settings.warmup, settings.decay)
        batches = [batch.to(settings.device) for batch in batches]
        meter.add(batches, trainer.step(batches, scale, settings.quantization_aware and decaying))
        trainer.data_state = stream.state
        if trainer.steps % settings.log_steps == 0:
            meter.log(scale)
            if settings.device == "cpu" and os.name == "posix":
                ctypes.CDLL(None).malloc_trim(0)  # varying shapes fragment the heap by gigabytes otherwise
        if first and time.monotonic() - last_save > 60 * settings.checkpoint_minutes:
            trainer.try_to_save(out / "latest")
            last_save = time.monotonic()
    if first:
        trainer.save(out / "final")
    ranks.end()
    return meter.row


def in_flat_buffers(settings: Settings) -> bool:
    """Whether the run trains by `stacked`: on a card, and in several processes."""
    return settings.device != "cpu" or ranks.wanted() > 1


def tokens_at_once(settings: Settings, config) -> int:
    """Tokens of the batches that a step of this process is made of. On a card: at most `micro_tokens`, or as many as take half of
    the free memory for what the layers keep for the backward pass. Raises `ValueError` where processes do not share the batch."""
    at_once, left = divmod(settings.batch_tokens, ranks.size())
    if left:
        raise ValueError(f"{ranks.size()} processes cannot share a batch of {settings.batch_tokens} tokens: give --batch-tokens")
    if settings.device == "cpu":
        return at_once
    if settings.micro_tokens:
        return fitting_tokens(at_once, settings.micro_tokens, settings.max_len)
    kept = 2 * config.num_hidden_layers * (KEPT_OF_HIDDEN * config.hidden_size + KEPT_OF_INNER * config.intermediate_size)
    room = torch.cuda.mem_get_info(settings.device)[0] / 2
    return fitting_tokens(at_once, int(room / kept), settings.max_len)


def fitting_tokens(at_once: int, most: int, max_len: int) -> int:
    """The largest whole part of `at_once` tokens that has at most `most`, is a multiple of `LENGTH_MULTIPLE` and holds a sequence
    of `max_len`; the smallest that holds one where none is as small."""
    parts = [at_once // n for n in range(1, at_once // max_len + 1) if at_once % (n * LENGTH_MULTIPLE) == 0]
    return next((part for part in parts if part <= most), parts[-1] if parts else at_once)


def open_stream(
    settings: Settings, build: Callable[[], Mixture] | None, recipe: dict | None, at_once: int, state: dict, pack: Pack | None
) -> BatchStream | PackStream:
    """The run's batches of `at_once` tokens from `state` on: out of its pack, as the recipe's "sampling" says, else out of the
    mixture's sources."""
    if settings.pack:
        return PackStream(
            pack or Pack.read(Path(settings.pack)), Sampling(**(recipe or {}).get("sampling", {})), settings.batch_tokens,
            settings.max_len, torch.device(settings.device), fixed=in_flat_buffers(settings), part=ranks.rank(),
            parts=ranks.size(), at_once=at_once, **state,
        )  # fmt: skip
    on_cpu = settings.device == "cpu"
    return BatchStream(build, Arc16(settings.positions), at_once, settings.max_len, loaders=settings.loaders,
                       rows_multiple=settings.threads if on_cpu else 1, **state)  # fmt: skip


def grouped(stream: Iterable[Batch], count: int) -> Iterator[list[Batch]]:
    """The batches in lists of `count`."""
    batches = iter(stream)
    while True:
        yield [next(batches) for _ in range(count)]


class Meter:
    """Losses and speed since the last line of the log. MFU: FLOPs of the tokens read, padding left out, of the ceiling."""

    def __init__(self, trainer: Trainer, peak: float, path: Path):
        self.trainer, self.peak, self.path, self.row = trainer, peak, path, {}
        self.start_anew()

    def start_anew(self) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=self.trainer.settings.device)
        self.tokens, self.sequences, self.since = 0, 0, time.monotonic()

    def add(self, batches: list[Batch], sums: torch.Tensor) -> None:
        self.sums += sums
        self.tokens += sum(batch.num_tokens for batch in batches)
        self.sequences += ranks.size() * sum(len(batch.ids) for batch in batches)

    def log(self, scale: float) -> None:
        """Print and append one line, and start anew."""
        trainer = self.trainer
        nll, right, count = self.sums.tolist()  # waits for the device
        if not math.isfinite(nll):
            raise NonFiniteError(f"the loss is {nll} before step {trainer.steps}: go on from a checkpoint with smaller rates")
        seconds = time.monotonic() - self.since
        flops = training_flops(trainer.num_parameters, trainer.config, self.tokens, self.tokens / self.sequences)
        self.row = {"step": trainer.steps, "tokens": trainer.tokens, "output_loss": round(nll / count, 4),
                    "output_accuracy": round(right / count, 4), "tokens_per_s": round(self.tokens / seconds),
                    "mfu": round(flops / seconds / self.peak, 3), "lr_scale": round(scale, 4),
                    "minutes": round(trainer.minutes, 2)}  # fmt: skip
        if ranks.rank() == 0:
            print(json.dumps(self.row), flush=True)
            with open(self.path, "a") as log:
                log.write(json.dumps(self.row) + "\n")
        self.start_anew()
