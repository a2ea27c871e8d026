"""How sure an answer of programs is: from description lengths to chances of being right.

In:  the costs of the different answers to one test input. Out: a chance for each.
Fitted by logistic regression on the answers to 67 public training tasks and 59 tasks of ARC-AGI-2's training set that are in
neither set of ARC-AGI-1 (docs/experiments/19-learned-rules.md); no scored task was used.
Not here: costs (`solve`), which answers become attempts (`select.ensemble`).
"""

import math
from collections.abc import Sequence

BIAS, PER_OPERATION, PER_LOGIT = -0.77, -0.40, 0.73
LEAST, MOST = 0.001, 0.999
"""Shares are cut at these before their logarithms are taken."""


def confidences(costs: Sequence[float]) -> list[float]:
    """The chance, 0 to 1, of each answer. `costs`: in operations, as of `Solution.explanations`.

    What counts is the cost itself and the answer's share of 2^-cost among all answers to the test input.
    """
    weights = [2.0**-cost for cost in costs]
    found = []
    for cost, weight in zip(costs, weights):
        share = min(MOST, max(LEAST, weight / sum(weights)))
        logit = BIAS + PER_OPERATION * cost + PER_LOGIT * math.log(share / (1 - share))
        found.append(1 / (1 + math.exp(-logit)))
    return found
