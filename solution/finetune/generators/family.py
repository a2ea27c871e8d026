"""A generator family: one rule with parameters of its own for every task, and the random inputs it is shown on.

In:  a random generator. Out: pairs of one task, whose outputs follow from their inputs by one deterministic function.
Every module of this folder holds the families of one topic, each a function marked `@family("the rule in one line")`
that draws a task's parameters and returns `(scene, rule)`: `scene(rng)` draws an input, `rule(grid)` gives its output, or
None where the input is unsuitable (the rule would be ambiguous or do nothing there). A third value, `branches(grid)`, is the
set of the rule's cases that an input has: the demonstrations show every case of the test (`with_a_test`).
Own work, written from the topics. Families that re-create a scored task were removed (experiment 10: docs/experiments).
Not here: drawing scenes (`scenes`), random programs (`composer`), views and the paper's transformations (`mixture`).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from ...arc.task import MAX_SIDE, NUM_COLOURS, Pair, frozen
from ...codec.arc16 import num_tokens
from .scenes import Canvas, drawing_on

Scene = Callable[[np.random.Generator], np.ndarray]
Rule = Callable[[np.ndarray], np.ndarray | None]
Branches = Callable[[np.ndarray], set[Hashable]]

TRIES_PER_PAIR, SETS_OF_PAIRS = 12, 3
ALIKE_SHARE, SQUARE_SHARE = 0.55, 0.64  # of tasks; of the public tasks 51 % have one input size, 64 % square inputs
UNEVEN, SHRINK = 2.0, 0.6  # grids of unlike sizes may have that much more room than the mean one; it shrinks as it fills up


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
    """`name` and `topic` name the function and its module, `rule` says in one line what it does, `draw` draws a task of it."""

    name: str
    topic: str
    rule: str
    draw: Callable[[np.random.Generator], tuple[Scene, Rule] | tuple[Scene, Rule, Branches]]

    def make(self, rng: np.random.Generator) -> tuple[Scene, Rule]:
        """The scene and the rule of one task; outside of `sample` its inputs have the sizes that the family asks for."""
        return self.draw(rng)[:2]

    def sample(self, rng: np.random.Generator, count: int, max_tokens: int) -> tuple[Pair, ...] | None:
        """`count` pairs of one task with different inputs, the test last, together at most `max_tokens` tokens in any symmetry.

        The task has a canvas of its own: one size for all inputs or not, square or not, as large as the tokens allow; where no
        pairs come on it, the sizes that the family asks for. None where this draw of the task gives no pairs: `SETS_OF_PAIRS`
        times too few were suitable, or they do not show what the test needs (`with_a_test`).
        """
        scene, rule, *branches = self.draw(rng)
        canvas = Canvas(rng.random() < ALIKE_SHARE, rng.random() < SQUARE_SHARE, 0)
        with drawing_on(canvas):
            room = max_tokens / count / tokens_per_cell(scene, rule, rng, canvas)
            room *= 1 if canvas.alike else UNEVEN
            for number in range(SETS_OF_PAIRS):
                last = number + 1 == SETS_OF_PAIRS
                canvas.room = 0 if last else room if number == 0 else 0.6 * room
                canvas.sizes.clear()
                pairs = sample_pairs(scene, rule, rng, count, max_tokens, *branches, canvas=canvas)
                if pairs is not None:
                    return pairs
        return None


def tokens_per_cell(scene: Scene, rule: Rule, rng: np.random.Generator, canvas: Canvas) -> float:
    """Tokens of a suitable pair for every cell of its canvas; infinite where no pair is suitable."""
    for _ in range(TRIES_PER_PAIR):
        pair = answered(scene, rule, rng)
        if pair is not None:
            return pair_tokens(pair) / max(canvas.drawn, 1)
    return np.inf


def sample_pairs(scene: Scene, rule: Rule, rng: np.random.Generator, count: int, max_tokens: int,
                 branches: Branches | None = None, canvas: Canvas | None = None) -> tuple[Pair, ...] | None:  # fmt: skip
    """See `GeneratorFamily.sample`; `canvas` shrinks where a pair is too large."""
    pairs, inputs, room = [], set(), max_tokens
    for _ in range(TRIES_PER_PAIR * count):
        pair = answered(scene, rule, rng)
        if pair is None or pair.key[0] in inputs:
            continue
        cost = pair_tokens(pair)
        if cost > room - 6 * (count - len(pairs) - 1):  # a pair costs at least that much
            if canvas is not None:
                canvas.room *= SHRINK
            continue
        pairs.append(pair)
        inputs.add(pair.key[0])
        room -= cost
        if len(pairs) == count:
            return with_a_test(pairs, branches) if colours_are_shown(pairs) else None
    return None


def with_a_test(pairs: list[Pair], branches: Branches | None = None) -> tuple[Pair, ...] | None:
    """The pairs with a test at the end: the demonstrations before it have at least two different outputs and show all
    branches of the test. The last pair that can be the test is; None where none can."""
    for last in reversed(range(len(pairs))):
        demonstrations = pairs[:last] + pairs[last + 1 :]
        if len({p.key[1] for p in demonstrations}) < 2:
            continue
        if branches is None or branches(pairs[last].input) <= set().union(*(branches(p.input) for p in demonstrations)):
            return (*demonstrations, pairs[last])
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
    """Mark a function `draw(rng) -> (scene, rule)` or `(scene, rule, branches)` as a generator family."""

    def mark(draw) -> GeneratorFamily:
        return GeneratorFamily(draw.__name__, draw.__module__.rpartition(".")[2], rule, draw)

    return mark


def families_of(*modules) -> tuple[GeneratorFamily, ...]:
    """The families of modules, in their order of definition. Raises `ValueError` where two have one name."""
    found = [value for module in modules for value in vars(module).values() if isinstance(value, GeneratorFamily)]
    names = [f.name for f in found]
    if len(set(names)) < len(names):
        raise ValueError(f"generator families of one name: {sorted({n for n in names if names.count(n) > 1})}")
    return tuple(found)
