"""D_TTT: the data that one task's adapter is trained on, made of the task's own demonstrations.

In:  a task. Out: pseudo tasks, each with demonstrations and one held-out pair whose output is known.
Rules: paper, section 3 (leave-one-out, transformations, permutations, at most 250 items a task): features 2 to 8 of
docs/sources.md, "Features".
Not here: tokens' order in batches and the training itself (`train`).
"""

from dataclasses import replace
from itertools import combinations

import numpy as np

from ..arc.task import Task
from ..arc.transforms import transforms
from ..arc.view import View, random_colours, random_order
from ..codec.codec import Codec
from ..codec.prompt import Prompt
from .settings import DataConfig

KINDS = ("leave_one_out", "end_to_end")


def pseudo_tasks(task: Task, leave_out: int = 1) -> list[Task]:
    """Every way to hold out one demonstration and drop `leave_out` - 1 others; empty where no demonstration is left."""
    found = []
    count = len(task.train)
    for held_out in range(count):
        rest = [i for i in range(count) if i != held_out]
        for kept in combinations(rest, count - leave_out):
            if kept:
                found.append(Task(task.id, tuple(task.train[i] for i in kept), (task.train[held_out],)))
    return found


def build(task: Task, config: DataConfig, codec: Codec, seed: int) -> list[Task]:
    """D_TTT of one task, in a random but seeded order: at most `max_items` different items of at most `max_tokens` tokens.

    Leave-one-out items come first; leave-two-out items fill up where they do not reach the cap. A task with a single
    demonstration has neither: its pair alone is then the only item. Test inputs are never looked at.
    """
    if config.kind not in KINDS:
        raise ValueError(f"D_TTT kind {config.kind!r} is not one of {KINDS}")
    rng = np.random.default_rng([seed, *task.id.encode("utf-8", "surrogatepass")])
    alone = [Task(task.id, (), (pair,)) for pair in task.train]
    if config.kind == "end_to_end" or len(task.train) == 1:
        levels = [alone]
    else:
        levels = [pseudo_tasks(task, 1), pseudo_tasks(task, 2)]
    items, seen = [], set()
    for level in levels:
        fresh = []
        for item in _expand(level, config, rng):
            while config.shorten and len(item.train) > 1 and item_tokens(item, codec) > config.max_tokens:
                item = replace(item, train=item.train[:-1])
            key = (item.train, item.test)
            if key not in seen and item_tokens(item, codec) <= config.max_tokens:
                seen.add(key)
                fresh.append(item)
        room = config.max_items - len(items)
        items += [fresh[i] for i in rng.permutation(len(fresh))[:room]]
        if len(items) >= config.max_items:
            break
    return [items[i] for i in rng.permutation(len(items))]


def _expand(level: list[Task], config: DataConfig, rng: np.random.Generator) -> list[Task]:
    """Each item as it is, transformed, and under fresh permutations of colours and demonstrations."""
    shown = []
    for item in level:
        shown.append(item)
        if config.transformations == "paper":
            shown += [t for t in (transform.apply(item) for transform in transforms(rng)) if t is not None]
        elif config.transformations == "symmetries":
            shown += [View(symmetry).apply(item) for symmetry in range(1, 8)]
        elif config.transformations != "none":
            raise ValueError(f"transformations {config.transformations!r} are not one of paper, symmetries, none")
    permuted = [
        View(colours=random_colours(rng, config.keep_zero), order=random_order(rng, len(item.train))).apply(item)
        for item in shown
        for _ in range(config.permutations)
    ]
    return shown + permuted


def item_tokens(item: Task, codec: Codec) -> int:
    """Tokens of an item with its answer."""
    return codec.task_tokens(item.train, item.test[0], codec.num_tokens(item.test[0].output) + 1)


def encode_item(
    item: Task, config: DataConfig, codec: Codec, prefix: range = range(0)
) -> tuple[Prompt, tuple[tuple[int, int], ...]]:
    """The item's prompt, behind the rows `prefix` of the prefix table, and the spans that carry loss.

    The first demonstration's output cannot be inferred and carries none; an item without demonstrations has loss on
    its answer (docs/sources.md, "Details", 2; feature 6).
    """
    prompt = codec.encode(item, answer=True, prefix=prefix)
    spans = prompt.spans[1:] if config.demonstration_loss else prompt.spans[-1:]
    return prompt, spans or prompt.spans[-1:]
