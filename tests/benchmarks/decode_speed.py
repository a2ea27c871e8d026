"""Our batched greedy decoding against transformers' `generate` on the same prompts, as a ratio measured in one run.

    python -m tests.benchmarks.decode_speed --tasks 6 --views 8 --repeats 5

Both decode the embedded weights in the same precision, batch by batch, interleaved; the median of the ratios is printed.
`generate` gets left-padded prompts with their attention mask and the same limit on new tokens. It cannot follow grid
positions, so it runs on sequential ones: its tokens differ from ours, its work does not. To compare equal work both
sides decode a fixed number of tokens (`min_new_tokens`), without early stops.
"""

import argparse
import statistics
import time

import torch
from transformers import DynamicCache

from solution.arc.load import public_evaluation
from solution.codec.arc16 import task_tokens
from solution.decode.settings import DecodeConfig
from solution.decode.views import plan_view, view_prompt
from solution.models.dense import Cache, DenseLlama
from solution.models.load import load
from solution.models.manifest import default_weights
from solution.models.settings import LoraShape


def ours(llama, codec, prompts, new_tokens):
    """Prefill and `new_tokens` greedy tokens for every row, by our own forward pass and cache; no early stops."""
    lengths = [len(p) for p in prompts]
    ids = torch.full((len(prompts), max(lengths)), codec.pad_id)
    positions = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, : lengths[row]] = torch.from_numpy(prompt.ids)
        positions[row, : lengths[row]] = torch.from_numpy(prompt.positions)
    rows, last = torch.arange(len(prompts)), torch.tensor(lengths) - 1
    cache = Cache(llama, len(prompts), max(lengths) + new_tokens)
    hidden = llama.prefill(ids, positions, lengths, cache)
    logits = llama.logits(hidden[rows, last])
    token, where = ids[rows, last], positions[rows, last]
    for _ in range(new_tokens - 1):
        where = codec.next_positions(token, where)
        token = logits.argmax(-1)
        logits = llama.step(token, where, cache)


@torch.inference_mode()
def theirs(lm, codec, prompts, new_tokens):
    """The same with transformers' generate and its dynamic cache."""
    longest = max(map(len, prompts))
    ids = torch.full((len(prompts), longest), codec.pad_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.from_numpy(prompt.ids)
        mask[row, longest - len(prompt) :] = 1
    lm.generate(
        ids, attention_mask=mask, do_sample=False, min_new_tokens=new_tokens, max_new_tokens=new_tokens,
        past_key_values=DynamicCache(config=lm.config), pad_token_id=codec.pad_id,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=6)
    parser.add_argument("--views", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = load(default_weights("cpu"), torch.device("cpu"), LoraShape())
    sequential = load(default_weights("cpu"), torch.device("cpu"), LoraShape())
    lm = sequential.peft_model.merge_and_unload()
    lm.model.rotary_emb = type(lm.model.rotary_emb)(lm.model.rotary_emb.head_dim)
    tasks = sorted(public_evaluation()[0].tasks.values(), key=lambda t: task_tokens(t.train, t.test[0]))[: options.tasks]
    config, llama, ratios = DecodeConfig(), DenseLlama(model), []
    for task in tasks:
        views = [plan_view(task, n, config, 0) for n in range(options.views)]
        prompts = [view_prompt(task, 0, view, n, config, model.codec) for n, view in enumerate(views)]
        for repeat in range(options.repeats):
            times = []
            for decode, decoder in ((ours, llama), (theirs, lm)):
                start = time.perf_counter()
                decode(decoder, model.codec, prompts, options.new_tokens)
                times.append(time.perf_counter() - start)
            if repeat:  # the first one warms up
                ratios.append(times[1] / times[0])
        print(f"{task.id}: {options.views} views of {max(map(len, prompts))} tokens, ratio {ratios[-1]:.2f}", flush=True)
    quartiles = statistics.quantiles(ratios, n=4)
    print(f"generate takes {statistics.median(ratios):.2f} times as long (quartiles {quartiles[0]:.2f} to {quartiles[2]:.2f}), "
          f"{len(ratios)} pairs, {options.threads} thread(s), {model.dtype}")  # fmt: skip


if __name__ == "__main__":
    main()
