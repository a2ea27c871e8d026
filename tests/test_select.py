"""Selection: the paper's voting rules on hand-made votes, and the same attempts for any order of candidates in any process."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solution.arc.task import as_grid, grid_key
from solution.arc.view import SYMMETRIES, View
from solution.decode.candidate import Candidate
from solution.select.ensemble import ensemble
from solution.select.experts import RESIDUAL_FLOOR, inference_scores, product_of_experts, view_scores
from solution.select.vote import (
    METHODS,
    agreement,
    flattened,
    hierarchical,
    hierarchical_published,
    line_majority,
    oracle,
    single_transform,
    vanilla,
)

A, B, C, D, E, F = (as_grid([[colour]]) for colour in range(1, 7))


def vote(grid, symmetry="identity", log_prob=-1.0, shift=0, **fields):
    """One candidate; `shift` rotates colours 1-9, so that views of one symmetry differ."""
    colours = (0, *(1 + (i + shift) % 9 for i in range(9)))
    return Candidate(as_grid(grid), View(SYMMETRIES.index(symmetry), colours), log_prob, **fields)


def same(attempts, *expected):
    return [grid_key(g) for g in attempts] == [grid_key(as_grid(g)) for g in expected]


def test_a_transform_with_many_votes_wins_flattened_but_not_hierarchical():
    votes = [vote(A, "rot90", shift=i) for i in range(4)]
    votes += [vote(B, "rot180"), vote(B, "transpose", -1.1), vote(C, "transpose", -2, 1), vote(C, "flip_lr", -2)]
    assert same(flattened(votes), A, B)
    assert same(hierarchical(votes), B, C)


def test_the_identity_breaks_ties():
    votes = [vote(A, "rot90", -0.1), vote(C, "rot180", -0.2)]
    assert same(hierarchical([*votes, vote(B, "identity", -5)]), B, A)
    assert same(hierarchical([*votes, vote(B, "flip_ud", -5)]), A, C)
    assert same(hierarchical_published([*votes, vote(B, "identity", -5)]), B, A)
    assert same(hierarchical_published([*votes, vote(B, "flip_ud", -5)]), A, C)


def test_more_lists_come_before_the_identity():
    assert same(hierarchical([vote(A, "rot90"), vote(A, "rot180"), vote(B), vote(C, shift=1, log_prob=-3)]), A, B)


def test_flattened_breaks_ties_by_probability_then_by_grid():
    votes = [vote(A, "rot90", -3), vote(A, "rot180", -3), vote(B, "rot90", -1), vote(B, "rot180", -9), vote(C, "identity", -0.1)]
    assert same(flattened(votes), B, A)
    assert same(flattened([vote(B), vote(A, "rot90"), vote(C, "rot180")]), A, B)
    assert same(hierarchical([vote(B, "rot90"), vote(A, "rot180")]), A, B)
    underflow = [vote(A, log_prob=-900), vote(B, log_prob=-800), vote(C, log_prob=-1000)]
    assert same(flattened(underflow), B, A)


@pytest.mark.parametrize("turn", [lambda g: g, np.transpose])
def test_back_fill_builds_a_grid_that_nobody_predicted_and_it_can_win(turn):
    """Three groups disagree within themselves; the row (column, turned) that all of them hold decides their ties."""
    answer = turn(as_grid([[1, 1], [2, 2]]))
    votes = []
    for other, symmetry in enumerate(("rot90", "flip_lr", "rot180"), start=3):
        votes += [
            vote(turn(as_grid([[1, 1], [other] * 2])), symmetry),
            vote(turn(as_grid([[other] * 2, [2, 2]])), symmetry, shift=1),
        ]
    assert not oracle(votes, answer)
    assert same(hierarchical(votes)[:1], answer)
    assert same(hierarchical_published(votes)[:1], answer)


def test_a_group_with_three_different_predictions_is_not_back_filled():
    answer = as_grid([[1, 1], [2, 2]])
    shared = [[[1, 1], [0, 0]], [[0, 0], [2, 2]]]
    votes = [vote(g, s, shift=i) for s in ("rot90", "flip_lr") for i, g in enumerate((*shared, [[5, 1], [6, 2]]))]
    votes += [vote([[1, 1], [7, 7]], "rot180"), vote([[8, 8], [2, 2]], "rot180", shift=1)]  # lists `answer` once
    assert grid_key(answer) not in map(grid_key, hierarchical(votes))


def test_a_back_fill_alone_ranks_after_predictions_with_as_many_lists():
    votes = [vote([[1, 1], [0, 0]], "rot90"), vote([[0, 0], [2, 2]], "rot90", shift=1)]
    votes += [vote([[1, 1], [3, 3]], "rot180"), vote([[4, 4], [2, 2]], "flip_lr")]
    assert all(oracle(votes, g) for g in hierarchical(votes))


def test_published_voting_gives_a_lone_prediction_three_slots():
    votes = [vote(A, "rot90", -2), vote(A, "rot90", -2, 1)]
    for symmetry in ("rot180", "transpose"):
        votes += [vote(B, symmetry, -0.5), vote(C, symmetry, -1, 1)]
    assert same(hierarchical(votes), B, C)  # lists: B 2, C 2, A 1
    assert same(hierarchical_published(votes), B, A)  # slots: B 5, A 4, C 3


def test_published_voting_adds_a_group_of_all_predictions():
    votes = [vote(g, "identity", -3, i) for i, g in enumerate((A, B, C))]
    votes += [vote(g, "rot90", -1, i) for i, g in enumerate((D, E, F))]
    assert same(hierarchical(votes), A, B)
    assert same(hierarchical_published(votes), D, E)


def test_line_majority_takes_the_majority_shape_and_rows_of_other_heights():
    group = [as_grid(g) for g in ([[1, 1], [2, 2]], [[1, 1], [3, 3]], [[9]], [[4, 4], [3, 3], [5, 5]])]
    assert same([line_majority(group, group, by_column=False)], [[1, 1], [3, 3]])
    turned = [as_grid(g.T) for g in group]
    assert same([line_majority(turned, turned, by_column=True)], [[1, 3], [1, 3]])
    assert not line_majority(turned, turned, by_column=True).flags.writeable


def test_line_majority_breaks_ties_by_everyone_then_by_rank():
    first, second = as_grid([[1, 1], [2, 2]]), as_grid([[0, 0], [3, 3]])
    assert same([line_majority([first, second], [first, second], False)], first)
    assert same([line_majority([first, second], [first, second, as_grid([[5, 5], [3, 3]])], False)], [[1, 1], [3, 3]])
    assert same([line_majority([first, A], [first, A, B], False)], A)


def test_mixed_shapes_vote_side_by_side():
    wide = as_grid([[1, 2, 3]])
    votes = [vote(wide, "rot90"), vote(A, "rot90", shift=1), vote(wide, "flip_lr"), vote(wide.T, "identity", -0.1)]
    assert same(hierarchical(votes), wide, wide.T)
    assert same(flattened(votes), wide, wide.T)


def test_single_transforms_see_their_own_group_alone():
    votes = [vote(A), vote(B, "rot90"), vote(C, "transpose"), vote(D, "flip_lr"), vote(E, "rot270"), vote(F, "rot90", -2, 1)]
    assert same(vanilla(votes), A) and same(METHODS["vanilla"](votes), A)
    assert same(METHODS["rotate"](votes), B, F)
    assert same(METHODS["transpose"](votes), C)
    assert same(METHODS["flip"](votes), D)
    assert same(single_transform(votes, 3), E)
    assert single_transform(votes, 2) == ()


def test_oracle_and_agreement():
    votes = [vote([[1, 2]]), vote([[1, 2]], "rot90"), vote([[1], [2]], "rot180")]
    assert oracle(votes, as_grid([[1], [2]])) and not oracle(votes, as_grid([[2, 1]])) and not oracle([], A)
    assert agreement(votes) == 2 / 3 and agreement(votes[:2]) == 1.0 and agreement([]) == 0.0


def test_product_of_experts_sums_over_views():
    """A has the best single view, the most votes and the best score at inference; B has the best sum."""
    votes = [vote(A, "rot90", -0.1, view_log_probs=(-0.1, -9.0)), vote(A, "rot180", -0.1, view_log_probs=(-0.1, -9.0))]
    votes += [vote(B, log_prob=-3, view_log_probs=(-2.0, -2.0)), vote(C, log_prob=-1, view_log_probs=(-5.0, -5.0))]
    assert same(product_of_experts(votes), B, A)
    assert view_scores(votes) == {grid_key(A): -9.1, grid_key(B): -4.0, grid_key(C): -10.0}


def test_product_of_experts_breaks_ties_by_votes():
    votes = [vote(A, view_log_probs=(-1.0, -3.0)), *(vote(B, "rot90", view_log_probs=(-2.0, -2.0), shift=i) for i in range(2))]
    assert same(product_of_experts(votes), B, A)


def test_a_view_that_produced_a_grid_twice_is_one_expert():
    votes = [vote(A, log_prob=-2), vote(A, log_prob=-1), vote(A, log_prob=-3)]
    assert inference_scores(votes) == {grid_key(A): -1.0}


def test_one_scored_candidate_scores_its_grid():
    assert view_scores([vote(A, view_log_probs=(-1.0,)), vote(A, "rot90")]) == {grid_key(A): -1.0}


def test_grids_scored_in_different_views_are_ranked_by_inference():
    unscored = [vote(A, log_prob=-0.1, view_log_probs=(-50.0, -50.0)), vote(B, "rot90", -2)]
    uneven = [unscored[0], vote(B, "rot90", -2, view_log_probs=(-1.0,))]
    assert view_scores(unscored) is None and view_scores(uneven) is None
    assert same(product_of_experts(unscored), A, B) and same(product_of_experts(uneven), A, B)


def test_inference_scores_bound_what_a_view_did_not_produce():
    log = math.log
    votes = [vote(A, "identity", log(0.2)), vote(B, "rot90", log(0.9)), vote(B, "rot90", log(0.9), source="base")]
    scores = inference_scores(votes)  # others get min(p, 1 - p) / 2 in each view
    assert scores[grid_key(A)] == pytest.approx(log(0.2) + 2 * log(0.1 / 2))
    assert scores[grid_key(B)] == pytest.approx(log(0.2 / 2) + 2 * log(0.9))


def test_a_view_knows_every_grid_it_produced():
    scores = inference_scores([vote(A, log_prob=math.log(0.5)), vote(B, log_prob=math.log(0.3)), vote(C, "rot90", -math.inf)])
    assert scores[grid_key(B)] == pytest.approx(math.log(0.3))
    assert scores[grid_key(C)] == pytest.approx(math.log(0.2 / 3))


def test_three_views_outweigh_one_sure_view():
    votes = [vote(A, log_prob=0.0), *(vote(B, s, math.log(0.7)) for s in ("rot90", "rot180", "rot270"))]
    assert same(product_of_experts(votes), B, A)
    assert inference_scores(votes)[grid_key(B)] == pytest.approx(3 * math.log(0.7) + math.log(RESIDUAL_FLOOR / 2))


@pytest.mark.parametrize("seed", range(20))
def test_sums_are_exact_in_any_order(seed):
    log_probs = -5 * np.random.default_rng(seed).random(9)
    votes = [vote(A, log_prob=p, shift=i) for i, p in enumerate(log_probs)]
    twins = [vote(B, "rot90", p, i) for i, p in enumerate(log_probs[::-1])]
    assert same(flattened(twins + votes), A, B)
    one_view = [vote(g, log_prob=math.log(0.3) + p / 50) for g, p in zip((A, B, C), log_probs)]  # leaves less than it gives
    for candidates in (votes + twins, one_view + [vote(as_grid([[7]]), "rot90")]):
        assert inference_scores(candidates) == inference_scores(candidates[::-1])


GRIDS = st.lists(st.lists(st.integers(0, 1), min_size=2, max_size=2), min_size=1, max_size=2)
LOG_PROBS = st.floats(-1000, 0) | st.sampled_from([-math.inf, -1.0, 0.0])
SCORES = st.sampled_from([(), (-1.0, -2.0)]) | st.tuples(LOG_PROBS, LOG_PROBS)
VOTES = st.lists(
    st.builds(
        lambda grid, symmetry, shift, log_prob, scores: vote(grid, SYMMETRIES[symmetry], log_prob, shift, view_log_probs=scores),
        *(GRIDS, st.integers(0, 3), st.integers(0, 1), LOG_PROBS, SCORES),
    ),
    max_size=10,
)


@pytest.mark.parametrize("method", METHODS)
@given(votes=VOTES, data=st.data())
def test_the_order_of_candidates_changes_nothing_and_attempts_differ(method, votes, data):
    attempts = METHODS[method](votes)
    assert same(METHODS[method](data.draw(st.permutations(votes))), *attempts)
    assert len({grid_key(g) for g in attempts}) == len(attempts) <= 2
    assert len(attempts) >= min(2, len({grid_key(c.grid) for c in votes})) or method in ("vanilla", "rotate", "transpose", "flip")


@pytest.mark.parametrize("method", METHODS)
def test_no_candidates_no_attempts(method):
    assert METHODS[method]([]) == ()


def test_the_hash_seed_changes_nothing():
    program = """if True:
        from tests.test_select import *
        votes = [vote([[i % 2, i % 3], [i % 5, 1]], SYMMETRIES[i % 8], -1.0, i) for i in range(30)]
        print([[grid_key(g).hex() for g in select(votes)] for select in METHODS.values()])"""
    command = [sys.executable, "-c", program]
    first, second = (subprocess.check_output(command, env={**os.environ, "PYTHONHASHSEED": seed}) for seed in ("1", "2"))
    assert first == second and len(first) > 100


def test_a_sure_program_comes_first_votes_fill_in_then_other_programs():
    a, b, c, d = (as_grid([[n]]) for n in (1, 2, 3, 4))
    programs = [Candidate(c, View(), math.log(0.02), "program"), Candidate(b, View(), math.log(0.9), "program")]
    votes = [Candidate(a, View(), -0.1), Candidate(a, View(4), -0.2), Candidate(d, View(2), -0.1)]

    def grids(candidates):
        return [g.tolist()[0][0] for g in ensemble(candidates, METHODS["flattened"])]

    assert grids([*votes, *programs]) == grids([*programs, *votes]) == [2, 1, 4, 3]
    assert grids(votes) == [1, 4] and grids(programs) == [2, 3] and grids([]) == []
    assert grids([*votes, Candidate(a, View(), -2.0, "program")]) == [1, 4]
    possible = Candidate(b, View(), math.log(0.1), "program")
    assert grids([*votes, possible]) == [1, 2, 4] and grids([*votes, programs[0]]) == [1, 4, 3]
