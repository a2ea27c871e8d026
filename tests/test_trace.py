"""Traces out of recorded runs: what was measured stands, what was not is filled in, broken input is named."""

from dataclasses import replace

import numpy as np
import pytest

from solution.arc.load import Challenges
from solution.arc.task import Pair, Task, as_grid
from solution.arc.view import View
from solution.decode.candidate import Candidate
from solution.driver.board import Board
from solution.driver.journal import Result, result_from_json, result_to_json
from solution.preset import DEFAULT, PRESETS
from solution.program.settings import ProgramConfig
from solution.schedule.impute import fit_curve, seconds_line
from solution.schedule.job import Job, Record, TaskSize
from solution.schedule.nvarc import VIEWS, nvarc_trace, outcomes_of
from solution.schedule.recorded import preset_of, trace_of_run
from solution.schedule.replay import replay
from solution.schedule.virtual import Device

PLAIN_VIEWS = replace(DEFAULT, program=None, first_views=2, more_views=2, rounds=1, agreement=0.6)
TWO_ROUNDS = ProgramConfig((20_000, 150_000))


def test_a_curve_finds_the_chances_it_was_drawn_from():
    rng = np.random.default_rng(0)
    x = rng.uniform(4, 9, 4000)
    y = rng.random(4000) < 1 / (1 + np.exp(1.2 * (x - 6)))
    curve = fit_curve(x[:, None], y)
    for value in (4, 6, 8):
        assert curve(value) == pytest.approx(1 / (1 + np.exp(1.2 * (value - 6))), abs=0.04)
    few = fit_curve([[6.0], [6.1]], [0, 0])
    assert 0 < few(6.0) < 0.3 and few(8.0) < few(6.0)  # with hardly any case the prior's slope stands
    assert seconds_line({"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 6.0})(10) == pytest.approx(20)


TABLE = """task_id,worker,ttt_seconds,total_seconds,decode_batches,scored_candidates
a,0,30.0,62.0,4,1
b,1,25.0,105.0,4,4
"""


def test_the_winners_table_is_imported():
    sizes = {name: TaskSize(400, 50, 400, 1, 3) for name in "ab"}
    learnt = outcomes_of(recorded_toy(), PLAIN_VIEWS)
    assert learnt.profile == (0.0, 1.0, 1.0, 1.0) and learnt.base_views > 0
    learnt = replace(learnt, chance=replace(learnt.chance, slopes=(-1.0, 2.0)))
    trace = nvarc_trace(TABLE, sizes, learnt)
    a, b = trace.tasks["a"], trace.tasks["b"]
    assert (a.train, a.view * VIEWS, b.train, b.view * VIEWS) == (30, 32, 25, 80)
    assert (a.agreement, b.agreement) == ((1.0,), (0.25,)) and a.neural_right(2) > b.neural_right(2) > 0
    assert a.base == pytest.approx(learnt.base_views * a.view)
    for broken, reason in (("30.0", "x"), ("a,0", "unknown,0"), ("62.0", "20.0"), ("ttt_seconds", "seconds")):
        with pytest.raises(ValueError, match="line 2"):
            nvarc_trace(TABLE.replace(broken, reason), sizes, learnt)


def grid(value):
    return as_grid([[value]])


def candidate(value, source="ttt", view=0):
    return Candidate(grid(value), View(symmetry=view), -float(value), source)


def toy_results():
    """Three tasks whose answer is 1: a is right from its second view on, b by a program, c was never trained."""

    def done(stage, tasks, device, seconds, found, first=0, views=1, **kwargs):
        return Result(Record(Job(stage, tasks, first, views), device, seconds, **kwargs), found)

    base = {name: [[candidate(3, "base")]] for name in "abc"}
    return [
        done("base", tuple("abc"), "cpu:0", 3.0, base),
        done("program", ("a",), "cpu:1", 1.0, {"a": [[]]}, 0, 0),
        done("program", ("a",), "cpu:1", 5.0, {"a": [[candidate(1, "program")]]}, 1, 0),
        done("program", ("b",), "cpu:1", 2.0, {"b": [[candidate(1, "program")]]}, 0, 0, explained=True),
        done("ttt", ("a",), "cpu:0", 20.0, {"a": [[candidate(2), candidate(1, view=1)]]}, 0, 2, agreement={"a": 0.5}),
        done("views", ("a",), "cpu:0", 2.0, {"a": [[candidate(1, view=2), candidate(1, view=3)]]}, 2, 2, agreement={"a": 1.0}),
        done("ttt", ("c",), "cpu:0", 9.0, {"c": [[]]}, 0, 2, cut=True),
    ]  # fmt: skip


def in_slices(results):
    """The same journal with a's training in three slices, and failed and parked ones of other attempts beside."""
    whole = next(r for r in results if r.record.job == Job("ttt", ("a",), 0, 2))
    place = results.index(whole)

    def piece(first, num, seconds, attempt=1, **kwargs):
        return Result(Record(Job("ttt", ("a",), 0, 2, attempt, first, num), "cpu:0", seconds, **kwargs))

    last = replace(whole, record=replace(whole.record, job=replace(whole.record.job, attempt=1, first_step=16), seconds=8.0))
    parked = [piece(0, 8, 99.0, 0), piece(8, 8, 1.0, 0, ok=False), piece(0, 8, 5.0), piece(8, 8, 7.0), last]
    other = Result(Record(Job("ttt", ("c",), 0, 2, 0, 0, 8), "cpu:0", 50.0))
    return results[:place] + parked + [other] + results[place + 1 :]


def test_slices_add_up_to_a_training_and_an_unfinished_one_is_none():
    sliced, whole = recorded_toy(in_slices(toy_results())), recorded_toy()
    assert sliced.tasks["a"].train == pytest.approx(whole.tasks["a"].train)
    assert {name: t.measured for name, t in sliced.tasks.items()} == {name: t.measured for name, t in whole.tasks.items()}
    assert {n: t.views_right for n, t in sliced.tasks.items()} == {n: t.views_right for n, t in whole.tasks.items()}


def recorded_toy(results=()):
    task_of = {name: Task(name, (Pair(grid(0), grid(1)),) * 2, (Pair(grid(5), None),)) for name in "abc"}
    sizes = {name: TaskSize(100 * (i + 1), 4, 100, 1, 2) for i, name in enumerate("abc")}
    preset = replace(PLAIN_VIEWS, program=TWO_ROUNDS)
    results = [result_from_json(result_to_json(r)) for r in results or toy_results()]
    solutions = {name: (grid(1),) for name in "abc"}
    return trace_of_run("toy", results, sizes, preset, solutions, lambda: Board(Challenges(task_of, {}), preset.select))


def test_a_journal_becomes_a_trace():
    trace = recorded_toy()
    a, b, c = trace.tasks.values()
    assert a.views_right == (0.0, 1.0, 1.0, 1.0) and a.agreement == (1.0, 0.5, 2 / 3, 0.75)
    assert (a.train, a.view) == (18.0, 1.0) and a.base + b.base + c.base == pytest.approx(3)
    assert a.measured == {"base", "ttt", "views", "program"} and b.measured == {"base", "program"} and c.measured == {"base"}
    assert a.explains == (0.0, 0.0) and a.search == (1.0, 5.0) and b.explains == (1.0, 0.0) and b.explained_right == 1
    assert a.search_right == (0.0, 1.0)  # right by programs that are too unsure to explain it
    assert b.search_right[0] == 1 and 0 < c.search_right[0] < c.search_right[1] < 1
    assert 0 == c.views_right[0] < c.views_right[1] < 1 and c.agreement is None and 0 < c.explains[0] < 1
    assert c.search[0] > 0 and c.train > 0 and not trace.settled
    run = replay(trace, replace(PLAIN_VIEWS, program=TWO_ROUNDS), [Device("cpu:0")], 1e4)
    assert run.solved >= 2 and run.slices[0].end == pytest.approx(3)
    with pytest.raises(ValueError, match="no cheap answer"):
        trace_of_run("toy", [], {}, PLAIN_VIEWS, {}, lambda: Board(Challenges({}, {}), "flattened"))


def test_several_journals_give_one_trace_in_any_order():
    """One of them has the first round of search alone."""
    whole = toy_results()
    first = [r for r in whole if r.record.job.stage == "program" and r.record.job.first_view == 0]
    again = [replace(r, record=replace(r.record, seconds=1.0)) for r in first]
    for trace in (recorded_toy(whole + again), recorded_toy(again + whole)):
        a = trace.tasks["a"]
        assert len(a.search) == 2 == a.searched and a.search_right == (0.0, 1.0) and a.explains == (0.0, 0.0)
        assert trace.tasks["b"].explains[0] == 1 and trace.tasks["c"].searched == 0


def test_a_preset_comes_back_from_a_journal():
    for preset in PRESETS.values():
        assert preset_of(preset.as_dict()) == preset
