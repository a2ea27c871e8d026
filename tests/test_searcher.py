"""Program search beside the devices: its own process, cut in time, its death and its silence cost one job, the same answers."""

import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from solution.arc.load import public_training
from solution.arc.submission import validate_submission
from solution.arc.task import grid_key
from solution.driver import searcher
from solution.driver.searcher import Searcher
from solution.preset import DEFAULT
from solution.program.confidence import confidences
from solution.program.settings import ProgramConfig
from solution.program.solve import solve
from solution.schedule.job import Job

from .processes import HANGS, cpu_seconds, is_running, wait_until
from .test_driver import ROOM, ROOT, go, job_lines, write_input

NAMES = ("67a3c6ac", "d511f180", "0520fde7")


@pytest.fixture
def worker():
    tasks = {name: public_training()[0].tasks[name] for name in NAMES}
    found = Searcher("search:0", tasks, replace(DEFAULT, program=ProgramConfig((2000, 10**9))))
    yield found
    found.close()


def never():
    return False


def test_a_search_gives_what_the_search_in_this_process_gives(worker):
    for name in NAMES:
        result = worker(Job("program", (name,), 0, 0), lambda: 0.0, never)
        expected = solve(worker.tasks[name], 2000)
        for test, candidates in enumerate(result.candidates[name]):
            answers = expected.ranked_answers(test)[: searcher.MOST_ANSWERS]
            chances = confidences([cost for _, cost in answers])
            assert [grid_key(c.grid) for c in candidates] == [grid_key(grid) for grid, _ in answers]
            assert [c.log_prob for c in candidates] == pytest.approx([math.log(chance) for chance in chances])
            assert all(c.source == "program" for c in candidates)
        sure = all(math.exp(test[0].log_prob) >= searcher.SURE for test in result.candidates[name] if test)
        assert result.record.explained == (sure and all(result.candidates[name])) and not result.record.cut
        assert result.tokens["behaviours"] == expected.nodes


def test_the_clock_cuts_a_search_and_keeps_what_it_found(worker, monkeypatch):
    """By CPU seconds: as many as the process took until it had found an answer the first time, its imports and all."""
    assert worker(Job("program", (NAMES[0],), 0, 0), lambda: 0.0, never).record.explained
    process, grace = worker._child.pid, searcher.GRACE
    monkeypatch.setattr(searcher, "GRACE", HANGS)
    begun, told = cpu_seconds(process), []

    def out_of_time():
        told.append(cpu_seconds(process))
        return told[-1] > 2 * begun

    result = worker(Job("program", (NAMES[0],), 1, 0), lambda: 0.0, out_of_time)
    assert result.record.cut and result.record.explained and result.candidates[NAMES[0]][0]
    assert cpu_seconds(process) - told[-1] < grace
    assert not worker(Job("program", (NAMES[1],), 0, 0), lambda: 0.0, never).record.cut  # the next one is not


def test_a_process_that_dies_or_hangs_costs_its_job_alone(worker, monkeypatch):
    job = Job("program", (NAMES[0],), 1, 0)
    worker(Job("program", (NAMES[0],), 0, 0), lambda: 0.0, never)
    os.kill(worker._child.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="died"):
        while True:  # it may have been seen dead before the job, and a new one started
            worker(job, lambda: 0.0, lambda: not os.kill(worker._child.pid, signal.SIGKILL))
    worker(Job("program", (NAMES[0],), 0, 0), lambda: 0.0, never)
    monkeypatch.setattr(searcher, "GRACE", 0.5)
    os.kill(worker._child.pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        worker(job, lambda: 0.0, lambda: True)
    assert worker(Job("program", (NAMES[0],), 0, 0), lambda: 0.0, never).record.explained


def test_solvers_alone_and_together_and_again_after_a_kill(tmp_path):
    challenges, solutions = public_training()
    tasks = {name: challenges.tasks[name] for name in NAMES}
    write_input(tmp_path, tasks, {name: solutions[name] for name in NAMES})
    common = ("--budget", ROOM, "--preset", "test", "--devices", "cpu", "--solutions", str(tmp_path / "solutions.json"))
    done = go(tmp_path, *common, "--solvers", "program")
    assert done.returncode == 0, done.stderr
    stages = [line["record"]["job"]["stage"] for line in job_lines(tmp_path)]
    assert set(stages) == {"base", "program"} and "score, submission: strict 3 of 3" in done.stderr
    assert validate_submission(tmp_path / "submission.json", {n: len(t.test) for n, t in tasks.items()}) == []
    first = (tmp_path / "submission.json").read_bytes()
    journal = tmp_path / "submission.run" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]))  # as a kill would have left it
    again = go(tmp_path, *common, "--solvers", "program")
    assert again.returncode == 0 and (tmp_path / "submission.json").read_bytes() == first
    both = go(tmp_path, *common, output="both.json")
    assert both.returncode == 0 and "score, submission: strict 3 of 3" in both.stderr
    assert {line["record"]["job"]["stage"] for line in job_lines(tmp_path, "both")} >= {"base", "program", "ttt"}
    wrong = go(tmp_path, "--solvers", "guess", output="wrong.json")
    assert wrong.returncode == 2 and "--solvers: 'guess' is not" in wrong.stderr


LEAVES = """
import os, threading
from dataclasses import replace
from pathlib import Path
from solution.arc.load import public_training
from solution.driver.searcher import Searcher
from solution.preset import DEFAULT
from solution.program.settings import ProgramConfig
from solution.schedule.job import Job
from tests.processes import cpu_seconds, wait_until
tasks = public_training()[0].tasks
search = Searcher("search:0", tasks, replace(DEFAULT, program=ProgramConfig((1000, 10**9))))
job = Job("program", ("0520fde7",), 1, 0)
search(Job("program", ("0520fde7",), 0, 0), lambda: 0.0, lambda: False)
before = cpu_seconds(search._child.pid)
threading.Thread(target=search, args=(job, lambda: 0.0, lambda: False), daemon=True).start()
wait_until(lambda: cpu_seconds(search._child.pid) > before + 0.2)  # it searches
print(search._child.pid, flush=True)
os._exit(0)
"""


def test_a_search_ends_with_the_run_that_asked_for_it():
    done = subprocess.run([sys.executable, "-c", LEAVES], capture_output=True, text=True, cwd=ROOT, timeout=HANGS)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not is_running(int(done.stdout)))
