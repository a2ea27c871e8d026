"""The training loop for small Llamas: batches -> weights.

In:  `Settings`, a mixture's recipe, optionally a folder of weights or a checkpoint of an earlier run.
Out: folders that transformers loads (config.json, model.safetensors in bf16) and that also hold everything to go on
     exactly (training_state.safetensors: fp32 masters and optimizer moments; training_state.json: counters, data
     position): OUT/latest every few minutes, OUT/stable before the decay, OUT/final; OUT/log.jsonl.
bf16 weights with fp32 masters; Muon on the matrices, AdamW on the rest; warm-up, stable, linear decay to zero by time or
by tokens.
Not here: pre-trained bases (`sft`), quantized weights and manifest entries (`publish`), scores.
"""

import ctypes
import json
import math
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from ..codec.arc16 import END, PAD, VOCABULARY_SIZE, Arc16
from ..models.adapted import NonFiniteError
from ..models.lean import can_compute, llama_logits
from ..models.load import read_llama
from ..models.nf4 import nf4_round_trip
from ..models.rotary import GridRotary
from ..weights.pack import COUNTERS
from .batches import Batch, BatchStream
from .folders import recover, write_whole
from .mixture import Mixture
from .settings import HEAD_DIM, Settings
from .throughput import peak_flops, training_flops

STATE, WEIGHTS = "training_state.safetensors", "model.safetensors"


def learning_rate_scale(step: int, progress: float, warmup: int, decay: float) -> float:
    """Warm-up over steps, then 1, then linear to 0 over the last `decay` share of the time; `progress` is 0 to 1."""
    up = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return up * (min(1.0, (1 - progress) / decay) if decay else 1.0)


