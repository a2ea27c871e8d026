"""Which objects get which action: objects are grouped by the values of one or two features, and each group has one action.

In:  `Seen` objects and the `Column`s of actions. Out: assignments, each an action for every object of demonstrations and tests
that the outputs of the demonstrations allow object by object, with its description length.
Not here: whether all actions together reproduce the demonstrations (`rules`).
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from .columns import Column, Seen
from .features import NOMINAL, feature_cost, features

MOST_GROUPS = 8
RULE_COST, GROUP_COST, SPLIT_COST, BELOW_COST, PAIR_COST = 1.0, 0.5, 0.5, 1.0, 1.5
"""Description length in operations: a rule, each group beyond the first, one value against the others, a threshold, a second
feature."""
MOST_PAIRED, MOST_PAIRED_GROUPS = 40, 4
"""Features, the first ones that group objects differently, that are tried in pairs, and values that each may have."""

Assignment = tuple[float, str, np.ndarray, np.ndarray]
"""Description length; as a person reads it; the group of every object; the column of every group."""


class Groups:
    """All objects grouped by the values of a feature: `distinct` values, and of which each object is.

    `wrong`, `gained`: (objects of the demonstrations, columns), added up for each group."""

    def __init__(self, name: str, distinct: np.ndarray, of: np.ndarray, wrong: np.ndarray, gained: np.ndarray):
        self.name, self.distinct, self.of = name, distinct, of
        member = (self.of[: len(wrong)] == np.arange(len(self.distinct))[:, None]).astype(np.float32)
        self.shown = member.any(1)
        """Which groups have an object in the demonstrations."""
        self.wrong, self.gained = member @ wrong, member @ gained


def best(wrong: np.ndarray, gained: np.ndarray) -> np.ndarray | None:
    """Of the columns that all objects of a group allow the one that explains most changed cells, then the cheapest.

    From counts of wrong objects and of gained cells, (groups, columns); None where a group has no column."""
    allowed = wrong == 0
    return np.where(allowed, gained, -1).argmax(1) if allowed.any(1).all() else None


def assignments(seen: Seen, columns: list[Column]) -> Iterator[Assignment]:
    """By one action for all, by a table over a feature, and by one value or a threshold of it."""
    if not columns:
        return
    wrong, gained = counts_of(columns)
    costs = np.array([c.cost for c in columns])
    single = best(wrong.sum(0)[None], gained.sum(0)[None])
    if single is not None:
        yield RULE_COST + costs[single[0]], columns[single[0]].name, np.zeros(seen.starts[-1], int), single
    for groups in groupings(seen, wrong, gained):
        if groups.shown.all() and len(groups.distinct) <= MOST_GROUPS:
            choice = best(groups.wrong, groups.gained)
            if choice is not None:
                yield tabled(groups, columns, choice, 0.0)
        if len(groups.distinct) > 2:
            yield from splits(groups, columns)


def paired(seen: Seen, columns: list[Column]) -> Iterator[Assignment]:
    """By a table over two features."""
    if not columns:
        return
    wrong, gained = counts_of(columns)
    some = []
    for groups in groupings(seen, wrong, gained):
        if len(groups.distinct) <= MOST_PAIRED_GROUPS and not feature_cost(groups.name):
            some.append(groups)
            if len(some) == MOST_PAIRED:
                break
    for first, second in combinations(some, 2):
        both = Groups(
            f"{first.name} and {second.name}", *np.unique(first.of * 10 + second.of, return_inverse=True), wrong, gained
        )
        if both.shown.all() and len(both.distinct) <= MOST_GROUPS:
            choice = best(both.wrong, both.gained)
            if choice is not None:
                yield tabled(both, columns, choice, PAIR_COST)


def counts_of(columns: list[Column]) -> tuple[np.ndarray, np.ndarray]:
    """Whether a column is wrong for an object, and the cells that it gains; float32 (objects of the demonstrations, columns)."""
    wrong = np.array([~c.right for c in columns], np.float32).T
    return wrong, np.array([c.gained for c in columns], np.float32).T


def groupings(seen: Seen, wrong: np.ndarray, gained: np.ndarray) -> Iterator[Groups]:
    """By each feature that has several values, where no earlier one groups the objects alike."""
    done = set()
    for name, values in seen.joined([features(scene) for scene in seen.scenes]).items():
        distinct, of = np.unique(values, return_inverse=True)
        mark = of.tobytes()
        if len(distinct) > 1 and mark not in done:
            done.add(mark)
            yield Groups(name, distinct, of, wrong, gained)


def tabled(groups: Groups, columns: list[Column], choice: np.ndarray, extra: float) -> Assignment:
    """The assignment of a column to each group."""
    used = sorted(set(choice.tolist()))
    cost = RULE_COST + feature_cost(groups.name) + extra + sum(columns[c].cost for c in used)
    rows = ", ".join(f"{v}: {columns[c].name}" for v, c in zip(groups.distinct.tolist(), choice.tolist()))
    return cost + GROUP_COST * (len(choice) - 1), f"{groups.name}: {rows}", groups.of, choice


def splits(groups: Groups, columns: list[Column]) -> Iterator[Assignment]:
    """One value of a feature against all others; then below against above, where no test object lies between."""
    below, gained_below = groups.wrong.cumsum(0), groups.gained.cumsum(0)
    for at in range(len(groups.distinct)):
        if not groups.shown[at]:
            continue
        value = groups.distinct[at]
        cases = [(SPLIT_COST, f"{value}", groups.wrong[at], groups.gained[at], groups.of == at)]
        if at and groups.shown[at - 1] and groups.name not in NOMINAL:
            cases.append((BELOW_COST, f"below {value}", below[at - 1], gained_below[at - 1], groups.of < at))
        for extra, text, wrong, gained, chosen in cases:
            choice = best(np.array([below[-1] - wrong, wrong]), np.array([gained_below[-1] - gained, gained]))
            if choice is not None and choice[0] != choice[1]:
                cost = RULE_COST + feature_cost(groups.name) + sum(columns[c].cost for c in choice) + GROUP_COST + extra
                what = f"{groups.name} {text}: {columns[choice[1]].name}, else {columns[choice[0]].name}"
                yield cost, what, chosen.astype(int), choice
