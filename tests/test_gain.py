"""The gain model: chances stay chances and rise with what speaks for a task; the fit that makes them finds known ones again."""

import json
import math
import random
from dataclasses import fields, replace
from itertools import pairwise, product

import numpy as np
import pytest

from solution.arc.load import Challenges
from solution.arc.task import Pair, Task, as_grid
from solution.arc.view import View
from solution.decode.candidate import Candidate
from solution.driver.journal import Result, result_to_json
from solution.preset import DEFAULT, PRESETS
from solution.schedule.gain import FEATURES, Gains, Odds
from solution.schedule.job import Job, Record, Shown, TaskSize
from solution.schedule.recorded import preset_of

from .benchmarks import gain_fit
from .benchmarks.gain_fit import PRIORS, Case, Cases, chosen, fitted, leave_one_out

GAINS = Gains()
CURVES = [field.name for field in fields(Gains) if isinstance(getattr(GAINS, field.name), Odds)]
JOBS = (GAINS.training, GAINS.further_views, GAINS.program)


def size(tokens, tests=1):
    return TaskSize(tokens * tests, 100 * tests, tokens, tests, 3)


def anything(rng):
    """A task of any size, of which anything may be shown."""
    shown = Shown(
        answered=rng.random() < 0.5,
        untrained=rng.choice([None, 0.0, -1e-6, -3.0, -500.0]),
        views=rng.choice([0, 8, 16]),
        agreement=rng.choice([None, 0.0, 0.125, 1.0]),
        log_prob=rng.choice([None, 0.0, -0.2, -1000.0]),
        loss=rng.choice([None, 0.0, 0.3, 12.0]),
        searched=rng.randint(0, 4),
        explained=rng.random() < 0.5,
        confidence=rng.choice([None, 0.01, 0.6, 0.999, 1.0]),
    )
    return size(rng.choice([1, 50, 900, 30_000]), rng.randint(1, 3)), shown


def test_everything_is_a_chance_and_nothing_is_starved():
    rng = random.Random(0)
    for _ in range(2000):
        task, shown = anything(rng)
        assert 0 <= GAINS.right(task, shown) <= 1
        for job in JOBS:
            assert GAINS.least <= job(task, shown) <= 1
        assert all(0 < getattr(GAINS, name)(task, shown) < 1 for name in CURVES)
    assert 0 < GAINS.least < 0.01


def test_a_job_gains_no_more_than_is_missing():
    """Chance after is chance now and the gain: it cannot pass 1."""
    rng = random.Random(1)
    for _ in range(2000):
        task, shown = anything(rng)
        assert all(GAINS.right(task, shown) + job(task, shown) <= 1 + GAINS.least for job in JOBS)


@pytest.mark.parametrize("feature, values, sign", [
    ("agreement", (0.0, 0.25, 0.5, 1.0), 1),
    ("log_prob", (-40.0, -5.0, -1.0, -0.1, 0.0), 1),
    ("loss", (0.0, 0.05, 0.3, 1.0), -1),
])  # fmt: skip
def test_curves_go_the_way_they_should(feature, values, sign):
    used = [name for name in CURVES if feature in getattr(GAINS, name).names]
    assert used or feature == "loss"
    seen = Shown(True, -3.0, 8, 0.5, -1.0, 0.2, 1, False, None)
    for name in used:
        chances = [getattr(GAINS, name)(size(500), replace(seen, **{feature: value})) for value in values]
        assert all(sign * a < sign * b for a, b in pairwise(chances)), name


def test_small_tasks_are_likelier():
    for name in CURVES:
        chances = [getattr(GAINS, name)(size(tokens), Shown()) for tokens in (100, 400, 1600, 6400)]
        assert all(a > b for a, b in pairwise(chances)), name
        assert getattr(GAINS, name)(size(400, 3), Shown()) == pytest.approx(chances[1])  # a test input's tokens count


def test_what_was_not_measured_says_nothing():
    """No feature at all, or each at its mean, is the chance of the cases fitted on: the level."""
    odds = Odds(-1.0, ("agreement", "loss"), (3.0, -2.0), (0.5, math.log(0.2 + 0.01)))
    level = 1 / (1 + math.e)
    assert odds(size(500), Shown()) == pytest.approx(level)
    assert odds(size(500), Shown(agreement=0.5, loss=0.2)) == pytest.approx(level)
    assert odds(size(500), Shown(agreement=0.5)) < odds(size(500), Shown(agreement=0.9))
    blind = Shown(answered=True, views=8)  # of an old journal, which says neither how sure nor of which loss
    assert 0 < GAINS.right(size(500), blind) < GAINS.right(size(500), replace(blind, agreement=1.0, log_prob=-0.01))


