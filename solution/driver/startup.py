"""The first seconds: what there is, what it can do, and models that fit into it.

In:  options, tasks, worker devices. Out: `Ready`: verified weights on every device, the preset as these weights can run it,
a memory plan that holds on all of them, and a first timing. Says in single lines what was found and chosen.
In Kaggle's competition rerun nobody can answer an error: what cannot be used is replaced by the best that still works.
Not here: which devices there are (`devices`), journal and workers (`setup`).
"""

import argparse
import logging
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..arc.task import Task
from ..codec.codec import Codec
from ..decode.views import answer_limit
from ..models.adapted import AdaptedModel
from ..models.lean import can_compute
from ..models.load import load, probe, read_codec, read_config
from ..models.manifest import WeightsError, WeightSet, default_weights, find_weights
from ..models.memory import GIB, MemoryPlan, Sizes, device_memory, plan
from ..models.precision import compute_dtype
from ..preset import PRESETS, Preset
from ..schedule.cost import token_passes
from .devices import cores, threads_per_worker, torch_device

log = logging.getLogger("solution")


@dataclass(frozen=True)
class Attempt:
    """One way to start: weights (as `--weights` names them; None: the device's default), worker devices, backend."""

    weights: str | None
    names: tuple[str, ...]
    backend: str

    def __str__(self) -> str:
        return f"weights {self.weights or 'by default'} on {', '.join(self.names)} by {self.backend}"


@dataclass(frozen=True)
class Ready:
    """Loaded and checked: one model a worker device. `speed`: token-passes a second of the first device, by a first timing."""

    weights: WeightSet
    names: tuple[str, ...]
    backend: str
    models: list[AdaptedModel]
    preset: Preset
    memory: MemoryPlan
    speed: float


def attempts(wanted: Attempt, rerun: bool) -> list[Attempt]:
    """What to try in order: what is wanted; in the competition rerun then other weights, the plain backend, the CPU."""
    found = [wanted]
    if rerun:
        cpu = tuple(f"cpu:{i}" for i in range(cores()))
        found += [
            replace(wanted, backend="transformers"),
            replace(wanted, weights=None),
            replace(wanted, weights=None, backend="transformers"),
            Attempt(None, cpu, "transformers"),
        ]
    return list(dict.fromkeys(found))


def get_ready(options: argparse.Namespace, tasks: dict[str, Task], wanted: Attempt, rerun: bool) -> Ready:
    """Load by the first attempt that works. Raises what the last one raised: `WeightsError`, `OSError`, `NonFiniteError`,
    `MemoryError`, or whatever a broken device raises."""
    ways = attempts(wanted, rerun)
    for number, way in enumerate(ways, 1):
        try:
            return _load(options, tasks, way)
        except Exception as error:
            if number == len(ways):
                raise
            log.debug("start-up attempt %d", number, exc_info=True)
            log.error("%s cannot be used (%s): going on with %s", way, " ".join(str(error).split())[:300], ways[number])
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    raise AssertionError("there is always one attempt")


def _load(options: argparse.Namespace, tasks: dict[str, Task], way: Attempt) -> Ready:
    devices = [torch_device(name) for name in way.names]
    weights = find_weights(way.weights) if way.weights else default_weights(devices[0].type)
    weights = replace(weights, allow_unpinned=options.allow_unpinned)
    weights.verify()
    codec, config = read_codec(weights), read_config(weights)
    preset = PRESETS[options.preset]
    if codec.position_scheme == "sequential":
        preset = within_positions(preset, config.max_position_embeddings, codec)
    longest = longest_sequence(tasks.values(), preset, codec)
    memory = _memory_plan(config, preset, way, devices, longest)
    models = [
        load(weights, device, preset.lora, way.backend, longest=longest, checkpointing=memory.checkpointing) for device in devices
    ]
    pinned = "verified" if all(f["sha256"] for f in weights.entry["files"]) else "NOT PINNED: used as they are"
    log.info("weights: %s, %s, %s", weights.name, pinned, weights.entry["quantization"])
    for line in describe_devices(way.names, models[0].dtype, way.backend):
        log.info("%s", line)
    log.info("%s", describe_plan(memory, device_memory(devices[0], len(way.names))))
    return Ready(weights, way.names, way.backend, models, preset, memory, calibrate(models[0]))


