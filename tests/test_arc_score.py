"""Scores: strict and partial credit on cases counted by hand, and an interval that covers and repeats."""

import numpy as np
import pytest

from solution.arc.score import Score, bootstrap_interval, score, solved_tests
from solution.arc.task import as_grid

A, B, C = as_grid([[1, 2]]), as_grid([[1], [2]]), as_grid([[1, 3]])


@pytest.mark.parametrize(
    "attempts, output, solved",
    [([A, B], A, True), ([B, A], A, True), ([B, C], A, False), ([], A, False), ([as_grid([[1]])], as_grid([[1, 1]]), False)],
)
def test_any_attempt_that_is_exact_solves_and_shape_counts(attempts, output, solved):
    assert solved_tests([attempts], [output]) == (solved,)


def test_answers_are_matched_to_test_inputs_in_order():
    assert solved_tests([(A, A), (B, B)], [A, B]) == (True, True)
    assert solved_tests([(A, A), (B, B)], [B, A]) == (False, False)
    with pytest.raises(ValueError):
        solved_tests([(A, A)], [A, B])


def test_strict_and_partial_credit_differ_where_a_task_is_half_solved():
    submission = {"whole": [(A, C), (C, B)], "half": [(A, A), (A, C)], "none": [(C, C)], "unscored": [(A, A)]}
    solutions = {"whole": (A, B), "half": (A, B), "none": (A,)}
    result = score(submission, solutions)
    assert result.solved == {"whole": (True, True), "half": (True, False), "none": (False,)}
    assert (result.strict, result.tasks, result.outputs_solved, result.outputs) == (1, 3, 3, 5)
    assert result.strict_share == pytest.approx(1 / 3) and result.partial_share == pytest.approx(3 / 5)


def test_a_task_without_answers_is_an_error_and_not_a_wrong_answer():
    with pytest.raises(ValueError, match="task b: 0 answers for 1"):
        score({"a": [(A, A)]}, {"a": (A,), "b": (A,)})
    with pytest.raises(ValueError, match="task a: 2 answers for 1"):
        score({"a": [(A, A), (A, A)]}, {"a": (A,)})
    with pytest.raises(ValueError):
        score({}, {})


def test_interval_repeats_and_agrees_with_the_binomial():
    flags = [True] * 120 + [False] * 280
    low, high = bootstrap_interval(flags, seed=1)
    assert bootstrap_interval(flags, seed=1, samples=99) == bootstrap_interval(flags, seed=1, samples=99)
    assert len({bootstrap_interval(flags, seed, samples=99) for seed in range(8)}) > 1
    half_width = 1.96 * np.sqrt(0.3 * 0.7 / 400)
    assert low == pytest.approx(0.3 - half_width, abs=0.01) and high == pytest.approx(0.3 + half_width, abs=0.01)
    assert bootstrap_interval([True] * 5) == (1.0, 1.0) and bootstrap_interval([False]) == (0.0, 0.0)
    with pytest.raises(ValueError):
        bootstrap_interval([])


def test_test_inputs_of_a_task_are_drawn_together():
    rng = np.random.default_rng(0)
    together = Score({str(i): (bool(f),) * 4 for i, f in enumerate(rng.random(100) < 0.5)})
    clustered = bootstrap_interval(together.solved.values())
    single = bootstrap_interval([flag for flags in together.solved.values() for flag in flags])
    assert clustered[0] < together.partial_share < clustered[1]
    assert clustered[1] - clustered[0] == pytest.approx(2 * (single[1] - single[0]), rel=0.1)
