"""Tokens a second of training batches on one core: laid out from a pack against encoded task by task.

    python -m tests.benchmarks.assembly_speed pack.npz --repeats 5

In:  a pack (`python -m solution.finetune pack-data`). Out: tokens a second of both, interleaved, and their ratio. Both draw tasks
of the pack's own stored pairs; encoding is what `finetune.batches.PoolMaker` does with a task once it is drawn.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from solution.arc.task import Pair, Task, frozen
from solution.arc.view import View
from solution.codec.arc16 import Arc16
from solution.finetune.batches import MAX_FIRST_PAIR, collate
from solution.finetune.draws import Sampling
from solution.finetune.mixture import random_view
from solution.finetune.pack import Pack
from solution.finetune.streams import PackStream

BATCH_TOKENS, MAX_LEN, BATCHES = 122880, 4096, 20


def encoded(stream: PackStream, starts: np.ndarray, number: int, rng: np.random.Generator) -> int:
    """Tokens of one batch of the stream's pool, made task by task."""
    pack, codec, prompts = stream.drawer.pack, Arc16("grid"), []
    draws, _ = stream.cut(number)[0][0]
    for pairs, count in zip(draws.pairs, draws.counts):
        chosen = []
        for i in pairs[:count]:
            (h, w, h_out, w_out), (first, second) = pack.shapes[i].astype(int), starts[i]
            chosen.append(Pair(frozen(pack.cells[first : first + h * w].reshape(h, w)),
                               frozen(pack.cells[second : second + h_out * w_out].reshape(h_out, w_out))))  # fmt: skip
        view: View = random_view(rng)
        task = view.apply(Task("x", tuple(chosen[:-1]), (chosen[-1],)))
        prompts.append(codec.encode(task, answer=True, first_pair=int(rng.integers(MAX_FIRST_PAIR + 1))))
    return collate(prompts).num_tokens


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    pack = Pack.read(options.pack)
    begin = time.perf_counter()
    stream = PackStream(pack, Sampling(), BATCH_TOKENS, MAX_LEN, torch.device("cpu"), seed=0)
    size = options.pack.stat().st_size / 2**20
    print(f"{len(pack.shapes)} pairs, {size:.1f} MiB; set up in {time.perf_counter() - begin:.1f} s")
    starts = (np.cumsum(pack.counts.ravel()) - pack.counts.ravel()).reshape(-1, 2)
    batches, rng, ratios = iter(stream), np.random.default_rng(0), []
    next(batches)
    for repeat in range(options.repeats):
        begin = time.perf_counter()
        tokens = sum(next(batches)[0].num_tokens for _ in range(BATCHES))
        laid_out = tokens / (time.perf_counter() - begin)
        begin = time.perf_counter()
        one_by_one = encoded(stream, starts, repeat, rng) / (time.perf_counter() - begin)
        ratios.append(laid_out / one_by_one)
        print(f"laid out {laid_out:,.0f} tokens/s, task by task {one_by_one:,.0f}, ratio {ratios[-1]:.0f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.0f}")


if __name__ == "__main__":
    main()
