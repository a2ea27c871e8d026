"""Whole runs: killed at random moments, told to end, on full disks, with little memory, beside another one."""

import fcntl
import os
import random
import signal
import time

import pytest

from ..processes import wait_until
from .conftest import OPTIONS, STAND_IN
from .judge import check_files, check_kept, check_words, job_lines, jobs, journal, num_tests, write_challenges
from .stand_in import tiny_tasks

FAST_KILLS, SLOW_KILLS = 50, 1000
MOST_EVENTS, MOST_SECONDS = 150, 1.0
"""A kill comes at one of so many first events on the run's files, or within so many seconds."""
STAGED = {"pause": 0.002}


def a_seed() -> int:
    """Of this campaign: FAULTS_SEED, else one that is drawn."""
    return int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(2**32))


def resumed(warm, folder, undisturbed, *options) -> None:
    """The run goes on undisturbed, and ends with the answers that it would have had."""
    before = jobs(folder)
    ended = warm.go(folder, *OPTIONS, *options, injections=[STAND_IN])
    assert ended.code == 0, ended.printed
    check_files(folder)
    check_kept(before, folder)
    assert (folder / "submission.json").read_bytes() == undisturbed[0]
    assert jobs(folder) == undisturbed[1]


def killed_runs(warm, tmp_path, undisturbed, kills: int, record_property) -> None:
    seed = a_seed()
    print(f"seed {seed}: FAULTS_SEED={seed} draws the same moments")
    record_property("faults", kills)
    record_property("kills", kills)
    draw, done, number = random.Random(seed), 0, 0
    while done < kills:
        folder = tmp_path / str(number)
        folder.mkdir()
        number += 1
        write_challenges(folder, tiny_tasks(6))
        before: dict[str, str] = {}
        for _ in range(draw.randrange(1, 9)):  # kills of one run, that goes on after each
            injections, by_event = [["stand_in", STAGED]], draw.random() < 0.7
            event, seconds = draw.randrange(1, MOST_EVENTS), draw.uniform(0, MOST_SECONDS)
            if by_event:
                injections.append(["kill", {"event": event, "folder": f"{folder}/submission"}])
            run = warm.start(folder, *OPTIONS, injections=injections)
            if not by_event:
                time.sleep(seconds)
                os.kill(run, signal.SIGKILL)
            ended = warm.wait(run)
            where = f"seed {seed}, run {number}, {f'event {event}' if by_event else f'{seconds:.3f} s'}"
            assert ended.code in (0, -signal.SIGKILL), f"{where}: {ended.printed}"
            check_files(folder, may_be_absent=not before)
            check_kept(before, folder)
            before = jobs(folder)
            if not ended.code:
                break  # it was done before its moment came
            done += 1
        resumed(warm, folder, undisturbed)


def test_killed_at_fifty_random_moments(warm, tmp_path, undisturbed, record_property):
    killed_runs(warm, tmp_path, undisturbed, FAST_KILLS, record_property)


@pytest.mark.slow
def test_killed_at_a_thousand_random_moments(warm, tmp_path, undisturbed, record_property):
    killed_runs(warm, tmp_path, undisturbed, SLOW_KILLS, record_property)


@pytest.fixture
def folder(tmp_path):
    write_challenges(tmp_path, tiny_tasks(6))
    return tmp_path


def held(warm, folder):
    """-> the process number of a run that has done a few jobs and waits in the next, and the file that holds it there."""
    hold = folder / "hold"
    hold.touch()
    run = warm.start(folder, *OPTIONS, injections=[["stand_in", {"hold": str(hold)}]])
    wait_until(lambda: len(job_lines(folder)) >= 3)
    return run, hold


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_told_to_end_it_prints_its_table_and_can_go_on(warm, folder, undisturbed, told):
    run, _ = held(warm, folder)
    os.kill(run, told)
    ended = warm.wait(run)
    assert ended.code == 128 + told, ended.printed
    check_words(ended.printed, ("cheap answer", "ended after"))
    check_files(folder)
    resumed(warm, folder, undisturbed)


WRITERS = {"submission": "submission.json", "journal": "journal.jsonl", "log": "submission.log", "report": "report.html"}
DISK = [
    (writer, fault, at, after)
    for writer in WRITERS
    for fault, at in (
        ("ENOSPC", "open"), ("ENOSPC", "write"), ("ENOSPC", "sync"), ("ENOSPC", "rename"),
        ("EROFS", "open"), ("EROFS", "rename"), ("EACCES", "open"), ("EIO", "write"), ("EDQUOT", "write"),
    )
    for after in (0, 5)
    if (at != "rename" or writer in ("submission", "report")) and (at != "sync" or writer in ("submission", "journal"))
]  # fmt: skip
OPENED_ONCE = ("journal", "log")
"""Files that a run opens when it begins, so that opening fails only then."""


