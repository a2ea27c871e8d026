"""Trainings of small Llamas from scratch: each preset for its time, its weights laid aside before anything else is done.

In:  presets and seconds, a pack of training pairs. Out: OUT/P (the run of `solution.finetune`), OUT/weights/P (its weights in
bfloat16 alone, flat), tokens a second, MFU, the loss's course.
Not here: the training itself (`solution.finetune`), quantization, scores.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .context import Context, Note, Result
from .files import WEIGHTS
from .frame import SETUP, kill_all

EARLY_STEPS = 20
CURVE = 10
CHECK_EVERY = 5.0
FINISH = 5.0
"""Seconds before the end of the time box at which a training is ended that should have ended before."""
CHECKPOINTS = ("final", "stable", "latest")


def run(context: Context, note: Note) -> Result:
    """Train each preset in turn; where less time is left than was asked for, with what is left. Raises `RuntimeError` where not
    one of them ended well."""
    end = time.monotonic() + context.seconds
    runs: dict[str, dict] = {}
    for preset, seconds in context.train or default_train(context):
        left = end - time.monotonic() - SETUP
        if left < 1:
            runs[preset] = {"fault": "no time left for it"}
        else:
            runs[preset] = {"asked_seconds": seconds}
            train_one(preset, min(seconds, left), context, end, lambda: note(report(runs, context)), runs[preset])
        note(report(runs, context))
    if all("fault" in run for run in runs.values()):
        raise RuntimeError("; ".join(f"{preset}: {run['fault']}" for preset, run in runs.items()))
    return report(runs, context)


def default_train(context: Context) -> list[tuple[str, float]]:
    """What to train where nothing is asked for: s; on a GPU s a quarter of the time and m the rest; the smallest as a toy."""
    if context.toy:
        return [("test", 10.0)]
    if context.device == "cpu":
        return [("s", max(1.0, context.seconds - SETUP))]
    seconds = max(4.0, context.seconds - 2 * SETUP)
    return [("s", seconds / 4), ("m", 3 * seconds / 4)]


def command(preset: str, seconds: float, context: Context) -> list[str]:
    """The training's command: a fresh run of the preset, `seconds` long; an earlier one in its folder is put aside."""
    words = [sys.executable, "-m", "solution.finetune", "--preset", preset, "--minutes", f"{seconds / 60:.4f}", "--train-only"]
    words += ["--fresh", "--out", str(context.out / preset), "--device", context.device.partition(":")[0]]
    return words + (["--pack", str(context.pack)] if context.pack else [])


def train_one(preset: str, seconds: float, context: Context, end: float, note: Callable[[], None], found: dict) -> None:
    """Train one preset for `seconds`, its weights laid aside from its first checkpoint on; fills `found`."""
    folder, output = context.out / preset, context.out / f"{preset}.log"
    environment = dict(os.environ)
    index = context.device.partition(":")[2]
    if index not in ("", "0"):
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        environment["CUDA_VISIBLE_DEVICES"] = seen.split(",")[int(index)] if seen else index
    begin = told = time.monotonic()
    with open(output, "wb") as log:
        process = subprocess.Popen(command(preset, seconds, context), stdout=log, stderr=log, env=environment)
        try:
            while process.poll() is None and time.monotonic() < min(end - FINISH, begin + seconds + 2 * SETUP):
                time.sleep(0.2)
                if time.monotonic() - told > CHECK_EVERY:
                    told = time.monotonic()
                    found |= measured(folder) | lay_aside(folder, context.out / WEIGHTS / preset)
                    note()
        finally:
            late = process.poll() is None
            kill_all(process.pid)
            process.wait()
    if late:
        found["fault"] = "did not end in time"
    elif process.returncode:
        said = output.read_text(errors="replace").strip().splitlines()
        found["fault"] = said[-1] if said else f"ended with {process.returncode}"
    found |= measured(folder) | {"seconds": round(time.monotonic() - begin, 1)}
    found |= lay_aside(folder, context.out / WEIGHTS / preset)


def lay_aside(run: Path, target: Path) -> dict:
    """Copy the weights of a run's best checkpoint to `target`, whole or not at all: shards, index, config; what they are.

    Nothing where there is no checkpoint yet, or where it is being replaced right now.
    """
    source = next((run / name for name in CHECKPOINTS if (run / name / "config.json").is_file()), None)
    if source is None:
        return {}
    aside = target.with_name(f".{target.name}.new")
    try:
        files = [p for p in sorted(source.iterdir()) if is_weights(p.name)]
        stamps = {p.name: p.stat().st_mtime_ns for p in files}
        if not target.is_dir() or stamps != {p.name: p.stat().st_mtime_ns for p in target.iterdir() if is_weights(p.name)}:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            for file in files:
                shutil.copy2(file, aside)
            shutil.rmtree(target, ignore_errors=True)
            aside.rename(target)
        shards = [p for p in files if p.suffix == ".safetensors"]
        return {
            "checkpoint": source.name, "parameters": sum(map(num_parameters, shards)), "weights": str(target),
            "files": {p.name: p.stat().st_size for p in files},
        }  # fmt: skip
    except (OSError, ValueError, struct.error):
        return {}


def is_weights(name: str) -> bool:
    """Whether a checkpoint's file is needed to compute with it, or says what its weights have read: no optimizer state."""
    beside = ("config.json", "model.safetensors.index.json", "training_state.json")
    return name in beside or name.startswith("model") and name.endswith(".safetensors")


def num_parameters(shard: Path) -> int:
    """Elements of all tensors of a safetensors file, from its header."""
    with open(shard, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    total = 0
    for name, tensor in header.items():
        count = 1
        for side in tensor["shape"] if name != "__metadata__" else [0]:
            count *= side
        total += count
    return total


def measured(folder: Path) -> dict:
    """Speed and loss so far, from the run's log."""
    try:
        rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    except (OSError, ValueError):
        return {}
    if not rows:
        return {}
    early = next((row for row in rows if row["step"] >= EARLY_STEPS), rows[-1])
    picked = sorted({round(i * (len(rows) - 1) / (CURVE - 1)) for i in range(CURVE)})
    curve = [{k: rows[i].get(k) for k in ("step", "tokens", "minutes", "output_loss", "output_accuracy")} for i in picked]
    return {"early": early, "last": rows[-1], "curve": curve}


def report(runs: dict[str, dict], context: Context) -> Result:
    lines = []
    for preset, run in runs.items():
        if last := run.get("last"):
            size = f"{run['parameters'] / 1e6:.1f}M parameters, " if "parameters" in run else ""
            lines.append(
                f"{preset}: {size}{last['tokens'] / 1e6:.2f}M tokens in {last['minutes']:.2f} min, output loss "
                f"{last['output_loss']:.3f}, {100 * last['output_accuracy']:.1f} % of output tokens right"
            )
            lines += [f"{preset}: {speed(row)} at step {row['step']}" for row in (run["early"], last)]
            lines.append(f"{preset}: loss " + " ".join(f"{point['output_loss']:.3f}" for point in run["curve"]))
        if files := run.get("files"):
            sizes = [size / 2**20 for size in files.values()]
            lines.append(f"{preset}: {run['weights']} ({run['checkpoint']}): {len(sizes)} files, {sum(sizes):.1f} MiB, the "
                         f"largest {max(sizes):.1f}")  # fmt: skip
        if fault := run.get("fault"):
            lines.append(f"{preset}: FAILED: {fault} (see {context.out / preset}.log)")
    return Result({"runs": runs}, lines)


def speed(row: dict) -> str:
    return f"{row['tokens_per_s']:,} tokens/s, MFU {100 * row['mfu']:.1f} %"
