"""From a finished training run to a weight set that the driver loads: quantized, checked, scored, described.

In:  the run's folder with final/, and what the entry should say of it. Out: RUN/weights/ with its manifest entry.
The scores come from the driver itself, run as a user would run it. Not here: training (`train`, `sft`).
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import torch

from ..arc.load import public_set
from ..arc.score import bootstrap_interval, score
from ..models.manifest import ENTRY_FILE, PROJECT
from ..report.methods import method_rows
from ..report.outcome import read_run
from ..weights.pack import COUNTERS, pack_folder, said_by
from .check import compare
from .folders import write_whole
from .throughput import hardware
from .train import read_counters

WEIGHTS, SCORING = "weights", "score"


def share_text(flags: list[bool], unit: str) -> str:
    """ "5 of 400 tasks (1.25 %, 95 % interval 0.25 to 2.5 %)": the interval by the bootstrap over tasks."""
    low, high = bootstrap_interval(flags)
    return f"{sum(flags)} of {len(flags)} {unit} ({sum(flags) / len(flags):.2%}, 95 % interval {low:.2%} to {high:.2%})"


def run_driver(weights: Path, folder: Path, budget: str, chosen: str) -> dict:
    """Solve a public set with the weights, without program search, in a process of its own; its scores, as the entry's "scores"
    lists them.

    Raises `OSError` where the driver fails; what it printed says why.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    output = folder / "submission.json"
    command = ["submission.py", "--input", chosen, "--budget", budget, "--solvers", "ttt"]
    done = subprocess.run(
        [sys.executable, str(PROJECT / command[0]), *command[1:], "--weights", str(weights), "--output", str(output)]
    )
    if done.returncode:
        raise OSError(f"the driver ended with exit code {done.returncode}; the weights are in {weights}, without scores")
    challenges, solutions = public_set(f"arc-agi-1/{chosen}")
    answers = {
        name: [tuple(attempts[f"attempt_{k}"] for k in (1, 2)) for attempts in tests]
        for name, tests in json.loads(output.read_text()).items()
    }
    result = score(answers, solutions)
    flags = [all(solved) for solved in result.solved.values()]
    run = read_run(output.with_suffix(".run") / "journal.jsonl", challenges)
    rows, _ = method_rows(run, solutions)
    methods = {row.name: f"strict {row.score.strict}, outputs {row.score.outputs_solved}" for row in rows}
    return {
        "set": f"ARC-AGI-1 public {chosen}",
        "how": f"python {' '.join(command)}, {hardware(torch.device('cuda' if torch.cuda.is_available() else 'cpu'))}",
        "strict": share_text(flags, "tasks"),
        "partial": f"{result.outputs_solved} of {result.outputs} test outputs ({result.partial_share:.2%})",
        "by_voting_method": methods,
    }


def publish(run: Path, name: str, positions: str, training: dict, device: torch.device, max_len: int,
            score_budget: str | None) -> Path:  # fmt: skip
    """Pack RUN/final into RUN/weights, check and score it, and write its entry; the folder.

    `training`: what the entry says of data, time and command; what the run itself left in its folder joins it.
    `score_budget`: how long the driver may work on the public evaluation set; None leaves the scores out.
    Raises `ValueError` where the weights overflow in float16: RUN/weights is then as it was.
    """
    target, final, entry = run / WEIGHTS, run / "final", {}
    details = said_by(final)
    if (final / COUNTERS).exists():
        counters = read_counters(final)
        training |= {key: counters[key] for key in ("tokens", "stages")} | {"minutes": round(counters["minutes"], 1)}
        training |= {key: counters[key] for key in ("hardware", "command") if key in counters}  # where and how it was trained
        if counters["stages"][-1]["recipe"]:
            training["recipe"] = counters["stages"][-1]["recipe"]
    details |= {"position_scheme": positions, "training": details.get("training", {}) | training}

    def fill(aside: Path) -> None:
        entry.update(pack_folder(final, aside, name, "", details))
        entry.update(compare(final, aside, positions, device, max_len))
        write_entry(aside, entry)

    write_whole(target, fill)
    cost = entry["quantization_cost"]
    print(
        "held-out answers: loss {:.4f} in 16 bits, {:.4f} in 4; right {:.2%}, {:.2%}; mean logit difference {:.3f}".format(
            *(cost[bits][key] for key in ("loss", "accuracy") for bits in ("16 bit", "4 bit")), cost["mean_logit_difference"]
        ),
        flush=True,
    )
    print(f"float16: logits finite, largest activation {entry['float16']['largest_activation']:.0f}", flush=True)
    if score_budget:
        entry["scores"] = [run_driver(target, run / SCORING, score_budget, "evaluation")]
        write_entry(target, entry)
    return target


def write_entry(folder: Path, entry: dict) -> None:
    (folder / ENTRY_FILE).write_text(json.dumps(entry, indent=2) + "\n")