def within_positions(preset: Preset, positions: int, codec: Codec) -> Preset:
    """The preset with no sequence longer than the model's `positions`."""
    prompt = max(1, positions - codec.max_answer_tokens)

    def shown(config):
        return replace(config, max_prompt_tokens=min(config.max_prompt_tokens, prompt))

    data = replace(preset.data, max_tokens=min(preset.data.max_tokens, positions))
    return replace(preset, data=data, decode=shown(preset.decode), base=shown(preset.base))


def longest_sequence(tasks: Iterable[Task], preset: Preset, codec: Codec) -> int:
    """Tokens of the longest sequence of a run, training items and prompts with their answers."""
    longest = preset.data.max_tokens if preset.data.transformations == "paper" else 1
    limit = max(preset.decode.max_prompt_tokens, preset.base.max_prompt_tokens)
    for task in tasks:
        for index, test in enumerate(task.test):
            prompt = codec.task_tokens(task.train, test)
            alone = codec.task_tokens((), test)  # a test input is never cut
            longest = max(longest, max(min(prompt, limit), alone) + answer_limit(task, index, codec))
        item = codec.task_tokens(task.train[:-1], task.train[-1], codec.num_tokens(task.train[-1].output) + 1)
        longest = max(longest, min(item, preset.data.max_tokens))
    return longest


def _memory_plan(config, preset: Preset, way: Attempt, devices: list[torch.device], longest: int) -> MemoryPlan:
    """The plan for the device with the least memory: all devices must do the same job alike."""
    lean = devices[0].type == "cpu" and can_compute(config) and not preset.lora.embeddings
    in_4_bits = config.quantized and devices[0].type == "cuda"
    sizes = Sizes(config, preset.lora, in_4_bits, lean, dtype_bytes=compute_dtype(devices[0]).itemsize)
    sharing = {device: devices.count(device) for device in devices}
    memory = min(device_memory(device, count) for device, count in sharing.items())
    try:
        return plan(sizes, memory, longest, max(preset.train.batch_tokens, longest), preset.decode.batch_tokens)
    except MemoryError as error:
        raise WeightsError(f"{error} ({way})") from error


@torch.no_grad()
def calibrate(model: AdaptedModel) -> float:
    """Token-passes a second of one forward pass of a small prompt: a first guess, until jobs were measured."""
    prompt = probe(model.codec)
    ids, positions = (torch.from_numpy(t).to(model.device)[None] for t in (prompt.ids, prompt.positions))
    where = torch.ones_like(ids, dtype=torch.bool)
    start = time.monotonic()
    model.logits(ids, positions, where).sum().item()
    return token_passes(len(prompt), len(prompt)) / max(time.monotonic() - start, 1e-6)


def describe_devices(names: tuple[str, ...], dtype: torch.dtype, backend: str) -> list[str]:
    """A line for each GPU, one for all CPU workers: name, capability, memory, precision."""
    lines = []
    for name in names:
        if name.startswith("cuda"):
            properties = torch.cuda.get_device_properties(name)
            free, total = torch.cuda.mem_get_info(name)
            lines.append(
                f"{name}: {properties.name}, capability {properties.major}.{properties.minor}, {free / GIB:.1f} of "
                f"{total / GIB:.1f} GiB free, {dtype}, by {backend}"
            )
    workers = sum(name.startswith("cpu") for name in names)
    if workers:
        gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / GIB
        lines.append(
            f"cpu: {_processor()}, {workers} worker(s) of {threads_per_worker(list(names))} thread(s), {gib:.1f} GiB free, "
            f"{dtype}, by {backend}"
        )
    return lines


def describe_plan(memory: MemoryPlan, total: float) -> str:
    """What the memory plan allows and needs."""
    twice = f" (above {memory.kept_tokens} with activations computed twice)" if memory.checkpointing else ""
    how = "" if memory.merged else " from 4-bit weights"
    return (
        f"memory planned a worker: {max(memory.train, memory.decode) / GIB:.1f} of {total / GIB:.1f} GiB; training up to "
        f"{memory.train_tokens} tokens at once{twice}, decoding up to {memory.decode_tokens}{how}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return "processor unknown"
