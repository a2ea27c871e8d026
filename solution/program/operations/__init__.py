"""The whole vocabulary: the operations of every module, in the order in which a search tries them.

In:  nothing. Out: `OPERATIONS`. Not here: what an operation is (`vocabulary`), how programs are searched (`search`).
"""

from ..vocabulary import operations_of
from . import (
    changing,
    choosing,
    completion,
    counting,
    drawing,
    figure_choices,
    figure_moves,
    fills,
    forms,
    keeping,
    laying,
    lines,
    recolouring,
    splits,
    tilings,
)

ON_IMAGES = (forms, tilings, recolouring, fills, lines, completion, figure_choices, figure_moves, drawing, counting)
ON_LISTS = (choosing, laying, keeping, changing)
OPERATIONS = operations_of(*ON_IMAGES, splits, *ON_LISTS)
