"""`Candidate`: one proposed answer to one test input, wherever it came from."""

from dataclasses import dataclass

from ..arc.task import Grid
from ..arc.view import View


@dataclass(frozen=True, eq=False)
class Candidate:
    """A grid proposed for one test input.

    `grid` is in the task's own frame: the view is already undone. `view` is the view it was decoded in.
    `log_prob` is the natural logarithm of the answer's probability, summed over its tokens, END included.
    `source` names the solver ("base": the model before TTT, "ttt": after). `view_log_probs` are the answer's
    log-probabilities in further views, where it was scored in them (product of experts).
    """

    grid: Grid
    view: View
    log_prob: float
    source: str = "ttt"
    view_log_probs: tuple[float, ...] = ()