def test_where_much_is_right_little_is_gained():
    agreed = Shown(True, -1.0, 8, 1.0, -0.01, 0.01)
    doubtful = replace(agreed, agreement=0.25, log_prob=-5.0)
    assert GAINS.right(size(300), agreed) > 3 * GAINS.right(size(300), doubtful)
    assert GAINS.further_views(size(300), agreed) < GAINS.further_views(size(300), doubtful) < 0.1
    sure = Shown(True, searched=1, explained=True, confidence=0.98)
    for task, job in product((size(200), size(2000)), JOBS):
        assert job(task, sure) < 0.02
        assert job(task, sure) <= job(task, Shown(True, searched=1))
    assert GAINS.right(size(300), sure) == pytest.approx(0.98, abs=0.01)


def test_the_model_and_programs_are_independent():
    task, seen = size(400), Shown(True, -2.0, 8, 0.6, -0.5, 0.1)
    alone = GAINS.right(task, seen)
    assert GAINS.right(task, replace(seen, confidence=0.4)) == pytest.approx(1 - (1 - alone) * 0.6)
    assert GAINS.right(task, Shown(searched=1, explained=True)) == pytest.approx(GAINS.sure)  # an old journal: no confidence
    assert GAINS.right(task, Shown()) == 0 and GAINS.right(task, Shown(answered=True)) == pytest.approx(GAINS.cheap)


def test_later_rounds_of_search_bring_less():
    for tokens in (200, 1000, 5000):
        rounds = [GAINS.program(size(tokens), Shown(searched=number)) for number in range(4)]
        assert rounds[0] > 2 * rounds[1] > 2 * rounds[2] == 2 * rounds[3]


def test_a_training_is_rated_by_its_loss_once_it_has_one():
    fresh, begun = Shown(True, -2.0), Shown(True, -2.0, loss=0.05)
    assert GAINS.training(size(400), fresh) == pytest.approx(GAINS.before(size(400), fresh) - GAINS.cheap)
    assert GAINS.training(size(400), begun) == pytest.approx(GAINS.during(size(400), begun) - GAINS.cheap)


def test_presets_come_back_from_a_journal_with_their_gains():
    other = replace(DEFAULT, gains=Gains(0.01, Odds(-1.5, ("size", "loss"), (-0.5, -0.25), (6.0, -1.0)), later=0.5))
    for preset in (*PRESETS.values(), other):
        again = preset_of(json.loads(json.dumps(preset.as_dict())))
        assert again == preset and hash(again.gains) == hash(preset.gains)
    older = {"cheap": 0.004, "trained": 0.2, "programs": [0.5, 0.1], "slope": -1.0, "views": 0.1, "explained": 0.1}
    assert preset_of(DEFAULT.as_dict() | {"gains": older}).gains == replace(GAINS, cheap=0.004)


def test_every_curve_is_of_known_features():
    for name in CURVES:
        odds = getattr(GAINS, name)
        assert len(odds.names) == len(odds.slopes) == len(odds.means) and set(odds.names) <= set(FEATURES)
    assert set(gain_fit.CURVES) == set(CURVES) and set(PRIORS) == {*FEATURES, "seen"}


def drawn(count, seen=False, seed=0):
    """Cases of a known curve over size and agreement; the loss is noise. Where `seen`, every other case is far likelier."""
    rng, found = np.random.default_rng(seed), []
    for i in range(count):
        tokens, share = float(np.exp(rng.normal(6, 0.7))), float(rng.uniform(0, 1))
        shown = Shown(views=8, agreement=share, loss=float(rng.uniform(0.05, 0.5)))
        known = float(seen and i % 2)
        task = TaskSize(round(tokens), 100, round(tokens), 1, 3)
        odds = -1.0 - 0.8 * (math.log(task.prompt_tokens) - 6) + 3.0 * (share - 0.5) + 2.0 * known
        found.append(Case(f"t{i}", task, shown, bool(rng.random() < 1 / (1 + math.exp(-odds))), known))
    return found


@pytest.mark.parametrize("seen", [False, True])
def test_the_fit_finds_the_curve_that_cases_were_drawn_from(seen):
    odds, errors = fitted(drawn(4000, seen), ("size", "agreement"), at=0.0)
    assert len(errors) == 3 + seen and all(0.02 < error < 0.2 for error in errors)
    assert odds.slopes == pytest.approx((-0.8, 3.0), abs=0.35)
    for tokens, share in product((200, 500, 1500), (0.1, 0.5, 0.9)):
        chance = 1 / (1 + math.exp(1.0 + 0.8 * (math.log(tokens) - 6) - 3.0 * (share - 0.5)))
        assert odds(size(tokens), Shown(agreement=share)) == pytest.approx(chance, abs=0.05)
    known = fitted(drawn(4000, seen), ("size", "agreement"), at=1.0)[0]
    assert known.level - odds.level == pytest.approx(2.0 * seen, abs=0.3)


def test_standard_errors_are_those_of_repeated_draws():
    fits = [fitted(drawn(300, seed=seed), ("size", "agreement"), 0.0) for seed in range(40)]
    for place in range(2):
        spread = np.std([odds.slopes[place] for odds, _ in fits])
        assert spread == pytest.approx(np.mean([errors[place] for _, errors in fits]), rel=0.35)


