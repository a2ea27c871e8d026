"""How fast the driver's two jobs are, by size of model: training an adapter on one task, decoding eight views of it.

In:  a device. Out: for each shape, in 16 bits and in NF4: tokens a second, seconds a task, the training's share of a measured
matrix product, peak memory beside the planner's.
Weights are random: speed does not depend on them, where nothing ends early (`Endless`). What is timed is `ttt.train.train` and
`decode.greedy.greedy` themselves, on the public task of median length. Not here: other ways of doing the same (`rivals`).
"""

import gc
import importlib.util
import statistics
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..arc.task import Task
from ..codec.arc16 import Arc16
from ..codec.codec import Codec
from ..codec.prompt import Prompt
from ..decode.greedy import greedy
from ..decode.views import plan_view, view_prompt
from ..finetune.throughput import peak_flops
from ..models.adapted import AdaptedModel
from ..models.dense import DenseLlama
from ..models.lean import can_compute
from ..models.memory import CONTEXT, FRAGMENTATION, GIB, LEAST_TOKENS, Sizes, device_memory, plan
from ..models.precision import compute_dtype
from ..preset import DEFAULT, Preset
from ..ttt.data import build, item_tokens
from ..ttt.train import PAD_TO, batches, train
from .context import Context, Note, Result
from .public import public_tasks
from .shapes import configuration, random_model

ON_CUDA, ON_CPU, TOYS = ("s", "m", "135M", "1B", "3B", "8B"), ("s", "m"), ("test", "tiny")
VIEWS = 8
WARM_STEPS, STEPS = 3, 8
WARM_TOKENS = 4
TOY_ANSWER = 8


def run(context: Context, note: Note) -> Result:
    """Measure shape after shape, the smallest first, until all are or the time is over."""
    until = time.monotonic() + context.seconds
    device = torch.device(context.device)
    one_worker(device)
    task = typical_task(public_tasks(context.pack), context.toy)
    ceiling = peak_flops(device, compute_dtype(device))
    values = {"dtype": str(compute_dtype(device)), "ceiling_TFLOP_s": ceiling / 1e12, "task": task.id, "rows": []}
    result = Result(values, [])
    for name in TOYS if context.toy else ON_CPU if device.type == "cpu" else ON_CUDA:
        for in_4_bits in (False, True) if can_pack(device) else (False,):
            if time.monotonic() > until:
                return result
            try:
                row = measure(name, device, in_4_bits, task, context.toy, ceiling)
            except (MemoryError, torch.OutOfMemoryError) as error:
                row = {"shape": name, "weights": precision(in_4_bits), "fault": str(error).splitlines()[0]}
            values["rows"].append(row)
            result = Result(values, table(values))
            note(result)
            release(device)
    if device.type == "cuda" and importlib.util.find_spec("unsloth") is not None:
        from .rivals import compare

        for found in compare(context, task, until - time.monotonic()):
            values["rivals"] = found.values
            note(result := Result(values, table(values) + found.lines))
    return result


def one_worker(device: torch.device) -> None:
    """As in the driver: a CPU worker has one thread. Without cuDNN's attention, which on Hopper comes first and takes a second to
    plan for every new length."""
    if device.type == "cpu":
        torch.set_num_threads(1)
    torch.backends.cuda.enable_cudnn_sdp(False)


def can_pack(device: torch.device) -> bool:
    """Whether 4-bit weights can be computed with there; the driver does so with large models alone (`load.keeps_4_bits`)."""
    return device.type == "cuda" and importlib.util.find_spec("bitsandbytes") is not None


def precision(in_4_bits: bool) -> str:
    return "NF4" if in_4_bits else "16 bits"


