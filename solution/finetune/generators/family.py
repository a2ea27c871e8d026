"""A generator family: one rule with parameters of its own for every task, and the random inputs it is shown on.

In:  a random generator. Out: pairs of one task, whose outputs follow from their inputs by one deterministic function.
Every module of this folder holds the families of one topic, each a function marked `@family("the rule in one line")`
that draws a task's parameters and returns `(scene, rule)`: `scene(rng)` draws an input, `rule(grid)` gives its output, or
None where the input is unsuitable (the rule would be ambiguous or do nothing there).
Own work, written from the topics; families that were found to re-create a scored task were taken out (EXPERIMENTS.md, 10).
Not here: drawing scenes (`scenes`), random programs (`composer`), views and the paper's transformations (`mixture`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arc.task import MAX_SIDE, NUM_COLOURS, Pair, frozen
from ...codec.arc16 import num_tokens

Scene = Callable[[np.random.Generator], np.ndarray]
Rule = Callable[[np.ndarray], np.ndarray | None]

TRIES_PER_PAIR, SETS_OF_PAIRS = 12, 3


def pair_tokens(pair: Pair) -> int:
    """Tokens of an answered pair in its longest symmetry."""
    return sum(max(num_tokens(g), num_tokens(g.T)) for g in (pair.input, pair.output)) + 3


def is_grid(array) -> bool:
    """Whether an array of integers keeps ARC's limits: 1-30 a side, values 0-9."""
    return (
        array.ndim == 2
        and 1 <= min(array.shape)
        and max(array.shape) <= MAX_SIDE
        and 0 <= array.min() <= array.max() < NUM_COLOURS
    )


def answered(scene: Scene, rule: Rule, rng: np.random.Generator) -> Pair | None:
    """One input with its output; None where the input does not suit, the output is no grid, or nothing changes."""
    grid = scene(rng)
    if grid is None or not is_grid(grid):
        return None
    shown = frozen(grid)
    output = rule(shown)
    if output is None or not is_grid(output) or np.array_equal(output, shown):
        return None
    return Pair(shown, frozen(output))


@dataclass(frozen=True)
class GeneratorFamily:
    """`name` and `topic` name the function and its module, `rule` says in one line what it does, `make` draws a task of it."""

    name: str
    topic: str
    rule: str
    make: Callable[[np.random.Generator], tuple[Scene, Rule]]

    def sample(self, rng: np.random.Generator, count: int, max_tokens: int) -> tuple[Pair, ...] | None:
        """`count` pairs of one task with different inputs, together at most `max_tokens` tokens in any symmetry.

        None where this draw of the task does not give them: `SETS_OF_PAIRS` times too few pairs were suitable, all outputs were
        the same, or one needed a colour that is shown nowhere else.
        """
        scene, rule = self.make(rng)
        sets = (sample_pairs(scene, rule, rng, count, max_tokens) for _ in range(SETS_OF_PAIRS))
        return next((pairs for pairs in sets if pairs is not None), None)


def sample_pairs(scene: Scene, rule: Rule, rng: np.random.Generator, count: int, max_tokens: int) -> tuple[Pair, ...] | None:
    """See `GeneratorFamily.sample`."""
    pairs, inputs, room = [], set(), max_tokens
    for _ in range(TRIES_PER_PAIR * count):
        pair = answered(scene, rule, rng)
        if pair is None or pair.key[0] in inputs:
            continue
        cost = pair_tokens(pair)
        if cost > room - 6 * (count - len(pairs) - 1):  # a pair costs at least that much
            continue
        pairs.append(pair)
        inputs.add(pair.key[0])
        room -= cost
        if len(pairs) == count:
            return tuple(pairs) if len({p.key[1] for p in pairs}) > 1 and colours_are_shown(pairs) else None
    return None


def colours_are_shown(pairs: list[Pair]) -> bool:
    """Whether every colour of every output occurs in its own input or in another pair: no answer needs an unseen colour."""
    shown = [{*np.unique(p.input).tolist()} | {*np.unique(p.output).tolist()} for p in pairs]
    for index, pair in enumerate(pairs):
        known = set(np.unique(pair.input).tolist()).union(*shown[:index], *shown[index + 1 :])
        if not set(np.unique(pair.output).tolist()) <= known:
            return False
    return True


def family(rule: str):
    """Mark a function `make(rng) -> (scene, rule)` as a generator family."""

    def mark(make) -> GeneratorFamily:
        return GeneratorFamily(make.__name__, make.__module__.rpartition(".")[2], rule, make)

    return mark


def families_of(*modules) -> tuple[GeneratorFamily, ...]:
    """The families of modules, in their order of definition. Raises `ValueError` where two have one name."""
    found = [value for module in modules for value in vars(module).values() if isinstance(value, GeneratorFamily)]
    names = [f.name for f in found]
    if len(set(names)) < len(names):
        raise ValueError(f"generator families of one name: {sorted({n for n in names if names.count(n) > 1})}")
    return tuple(found)