def test_with_hardly_a_case_the_priors_stand():
    few = [Case(f"t{i}", size(300 + i), Shown(agreement=0.5 + 0.01 * i), False, 0.0) for i in range(3)]
    odds, errors = fitted(few, ("size", "agreement"), 0.0)
    assert odds.slopes == pytest.approx((PRIORS["size"][0], PRIORS["agreement"][0]), abs=0.1)
    assert errors[1] == pytest.approx(PRIORS["agreement"][1], rel=0.05)
    assert 0 < odds(size(300), Shown()) < 0.3
    alone, error = fitted(few, (), 0.0)
    assert alone(size(300), Shown()) == pytest.approx(0.5 / 4) and error[0] > 1


def test_only_features_that_pay_are_kept(monkeypatch, capsys):
    monkeypatch.setitem(gain_fit.CURVES, "after", (("size",), ("loss", "agreement", "log_prob")))
    fit = chosen("after", drawn(250), 0.0)
    assert fit.odds.names == ("size", "agreement") and len(fit.left_out) == 250
    said = capsys.readouterr().out
    assert "kept: agreement" in said and "and loss" in said and "log_prob" not in said  # that was not measured


def test_a_case_is_rated_by_the_others():
    """A single right case among wrong ones of its kind is not foretold by itself, nor by another of the same task."""
    cases = [Case(f"t{i}", size(500), Shown(agreement=0.1), False, 0.0) for i in range(12)]
    odd = [Case("odd", size(500), Shown(agreement=1.0), True, 0.0)] * 2
    left_out = leave_one_out([*cases, *odd], ("agreement",))
    assert all(chance == pytest.approx(left_out[-1]) for chance in left_out[-2:])
    assert fitted([*cases, *odd], ("agreement",), 0.0)[0](size(500), odd[0].shown) > 1.5 * left_out[-1]


def candidate(value, log_prob=-1.0, source="ttt"):
    return Candidate(as_grid([[value]]), View(), log_prob, source)


def test_a_journal_becomes_cases(tmp_path):
    """Three tasks whose answer is 1; two are trained: one is right at once, one after further views. Programs solve one."""
    preset = replace(DEFAULT, first_views=2, more_views=2)
    pair = Pair(as_grid([[2]]), as_grid([[1]]))
    challenges = Challenges({name: Task(name, (pair, pair), (Pair(pair.input, None),)) for name in "abc"}, {})
    curve = {"steps": 32, "tokens": 9, "losses": [1.0] * 12 + [0.5] * 4 + [0.1] * 16, "ended": "planned"}

    def done(stage, tasks, found, first=0, views=1, ttt=None, **kwargs):
        return Result(Record(Job(stage, tuple(tasks), first, views), "cpu:0", 1.0, **kwargs), found, ttt=ttt)

    results = [
        done("base", "abc", {name: [[candidate(3, -2.0, "base")]] for name in "abc"}),
        done("program", "b", {"b": [[candidate(4, math.log(0.2), "program")]]}, 0, 0),
        done("program", "b", {"b": [[candidate(1, math.log(0.9), "program")]]}, 1, 0, explained=True),
        done("ttt", "a", {"a": [[candidate(1, -0.5), candidate(1, -0.7)]]}, 0, 2, curve),
        done("ttt", "b", {"b": [[candidate(5), candidate(6)]]}, 0, 2, curve | {"losses": [0.3] * 10}),
        done("views", "b", {"b": [[candidate(1), candidate(1)]]}, 2, 2),
        done("ttt", "c", {"c": [[candidate(5), candidate(6)]]}, 0, 2, curve, cut=True),
    ]
    lines = [{"kind": "run", "identity": {"preset": preset.as_dict()}}, *map(result_to_json, results)]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    cases = Cases(challenges, {name: (as_grid([[1]]),) for name in "abc"})
    cases.add(tmp_path, 0.0, {"b": True}.__contains__)
    found = {curve: {case.task: case for case in mine} for curve, mine in cases.by_curve.items()}
    assert {curve: {task: case.right for task, case in mine.items()} for curve, mine in found.items()} == {
        "first": {"b": False}, "second": {"b": True}, "before": {"a": True, "b": False}, "during": {"a": True},
        "after": {"a": True, "b": False}, "more": {"b": True},
    }  # fmt: skip
    assert [case.right for case in cases.cheap] == [False] * 3 and cases.spoilt == [] and cases.explained == [True]
    assert found["first"]["b"].seen == 1 and found["first"]["b"].shown == Shown()
    assert found["second"]["b"].shown == Shown(searched=1, confidence=pytest.approx(0.2))  # as a newer record would say
    a, b = found["after"]["a"].shown, found["after"]["b"].shown
    assert (a.untrained, a.views, a.agreement, a.log_prob, a.loss) == (-2.0, 2, 1.0, pytest.approx(-0.6), pytest.approx(0.1))
    assert (b.searched, b.explained, b.agreement) == (2, True, 0.5)
    assert found["during"]["a"].shown == Shown(True, -2.0, loss=pytest.approx(0.5)) and found["before"]["a"].shown.loss is None
