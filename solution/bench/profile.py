"""Where a training step's and a decoding step's time goes: kernels, idle device, waiting for it.

In:  weights, a device. Out: on CUDA the kernels that take most of the device's time, its idle share, launches and waits a step;
on a CPU the operators.
The profiler slows the host down, so the idle share is the profile's kernel time against the time of the same steps without it.
Only whole steps are watched: both loops ask `out_of_time` between them, and here that question starts the watch.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity

from ..decode.greedy import greedy
from ..models.dense import DenseLlama
from ..models.load import load
from ..preset import DEFAULT
from ..ttt.train import train
from ..weights.pack import as_it_is
from .context import Context, Note, Result
from .public import public_tasks
from .speed import Endless, one_worker, typical_task, wait, work_of

WARM_STEPS, STEPS = 3, 3
NEW_TOKENS, TOY_TOKENS = 48, 4
TOP = 10
COLUMNS = ("name", "us a step", "calls a step", "share")
NAME = 90
"""Characters of a kernel's name that are kept."""
WAITS = (
    "cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "aten::item", "aten::_local_scalar_dense",
    "aten::nonzero",
)  # fmt: skip
"""What makes the host wait for the device, as the profiler names it. Those of `aten` cause some of the first, where their tensor
is on the device: AdamW reads its step counters by `item`, but from the host's memory."""


def run(context: Context, note: Note) -> Result:
    """Watch training, then decoding; what was done is noted before the next begins."""
    device = torch.device(context.device)
    one_worker(device)
    weights = as_it_is(context.weights[0])
    task = typical_task(public_tasks(context.pack), context.toy)
    model = load(weights, device, DEFAULT.lora)
    work = work_of(task, model.codec, context.toy)
    warm, steps = (1, 1) if context.toy else (WARM_STEPS, STEPS)
    config = replace(work.preset.train, steps=warm + steps)
    result = Result({"weights": weights.name, "task": task.id, "dtype": str(model.dtype)}, [f"{weights.name}, task {task.id}"])

    def training(watch: Callable[[], bool]) -> int:
        return train(model, work.items, work.preset.data, config, 0, watch).steps - warm

    new = TOY_TOKENS if context.toy else NEW_TOKENS

    def decoding(watch: Callable[[], bool]) -> int:
        greedy(llama, Endless(model.codec), work.prompts, [new] * len(work.prompts), watch)
        return new - 1  # the first token comes from the prefill, before `watch` is first asked

    llama = None
    for name, job, first in (("training", training, warm + 1), ("decoding", decoding, 1)):
        if name == "decoding":
            llama = DenseLlama(model)
            decoding(lambda: False)
        found = steps_of(job, device, first)
        result = Result(result.values | {name: found}, [*result.lines, *describe(name, found)])
        note(result)
    return result


class Watch:
    """Starts a clock, and a profiler where there is one, when it is called for the `first`-th time; always answers no."""

    def __init__(self, device: torch.device, first: int, profiler: torch.profiler.profile | None = None):
        self.device, self.first, self.profiler = device, first, profiler
        self.calls, self.begin = 0, 0.0

    def __call__(self) -> bool:
        self.calls += 1
        if self.calls == self.first:
            wait(self.device)
            if self.profiler:
                self.profiler.start()
            self.begin = time.perf_counter()
        return False

    def stop(self) -> float:
        """Seconds since it was started."""
        wait(self.device)
        seconds = time.perf_counter() - self.begin
        if self.profiler:
            self.profiler.stop()
        return seconds


def steps_of(job: Callable[[Callable[[], bool]], int], device: torch.device, first: int) -> dict:
    """Run a job twice, without a profiler and with one, watched from its `first`-th question on; figures a step."""
    clock = Watch(device, first)
    steps = job(clock)
    seconds = clock.stop() / steps
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    watch = Watch(device, first, torch.profiler.profile(activities=activities))
    job(watch)
    profiled = watch.stop() / steps
    events = watch.profiler.events()
    names = Counter(event.name for event in events)
    found = {
        "steps": steps, "seconds a step": seconds, "seconds a step, profiled": profiled,
        "operators a step": sum(count for name, count in names.items() if name.startswith("aten::")) / steps,
        "waits a step": {name: names[name] / steps for name in WAITS if names[name]},
    }  # fmt: skip
    if not on_gpu:
        return found | {"top": top([(e.name, e.self_cpu_time_total) for e in events], steps)}
    on_device = [
        (event.name, event.time_range.elapsed_us())
        for event in events
        if event.device_type == DeviceType.CUDA and not getattr(event, "is_user_annotation", False)
    ]
    moves = Counter(name for name, _ in on_device if name.startswith(("Memcpy", "Memset")))
    kernels = [(name, micros) for name, micros in on_device if not name.startswith(("Memcpy", "Memset"))]
    busy = sum(micros for _, micros in on_device) / 1e6 / steps
    return found | {
        "idle share": 1 - busy / seconds if on_device else None, "busy seconds a step": busy,
        "kernels a step": len(kernels) / steps, "copies a step": {name: count / steps for name, count in moves.items()},
        "top": top(kernels, steps),
    }  # fmt: skip


def top(timed: list[tuple[str, float]], steps: int) -> list[dict]:
    """The names that take most time: microseconds and calls a step, share of all."""
    micros, calls = defaultdict(float), Counter()
    for name, taken in timed:
        micros[name] += taken
        calls[name] += 1
    total = sum(micros.values()) or 1.0
    longest = sorted(micros, key=micros.get, reverse=True)[:TOP]
    return [
        dict(zip(COLUMNS, (name[:NAME], micros[name] / steps, calls[name] / steps, micros[name] / total))) for name in longest
    ]


def describe(name: str, found: dict) -> list[str]:
    step = f"{name}: {1000 * found['seconds a step']:.2f} ms a step ({1000 * found['seconds a step, profiled']:.2f} profiled)"
    if found.get("idle share") is not None:
        step += f", device idle {found['idle share']:.0%}, {found['kernels a step']:.0f} kernels"
    waits = found["waits a step"] | found.get("copies a step", {})
    lines = [f"{step}, {found['operators a step']:.0f} operators",
             "  a step: " + (", ".join(f"{kind} {count:g}" for kind, count in waits.items()) or "no waits")]  # fmt: skip
    return lines + [
        f"  {row['share']:6.1%} {row['us a step']:9.0f} us {row['calls a step']:7.1f} x {row['name']}" for row in found["top"]
    ]
