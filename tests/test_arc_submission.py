"""The submission: written whole or not at all, and a validator that knows each way of losing it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from solution.arc.submission import OutputError, placeholder, validate_submission, write_submission
from solution.arc.task import as_grid

A, B = as_grid([[1, 2], [3, 4]]), as_grid([[0]])
ANSWERS = {"b": [(A, B), (B, B)], "a": [(B, A)]}
NUM_TESTS = {"a": 1, "b": 2}


def test_written_file_is_what_kaggle_asks_for(tmp_path):
    path = tmp_path / "submission.json"
    write_submission(path, ANSWERS)
    assert json.loads(path.read_text()) == {
        "b": [{"attempt_1": [[1, 2], [3, 4]], "attempt_2": [[0]]}, {"attempt_1": [[0]], "attempt_2": [[0]]}],
        "a": [{"attempt_1": [[0]], "attempt_2": [[1, 2], [3, 4]]}],
    }
    assert list(json.loads(path.read_text())) == ["b", "a"]
    assert validate_submission(path, NUM_TESTS) == []
    assert os.listdir(tmp_path) == ["submission.json"]


def test_the_largest_submission_is_valid(tmp_path):
    rng = np.random.default_rng(0)
    sizes = [(1, 30), (30, 1), (30, 30), (1, 1)]
    answers = {str(i): [(as_grid(rng.integers(0, 10, size)),) * 2] for i, size in enumerate(sizes)}
    write_submission(tmp_path / "s.json", answers)
    assert validate_submission(tmp_path / "s.json", dict.fromkeys(answers, 1)) == []


def test_content_is_on_disk_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    path, steps = tmp_path / "s.json", []
    replace = os.replace

    def fsync(descriptor):
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if target.is_dir():
            steps.append(("folder", target))
        else:
            steps.append(("file", json.loads(target.read_text()).keys() == ANSWERS.keys()))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", lambda a, b: (steps.append(("rename", Path(a).parent)), replace(a, b)))
    write_submission(path, ANSWERS)
    assert steps == [("file", True), ("rename", tmp_path), ("folder", tmp_path)]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_kill_while_writing_leaves_the_old_file_and_stops_no_later_write(tmp_path, step):
    path = tmp_path / "s.json"
    write_submission(path, ANSWERS)
    before = path.read_bytes()
    code = (
        "import os, signal, numpy as np\n"
        "from solution.arc.submission import write_submission\n"
        f"os.{step} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"write_submission({str(path)!r}, {{'x': [(np.ones((30, 30), np.uint8),) * 2]}})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1])
    assert killed.returncode == -9 and len(os.listdir(tmp_path)) == 2
    assert path.read_bytes() == before and validate_submission(path, NUM_TESTS) == []
    write_submission(path, {"a": [(A, A)]})
    assert validate_submission(path, {"a": 1}) == []


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "s.json"
    write_submission(path, ANSWERS)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="s.json: cannot be written: No space left"):
        write_submission(path, {"a": [(A, A)]})
    assert validate_submission(path, NUM_TESTS) == [] and os.listdir(tmp_path) == ["s.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "none" / "s.json", tmp_path / "file" / "s.json", tmp_path / "folder"):
        with pytest.raises(OutputError) as caught:
            write_submission(path, ANSWERS)
        assert str(caught.value).startswith(f"{path}: cannot be written: ") and "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # the tests may run as root, who may write anywhere
    with pytest.raises(OutputError, match="s.json: cannot be written: Permission denied"):
        write_submission(tmp_path / "s.json", ANSWERS)


def test_placeholders_are_the_input_and_zeros_of_its_shape(tmp_path):
    first, second = placeholder(A)
    assert np.array_equal(first, A) and np.array_equal(second, [[0, 0], [0, 0]])
    write_submission(tmp_path / "s.json", {"a": [placeholder(A)], "unreadable": [placeholder()]})
    assert validate_submission(tmp_path / "s.json", {"a": 1, "unreadable": 1}) == []


def entry(first="[[1]]", second="[[1]]"):
    return f'{{"attempt_1": {first}, "attempt_2": {second}}}'


@pytest.mark.parametrize(
    "text, faults",
    [
        (f'{{"a": [{entry()}]}}', []),
        ("{}", ["task 'a': missing"]),
        ("[]", ["must be an object"]),
        ("", ["cut short"]),
        (f'{{"a": [{entry()}', ["cut short"]),
        (f'{{"a": [{entry()}]}} x', ["cut short"]),
        ("[" * 100_000, ["cut short"]),
        (f'{{"a": [{entry()}], "z": []}}', ["task 'z': not a task"]),
        (f'{{"a": [{entry()}], "a": [{entry()}]}}', ["key 'a' appears more than once"]),
        ('{"a": [{"attempt_1": [[1]], "attempt_1": [[1]], "attempt_2": [[1]]}]}', ["key 'attempt_1' appears more than once"]),
        (f'{{"a": {entry()}}}', ["must be a list"]),
        ('{"a": []}', ["0 entries for 1"]),
        (f'{{"a": [{entry()}, {entry()}]}}', ["2 entries for 1"]),
        ('{"a": [[[1]]]}', ["test 0: must be an object"]),
        ('{"a": [{"attempt_1": [[1]]}]}', ["attempt_2: missing"]),
        ('{"a": [{"attempt_2": [[1]]}]}', ["attempt_1: missing"]),
        ('{"a": [{"attempt_1": [[1]], "attempt_2": [[1]], "attempt_3": [[1]]}]}', ["unknown key 'attempt_3'"]),
        (f'{{"a": [{entry("null")}]}}', ["attempt_1: must be a list of rows"]),
        (f'{{"a": [{entry("[]")}]}}', ["attempt_1: 0 rows"]),
        (f'{{"a": [{entry("[[]]")}]}}', ["row 0 has 0 cells"]),
        (f'{{"a": [{entry("[1]")}]}}', ["row 0 must be a list"]),
        (f'{{"a": [{entry(second="[[1, 2], [3]]")}]}}', ["attempt_2: row 1 has 1 cells, row 0 has 2"]),
        (f'{{"a": [{entry(json.dumps([[1]] * 31))}]}}', ["31 rows"]),
        (f'{{"a": [{entry(json.dumps([[1] * 31]))}]}}', ["31 cells"]),
        (f'{{"a": [{entry("[[10]]")}]}}', ["cell (0, 0) is 10"]),
        (f'{{"a": [{entry("[[-1]]")}]}}', ["cell (0, 0) is -1"]),
        (f'{{"a": [{entry("[[0, true]]")}]}}', ["cell (0, 1) is true"]),
        (f'{{"a": [{entry("[[1.0]]")}]}}', ["cell (0, 0) is 1.0"]),
        (f'{{"a": [{entry("[[NaN]]")}]}}', ["cell (0, 0) is NaN"]),
        (f'{{"a": [{entry(chr(91) * 2 + chr(34) + "1" + chr(34) + chr(93) * 2)}]}}', ['cell (0, 0) is "1"']),
        (f'{{"a": [{entry("[[null]]", "[[99]]")}]}}', ["is null", "is 99"]),
    ],
)
def test_validator_finds_each_fault_and_no_other(tmp_path, text, faults):
    path = tmp_path / "s.json"
    path.write_text(text)
    found = validate_submission(path, {"a": 1})
    assert len(found) == len(faults) and all(wanted in line for wanted, line in zip(faults, found)), found
    assert all(len(line.splitlines()) == 1 for line in found)


def test_validator_names_files_that_are_missing_or_not_utf8(tmp_path):
    path = tmp_path / "s.json"
    assert "cannot be read" in validate_submission(path, {})[0]
    path.write_bytes('{"é": []}'.encode("latin-1"))
    assert "not UTF-8" in validate_submission(path, {"é": 0})[0]
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert validate_submission(path, {}) != []