def typical_task(tasks: dict[str, Task], smallest: bool = False) -> Task:
    """The task of median length, or the shortest."""
    codec = Arc16("grid")
    order = sorted(tasks.values(), key=lambda task: (codec.task_tokens(task.train, task.test[0]), task.id))
    return order[0 if smallest else len(order) // 2]


def release(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Endless:
    """A codec whose answers go on to their limit: random weights would end most of them at once."""

    def __init__(self, codec: Codec):
        self._codec, self.end_id = codec, -1

    def __getattr__(self, name: str):
        return getattr(self._codec, name)

    def answer_check(self, rows: int):
        check = self._codec.answer_check(rows)

        class Patient:
            def hopeless(self, alive, tokens):
                return check.hopeless(alive, tokens) & False

        return Patient()


def some_prompts(ids: torch.Tensor) -> list[Prompt]:
    """Prompts of given tokens (rows, length), with running positions."""
    return [Prompt(row, np.arange(len(row)), ()) for row in ids.cpu().numpy()]


@dataclass(frozen=True)
class Work:
    """What is timed: one task's training items and batches, and the prompts and answer lengths of its views."""

    preset: Preset
    items: list[Task]
    planned: list[list[int]]
    lengths: list[int]
    prompts: list[Prompt]
    limits: list[int]

    @property
    def batch_tokens(self) -> int:
        """Tokens of the largest batch, padding included."""
        return max(len(batch) * -(-max(self.lengths[i] for i in batch) // PAD_TO) * PAD_TO for batch in self.planned)

    @property
    def decode_tokens(self) -> int:
        return len(self.prompts) * (max(map(len, self.prompts)) + max(self.limits))


def work_of(task: Task, codec: Codec, toy: bool, preset: Preset = DEFAULT) -> Work:
    """The work on `task` as the driver does it; at toy size two steps and short answers."""
    preset = replace(preset, train=replace(preset.train, flat_window=0, **({"steps": 2} if toy else {})))
    items = build(task, preset.data, codec, 0)
    lengths = [item_tokens(item, codec) for item in items]
    planned = batches(lengths, preset.train, np.random.default_rng(0))
    prompts = [
        view_prompt(task, 0, plan_view(task, number, preset.decode, 0), number, preset.decode, codec) for number in range(VIEWS)
    ]
    answer = TOY_ANSWER if toy else int(statistics.mean(codec.num_tokens(pair.output) for pair in task.train)) + 1
    return Work(preset, items, planned, lengths, prompts, [answer] * len(prompts))


def some_steps(model: AdaptedModel, work: Work, steps: int, kept_tokens: int = 2**62):
    """The training's first steps, as the driver's own; -> `Trained`, seconds."""
    config = replace(work.preset.train, steps=min(steps, len(work.planned)))
    wait(model.device)
    start = time.perf_counter()
    trained = train(model, work.items, work.preset.data, config, 0, kept_tokens=kept_tokens)
    wait(model.device)
    return trained, time.perf_counter() - start


def decode(llama: DenseLlama, codec: Codec, work: Work, most: int = 2**62) -> tuple[int, float]:
    """Greedy answers of full length to every prompt; -> tokens written, seconds."""
    wait(llama.device)
    start = time.perf_counter()
    found = greedy(llama, Endless(codec), work.prompts, [min(most, limit) for limit in work.limits])
    wait(llama.device)
    return sum(len(generation.ids) for generation in found), time.perf_counter() - start


def flops_a_token(sizes: Sizes, context: float) -> float:
    """Of training an adapter on sequences of `context` tokens: 4 for each frozen weight (forward, and the gradient of what comes
    in; none of its own), 6 for each trained one, and the causal half of attention, forward and twice backward."""
    frozen = sizes.matrix_parameters + sizes.table
    return 4.0 * frozen + 6.0 * sizes.adapter_parameters + 6.0 * sizes.layers * sizes.query * context


def measure(name: str, device: torch.device, in_4_bits: bool, task: Task, toy: bool, ceiling: float) -> dict:
    """One row. Raises `MemoryError` where the planner has no room, `torch.OutOfMemoryError` where the device has not."""
    config, on_gpu = configuration(name), device.type == "cuda"
    lean = not on_gpu and can_compute(config)
    repeated = on_gpu and torch.cuda.get_device_capability(device)[0] < 8
    sizes = Sizes(config, DEFAULT.lora, in_4_bits, lean, compute_dtype(device).itemsize, repeated)
    total = device_memory(device)
    model = random_model(name, device, DEFAULT.lora, in_4_bits)
    work = work_of(task, model.codec, toy)
    memory = plan(sizes, total, max(work.lengths), max(work.batch_tokens, LEAST_TOKENS), max(work.decode_tokens, LEAST_TOKENS))
    allowance = total * FRAGMENTATION + (0 if lean else CONTEXT)  # of the plan; not of what the allocator counts

    def peak() -> float | None:
        return torch.cuda.max_memory_allocated(device) / GIB if on_gpu else None

    some_steps(model, work, 1 if toy else WARM_STEPS, memory.kept_tokens)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    trained, seconds = some_steps(model, work, STEPS, memory.kept_tokens)
    speed, step, peak_train = trained.tokens / seconds, seconds / trained.steps, peak()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    wait(device)
    start = time.perf_counter()
    llama = DenseLlama(model, merged=memory.merged)
    wait(device)
    merging = time.perf_counter() - start
    decode(llama, model.codec, work, WARM_TOKENS)
    written, decoding = decode(llama, model.codec, work)
    context = statistics.mean(work.lengths)
    return {
        "shape": name, "weights": precision(in_4_bits), "parameters": sizes.parameters,
        "training tokens/s": speed, "seconds a step": step, "tokens a step": trained.tokens / trained.steps,
        "share of ceiling": speed * flops_a_token(sizes, context) / ceiling,
        "decoding tokens/s": written / decoding, "seconds a token of all views": decoding / max(work.limits),
        "seconds to merge": merging, "steps a task": len(work.planned),
        "seconds a task": step * len(work.planned) + merging + decoding,
        "peak GiB training": peak_train, "planned GiB training": (memory.train - allowance) / GIB,
        "peak GiB decoding": peak(), "planned GiB decoding": (memory.decode - allowance) / GIB,
    }  # fmt: skip


def table(values: dict) -> list[str]:
    columns = f"{'shape':6}{'weights':>9}{'TTT tok/s':>11}{'ceiling':>9}{'decode tok/s':>14}{'s a task':>10}"
    lines = [
        f"task {values['task']}, {values['dtype']}, matrix products {values['ceiling_TFLOP_s']:.4g} TFLOP/s; GiB: peak / planned",
        f"{columns}{'GiB train':>15}{'GiB decode':>15}",
    ]
    for row in values["rows"]:
        line = f"{row['shape']:6}{row['weights']:>9}"
        if "fault" in row:
            lines.append(f"{line}  {row['fault']}")
            continue
        memory = [
            f"{row[f'planned GiB {what}']:.2f}" if row[f"peak GiB {what}"] is None
            else f"{row[f'peak GiB {what}']:.2f} / {row[f'planned GiB {what}']:.2f}"
            for what in ("training", "decoding")
        ]  # fmt: skip
        lines.append(f"{line}{row['training tokens/s']:>11.0f}{row['share of ceiling']:>9.1%}{row['decoding tokens/s']:>14.0f}"
                     f"{row['seconds a task']:>10.2f}{memory[0]:>15}{memory[1]:>15}")  # fmt: skip
    return lines
