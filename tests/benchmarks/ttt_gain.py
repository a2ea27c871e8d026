"""What test-time training gains: tasks solved before and after it, by voting method and by the form of the prompt.

    python -m tests.benchmarks.ttt_gain --set training --max-tokens 600 --tasks 60

Every task is decoded in eight views by the untrained model with all demonstrations, trained, and decoded again: once with
all demonstrations in the prompt, once leaving one out in each view (docs/sources.md, "Details", 1). Two attempts; strict scores
with 95 % bootstrap intervals over tasks, and test outputs solved (partial credit).
Each worker thread has its own model; no clock is involved, so the result repeats exactly.
"""

import argparse
import queue
import threading
import time
from dataclasses import replace

import torch

from solution.arc.load import public_evaluation, public_training
from solution.arc.score import bootstrap_interval, solved_tests
from solution.codec.arc16 import num_tokens, task_tokens
from solution.decode.views import decode_views, plan_view
from solution.driver.devices import cores
from solution.finetune.guard import HELD_OUT
from solution.models.dense import DenseLlama
from solution.models.load import load
from solution.models.manifest import default_weights, find_weights
from solution.preset import PRESETS
from solution.select.vote import METHODS
from solution.ttt.data import build
from solution.ttt.train import train

FORMS = ("before, all demonstrations", "after, all demonstrations", "after, leave one out")


def tokens_of(task, outputs):
    """Prompt and answer tokens of a task's longest test input."""
    return max(task_tokens(task.train, test, num_tokens(out) + 1) for test, out in zip(task.test, outputs))


def solve(model, task, preset):
    """Candidates per test input in each of `FORMS`, and the training."""
    leave_out = replace(preset.decode, demonstrations="leave_one_out")
    views = [(task, number, plan_view(task, number, preset.decode, 0)) for number in range(preset.first_views)]
    # Leaving one out takes one demonstration from what a view shows, so the eight symmetries serve both forms.
    before = decode_views(DenseLlama(model, adapter=False), model.codec, views, preset.decode, "base")
    trained = train(model, build(task, preset.data, model.codec, 0), preset.data, preset.train, 0)
    llama = DenseLlama(model)
    after = [decode_views(llama, model.codec, views, config, "ttt") for config in (preset.decode, leave_out)]
    return [found[task.id].candidates for found in (before, *after)], trained


def cell(flags):
    """Tasks solved strictly with the interval of their share, and outputs solved of all."""
    strict = [all(task) for task in flags]
    low, high = bootstrap_interval(strict)
    return f"{sum(strict)} ({low:.1%} to {high:.1%}), {sum(map(sum, flags))} of {sum(map(len, flags))}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=("training", "held-out", "evaluation"), default="training")
    parser.add_argument("--max-tokens", type=int, default=600)
    parser.add_argument("--tasks", type=int, default=60, help="the first so many by id")
    parser.add_argument("--preset", choices=PRESETS, default="default")
    parser.add_argument("--weights", default=None)
    options = parser.parse_args()
    challenges, solutions = public_evaluation() if options.set == "evaluation" else public_training()
    names = sorted(HELD_OUT if options.set == "held-out" else challenges.tasks)
    chosen = [t for t in map(challenges.tasks.get, names) if tokens_of(t, solutions[t.id]) <= options.max_tokens]
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for task in chosen[: options.tasks]:
        waiting.put(task)
    preset = PRESETS[options.preset]
    weights = find_weights(options.weights) if options.weights else default_weights("cpu")
    models = [load(weights, torch.device("cpu"), preset.lora) for _ in range(cores())]
    solved = {form: {name: [] for name in (*METHODS, "oracle")} for form in FORMS}  # a tuple of flags a task
    lock, start, count = threading.Lock(), time.monotonic(), min(options.tasks, len(chosen))

    def work(model):
        torch.set_num_threads(1)
        while True:
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            found, trained = solve(model, task, preset)
            with lock:
                ways = METHODS | {"oracle": lambda test: [c.grid for c in test]}
                for form, tests in zip(FORMS, found):
                    for name, select in ways.items():
                        solved[form][name].append(solved_tests([select(test) for test in tests], solutions[task.id]))
                print(f"{task.id} {trained.steps} steps, loss {trained.losses[0]:.3f} to {trained.losses[-1]:.3f}", flush=True)

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(
        f"\n{count} {options.set} tasks of at most {options.max_tokens} tokens, {weights.name}, {time.monotonic() - start:.0f} s"
    )
    print(f"{'method':24}" + "".join(f"{form:>40}" for form in FORMS))
    for name in solved[FORMS[0]]:
        print(f"{name:24}" + "".join(f"{cell(solved[form][name]):>40}" for form in FORMS))


if __name__ == "__main__":
    main()