@pytest.mark.parametrize("writer, fault, at, after", DISK, ids=lambda value: str(value))
def test_a_writer_fails(warm, folder, undisturbed, writer, fault, at, after):
    """From the start: refused in one line, or done without. Later: it costs that file, not the run."""
    words = {"writer": WRITERS[writer], "fault": fault, "at": at, "after": after}
    ended = warm.go(folder, *OPTIONS, injections=[STAND_IN, ["disk", words]])
    refused = ended.code == 2
    assert ended.code == 0 or (refused and not after), ended.printed
    fails = not (after and at == "open" and writer in OPENED_ONCE)
    check_words(ended.printed, (WRITERS[writer],) if fails else ())
    if refused:
        assert len(ended.lines("submission.py: ")) == 1, ended.printed
    check_files(folder, may_be_absent=refused)
    if not refused and writer != "submission":
        assert (folder / "submission.json").read_bytes() == undisturbed[0]
    resumed(warm, folder, undisturbed)


@pytest.mark.parametrize("kilobytes", [0, 1, 3, 6, 12, 24, 48])
def test_no_file_may_be_longer(warm, folder, undisturbed, kilobytes):
    """By the kernel's own limit: whatever is written beyond fails, wherever it is."""
    limited = ["limit", {"name": "RLIMIT_FSIZE", "amount": kilobytes * 1024}]
    ended = warm.go(folder, *OPTIONS, injections=[STAND_IN, limited])
    assert ended.code in (0, 2), ended.code
    check_files(folder, may_be_absent=ended.code == 2)
    resumed(warm, folder, undisturbed)


@pytest.mark.parametrize("mebibytes", [1, 32, 256])
def test_little_memory(warm, folder, undisturbed, mebibytes):
    ended = warm.go(folder, *OPTIONS, injections=[STAND_IN, ["limit", {"name": "RLIMIT_AS", "amount": mebibytes << 20}]])
    assert ended.code in (0, 2), ended.printed
    check_words(ended.printed)
    check_files(folder, may_be_absent=ended.code == 2)
    resumed(warm, folder, undisturbed)


@pytest.mark.parametrize("after", [0, 5])
@pytest.mark.parametrize("jump", [86400.0, -86400.0, -4e9], ids=["a day on", "a day back", "before 1970"])
def test_the_clock_jumps(warm, folder, undisturbed, jump, after):
    ended = warm.go(folder, *OPTIONS, injections=[STAND_IN, ["clock", {"jump": jump, "after": after}]])
    assert ended.code == 0, ended.printed
    check_words(ended.printed, ("everything was done",))
    check_files(folder)
    assert (folder / "submission.json").read_bytes() == undisturbed[0]


def test_two_runs_in_one_folder(warm, folder, undisturbed, tmp_path_factory):
    """The second is refused in one line and touches nothing, with the same tasks or others, fresh or not."""
    first, hold = held(warm, folder)
    others = tmp_path_factory.mktemp("others") / "others.json"
    others.write_text((folder / "challenges.json").read_text().replace("task", "other"))
    for options in ((), ("--fresh",), ("--seed", "1"), ("--input", str(others))):
        ended = warm.go(folder, *OPTIONS, *options, injections=[STAND_IN])
        assert ended.code == 2 and len(ended.lines("another run")) == 1, ended.printed
        check_words(ended.printed)
        check_files(folder)
    hold.unlink()
    assert warm.wait(first).code == 0
    assert (folder / "submission.json").read_bytes() == undisturbed[0] and jobs(folder) == undisturbed[1]


def test_a_lock_that_nobody_holds_any_more(warm, folder, undisturbed):
    ended = warm.go(folder, *OPTIONS, injections=[STAND_IN])
    assert ended.code == 0
    lock = journal(folder).with_suffix(".lock")
    assert lock.exists()  # left behind, as by a kill
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody has it
    resumed(warm, folder, undisturbed)


@pytest.mark.parametrize("told", [None, signal.SIGKILL], ids=["to its end", "killed"])
def test_four_hundred_of_the_largest_tasks(warm, tmp_path, told, record_property):
    """400 tasks of 30 x 30 with ten demonstrations, 7.2 million cells: planned and answered, in memory for one worker."""
    write_challenges(tmp_path, tiny_tasks(400, side=30, pairs=10))
    amount = 3 << 30
    injections = [STAND_IN, ["limit", {"name": "RLIMIT_AS", "amount": amount}]]
    run = warm.start(tmp_path, "--devices", "cpu:2", "--budget", "90s", "--preset", "test", injections=injections)
    if told:
        wait_until(lambda: len(jobs(tmp_path)) >= 10)
        os.kill(run, told)
    ended = warm.wait(run)
    assert ended.code == (-told if told else 0), ended.printed
    check_files(tmp_path)
    check_words(ended.printed)
    assert len(num_tests(tmp_path)) == 400 and jobs(tmp_path)
