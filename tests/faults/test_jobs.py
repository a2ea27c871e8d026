"""Broken jobs: every fault in every stage on every kind of device, in the run's own loop, with jobs answered at once.

One task of six is poisoned: what must hold is that the other five never notice, that the run ends by itself, and that one line
names what failed.
"""

import json
import logging
import queue
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from solution.arc.load import load_challenges
from solution.codec.arc16 import Arc16
from solution.driver import health
from solution.driver.board import Board
from solution.driver.clock import Clock
from solution.driver.journal import Journal
from solution.driver.run import Setup, replay, run
from solution.driver.setup import task_size
from solution.driver.worker import Worker
from solution.preset import PRESETS
from solution.ttt.settings import JointConfig

from ..processes import HANGS
from .judge import check_files, jobs, write_challenges
from .stand_in import DEVICE_LOST, ENDLESS, FAULTS, answer, tiny_tasks

STAGES = ("base", "program", "ttt", "views", "joint")
DEVICES = {
    "one cpu": ("cpu:0",),
    "two cpus": ("cpu:0", "cpu:1"),
    "one card": ("cuda:0", "search:0"),
    "two cards": ("cuda:0", "cuda:1", "search:0"),
}
POISONED = "task003"
DAY, SHORT = 86400.0, 6.0
HANG_SECONDS = 8.0
"""After which a job of the campaign hangs; all are answered at once."""


@pytest.fixture(autouse=True)
def cards(monkeypatch):
    """Cards that only their names show."""
    for name in ("set_device", "empty_cache", "synchronize"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)


def preset_of(stage: str):
    return replace(PRESETS["test"], joint=JointConfig()) if stage == "joint" else PRESETS["test"]


def a_run(folder, devices, stage, fault, budget=DAY, poisoned=POISONED):
    """One process' share of a run, -> setup, outcome; it goes on from the journal that is there."""
    challenges = load_challenges(folder / "challenges.json")
    preset, clock = preset_of(stage), Clock(budget)
    clock.start = time.monotonic()
    (folder / "submission.run").mkdir(exist_ok=True)
    journal = Journal(folder / "submission.run" / "journal.jsonl", {"campaign": 1})
    sizes = {name: task_size(task, Arc16("grid")) for name, task in challenges.tasks.items()}
    board = Board(challenges, preset.select)
    setup = Setup(challenges, None, sizes, preset, board, journal, folder / "submission.json", clock, 1e6)
    replay(setup, stage == "joint")
    finished = queue.Queue()

    def solver(device):
        def solve(job, train_time_used, out_of_time):
            if job.stage == stage and (poisoned in job.tasks or (stage == "joint" and poisoned)):
                FAULTS[fault](job, out_of_time)
            return answer(device, challenges.tasks, job)

        return solve

    outcome = run(setup, [Worker(name, solver(name), finished, 1) for name in devices], finished)
    journal.close()
    return setup, outcome


def case(tmp_path, number=0):
    folder = tmp_path / str(number)
    folder.mkdir()
    write_challenges(folder, tiny_tasks(6))
    return folder


def check_others(folder, setup, stage, poisoned=POISONED) -> None:
    """Every other task has had all that it was to get, and the answers that follow."""
    others = set(setup.sizes) - {poisoned}
    progress = setup.progress
    assert others <= progress.trained, f"only {len(others & progress.trained)} of 5 others were trained"
    assert others <= progress.answered, f"only {len(others & progress.answered)} of 5 others have a cheap answer"
    assert all(progress.searched[name] == 2 for name in others), "searches of others are missing"
    undisturbed = {name: answer for name, answer in UNDISTURBED[stage == "joint"].items() if name != poisoned}
    assert {name: written(folder)[name] for name in undisturbed} == undisturbed


def written(folder):
    return json.loads((folder / "submission.json").read_text())


UNDISTURBED: dict[bool, dict] = {}


@pytest.fixture(scope="module", autouse=True)
def undisturbed_answers(tmp_path_factory):
    for joint in (False, True):
        folder = case(tmp_path_factory.mktemp("undisturbed"))
        setup, outcome = a_run(folder, ("cpu:0",), "joint" if joint else "base", "exception", poisoned=None)
        assert outcome.ended == "done"
        UNDISTURBED[joint] = written(folder)


