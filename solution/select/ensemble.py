"""The ensemble: answers of programs and of the trained model, as two attempts.

In:  the candidates of one test input, and a voting rule for the model's. Out: grids, the best first.
Rule (after paper.md, feature 18; not yet compared with others): a program that explains every demonstration comes first, the
model's votes fill in.
Not here: how votes are counted (`vote`).
"""

from collections.abc import Callable, Sequence

from ..arc.task import Grid, grid_key
from ..decode.candidate import Candidate


def ensemble(candidates: Sequence[Candidate], vote: Callable[[Sequence[Candidate]], tuple[Grid, ...]]) -> tuple[Grid, ...]:
    """The shortest program's answer, then the votes, then what other programs answer; every grid once.

    A program's `log_prob` is minus its description length.
    """
    programs = sorted((c for c in candidates if c.source == "program"), key=lambda c: (-c.log_prob, grid_key(c.grid)))
    votes = vote([c for c in candidates if c.source != "program"])
    ranked = [*(c.grid for c in programs[:1]), *votes, *(c.grid for c in programs[1:])]
    return tuple({grid_key(grid): grid for grid in reversed(ranked)}[key] for key in dict.fromkeys(map(grid_key, ranked)))
