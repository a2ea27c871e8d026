"""The first seconds: what there is, what it can do, and models that fit into it.

In:  options, tasks, worker devices. Out: `Ready`: verified weights on every device, the preset as these weights can run it,
a memory plan that holds on all of them, and a first timing. Says in single lines what was found and chosen.
Not here: which devices there are (`devices`), journal and workers (`setup`), what is tried where all this fails: another
process with less (`kaggle.start`), because a library that patched others, or a broken device, stays in this one.
"""

import logging
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..arc.task import Task
from ..codec.codec import Codec
from ..decode.views import answer_limit
from ..models import limits
from ..models.adapted import AdaptedModel
from ..models.lean import can_compute
from ..models.load import keeps_4_bits, load, probe, read_codec, read_config
from ..models.manifest import WeightsError, WeightSet
from ..models.memory import GIB, MemoryPlan, Sizes, device_memory, plan
from ..models.precision import compute_dtype
from ..preset import Preset
from ..schedule.cost import token_passes
from .devices import threads_per_worker, torch_device

log = logging.getLogger("solution")


@dataclass(frozen=True)
class Ready:
    """Loaded and checked: one model a worker device. `speed`: token-passes a second of the first device, by a first timing."""

    weights: WeightSet
    names: list[str]
    backend: str
    models: list[AdaptedModel]
    preset: Preset
    memory: MemoryPlan
    speed: float


def get_ready(weights: WeightSet, preset: Preset, names: list[str], backend: str, tasks: dict[str, Task], rerun: bool) -> Ready:
    """Verify the weights, plan the memory, load a model on every device; in the competition rerun on every one that takes it.

    Raises `WeightsError`, `OSError`, `NonFiniteError`, or whatever a broken device raises.
    """
    weights.verify()
    codec, config = read_codec(weights), read_config(weights)
    if codec.position_scheme == "sequential":
        preset = within_positions(preset, config.max_position_embeddings, codec)
    longest = longest_sequence(tasks.values(), preset, codec)
    memory, total = _memory_plan(config, preset, names, longest)
    models, loaded, fault = [], [], None
    for name in names:
        try:
            with current(torch_device(name)):
                models.append(
                    load(weights, torch_device(name), preset.lora, backend, longest=longest,
                         checkpointing=memory.checkpointing, verified=True)
                )  # fmt: skip
            loaded.append(name)
        except Exception as error:
            if not rerun:
                raise
            fault = error
            log.error("%s cannot be used (%s: %s)", name, type(error).__name__, " ".join(str(error).split())[:300])
    if not models:
        raise fault
    pinned = "verified" if all(f["sha256"] for f in weights.entry["files"]) else "NOT PINNED: used as they are"
    log.info("weights: %s, %s, %s", weights.name, pinned, weights.entry["quantization"])
    for line in describe_devices(loaded, models[0].dtype, backend):
        log.info("%s", line)
    log.info("%s", describe_plan(memory, total))
    return Ready(weights, loaded, backend, models, preset, memory, calibrate(models[0]))


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


def _memory_plan(config, preset: Preset, names: list[str], longest: int) -> tuple[MemoryPlan, float]:
    """The plan for the device with the least memory, all devices must do the same job alike; and that memory in bytes."""
    devices = [torch_device(name) for name in names]
    on_cpu = devices[0].type == "cpu"
    lean = on_cpu and can_compute(config) and not preset.lora.embeddings and "lm_head" not in preset.lora.targets
    repeated = not on_cpu and min(torch.cuda.get_device_capability(d)[0] for d in devices) < 8
    sizes = Sizes(config, preset.lora, keeps_4_bits(config, devices[0]), lean, compute_dtype(devices[0]).itemsize, repeated)
    memory = min(device_memory(device, devices.count(device)) for device in devices)
    try:
        most = max(preset.train.batch_tokens, longest)
        return plan(sizes, memory, longest, most, preset.decode.batch_tokens), memory
    except MemoryError as error:
        raise WeightsError(f"{error} ({', '.join(names)}, preset {preset.name})") from error


@torch.no_grad()
def calibrate(model: AdaptedModel) -> float:
    """Token-passes a second of one forward pass of small prompts, on a GPU of as many as keep it busy: a first guess, until jobs
    were measured."""
    prompt, rows = probe(model.codec), 8 if model.device.type == "cuda" else 1
    ids, positions = (torch.from_numpy(t).to(model.device).repeat(rows, 1) for t in (prompt.ids, prompt.positions))
    where = torch.ones_like(ids, dtype=torch.bool)
    start = time.monotonic()
    with current(model.device):
        model.logits(ids, positions, where).sum().item()
    return rows * token_passes(len(prompt), len(prompt)) / max(time.monotonic() - start, 1e-6)


def current(device: torch.device) -> AbstractContextManager:
    """Within it a CUDA device is the current one, as in its worker's thread: what Unsloth's layers set up when they first run
    is for the current device, and they would wait for that one ever after."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def describe_devices(names: list[str], dtype: torch.dtype, backend: str) -> list[str]:
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
        free = limits.free_memory()
        room = "free memory unknown" if free is None else f"{free / GIB:.1f} GiB free"
        lines.append(
            f"cpu: {_processor()}, {workers} worker(s) of {threads_per_worker(names)} thread(s), {room}, {dtype}, by {backend}"
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
