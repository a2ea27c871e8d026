"""Test-time training: one adapter, reset, trained on one task's D_TTT inside a deadline.

In:  a model with an adapter, pseudo tasks. Out: the adapter, trained in place, and what it took. A training may be parked after
any step and go on elsewhere: the steps, and their bits, are those of one that was never interrupted.
Rules: paper, section 3 and its hyperparameters (docs/sources.md, "Details", 2 and 5). No Trainer: its set-up costs more than
these runs (docs/sources.md, "trl"). Not here: which pseudo tasks (`data`), when to train which task (`schedule`), where a parked
training waits (`driver.solve`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from ..arc.task import Task
from ..codec.codec import Codec
from ..codec.prompt import Prompt
from ..models.adapted import AdaptedModel, NonFiniteError
from ..models.precision import FP16_SCALE
from .data import encode_item, item_tokens
from .settings import DataConfig, TrainConfig

PAD_TO = 32


@dataclass(frozen=True)
class Parked:
    """All that a training needs to go on, on the CPU: by parameter of the adapter float32 masters and AdamW's two moments, then
    AdamW's steps (fewer than losses where gradients overflowed), the loss of each step, the scale of float16 gradients, rows of
    the prefix table."""

    masters: tuple[torch.Tensor, ...]
    means: tuple[torch.Tensor, ...]
    squares: tuple[torch.Tensor, ...]
    updates: float
    losses: tuple[float, ...]
    scale: float
    prefix_rows: int


@dataclass(frozen=True)
class Trained:
    """What a training run took: steps done, those before it was parked among them, and the loss of each; tokens read by this run
    (padding left out); why it ended ("planned", "flat", "deadline" or "parked"); `parked`: its state, where asked for."""

    steps: int
    tokens: int
    losses: tuple[float, ...]
    ended: str
    parked: Parked | None = field(default=None, compare=False, repr=False)


def batches(lengths: list[int], config: TrainConfig, rng: np.random.Generator) -> list[list[int]]:
    """Indices of the items of each step, all steps of the run: every epoch sees each item once, similar lengths together."""
    planned = []
    for _ in range(config.epochs):
        order = sorted(rng.permutation(len(lengths)), key=lambda i: lengths[i] // PAD_TO)
        epoch, batch = [], []
        for index in order:
            if batch and (len(batch) == config.batch_size or (len(batch) + 1) * lengths[index] > config.batch_tokens):
                epoch.append(batch)
                batch = []
            batch.append(int(index))
        epoch.append(batch)
        planned += [epoch[i] for i in rng.permutation(len(epoch))]
        if len(planned) >= config.steps:
            break
    return planned[: config.steps]


def collate(prompts: list[Prompt], spans: list[tuple[tuple[int, int], ...]], codec: Codec, device: torch.device):
    """-> ids, positions, int64 (batch, length), and the mask of tokens to be predicted, bool (batch, length); padded right."""
    length = -(-max(map(len, prompts)) // PAD_TO) * PAD_TO
    ids = torch.full((len(prompts), length), codec.pad_id)
    positions = torch.zeros_like(ids)
    targets = torch.zeros_like(ids, dtype=torch.bool)
    for row, (prompt, carried) in enumerate(zip(prompts, spans)):
        ids[row, : len(prompt)] = torch.from_numpy(prompt.ids)
        positions[row, : len(prompt)] = torch.from_numpy(prompt.positions)
        for start, stop in carried:
            targets[row, start:stop] = True
    return ids.to(device), positions.to(device), targets.to(device)


def train(
    model: AdaptedModel,
    items: list[Task],
    data: DataConfig,
    config: TrainConfig,
    seed: int,
    out_of_time: Callable[[], bool] = lambda: False,
    start: dict[str, torch.Tensor] | None = None,
    time_used: Callable[[], float] = lambda: 0.0,
    prefixes: dict[str, range] | None = None,
    kept_tokens: int = 2**62,
    parked: Parked | None = None,
    park_at: int | None = None,
) -> Trained:
    """Reset the adapter and the optimiser, or take both from `parked`, then train on `items`; the base stays frozen.

    `start`: an adapter to train on from, instead of the initial one. `out_of_time` is asked before every step; `time_used`
    is the share of its time that the training has had: the learning rate falls with it where it runs ahead of the steps.
    `prefixes`: by task id, the rows of the prefix table that stand before its items; trained with the adapter.
    `kept_tokens`: batches of more tokens, padding included, compute their activations twice instead of keeping them.
    `parked`: a training to go on with, of the same items, settings and seed. `park_at`: stop before the step of this number
    (from 0) and hand out the state.
    Raises `NonFiniteError` at the first loss that is NaN or infinite.
    """
    prefixes = prefixes or {}
    if parked is not None:
        model.reset(parked.prefix_rows)
    elif start is None:
        model.reset(max((rows.stop for rows in prefixes.values()), default=0))
    else:
        model.load_adapter(start)
    rng = np.random.default_rng(seed)
    planned = batches([item_tokens(item, model.codec) for item in items], config, rng) if items else []
    masters = [p.detach().float().clone() for p in model.trainable]
    optimiser = _optimiser(model, masters, config)
    losses, tokens, ended = [], 0, "planned"
    scale = FP16_SCALE if model.dtype == torch.float16 else 1.0
    if parked is not None:
        _take_up(parked, model, masters, optimiser)
        losses, scale = list(parked.losses), parked.scale
    if is_flat(losses, config):
        planned, ended = [], "flat"
    for step, batch in list(enumerate(planned))[len(losses) :]:
        if step == park_at:
            ended = "parked"
            break
        if out_of_time():
            ended = "deadline"
            break
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * schedule(max(step, int(time_used() * len(planned))), len(planned), config.warmup)
        prompts, spans = zip(*(encode_item(items[i], data, model.codec, prefixes.get(items[i].id, range(0))) for i in batch))
        ids, positions, targets = collate(prompts, spans, model.codec, model.device)
        where = targets.roll(-1, dims=1)  # a token is predicted where the one before it stands
        with model.checkpointing(ids.numel() > kept_tokens):
            loss = model.loss(ids, positions, where, ids[targets])
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise NonFiniteError(f"loss {losses[-1]} at step {step + 1} of test-time training")
            (loss * scale).backward()
        with torch.no_grad():
            for master, parameter in zip(masters, model.trainable):
                master.grad, parameter.grad = parameter.grad.float() / scale, None
            norm = torch.nn.utils.clip_grad_norm_(masters, config.clip_norm or math.inf)
            if norm.isfinite():
                optimiser.step()
                torch._foreach_copy_(model.trainable, masters)
            elif scale > 1:
                scale /= 2  # this step's gradients overflowed: it is left out
            else:
                raise NonFiniteError(f"gradient is NaN or infinite at step {step + 1} of test-time training")
        tokens += sum(map(len, prompts))
        if is_flat(losses, config):
            ended = "flat"
            break
    state = None if park_at is None else _park(model, masters, optimiser, losses, scale)
    return Trained(len(losses), tokens, tuple(losses), ended, state)


@torch.no_grad()
def _take_up(parked: Parked, model: AdaptedModel, masters: list[torch.Tensor], optimiser: torch.optim.Optimizer) -> None:
    """Bring the model, its masters and the optimiser to where a training was parked."""
    torch._foreach_copy_(masters, [kept.to(model.device) for kept in parked.masters])
    torch._foreach_copy_(model.trainable, masters)
    for master, mean, square in zip(masters, parked.means, parked.squares, strict=True):
        optimiser.state[master] = {
            "step": torch.tensor(parked.updates, dtype=torch.float32),
            "exp_avg": mean.to(model.device, copy=True),
            "exp_avg_sq": square.to(model.device, copy=True),
        }


def _park(
    model: AdaptedModel, masters: list[torch.Tensor], optimiser: torch.optim.Optimizer, losses: list[float], scale: float
) -> Parked:
    """The state of a training between two steps, copied to the CPU."""

    def copied(tensors):
        return tuple(tensor.to("cpu", copy=True) for tensor in tensors)

    kept = [optimiser.state.get(master) for master in masters]  # None before the first update
    means, squares = (
        copied(torch.zeros_like(master) if state is None else state[name] for master, state in zip(masters, kept))
        for name in ("exp_avg", "exp_avg_sq")
    )
    updates = 0.0 if kept[0] is None else float(kept[0]["step"])
    rows = 0 if model.prefix is None else len(model.prefix)
    return Parked(copied(m.detach() for m in masters), means, squares, updates, tuple(losses), scale, rows)


def _optimiser(model: AdaptedModel, masters: list[torch.Tensor], config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW over the float32 `masters` of `model.trainable`, embedding and head at their own learning rate."""
    tables = set(map(id, model.tables.values()))
    is_table = [id(parameter) in tables for parameter in model.trainable]
    rest = config.learning_rate
    own = rest if config.embedding_learning_rate is None else config.embedding_learning_rate
    groups = [
        {"params": [m for m, table in zip(masters, is_table) if table == wanted], "peak": peak}
        for wanted, peak in ((False, rest), (True, own))
    ]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=0.0, betas=(0.9, 0.999), weight_decay=config.weight_decay, foreach=True
    )


def schedule(step: float, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at `step`: linear over the first `warmup` of the steps, then cosine to 0."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise + 1) / (steps - rise + 1)))


def is_flat(losses: list[float], config: TrainConfig) -> bool:
    """Whether the last `flat_window` losses are no better than those before, or as low as matters."""
    window = config.flat_window
    if not window or len(losses) < window:
        return False
    recent = sum(losses[-window:]) / window
    if recent < config.flat_loss:
        return True
    if len(losses) < 2 * window:
        return False
    return recent > (1 - config.flat_gain) * sum(losses[-2 * window : -window]) / window
