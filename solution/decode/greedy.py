"""Greedy decoding of many prompts at once.

In:  merged weights and prompts (one a view). Out: one `Generation` a prompt, in order.
Rows leave the batch at their end token, or as soon as their answer can no longer become a grid.
Plain reference: `reference.greedy_one`. Not here: views and candidates (`views`), voting (`select`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..codec.codec import Codec
from ..codec.prompt import Decoded, Prompt
from ..models.adapted import NonFiniteError
from ..models.dense import Cache, DenseLlama

STEPS_PER_CHECK = 16


@dataclass(frozen=True, eq=False)
class Generation:
    """What the model wrote after one prompt.

    `ids`: generated tokens, END included where it came. `log_prob`: natural logarithm of their probability, summed.
    `decoded`: the grid, or the fault that leaves none ("cut" where the clock stopped it).
    """

    ids: np.ndarray
    log_prob: float
    decoded: Decoded


def greedy(
    llama: DenseLlama,
    codec: Codec,
    prompts: list[Prompt],
    max_new_tokens: list[int],
    out_of_time: Callable[[], bool] = lambda: False,
) -> list[Generation]:
    """Continue every prompt with the likeliest token until END, a hopeless answer, its `max_new_tokens` or `out_of_time`.

    What was finished before time ran out is kept. Raises `NonFiniteError` where logits are NaN or infinite.
    """
    limits = np.array(max_new_tokens)
    limit = int(limits.max())
    lengths = [len(p) for p in prompts]
    rows = len(prompts)
    ids = torch.full((rows, max(lengths)), codec.pad_id, device=llama.device)
    positions = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, : lengths[row]] = torch.from_numpy(prompt.ids)
        positions[row, : lengths[row]] = torch.from_numpy(prompt.positions)
    last = torch.tensor(lengths, device=llama.device) - 1
    index = torch.arange(rows, device=llama.device)

    cache = Cache(llama, rows, max(lengths) + limit)
    hidden = llama.prefill(ids, positions, lengths, cache)
    logits = llama.logits(hidden[index, last])  # (rows, vocabulary)
    previous_ids, previous_positions = ids[index, last], positions[index, last]

    written = np.zeros((rows, limit), np.int64)
    counts = np.zeros(rows, np.int64)
    log_probs = np.zeros(rows)
    check = codec.answer_check(rows)
    alive = np.arange(rows)
    cut = np.zeros(rows, bool)
    for count in range(limit):
        best, token = torch.log_softmax(logits, -1).max(-1)
        chosen, gained = token.cpu().numpy(), best.double().cpu().numpy()
        if not np.isfinite(gained).all():
            raise NonFiniteError("NaN or infinity in the logits while decoding")
        written[alive, count] = chosen
        log_probs[alive] += gained
        counts[alive] += 1
        going = ~check.hopeless(alive, chosen) & (chosen != codec.end_id) & (count + 1 < limits[alive])
        if not going.any():
            break
        if count % STEPS_PER_CHECK == 0 and out_of_time():
            cut[alive[going]] = True
            break
        positions_now = codec.next_positions(previous_ids, previous_positions)
        if not going.all():
            keep = torch.from_numpy(np.flatnonzero(going)).to(llama.device)
            alive, token, positions_now = alive[going], token[keep], positions_now[keep]
            cache.keep(keep)
        logits = llama.step(token, positions_now, cache)
        previous_ids, previous_positions = token, positions_now

    return [
        Generation(
            written[row, : counts[row]], float(log_probs[row]),
            Decoded(None, "cut") if cut[row] else codec.decode(written[row, : counts[row]]),
        )
        for row in range(rows)
    ]  # fmt: skip


@torch.inference_mode()
def answer_log_probs(llama: DenseLlama, prompts: list[Prompt]) -> list[float]:
    """Natural logarithm of the probability of each prompt's last span (its answer), summed over the tokens."""
    if not prompts:
        return []
    lengths = [len(p) for p in prompts]
    ids = torch.zeros(len(prompts), max(lengths), dtype=torch.int64, device=llama.device)
    positions = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, : lengths[row]] = torch.from_numpy(prompt.ids)
        positions[row, : lengths[row]] = torch.from_numpy(prompt.positions)
    hidden = llama.prefill(ids, positions, lengths)
    sums = []
    for row, prompt in enumerate(prompts):
        start, stop = prompt.spans[-1]
        log_probs = torch.log_softmax(llama.logits(hidden[row, start - 1 : stop - 1]), -1)
        value = log_probs.gather(1, ids[row, start:stop, None]).double().sum().item()
        if not math.isfinite(value):
            raise NonFiniteError("NaN or infinity in the logits while scoring")
        sums.append(value)
    return sums
