"""Two workers in one process against one: the same losses, and how much faster (the interpreter lock's cost).

    python -m tests.benchmarks.two_workers --devices cuda:0,cuda:0 --backend unsloth     # two on one card
    python -m tests.benchmarks.two_workers --devices cpu:0,cpu:1

The same jobs, training and decoding of small tasks, by one thread and by two, interleaved; the median of the ratios. On one card
two threads can gain only what one leaves idle.
"""

import argparse
import statistics
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", default="cuda:0,cuda:0" if torch.cuda.is_available() else "cpu:0,cpu:1")
    parser.add_argument("--backend", default="transformers", choices=("transformers", "unsloth"))
    parser.add_argument("--tasks", type=int, default=6)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.backend == "unsloth":
        import solution.models.unsloth_backend  # noqa: F401 - before transformers
    from solution.arc.load import public_training
    from solution.codec.arc16 import Arc16
    from solution.driver.devices import torch_device
    from solution.driver.setup import task_size
    from solution.driver.solve import Solver
    from solution.models.load import load
    from solution.models.manifest import default_weights
    from solution.preset import DEFAULT
    from solution.schedule.job import Job

    torch.set_num_threads(1)
    preset = replace(DEFAULT, train=replace(DEFAULT.train, steps=options.steps), rounds=0)
    everything = public_training()[0].tasks.values()
    tasks = {t.id: t for t in sorted(everything, key=lambda t: task_size(t, Arc16("grid")).prompt_tokens)[: options.tasks]}
    names = options.devices.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        solvers = []
        for name in names:
            device = torch_device(name)
            model = load(default_weights(device.type), device, preset.lora, options.backend)
            solvers.append(Solver(model, name, tasks, preset, 0, Path(scratch)))

        def work(solver, share):
            if solver.model.device.type == "cuda":
                torch.cuda.set_device(solver.model.device)
            torch.set_num_threads(1)
            for task in share:
                result = solver(Job("ttt", (task,), 0, preset.first_views), lambda: 0.0, lambda: False)
                losses[task] = result.ttt["losses"], [c.grid.tobytes() for test in result.candidates[task] for c in test]

        def run(workers) -> tuple[float, dict]:
            losses.clear()
            shares = [list(tasks)[i :: len(workers)] for i in range(len(workers))]
            threads = [threading.Thread(target=work, args=pair) for pair in zip(workers, shares)]
            start = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return time.monotonic() - start, dict(losses)

        losses: dict = {}
        for solver in solvers:
            run([solver])  # compiles kernels
        ratios, same = [], True
        for _ in range(options.repeats):
            alone, expected = run(solvers[:1])
            together, found = run(solvers)
            ratios.append(alone / together)
            same &= found == expected
            print(f"one worker {alone:.1f} s, {len(solvers)} workers {together:.1f} s, ratio {ratios[-1]:.2f}")
    verdict = "equal" if same else "NOT equal"
    print(f"{len(solvers)} workers are {statistics.median(ratios):.2f} times as fast as one; losses and answers {verdict}")


if __name__ == "__main__":
    main()
