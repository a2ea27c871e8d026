"""The ensemble: answers of programs and of the trained model, as two attempts.

In:  the candidates of one test input, and a voting rule for the model's. Out: grids, the best first.
Rule (after the paper's ensemble: docs/sources.md, feature 18): programs that explain every demonstration come first, by
confidence, the model's votes fill in. A program that is hardly likely right does not displace the model's first vote, or both of
its votes.
Not here: how votes are counted (`vote`), where confidences come from (`program.confidence`).
"""

import math
from collections.abc import Callable, Sequence

from ..arc.task import Grid, grid_key
from ..decode.candidate import Candidate

AHEAD, BESIDE = 0.25, 0.05
"""Confidence from which a program's answer comes before the model's first vote, and before its second one. Reasoned, not fitted:
there is no journal of training tasks with both solvers yet."""


def ensemble(candidates: Sequence[Candidate], vote: Callable[[Sequence[Candidate]], tuple[Grid, ...]]) -> tuple[Grid, ...]:
    """Confident programs, the first vote, possible programs, the other votes, the rest of the programs; every grid once.

    A program's `log_prob` is the logarithm of its confidence.
    """
    programs = sorted((c for c in candidates if c.source == "program"), key=lambda c: (-c.log_prob, grid_key(c.grid)))
    votes = vote([c for c in candidates if c.source != "program"])
    chance = [math.exp(c.log_prob) for c in programs]
    first = [c.grid for c, p in zip(programs, chance) if p >= AHEAD]
    second = [c.grid for c, p in zip(programs, chance) if BESIDE <= p < AHEAD]
    last = [c.grid for c, p in zip(programs, chance) if p < BESIDE]
    ranked = [*first, *votes[:1], *second, *votes[1:], *last]
    return tuple({grid_key(grid): grid for grid in reversed(ranked)}[key] for key in dict.fromkeys(map(grid_key, ranked)))
