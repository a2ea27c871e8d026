"""Presets against each other at equal time: the driver on the same tasks, weights and budget, one preset after the other.

    python -m tests.benchmarks.presets default joint joint-prefix --set held-out --budget 6m --repeats 2

Whole runs by the command line, as a user would start them; every run has the same wall clock and all cores. Repeats are
interleaved: all presets once, then all again, with another seed. Per preset: tasks solved strictly over all repeats with a 95 %
bootstrap interval over tasks, outputs solved, and the paired difference to the first preset.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from solution.arc.load import public_set
from solution.arc.score import score
from solution.finetune.guard import HELD_OUT
from solution.models.manifest import PROJECT
from solution.preset import PRESETS


def run(preset, options, seed, names, folder):
    """Which outputs of every task one run of the driver solves: task id -> flags."""
    output = Path(folder) / f"{preset}-{seed}.json"
    command = [sys.executable, "submission.py", "--input", options.public, "--budget", options.budget, "--preset", preset,
               "--seed", str(seed), "--output", str(output)]  # fmt: skip
    command += ["--tasks", ",".join(names)] if options.set == "held-out" else []
    command += ["--weights", options.weights] if options.weights else []
    subprocess.run(command, cwd=PROJECT, check=True, stderr=subprocess.DEVNULL)
    answers = {
        name: [tuple(t[f"attempt_{k}"] for k in (1, 2)) for t in tests] for name, tests in json.loads(output.read_text()).items()
    }
    _, solutions = public_set(f"arc-agi-1/{options.public}")
    return score(answers, {name: solutions[name] for name in names}).solved


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="+", choices=PRESETS)
    parser.add_argument("--set", choices=("held-out", "training", "evaluation"), default="held-out")
    parser.add_argument("--budget", default="6m")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--weights", help="name or folder (default: the CPU's)")
    options = parser.parse_args()
    options.public = "evaluation" if options.set == "evaluation" else "training"
    options.weights = (
        str(Path(options.weights).resolve()) if options.weights and Path(options.weights).is_dir() else options.weights
    )
    names = sorted(HELD_OUT if options.set == "held-out" else public_set(f"arc-agi-1/{options.public}")[0].tasks)
    strict = {preset: np.zeros((options.repeats, len(names))) for preset in options.presets}
    outputs = dict.fromkeys(options.presets, 0)
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(options.repeats):
            for preset in options.presets:
                solved = run(preset, options, repeat, names, folder)
                strict[preset][repeat] = [all(solved[name]) for name in names]
                outputs[preset] += sum(map(sum, solved.values()))
                print(f"{preset}, seed {repeat}: {strict[preset][repeat].sum():.0f} of {len(names)} tasks", flush=True)
    draws = np.random.default_rng(0).integers(len(names), size=(10_000, len(names)))
    print(f"\n{len(names)} {options.set} tasks, {options.budget} a run, {options.repeats} runs each")
    for preset in options.presets:
        mean = strict[preset].mean(0)
        difference = mean - strict[options.presets[0]].mean(0)
        low, high = np.quantile(mean[draws].mean(1), (0.025, 0.975))
        least, most = np.quantile(difference[draws].mean(1), (0.025, 0.975))
        print(f"{preset:20} strict {mean.mean():.2%} ({low:.2%} to {high:.2%}), outputs {outputs[preset] / options.repeats:.1f}"
              f" a run, difference {difference.mean():+.2%} ({least:+.2%} to {most:+.2%})")  # fmt: skip


if __name__ == "__main__":
    main()
