"""Rules of ours that training may not show, because they re-create a task that weights are scored on.

In:  a composer's program or the name of a generator family. Out: whether it is forbidden; which scored tasks are re-created.
Not here: the search that finds them (`recreated`), pairs that occur in a scored set (`guard`). Imports nothing of this folder,
so that the composer and the generators can ask.
"""

from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Recreated(NamedTuple):
    """A scored task and a rule of ours that gives all its outputs. `kind`: one of `recreated.KINDS`. `rule`: see `rule_name`."""

    set: str
    task: str
    kind: str
    rule: str


RECREATED_FILE = files(__package__).joinpath("recreated.tsv")
"""A line a `Recreated`, as `python -m solution.finetune.recreated --write` found them."""


@cache
def recreated() -> tuple[Recreated, ...]:
    """Every scored task that is known to be re-created, with what does it."""
    lines = RECREATED_FILE.read_text().splitlines()
    return tuple(Recreated(*line.split("\t")) for line in lines if line and not line.startswith("#"))


def rule_name(program) -> str:
    """A composer's program as text, its constant colours A, B, ... in the order in which they come: training renames colours."""
    letters = iter("ABCDEFGHI")
    names: dict[int, str] = {}

    def written(tree) -> str:
        if hasattr(tree, "arguments"):
            return f"{tree.operation.name}({', '.join(map(written, tree.arguments))})"
        if tree.type.name == "COLOUR":
            if tree.value not in names:
                names[tree.value] = next(letters)
            return names[tree.value]
        return str(tree)

    return written(program)


def forbids_rule(rule) -> bool:
    """Whether training may not show a rule, a composer's `Program` or the name of a generator family, because it is known to
    re-create a scored task."""
    return (rule if isinstance(rule, str) else rule_name(rule)) in _forbidden()


@cache
def _forbidden() -> frozenset[str]:
    return frozenset(row.rule for row in recreated() if row.kind in ("program", "family"))
