"""What a player can follow: the scenes on which an operation is shown, and the operations that may come after each other.

In:  a program. Out: the kinds of scenes that suit it (`suitable_scenes`), whether it can be read off its outputs (`reads_well`),
its form (`is_single`, `is_chain`), the colours it draws with, how much larger its output is (`growth`).
The tables were judged on pictures of composed tasks. Not here: what the pairs of one task show (`compose`).
"""

from functools import cache

from .operations import Operation, Type
from .program import Constant, Input, Program
from .scenes import (
    copies,
    dots,
    framed_picture,
    frames,
    full_boxes,
    growing_columns,
    lines_and_dots,
    loops,
    loose_cells,
    objects_of_many_colours,
    objects_of_one_colour,
    one_picture,
    one_unlike_others,
    small_picture,
    stripes,
    symmetric_picture,
    two_panels,
)

SCENES = {
    "objects": (objects_of_one_colour, copies),
    "boxes": (full_boxes,),
    "odd": (one_unlike_others,),
    "mixed": (objects_of_many_colours,),
    "picture": (one_picture,),
    "holes": (frames, loops),
    "dots": (dots,),
    "lines": (lines_and_dots,),
    "cells": (loose_cells,),
    "small": (small_picture,),
    "stripes": (stripes,),
    "columns": (growing_columns,),
    "framed": (framed_picture,),
    "symmetry": (symmetric_picture,),
    "panels": (two_panels,),
}
"""The kinds of scenes by what their inputs show."""

SUITED = {
    # form
    "turn": "picture small mixed columns",
    "crop": "picture",
    "half": "small symmetry",
    "tile": "small",
    "join": "small",
    "mirror_join": "small columns",
    "mirror_four": "small",
    "scale": "small",
    "border": "small mixed picture holes objects",
    "trim": "framed",
    "roll": "objects columns stripes",
    "drop_repeats": "stripes",
    "drop_empty_lines": "dots cells",
    "sort_rows": "columns",
    "complete": "symmetry",
    # colours
    "most_common": "objects cells mixed small dots boxes",
    "least_common": "objects cells mixed small dots boxes",
    "number_of_colours": "objects dots mixed small",
    "recolour_all": "objects mixed holes small picture lines odd",
    "keep_colour": "objects mixed cells lines dots boxes holes",
    "drop_colour": "objects mixed cells lines dots boxes holes",
    "swap_colours": "objects mixed small lines boxes stripes framed",
    "replace_colour": "objects mixed small lines boxes holes stripes",
    "fill_empty": "small stripes picture",
    "invert": "small cells",
    # cells
    "gravity": "cells dots",
    "extend": "dots",
    "connect": "dots",
    "outline": "dots objects boxes odd",
    "fill_holes": "holes",
    "hollow": "boxes",
    "drop_single_cells": "lines boxes",
    "grow": "dots",
    # masks
    "halves": "panels",
    "stack_halves": "panels",
    "unlike_mirror": "symmetry",
    "empty_lines": "cells small",
    # objects
    "objects": "objects boxes odd holes dots lines",
    "loose_objects": "objects boxes odd holes",
    "figures": "objects boxes odd holes mixed",
    "odd_one": "odd",
    "boxes": "objects holes mixed",
    "fill_boxes": "objects odd holes",
    "frame": "dots objects boxes",
    "slide": "objects odd mixed boxes dots",
    "move": "objects odd mixed boxes dots",
    "mirror_within": "objects odd mixed",
    "mirror_each": "objects odd mixed",
    "repeat_each": "objects odd mixed dots",
    "shoot": "dots lines boxes",
}
"""The groups of scenes on which an operation that looks at the input can be followed; any where it is not named."""

GROUPS = {name: frozenset(groups.split()) for name, groups in SUITED.items()}

WAYS = {
    "forms": "roll mirror_within turn half tile join mirror_join mirror_four scale border trim crop drop_repeats "
    "drop_empty_lines",
    "picks": "keep_colour drop_colour only remove keep_where drop_single_cells cut_out stack_halves draw_mask list_colours",
    "moves": "gravity slide move sort_rows",
    "draws": "extend connect outline fill_holes hollow grow complete paint fill_boxes frame mirror_each repeat_each shoot",
    "tints": "recolour_all swap_colours replace_colour fill_empty invert recolour",
    "numbers": "bar diagonal",
}  # fmt: skip
WAY = {name: way for way, names in WAYS.items() for name in names.split()}
"""What every operation that gives a grid does to it: changes its form, leaves things out, moves, draws or colours them."""