def targets_of(batch: Batch, input_weight: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The next token of every token, its loss weight and whether it is supervised, all (sequences * length,).

    Every token but padding is a target: outputs from the second pair on weigh 1, all others `input_weight`.
    """
    target, supervised = batch.ids.roll(-1, 1), batch.supervised.roll(-1, 1)
    known = target != PAD
    known[:, -1] = False  # nothing follows the last column
    supervised = supervised & known
    return target.flatten(), torch.where(supervised, 1.0, input_weight * known).flatten(), supervised.flatten()


def loss_of(weights: dict[str, torch.Tensor], config, rotary: torch.nn.Module, batch: Batch, input_weight: float):
    """The weighted sum of the nll over all targets, and sums over the supervised ones (fp64: nll, right ones, count)."""
    cos, sin = rotary(weights["model.norm.weight"], batch.positions)
    logits = llama_logits(weights, config, batch.ids, cos, sin).float()  # (sequences * length, vocabulary)
    target, weight, supervised = targets_of(batch, input_weight)
    nll = F.cross_entropy(logits, target, reduction="none")
    with torch.no_grad():
        right = (logits.argmax(-1) == target) & supervised
        sums = torch.stack([(nll * supervised).sum(), right.sum(), supervised.sum()]).double()
    return (nll * weight).sum(), sums


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
    lists the recipes of this run and of those that its starting weights come from, with the tokens read of each.
    """

    def __init__(self, settings: Settings, resume: Path | None = None, recipe: dict | None = None):
        self.settings = settings
        torch.manual_seed(settings.seed)
        start = resume or (Path(settings.start_from) if settings.start_from else None)
        model = start_model(settings, start)
        self.masters = {n: p.detach().clone().float().to(settings.device) for n, p in model.named_parameters()}
        check_supported(model.config)
        self.config = model.config
        self.rotary = GridRotary(HEAD_DIM) if settings.positions == "grid" else model.model.rotary_emb.to(settings.device)
        self.weights = {n: p.detach().to(settings.device, torch.bfloat16).requires_grad_() for n, p in model.named_parameters()}
        self.matrices = [n for n, p in self.masters.items() if p.ndim == 2 and "embed" not in n]
        others = [n for n in self.masters if n not in self.matrices]
        # One worker a core with its part of the batch and of the matrices: cores wait for each other a few times a step, not in
        # every operation.
        self.workers = ThreadPoolExecutor(settings.threads, initializer=torch.set_num_threads, initargs=(1,))
        self.shares = [self.matrices[i :: settings.threads] for i in range(settings.threads)]
        self.muons = [
            torch.optim.Muon(
                [self.masters[n] for n in share], lr=settings.muon_lr, momentum=0.95, weight_decay=settings.weight_decay
            )
            for share in self.shares
        ]
        self.adam = torch.optim.AdamW([self.masters[n] for n in others], lr=settings.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
        self.num_parameters = sum(p.numel() for p in self.masters.values())
        self.steps, self.tokens, self.minutes, self.data_state = 0, settings.tokens_before, 0.0, {"seed": settings.seed}
        self.first_token, self.earlier, self.recipe = self.tokens, [], recipe
        if start and (start / STATE).exists():
            self._restore(start, resume is not None)
        elif start:
            self.earlier = [{"recipe": f"unknown: {start} does not say", "tokens": settings.tokens_before}]

    @property
    def stages(self) -> list[dict]:
        """What the weights were trained on so far, first to last: recipe and tokens."""
        return [*self.earlier, {"recipe": self.recipe, "tokens": self.tokens - self.first_token}]

    def _moments(self, create: bool = False) -> dict[str, torch.Tensor]:
        """Every tensor of both optimizers by name; `create` makes them where no step has."""
        moments = {}
        optimizers = [(muon, ("momentum_buffer",)) for muon in self.muons] + [(self.adam, ("exp_avg", "exp_avg_sq", "step"))]
        for optimizer, keys in optimizers:
            for name, master in self.masters.items():
                if any(master is p for p in optimizer.param_groups[0]["params"]):
                    state = optimizer.state[master]
                    for key in keys:
                        if create:
                            state[key] = torch.zeros(()) if key == "step" else torch.zeros_like(master)
                        if key in state:
                            moments[f"{key}.{name}"] = state[key]
        return moments

    def _restore(self, folder: Path, same_run: bool) -> None:
        tensors, counters = load_file(folder / STATE), read_counters(folder)
        for name, tensor in ({f"master.{n}": m for n, m in self.masters.items()} | self._moments(create=True)).items():
            tensor.copy_(tensors[name])
        self.steps, self.tokens, self.data_state = counters["steps"], counters["tokens"], counters["data"]
        self.first_token = self.tokens
        unknown = [{"recipe": f"unknown: {folder} does not say", "tokens": self.tokens}]
        self.earlier = counters.get("stages", unknown)
        if same_run:  # any other starts its schedule anew
            self.minutes, self.first_token, self.earlier = counters["minutes"], counters["first_token"], self.earlier[:-1]

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
            "data": self.data_state, "stages": self.stages, "settings": asdict(self.settings),
        }  # fmt: skip

        def fill(aside: Path) -> None:
            self.config.save_pretrained(aside)
            weights = {n: m.bfloat16().contiguous() for n, m in self.masters.items()}  # never the NF4-rounded ones
            save_file(weights, aside / WEIGHTS, metadata={"format": "pt"})
            save_file({f"master.{n}": m for n, m in self.masters.items()} | self._moments(), aside / STATE)
            (aside / COUNTERS).write_text(json.dumps(counters, indent=1))

        write_whole(folder, fill)

    def try_to_save(self, folder: Path) -> None:
        """`save`, where a full disk costs a line and not the run."""
        try:
            self.save(folder)
        except (OSError, SafetensorError) as error:
            print(f"{folder} could not be written, the training goes on: {error}", file=sys.stderr, flush=True)

    @torch.no_grad()
    def refresh_weights(self, round_to_nf4: bool) -> None:
        """Masters -> the bf16 weights of the forward pass; the gradient at the rounded ones goes to the masters as it is."""
        torch._foreach_copy_(list(self.weights.values()), list(self.masters.values()))
        if round_to_nf4:
            list(self.workers.map(self._round, self.shares))

    @torch.no_grad()
    def _round(self, names: list[str]) -> None:
        for name in names:
            self.weights[name].copy_(nf4_round_trip(self.weights[name]))

    def _gradients(self, part: Batch, total_weight: float) -> tuple[list[torch.Tensor], torch.Tensor]:
        loss, sums = loss_of(self.weights, self.config, self.rotary, part, self.settings.input_weight)
        return torch.autograd.grad(loss / total_weight, list(self.weights.values())), sums

    def step(self, batch: Batch, scale: float, round_to_nf4: bool = False) -> torch.Tensor:
        """Train on one batch at `scale` times the learning rates; returns the supervised sums of `loss_of`."""
        self.refresh_weights(round_to_nf4)
        for optimizer, rate in (*((muon, self.settings.muon_lr) for muon in self.muons), (self.adam, self.settings.adam_lr)):
            optimizer.param_groups[0]["lr"] = rate * scale
        total = float(targets_of(batch, self.settings.input_weight)[1].sum())
        on_cpu = self.settings.device == "cpu"
        for master in self.masters.values():
            master.grad = None
        parts = batch.split(self.settings.threads if on_cpu else -(-batch.ids.numel() // self.settings.micro_tokens))
        sums = torch.zeros(3, dtype=torch.float64, device=self.settings.device)
        for gradients, part_sums in (self.workers.map if on_cpu else map)(self._gradients, parts, [total] * len(parts)):
            sums += part_sums
            for master, gradient in zip(self.masters.values(), gradients):
                master.grad = gradient.float() if master.grad is None else master.grad.add_(gradient)
        torch.nn.utils.clip_grad_norm_(self.masters.values(), 1.0)
        list(self.workers.map(torch.optim.Muon.step, self.muons))
        self.adam.step()
        self.steps += 1
        self.tokens += batch.num_tokens
        return sums


def train(settings: Settings, build: Callable[[], Mixture], recipe: dict | None = None) -> dict:
    """Run to the end of `settings`, from OUT/latest where the run was interrupted; the last row of the log.

    Raises `NonFiniteError` where the loss is no number any more, `ValueError` for weights that it cannot start from. A
    checkpoint that cannot be written costs a line, not the run; the last one has to be.
    """
    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    recover(out / "latest")
    resume = out / "latest" if (out / "latest").is_dir() else None
    if settings.device == "cpu":
        torch.set_num_threads(1)  # the workers are the parallelism
    trainer = Trainer(settings, resume, recipe)
    stream = BatchStream(build, Arc16(settings.positions), settings.batch_tokens, settings.max_len,
                         rows_multiple=settings.threads if settings.device == "cpu" else 1, loaders=settings.loaders,
                         **trainer.data_state)  # fmt: skip
    peak = peak_flops(torch.device(settings.device), torch.bfloat16, settings.threads)
    start = resume or settings.start_from or "random weights"
    print(f"{trainer.num_parameters / 1e6:.1f}M parameters, {settings.positions} positions, {settings.device}, from {start}, "
          f"step {trainer.steps}, {trainer.tokens / 1e6:.1f}M tokens; bfloat16 matrix products: {peak / 1e12:.2f} TFLOP/s",
          flush=True)  # fmt: skip
    meter = Meter(trainer, peak, out / "log.jsonl")
    begin, last_save, decaying = None, time.monotonic(), False
    for batch in stream:
        if begin is None:  # reading the examples is not part of the run
            begin = time.monotonic() - 60 * trainer.minutes
            meter.start_anew()
        trainer.minutes = (time.monotonic() - begin) / 60
        progress = trainer.progress
        if progress >= 1 or settings.steps and trainer.steps >= settings.steps:
            break
        if settings.decay and progress >= 1 - settings.decay and not decaying:
            decaying = True
            if not (out / "stable").exists():
                trainer.try_to_save(out / "stable")
        scale = learning_rate_scale(trainer.steps, progress, settings.warmup, settings.decay)
        meter.add(batch, trainer.step(batch.to(settings.device), scale, settings.quantization_aware and decaying))
        trainer.data_state = stream.state
        if trainer.steps % settings.log_steps == 0:
            meter.log(scale)
            if settings.device == "cpu" and os.name == "posix":
                ctypes.CDLL(None).malloc_trim(0)  # varying shapes fragment the heap by gigabytes otherwise
        if time.monotonic() - last_save > 60 * settings.checkpoint_minutes:
            trainer.try_to_save(out / "latest")
            last_save = time.monotonic()
    trainer.save(out / "final")
    return meter.row


class Meter:
    """Losses and speed since the last line of the log. MFU: FLOPs of the tokens read, padding left out, of the ceiling."""

    def __init__(self, trainer: Trainer, peak: float, path: Path):
        self.trainer, self.peak, self.path, self.row = trainer, peak, path, {}
        self.start_anew()

    def start_anew(self) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=self.trainer.settings.device)
        self.tokens, self.sequences, self.since = 0, 0, time.monotonic()

    def add(self, batch: Batch, sums: torch.Tensor) -> None:
        self.sums += sums
        self.tokens += batch.num_tokens
        self.sequences += len(batch.ids)

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
        print(json.dumps(self.row), flush=True)
        with open(self.path, "a") as log:
            log.write(json.dumps(self.row) + "\n")
        self.start_anew()
