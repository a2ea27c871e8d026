"""The run loop on stub devices: broken tasks, broken devices, lost ones, hanging jobs; and a device that runs out of memory."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from solution.codec.arc16 import Arc16
from solution.cuda_allocator import NAME, OLD_NAME, SETTING, set_up_allocator
from solution.driver import health, solve, startup
from solution.driver.journal import read_lines
from solution.driver.run import _Loop
from solution.driver.searcher import Searcher
from solution.driver.setup import MOST_RESTARTS
from solution.driver.solve import SHRINKS, Solver, halved
from solution.driver.summary import summary
from solution.driver.worker import Worker
from solution.models.manifest import default_weights
from solution.models.memory import UNLIMITED
from solution.preset import DEFAULT
from solution.schedule.job import MAX_ATTEMPTS, Job

from .processes import HANGS, wait_until
from .stub_devices import ERRORS, PRESET, failures_by_device, poison, stub_run, stub_tasks

ONE, TWO = ["cuda:0", "search:0", "search:1"], ["cuda:0", "cuda:1", "search:0", "search:1"]
ALONE = replace(PRESET, program=None)


@pytest.mark.parametrize("kind", ["error", "memory", "cublas", "nan", "lost"])
@pytest.mark.parametrize("poisoned", [1, 2])
@pytest.mark.parametrize("devices", [ONE, TWO], ids=["one device", "two devices"])
def test_poisoned_tasks_cost_nothing_but_themselves(tmp_path, monkeypatch, devices, poisoned, kind):
    """Tasks trained of 24: all but the poisoned."""
    tasks = list(stub_tasks(24))
    bad = tasks[3 : 3 + poisoned]
    done = stub_run(tmp_path, monkeypatch, devices, poison(bad, kind), restarts=MOST_RESTARTS)
    assert done.setup.progress.trained == set(tasks) - set(bad) and done.outcome.ended == "done"
    assert done.setup.progress.answered == set(tasks) and len(done.setup.progress.searched) == 24
    failed = [r for r in done.results if not r.record.ok]
    assert {t for r in failed for t in r.record.job.tasks} == set(bad)
    assert len(failed) == poisoned * (2 if kind == "lost" else MAX_ATTEMPTS)
    assert (done.processes > 1) is (kind == "lost")


@pytest.mark.parametrize("poisoned", [1, 2])
@pytest.mark.parametrize("devices", [ONE, TWO], ids=["one device", "two devices"])
def test_a_task_that_breaks_its_device_in_unknown_words_is_found_out(tmp_path, monkeypatch, devices, poisoned):
    """Every later job fails there, known-good ones too: what failed first is to blame, also in the next process."""
    monkeypatch.setattr(health, "PROBE_AFTER", 0.01)
    tasks = list(stub_tasks(24))
    bad, broken = tasks[:poisoned], {}

    def act(device, job):
        if device.startswith("search"):
            return
        if job.stage == "ttt" and job.tasks[0] in bad:
            broken[device] = threading.current_thread()  # workers of the next process are other threads
        if broken.get(device) is threading.current_thread():
            raise ERRORS["unknown"]()

    done = stub_run(tmp_path, monkeypatch, devices, act, restarts=MOST_RESTARTS)
    assert done.setup.progress.trained == set(tasks) - set(bad) and done.processes > 1
    blamed = {r.record.job.tasks for r in done.setup.journal.results if r.lost}
    assert blamed == {(name,) for name in bad}


@pytest.mark.parametrize("said, lost", [
    ("Triton Error [CUDA]: misaligned address", True), ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", True),
    ("CUDA kernel errors might be asynchronously reported", True), ("CUDA driver error: unknown error", True),
    ("CUDA error: out of memory", False), ("CUBLAS_STATUS_ALLOC_FAILED", False), ("[Errno 12] Cannot allocate memory", False),
    ("shapes cannot be multiplied", False),
])  # fmt: skip
def test_lost_devices_are_told_from_full_ones(said, lost):
    assert health.is_lost(RuntimeError(said)) is lost
    assert health.is_out_of_memory(RuntimeError(said)) is ("memory" in said or "ALLOC" in said)


def test_a_task_poisoned_from_its_cheap_answer_on_is_found_in_its_batch(tmp_path, monkeypatch):
    (bad,) = list(stub_tasks(24))[3:4]

    def act(device, job):
        if bad in job.tasks and not device.startswith("search"):
            raise ERRORS["lost"]()

    done = stub_run(tmp_path, monkeypatch, ONE, act, restarts=MOST_RESTARTS)
    assert len(done.setup.progress.trained) == 23 and done.outcome.ended == "done"
    lost = [r.record.job for r in done.results if r.lost]
    assert len(lost) == health.MOST_LOSSES and len(lost[0].tasks) > 1 and lost[1] == Job("base", (bad,))


def test_a_loss_is_in_the_journal_and_the_job_waits_for_the_end_in_the_next_process(tmp_path, monkeypatch):
    (bad,) = list(stub_tasks(24))[3:4]
    done = stub_run(tmp_path, monkeypatch, ONE, poison([bad], "lost"), restarts=MOST_RESTARTS, preset=ALONE)
    lines = [line for line in read_lines(tmp_path / "journal.jsonl")[0] if line["kind"] == "job"]
    lost = [k for k, line in enumerate(lines) if line.get("lost")]
    assert len(lost) == 2 and all(lines[k]["record"]["job"]["tasks"] == [bad] for k in lost)
    jobs = [line["record"]["job"] for line in lines[: lost[1]] if line["record"]["ok"]]
    trained = {task for job in jobs if job["stage"] == "ttt" and not job["num_steps"] for task in job["tasks"]}
    assert trained == set(stub_tasks(24)) - {bad}
    assert lost[1] == len(lines) - 1, lines[lost[1] + 1 :][:2]
    assert "everything was done but for 1 task(s)" in summary(done.setup, done.outcome, {})


@pytest.mark.parametrize("kind", ["error", "memory", "nan"])
def test_a_broken_device_costs_no_task_anything(tmp_path, monkeypatch, kind):
    def act(device, job):
        if device == "cuda:1":
            raise ERRORS[kind]()

    done = stub_run(tmp_path, monkeypatch, TWO, act)
    assert len(done.setup.progress.trained) == 24 and done.outcome.ended == "done"
    assert set(failures_by_device(done.results)) <= {"cuda:1"}
    assert all(count < MAX_ATTEMPTS for count in done.setup.progress.failures.values())


@pytest.mark.parametrize("devices", [ONE, TWO], ids=["alone", "beside another"])
def test_a_device_that_fails_for_a_while_comes_back_and_no_task_is_blamed(tmp_path, monkeypatch, devices):
    monkeypatch.setattr(health, "PROBE_AFTER", 0.0)
    broken, begun, back = devices[-3], [], threading.Event()

    def act(device, job):
        if device == broken:
            begun.append(job)
            if len(begun) >= 4 and (len(begun) < 11):
                raise ERRORS["error"]()
            if len(begun) >= 11:
                back.set()
        elif device.startswith("cuda") and job.stage == "ttt":
            assert back.wait(HANGS)

    done = stub_run(tmp_path, monkeypatch, devices, act, preset=ALONE)
    assert len(done.setup.progress.trained) == 24 and done.outcome.ended == "done" and back.is_set()
    assert failures_by_device(done.results) == {broken: 7} and not done.setup.progress.failures


def test_where_nothing_works_every_task_gets_its_attempts_and_the_closing_lines_say_so_first(tmp_path, monkeypatch):
    def act(device, job):
        if job.stage == "ttt":
            raise ERRORS["error"]()

    done = stub_run(tmp_path, monkeypatch, ONE, act)
    assert done.outcome.ended == "done" and not done.setup.progress.trained
    lines = summary(done.setup, done.outcome, {}).splitlines()
    reason = "ValueError: this task is poison"
    assert lines[1] == (
        f"NOTHING CAME OF 'training + first views': all {24 * MAX_ATTEMPTS} jobs failed, of 24 task(s); "
        f"the commonest reason, {24 * MAX_ATTEMPTS} times: {reason}"
    )
    assert any("everything was done but for 24 task(s) with jobs that failed to the last" in line for line in lines)


def test_a_run_without_failures_says_nothing_of_them(tmp_path, monkeypatch):
    done = stub_run(tmp_path, monkeypatch, ONE, lambda device, job: None, count=4)
    text = summary(done.setup, done.outcome, {})
    assert "NOTHING CAME" not in text and text.endswith("everything was done")


@pytest.mark.parametrize("devices", [["cpu:0", "cpu:1"], TWO], ids=["cpu", "cuda"])
@pytest.mark.parametrize("restarts", [0, MOST_RESTARTS])
def test_a_job_that_hangs_is_given_up_with_its_device_and_written_down(tmp_path, monkeypatch, devices, restarts):
    (bad,) = list(stub_tasks(24))[3:4]
    release, hanging = threading.Event(), threading.Event()
    look = _Loop.give_up_hanging

    def give_up_hanging(self):
        for flight in self._flying.values():
            hangs = hanging.is_set() and flight.job.tasks == (bad,) and flight.job.stage == "ttt"
            flight.hangs_at = 0.0 if hangs else flight.hangs_at
        look(self)

    def act(device, job):
        if job.stage == "ttt" and job.tasks == (bad,):
            hanging.set()
            release.wait(HANGS)

    monkeypatch.setattr(_Loop, "give_up_hanging", give_up_hanging)
    try:
        done = stub_run(tmp_path, monkeypatch, devices, act, restarts=restarts)
    finally:
        release.set()
    assert done.setup.progress.trained == set(stub_tasks(24)) - {bad}
    lost = [r for r in done.results if not r.record.ok]
    assert [r.record.job.tasks for r in lost] == [(bad,)] * 2 and all("several times what was foretold" in r.error for r in lost)
    assert done.outcome.ended == "done" and (done.processes > 1) is (restarts > 0), (done.processes, done.outcome.ended)


def test_a_device_that_was_given_up_and_answers_after_all_goes_on(tmp_path, monkeypatch):
    first, started = threading.Event(), threading.Event()
    look = _Loop.give_up_hanging

    def give_up_hanging(self):
        if started.is_set() and not first.is_set():
            for flight in self._flying.values():
                flight.hangs_at = 0.0
            look(self)
            first.set()

    def act(device, job):
        started.set()
        assert first.wait(HANGS)

    monkeypatch.setattr(_Loop, "give_up_hanging", give_up_hanging)
    settled = []
    monkeypatch.setattr(
        _Loop, "hand_out", lambda self, left, hand_out=_Loop.hand_out: hand_out(self, left) or late(self, settled)
    )
    done = stub_run(tmp_path, monkeypatch, ["cuda:0"], act, count=3, preset=ALONE)
    assert len(done.setup.progress.trained) == 3 and done.outcome.ended == "done"


def late(loop, settled):
    """The first time that nothing is left in flight: wait for what was given up."""
    if settled or not loop._given_up:
        return False
    settled.append(True)
    return True


class Asleep(Searcher):
    """Its child never answers."""

    def _start(self):
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._stop = context.RawValue("b", 0)
        self._child = context.Process(target=time.sleep, args=(HANGS,), daemon=True)
        self._child.start()
        theirs.close()


def test_a_search_that_hangs_is_ended_and_its_worker_goes_on():
    preset, tasks = DEFAULT, stub_tasks(1)
    (name,) = tasks
    searcher = Asleep("search:0", tasks, preset)
    solver = Solver(None, "cpu:0", tasks, preset, 0, Path("none"))
    solver._searcher = searcher
    assert not searcher.interrupt() and not solver.interrupt()
    failed = []

    def search():
        try:
            searcher(Job("program", (name,), 0, 0), lambda: 0.0, lambda: False)
        except RuntimeError as error:
            failed.append(str(error))

    thread = threading.Thread(target=search)
    thread.start()
    wait_until(lambda: searcher._searching)
    assert solver.interrupt()
    thread.join(HANGS)
    assert failed == ["the search process died"] and not searcher.interrupt()


def test_other_work_cannot_be_ended_from_outside():
    worker = Worker("cpu:0", lambda *_: None, None, 1)
    assert not worker.interrupt()
    worker.stop()
    assert worker.join(HANGS)


@pytest.mark.parametrize("error", [ERRORS["memory"], ERRORS["cublas"], MemoryError], ids=["torch", "cublas", "python"])
def test_after_an_out_of_memory_all_later_jobs_of_the_device_are_smaller(tmp_path, monkeypatch, error):
    tasks, sizes, fails = stub_tasks(3), [], []
    memory = replace(UNLIMITED, kept_tokens=4096, train_tokens=8192, decode_tokens=16384)

    def decode_views(llama, codec, views, config, *_):
        sizes.append(config.batch_tokens)
        if fails:
            raise fails.pop()
        return {}

    monkeypatch.setattr(solve, "DenseLlama", lambda *_, **__: None)
    monkeypatch.setattr(solve, "decode_views", decode_views)
    one, other = (Solver(SimpleNamespace(codec=None), d, tasks, DEFAULT, 0, tmp_path, memory) for d in ("cuda:0", "cuda:1"))
    first, second, third = (Job("base", (name,)) for name in tasks)

    def do(solver, job, fail=False):
        fails.extend([error()] if fail else [])
        try:
            solver(job, lambda: 0.0, lambda: False)
        except (RuntimeError, MemoryError):
            assert fail
        return sizes[-1]

    full = do(one, first)
    do(one, second, fail=True)
    assert do(one, third) == full // 2 and one.memory.kept_tokens == min(4096, DEFAULT.train.batch_tokens) // 2
    do(one, replace(second, attempt=1), fail=True)  # smaller than the plan already: the job's own fault
    assert do(one, third) == full // 2
    for _ in range(SHRINKS + 1):
        do(one, second, fail=True)
    assert do(one, third) == full // 2**SHRINKS and do(other, third) == full
    fails.append(ValueError("not of memory"))
    with pytest.raises(ValueError):
        other(first, lambda: 0.0, lambda: False)
    assert do(other, third) == full


def test_half_a_plan_leaves_the_steps_of_a_training_as_they_are_as_long_as_it_can():
    memory = replace(UNLIMITED, kept_tokens=4096, train_tokens=8192, decode_tokens=16384)
    smaller, preset = halved(memory, DEFAULT)
    assert smaller.kept_tokens < memory.kept_tokens and smaller.decode_tokens < memory.decode_tokens
    assert preset.train == solve.within_memory(DEFAULT, memory).train
    none_kept, preset = halved(replace(memory, kept_tokens=0), DEFAULT)
    assert none_kept.kept_tokens == 0 and preset.train.batch_tokens == DEFAULT.train.batch_tokens // 2


def test_models_are_loaded_and_timed_on_their_own_device(monkeypatch, tmp_path):
    entered, models = [], []
    recorded = SimpleNamespace(device=lambda device: entered.append(device) or nullcontext())
    monkeypatch.setattr(startup.torch, "cuda", recorded)
    for name in ("cuda:0", "cuda:1", "cpu"):
        with startup.current(torch.device(name)):
            pass
    assert entered == [torch.device("cuda:0"), torch.device("cuda:1")]
    monkeypatch.undo()

    within = []

    class Current:
        def __init__(self, device):
            self.device = device

        def __enter__(self):
            within.append(self.device)

        def __exit__(self, *_):
            within.pop()

    def logits(ids, positions, where):
        assert within
        return torch.zeros(1)

    def load(weights, device, *_, **__):
        assert within == [device]
        models.append(SimpleNamespace(codec=Arc16("grid"), device=device, dtype=torch.float32, logits=logits))
        return models[-1]

    monkeypatch.setattr(startup, "current", Current)
    monkeypatch.setattr(startup, "load", load)
    ready = startup.get_ready(default_weights("cpu"), DEFAULT, ["cpu:0", "cpu:1"], "transformers", stub_tasks(1), False)
    assert ready.models == models and len(models) == 2 and not within


def test_the_allocator_is_set_before_torch_is_imported_and_a_users_value_stays(tmp_path):
    (tmp_path / "torch.py").write_text(f"import os\nprint(os.environ.get({NAME!r}), flush=True)\nos._exit(0)\n")
    root = Path(__file__).parents[1]
    for given, expected in (({}, SETTING), ({NAME: "max_split_size_mb:64"}, "max_split_size_mb:64"), ({OLD_NAME: "x:1"}, "None")):
        clean = {key: value for key, value in os.environ.items() if key not in (NAME, OLD_NAME)}
        line = [sys.executable, str(root / "submission.py"), "--output", str(tmp_path / "s.json")]
        done = subprocess.run(
            line, capture_output=True, text=True, env=clean | given | {"PYTHONPATH": str(tmp_path)}, cwd=tmp_path
        )
        assert done.stdout.split() == [expected], done.stderr


@pytest.mark.parametrize(
    "installed, name", [("2.13.0+cpu", NAME), ("2.10.0", NAME), ("2.9.1", OLD_NAME), ("2.6.0+cu124", OLD_NAME), ("3.0", NAME)]
)
def test_older_torch_reads_another_variable(monkeypatch, installed, name):
    monkeypatch.setattr("solution.cuda_allocator.version", lambda package: installed)
    monkeypatch.setattr("solution.cuda_allocator.platform.release", lambda: "6.1.0")
    environment = {}
    set_up_allocator(environment)
    assert environment == {name: SETTING}