class Lines(logging.Handler):
    """What a run says."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.said: list[str] = []

    def emit(self, record):
        self.said.append(record.getMessage())


@pytest.fixture
def said():
    handler, log = Lines(), logging.getLogger("solution")
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    yield handler.said
    log.removeHandler(handler)
    log.setLevel(level)


CONTAINED = [fault for fault in FAULTS if fault not in (*DEVICE_LOST, *ENDLESS)]
WHOLE_TABLE = [(fault, devices, stage) for fault in CONTAINED for devices in DEVICES for stage in STAGES]


def stays_in_its_job(tmp_path, said, rows) -> None:
    for number, (fault, devices, stage) in enumerate(rows):
        folder = case(tmp_path, number)
        setup, outcome = a_run(folder, DEVICES[devices], stage, fault)
        where = f"{fault} in {stage} on {devices}"
        assert outcome.ended == "done", where
        check_files(folder)
        check_others(folder, setup, stage)
        named = "" if stage == "joint" else POISONED
        assert any("failed" in line and named in line and stage in line for line in said), f"{where}: no line says so"
        said.clear()


@pytest.mark.parametrize("fault", CONTAINED)
def test_a_fault_stays_in_its_job(tmp_path, said, fault, record_property):
    """In every stage, each on other devices."""
    first = CONTAINED.index(fault)
    rows = [(fault, list(DEVICES)[(first + k) % len(DEVICES)], stage) for k, stage in enumerate(STAGES)]
    record_property("faults", len(rows))
    stays_in_its_job(tmp_path, said, rows)


@pytest.mark.slow
def test_every_fault_in_every_stage_on_all_devices_stays_in_its_job(tmp_path, said, record_property):
    record_property("faults", len(WHOLE_TABLE))
    stays_in_its_job(tmp_path, said, WHOLE_TABLE)


LOSSES = [(stage, devices) for devices in DEVICES for stage in STAGES if stage != "program" or "card" not in devices]
"""Beside cards, searches are in processes that touch none."""


@pytest.mark.parametrize("stage, devices", LOSSES)
def test_a_lost_device_costs_no_other_task(tmp_path, said, stage, devices):
    """Process after process goes on from the journal, each with its devices anew: at last all others are done."""
    folder = case(tmp_path)
    for _ in range(6):
        before = jobs(folder)
        setup, outcome = a_run(folder, DEVICES[devices], stage, "lost context")
        check_files(folder)
        assert before.items() <= jobs(folder).items()
        if outcome.ended != "lost":
            break
    assert any("lost" in line for line in said)
    if stage != "joint":  # one that loses every device leaves nothing to train with
        assert outcome.ended == "done"
        check_others(folder, setup, stage)


def test_a_hanging_or_slow_job_ends_with_the_clock_or_with_its_device(tmp_path, monkeypatch, record_property):
    """All at once, as they only wait: under a short budget each run ends in time; under a long one, jobs that hang are given up
    with their device, and the others do the rest."""
    monkeypatch.setattr(health, "HANG_LEAST", HANG_SECONDS)
    rows = [(stage, fault, devices, SHORT) for stage in STAGES for fault in ENDLESS for devices in ("one cpu", "two cards")]
    rows += [
        (stage, "hang", devices, DAY) for stage, devices in (("ttt", "two cards"), ("views", "two cpus"), ("base", "two cpus"))
    ]
    record_property("faults", len(rows))

    def one(numbered):
        number, (stage, fault, devices, budget) = numbered
        folder = case(tmp_path, number)
        for _ in range(6):  # processes, while all devices are lost
            setup, outcome = a_run(folder, DEVICES[devices], stage, fault, budget)
            if outcome.ended != "lost" or budget == SHORT:
                break
        return folder, setup, outcome

    with ThreadPoolExecutor(len(rows)) as pool:
        found = list(pool.map(one, enumerate(rows), timeout=HANGS))
    for (stage, fault, devices, budget), (folder, setup, outcome) in zip(rows, found):
        where = f"{fault} in {stage} on {devices}, {budget:.0f} s"
        check_files(folder)
        if budget == SHORT:
            assert outcome.stopped <= budget + 60, where  # it ended by the clock, however busy the machine
        else:
            assert outcome.ended == "done", where
            check_others(folder, setup, stage)
