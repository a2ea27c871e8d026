"""--set: every field that can be set takes its own value, and what cannot be is refused in one line."""

from dataclasses import fields, is_dataclass

import pytest

from solution.overrides import CHOICES, FIXED, OverrideError, overridden
from solution.preset import DEFAULT, PRESETS


def leaves(owner, path=()):
    """Names and values of all fields that can be set."""
    for field in fields(owner):
        name, value = ".".join((*path, field.name)), getattr(owner, field.name)
        if name.startswith(FIXED) or value is None:
            continue
        if is_dataclass(value):
            yield from leaves(value, (*path, field.name))
        else:
            yield name, value


def as_text(value):
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_every_field_takes_its_own_value(preset):
    words = [f"{name}={as_text(value)}" for name, value in leaves(preset)]
    assert len(words) > 30 and overridden(preset, words) == preset


def test_values_arrive_where_they_belong_and_the_last_one_counts():
    changed = overridden(DEFAULT, ["train.steps=64", "program.tries=10,20", "ttt=false", "select=flattened", "train.steps=7"])
    assert (changed.train.steps, changed.program.tries, changed.ttt, changed.select) == (7, (10, 20), False, "flattened")
    assert DEFAULT.train.steps != 7 and changed.decode == DEFAULT.decode
    assert all(overridden(DEFAULT, [f"{name}={choice}"]) for name, choices in CHOICES.items() for choice in choices)


@pytest.mark.parametrize(
    "assignment, words",
    [
        ("train.steps", "not of the form"),
        ("train.step=3", "fields here: steps"),
        ("name=x", "can be set"),
        ("gains.cheap=1", "can be set"),
        ("train=3", "as a whole"),
        ("train.steps.more=3", "no fields"),
        ("joint.share=0.1", "does not have it"),
        ("train.batch_size=0", "1 or more"),
        ("train.steps=2.5", "whole number"),
        ("train.steps=-1", "whole number"),
        ("train.learning_rate=nan", "0 or more"),
        ("agreement=1.5", "from 0 to 1"),
        ("ttt=yes", "true or false"),
        ("select=best", "hierarchical"),
        ("program.tries=5,,6", "whole number"),
        ("=3", "can be set"),
    ],
)
def test_what_cannot_be_set_is_refused_in_one_line(assignment, words):
    with pytest.raises(OverrideError, match=words) as refused:
        overridden(DEFAULT, [assignment])
    assert "\n" not in str(refused.value)
