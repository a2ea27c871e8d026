"""Memory and speed of Llamas of 135M to 8B in NF4: what the planner says for a T4 and an L4; on a GPU, what is really used.

    python -m tests.benchmarks.llama_sizes                          # the planner's table, anywhere
    python -m tests.benchmarks.llama_sizes --measure 135M,1B,3B     # on a GPU: random weights, measured beside the plan

Measured: peak memory beside the planned one, tokens a second and MFU of test-time training, tokens a second of decoding,
seconds a task with the presets `default` and `architects`; Unsloth against transformers + peft, each in a process of its own
(importing Unsloth patches transformers), interleaved.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from solution.models.manifest import PROJECT
from solution.models.memory import GIB, Sizes, device_memory, plan
from solution.models.settings import LoraShape
from solution.preset import PRESETS

VOCABULARY = {"1B": 128256, "3B": 80, "8B": 128256}
"""Of the published checkpoints of that size; random weights are measured with our own 16 tokens."""
GPUS = {"T4": 14.6, "L4": 22.0}
LONGEST = 8192
TASKS = 5
"""Evaluation tasks, first by id, that are trained and decoded; the first one warms up and is not counted."""


def planned_table() -> str:
    """A row for each size, GPU and preset: what the planner wants and allows."""
    from solution.bench.shapes import configuration

    lines = [
        "| size | GPU | preset | base | adapter | training peak | tokens at once (kept) | decoding peak | tokens | weights |"
    ]
    lines.append("|" + "---|" * 10)
    for name in ("135M", "1B", "3B", "8B"):
        config = configuration(name, VOCABULARY.get(name, 16))
        for gpu, gib in GPUS.items():
            for preset in (
                PRESETS["default"],
                PRESETS["architects" if name == "3B" else "paper-8b" if name == "8B" else "paper"],
            ):
                row = [name, f"{gpu}, {gib} GiB", preset.name]
                try:
                    sizes = Sizes(config, preset.lora, in_4_bits=True, repeated=gpu == "T4")
                    p = plan(sizes, gib * GIB, LONGEST, preset.train.batch_tokens, preset.decode.batch_tokens)
                except MemoryError as error:
                    lines.append(f"| {' | '.join(row)} | {error} |")
                    continue
                row += [
                    f"{p.base / GIB:.2f}",
                    f"{p.adapter / GIB:.2f}",
                    f"{p.train / GIB:.1f}",
                    f"{p.train_tokens} ({p.kept_tokens})",
                ]
                row += [f"{p.decode / GIB:.1f}", str(p.decode_tokens), "16 bits" if p.merged else "4 bits"]
                lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def measure(name: str, backend: str, folder: str, device_name: str, steps: int) -> dict:
    """One backend in this process: peaks, tokens a second, seconds a task."""
    if backend == "unsloth":
        import solution.models.unsloth_backend  # noqa: F401 - before `solution.bench.shapes` imports transformers
    from dataclasses import replace

    from solution.arc.load import public_evaluation
    from solution.bench.shapes import configuration
    from solution.codec.arc16 import Arc16
    from solution.driver.solve import Solver
    from solution.driver.startup import longest_sequence
    from solution.models.load import load
    from solution.models.manifest import ENTRY_FILE, WeightSet
    from solution.models.precision import compute_dtype
    from solution.schedule.job import Job

    device = torch.device(device_name)
    on_gpu = device.type == "cuda"
    weights = WeightSet(json.loads(Path(folder, ENTRY_FILE).read_text()), Path(folder))
    tasks = dict(sorted(public_evaluation()[0].tasks.items())[:TASKS])
    found = {"device": torch.cuda.get_device_name(device) if on_gpu else "cpu", "backend": backend, "size": name}
    for preset in (PRESETS["default"], PRESETS["architects"]):
        if steps:
            preset = replace(preset, train=replace(preset.train, steps=steps))
        sizes = Sizes(configuration(name), preset.lora, on_gpu, dtype_bytes=compute_dtype(device).itemsize)
        longest = longest_sequence(tasks.values(), preset, Arc16("sequential"))
        memory = plan(sizes, device_memory(device), longest, max(preset.train.batch_tokens, longest), preset.decode.batch_tokens)
        model = load(weights, device, preset.lora, backend, longest=longest, checkpointing=memory.checkpointing)
        with tempfile.TemporaryDirectory() as scratch:
            solver = Solver(model, device_name, tasks, preset, 0, Path(scratch), memory)
            rows = []
            for number, task in enumerate(tasks):
                if on_gpu:
                    torch.cuda.reset_peak_memory_stats(device)
                start = time.monotonic()
                result = solver(Job("ttt", (task,), 0, preset.first_views), lambda: 0.0, lambda: False)
                if number:  # the first one compiles kernels
                    rows.append((time.monotonic() - start, result.ttt, result.tokens))
        found[preset.name] = {
            "seconds a task": sorted(r[0] for r in rows)[len(rows) // 2],
            "steps a second with decoding": sum(r[1]["steps"] for r in rows) / sum(r[0] for r in rows),
            "training tokens a task": sum(r[1]["tokens"] for r in rows) / len(rows),
            "new tokens a task": sum(r[2]["new"] for r in rows) / len(rows),
            "planned GiB": max(memory.train, memory.decode) / GIB,
            "peak GiB": torch.cuda.max_memory_allocated(device) / GIB if on_gpu else None,
        }  # fmt: skip
        found[preset.name] |= speeds(model, memory, tasks)
        del model, solver
        if on_gpu:
            torch.cuda.empty_cache()
    return found


def speeds(model, memory, tasks) -> dict:
    """Tokens a second of training alone and of decoding alone, and the share of the device's own matrix products (MFU)."""
    from solution.decode.greedy import greedy
    from solution.finetune.throughput import peak_flops
    from solution.models.dense import DenseLlama
    from solution.ttt.train import collate

    task = next(iter(tasks.values()))
    prompts = [model.codec.encode(task.only_test(0))] * 8
    batch = collate(prompts, [p.spans[1:] for p in prompts], model.codec, model.device)
    ids, positions, targets = batch
    seconds = []
    for _ in range(4):
        _wait(model.device)
        start = time.monotonic()
        with model.checkpointing(ids.numel() > memory.kept_tokens):
            model.loss(ids, positions, targets.roll(-1, 1), ids[targets]).backward()
        _wait(model.device)
        seconds.append(time.monotonic() - start)
    training = ids.numel() / sorted(seconds[1:])[1]
    llama = DenseLlama(model, merged=memory.merged)
    start = time.monotonic()
    written = sum(len(g.ids) for g in greedy(llama, model.codec, prompts * 2, [64] * 16))
    decoding = written / (time.monotonic() - start)
    # The frozen base needs no gradients of its own: 4 flops a weight and token, where full training has 6.
    flops = 4 * Sizes(model.lm.config, LoraShape(), in_4_bits=True).parameters
    ceiling = peak_flops(model.device, model.dtype)
    return {"training tokens/s": training, "MFU": training * flops / ceiling, "decoding tokens/s": decoding}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", metavar="SIZE,...", help="of 135M, 1B, 3B, 8B, test")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--backends", default="transformers,unsloth")
    parser.add_argument("--steps", type=int, default=0, help="steps of training a task (0: the preset's)")
    parser.add_argument("--child", nargs=3, metavar=("SIZE", "BACKEND", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, backend, folder = options.child
        print(json.dumps(measure(name, backend, folder, options.device, options.steps)))
        return
    print(planned_table())
    from solution.bench.shapes import random_folder

    for name in options.measure.split(",") if options.measure else ():
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "manifest_entry.json").write_text(json.dumps(random_folder(name, Path(folder))))
            for backend in options.backends.split(","):
                command = [sys.executable, "-m", "tests.benchmarks.llama_sizes", "--device", options.device, "--steps",
                           str(options.steps), "--child", name, backend, folder]  # fmt: skip
                done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
                failed = f"{name} by {backend} failed:\n{done.stderr[-1500:]}"
                print(done.stdout.splitlines()[-1] if done.returncode == 0 else failed)


if __name__ == "__main__":
    main()
