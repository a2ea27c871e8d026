"""`--set train.steps=64`: any hyperparameter of a preset, changed on the command line and checked at once.

In:  a preset, assignments as text. Out: the preset with these values, or `OverrideError` of one line.
Not here: what the values mean (`preset` and the settings it is made of).
"""

import math
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace

from .preset import Preset
from .select.vote import METHODS

CHOICES = {
    "data.kind": ("leave_one_out", "end_to_end"),
    "data.transformations": ("paper", "symmetries", "none"),
    "decode.demonstrations": ("all", "leave_one_out", "none"),
    "base.demonstrations": ("all", "leave_one_out", "none"),
    "select": tuple(METHODS),
}
"""Fields of text, with what they may hold; others of text cannot be set."""
FIXED = ("name", "gains", "written", "lora.targets")
"""Not to be set: the name, fitted numbers, what --author says, and what the weights decide."""
MAY_BE_ZERO = ("rounds", "more_views", "train.steps", "train.flat_window", "data.permutations", "joint.prefix_tokens")
"""Whole numbers that may be 0; the others are 1 or more."""
SHARES = ("agreement", "breadth", "train.warmup", "joint.share")
"""Numbers from 0 to 1; other numbers are 0 or more."""


class OverrideError(ValueError):
    """An assignment that cannot be made; the message is one line that names it."""


def overridden(preset: Preset, assignments: Sequence[str]) -> Preset:
    """The preset after assignments such as "train.steps=64", in their order. Raises `OverrideError`."""
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise OverrideError(f"--set: {assignment!r} is not of the form field=value")
        preset = _set(preset, name.split("."), name, text)
    return preset


def _set(owner, path: list[str], name: str, text: str):
    """`owner` with the field that `path` leads to."""
    known = [f.name for f in fields(owner)]
    first, *rest = path
    if first not in known or name.startswith(FIXED):
        places = [n for n in known if n not in FIXED]
        raise OverrideError(f"--set: {name} is no field that can be set; fields here: {', '.join(places)}")
    value = getattr(owner, first)
    if not rest:
        return replace(owner, **{first: _parsed(name, text, value)})
    if not is_dataclass(value):
        reason = "this preset does not have it" if value is None else f"{first} has no fields"
        raise OverrideError(f"--set: {name} cannot be set: {reason}")
    return replace(owner, **{first: _set(value, rest, name, text)})


def _parsed(name: str, text: str, value):
    """The text as a value of the same kind as `value`."""
    if name in CHOICES:
        if text not in CHOICES[name]:
            raise OverrideError(f"--set: {name}: {text!r} is not one of {', '.join(CHOICES[name])}")
        return text
    if isinstance(value, bool):
        if text not in ("true", "false"):
            raise OverrideError(f"--set: {name}: {text!r} is not true or false")
        return text == "true"
    if is_dataclass(value) or isinstance(value, str):
        raise OverrideError(f"--set: {name} cannot be set as a whole")
    try:
        if isinstance(value, tuple):
            return tuple(_whole(name, part) for part in text.split(","))
        return _whole(name, text) if isinstance(value, int) else _number(name, text)
    except ValueError as error:
        raise OverrideError(f"--set: {name}: {text!r} is not {error}") from None


def _whole(name: str, text: str) -> int:
    least = 0 if name in MAY_BE_ZERO else 1
    if not text.isascii() or not text.isdigit() or len(text) > 15 or int(text) < least:
        raise ValueError(f"a whole number of {least} or more")
    return int(text)


def _number(name: str, text: str) -> float:
    most = 1.0 if name in SHARES else math.inf
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (0 <= number <= most and math.isfinite(number)):
        raise ValueError("a number from 0 to 1" if most == 1.0 else "a number of 0 or more")
    return number
