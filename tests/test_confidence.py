"""Confidence of programs' answers: between 0 and 1, by cost and by share."""

import math

from hypothesis import given
from hypothesis import strategies as st

from solution.program.confidence import confidences

COSTS = st.lists(st.floats(-8, 14), min_size=1, max_size=6)


@given(COSTS)
def test_chances_are_chances_and_a_shorter_answer_is_surer(costs):
    found = confidences(costs)
    assert all(0 < chance < 1 for chance in found)
    assert sorted(range(len(costs)), key=lambda i: (costs[i], i)) == sorted(
        range(len(costs)), key=lambda i: (-found[i], costs[i], i)
    )


@given(COSTS, st.floats(-8, 14))
def test_another_answer_never_makes_one_surer(costs, other):
    assert all(after <= before for before, after in zip(confidences(costs), confidences([*costs, other])))


def test_no_answers_and_a_lone_one():
    assert confidences([]) == []
    (sure,), (unsure,) = confidences([-3.0]), confidences([9.0])
    assert math.isclose(sure, 1, abs_tol=0.01) and unsure < sure
