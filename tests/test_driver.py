"""The whole line, as a user runs it: budget, kill and resume, broken tasks, failing workers, two workers as one."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from solution.arc.load import load_challenges, public_evaluation, public_training
from solution.arc.submission import validate_submission
from solution.arc.task import to_rows
from solution.codec.arc16 import Arc16
from solution.driver.clock import Clock, format_seconds, parse_duration
from solution.driver.health import SICK_AFTER
from solution.driver.journal import Journal, JournalBusy, Result, read_lines, result_from_json, result_to_json
from solution.driver.setup import task_size
from solution.preset import DEFAULT, PRESETS

from .processes import HANGS

ROOT = Path(__file__).parents[1]
ROOM = "24h"
"""The budget of a run that is to do everything, however slow or busy the machine: the run ends when it is done."""


def smallest_training_tasks(count):
    tasks, solutions = public_training()
    chosen = sorted(tasks.tasks.values(), key=lambda t: task_size(t, Arc16("grid")).prompt_tokens)[:count]
    return {t.id: t for t in chosen}, {t.id: solutions[t.id] for t in chosen}


def write_input(folder, tasks, solutions=None):
    """A Kaggle-style challenges file (and solutions file) in `folder`."""
    raw = {
        name: {
            "train": [{"input": to_rows(p.input), "output": to_rows(p.output)} for p in t.train],
            "test": [{"input": to_rows(p.input)} for p in t.test],
        }
        for name, t in tasks.items()
    }
    (folder / "arc-agi_test_challenges.json").write_text(json.dumps(raw))
    if solutions:
        (folder / "solutions.json").write_text(json.dumps({n: [to_rows(g) for g in s] for n, s in solutions.items()}))
    return raw


def command(folder, *options, output="submission.json"):
    return [sys.executable, str(ROOT / "submission.py"), "--input", str(folder / "arc-agi_test_challenges.json"),
            "--output", str(folder / output), *options]  # fmt: skip


def environment(**extra):
    return os.environ | {"OMP_NUM_THREADS": "1"} | extra


def go(folder, *options, output="submission.json", **extra):
    return subprocess.run(
        command(folder, *options, output=output), capture_output=True, text=True, env=environment(**extra), timeout=HANGS
    )


def job_lines(folder, output="submission"):
    return [x for x in read_lines(folder / f"{output}.run" / "journal.jsonl")[0] if x["kind"] == "job"]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Three small tasks and what an undisturbed run of one worker answers."""
    folder = tmp_path_factory.mktemp("three")
    tasks, solutions = smallest_training_tasks(3)
    write_input(folder, tasks, solutions)
    done = go(folder, "--devices", "cpu", "--budget", ROOM, "--preset", "test", "--solutions", str(folder / "solutions.json"))
    assert done.returncode == 0, done.stderr
    return folder, tasks, done


def test_a_whole_run_answers_scores_and_says_what_it_did(three):
    folder, tasks, done = three
    assert validate_submission(folder / "submission.json", {n: len(t.test) for n, t in tasks.items()}) == []
    text = (folder / "submission.log").read_text()
    for words in (
        "score, one view, before training: strict",
        "score, submission: strict",
        "everything was done",
        "first model answer after",
    ):
        assert words in done.stderr and words in text
    assert (folder / "submission.run" / "report.html").stat().st_size > 1000
    stages = [x["record"]["job"]["stage"] for x in job_lines(folder)]
    assert stages.count("ttt") == 6 and stages[0] == "base"  # two steps in two slices
    trained = [x for x in job_lines(folder) if x["record"]["job"]["stage"] == "ttt"]
    assert all(x["ttt"]["steps"] == len(x["ttt"]["losses"]) for x in trained)
    assert sorted(x["ttt"]["steps"] for x in trained) == [1, 1, 1, 2, 2, 2]
    assert not list((folder / "submission.run" / "adapters").glob("*.parked"))


def test_a_second_run_and_two_workers_give_the_same_bytes(three, tmp_path):
    folder, tasks, _ = three
    expected = (folder / "submission.json").read_bytes()
    write_input(tmp_path, tasks)
    for devices in ("cpu", "cpu:2"):
        done = go(tmp_path, "--devices", devices, "--budget", ROOM, "--preset", "test", "--fresh", PYTHONHASHSEED="123")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "submission.json").read_bytes() == expected
    workers = {x["record"]["device"] for x in job_lines(tmp_path)}
    assert workers == {"cpu:0", "cpu:1"}
    assert list((tmp_path / "submission.run").glob("journal.jsonl.1"))  # --fresh put the first journal aside


