"""Data of the joint adapter: leave-one-out items of all tasks of a file, trained on before the tasks' own adapters.

In:  tasks. Out: pseudo tasks, a random one of each task in every pass. Test inputs and outputs are never looked at.
What mdlARC and the ARChitects of 2024 do instead of per-task training (docs/sources.md, "Other systems") is here its first half.
Not here: the training itself (`train`), when it happens (`schedule`).
"""

from collections.abc import Iterable

import numpy as np

from ..arc.task import Task
from ..arc.view import View, random_colours, random_order
from ..codec.codec import Codec
from .data import item_tokens
from .settings import JointConfig


def joint_items(tasks: Iterable[Task], config: JointConfig, codec: Codec, seed: int) -> list[Task]:
    """`config.passes` items of every task: one demonstration held out, the others shown in a random view.

    Demonstrations are left out until an item fits `max_tokens`; a task of which not even one fits gives nothing.
    """
    items = []
    for task in sorted(tasks, key=lambda t: t.id):
        rng = np.random.default_rng([seed, *task.id.encode("utf-8", "surrogatepass")])
        items += [item for _ in range(config.passes) if (item := _draw(task, config.max_tokens, codec, rng)) is not None]
    return items


def _draw(task: Task, max_tokens: int, codec: Codec, rng: np.random.Generator) -> Task | None:
    held_out, *others = random_order(rng, len(task.train))
    while others:
        item = Task(task.id, tuple(task.train[i] for i in others), (task.train[held_out],))
        if item_tokens(item, codec) <= max_tokens:
            return View(int(rng.integers(8)), random_colours(rng)).apply(item)
        others.pop()
    return None
