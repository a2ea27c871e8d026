"""The training step for a CPU: a thread a core, each with its part of the batch and of the matrices.

In:  fp32 masters by Hugging Face name, a batch. Out: updated masters, moments by name, losses.
Cores wait for each other a few times a step, not in every operation. It is also the plain reference of `stacked`.
Not here: batches, schedules, counters, checkpoints (`train`).
"""

from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F

from ..models.lean import llama_logits
from ..models.nf4 import nf4_round_trip
from ..models.precision import FP16_SCALE
from .batches import Batch, targets_of
from .muon import Muon
from .settings import Settings


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


class ThreadedEngine:
    """Weights, optimizers and the training step of one Llama, a tensor a parameter. See `stacked.StackedEngine`.

    `dtype`: of the forward pass; where it is float16 the loss is multiplied by `loss_scale`, which halves where gradients
    overflow.
    """

    def __init__(self, masters: dict[str, torch.Tensor], config, settings: Settings, rotary: torch.nn.Module,
                 dtype: torch.dtype):  # fmt: skip
        self.config, self.settings, self.rotary, self.dtype = config, settings, rotary, dtype
        self._masters = {n: m.detach().float().clone() for n, m in masters.items()}
        self.weights = {n: m.to(dtype, copy=True).requires_grad_() for n, m in self._masters.items()}
        self.matrices = [n for n, m in self._masters.items() if m.ndim == 2 and "embed" not in n]
        self.others = [n for n in self._masters if n not in self.matrices]
        self.workers = ThreadPoolExecutor(settings.threads, initializer=torch.set_num_threads, initargs=(1,))
        self.shares = [self.matrices[i :: settings.threads] for i in range(settings.threads)]
        self.muons = [
            Muon([self._masters[n] for n in share], dtype, lr=settings.muon_lr, weight_decay=settings.weight_decay)
            for share in self.shares
        ]
        self.adam = torch.optim.AdamW(
            [self._masters[n] for n in self.others], lr=settings.adam_lr, betas=(0.9, 0.95), weight_decay=0.0
        )
        for share, muon in zip(self.shares, self.muons):  # as their first step would make it
            for master in (self._masters[n] for n in share):
                muon.state[master]["momentum_buffer"] = torch.zeros_like(master)
        for master in (self._masters[n] for n in self.others):
            zeros = {key: torch.zeros_like(master) for key in ("exp_avg", "exp_avg_sq")}
            self.adam.state[master] = {"step": torch.zeros(())} | zeros
        self.loss_scale = FP16_SCALE if dtype == torch.float16 else 1.0

    def masters(self) -> dict[str, torch.Tensor]:
        """The fp32 masters by name, to read and to copy into."""
        return self._masters

    def moments(self) -> dict[str, torch.Tensor]:
        """Both optimizers' tensors as KEY.NAME, to read and to copy into."""
        moments = {}
        for share, muon in zip(self.shares, self.muons):
            moments |= {f"momentum_buffer.{n}": muon.state[self._masters[n]]["momentum_buffer"] for n in share}
        for key in ("exp_avg", "exp_avg_sq", "step"):
            moments |= {f"{key}.{n}": self.adam.state[self._masters[n]][key] for n in self.others}
        return moments

    @torch.no_grad()
    def refresh_weights(self, round_to_nf4: bool) -> None:
        """Masters -> the weights of the forward pass; the gradient at the rounded ones goes to the masters as it is."""
        torch._foreach_copy_(list(self.weights.values()), list(self._masters.values()))
        if round_to_nf4:
            list(self.workers.map(self._round, self.shares))

    @torch.no_grad()
    def _round(self, names: list[str]) -> None:
        for name in names:
            self.weights[name].copy_(nf4_round_trip(self.weights[name]))

    def _gradients(self, part: Batch, total_weight: float) -> tuple[list[torch.Tensor], torch.Tensor]:
        loss, sums = loss_of(self.weights, self.config, self.rotary, part, self.settings.input_weight)
        return torch.autograd.grad(loss / total_weight, list(self.weights.values())), sums

    def step(self, batches: list[Batch], scale: float, round_to_nf4: bool = False) -> torch.Tensor:
        """Train on the batches as one at `scale` times the learning rates; the supervised sums of `loss_of`, fp64 (3,)."""
        self.refresh_weights(round_to_nf4)
        for optimizer, rate in (*((muon, self.settings.muon_lr) for muon in self.muons), (self.adam, self.settings.adam_lr)):
            optimizer.param_groups[0]["lr"] = rate * scale
        total = sum(float(targets_of(batch, self.settings.input_weight)[1].sum()) for batch in batches) / self.loss_scale
        masters = list(self._masters.values())
        for master in masters:
            master.grad = None
        parts = [part for batch in batches for part in batch.split(self.settings.threads)]
        sums = torch.zeros(3, dtype=torch.float64)
        for gradients, part_sums in self.workers.map(self._gradients, parts, [total] * len(parts)):
            sums += part_sums
            for master, gradient in zip(masters, gradients):
                master.grad = gradient.float() if master.grad is None else master.grad.add_(gradient)
        if self.loss_scale != 1:
            torch._foreach_div_([m.grad for m in masters], self.loss_scale)
        norm = torch.nn.utils.clip_grad_norm_(masters, 1.0)
        if self.dtype == torch.float16 and not norm.isfinite():
            self.loss_scale /= 2  # these gradients overflowed: the step is left out
        else:
            list(self.workers.map(Muon.step, self.muons))
            self.adam.step()
        return sums
