"""Runs with random budgets, real and simulated: does any end late, does any leave time unused.

    python -m tests.benchmarks.deadlines --runs 20
    python -m tests.benchmarks.deadlines --simulated 200 --journal submission.run/journal.jsonl

Each run is `submission.py` in a process of its own on the public evaluation set, with a budget drawn log-uniformly, and one CPU
worker or one a core. Printed of each: seconds from the start of the process to its end as seen from outside, the share of the
budget left, how it says that it ended, and what is wrong with its submission file. Exit code 1 where one was late, where one
failed, or where one left more than `--most-unused` while work remained.

Simulated ones replay a journal of ours under the allocator, on one to eight devices of speeds from a third to three times the
journal's, on cores and on GPUs with searchers beside them, with a first guess up to ten times wrong and noise on every job.
Unused is all device time without a job, where work remained.
"""

import argparse
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from solution.arc.load import public_evaluation
from solution.arc.submission import validate_submission
from solution.driver.journal import read_lines
from solution.preset import DEFAULT
from solution.schedule.allocate import open_base_jobs, open_program_jobs, open_training_jobs
from solution.schedule.policy import Allocator, Brief, allocator
from solution.schedule.replay import Noise, average_speed, replay
from solution.schedule.trace import Trace
from solution.schedule.virtual import Device
from solution.tune.evidence import gather

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """What one run came to. `seconds`: wall clock of the process; `ended`: why, as its journal says, None where it does not."""

    budget: float
    devices: str
    seconds: float
    code: int
    ended: str | None
    faults: tuple[str, ...]

    @property
    def unused(self) -> float:
        """Share of the budget left when the process had ended; negative for a late one."""
        return 1 - self.seconds / self.budget

    def verdict(self, most_unused: float) -> str:
        if self.code or self.faults:
            return f"FAILED: exit code {self.code}, {'; '.join(self.faults[:2])}"
        if self.unused < 0:
            return "LATE"
        return "IDLE" if self.unused > most_unused and self.ended != "done" else "ok"


def real_run(number: int, budget: float, devices: str, folder: Path, num_tests: dict[str, int]) -> Run:
    """One run, from the start of its process to the end."""
    output = folder / f"{number}.json"
    command = [sys.executable, str(ROOT / "submission.py"), "--budget", f"{budget:.1f}s", "--devices", devices]
    begun = time.monotonic()
    with open(folder / f"{number}.txt", "w") as text:
        code = subprocess.run([*command, "--output", str(output)], cwd=ROOT, stdout=text, stderr=text).returncode
    seconds = time.monotonic() - begun
    journal = output.with_suffix(".run") / "journal.jsonl"
    lines = read_lines(journal)[0] if journal.exists() else []
    ended = next((line["ended"] for line in reversed(lines) if line.get("kind") == "end"), None)
    return Run(budget, devices, seconds, code, ended, tuple(validate_submission(output, num_tests)))


def simulated(trace: Trace, number: int, least: float, most: float) -> Run:
    """A run on the virtual clock. Time that a device is without a job is unused where work of its kind is left in the end."""
    draw = random.Random(number)
    budget = math.exp(draw.uniform(math.log(least), math.log(most)))
    kind, count, searchers = draw.choice(("cpu", "cuda")), draw.randint(1, 8), draw.randint(0, 2)
    names = [f"{kind}:{k}" for k in range(count)] + [f"search:{k}" for k in range(searchers if kind == "cuda" else 0)]
    preset = DEFAULT if kind == "cpu" or searchers else replace(DEFAULT, program=None)
    devices = [Device(name, math.exp(draw.uniform(-math.log(3), math.log(3)))) for name in names]
    guess = average_speed(trace, preset) * math.exp(draw.uniform(-math.log(10), math.log(10)))
    used = []

    def noted(brief: Brief) -> Allocator:
        used.append(allocator(brief))
        return used[0]

    run = replay(trace.draw(number), preset, devices, budget, noted, Noise(number, 0.2), guess)
    progress, idle, able = used[0].progress, 0.0, 0
    for place, name in enumerate(names):
        state = progress, trace.sizes, preset
        left = open_program_jobs(*state, set(), name)
        if not name.startswith("search"):
            left = left or open_training_jobs(*state, set()) or open_base_jobs(*state)
        if left:
            idle += budget - sum(piece.end - piece.start for piece in run.slices if piece.device == place)
            able += 1
    seconds = run.makespan if run.makespan > budget * (1 + 1e-9) else budget - idle / max(1, able)
    return Run(budget, f"{count} {kind}", seconds, 0, "budget" if able else "done", ())


def real_runs(options: argparse.Namespace) -> Iterator[Run]:
    draw = random.Random(options.seed)
    drawn = [
        (math.exp(draw.uniform(math.log(options.least), math.log(options.most))), draw.choice(("auto", "cpu")))
        for _ in range(options.runs)
    ]
    num_tests = public_evaluation()[0].num_tests
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.at_once) as pool:
        waiting = [pool.submit(real_run, k, *one, Path(folder), num_tests) for k, one in enumerate(drawn)]
        yield from (one.result() for one in waiting)


def virtual_runs(options: argparse.Namespace) -> Iterator[Run]:
    trace = gather(options.journal, *public_evaluation())[0].trace
    for number in range(options.seed, options.seed + options.simulated):
        yield simulated(trace, number, options.least, options.most)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--least", type=float, default=20.0, help="seconds of the smallest budget")
    parser.add_argument("--most", type=float, default=600.0, help="seconds of the largest")
    parser.add_argument("--at-once", type=int, default=1, help="runs side by side, which share the cores")
    parser.add_argument("--most-unused", type=float, default=0.03, help="share of a budget")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--simulated", type=int, help="so many runs on the virtual clock instead")
    parser.add_argument("--journal", type=Path, action="append", help="what they replay: of the public evaluation set")
    options = parser.parse_args()
    print(f"{'budget':>8}{'devices':>9}{'ended':>9}{'unused':>9}   why", flush=True)
    runs = []
    for found in virtual_runs(options) if options.simulated else real_runs(options):
        runs.append(found)
        verdict = found.verdict(options.most_unused)
        print(
            f"{found.budget:8.1f}{found.devices:>9}{found.seconds:9.2f}{found.unused:9.2%}   {found.ended}, {verdict}",
            flush=True,
        )
    verdicts = [one.verdict(options.most_unused) for one in runs]
    late, idle, good = (verdicts.count(word) for word in ("LATE", "IDLE", "ok"))
    shares = sorted(one.unused for one in runs)
    print(f"{len(runs)} runs: {late} late, {idle} idle, {len(runs) - late - idle - good} failed")
    print(f"unused: {shares[0]:.2%} to {shares[-1]:.2%}, median {shares[len(shares) // 2]:.2%}")
    return 1 if set(verdicts) - {"ok"} else 0


if __name__ == "__main__":
    sys.exit(main())
