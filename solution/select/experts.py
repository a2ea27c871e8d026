"""Product of experts: every view is an expert, and an answer is worth the product of the probabilities they all give it.

In:  the candidates of one test input. Out: its two best grids, by the sum of log-probabilities over views.
Not here: computing those log-probabilities (`decode`), counting votes (`vote`).
"""

import math
from collections.abc import Sequence

from ..arc.task import Grid, grid_key
from ..decode.candidate import Candidate

ATTEMPTS = 2
"""Answers that ARC accepts for one test input."""
RESIDUAL_FLOOR = 0.05
"""Least probability that a view is taken to leave to the answers it did not produce: a trained adapter is surer than it is
right, and no sure view may veto alone. Chosen, not measured."""


def product_of_experts(candidates: Sequence[Candidate]) -> tuple[Grid, ...]:
    """Up to two different grids by `view_scores` where those exist, by `inference_scores` otherwise (anchors, gain 3).

    The two scales are not comparable, so one of them ranks all grids: a caller that could score only some candidates
    in further views passes only those. Ties: more candidates, then the smaller `grid_key`.
    """
    grids = {grid_key(c.grid): c.grid for c in candidates}
    keys = [grid_key(c.grid) for c in candidates]
    scores = view_scores(candidates) or inference_scores(candidates)
    best = sorted(sorted(grids), key=lambda key: (scores[key], keys.count(key)), reverse=True)
    return tuple(grids[key] for key in best[:ATTEMPTS])


def view_scores(candidates: Sequence[Candidate]) -> dict[bytes, float] | None:
    """Sum of `view_log_probs` (nats) by `grid_key`; None unless every grid was scored, all in the same number of views.

    The sums of one grid's several scored candidates differ by rounding alone and are averaged.
    The caller vouches that the same number means the same views.
    """
    sums = {grid_key(c.grid): [] for c in candidates}
    for candidate in candidates:
        if candidate.view_log_probs:
            sums[grid_key(candidate.grid)].append(math.fsum(candidate.view_log_probs))
    num_views = {len(c.view_log_probs) for c in candidates if c.view_log_probs}
    if len(num_views) != 1 or not all(sums.values()):
        return None
    return {key: math.fsum(values) / len(values) for key, values in sums.items()}


def inference_scores(candidates: Sequence[Candidate]) -> dict[bytes, float]:
    """Estimate of the same sum (nats) by `grid_key`, out of nothing but the log-probabilities known from decoding.

    Experts are the views decoded in, apart for each `source`. A view knows the grids that it produced. Of any other grid
    two bounds are known: it is at most as probable as the least probable grid produced (greedy and depth-first decoding
    keep the likeliest), and together all others have at most what the produced ones leave of 1 (not below
    `RESIDUAL_FLOOR`). The smaller bound is shared evenly by K = the number of different grids proposed by all views: the
    others, and one share for the answers that nobody proposed. A view that gives its own answer probability 0 says nothing.
    """
    experts: dict[tuple, dict[bytes, float]] = {}
    for candidate in candidates:
        if candidate.log_prob > -math.inf:
            produced = experts.setdefault((candidate.source, candidate.view), {})
            key = grid_key(candidate.grid)
            produced[key] = max(candidate.log_prob, produced.get(key, -math.inf))
    keys = {grid_key(c.grid) for c in candidates}
    terms = {key: [] for key in keys}
    for produced in experts.values():
        left = max(1 - math.fsum(map(math.exp, produced.values())), RESIDUAL_FLOOR)
        other = min(*produced.values(), math.log(left)) - math.log(len(keys))
        for key in keys:
            terms[key].append(produced.get(key, other))
    return {key: math.fsum(values) for key, values in terms.items()}