KILLED = """
import os, signal, sys
from solution.driver.cli import main
from solution.driver.journal import Journal
append = Journal.append
def append_and_die(self, value):
    append(self, value)
    lines = self.path.read_bytes().splitlines()
    if {moment}:
        os.kill(os.getpid(), signal.SIGKILL)
Journal.append = append_and_die
sys.argv[0] = "submission.py"
sys.exit(main())
"""


@pytest.mark.parametrize("moment", ["len(lines) == 4", """b'"num_steps":1' in lines[-1]"""], ids=["early", "in a training"])
def test_sigkill_then_resume_ends_with_the_same_answers(three, tmp_path, moment):
    folder, tasks, _ = three
    write_input(tmp_path, tasks)
    options = ("--devices", "cpu", "--budget", ROOM, "--preset", "test")
    python, _, *arguments = command(tmp_path, *options)
    killed = [python, "-c", KILLED.format(moment=moment), *arguments]
    done = subprocess.run(killed, capture_output=True, text=True, env=environment(), timeout=HANGS, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    journal = tmp_path / "submission.run" / "journal.jsonl"
    before = len(job_lines(tmp_path))
    assert 2 <= before < len(job_lines(folder))
    assert validate_submission(tmp_path / "submission.json", {n: len(t.test) for n, t in tasks.items()}) == []
    with open(journal, "ab") as file:
        file.write(b'{"kind": "job", "rec')  # a line that the kill cut short
    done = go(tmp_path, *options)
    assert done.returncode == 0 and f"going on from {before} earlier jobs" in done.stderr
    assert (tmp_path / "submission.json").read_bytes() == (folder / "submission.json").read_bytes()
    assert len(job_lines(tmp_path)) == len(job_lines(folder))
    assert "trained again" not in done.stderr and ("num_steps" not in moment or not is_whole(before, job_lines(tmp_path)))


def is_whole(before, lines):
    """Whether the journal's first lines hold every training to its end."""
    jobs = [line["record"]["job"] for line in lines[:before] if line["record"]["job"]["stage"] == "ttt"]
    return not jobs or jobs[-1]["num_steps"] == 0


def in_time(folder, budget, **extra):
    """A run on the public evaluation set; half a second after its budget, a number of seconds, it would be killed."""
    line = ["timeout", "-s", "KILL", str(budget + 0.5), sys.executable, str(ROOT / "submission.py")]
    options = ["--budget", f"{budget}s", "--output", str(folder / "s.json")]
    return subprocess.run([*line, *options], capture_output=True, text=True, env=environment(**extra), cwd=folder)


def test_twenty_seconds_for_400_tasks_end_in_time_with_a_valid_file(tmp_path):
    done = in_time(tmp_path, 20)
    assert done.returncode == 0, done.stderr
    assert validate_submission(tmp_path / "s.json", {n: len(t.test) for n, t in public_evaluation()[0].tasks.items()}) == []


def test_a_budget_shorter_than_the_imports_still_leaves_a_valid_file(tmp_path):
    """Whatever the machine, they do not end here, and hold the interpreter's lock."""
    (tmp_path / "torch.py").write_text(f"import ctypes\nctypes.PyDLL(None).sleep({HANGS})")
    done = in_time(tmp_path, 8, PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert validate_submission(tmp_path / "s.json", {n: len(t.test) for n, t in public_evaluation()[0].tasks.items()}) == []


def test_one_broken_task_gets_a_placeholder_and_the_others_are_solved(tmp_path):
    tasks, _ = smallest_training_tasks(2)
    raw = write_input(tmp_path, tasks)
    first, second = raw
    raw[first]["train"][0]["output"] = [[1, 2], [3]]
    (tmp_path / "arc-agi_test_challenges.json").write_text(json.dumps(raw))
    done = go(tmp_path, "--devices", "cpu", "--budget", ROOM, "--preset", "test")
    assert done.returncode == 0, done.stderr
    assert f"task {first} is broken and got a placeholder: train[0].output: rows have different lengths" in done.stderr
    assert validate_submission(tmp_path / "submission.json", {n: len(t.test) for n, t in tasks.items()}) == []
    assert {t for x in job_lines(tmp_path) for t in x["record"]["job"]["tasks"]} == {second}


@pytest.mark.parametrize(
    "options, words",
    [
        (["--input", "nowhere.json"], "nowhere.json"),
        (["--budget", "soon"], "'soon' is not a duration"),
        (["--tasks", "deadbeef"], "'deadbeef' is not a task of the input"),
        (["--limit", "0"], "--limit: 0 is not a positive number"),
        (["--weights", "nothing"], "'nothing' are neither in weights_manifest.json"),
        (["--devices", "tpu"], "'tpu' is not auto, cpu, cpu:N or cuda:N"),
        (["--devices", "cuda:7"], "there is no cuda:7 here"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(tmp_path, options, words):
    line = [sys.executable, str(ROOT / "submission.py"), "--output", str(tmp_path / "s.json"), "--budget", ROOM, *options]
    done = subprocess.run(line, capture_output=True, text=True, env=environment(), timeout=HANGS, cwd=tmp_path)
    errors = [x for x in done.stderr.splitlines() if x.startswith("submission.py: ")]
    assert done.returncode == 2 and len(errors) == 1 and words in errors[0] and "Traceback" not in done.stderr


@pytest.fixture
def in_process(tmp_path):
    """A run inside this process whose solver a test may break: -> run(break_job) -> (setup, outcome)."""

    from solution.driver.board import Board
    from solution.driver.run import Setup, run
    from solution.driver.solve import Solver
    from solution.driver.worker import Worker
    from solution.models.load import load
    from solution.models.manifest import default_weights
    from solution.preset import PRESETS

    tasks, solutions = smallest_training_tasks(3)
    write_input(tmp_path, tasks)
    challenges = load_challenges(tmp_path / "arc-agi_test_challenges.json")
    preset = PRESETS["test"]

    def start(break_job, devices=("cpu:0", "cpu:1"), preset=preset):
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        journal = Journal(folder / "journal.jsonl", {"test": 1})
        sizes = {n: task_size(t, Arc16("grid")) for n, t in challenges.tasks.items()}
        clock = Clock(parse_duration(ROOM))
        board = Board(challenges, preset.select)
        setup = Setup(challenges, solutions, sizes, preset, board, journal, tmp_path / "s.json", clock, 1e4)
        finished = queue.Queue()
        workers = []
        for device in devices:
            solver = Solver(
                load(default_weights("cpu"), torch.device("cpu"), preset.lora), device, challenges.tasks, preset, 0, tmp_path
            )

            def solve(job, train_time_used, out_of_time, solver=solver):
                break_job(job)
                return solver(job, train_time_used, out_of_time)

            workers.append(Worker(device, solve, finished, 1))
        return setup, run(setup, workers, finished)

    return start


def test_a_worker_that_raises_costs_only_its_own_task(in_process):
    setup, undisturbed = in_process(lambda job: None)
    answers = setup.board.answers
    assert undisturbed.ended == "done" and all(r.record.ok for r in undisturbed.results)
    broken = sorted(setup.sizes)[0]

    def raises(job):
        if broken in job.tasks:
            raise MemoryError("no memory for this one")

    setup, outcome = in_process(raises)
    failed = [r for r in outcome.results if not r.record.ok]
    assert outcome.ended == "done" and failed and {broken} <= {t for r in failed for t in r.record.job.tasks}
    assert all(r.error == "MemoryError: no memory for this one" for r in failed)
    assert setup.progress.trained == set(setup.sizes) - {broken}
    for name in setup.progress.trained:
        assert [[to_rows(g) for g in a] for a in setup.board.answers[name]] == [[to_rows(g) for g in a] for a in answers[name]]


def test_slices_change_no_answer(in_process):
    """Two workers, with more slices than steps of some trainings, or one piece each: the same candidates and losses."""
    longer = replace(PRESETS["test"], train=replace(DEFAULT.train, steps=6), first_views=2)
    found = []
    for slices, devices in ((1, ("cpu:0",)), (4, ("cpu:0", "cpu:1")), (3, ("cpu:0",))):
        setup, outcome = in_process(lambda job: None, devices, replace(longer, slices=slices))
        ends = {r.record.job.tasks: r for r in outcome.results if r.record.job.stage == "ttt" and not r.record.parked}
        trainings = [r for r in outcome.results if r.record.job.stage == "ttt"]
        assert len(ends) == 3 and len(trainings) == 3 * slices if slices < 4 else len(trainings) == 9  # of two steps each
        assert sum(r.ttt["tokens"] for r in trainings) > 0 and all(r.ttt["steps"] == 6 for r in ends.values())
        answers = {name: [[to_rows(g) for g in pair] for pair in pairs] for name, pairs in setup.board.answers.items()}
        losses = {task: (r.ttt["losses"], r.record.loss) for task, r in sorted(ends.items())}
        found.append((answers, losses, sum(r.ttt["tokens"] for r in trainings)))
    assert found[0] == found[1] == found[2]


def test_a_failed_slice_begins_the_training_anew_and_smaller(in_process):
    tried = []

    def fails_in_the_middle(job):
        if job.stage == "ttt":
            tried.append(job)
            if job.attempt == 0 and job.first_step:
                raise MemoryError("no memory for this one")

    setup, outcome = in_process(fails_in_the_middle, ("cpu:0",))
    assert setup.progress.trained == set(setup.sizes) and not list(setup.output.parent.glob("*.parked"))
    for name in setup.sizes:
        assert [(j.attempt, j.first_step, j.num_steps) for j in tried if j.tasks == (name,)] == [
            (0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0),
        ]  # fmt: skip


def test_a_failure_that_passes_is_retried_smaller_and_answered(in_process):
    failed = set()

    def fails_once(job):
        if job.attempt == 0 and job.stage == "ttt":
            failed.add(job.tasks)
            raise RuntimeError("CUDA out of memory")

    setup, outcome = in_process(fails_once)
    assert len(failed) == 3 and setup.progress.trained == set(setup.sizes)
    assert sum(r.record.job.attempt == 1 and r.record.ok and not r.record.parked for r in outcome.results) == 3


def test_a_sick_device_is_retired_and_its_failures_are_not_held_against_the_tasks(in_process):
    devices = threading.local()
    lock, seen = threading.Lock(), {}

    def second_device_dies(job):
        with lock:
            devices.number = getattr(devices, "number", None) or len(seen) + 1
            seen[devices.number] = seen.get(devices.number, 0) + 1
        if devices.number == 2:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    setup, outcome = in_process(second_device_dies)
    failed = [r for r in outcome.results if not r.record.ok]
    assert outcome.ended == "done" and setup.progress.trained == set(setup.sizes)
    assert len(failed) <= SICK_AFTER and len({r.record.device for r in failed}) <= 1


def test_a_full_disk_costs_the_journal_not_the_run(in_process, monkeypatch):
    def full(self, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(OSError):  # nothing has begun: better to say so now
        in_process(lambda job: None)
    monkeypatch.undo()
    calls = []

    def full_later(self, value, append=Journal.append):
        calls.append(value)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")
        append(self, value)

    monkeypatch.setattr(Journal, "append", full_later)
    setup, outcome = in_process(lambda job: None)
    assert outcome.ended == "done" and setup.progress.trained == set(setup.sizes) and len(calls) > 4


def test_two_runs_cannot_write_one_journal(tmp_path):
    first = Journal(tmp_path / "j.jsonl", {"seed": 0})
    with pytest.raises(JournalBusy, match="another run is writing here"):
        Journal(tmp_path / "j.jsonl", {"seed": 0})
    first.close()
    Journal(tmp_path / "j.jsonl", {"seed": 0}).close()


def test_of_a_journal_damaged_in_its_middle_the_whole_lines_count(three, tmp_path):
    folder, _, _ = three
    good = (folder / "submission.run" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    identity = json.loads(good[0])["identity"]
    for damaged in ([good[0], b"gar\xffbage\n", *good[1:]], [good[0], b'{"kind":"job","record":{}}\n', *good[1:]]):
        path = tmp_path / "journal.jsonl"
        path.write_bytes(b"".join(damaged))
        journal = Journal(path, identity)
        kept = sum(json.loads(line)["kind"] == "job" for line in good)
        assert len(journal.results) == kept and journal.damaged == 1
        assert journal.put_aside.read_bytes() == b"".join(damaged) and path.read_bytes() == b"".join(good)
        journal.close()
    path.write_bytes(b"".join(good) + b'{"kind":"jo')
    journal = Journal(path, identity)
    jobs = sum(json.loads(line)["kind"] == "job" for line in good)
    assert len(journal.results) == jobs and journal.put_aside is None and path.read_bytes() == b"".join(good)
    journal.close()


def test_odd_task_ids_are_no_file_names(tmp_path):
    tasks, _ = smallest_training_tasks(2)
    odd = {name: replace(task, id=name) for name, task in zip(("../x", "a/b\u00e9" * 60), tasks.values())}
    write_input(tmp_path, odd)
    done = go(tmp_path, "--devices", "cpu", "--budget", ROOM, "--preset", "test")
    assert done.returncode == 0 and "failed" not in done.stderr
    assert validate_submission(tmp_path / "submission.json", {n: 1 for n in odd}) == []
    assert not list(tmp_path.glob("*.safetensors")) and not list((tmp_path / "submission.run").glob("*.safetensors"))


def test_a_lost_or_damaged_adapter_is_trained_again_and_gives_the_same_views(tmp_path):

    from solution.driver.solve import Solver
    from solution.models.load import load
    from solution.models.manifest import default_weights
    from solution.preset import PRESETS
    from solution.schedule.job import Job

    tasks, _ = smallest_training_tasks(1)
    (name,) = tasks
    preset = replace(PRESETS["test"], agreement=2.0)  # no vote agrees enough: the adapter is kept
    solver = Solver(load(default_weights("cpu"), torch.device("cpu"), preset.lora), "cpu:0", tasks, preset, 0, tmp_path)

    def do(job):
        result = solver(job, lambda: False, lambda: False)
        return [[(c.grid.tobytes(), c.log_prob) for c in test] for test in result.candidates[name]], result.ttt

    do(Job("ttt", (name,), 0, 8))
    (kept,) = tmp_path.glob("*.safetensors")
    stored = kept.read_bytes()
    expected, trained = do(Job("views", (name,), 8, 4))
    assert trained is None and [kept] == solver._used_up and any(expected)
    assert do(Job("views", (name,), 8, 4))[0] == expected  # lost
    kept.write_bytes(stored[:-100])
    again, trained = do(Job("views", (name,), 8, 4))
    assert again == expected and trained["steps"] == 2  # damaged


PARKED_BY_ANOTHER = {"updates": 1.0, "losses": [1.0], "scale": 1.0, "prefix_rows": 0}


def test_a_parked_training_goes_on_anywhere_and_is_trained_again_where_it_is_lost(tmp_path, monkeypatch):
    from safetensors.torch import save

    from solution.driver.solve import PARKED_TENSORS, Solver, parked_file
    from solution.models.load import load
    from solution.models.manifest import default_weights
    from solution.schedule.job import Job

    tasks, _ = smallest_training_tasks(2)
    name, other = tasks
    preset = replace(PRESETS["test"], train=replace(DEFAULT.train, steps=5), first_views=2, agreement=0.0)
    workers = [
        Solver(load(default_weights("cpu"), torch.device("cpu"), preset.lora), device, tasks, preset, 0, tmp_path)
        for device in ("cpu:0", "cpu:1")
    ]

    def do(worker, first_step, num_steps, name=name, used=0.0):
        result = workers[worker](Job("ttt", (name,), 0, 2, 0, first_step, num_steps), lambda: used, lambda: False)
        return [[(c.grid.tobytes(), c.log_prob) for c in test] for test in result.candidates.get(name, [])], result

    def parked():
        """Files that are not to go with the next job."""
        return sorted(path.name for path in {*tmp_path.glob("*.parked")}.difference(*(worker._used_up for worker in workers)))

    file = parked_file(tmp_path, name, 0, 2)
    expected, whole = do(0, 0, 0)
    assert any(expected) and parked() == []

    def ends_alike(result, found, tokens):
        assert found == expected and result.ttt["losses"] == whole.ttt["losses"] and result.ttt["tokens"] == tokens
        assert result.record.loss == whole.record.loss and parked() == []
        for worker in workers:  # as their next job does
            while worker._used_up:
                worker._used_up.pop().unlink(missing_ok=True)

    nothing, first = do(0, 0, 2)
    assert nothing == [] and first.record.parked and first.record.loss and parked() == [file.name]
    assert first.ttt["losses"] == whole.ttt["losses"][:2]
    rest = whole.ttt["tokens"] - first.ttt["tokens"]
    stored = file.read_bytes()
    file.unlink()
    found, result = do(0, 2, 0)  # in memory still
    ends_alike(result, found, rest)
    file.write_bytes(stored)
    do(0, 0, 2, other)  # another job in between
    found, result = do(0, 2, 0)
    assert parked() == [parked_file(tmp_path, other, 0, 2).name]
    parked_file(tmp_path, other, 0, 2).unlink()
    ends_alike(result, found, rest)
    foreign = save({f"{kind}.0": torch.zeros(3) for kind in PARKED_TENSORS}, {"figures": json.dumps(PARKED_BY_ANOTHER)})
    for damaged in (None, stored[:-100], b"", stored[:8] + b"x" + stored[9:], foreign):  # on another worker
        file.unlink(missing_ok=True)
        if damaged is not None:
            file.write_bytes(damaged)
        found, result = do(1, 2, 0)
        ends_alike(result, found, whole.ttt["tokens"])
    file.write_bytes(stored)
    _, second = do(1, 2, 2)
    assert parked() == [file.name, parked_file(tmp_path, name, 0, 4).name]  # the former until the next slice begins
    found, result = do(0, 4, 0)
    ends_alike(result, found, whole.ttt["tokens"] - first.ttt["tokens"] - second.ttt["tokens"])
    monkeypatch.setattr("solution.driver.solve.DISK_LEFT", 2**62)
    do(0, 0, 2)
    assert parked() == []  # no room: it goes on in memory, or is trained again
    ends_alike(*do(0, 2, 0)[::-1], rest)
    monkeypatch.undo()
    file.write_bytes(stored)
    found, cut = do(1, 2, 2, used=1.0)  # the clock ends a slice: what was learnt is decoded
    assert found and cut.record.cut and not cut.record.parked and cut.ttt["steps"] == 2 and parked() == [file.name]


@pytest.mark.parametrize("per_task, prefix_tokens", [(True, 0), (True, 3), (False, 0), (False, 3)])
def test_tasks_train_on_from_the_joint_adapter_and_a_second_worker_finds_it(tmp_path, per_task, prefix_tokens):

    from solution.driver.solve import Solver
    from solution.models.load import load
    from solution.models.manifest import default_weights
    from solution.preset import PRESETS
    from solution.schedule.job import Job
    from solution.ttt.settings import JointConfig

    tasks, _ = smallest_training_tasks(3)
    name = sorted(tasks)[0]
    preset = replace(
        PRESETS["test"],
        joint=JointConfig(passes=40, learning_rate=1e-2, per_task=per_task, prefix_tokens=prefix_tokens),
        first_views=2,
    )
    device = torch.device("cpu")
    one, two, alone = (
        Solver(load(default_weights("cpu"), device, preset.lora), "cpu:0", tasks, chosen, 0, tmp_path / folder)
        for chosen, folder in ((preset, "joint"), (preset, "joint"), (PRESETS["test"], "alone"))
    )
    joint = one(Job("joint", ()), lambda: 0.0, lambda: False)
    assert (
        joint.ttt["ended"] == "planned"
        and joint.ttt["steps"] >= 15
        and (tmp_path / "joint" / "joint-adapter.safetensors").exists()
    )
    job = Job("ttt", (name,), 0, 2)
    result, other = (solver(job, lambda: 0.0, lambda: False) for solver in (two, alone))
    assert two.model.prefix is None if not prefix_tokens else len(two.model.prefix) == prefix_tokens
    if per_task:
        assert result.ttt["steps"] == 2 and result.ttt["losses"][0] < 0.85 * other.ttt["losses"][0]
    else:
        assert result.ttt is None
    assert result.candidates[name]
    clock = iter([0.0, 0.4, 0.4, 0.8, 0.8] + [1.0] * 5)
    assert one(Job("joint", ()), lambda: next(clock), lambda: False).record.cut  # its time was over


def test_a_lost_joint_adapter_is_trained_again(tmp_path):
    from solution.driver.run import replay
    from solution.driver.solve import JOINT, adapter_file, can_read_adapter
    from solution.driver.stored import store
    from solution.schedule.job import Job, Progress, Record

    done = SimpleNamespace(results=[Result(Record(Job("joint", ()), "cpu:0", 1.0, cut=True))])
    for kept in (False, True):
        setup = SimpleNamespace(journal=done, progress=Progress(), board=SimpleNamespace(add=lambda result: None))
        replay(setup, kept)
        assert setup.progress.joint is kept
    assert not can_read_adapter(tmp_path, JOINT)
    path = adapter_file(tmp_path, JOINT)
    store(path, path.with_suffix(".part"), {"a": torch.ones(3)})
    assert can_read_adapter(tmp_path, JOINT)
    adapter_file(tmp_path, JOINT).write_bytes(b"cut short")
    assert not can_read_adapter(tmp_path, JOINT)


def test_results_survive_the_journal_unchanged(three):
    folder, _, _ = three
    for line in job_lines(folder):
        assert json.loads(json.dumps(result_to_json(result_from_json(line)))) == line


def test_a_journal_of_other_weights_seed_or_preset_is_put_aside(tmp_path):
    path = tmp_path / "j.jsonl"
    first = Journal(path, {"seed": 0})
    first.close()
    same = Journal(path, {"seed": 0})
    assert same.put_aside is None
    same.close()
    other = Journal(path, {"seed": 1})
    assert other.put_aside == tmp_path / "j.jsonl.1" and other.put_aside.exists() and other.results == []
    other.close()


@pytest.mark.parametrize(
    "text, seconds", [("11h30m", 41400), ("15m", 900), ("90s", 90), ("20", 20), ("1.5h", 5400), ("1m30s", 90)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5s", "m", "5x", "5m5h"])
def test_bad_durations(text):
    with pytest.raises(ValueError):
        parse_duration(text)


AGES = """
import time
began = time.monotonic()
from solution.driver.clock import Clock
time.sleep(0.1)
asked = time.monotonic()
clock = Clock(100)
print(clock.start, began, time.monotonic() - asked, 100 - clock.left() >= asked - began)
"""


def test_clock_counts_from_process_start():
    """In a process of its own: the age of this one may be beyond what is believed (`clock.MAX_AGE`)."""
    before, tick = time.monotonic(), 0.02
    done = subprocess.run([sys.executable, "-c", AGES], capture_output=True, text=True, cwd=ROOT, timeout=HANGS)
    *figures, less_is_left = done.stdout.split()
    start, began, asking = map(float, figures)
    assert before - tick - asking < start < began + tick and less_is_left == "True"
    assert format_seconds(41400) == "11h30m" and format_seconds(845) == "14m05s" and format_seconds(8.25) == "8.2s"
    assert DEFAULT.name == "default"


def test_forecasts_change_no_answer_and_a_failing_one_costs_nothing(in_process, monkeypatch):
    from solution.driver import progress

    def answers(setup):
        return {name: [[to_rows(grid) for grid in two] for two in tests] for name, tests in setup.board.answers.items()}

    monkeypatch.setattr(progress, "LOG_EVERY", 0.0)
    monkeypatch.setattr(progress, "FORECAST_SHARE", 1e9)  # as many as can be
    setup, outcome = in_process(lambda job: None)
    foretold = [line for line in read_lines(setup.journal.path)[0] if line["kind"] == "forecast"]
    assert outcome.ended == "done" and len(foretold) > 3
    assert set(foretold[0]) == {"kind", "elapsed", "planned", "answered", "trained", "solved", "right", "process"}
    assert all(0 <= line["solved"] <= 3 and 0 <= line["right"] <= 3 for line in foretold)
    assert foretold[-1]["trained"] == 3 and sum(foretold[0]["planned"].values()) > sum(foretold[-1]["planned"].values())
    tried = []

    def fails(*_):
        tried.append(1)
        raise ZeroDivisionError("no forecast today")

    monkeypatch.setattr(progress, "planned_run", fails)
    without, undisturbed = in_process(lambda job: None)
    assert undisturbed.ended == "done" and len(tried) == 1 and answers(without) == answers(setup)
    assert not [line for line in read_lines(without.journal.path)[0] if line["kind"] == "forecast"]
