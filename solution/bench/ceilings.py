"""What the device can do at most: matrix products, copies, kernel launches, synchronization; and what exactly it is.

In:  a device. Out: medians of repeats on random data; on CUDA timed by events, launches and synchronizations by the clock.
Not here: what our own code reaches of it (`speed`, `profile`).
"""

import importlib.metadata
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from ..models.limits import cores
from .context import Context, Note, Result

PACKAGES = ("torch", "transformers", "peft", "accelerate", "triton", "numpy", "bitsandbytes", "unsloth", "trl")
SQUARES = {"cuda": (1024, 2048, 4096, 8192), "cpu": (512, 1024), "toy": (64, 128)}
SKINNY = {
    "cuda": ((98304, 512, 512), (98304, 512, 1408), (98304, 1408, 512), (64, 512, 1408)),
    "cpu": ((8192, 256, 256), (8192, 256, 1408)),
    "toy": ((256, 64, 64),),
}
"""Rows, inner, columns: a batch of training's tokens through the projections of a small Llama; a batch of decoding's rows."""
COPY_BYTES = {"cuda": 2**30, "cpu": 2**26, "toy": 2**20}
LAUNCHES = {"cuda": 1000, "cpu": 1000, "toy": 100}
REPEATS, LEAST_SECONDS, MOST_LOOPS, LONG_SECONDS = 7, 0.002, 200, 0.5
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
ATTENTION = (2, 8, 928, 64)
"""Rows, heads, tokens, head size of the attention whose first call is timed."""


def run(context: Context, note: Note) -> Result:
    """Measure everything, what matters most first; stops before the time box does."""
    begin = time.monotonic()
    device = torch.device(context.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)  # two stall each other under other load (docs/experiments/02-cpu-threads.md)
    size = "toy" if context.toy else device.type
    values: dict = {"machine": machine(device)}
    note(report(values))
    parts = {
        "products": lambda: products(device, size, lambda found: note(report(values | {"products": found}))),
        "copy_GB_s": lambda: copies(device, size),
        "launch_us": lambda: launches(device, size),
        "first_attention_ms": lambda: first_attention(device),
    }
    for name, measure in parts.items():
        if time.monotonic() - begin > 0.9 * context.seconds:
            values.setdefault("left_out", []).append(name)
            continue
        try:
            values[name] = measure()
        except RuntimeError as error:  # out of memory, a type that the device does not have: the others go on
            values.setdefault("faults", {})[name] = str(error).splitlines()[0]
        note(report(values))
    return report(values)


