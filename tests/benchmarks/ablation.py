"""Which training data, positions or precision help after test-time training: several weight sets on the same tasks.

    python -m tests.benchmarks.ablation runs/rearc/weights runs/geometric/weights --max-tokens 600 --tasks 60

Every task is solved with each weight set in turn: eight views by the untrained model, test-time training, eight views again.
Per weight set: tasks solved strictly with two attempts (hierarchical vote), and the loss on the true answer's tokens after
training, which tells small models apart long before solved tasks do. Differences are paired by task against the first
weight set, with a 95 % bootstrap interval. No clock is involved, so the result repeats exactly.
"""

import argparse
import queue
import threading
import time
from collections import defaultdict
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from solution.arc.load import public_evaluation, public_training
from solution.arc.score import solved_tests
from solution.arc.task import Pair, Task
from solution.decode.views import decode_views, plan_view
from solution.driver.devices import cores
from solution.finetune.guard import HELD_OUT
from solution.models.dense import DenseLlama
from solution.models.load import load
from solution.models.manifest import find_weights
from solution.preset import PRESETS
from solution.select.vote import METHODS
from solution.ttt.data import build
from solution.ttt.train import collate, train

from .ttt_gain import tokens_of

METRICS = ("solved before", "solved after", "answer loss before", "answer loss after")


@torch.no_grad()
def answer_loss(model, task, outputs):
    """Mean loss (nats a token) on the answers of all test inputs, all demonstrations in the prompt, identity view."""
    losses = []
    for test, output in zip(task.test, outputs):
        prompt = model.codec.encode(Task(task.id, task.train, (Pair(test.input, output),)), answer=True)
        ids, positions, targets = collate([prompt], [prompt.spans[-1:]], model.codec, model.device)
        losses.append(F.cross_entropy(model.logits(ids, positions, targets.roll(-1, dims=1)), ids[targets], reduction="none"))
    return float(torch.cat(losses).mean())


def measure(model, task, outputs, preset):
    """The values of `METRICS` for one task and weight set."""
    views = [(task, number, plan_view(task, number, preset.decode, 0)) for number in range(preset.first_views)]

    def solved(llama):
        found = decode_views(llama, model.codec, views, preset.decode, "ttt")[task.id].candidates
        return float(all(solved_tests([METHODS[preset.select](test) for test in found], outputs)))

    model.reset()
    before = solved(DenseLlama(model, adapter=False)), answer_loss(model, task, outputs)
    train(model, build(task, preset.data, model.codec, 0), preset.data, preset.train, 0)
    after = solved(DenseLlama(model)), answer_loss(model, task, outputs)
    return before[0], after[0], before[1], after[1]


def interval(values, samples=10_000):
    """Mean and the 95 % interval of the percentile bootstrap."""
    values = np.asarray(values)
    means = values[np.random.default_rng(0).integers(len(values), size=(samples, len(values)))].mean(1)
    return values.mean(), *np.quantile(means, (0.025, 0.975))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", help="names or folders; the first is what the others are compared with")
    parser.add_argument("--set", choices=("held-out", "training", "evaluation"), default="held-out")
    parser.add_argument("--max-tokens", type=int, default=600)
    parser.add_argument("--tasks", type=int, default=60, help="the first so many by id")
    parser.add_argument("--preset", choices=PRESETS, default="default")
    parser.add_argument("--steps", type=int, help="steps of test-time training instead of the preset's")
    options = parser.parse_args()
    challenges, solutions = public_evaluation() if options.set == "evaluation" else public_training()
    names = sorted(HELD_OUT if options.set == "held-out" else challenges.tasks)
    chosen = [t for t in map(challenges.tasks.get, names) if tokens_of(t, solutions[t.id]) <= options.max_tokens][: options.tasks]
    preset = PRESETS[options.preset]
    if options.steps is not None:
        preset = replace(preset, train=replace(preset.train, steps=options.steps))
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for task in chosen:
        waiting.put(task)
    sets = [find_weights(name) for name in options.weights]
    found, lock, start = defaultdict(dict), threading.Lock(), time.monotonic()
    workers = [[load(weights, torch.device("cpu"), preset.lora) for weights in sets] for _ in range(cores())]

    def work(models):
        torch.set_num_threads(1)
        while True:
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            rows = [measure(model, task, solutions[task.id], preset) for model in models]
            with lock:
                found[task.id] = rows
                print(task.id, *(f"{a:.0f}>{b:.0f} {c:.3f}>{d:.3f}" for a, b, c, d in rows), sep="  ", flush=True)

    threads = [threading.Thread(target=work, args=(models,)) for models in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    values = np.array([found[task.id] for task in chosen])  # (tasks, weight sets, metrics)
    print(f"\n{len(chosen)} {options.set} tasks of at most {options.max_tokens} tokens, {time.monotonic() - start:.0f} s")
    print(f"{'weights':40}" + "".join(f"{name:>22}" for name in METRICS) + "   difference of the loss after to the first")
    for k, name in enumerate(options.weights):
        cells = [f"{values[:, k, m].sum():.0f}" if m < 2 else f"{values[:, k, m].mean():.3f}" for m in range(4)]
        mean, low, high = interval(values[:, k, 3] - values[:, 0, 3])
        print(f"{name:40}" + "".join(f"{c:>22}" for c in cells) + f"   {mean:+.3f} ({low:+.3f} to {high:+.3f})")


if __name__ == "__main__":
    main()
