"""What the main thread's own work costs the workers: bar, forecasts, trying out the end.

    python -m tests.benchmarks.housekeeping --devices cpu:2 --tasks 24 --repeats 3

The same run, test-time training of the smallest training tasks to the end, with that work and without it, interleaved; the median
of the ratios of their seconds. Workers that start many small operations wait for the interpreter while the main thread has it.
Also printed: the seconds that the main thread computed in the run loop, and their share.
"""

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from solution.arc.load import public_training
from solution.codec.arc16 import Arc16


def one_run(output: str, without: bool, options: list[str]) -> None:
    """In a process of its own: run, and print as JSON the seconds of the run loop and those that its thread computed."""
    from solution.driver import cli, progress, run, setup, summary

    if without:
        for owner in (progress.Outlook, progress.Bar, summary.Rehearsal):
            owner.update = lambda *_: None
    loop, found = run.run, {}

    def timed(*arguments):
        begun, computed = time.monotonic(), time.thread_time()
        try:
            return loop(*arguments)
        finally:
            found.update(seconds=time.monotonic() - begun, computed=time.thread_time() - computed)

    setup.run = timed
    with contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(["--output", output, *options])
    print(json.dumps(found | {"code": code}), flush=True)


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        return one_run(sys.argv[2], sys.argv[3] == "1", sys.argv[4:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", default="cpu:2")
    parser.add_argument("--tasks", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    from solution.driver.setup import task_size

    tasks = public_training()[0].tasks.values()
    smallest = sorted(tasks, key=lambda t: task_size(t, Arc16("grid")).prompt_tokens)[: options.tasks]
    words = ["--input", "training", "--tasks", ",".join(t.id for t in smallest), "--solvers", "ttt", "--budget", "2h"]
    words += ["--devices", options.devices]
    ratios = []
    for repeat in range(options.repeats):
        seconds = {}
        for without in (True, False) if repeat % 2 else (False, True):
            with tempfile.TemporaryDirectory() as scratch:
                command = [sys.executable, "-m", "tests.benchmarks.housekeeping", "--run", str(Path(scratch) / "s.json")]
                printed = subprocess.run(
                    [*command, str(int(without)), *words],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    check=True,
                    text=True,
                ).stdout
            found = json.loads(printed.splitlines()[-1])
            seconds[without] = found["seconds"]
            share = found["computed"] / found["seconds"]
            name = "without" if without else "with"
            print(f"{name:8} {found['seconds']:7.1f} s, main thread {found['computed']:.2f} s ({share:.2%})", flush=True)
        ratios.append(seconds[False] / seconds[True])
    print(f"with / without: {statistics.median(ratios):.3f} of {', '.join(f'{r:.3f}' for r in ratios)}")


if __name__ == "__main__":
    main()