AFTER = {
    "turn": "cut_out crop trim complete stack_halves fill_holes hollow fill_boxes swap_colours replace_colour",
    "tile": "invert crop cut_out stack_halves",
    "join": "turn invert",
    "mirror_join": "cut_out crop trim invert stack_halves sort_rows gravity",
    "mirror_four": "cut_out crop trim invert stack_halves",
    "scale": "cut_out crop invert drop_repeats drop_empty_lines stack_halves draw_mask list_colours",
    "border": "cut_out crop complete stack_halves turn mirror_join mirror_four drop_repeats drop_empty_lines "
    "fill_holes hollow slide",
    "crop": "keep_colour only remove keep_where drop_single_cells drop_colour",
    "recolour_all": "roll only sort_rows gravity crop grow cut_out mirror_join mirror_four stack_halves drop_repeats",
    "swap_colours": "roll complete gravity slide sort_rows turn crop mirror_join mirror_four connect extend",
    "replace_colour": "picks gravity slide sort_rows turn crop mirror_join mirror_four half trim drop_repeats "
    "drop_empty_lines connect extend grow",
    "fill_empty": "crop trim turn mirror_join mirror_four stack_halves cut_out",
    "invert": "stack_halves crop",
    "gravity": "keep_colour drop_colour replace_colour recolour_all",
    "extend": "keep_colour drop_colour",
    "connect": "keep_colour drop_colour",
    "outline": "keep_colour drop_colour only remove move",
    "fill_holes": "only remove move",
    "grow": "keep_colour drop_colour",
}
"""The operations, or ways, whose grid an operation may work on; none where it is not named: what the first did would be
hidden, undone or drawn over."""

BEFORE = {name: {o for part in names.split() for o in (WAYS.get(part) or part).split()} for name, names in AFTER.items()}

GROWTH = {"mirror_four": 4, "mirror_join": 2, "join": 2, "tile": 4, "scale": 4}
"""How many times as many cells the output of an operation has as its grid, at least."""


DRAWING = {*"outline fill_holes fill_boxes frame border paint fill_empty recolour recolour_all replace_colour".split()} | {
    *"draw_mask bar diagonal".split()
}
"""Operations whose last argument is the colour that they draw with."""

TAKE_COMPUTED = {
    Type.COLOUR: {*"border recolour recolour_all fill_holes fill_empty draw_mask bar diagonal keep_colour drop_colour".split()},
    Type.NUMBER: {*"bar diagonal scale".split()},
}
"""The operations whose colour or number may be computed from the input."""


def operations_in(program: Program) -> list[Program]:
    """The program and all programs in it."""
    return [p for p in program.parts() if isinstance(p, Program)]


@cache
def sees_input(program: Program) -> bool:
    """Whether the head of a program looks at the input or at objects in it, or moves or draws what is left of it."""
    takes = {*program.operation.takes}
    return (
        bool(takes & {Type.INPUT, Type.OBJECTS, Type.SOME, Type.OBJECT})
        or any(isinstance(a, Input) for a in program.arguments)
        or WAY.get(program.operation.name) in ("moves", "draws")
    )


def suitable_scenes(program: Program) -> list:
    """The kinds of scenes on which every operation that looks at the input can be followed; none for some programs."""
    seeing = {p.operation.name for p in operations_in(program) if sees_input(p)} & GROUPS.keys()
    return [k for group, kinds in SCENES.items() if all(group in GROUPS[n] for n in seeing) for k in kinds]


def reads_well(program: Program) -> bool:
    """Whether no operation works on a grid whose making it would hide (`AFTER`) or on a value that is no use to it."""
    for part in operations_in(program):
        name = part.operation.name
        for argument in part.arguments:
            if not isinstance(argument, Program):
                continue
            if argument.type is Type.GRID and argument.operation.name not in BEFORE.get(name, ()):
                return False
            if name not in TAKE_COMPUTED.get(argument.type, (name,)):
                return False
            if name == "diagonal" and argument.operation.name == "size_of":
                return False
    return True


def drawn_colours(program: Program) -> set[int]:
    """The constant colours with which a program draws: they are none of its scenes', so that what it drew can be told."""
    last = (p.arguments[-1] for p in operations_in(program) if p.operation.name in DRAWING)
    return {a.value for a in last if isinstance(a, Constant)}


def is_single(program: Program) -> bool:
    """Whether a program does one thing to the whole input or to all its objects: nothing is chosen, computed or done after."""
    return sum(p.type is not Type.OBJECTS for p in operations_in(program)) == 1


def is_chain(program: Program) -> bool:
    """Whether one grid is made out of another that is not the input."""
    return sum(p.type is Type.GRID for p in operations_in(program)) > 1


def can_be(operation: Operation, single: bool, chained: bool) -> bool:
    """Whether there can be a program with this operation that is single, a chain, or neither."""
    if single or chained:
        return chained or operation.gives in (Type.GRID, Type.OBJECTS)
    computed = {Type.OBJECTS, Type.SOME, Type.OBJECT, Type.MASK} & {*operation.takes}
    return bool(operation.gives is not Type.GRID or computed or any(operation.name in names for names in TAKE_COMPUTED.values()))


def growth(program: Program) -> float:
    """About how many times as many cells as the input the output has; 1 where it is not known."""
    times = 1
    for part in operations_in(program):
        times *= GROWTH.get(part.operation.name, 1)
    return times
