"""Random programs of the vocabulary, written out as Python text: a stand-in for a language model that writes programs.

In:  a task's colours, a seed. Out: source texts that define `transform(grid)` and need numpy alone: each holds the functions of
its operations and all that they call. They know nothing of the task, so they fit it by luck only: what they show is that
everything behind the author works. Not here: running them (`sandbox`), authors that read the task (`author`).
"""

import ast
import inspect
import random
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import FunctionType, ModuleType

import numpy as np

from ...arc.task import Task
from ..operations.loops.pairs import PAIRS
from ..vocabulary import IMAGE, Image, Operation, Step, steps

PLAIN = ("numpy", "math", "itertools", "collections", "functools", "dataclasses", "enum", "heapq", "scipy")
"""Packages that a text may import: the sandbox has them."""


class CannotRender(ValueError):
    """A program's functions use something that cannot be written as text; the message names it."""


def render(program: Sequence[Step]) -> str:
    """The program as text that stands alone. Raises `CannotRender`."""
    parts: dict[str, str] = {}
    known: dict[str, object] = {}
    _add("Image", Image, parts, known)
    for step in program:
        _add(step.operation.name, step.operation, parts, known)
    calls = [f"    value = {step.operation.name}({', '.join(['value', *map(repr, step.constants)])})" for step in program]
    body = ["def transform(grid):", "    value = Image(np.asarray(grid, np.uint8))", *calls, "    return value.cells"]
    return "\n\n".join(["from __future__ import annotations", "import numpy as np", *parts.values(), "\n".join(body)]) + "\n"


def _add(name: str, value: object, parts: dict[str, str], known: dict[str, object]) -> None:
    """Put the definition of a global name into `parts`, behind those of all names that it uses."""
    if name in known:
        if known[name] is not value:
            raise CannotRender(f"{name} means two things")
        return
    known[name] = value
    if isinstance(value, Operation):
        function = value.function
        if function.__name__ != name:
            raise CannotRender(f"operation {name} is function {function.__name__}")
        parts[name] = f"{_definition(function, parts, known)}\n\n\n{name}.function = {name}"
    elif isinstance(value, ModuleType):
        parts[name] = f"class {name}:\n    pass" if _is_ours(value.__name__) else f"import {_plain(value.__name__)} as {name}"
    elif isinstance(value, (int, float, str, bytes, tuple, list, dict, set, frozenset, type(None))):
        parts[name] = f"{name} = {_literal(name, value)}"
    elif isinstance(value, np.ndarray):
        parts[name] = f"{name} = np.array({value.tolist()}, {value.dtype.name!r})"
    elif _is_ours(getattr(value, "__module__", None) or ""):
        value = _uncompiled(value)
        if value.__name__ != name:
            _add(value.__name__, value, parts, known)
            parts[name] = f"{name} = {value.__name__}"
        else:
            parts[name] = _definition(value, parts, known)
    else:
        module = _plain(getattr(value, "__module__", None) or "builtins")
        parts[name] = f"from {module} import {value.__name__} as {name}"


def _definition(value: Callable, parts: dict[str, str], known: dict[str, object]) -> str:
    """The source of a function or class; what it uses goes into `parts`, modules of ours as classes of what is used of them."""
    value = _uncompiled(value)
    source, used = _source(value)
    names = value.__globals__ if isinstance(value, FunctionType) else vars(inspect.getmodule(value))
    for dotted in used:
        name, _, attribute = dotted.partition(".")
        if name not in names or (attribute and not isinstance(names[name], ModuleType)):
            continue
        _add(name, names[name], parts, known)
        if attribute and _is_ours(names[name].__name__):
            _add(attribute, getattr(names[name], attribute), parts, known)
            parts[dotted] = f"{dotted} = {attribute}"
    return source


def _uncompiled(value: Callable) -> Callable:
    """The plain function behind what numba compiled, or a cache keeps; where there are two forms, the one without loops."""
    plain, loops = PAIRS.get(getattr(value, "__name__", ""), (None, None))
    return plain if loops is value else inspect.unwrap(getattr(value, "py_func", value))


@cache
def _source(value: Callable) -> tuple[str, tuple[str, ...]]:
    """The source of a function, without decorators, or of a class, with them; and the names that it reads."""
    try:
        source = inspect.getsource(value)
    except (TypeError, OSError) as error:
        raise CannotRender(f"{value} has no source") from error
    (node,) = ast.parse(textwrap.dedent(source)).body
    if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        raise CannotRender(f"{value} is not defined by def or class")
    if isinstance(value, FunctionType):
        node.decorator_list = []
        if value.__closure__:
            raise CannotRender(f"{node.name} is defined inside another function")
    return ast.unparse(node), tuple(sorted(_names(node) - {node.name}))


def _names(node: ast.AST) -> set[str]:
    """Names that the code reads, and with one attribute; annotations, which the text does not evaluate, left out."""
    found = set()
    for child, value in ast.iter_fields(node):
        if child in ("annotation", "returns"):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.AST):
                found |= _names(inner)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        found.add(f"{node.value.id}.{node.attr}")
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        found.add(node.id)
    return found


def _literal(name: str, value: object) -> str:
    try:
        if ast.literal_eval(repr(value)) == value:
            return repr(value)
    except (ValueError, SyntaxError):
        pass
    raise CannotRender(f"the value of {name} cannot be written as text")


def _is_ours(module: str) -> bool:
    return module.startswith(__package__.partition(".")[0] + ".")


def _plain(module: str) -> str:
    if module.partition(".")[0] not in PLAIN:
        raise CannotRender(f"{module} is not there in the sandbox")
    return module


class VocabularyAuthor:
    """Writes random programs of one to `longest` of these operations, image to image, with constants that the task's colours
    allow."""

    def __init__(self, operations: Sequence[Operation], longest: int = 2):
        self.operations, self.longest = operations, longest

    def write(self, task: Task, count: int, seed: int, out_of_time: Callable[[], bool]) -> Iterator[str]:
        """`count` texts, the same for the same task and seed."""
        generator = random.Random(f"{seed} {task.id}")
        grids = [grid for pair in task.train for grid in (pair.input, pair.output)]
        choices = list(steps(self.operations, {int(c) for grid in grids for c in np.unique(grid)} - {0}))
        while count > 0 and not out_of_time():
            program = [generator.choice(choices) for _ in range(generator.randint(1, self.longest))]
            kinds = [IMAGE, *(step.operation.gives for step in program)]
            if kinds[-1] is not IMAGE or any(step.operation.takes is not kind for step, kind in zip(program, kinds)):
                continue
            try:
                yield render(program)
            except CannotRender:
                continue
            count -= 1
