"""What quantization costs, and whether the result overflows in half precision.

In:  a folder of dense weights and its quantized copy. Out: losses, accuracies, logit differences, largest activations.
Measured on the held-out training tasks (`guard.HELD_OUT`): each task's demonstrations in context, its test answers to
predict, every task once as it is.
Not here: solving tasks (`publish` runs the driver for that).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import LlamaForCausalLM

from ..arc.load import public_set
from ..arc.task import Pair, Task
from ..codec.arc16 import Arc16
from ..codec.prompt import Prompt
from ..models.load import read_llama
from ..models.precision import compute_dtype
from .guard import HELD_OUT

FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class Quality:
    """Mean loss (nats) and share right of the answer tokens of the held-out tasks, and how many tokens these are."""

    loss: float
    accuracy: float
    tokens: int


def held_out_prompts(codec: Arc16, max_len: int) -> list[Prompt]:
    """Every test input of the held-out tasks with its answer, where it fits `max_len` tokens; the last span is the answer.

    Raises `ValueError` where none fits.
    """
    challenges, solutions = public_set("arc-agi-1/training")
    prompts = []
    for name in HELD_OUT:
        task = challenges.tasks[name]
        for test, output in zip(task.test, solutions[name]):
            prompt = codec.encode(Task(name, task.train, (Pair(test.input, output),)), answer=True)
            if len(prompt) <= max_len:
                prompts.append(prompt)
    if not prompts:
        raise ValueError(f"no held-out training task fits {max_len} tokens: nothing could be checked on them")
    return prompts


@torch.no_grad()
def answer_logits(model: LlamaForCausalLM, prompts: list[Prompt]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Per prompt: the logits of its answer's tokens, float32 (tokens, vocabulary), and the tokens."""
    device = model.device
    for prompt in prompts:
        ids, positions = (torch.from_numpy(a)[None].to(device) for a in (prompt.ids, prompt.positions))
        start, stop = prompt.spans[-1]
        logits = model(input_ids=ids, position_ids=positions, attention_mask=torch.ones_like(ids), use_cache=False).logits
        yield logits[0, start - 1 : stop - 1].float(), ids[0, start:stop]


def quality(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> Quality:
    """Loss and accuracy over logits and targets of `answer_logits`."""
    count = sum(len(target) for _, target in pairs)
    loss = sum(float(F.cross_entropy(logits, target, reduction="sum")) for logits, target in pairs)
    right = sum(int((logits.argmax(-1) == target).sum()) for logits, target in pairs)
    return Quality(loss / count, right / count, count)


@torch.no_grad()
def largest_activation(model: LlamaForCausalLM, prompts: list[Prompt]) -> float:
    """The largest magnitude that leaves any linear layer, norm or decoder layer of the model."""
    largest = 0.0

    def look(module, inputs, output):
        nonlocal largest
        value = output[0] if isinstance(output, tuple) else output
        largest = max(largest, float(value.abs().max()))

    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear) or "Norm" in type(m).__name__]
    handles = [m.register_forward_hook(look) for m in (*layers, *model.model.layers)]
    for _ in answer_logits(model, prompts):
        pass
    for handle in handles:
        handle.remove()
    return largest


def compare(dense: Path, quantized: Path, positions: str, device: torch.device, max_len: int) -> dict:
    """The entry's "quantization_cost" and "float16" parts. Raises `ValueError` where the quantized weights overflow float16."""
    prompts = held_out_prompts(Arc16(positions), max_len)
    dtype = compute_dtype(device)
    found = {}
    for name, folder in (("16 bit", dense), ("4 bit", quantized)):
        found[name] = list(answer_logits(read_llama(folder, dtype, positions).to(device), prompts))
    sixteen, four = found["16 bit"], found["4 bit"]
    count = sum(len(target) for _, target in four)
    difference = sum(float((a - b).abs().mean(-1).sum()) for (a, _), (b, _) in zip(sixteen, four)) / count
    agree = sum(int((a.argmax(-1) == b.argmax(-1)).sum()) for (a, _), (b, _) in zip(sixteen, four)) / count
    half = list(answer_logits(read_llama(quantized, torch.float16, positions).to(device), prompts))
    finite = all(torch.isfinite(logits).all() for logits, _ in half)
    largest = largest_activation(read_llama(quantized, torch.float32, positions).to(device), prompts)
    if not finite or largest >= FLOAT16_MAX:
        raise ValueError(f"{quantized}: overflows in float16 (largest activation {largest:.0f}): a T4 could not run it")
    result = {
        "measured_on": f"{len(prompts)} answers of held-out training tasks, those within {max_len} tokens, in context, no TTT",
        **{name: vars(quality(pairs)) for name, pairs in found.items()},
        "mean_logit_difference": difference,
        "same_most_likely_token": agree,
    }
    half_difference = max(float((a - b).abs().max()) for (a, _), (b, _) in zip(half, four))
    halves = {"finite": True, "largest_activation": largest, "largest_logit_difference_to_compute_dtype": half_difference}
    return {"quantization_cost": _rounded(result), "float16": _rounded(halves)}


def _rounded(value):
    return json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 5))
