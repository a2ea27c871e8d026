"""The training step for a CUDA card: a Llama in flat buffers, few kernels, no waiting for the device.

In:  fp32 masters by Hugging Face name, micro-batches of token ids, positions and masks.
Out: updated masters, moments under the names of `train.Trainer`'s checkpoints, losses as a tensor on the device.
What is faster than `threaded` on a card: matrices of a shape lie together, so Muon is one chain of batched products a
shape; casting, clipping and weight decay are one kernel each; the layers are compiled, for a fixed number of tokens: only
attention sees the sequences' length. Data parallel where `torch.distributed` is initialized.
Not here: batches, schedules, counters, checkpoints (`train`).
"""

import math
import sys
import time
from itertools import accumulate

import torch
import torch.nn.functional as F

from ..models.lean import LAYER_WEIGHTS, can_compute, causal_attention
from ..models.nf4 import BLOCK, nf4_round_trip
from ..models.precision import FP16_SCALE
from . import ranks
from .batches import PAD_MULTIPLE, Batch, targets_of
from .settings import HEAD_DIM, Settings

MUON_MOMENTUM, MUON_EPSILON, NEWTON_SCHULZ, NEWTON_SCHULZ_STEPS = 0.95, 1e-7, (3.4445, -4.7750, 2.0315), 5
ADAM_BETAS, ADAM_EPSILON = (0.9, 0.95), 1e-8
POSITIONS = 64 << 12
"""Position ids in the rotary tables: 64 grids of the "grid" scheme."""


def normalize(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """RMSNorm of x (tokens, hidden) with fp32 statistics."""
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)).to(x.dtype) * weight


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """x (tokens, heads, head_dim) turned by cos, sin (tokens, 1, head_dim / 2): both halves have the same angles."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def pre(x, norm, qkv, cos, sin, epsilon: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What comes before attention: x (tokens, hidden) -> q, k, v, each (tokens, heads, head_dim)."""
    projected = F.linear(normalize(x, norm, epsilon), qkv).view(len(x), 3, -1, HEAD_DIM)
    return rotate(projected[:, 0], cos, sin), rotate(projected[:, 1], cos, sin), projected[:, 2]


def post(x, attended, o, norm, gate_up, down, epsilon: float) -> torch.Tensor:
    """What comes after attention: x, attended (tokens, hidden) -> the next layer's x."""
    x = x + F.linear(attended, o)
    gate, up = F.linear(normalize(x, norm, epsilon), gate_up).chunk(2, -1)
    return x + F.linear(F.silu(gate) * up, down)


