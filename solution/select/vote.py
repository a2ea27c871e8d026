"""Voting: the candidates of one test input -> two attempts.

In:  `Candidate`s with grids in the task's frame, in any order; each is one vote. Out: up to two different grids, best first.
Every rule here gives the same answer for the same candidates in any order and in any process.
Not here: product of experts (`experts`), decoding, scoring against the solutions.

All rules share one ranking of grids, "best first": more votes, then the greater summed probability, then the best single
log-probability, then the smaller `grid_key`.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..arc.task import Grid, frozen, grid_key
from ..arc.view import SYMMETRIES
from ..decode.candidate import Candidate
from .experts import ATTEMPTS, product_of_experts

SLOTS = 3
"""Candidates that each transformation sends to the global vote (paper, section 4.2)."""
IDENTITY = SYMMETRIES.index("identity")


def hierarchical(candidates: Sequence[Candidate]) -> tuple[Grid, ...]:
    """The paper's hierarchical voting, by its text (section 4.2; feature 13).

    1. Candidates are grouped by the symmetry of their view; orders and colourings are the votes within a group.
    2. A group lists its three best grids. Fewer than three: its row majority, then its column majority (`line_majority`)
       join the list where they are not in it. A list never repeats a grid and may stay short.
    3. Grids are ranked by the number of lists that hold them. Ties, on which the text says only that the identity has
       priority: more votes in the identity's group, then best first over all candidates; a grid that nobody predicted
       (back-fill alone) comes last. The first two are the attempts.
    """
    everyone = [c.grid for c in candidates]
    return _elect([_group_list(group, everyone) for group in _groups(candidates)], candidates)


def hierarchical_published(candidates: Sequence[Candidate]) -> tuple[Grid, ...]:
    """Hierarchical voting as the paper's published code does it, not its text (docs/sources.md, "Details", 8).

    Differs from `hierarchical` twice: all predictions together form one more group, and a list that is still short after
    back-filling repeats its column majority up to three slots. So each group has three slots to give, and a group's
    lone prediction gets all three. The code's ties hang on hash order; here they go as in `hierarchical`.
    """
    everyone = [c.grid for c in candidates]
    lists = []
    for group in (*_groups(candidates), *([candidates] if candidates else [])):
        listed = _group_list(group, everyone)
        fill = line_majority(_best_first(group), everyone, by_column=True)
        lists.append(listed + [fill] * (SLOTS - len(listed)))
    return _elect(lists, candidates)


def flattened(candidates: Sequence[Candidate]) -> tuple[Grid, ...]:
    """One vote over all candidates, whatever their views: the two best grids (section 4.3; feature 14)."""
    return tuple(_distinct(_best_first(candidates))[:ATTEMPTS])


def single_transform(candidates: Sequence[Candidate], symmetry: int) -> tuple[Grid, ...]:
    """`flattened` of one symmetry's candidates (index into `SYMMETRIES`): the paper's rotate, transpose and flip bars."""
    return flattened([c for c in candidates if c.view.symmetry == symmetry])


def vanilla(candidates: Sequence[Candidate]) -> tuple[Grid, ...]:
    """`flattened` of the candidates that were decoded without a symmetry (section 4.3; feature 14)."""
    return single_transform(candidates, IDENTITY)


def oracle(candidates: Sequence[Candidate], solution: Grid) -> bool:
    """Whether any candidate is the solution: what perfect selection would score. For analysis only."""
    return any(grid_key(c.grid) == grid_key(solution) for c in candidates)


def agreement(candidates: Sequence[Candidate]) -> float:
    """The share of candidates, 0 to 1, that equal the most frequent one; 0.0 where there are none."""
    counts = Counter(grid_key(c.grid) for c in candidates)
    return max(counts.values()) / len(candidates) if counts else 0.0


def sureness(candidates: Sequence[Candidate]) -> float | None:
    """The mean log-probability that the views gave the most frequent grid (of several, the surest); None without candidates."""
    found: dict[bytes, list[float]] = {}
    for c in candidates:
        found.setdefault(grid_key(c.grid), []).append(c.log_prob)
    return max(((len(probs), math.fsum(probs) / len(probs)) for probs in found.values()), default=(0, None))[1]


def line_majority(group: Sequence[Grid], everyone: Sequence[Grid], by_column: bool) -> Grid:
    """The grid whose every row (or column) is the most frequent one at its place in `group` (not empty).

    The most frequent shape comes first; a prediction of another shape still votes on the rows that it has at that width
    (published code). Ties, for shapes and rows alike: the more frequent in `everyone`, then the earlier in `group`. With
    two disagreeing predictions a group, the paper's setting, every differing row is such a tie: the other groups decide it,
    and without them the back-fill is no new grid.
    """
    if by_column:
        return frozen(line_majority([g.T for g in group], [g.T for g in everyone], by_column=False).T)
    height, width = _most_frequent([g.shape for g in group], [g.shape for g in everyone])

    def rows_at(y: int, grids: Sequence[Grid]) -> list[bytes]:
        return [g[y].tobytes() for g in grids if g.shape[0] > y and g.shape[1] == width]

    rows = [_most_frequent(rows_at(y, group), rows_at(y, everyone)) for y in range(height)]
    return frozen(np.frombuffer(b"".join(rows), np.uint8).reshape(height, width))


def _most_frequent(values: list, reference: list):
    """The most frequent of `values`; ties: the more frequent in `reference`, then the earlier in `values`."""
    return max(values, key=lambda v: (values.count(v), reference.count(v)))


def _groups(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """The candidates of each symmetry that has any."""
    groups = [[c for c in candidates if c.view.symmetry == symmetry] for symmetry in range(len(SYMMETRIES))]
    return [group for group in groups if group]


def _group_list(group: Sequence[Candidate], everyone: Sequence[Grid]) -> list[Grid]:
    """A group's one to three different grids for the global vote: step 2 of `hierarchical`."""
    predictions = _best_first(group)
    back_fill = [line_majority(predictions, everyone, by_column) for by_column in (False, True)]
    return _distinct(_distinct(predictions)[:SLOTS] + back_fill)[:SLOTS]


