"""The command line: every value is looked at, everything is settled before the first byte is written, nothing refused costs
anything, and no path and no terminal stops a run."""

import argparse
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from solution.arc.load import InputError, load_challenges
from solution.arc.submission import placeholders, validate_submission, write_submission
from solution.command import MOST_WHOLE, CommandError, Parser, number, one_line, whole
from solution.driver import cli, devices
from solution.driver.clock import SESSION_LEAVES, Clock
from solution.driver.logs import set_up_logging
from solution.driver.output import Claim

from .processes import HANGS
from .test_driver import ROOM, ROOT

TASK = {"train": [{"input": [[1]], "output": [[1]]}, {"input": [[2]], "output": [[2]]}], "test": [{"input": [[3]]}]}
FINISHED = json.dumps({"other": [{"attempt_1": [[1, 2]], "attempt_2": [[0]]}]})
ODD = b"/n\xff \n\xf0\x9f\x98\x80"
"""A name with a byte that is no UTF-8, a blank, a line end and a character beyond ASCII."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with tasks, and a finished submission of others; the clock ends no process of tests."""
    monkeypatch.setattr(Clock, "watch", lambda self, last=None: None)
    monkeypatch.setattr(cli, "KAGGLE_INPUT", tmp_path / "nowhere")
    monkeypatch.setattr(cli, "KAGGLE_WORKING", tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks.json").write_text(json.dumps({"a": TASK, "b": TASK, "bad": {"train": 3}}))
    (tmp_path / "s.json").write_text(FINISHED)
    return tmp_path


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys, *options, output="s.json"):
    """The one line with which a command is refused."""
    assert cli.main(["--input", "tasks.json", "--budget", "10h", "--output", str(output), *map(str, options)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("submission.py: ") and told.count("\n") == 1
    return told


# What is refused, before anything is written


@pytest.mark.parametrize("options, words", [
    (["--weights", "arc-lama-s"], "'arc-lama-s'"),
    (["--weights", "."], ".:"),
    (["--preset", "defualt"], "'defualt'"),
    (["--set", "train.steps=many"], "train.steps: 'many'"),
    (["--preset", "paper", "--set", "program.tries=5"], "this preset does not have it"),
    (["--solvers", "tttt"], "'tttt'"),
    (["--solvers", "ttt,"], "'ttt,'"),
    (["--solvers", ""], "''"),
    (["--solvers", "written"], "need each other"),
    (["--author", "/nowhere", "--solvers", "written"], "/nowhere"),
    (["--author-samples", "0"], "0 is not a positive number"),
    (["--author-samples", "many"], "'many' is not a whole number"),
    (["--author-device", "cpu:2"], "'cpu:2'"),
    (["--devices", "cpu:0"], "'cpu:0'"),
    (["--devices", "cpu:9999"], "'cpu:9999'"),
    (["--devices", "cuda:0,cpu,cuda"], "names cuda:0 twice"),
    (["--devices", "cpu,,cpu"], "'' is not"),
    (["--devices", "auto,cpu"], "'auto' is not"),
    (["--budget", "0"], "'0' is not a positive"),
    (["--budget", "nan"], "'nan'"),
    (["--budget", "-5s"], "'-5s'"),
    (["--budget", "9" * 400 + "h"], "longer than a year"),
    (["--seed", "-1"], "-1 is not"),
    (["--seed", str(2**63)], str(2**63)),
    (["--seed", "1.5"], "'1.5'"),
    (["--limit", "0"], "0 is not a positive number"),
    (["--limit", "9" * 5000], "(5000 characters)"),
    (["--tasks", "a,,b"], "'a,,b' has an empty entry"),
    (["--tasks", ""], "empty entry"),
    (["--tasks", "a,b,a"], "'a' is there twice"),
    (["--tasks", "bad"], "'bad' cannot be read: train"),
    (["--tasks", "c"], "'c' is not a task"),
    (["--inp", "tasks.json"], "--inp"),
    (["--fre"], "--fre"),
    (["--input", "missing.json"], "missing.json"),
    (["--solutions", "missing.json"], "missing.json"),
])  # fmt: skip
@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_a_refused_command_names_the_value_and_changes_nothing(place, capsys, options, words, fresh):
    (place / "s.log").write_text("an earlier run's")
    (place / "s.run").mkdir()
    (place / "s.run" / "journal.jsonl").write_text("of days")
    before = contents(place)
    assert words in refused(capsys, *options, *fresh)
    assert contents(place) == before


def link_of(place):
    (place / "link.json").symlink_to("tasks.json")
    return "link.json"


def hard_link_of(place):
    os.link(place / "tasks.json", place / "hard.json")
    return "hard.json"


def relative(place):
    (place / "sub").mkdir()
    return "sub/../tasks.json"


def through_a_linked_folder(place):
    (place / "here").symlink_to(place)
    return "here/tasks.json"


def its_log(place):
    os.link(place / "tasks.json", place / "mine.log")
    return "mine.json"


@pytest.mark.parametrize("way", [link_of, hard_link_of, relative, through_a_linked_folder, its_log, lambda _: "tasks.json"])
def test_the_output_is_never_what_is_read(place, capsys, way):
    output, before = way(place), (place / "tasks.json").read_bytes()
    assert "is what --input reads" in refused(capsys, output=output)
    assert (place / "tasks.json").read_bytes() == before and (place / output).exists() == (way is not its_log)


def test_nor_are_solutions_weights_or_a_task_of_a_folder(place, capsys):
    (place / "solutions.json").write_text(json.dumps({"a": [[[3]]], "b": [[[3]]]}))
    (place / "folder").mkdir()
    for name in "xy":
        (place / "folder" / f"{name}.json").write_text(json.dumps(TASK))
    weights = place / "weights"
    weights.mkdir()
    for file in (ROOT / "solution" / "weights" / "arc-llama-s").iterdir():
        (weights / file.name).write_bytes(file.read_bytes())
    before = contents(place)
    assert "what --solutions reads" in refused(capsys, "--solutions", "solutions.json", output="solutions.json")
    assert "no submission" in refused(capsys, output="solutions.json")
    assert "no submission" in refused(capsys, "--input", "folder", output="folder/x.json")
    for content in ('[{"input": [[1]], "output": [[1]]}]', '{"a": {"train": [', '{"model_type": "llama"}', "words"):
        (place / "mine.json").write_text(content)
        assert "no submission" in refused(capsys, output="mine.json") and (place / "mine.json").read_text() == content
    (place / "mine.json").unlink()
    named = f"arc-llama-s={weights}"
    assert "what --weights reads" in refused(capsys, "--weights", named, output=weights / "config.json")
    assert contents(place) == before


def test_an_output_that_is_no_regular_file_is_refused(place, capsys):
    os.mkfifo(place / "pipe.json")
    (place / "full.run").write_text("a file")
    (place / "dir.log").mkdir()
    for output, words in (
        ("pipe.json", "no regular file"), ("/dev/null", "no regular file"), (".", "is a folder"), ("full.json", "no folder"),
        ("dir.json", "no regular file"), ("x.log", "own log or folder"), ("tasks.json/s.json", "cannot be written"),
        ("n" * 255, "name too long"), ("/proc/s.json", "cannot be written"),
    ):  # fmt: skip
        assert words in refused(capsys, output=output).replace("File name", "name")
    assert os.path.exists("/dev/null") and not Path("/dev/null").is_file()


# What is written before torch is there, and what is not


def valid(place, name="s.json"):
    return validate_submission(place / name, load_challenges(place / "tasks.json").num_tests) == []


@pytest.fixture
def looked(place, monkeypatch):
    """Whether s.json and new.json are valid for these tasks at the moment at which devices are looked at, which are refused."""
    seen = []

    def look(*_):
        seen.append((valid(place), valid(place, "new.json")))
        raise InputError("--devices: there is no such card")

    monkeypatch.setattr(devices, "worker_devices", look)
    return seen


def test_a_new_file_is_valid_before_torch_and_an_earlier_one_stays_until_the_run_begins(place, capsys, looked):
    before = contents(place)
    assert "no such card" in refused(capsys) and "no such card" in refused(capsys, output="new.json")
    assert looked == [(False, False), (False, True)]
    assert {path: data for path, data in contents(place).items() if path.suffix != ".lock"} == before


def test_on_kaggle_placeholders_come_first_and_stay(place, capsys, looked, monkeypatch):
    monkeypatch.setattr(cli, "KAGGLE_WORKING", place)
    assert "'arc-lama-s'" in refused(capsys, "--weights", "arc-lama-s") and valid(place)
    challenges = load_challenges(place / "tasks.json")
    answers = placeholders(challenges) | {"a": [placeholders(challenges)["a"][0][::-1]]}
    write_submission(place / "s.json", answers)
    before = (place / "s.json").read_bytes()
    assert "no such card" in refused(capsys)
    assert looked == [(True, False)] and (place / "s.json").read_bytes() == before


def test_on_kaggle_a_budget_ends_within_the_session(place, capsys, monkeypatch):
    monkeypatch.setattr(cli, "KAGGLE_WORKING", place)
    assert cli.budget_here(argparse.Namespace(budget=SESSION_LEAVES + 1), on_kaggle=True) == SESSION_LEAVES
    assert "longer than a Kaggle session leaves" in capsys.readouterr().err
    for on_kaggle, budget in ((False, 10 * SESSION_LEAVES), (True, SESSION_LEAVES)):
        assert cli.budget_here(argparse.Namespace(budget=budget), on_kaggle) == budget
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("output", ["s.json", "s.txt", "here/s.json"])
def test_a_second_run_meets_the_lock_before_it_touches_anything(place, capsys, output):
    (place / "here").symlink_to(place)
    first = Claim(place / "s.json", load_challenges(place / "tasks.json"))
    before = contents(place)
    assert "another run is writing to" in refused(capsys, "--fresh", output=output)
    assert contents(place) == before
    del first  # gives the folder up
    Claim(place / "s.json", load_challenges(place / "tasks.json"))


def test_the_first_submission_is_written_once_and_withdrawn_only_where_none_was(place):
    challenges = load_challenges(place / "tasks.json")
    claim = Claim(place / "new.json", challenges)
    assert claim.is_new
    claim.first()
    assert valid(place, "new.json")
    claim.withdraw()
    assert claim.is_new
    claim.last()
    assert claim.is_new  # the budget may end after the refusal
    claim = Claim(place / "s.json", challenges)
    assert not claim.is_new
    claim.last()
    assert valid(place)
    (place / "s.json").write_text("answers")
    claim.first()
    claim.withdraw()
    assert (place / "s.json").read_text() == "answers"


# Values


def test_numbers_are_finite_and_within_their_range():
    assert whole()("0") == 0 and whole()(f" {MOST_WHOLE} ") == MOST_WHOLE and number()("1e3") == 1000
    for read, texts in (
        (whole(), ("-1", str(MOST_WHOLE + 1), "1e3", "1_000", "", "\u0663", "0x1", "9" * 41)), (whole(1), ("0",)),
        (whole(0, 9), ("10",)), (number(), ("nan", "inf", "-1e-9", "one", "")), (number(-float("inf")), ("nan", "-inf")),
    ):  # fmt: skip
        for text in texts:
            with pytest.raises(argparse.ArgumentTypeError, match="is not"):
                read(text)


def test_a_parser_takes_full_names_alone_and_names_what_stands_in_a_values_place():
    parser = Parser()
    parser.add_argument("--data", "--also")
    assert parser.parse_args(["--data=x y"]).data == "x y"
    for words, fault in ((["--dat", "x"], "--dat"), (["--data", "-x\n"], r"not '-x\\n'"), (["--data"], "expected one argument$")):
        with pytest.raises(CommandError, match=fault):
            parser.parse_args(words)


@pytest.mark.parametrize("module", ["kaggle", "kaggle pack", "tune", "report", "weights", "weights pin", "bench", "finetune"])
def test_every_command_line_has_help_on_a_terminal_of_one_column(module, capsys, monkeypatch):
    from importlib import import_module

    name, *words = module.split()
    command = import_module(f"solution.{name}.__main__")
    monkeypatch.setenv("COLUMNS", "1")
    monkeypatch.setattr(sys, "argv", [name, *words, "--help"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0 and "usage" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [name, *words, "--no-such-option"])
    assert command.main() == 2
    told = capsys.readouterr().err
    assert told.startswith(f"solution.{name}: ") and told.count("\n") == 1


# Paths and terminals


SPEAKS = """
import sys
from solution.command import hold_streams, tell_fault
hold_streams()
for stream in (sys.stdout, sys.stderr):
    for _ in range(1000):
        print("line \\udcff \\U0001f600", file=stream)
tell_fault("p", sys.argv[1])
file = open(sys.argv[2], "w")
assert file.fileno() > 2, file.fileno()
file.write("lasted")
"""


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&- <&-", "2>&1 | head -1", ">/dev/full 2>&1", "2>&1 | cat"])
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_streams_last(tmp_path, redirection, encoding):
    script = f'set -o pipefail; "$@" {redirection}'
    arguments = [sys.executable, "-c", SPEAKS, os.fsdecode(ODD), str(tmp_path / "file")]
    extra = {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script, "bash", *arguments], env=os.environ | extra, capture_output=True, timeout=HANGS)
    assert done.returncode == 0 and b"Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "file").read_text() == "lasted"
    if "cat" in redirection:
        assert done.stdout.count(b"line \\udcff ") == 2000 and done.stdout.splitlines()[-1].startswith(b"p: /n\\udcff \\n")


def test_one_line_escapes_what_is_no_text():
    assert one_line(os.fsdecode(ODD) + "\x1b[2J\u2028") == "/n\\udcff \\n\U0001f600\\x1b[2J\\u2028"


def test_the_log_takes_any_line_and_a_full_disk_drops_it(tmp_path, capsys):
    log = logging.getLogger("solution")
    before = log.handlers[:], log.level, log.propagate
    try:
        set_up_logging(tmp_path / "log")
        log.info("input: %s", os.fsdecode(ODD))
        set_up_logging(Path("/dev/full"))
        log.info("more")
    finally:
        log.handlers[:], log.level, log.propagate = before[0], before[1], before[2]
    assert b"input: /n\\udcff \n" in (tmp_path / "log").read_bytes()
    told = capsys.readouterr().err
    assert "more" in told and "Traceback" not in told and "Logging error" not in told


def test_a_whole_run_under_an_odd_path_without_a_terminal(tmp_path):
    folder = os.fsencode(tmp_path) + ODD
    os.mkdir(folder)
    (tmp_path / "plain.json").write_text(json.dumps({"a": TASK, "r\n\udc80": TASK}))
    os.rename(tmp_path / "plain.json", folder + b"/tasks.json")
    paths = [b"--input", folder + b"/tasks.json", b"--output", folder + b"/s.json"]
    line = [sys.executable, str(ROOT / "submission.py"), *paths, "--solvers", "program", "--devices", "cpu", "--budget", ROOM]
    extra = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OMP_NUM_THREADS": "1"}
    script = ["bash", "-c", '"$@" 2>&1 >&- | head -1; exit ${PIPESTATUS[0]}', "bash", *line]
    done = subprocess.run(script, env=os.environ | extra, capture_output=True, timeout=HANGS)
    log = Path(os.fsdecode(folder + b"/s.log")).read_bytes()
    assert done.returncode == 0 and b"everything was done" in log and b"Traceback" not in log + done.stdout, log
    answers = json.loads(Path(os.fsdecode(folder + b"/s.json")).read_text())
    assert set(answers) == {"a", "r\n\udc80"}