def head(x, norm, embedding, target, weight, supervised, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x (tokens, hidden) -> the nll's sum with `weight`, and sums over the supervised ones (fp64: nll, right ones, count)."""
    logits = F.linear(normalize(x, norm, epsilon), embedding).float()  # (tokens, vocabulary)
    chosen = target[:, None] == torch.arange(logits.shape[1], device=x.device)  # no gather: its gradient would be a scatter
    nll = logits.logsumexp(-1) - torch.where(chosen, logits, 0.0).sum(-1)
    right = (logits.argmax(-1) == target) & supervised
    sums = torch.stack([(nll.detach() * supervised).sum(), right.sum(), supervised.sum()]).double()
    return (nll * weight).sum(), sums


def newton_schulz(stack: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`muon.orthogonalized` of every matrix of an fp32 stack (matrices, rows, columns), multiplied in `dtype`."""
    a, b, c = NEWTON_SCHULZ
    x = (stack / torch.linalg.vector_norm(stack, dim=(1, 2), keepdim=True).clamp(min=MUON_EPSILON)).to(dtype)
    tall = stack.shape[1] > stack.shape[2]
    x = x.mT if tall else x
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def flat_order(layers: int) -> tuple[list[str], list[str]]:
    """Names in the order of the flat buffers: the matrices, shape by shape and in a shape layer by layer; the rest."""

    def of(i: int, *names: str) -> list[str]:
        return [f"model.layers.{i}.{n}.weight" for n in names]

    stacks = (LAYER_WEIGHTS[1:5], LAYER_WEIGHTS[6:8], LAYER_WEIGHTS[8:])  # q, k, v, o; gate, up; down
    matrices = [name for stack in stacks for i in range(layers) for name in of(i, *stack)]
    norms = [name for i in range(layers) for name in of(i, "input_layernorm", "post_attention_layernorm")]
    return matrices, ["model.embed_tokens.weight", *norms, "model.norm.weight"]


def shared_newton_schulz(stack: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`newton_schulz`, each process with its part of the matrices where there are several."""
    if ranks.size() == 1:
        return newton_schulz(stack, dtype)
    each = -(-len(stack) // ranks.size())
    mine = stack[each * ranks.rank() : each * (ranks.rank() + 1)]
    mine = F.pad(mine, (0, 0, 0, 0, 0, each - len(mine)))  # the last ones may have fewer
    return ranks.gather(newton_schulz(mine, dtype))[: len(stack)]


class StackedEngine:
    """Weights, optimizers and the training step of one Llama from scratch with tied embeddings.

    `masters`: fp32 by Hugging Face name, the same on every rank; copied. `settings` gives the learning rates, weight decay,
    input weight and device. `rotary` is asked once for the cosines and sines of the first `POSITIONS` position ids.
    Raises `ValueError` for a Llama that `models.lean` does not compute.
    """

    def __init__(self, masters: dict[str, torch.Tensor], config, settings: Settings, rotary: torch.nn.Module,
                 dtype: torch.dtype):  # fmt: skip
        matrices, others = flat_order(config.num_hidden_layers)
        if not can_compute(config) or config.head_dim != HEAD_DIM or set(masters) != {*matrices, *others}:
            raise ValueError(f"this trains only Llamas with heads of {HEAD_DIM}, as many key heads, tied embeddings, no biases")
        self.config, self.settings, self.dtype, self.device = config, settings, dtype, torch.device(settings.device)
        self.names = list(masters)
        order = [*matrices, *others]
        ends = dict(zip(order, accumulate(masters[n].numel() for n in order)))
        self._shapes = {n: masters[n].shape for n in order}
        self._starts = {n: ends[n] - masters[n].numel() for n in order}
        self._split = ends[matrices[-1]]  # matrices before, the rest after
        self._master = torch.cat([masters[n].detach().float().flatten() for n in order]).to(self.device)
        self._gradient = torch.zeros_like(self._master)  # fp32: micro-batches and ranks add up in it
        self._weight = self._master.to(dtype, copy=True)
        self._momentum = torch.zeros_like(self._master[: self._split])
        self._average, self._square = (torch.zeros_like(self._master[self._split :]) for _ in range(2))
        self._adam_steps = torch.zeros(len(others), device=self.device)  # all the same; `Trainer` keeps one a tensor
        self._others = others
        self._leaves = self._make_leaves()
        self._vocabulary = torch.arange(self._shapes[others[0]][0], device=self.device)
        if self.device.type == "cuda":
            torch.backends.cuda.enable_cudnn_sdp(False)  # it takes a second to plan for every new length
        cos, sin = rotary(torch.zeros(1, dtype=dtype, device=self.device), torch.arange(POSITIONS, device=self.device)[None])
        self._cos, self._sin = (t[0, :, : HEAD_DIM // 2].to(dtype).contiguous() for t in (cos, sin))
        self._compiled, self._compiled_tokens = (pre, post, head), 0
        self.loss_scale = FP16_SCALE  # used in float16 only

    def _make_leaves(self) -> list[torch.Tensor]:
        """The forward's weights, views of the flat buffer in its order: (q k v, o) a layer, gate and up, down, the rest."""
        layers, hidden, inner = self.config.num_hidden_layers, self.config.hidden_size, self.config.intermediate_size
        shapes = [(3 * hidden, hidden), (hidden, hidden)] * layers + [(2 * inner, hidden)] * layers
        shapes += [(hidden, inner)] * layers + [self._shapes[n] for n in self._others]
        pieces = self._weight.split([math.prod(s) for s in shapes])
        return [piece.view(shape).detach().requires_grad_() for piece, shape in zip(pieces, shapes)]

    def _stacks(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """The matrices of a flat buffer, one (matrices, rows, columns) a shape: attention; gate and up; down."""
        layers, hidden, inner = self.config.num_hidden_layers, self.config.hidden_size, self.config.intermediate_size
        shapes = [(4 * layers, hidden, hidden), (2 * layers, inner, hidden), (layers, hidden, inner)]
        return [p.view(s) for p, s in zip(flat[: self._split].split([math.prod(s) for s in shapes]), shapes)]

    def _view(self, flat: torch.Tensor, name: str, start: int = 0) -> torch.Tensor:
        """One tensor in a flat buffer that begins with element `start` of all."""
        shape = self._shapes[name]
        return flat[self._starts[name] - start :][: math.prod(shape)].view(shape)

    def masters(self) -> dict[str, torch.Tensor]:
        """The fp32 masters by name: views, to read and to copy into."""
        return {name: self._view(self._master, name) for name in self.names}

    def moments(self) -> dict[str, torch.Tensor]:
        """Both optimizers' tensors under the names of `Trainer`'s checkpoints: views, to read and to copy into."""
        matrices = [n for n in self.names if n not in self._others]
        moments = {f"momentum_buffer.{n}": self._view(self._momentum, n) for n in matrices}
        for key, flat in (("exp_avg", self._average), ("exp_avg_sq", self._square)):
            moments |= {f"{key}.{n}": self._view(flat, n, self._split) for n in self._others}
        return moments | {f"step.{n}": steps for n, steps in zip(self._others, self._adam_steps.unbind())}

    def warm_up(self, tokens: int) -> float:
        """Compile the layers for micro-batches of `tokens` tokens, padding included; seconds.

        Other sizes run uncompiled, and all of them where compiling fails: that costs a printed line.
        """
        begin = time.perf_counter()
        self._compiled = tuple(torch.compile(f, fullgraph=True, dynamic=False) for f in (pre, post, head))
        self._compiled_tokens = tokens
        empty = torch.zeros(tokens, dtype=torch.int64, device=self.device).view(-1, PAD_MULTIPLE)
        batch = Batch(empty, empty, empty.bool())
        try:
            self._gradients(batch, *targets_of(batch, 1.0))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever a compiler raises: the same functions run without it
            self._compiled_tokens = 0
            line = f"{type(error).__name__}: {error}".splitlines()[0]
            print(f"the layers run uncompiled: {line}", file=sys.stderr, flush=True)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - begin

    def _loss(self, batch: Batch, target, weight, supervised) -> tuple[torch.Tensor, torch.Tensor]:
        """The sum of nll times `weight`, and the supervised sums, of a micro-batch (rows, length)."""
        rows, length = batch.ids.shape
        before, after, last = self._compiled if rows * length == self._compiled_tokens else (pre, post, head)
        layers, epsilon = self.config.num_hidden_layers, self.config.rms_norm_eps
        attention, rest = self._leaves[: 2 * layers], self._leaves[2 * layers :]
        gate_up, down, (embedding, *norms) = rest[:layers], rest[layers : 2 * layers], rest[2 * layers :]
        places = batch.positions.flatten()
        cos, sin = (table.index_select(0, places)[:, None] for table in (self._cos, self._sin))  # (tokens, 1, head_dim / 2)
        # A product instead of a look-up: 16 rows that repeat thousands of times make the look-up's gradient slow.
        x = (batch.ids.flatten()[:, None] == self._vocabulary).to(self.dtype) @ embedding
        for i in range(layers):
            qkv = before(x, norms[2 * i], attention[2 * i], cos, sin, epsilon)
            q, k, v = (t.view(rows, length, -1, HEAD_DIM).transpose(1, 2) for t in qkv)
            attended = causal_attention(q, k, v).transpose(1, 2).reshape(rows * length, -1)
            x = after(x, attended, attention[2 * i + 1], norms[2 * i + 1], gate_up[i], down[i], epsilon)
        return last(x, norms[-1], embedding, target.long(), weight, supervised, epsilon)

    def _gradients(self, batch: Batch, target, weight, supervised) -> tuple[torch.Tensor, torch.Tensor]:
        """The flat gradient of `_loss` in the compute dtype, and the supervised sums."""
        loss, sums = self._loss(batch, target, weight, supervised)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, self._leaves)]), sums

    @torch.no_grad()
    def _refresh_weights(self, round_to_nf4: bool) -> None:
        """Masters -> the forward's weights; every matrix is a whole number of NF4 blocks, so all are rounded as one."""
        self._weight.copy_(self._master)
        if round_to_nf4:
            matrices = self._weight[: self._split].view(-1, BLOCK)
            matrices.copy_(nf4_round_trip(matrices))

    def step(self, micro_batches: list[Batch], scale: float, round_to_nf4: bool = False) -> torch.Tensor:
        """Train on one batch in micro-batches at `scale` times the learning rates.

        Returns the sums of `head` over them and over all ranks, fp64 (3,), on the device. Nothing here waits for the device
        except, in float16, the question whether the gradients are finite: if not, the weights stay and `loss_scale` halves.
        """
        self._refresh_weights(round_to_nf4)
        half = self.dtype == torch.float16
        loss_scale = self.loss_scale if half else 1.0
        targets = [targets_of(batch, self.settings.input_weight) for batch in micro_batches]
        total = torch.stack([weight.sum() for _, weight, _ in targets]).sum()
        ranks.sum_up(total)
        self._gradient.zero_()
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        for batch, (target, weight, supervised) in zip(micro_batches, targets):
            gradient, part_sums = self._gradients(batch, target, weight * (loss_scale / total), supervised)
            self._gradient += gradient
            sums += part_sums
        ranks.sum_up(self._gradient)
        ranks.sum_up(sums)
        norm = torch.linalg.vector_norm(self._gradient) / loss_scale
        if half and not norm.isfinite():
            self.loss_scale /= 2
        else:
            self._gradient *= (1.0 / (norm + 1e-6)).clamp(max=1.0) / loss_scale
            self._update(scale)
        return sums

    @torch.no_grad()
    def _update(self, scale: float) -> None:
        """Muon on the matrices, AdamW without weight decay on the rest."""
        self._muon(self.settings.muon_lr * scale)
        self._adam(self.settings.adam_lr * scale)

    def _muon(self, rate: float) -> None:
        """`muon.Muon`'s step on every matrix."""
        gradient, matrices = self._gradient[: self._split], self._master[: self._split]
        self._momentum.lerp_(gradient, 1 - MUON_MOMENTUM)
        update = gradient.lerp(self._momentum, MUON_MOMENTUM)
        matrices *= 1 - rate * self.settings.weight_decay
        for stack, change in zip(self._stacks(matrices), self._stacks(update)):
            adjusted = rate * math.sqrt(max(1, stack.shape[1] / stack.shape[2]))
            stack.add_(shared_newton_schulz(change, self.dtype), alpha=-adjusted)

    def _adam(self, rate: float) -> None:
        """`torch.optim.AdamW`'s step on embedding and norms as one vector."""
        gradient, rest, (first, second) = self._gradient[self._split :], self._master[self._split :], ADAM_BETAS
        self._adam_steps += 1
        steps = self._adam_steps[0].double()
        self._average.lerp_(gradient, 1 - first)
        self._square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        root = (self._square / (1 - second**steps).float()).sqrt_().add_(ADAM_EPSILON)
        rest.addcdiv_(self._average / (1 - first**steps).float(), root, value=-rate)
