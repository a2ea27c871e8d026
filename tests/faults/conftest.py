"""The warm process, one for all tests of a worker, and what an undisturbed run answers."""

import gc
import os

import pytest

from .judge import check_files, jobs, write_challenges
from .stand_in import tiny_tasks
from .warm import Warm

OPTIONS = ("--devices", "cpu:2", "--budget", "24h", "--preset", "test")
STAND_IN = ["stand_in", {"pause": 0.0}]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda number: None)


@pytest.fixture(scope="package", autouse=True)
def cheap_collections():
    """A failed job collects garbage: what was there before is none."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def warm():
    server = Warm()
    yield server
    server.close()


@pytest.fixture(scope="session")
def undisturbed(warm, tmp_path_factory):
    """-> (bytes of the submission, the journal's answers) of a run that nothing happens to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_challenges(folder, tiny_tasks(6))
    ended = warm.go(folder, *OPTIONS, injections=[STAND_IN])
    assert ended.code == 0, ended.printed
    check_files(folder)
    return (folder / "submission.json").read_bytes(), jobs(folder)
