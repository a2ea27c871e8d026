"""One task in many views: prompts out, candidates in the task's own frame back.

In:  merged weights, a task, the views to decode. Out: candidates per test input, and how many answers had which fault.
Rules: augmented inference, paper section 4 (feature 12). Not here: the token loop (`greedy`), voting (`select`).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..arc.task import Task
from ..arc.view import View, random_colours, random_order
from ..codec.codec import Codec
from ..codec.prompt import Prompt
from ..models.dense import DenseLlama
from .candidate import Candidate
from .greedy import greedy
from .settings import DecodeConfig


@dataclass
class Decoding:
    """What decoding some views of one task gave: candidates per test input (by index), faults by name, tokens written,
    and whether the clock cut it."""

    candidates: list[list[Candidate]]
    faults: Counter = field(default_factory=Counter)
    prompt_tokens: int = 0
    new_tokens: int = 0
    cut: bool = False


def plan_view(task: Task, number: int, config: DecodeConfig, seed: int) -> View:
    """View number `number` of a task, the same however it is asked for.

    0 is the identity; the first eight are the symmetries with everything else as it is; every further eight show them
    again under a fresh demonstration order (and colours).
    """
    if number < 8:
        return View(number)
    rng = np.random.default_rng([seed, number, *task.id.encode("utf-8", "surrogatepass")])
    order = random_order(rng, len(task.train))
    if not config.permute_colours:
        return View(number % 8, order=order)
    return View(number % 8, random_colours(rng, config.keep_zero), order)


def view_prompt(
    task: Task, test_index: int, view: View, number: int, config: DecodeConfig, codec: Codec, prefix: range = range(0)
) -> Prompt:
    """The prompt of one test input in one view; `number` is the view's, which decides what is left out."""
    shown = view.apply(task.only_test(test_index))
    train = list(shown.train)
    if config.demonstrations == "none":
        train = []
    elif config.demonstrations == "leave_one_out" and len(train) > 1:
        del train[number % len(train)]
    while True:
        prompt = codec.encode(Task(task.id, tuple(train), shown.test), prefix=prefix)
        if len(prompt) <= config.max_prompt_tokens or not train:
            return prompt
        train.pop()


def answer_limit(task: Task, test_index: int, codec: Codec) -> int:
    """The most tokens worth decoding for a test input: half as much again as its demonstrations suggest.

    They suggest the longest of their outputs, and their greatest growth from input to output times the test input. A
    model that has lost its way would otherwise write 30 rows of 30.
    """
    longest = max(codec.num_tokens(p.output) for p in task.train)
    growth = max(codec.num_tokens(p.output) / codec.num_tokens(p.input) for p in task.train)
    suggested = max(longest, growth * codec.num_tokens(task.test[test_index].input))
    return min(codec.max_answer_tokens, int(1.5 * suggested) + 16)


def decode_views(
    llama: DenseLlama,
    codec: Codec,
    views: list[tuple[Task, int, View]],
    config: DecodeConfig,
    source: str,
    out_of_time: Callable[[], bool] = lambda: False,
) -> dict[str, Decoding]:
    """Decode every test input of each task in each view, whatever fits together in one batch; -> task id -> `Decoding`.

    `views`: task, number of the view, view. What is not decoded when `out_of_time` says so is left out, and counted as cut.
    """
    shown = [
        (task, test, view, view_prompt(task, test, view, number, config, codec, llama.prefix), answer_limit(task, test, codec))
        for task, number, view in views
        for test in range(len(task.test))
    ]
    found = {task.id: Decoding([[] for _ in task.test]) for task, _, _ in views}
    for batch in batch_prompts([(len(s[3]), s[4]) for s in shown], config.batch_tokens):
        if out_of_time():
            for task, *_ in (shown[i] for i in batch):
                found[task.id].cut = True
                found[task.id].faults["cut"] += 1
            continue
        generations = greedy(llama, codec, [shown[i][3] for i in batch], [shown[i][4] for i in batch], out_of_time)
        for index, generation in zip(batch, generations):
            task, test, view, prompt, _ = shown[index]
            decoding = found[task.id]
            decoding.prompt_tokens += len(prompt)
            decoding.new_tokens += len(generation.ids)
            if generation.decoded.grid is None:
                decoding.faults[generation.decoded.fault] += 1
                decoding.cut |= generation.decoded.fault == "cut"
            else:
                grid = view.restore(generation.decoded.grid)
                decoding.candidates[test].append(Candidate(grid, view, generation.log_prob, source))
    return found


def batch_prompts(sizes: list[tuple[int, int]], batch_tokens: int) -> list[list[int]]:
    """Indices of prompts that are decoded together: similar lengths, at most `batch_tokens` with padding, at least one.

    `sizes`: prompt tokens and the most new tokens of each. A batch reserves cache for its longest prompt and answer.
    """
    order = sorted(range(len(sizes)), key=lambda i: (sizes[i], i))
    found, batch, answer = [], [], 0
    for index in order:
        prompt, new = sizes[index]
        if batch and (len(batch) + 1) * (prompt + max(answer, new)) > batch_tokens:
            found.append(batch)
            batch, answer = [], 0
        batch.append(index)
        answer = max(answer, new)
    return [*found, batch] if batch else found
