"""Composed tasks: a random program over the typed vocabulary, shown on random scenes, kept where its rule can be inferred.

In:  a random generator, a number of pairs, a token limit. Out: the pairs of one task (`sample`), with its program (`compose`).
`FILTERS` states what is kept, each filter in one line; all look at the pairs only through `Evidence`.
Not here: operations, programs (`program`), scenes (`scenes`), views and the paper's transformations (`mixture`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arc.task import Pair
from ..generators.family import Scene, answered, pair_tokens, sample_pairs
from ..generators.scenes import pick_colours
from .program import OPERATIONS, Input, Program, sample_program, shortened, single_operations, value, varied
from .scenes import SCENES, SUITED

MAX_PROGRAMS, SCENES_PER_PROGRAM, SETS_OF_PAIRS = 60, 3, 2
"""Most programs drawn for one task, most kinds of scenes tried for one of them, most sets of pairs drawn on one kind."""

TASK_COLOURS = 4
"""Colours on which scenes and programs of one task draw."""

MAX_PLAIN_CELLS = 16
"""An output of a single colour has at most so many cells."""

CHANGED_CELLS = 4
"""Cells of every input that are changed, one at a time, to see whether the output changes."""


class Evidence:
    """The pairs of a task and what programs make of their inputs, each worked out once."""

    def __init__(self, program: Program, pairs: tuple[Pair, ...]):
        self.program, self.pairs = program, pairs
        self._known = [{} for _ in pairs]
        self.colours = tuple(int(c) for c in np.unique(np.concatenate([p.output.ravel() for p in pairs])) if c)

    def explains(self, rival: Input | Program, index: int) -> bool:
        """Whether the rival gives the output of one pair."""
        pair = self.pairs[index]
        output = value(rival, pair.input, self._known[index])
        return output is not None and np.array_equal(output, pair.output)

    def tempts(self, rival: Input | Program) -> bool:
        """Whether the rival explains all pairs but at most one, which may be the one that is asked for.

        With two pairs every rival that explains one tempts: a task should have three or more.
        """
        missed = 0
        for index in range(len(self.pairs)):
            missed += not self.explains(rival, index)
            if missed > 1:
                return False
        return True


def outputs_differ_from_inputs(evidence: Evidence) -> bool:
    """No output equals its input."""
    return not any(np.array_equal(p.input, p.output) for p in evidence.pairs)


def outputs_vary(evidence: Evidence) -> bool:
    """More than half of the outputs are different from each other, so that no constant output explains most pairs."""
    return 2 * len({p.key[1] for p in evidence.pairs}) > len(evidence.pairs)


def outputs_are_worth_drawing(evidence: Evidence) -> bool:
    """No large output has a single colour, and at most one output has fewer than three cells."""
    outputs = [p.output for p in evidence.pairs]
    plain = any(g.size > MAX_PLAIN_CELLS and g.min() == g.max() for g in outputs)
    return not plain and sum(g.size < 3 for g in outputs) <= 1


def input_matters(evidence: Evidence) -> bool:
    """In some input the change of a single cell changes the output."""
    for pair in evidence.pairs:
        for place in np.linspace(0, pair.input.size - 1, CHANGED_CELLS).astype(int):
            changed = pair.input.copy()
            changed.flat[place] = 0 if changed.flat[place] else changed.max()
            output = evidence.program(changed)
            if output is None or not np.array_equal(output, pair.output):
                return True
    return False


def every_operation_acts(evidence: Evidence) -> bool:
    """In every pair the program without any one of its operations, or any program inside it, gives another output."""
    return not any(evidence.explains(s, i) for s in shortened(evidence.program) for i in range(len(evidence.pairs)))


def constants_are_visible(evidence: Evidence) -> bool:
    """The program with one constant changed is wrong in two pairs or more."""
    return not any(evidence.tempts(v) for v in varied(evidence.program))


def is_colour_map(pairs) -> bool:
    """Whether every output is its input with each colour replaced by a fixed one."""
    image = {}
    for pair in pairs:
        if pair.input.shape != pair.output.shape:
            return False
        for before, after in {*zip(pair.input.ravel().tolist(), pair.output.ravel().tolist())}:
            if image.setdefault(before, after) != after:
                return False
    return True


def no_wrong_simple_rule(evidence: Evidence) -> bool:
    """No colour map and no single operation explains all pairs but one, nor all pairs where the program is longer.

    Among the single operations are the symmetries, cropping, scaling and tiling. `outputs_differ_from_inputs` sees to the
    identity and `outputs_vary` to a constant output.
    """
    pairs, single = evidence.pairs, evidence.program.size == 1
    all_but_one = [pairs[:i] + pairs[i + 1 :] for i in range(len(pairs))]
    if any(map(is_colour_map, all_but_one)) and not (single and is_colour_map(pairs)):
        return False
    for rival in single_operations(evidence.colours):
        if evidence.tempts(rival) and not (single and all(evidence.explains(rival, i) for i in range(len(pairs)))):
            return False
    return True


FILTERS: tuple[Callable[[Evidence], bool], ...] = (
    outputs_differ_from_inputs,
    outputs_vary,
    outputs_are_worth_drawing,
    every_operation_acts,
    constants_are_visible,
    no_wrong_simple_rule,
    input_matters,
)
"""A task is kept where all of them hold; the cheap ones come first."""


@dataclass(frozen=True)
class Composed:
    """A program, the kind of its scenes and the pairs of one task."""

    program: Program
    scene: str
    pairs: tuple[Pair, ...]


def suitable_scenes(program: Program) -> list:
    """The kinds of scenes on which every operation of the program can be followed; none for some programs."""
    names = {p.operation.name for p in program.parts() if isinstance(p, Program)}
    return [k for group, kinds in SCENES.items() if all(group in SUITED[n] for n in names & SUITED.keys()) for k in kinds]


def is_promising(scene: Scene, program: Program, rng: np.random.Generator, mean_tokens: float) -> bool:
    """A quick look before all pairs are drawn: the first input has an output, neither is much too large, and one of the next
    two inputs has an output as well."""
    first = answered(scene, program, rng)
    if first is None or pair_tokens(first) > 1.3 * mean_tokens:
        return False
    return any(answered(scene, program, rng) is not None for _ in range(2))


def compose(rng: np.random.Generator, count: int, max_tokens: int) -> Composed | None:
    """One task that passes all `FILTERS`; None where `MAX_PROGRAMS` programs gave none. See `sample`."""
    around = OPERATIONS[rng.integers(len(OPERATIONS))]
    for _ in range(MAX_PROGRAMS):
        colours = pick_colours(rng, TASK_COLOURS)
        program = sample_program(rng, colours, around)
        kinds = suitable_scenes(program)
        for kind in rng.permutation(len(kinds))[:SCENES_PER_PROGRAM]:
            scene = kinds[kind](rng, colours)
            if not is_promising(scene, program, rng, max_tokens / count):
                continue
            for _ in range(SETS_OF_PAIRS):
                pairs = sample_pairs(scene, program, rng, count, max_tokens)
                if pairs is None:
                    break
                evidence = Evidence(program, pairs)
                if all(passes(evidence) for passes in FILTERS):
                    return Composed(program, kinds[kind].__name__, pairs)
    return None


def sample(rng: np.random.Generator, count: int, max_tokens: int) -> tuple[Pair, ...] | None:
    """`count` pairs of one composed task with different inputs, together at most `max_tokens` tokens in any symmetry."""
    composed = compose(rng, count, max_tokens)
    return None if composed is None else composed.pairs