def machine(device: torch.device) -> dict:
    """Names and versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    found = {
        "device": cpu_name(), "cores": cores(),
        "threads": torch.get_num_threads(), "python": platform.python_version(), "system": platform.platform(),
        "versions": versions, "cuda": torch.version.cuda,
    }  # fmt: skip
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        found |= {
            "cpu": found["device"], "device": card.name, "capability": f"{card.major}.{card.minor}",
            "memory_GiB": round(card.total_memory / 2**30, 1), "processors": card.multi_processor_count,
            "devices": torch.cuda.device_count(), "cudnn": torch.backends.cudnn.version(), "driver": driver(),
        }  # fmt: skip
    return found


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def driver() -> str | None:
    """NVIDIA's driver version, power limit and clocks as nvidia-smi tells them; None where it is not there."""
    query = ["nvidia-smi", "--query-gpu=driver_version,power.limit,clocks.max.sm,clocks.max.mem", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.strip().splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def seconds_of(call: Callable[[], object], device: torch.device) -> float:
    """Median seconds of a call, warm; short ones are timed many at a time, very long ones once."""
    begin = time.perf_counter()
    call()
    if device.type != "cuda":
        if (first := time.perf_counter() - begin) > LONG_SECONDS:
            return first
        loops = int(min(MOST_LOOPS, max(1, LEAST_SECONDS / first)))
        taken = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            for _ in range(loops):
                call()
            taken.append((time.perf_counter() - begin) / loops)
        return statistics.median(taken)

    def timed(loops: int) -> float:
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(loops):
            call()
        stop.record()
        stop.synchronize()
        return start.elapsed_time(stop) / 1000 / loops

    loops = int(min(MOST_LOOPS, max(1, LEAST_SECONDS / max(timed(3), 1e-7))))
    timed(loops)
    return statistics.median(timed(loops) for _ in range(REPEATS))


def clock_seconds(call: Callable[[], object]) -> float:
    """Median seconds of a call by the clock."""
    call()
    taken = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


@torch.inference_mode()
def products(device: torch.device, size: str, note: Callable[[dict], None]) -> dict:
    """TFLOP/s of matrix products by "MxKxN" and type; TF32 is float32 with `allow_tf32`."""
    found: dict[str, dict[str, float]] = {}
    shapes = [(side, side, side) for side in SQUARES[size]] + list(SKINNY[size])
    kinds = [("bf16", False), ("fp16", False), ("fp32", False)] + ([("fp32", True)] if device.type == "cuda" else [])
    for rows, inner, columns in sorted(shapes, key=lambda s: -min(s)):
        row = found.setdefault(f"{rows}x{inner}x{columns}", {})
        for kind, tf32 in kinds:
            a = torch.randn(rows, inner, device=device).to(DTYPES[kind])
            b = torch.randn(inner, columns, device=device).to(DTYPES[kind])
            before = torch.backends.cuda.matmul.allow_tf32
            torch.backends.cuda.matmul.allow_tf32 = tf32
            try:
                seconds = seconds_of(partial(torch.matmul, a, b), device)
            finally:
                torch.backends.cuda.matmul.allow_tf32 = before
            row["tf32" if tf32 else kind] = float(f"{2 * rows * inner * columns / seconds / 1e12:.3g}")
        note(found)
    return found


@torch.inference_mode()
def copies(device: torch.device, size: str) -> dict:
    """GB/s: on the device, bytes read and written; between host and device, bytes moved."""
    count = COPY_BYTES[size] // 4
    source = torch.randn(count, device=device)
    target = torch.empty_like(source)
    found = {"device": 8 * count / seconds_of(lambda: target.copy_(source), device) / 1e9}
    if device.type == "cuda":
        for name, pinned in (("pageable", False), ("pinned", True)):
            host = torch.randn(count // 4).pin_memory() if pinned else torch.randn(count // 4)
            card = target[: count // 4]
            for way, to, fro in (("to_device", card, host), ("to_host", host, card)):
                found[f"{way}_{name}"] = count / seconds_of(partial(to.copy_, fro, non_blocking=pinned), device) / 1e9
    return {name: round(value, 2) for name, value in found.items()}


@torch.inference_mode()
def launches(device: torch.device, size: str) -> dict:
    """Microseconds: a tiny kernel, one after the other, eager and in a graph; waiting for the device; reading one number."""
    count = LAUNCHES[size]
    x = torch.zeros(1, device=device)

    def many():
        for _ in range(count):
            x.add_(1.0)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    found = {"eager": clock_seconds(many) / count, "read_a_number": clock_seconds(lambda: x.add_(1.0).item())}
    if device.type == "cuda":
        found["synchronize_idle"] = clock_seconds(lambda: torch.cuda.synchronize(device))

        def launch_and_wait():
            x.add_(1.0)
            torch.cuda.synchronize(device)

        found["launch_and_wait"] = clock_seconds(launch_and_wait)
        found["small_to_device"] = clock_seconds(lambda: torch.zeros(64, dtype=torch.int64).to(device))
        graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            x.add_(1.0)
        torch.cuda.current_stream(device).wait_stream(stream)
        with torch.cuda.graph(graph):
            for _ in range(count):
                x.add_(1.0)
        found["in_graph"] = seconds_of(graph.replay, device) / count
        found["graph_replay"] = clock_seconds(lambda: (graph.replay(), torch.cuda.synchronize(device)))
    return {name: round(1e6 * seconds, 2) for name, seconds in found.items()}


@torch.inference_mode()
def first_attention(device: torch.device) -> dict | None:
    """Milliseconds of attention over a length not seen before, and over the same again: cuDNN plans for each new one."""
    if device.type != "cuda":
        return None
    found = {}
    for name, cudnn in (("as_it_is", torch.backends.cuda.cudnn_sdp_enabled()), ("without_cudnn", False)):
        before = torch.backends.cuda.cudnn_sdp_enabled()
        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        try:
            rows, heads, tokens, width = ATTENTION
            times = []
            for length in (tokens, tokens + 32, tokens + 64, tokens + 64):  # the last one is known
                q = torch.randn(rows, heads, length, width, device=device, dtype=torch.float16)
                torch.cuda.synchronize(device)
                begin = time.perf_counter()
                F.scaled_dot_product_attention(q, q, q, is_causal=True)
                torch.cuda.synchronize(device)
                times.append(1000 * (time.perf_counter() - begin))
        finally:
            torch.backends.cuda.enable_cudnn_sdp(before)
        found[name] = {"new_length": round(statistics.median(times[1:3]), 3), "known_length": round(times[3], 3)}
    return found


def report(values: dict) -> Result:
    told = values["machine"]
    lines = [told["device"]]
    if "capability" in told:
        lines[0] += (f", capability {told['capability']}, {told['memory_GiB']} GiB, {told['processors']} processors, driver "
                     f"{told['driver']}, CUDA {told['cuda']}, {told['cpu']}")  # fmt: skip
    lines[0] += f", {told['cores']} cores" + ("" if "capability" in told else ", one of them measured")
    known = ", ".join(f"{name} {version}" for name, version in told["versions"].items() if version)
    lines.append(f"Python {told['python']}, {known}")
    for shape, row in values.get("products", {}).items():
        lines.append(f"{shape}: " + ", ".join(f"{kind} {speed:g}" for kind, speed in row.items()) + " TFLOP/s")
    for name, unit in (("copy_GB_s", "GB/s"), ("launch_us", "us")):
        if found := values.get(name):
            told_all = ", ".join(f"{what.replace('_', ' ')} {value:g}" for what, value in found.items())
            lines.append(f"{name.partition('_')[0]}, {unit}: {told_all}")
    for name, found in (values.get("first_attention_ms") or {}).items():
        new, known = found["new_length"], found["known_length"]
        lines.append(f"attention, {name.replace('_', ' ')}: new length {new:g} ms, known {known:g} ms")
    lines += [f"FAILED {name}: {fault}" for name, fault in values.get("faults", {}).items()]
    if left_out := values.get("left_out"):
        lines.append(f"no time left for {', '.join(left_out)}")
    return Result(values, lines)
