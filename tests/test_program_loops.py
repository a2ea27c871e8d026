"""Compiled loops against their plain numpy form, on random images; the vocabulary without numba."""

import inspect
import subprocess
import sys

import numpy as np
import pytest

from solution.program.compiled import compiled
from solution.program.operations import OPERATIONS
from solution.program.operations.loops import falls, fills
from solution.program.operations.loops.figures import _labelled
from solution.program.operations.loops.pairs import PAIRS
from solution.program.vocabulary import DIRECTIONS, IMAGE, LIST, Image, steps

from .test_program_images import random_images

DIAGONALS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
FLAGS = ("corners", "alike", "rows", "falling", "above", "around", "stay", "one_colour")


def arguments(name: str, names: list[str], cells: np.ndarray, rng) -> list:
    """Random values for the parameters of a pair, by their names."""
    one_colour, corners = (False, True) if name == "drawn_beside" else rng.random(2) < 0.5
    labels, table = _labelled(cells, one_colour, corners)
    straight = [*DIRECTIONS.values()]
    down, right = (straight if name != "extended" else [*straight, *DIAGONALS])[rng.integers(4 if name != "extended" else 8)]
    least = int(rng.integers(9))
    known = {
        "cells": cells,
        "labels": labels,
        "table": table,
        "number": len(table),
        "down": down,
        "right": right,
        "steps": np.array((straight, DIAGONALS)[rng.integers(2)][: rng.integers(1, 5)]),
        "symmetry": int(rng.integers(8)),
        "colour": int(rng.integers(0 if name in ("boxes_filled", "middles") else 1, 5)),
        "one": 1,
        "other": int(rng.integers(4)),
        "least": least,
        "most": least + int(rng.integers(3)),
        "part": int(rng.integers(fills.OUTSIDE + 1)),
        "kind": int(rng.integers(falls.SPACED + 1)),
        "moving": rng.random(len(table)) < 0.7,
        "chosen": cells * (rng.random(cells.shape) < 0.3) != 0 if name == "crossed_from" else rng.random(len(table)) < 0.5,
        "colours": rng.integers(1, 10, len(table)),
    }
    return [bool(rng.integers(2)) if n in FLAGS else known[n] for n in names]


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_loops_give_what_the_plain_form_gives(name):
    plain, loops = PAIRS[name]
    names = list(inspect.signature(plain).parameters)
    rng = np.random.default_rng(0)
    found = 0
    for image in [made for _ in range(4) for made in random_images(rng)]:
        given = arguments(name, names, image.cells, rng)
        if "table" in names and not len(given[names.index("table")]):
            continue
        before = [np.array(value) for value in given]
        expected, got = plain(*given), loops(*given)
        assert all(np.array_equal(value, old) for value, old in zip(given, before)), "writes to what it is given"
        for one, other in zip(
            expected if isinstance(expected, tuple) else (expected,), got if isinstance(got, tuple) else (got,)
        ):
            assert np.array_equal(one, other), (given[1:], image.cells)
            if isinstance(one, np.ndarray):
                assert one.dtype == other.dtype and other.flags.c_contiguous
        found += np.size(expected[0] if isinstance(expected, tuple) else expected) > 0
    assert found > 10


def results() -> str:
    """What every operation gives for some images and lists of their parts, as one line of text."""
    images = [made for made in random_images(np.random.default_rng(1)) if made.cells.size < 100][:12]
    objects = next(op for op in OPERATIONS if op.name == "objects")
    values = {IMAGE: images, LIST: [found for found in map(objects.function, images) if found]}
    found = []
    for step in steps(OPERATIONS, (1, 2)):
        for value in values[step.operation.takes]:
            result = step(value)
            members = () if result is None else (result,) if isinstance(result, Image) else result
            found.append(f"{step} {[(m.y, m.x, m.cells.tolist()) for m in members]}")
    return "\n".join(found)


def test_the_vocabulary_is_the_same_without_numba():
    code = "import sys; sys.modules['numba'] = None; from tests.test_program_loops import results; print(results())"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.rstrip("\n") == results()


def test_loops_compile_where_nothing_can_be_kept_on_disk():
    scope = {}
    exec("def twice(value):\n    return 2 * value\n", scope)  # from no file: numba finds no place to keep it
    fast = compiled(scope["twice"])
    assert fast(21) == fast.py_func(21) == 42
