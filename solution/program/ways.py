"""All ways from the behaviours of programs to explanations of one task, as it is shown.

In:  inputs (demonstrations first), outputs of the demonstrations, a number of tries, a clock. Out: `Explanation`s, not ranked.
Directly, as layers, through tables and rules on cells; as a mosaic of behaviours; of two behaviours combined; and each of that
for outputs made smaller by what can be undone. Whenever the clock ends it, what was found counts.
Not here: the ways themselves (`explain`, `cells`, `partitions`, `combinations`, `reductions`), views and ranking (`solve`).
"""

from collections.abc import Callable

import numpy as np

from ..arc.task import Grid
from .combinations import Sized, combinations
from .explain import Explainer, Explanation
from .objects.rules import object_explanations
from .operations import OPERATIONS
from .partitions import Mosaics
from .reductions import Reduction, reductions
from .search import Node, enumerate_programs, signature
from .sizes import SizeRule, numbers_of, size_rules
from .vocabulary import IMAGE, Image, steps

NODES_FOR_SIZES, NODES_COMBINED = 300, 2000
"""The first image nodes: from which sizes are read off, of which pairs are combined."""
COMBINED_SHARE, MOST_COMBINED = 5, 10_000
"""Pairs tried: one for so many tries, at most `MOST_COMBINED`."""
NODES_PER_CHECK = 256
"""Nodes after which the clock is asked."""
BASES_REDUCED = 1
"""Images on which rules are learnt for reduced outputs."""


def explanations(
    inputs: list[Grid], outputs: list[Grid], tries: int, out_of_time: Callable[[], bool]
) -> tuple[list[Explanation], int]:
    """What explains these outputs, and the number of behaviours seen."""
    colours = {int(c) for grid in (*inputs[: len(outputs)], *outputs) for c in np.unique(grid)} - {0}
    explainer, mosaics = Explainer(inputs, outputs, None, out_of_time), Mosaics(outputs)
    images: list[Node] = []
    found: list[Explanation] = []
    behaviours = 0
    for node in enumerate_programs(inputs, list(steps(OPERATIONS, colours)), tries, out_of_time=out_of_time):
        behaviours += 1
        if node.type is IMAGE:
            images.append(node)
            mosaics.take(node)
            if explanation := explainer.take(node):
                found.append(explanation)
    shapes = [output.shape for output in outputs]
    sizes = size_rules(inputs, shapes, images[:NODES_FOR_SIZES])
    most = min(MOST_COMBINED, tries // COMBINED_SHARE)
    for node in combinations(images[:NODES_COMBINED], shapes, sizes[:1], most, out_of_time=out_of_time):
        if explanation := explainer.take(node):
            found.append(explanation)
    found += mosaics.explanations() + explainer.stacks()
    for way in (explainer.cell_rules, lambda: on_objects(inputs, outputs), lambda: on_canvas(explainer, sizes)):
        if out_of_time():
            return found, behaviours
        found += way()
    for reduction in reductions(inputs, outputs):
        if out_of_time():
            break
        found += reduced(inputs, reduction, images, out_of_time)
    return found, behaviours


def on_objects(inputs: list[Grid], outputs: list[Grid]) -> list[Explanation]:
    """Rules on the objects of the inputs."""
    found = object_explanations(tuple(Image(grid) for grid in inputs), outputs)
    return [Explanation(tuple(rule.answers), rule.cost, f"input {rule.program}") for rule in found]


def on_canvas(explainer: Explainer, sizes: list[SizeRule]) -> list[Explanation]:
    """Rules on cells of an empty image of the deduced size, where no behaviour has it; what is counted in the input decides."""
    if explainer.fitting or not sizes:
        return []
    canvas = Sized(IMAGE, tuple(Image(np.zeros(shape, np.uint8)) for shape in sizes[0].shapes), sizes[0].cost)
    explainer.take(canvas)
    return explainer.cell_rules([numbers_of(grid) for grid in explainer.inputs])


def reduced(inputs: list[Grid], reduction: Reduction, images: list[Node], out_of_time: Callable[[], bool]) -> list[Explanation]:
    """What explains the outputs that a reduction leaves, taken back to answers of the task."""
    explainer = Explainer(inputs, list(reduction.outputs), reduction.care, out_of_time)
    found = []
    for number, node in enumerate(forms(images) if reduction.masks else images):
        if number % NODES_PER_CHECK == 0 and out_of_time():
            break
        if explanation := explainer.take(node):
            found.append(explanation)
    if reduction.care is None:
        found += explainer.stacks()
    found += explainer.cell_rules(bases=BASES_REDUCED)
    restored = []
    for e in found:
        answers = tuple(reduction.restore(answer, test) for answer, test in zip(e.answers, inputs[len(reduction.outputs) :]))
        if all(answer is not None for answer in answers):
            restored.append(Explanation(answers, e.cost + reduction.cost, f"{reduction.text}: {e.program}"))
    return restored


def forms(images: list[Node]) -> list[Node]:
    """Which cells are filled, as images of colour 1, each form once."""
    found, seen = [], set()
    for node in images:
        values = tuple(Image((image.cells != 0).astype(np.uint8), image.y, image.x) for image in node.values)
        mark = signature(IMAGE, values)
        if mark not in seen:
            seen.add(mark)
            found.append(Node(IMAGE, values, node.cost, node.parent, node.step))
    return found
