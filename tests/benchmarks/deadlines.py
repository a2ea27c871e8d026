"""Real runs with random budgets: does any end late, does any leave time unused.

    python -m tests.benchmarks.deadlines --runs 20

Each run is `submission.py` in a process of its own on the public evaluation set, with a budget drawn log-uniformly, and one CPU
worker or one a core. Printed of each: seconds from the start of the process to its end as seen from outside, the share of the
budget left, how it says that it ended, and what is wrong with its submission file. Exit code 1 where one was late, where one
failed, or where one left more than `--most-unused` while work remained.
"""

import argparse
import math
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from solution.arc.load import public_evaluation
from solution.arc.submission import validate_submission
from solution.driver.journal import read_lines

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


def run(number: int, budget: float, devices: str, folder: Path, num_tests: dict[str, int]) -> Run:
    """One run, from the start of its process to the end."""
    output = folder / f"{number}.json"
    command = [
        sys.executable,
        str(ROOT / "submission.py"),
        "--budget",
        f"{budget:.1f}s",
        "--devices",
        devices,
        "--output",
        str(output),
    ]
    begun = time.monotonic()
    with open(folder / f"{number}.txt", "w") as text:
        code = subprocess.run(command, cwd=ROOT, stdout=text, stderr=text).returncode
    seconds = time.monotonic() - begun
    journal = output.with_suffix(".run") / "journal.jsonl"
    lines = read_lines(journal)[0] if journal.exists() else []
    ended = next((line["ended"] for line in reversed(lines) if line.get("kind") == "end"), None)
    return Run(budget, devices, seconds, code, ended, tuple(validate_submission(output, num_tests)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--least", type=float, default=20.0, help="seconds of the smallest budget")
    parser.add_argument("--most", type=float, default=600.0, help="seconds of the largest")
    parser.add_argument("--at-once", type=int, default=1, help="runs side by side, which share the cores")
    parser.add_argument("--most-unused", type=float, default=0.03, help="share of a budget")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    drawn = [
        (math.exp(draw.uniform(math.log(options.least), math.log(options.most))), draw.choice(("auto", "cpu")))
        for _ in range(options.runs)
    ]
    num_tests = public_evaluation()[0].num_tests
    print(f"{'budget':>8}{'devices':>9}{'ended':>9}{'unused':>9}   why", flush=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.at_once) as pool:
        waiting = [pool.submit(run, k, *one, Path(folder), num_tests) for k, one in enumerate(drawn)]
        runs = []
        for one in waiting:
            found = one.result()
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