def _elect(lists: Sequence[Sequence[Grid]], candidates: Sequence[Candidate]) -> tuple[Grid, ...]:
    """The two grids with most slots in `lists`: step 3 of `hierarchical`."""
    grids = {grid_key(g): g for listed in lists for g in listed}
    slots = Counter(grid_key(g) for listed in lists for g in listed)
    identity = Counter(grid_key(c.grid) for c in candidates if c.view.symmetry == IDENTITY)
    support = _support(candidates)

    def rank(key: bytes) -> tuple:
        return slots[key], identity[key], support.get(key, (0, 0.0, -math.inf))

    return tuple(grids[key] for key in sorted(sorted(grids), key=rank, reverse=True)[:ATTEMPTS])


def _support(candidates: Sequence[Candidate]) -> dict[bytes, tuple[int, float, float]]:
    """Votes, summed probability and best log-probability by `grid_key`; `fsum`, so that no order changes the sum."""
    log_probs: dict[bytes, list[float]] = {}
    for candidate in candidates:
        log_probs.setdefault(grid_key(candidate.grid), []).append(candidate.log_prob)
    return {key: (len(values), math.fsum(map(math.exp, values)), max(values)) for key, values in log_probs.items()}


def _best_first(candidates: Sequence[Candidate]) -> list[Grid]:
    """Every candidate's grid, repeats side by side, in the ranking of the head of this file."""
    support = _support(candidates)
    by_key = sorted((c.grid for c in candidates), key=grid_key)
    return sorted(by_key, key=lambda g: support[grid_key(g)], reverse=True)


def _distinct(grids: Sequence[Grid]) -> list[Grid]:
    """The different grids, in order of first appearance."""
    return list({grid_key(g): g for g in grids}.values())


METHODS: dict[str, Callable[[Sequence[Candidate]], tuple[Grid, ...]]] = {
    "hierarchical": hierarchical,
    "hierarchical_published": hierarchical_published,
    "flattened": flattened,
    "vanilla": vanilla,
    "rotate": partial(single_transform, symmetry=SYMMETRIES.index("rot90")),
    "transpose": partial(single_transform, symmetry=SYMMETRIES.index("transpose")),
    "flip": partial(single_transform, symmetry=SYMMETRIES.index("flip_lr")),
    "product_of_experts": product_of_experts,
}
"""Every selection rule by the name that presets and reports use. No candidates: no attempts, `()`."""
