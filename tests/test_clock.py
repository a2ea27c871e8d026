"""What is kept for the end of a run: enough for what that was measured to take, little of the budget, learnt as it goes."""

import random
import subprocess
import sys
from types import SimpleNamespace

import pytest

from solution.driver import summary
from solution.driver.clock import MOST_KEPT, REPORT_SHARE, WATCHDOG_SECONDS, Closing, margin_seconds, parse_duration
from solution.driver.run import LOOK_SHARE, look_seconds
from solution.driver.summary import Rehearsal
from solution.preset import DEFAULT
from solution.schedule.cost import CostModel
from solution.schedule.job import Job, TaskSize

from .processes import HANGS
from .test_driver import ROOT


def drawn(rng, most=2.0):
    return Closing(*(rng.uniform(0, most) for _ in range(3)))


def test_the_end_fits_into_what_is_kept_for_it_and_the_watchdog_comes_after_it():
    rng = random.Random(0)
    for _ in range(500):
        budget, closing = 10 ** rng.uniform(0, 5), drawn(rng, 0.01)
        kept = closing.reserve(budget)
        done = kept - closing.write - closing.summary - min(closing.report, REPORT_SHARE * budget)
        assert done == pytest.approx(margin_seconds(budget)) or kept == MOST_KEPT * budget
        assert margin_seconds(budget) > WATCHDOG_SECONDS or kept == MOST_KEPT * budget


def test_the_timer_ends_a_process_whose_interpreter_is_held(tmp_path):
    """PyDLL keeps the interpreter's lock while C sleeps: no thread of Python's could end this."""
    held = f"import ctypes; from solution.driver.clock import exit_in; assert exit_in(0.5); ctypes.PyDLL(None).sleep({2 * HANGS})"
    assert subprocess.run([sys.executable, "-c", held], cwd=ROOT, timeout=HANGS).returncode == 0


def test_the_watchdog_does_what_is_last_before_it_ends_the_process(tmp_path):
    last = f"""
import time
from pathlib import Path
from solution.driver.clock import WATCHDOG_SECONDS, Clock
clock = Clock(0)
clock.budget = clock.elapsed() + 20 * WATCHDOG_SECONDS
clock.watch(lambda: Path({str(tmp_path / "last")!r}).write_text("done"))
time.sleep({HANGS})
"""
    assert subprocess.run([sys.executable, "-c", last], cwd=ROOT, timeout=HANGS).returncode == 0
    assert (tmp_path / "last").read_text() == "done"


@pytest.mark.parametrize("text", ["nan", "inf", "1e3", "-1", "9" * 400, "8785h", "\u0663s", "1h\n2m", " ", "+5s", "11h30", "5m1"])
def test_no_duration(text):
    with pytest.raises(ValueError, match="is not a|longer than a year"):
        parse_duration(text)


def test_a_slow_end_keeps_more_but_never_more_than_a_share():
    rng = random.Random(1)
    for _ in range(500):
        budget, closing = 10 ** rng.uniform(0, 5), drawn(rng, 10 ** rng.uniform(-2, 3))
        slower = Closing(*(2 * step for step in vars(closing).values()))
        assert closing.reserve(budget) <= slower.reserve(budget) <= MOST_KEPT * budget


@pytest.mark.parametrize("budget", [20, 30, 60, 120, 300, 600, 3600, 41400])
def test_what_nothing_is_planned_for_is_under_three_percent(budget):
    assert WATCHDOG_SECONDS < margin_seconds(budget) <= min(60, 0.0275 * budget)
    usual = Closing(write=0.05, summary=0.05, report=0.2)  # 400 tasks, a short run
    assert usual.reserve(budget) <= 0.041 * budget  # 0.8 of 20 s


def test_a_run_learns_what_its_end_takes(monkeypatch):
    setup = SimpleNamespace(board=SimpleNamespace(answers=dict.fromkeys(range(400))), journal=SimpleNamespace(results=[1] * 3))
    outcome = SimpleNamespace(results=[])
    rehearsal = Rehearsal(setup, outcome)
    assert rehearsal.closing() == Closing.foretold(400)
    times = {"now": 100.0}
    monkeypatch.setattr(summary.time, "monotonic", lambda: times["now"])
    monkeypatch.setattr(summary.time, "thread_time", lambda: times["now"])

    def takes(seconds):
        def step(*_):
            times["now"] += seconds()

        return step

    monkeypatch.setattr(summary, "summary", takes(lambda: 0.25))
    monkeypatch.setattr(summary, "report", takes(lambda: 0.1 + 0.01 * (3 + len(outcome.results))))
    rehearsal.update(1.0)  # too little is left
    assert rehearsal.closing() == Closing.foretold(400)
    rehearsal.update(60.0)
    for seconds in (9.0, 0.5, 0.4, 0.6):  # one write that had to wait tells little
        rehearsal.wrote(seconds)
    assert (rehearsal.closing().write, rehearsal.closing().summary) == (0.5, pytest.approx(0.25))
    assert rehearsal.closing().report == pytest.approx(0.13)
    outcome.results += [1] * 10
    rehearsal.update(60.0)  # not due so soon
    assert rehearsal.closing().report == pytest.approx(0.13 + 10 * summary.REPORT_RESULT)
    times["now"] += 200
    rehearsal.update(60.0)
    outcome.results += [1] * 20
    assert rehearsal.closing().report == pytest.approx(0.1 + 0.01 * 33)  # by the slope that was measured

    def fails(*_):
        raise OSError("no room for a report")

    monkeypatch.setattr(summary, "report", fails)
    times["now"] += 200
    rehearsal.update(60.0)  # costs nothing but the estimate


def test_jobs_are_told_to_end_as_much_earlier_as_they_look_at_the_clock_late():
    sizes = {name: TaskSize(1000, 100, 900, tests, 3) for name, tests in (("a", 1), ("b", 2))}
    cost = CostModel(sizes, DEFAULT, 10_000.0)
    search, small, large = Job("program", ("a",), 0, 0), Job("base", ("a",)), Job("ttt", ("b",), 0, 8)
    assert look_seconds(search, cost, "cpu:0", 600) == look_seconds(search, cost, "search:1", 600) > 0
    assert 0 < look_seconds(small, cost, "cpu:0", 600) < look_seconds(large, cost, "cpu:0", 600)
    assert look_seconds(large, cost, "cpu:0", 20) == LOOK_SHARE * 20
