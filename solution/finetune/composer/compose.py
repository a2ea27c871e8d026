"""Composed tasks: a random program over the typed vocabulary, shown on fitting scenes, kept where its rule can be inferred.

In:  a random generator, a number of pairs, a token limit. Out: the pairs of one task (`sample`), with its program (`compose`).
`FILTERS` states what is kept, each filter in one line; all look at the pairs only through `Evidence`.
Not here: operations, programs (`program`), scenes (`scenes`), what fits together (`suited`), views and transformations
(`mixture`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...arc.task import NUM_COLOURS, Pair
from ..forbidden import forbids_rule
from ..generators.family import Scene, answered, pair_tokens, sample_pairs
from .operations import Type
from .program import OPERATIONS, Input, Program, sample_program, shortened, single_operations, value, varied
from .scenes import Canvas
from .suited import can_be, drawn_colours, growth, is_chain, is_single, operations_in, reads_well, suitable_scenes

MAX_PROGRAMS, PROGRAMS_AROUND, SCENES_PER_PROGRAM, SETS_OF_PAIRS = 1000, 60, 3, 2
"""Most programs drawn for one task, those of them drawn around one operation before another is taken, most kinds of scenes tried
for one program, most sets of pairs drawn on one kind."""

SINGLE, CHAINED = 0.08, 0.45
"""Shares of tasks with a single operation (`suited.is_single`), and with one grid made out of another (`suited.is_chain`)."""

COME_ALONG = {"bar", "diagonal", "scale"}
"""Operations around which no program is drawn: they come often enough with others."""

TASK_COLOURS = 6
"""Colours on which scenes and programs of one task draw; scenes leave out what the program draws with."""

SCENE_COLOURS = 4
"""Most colours of the scenes of one task."""

MAX_PLAIN_CELLS = 16
"""An output of a single colour has at most so many cells."""

MAX_REPAINTED = 0.4
"""Largest share of its cells that a step changes."""

MIN_NOTICED = 2
"""Cells in which an output differs from that of every shorter program, in more than half of the pairs."""

WHOLE_GRID = {"turn", "roll", "sort_rows", "invert"}
"""Steps on the grid as a whole, which may change any number of cells; those that change its size may as well."""

CHANGED_CELLS = 4
"""Cells of every input that are changed, one at a time, to see whether the output changes."""


class Evidence:
    """The pairs of a task and what programs make of their inputs, each worked out once."""

    def __init__(self, program: Program, pairs: tuple[Pair, ...]):
        self.program, self.pairs = program, pairs
        self._known = [{} for _ in pairs]
        self.colours = tuple(int(c) for c in np.unique(np.concatenate([p.output.ravel() for p in pairs])) if c)

    def made(self, tree: Input | Program, index: int):
        """What a program makes of the input of one pair."""
        return value(tree, self.pairs[index].input, self._known[index])

    def explains(self, rival: Input | Program, index: int) -> bool:
        """Whether the rival gives the output of one pair."""
        output = self.made(rival, index)
        return output is not None and np.array_equal(output, self.pairs[index].output)

    def tempts(self, rival: Input | Program) -> bool:
        """Whether the rival explains so many pairs that three demonstrations may well leave it open.

        It has to miss two pairs, three of five or more: one of them may be the one that is asked for. With two pairs every rival
        that explains one tempts: a task should have three or more.
        """
        missed, enough = 0, 2 if len(self.pairs) < 5 else 3
        for index in range(len(self.pairs)):
            missed += not self.explains(rival, index)
            if missed == enough:
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


def steps_repaint_little(evidence: Evidence) -> bool:
    """No step that keeps the form of its grid changes most of it in any pair; `WHOLE_GRID` may."""
    for step in operations_in(evidence.program):
        if step.type is not Type.GRID or step.operation.name in WHOLE_GRID:
            continue
        before = next((a for a, t in zip(step.arguments, step.operation.takes) if t is Type.GRID), Input())
        for index in range(len(evidence.pairs)):
            old, new = evidence.made(before, index), evidence.made(step, index)
            if old.shape == new.shape and np.count_nonzero(old != new) > MAX_REPAINTED * old.size:
                return False
    return True


def steps_are_noticed(evidence: Evidence) -> bool:
    """Without any one of its operations the program is wrong in several cells in most pairs: no step is hidden or undone."""
    for shorter in shortened(evidence.program):
        noticed = 0
        for index, pair in enumerate(evidence.pairs):
            other = evidence.made(shorter, index)
            noticed += other is None or other.shape != pair.output.shape or np.count_nonzero(other != pair.output) >= MIN_NOTICED
        if 2 * noticed <= len(evidence.pairs):
            return False
    return True


def constants_are_visible(evidence: Evidence) -> bool:
    """The program with one constant changed is wrong in many pairs; see `Evidence.tempts`."""
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
    """No colour map explains all pairs but one and no single operation tempts, unless the program is one and it always holds.

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
    steps_are_noticed,
    steps_repaint_little,
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


def is_promising(scene: Scene, program: Program, rng: np.random.Generator, mean_tokens: float) -> bool:
    """A quick look before all pairs are drawn: the first input has an output, neither is much too large, and one of the next
    two inputs has an output as well."""
    first = answered(scene, program, rng)
    if first is None or pair_tokens(first) > 1.3 * mean_tokens:
        return False
    return any(answered(scene, program, rng) is not None for _ in range(2))


def sample_programs(rng: np.random.Generator) -> Iterator[tuple[Program, list[int]]]:
    """Some of `MAX_PROGRAMS` random programs, with the colours of their scenes: those whose chain can be read, and either all
    single operations, all chains or all neither.

    Every operation but those that `COME_ALONG` is equally likely to be in the first `PROGRAMS_AROUND` of them.
    """
    draw = rng.random()
    single, chained = draw < SINGLE, draw > 1 - CHAINED
    possible = [o for o in OPERATIONS if o.name not in COME_ALONG and can_be(o, single, chained)]
    for index in range(MAX_PROGRAMS):
        if index % PROGRAMS_AROUND == 0:
            around = possible[rng.integers(len(possible))]
        colours = (1 + rng.permutation(NUM_COLOURS - 1)[:TASK_COLOURS]).tolist()
        program = sample_program(rng, colours, around)
        fits = is_single(program) == single and is_chain(program) == chained and reads_well(program)
        if fits and not forbids_rule(program):
            drawn = drawn_colours(program)
            yield program, [c for c in colours if c not in drawn][:SCENE_COLOURS]


def compose(rng: np.random.Generator, count: int, max_tokens: int) -> Composed | None:
    """One task that passes all `FILTERS`; None where `MAX_PROGRAMS` programs gave none. See `sample`."""
    mean_tokens = max_tokens / count
    canvas = Canvas.drawn(rng, mean_tokens)
    for program, colours in sample_programs(rng):
        kinds = suitable_scenes(program)
        canvas = replace(canvas, room=mean_tokens / (1 + growth(program)))
        for kind in rng.permutation(len(kinds))[:SCENES_PER_PROGRAM]:
            scene = kinds[kind](rng, colours, canvas)
            if not is_promising(scene, program, rng, mean_tokens):
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
