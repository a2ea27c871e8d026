"""What --input, --solutions and --data may name: every published form, whatever lies beside the good tasks."""

import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from solution.arc import task as arc_task
from solution.arc.load import TEST_CHALLENGES, InputError, public_set
from solution.arc.reading import MOST_NAMED, read_json
from solution.arc.sources import read_input
from solution.arc.task import GridError, as_grid
from solution.finetune.examples import read_families

from .test_arc_load import SPOILT, error_of, write

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def body(*outputs, cell=5):
    """A task with one test for each of `outputs`; None: a test without one."""
    tests = [{"input": [[cell, i]]} | ({} if output is None else {"output": output}) for i, output in enumerate(outputs)]
    return {"train": [{"input": [[1, cell]], "output": [[3], [4]]}, {"input": [[cell]], "output": [[9]]}], "test": tests}


ANSWERED = body([[1]], [[2, 2]])


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def check_answered(found, names):
    """The tasks are there without the outputs, and the outputs beside them."""
    assert list(found.challenges.tasks) == list(found.solutions) == names
    assert all(pair.output is None for task in found.challenges.tasks.values() for pair in task.test)
    assert all(np.array_equal(outputs[1], [[2, 2]]) for outputs in found.solutions.values())


# Forms of tasks


@pytest.mark.parametrize("folders", [("", ""), ("training", "evaluation"), ("corpus/AboveBelow", "corpus/Center")])
def test_a_folder_of_tasks_at_any_depth(tmp_path, folders, caplog):
    for folder, name in zip(folders, ("one1", "two2")):
        write(tmp_path / folder / f"{name}.json", ANSWERED)
    (tmp_path / "README.md").write_text("no task")
    write(tmp_path / ".hidden" / "x.json", "no task")
    names = ["one1", "two2"] if folders[0] <= folders[1] else ["two2", "one1"]
    found = read_input(str(tmp_path))
    assert sorted(found.challenges.tasks) == sorted(names) and found.name == str(tmp_path)
    check_answered(found, list(found.challenges.tasks))
    assert [(f.id, len(f.pairs)) for f in read_families(str(tmp_path))] == [("one1", 4), ("two2", 4)]
    assert not said(caplog)


def test_a_single_task(tmp_path):
    path = write(tmp_path / "aa00aa01.json", ANSWERED)
    check_answered(read_input(str(path)), ["aa00aa01"])
    assert [f.id for f in read_families(str(path))] == ["aa00aa01"]


@pytest.mark.parametrize("name", ["arc-agi_evaluation", "arc-agi_test", "mine"])
def test_kaggles_files_with_the_solutions_beside_them(tmp_path, name):
    challenges = write(tmp_path / "deep" / f"{name}_challenges.json", {"a": body(None, None), "b": body(None, None)})
    bare = read_input(str(challenges))
    assert bare.solutions is None and [len(f.pairs) for f in read_families(str(challenges))] == [2, 2]
    solutions = write(tmp_path / "deep" / f"{name}_solutions.json", {"b": [[[1]], [[2, 2]]], "a": [[[1]], [[2, 2]]]})
    write(tmp_path / "deep" / "sample_submission.json", {})
    for source in (challenges, tmp_path):
        found = read_input(str(source))
        check_answered(found, ["a", "b"])
        assert found.name == str(challenges)
        families = read_families(str(source))
        assert [f.id for f in families] == ["a", "b"] and np.array_equal(families[0].pairs[-1].output, [[2, 2]])
    solutions.write_text("broken")
    assert read_input(str(challenges)).solutions is None
    assert [len(f.pairs) for f in read_families(str(challenges))] == [2, 2]


def test_a_folder_of_two_challenges_files_needs_a_choice_and_the_test_tasks_are_one(tmp_path):
    paths = [write(tmp_path / f"arc-agi_{half}_challenges.json", {half: ANSWERED}) for half in ("evaluation", "training")]
    message = error_of(read_input, str(tmp_path))
    assert all(path.name in message for path in paths)
    write(tmp_path / TEST_CHALLENGES, {"t": ANSWERED})
    assert list(read_input(str(tmp_path)).challenges.tasks) == ["t"]


@pytest.mark.parametrize(
    "source, name, num_tasks",
    [
        (None, "ARC-AGI-1 public evaluation set", 400),
        ("evaluation", "ARC-AGI-1 public evaluation set", 400),
        ("training", "ARC-AGI-1 public training set", 400),
        ("arc-agi-1/evaluation", "ARC-AGI-1 public evaluation set", 400),
        ("arc-agi-2/evaluation", "ARC-AGI-2 public evaluation set", 120),
    ],
)
def test_public_sets_by_name(tmp_path, source, name, num_tasks):
    found = read_input(source, None, tmp_path / "nothing attached")
    assert found.name == name and list(found.solutions) == list(found.challenges.tasks)
    assert len(found.challenges.tasks) == num_tasks and not found.challenges.faulty
    assert "bring their own" in error_of(read_input, source, "solutions.json")


def test_a_name_that_is_a_path_too_needs_a_choice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evaluation").mkdir()
    write(tmp_path / "evaluation" / "t.json", ANSWERED)
    assert "give ./evaluation" in error_of(read_input, "evaluation")
    assert list(read_input("./evaluation").challenges.tasks) == ["t"] and len(read_input(None).challenges.tasks) == 400


def test_what_is_attached_is_read_where_nothing_is_named_and_nothing_is_scored(tmp_path):
    path = write(tmp_path / "competitions" / TEST_CHALLENGES, {"a": ANSWERED})
    write(tmp_path / "competitions" / "arc-agi_test_solutions.json", {"a": [[[1]], [[2, 2]]]})
    found = read_input(None, None, tmp_path)
    assert list(found.challenges.tasks) == ["a"] and found.name == str(path) and found.solutions is None
    named = write(tmp_path / "mine.json", {"b": ANSWERED})
    assert list(read_input(str(named), None, tmp_path).challenges.tasks) == ["b"]
    path.unlink()
    assert TEST_CHALLENGES in error_of(read_input, None, None, tmp_path)


# Solutions


def test_tasks_are_scored_where_all_their_outputs_are_there(tmp_path, caplog):
    bodies = {"all": ANSWERED, "none": body(None), "null": body(None), "part": body([[1]], None), "bad": body([[1], [1, 2]])}
    bodies["null"]["test"][0]["output"] = None
    for name, content in bodies.items():
        write(tmp_path / "tasks" / f"{name}.json", content)
    for source in (tmp_path / "tasks", write(tmp_path / "all.json", bodies)):
        caplog.clear()
        found = read_input(str(source))
        assert sorted(found.challenges.tasks) == sorted(bodies) and list(found.solutions) == ["all"]
        *lines, total = said(caplog)
        assert (
            sorted(line.split("task ")[1].split(":")[0] for line in lines) == ["bad", "part"]
            and "2 tasks are not scored" in total
        )


@pytest.mark.parametrize("form", ["kaggle", "folder of kaggle's", "several of kaggle's", "folder", "task", "tasks by id"])
def test_solutions_in_every_form(tmp_path, form):
    source = write(tmp_path / "arc-agi_evaluation_challenges.json", {"a": body(None, None)})
    if form == "task":
        given = write(tmp_path / "s" / "a.json", ANSWERED)
    elif form == "folder":
        given = write(tmp_path / "s" / "deep" / "a.json", ANSWERED).parent.parent
        write(tmp_path / "s" / "deep" / "b.json", "not wanted, not read")
    elif form == "tasks by id":
        given = write(tmp_path / "s.json", {"a": ANSWERED, "b": None})
    else:
        given = write(tmp_path / "s" / "arc-agi_evaluation_solutions.json", {"a": [[[1]], [[2, 2]]]})
        if form == "several of kaggle's":
            write(tmp_path / "s" / "arc-agi_training_solutions.json", {"z": []})
        given = given if form == "kaggle" else given.parent
    check_answered(read_input(str(source), str(given)), ["a"])


def test_solutions_of_a_public_set_by_name(tmp_path):
    challenges, solutions = public_set("arc-agi-2/evaluation")
    name, outputs = next(iter(solutions.items()))
    rows = {"input": [[1]], "output": [[1]]}
    source = write(tmp_path / "c.json", {name: {"train": [rows], "test": [{"input": [[1]]}] * len(outputs)}})
    assert np.array_equal(read_input(str(source), "arc-agi-2/evaluation").solutions[name][0], outputs[0])
    assert f"task {name}" in error_of(read_input, str(source), "training")


@pytest.mark.parametrize("given", ["", "nowhere", "arc-agi-3/evaluation"])
def test_what_is_not_there_is_one_line(tmp_path, given):
    source = write(tmp_path / "c.json", {"a": ANSWERED})
    assert repr(given) in error_of(read_input, given) and "--input" in error_of(read_input, given)
    assert repr(given) in error_of(read_input, str(source), given) and "--solutions" in error_of(read_input, str(source), given)
    if given:
        assert given in error_of(read_families, given)


def test_two_solutions_files_that_are_not_named_as_the_tasks_need_a_choice(tmp_path):
    source = write(tmp_path / "c.json", {"a": body(None, None)})
    for half in ("evaluation", "training"):
        write(tmp_path / "s" / f"arc-agi_{half}_solutions.json", {"a": [[[1]], [[2, 2]]]})
    assert "one expected" in error_of(read_input, str(source), str(tmp_path / "s"))


# One bad item

JUNK = {
    "empty": b"",
    "no JSON": b"hello",
    "cut short": json.dumps(ANSWERED)[:-9].encode(),
    "latin-1": '{"train": "\xe9"}'.encode("latin-1"),
    "utf-16": json.dumps(ANSWERED).encode("utf-16"),
    "zeros": bytes(2000),
    "deep": b"[" * 100_000,
    "null": b"null",
    "number": b"9" * 5000,
    "empty list": b"[]",
    "empty object": b"{}",
    "other": b'{"a0000001": {"n": 6}, "b": 2}',
}
"""Files that hold no task."""


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_a_file_without_a_task_is_left_out_of_a_folder_and_refused_alone(tmp_path, caplog, junk):
    for name in ("aa00aa01", "aa00aa03"):
        write(tmp_path / "tasks" / f"{name}.json", ANSWERED)
    bad = tmp_path / "tasks" / "aa00aa02.json"
    bad.write_bytes(junk)
    found = read_input(str(tmp_path / "tasks"))
    check_answered(found, ["aa00aa01", "aa00aa03"])
    assert not found.challenges.faulty
    one, total = said(caplog)
    assert one.startswith(f"{bad}: ") and "\n" not in one and "1 files are left out" in total
    caplog.clear()
    assert [f.id for f in read_families(str(tmp_path / "tasks"))] == ["aa00aa01", "aa00aa03"]
    assert said(caplog)[0].startswith(f"{bad}: ")
    for read in (read_input, read_families):
        assert str(bad) in error_of(read, str(bad))
    (tmp_path / "alone").mkdir()
    bad.rename(tmp_path / "alone" / "x.json")
    for read in (read_input, read_families):
        assert "x.json" in error_of(read, str(tmp_path / "alone"))


@pytest.mark.parametrize("spoilt, reason", SPOILT.values(), ids=SPOILT)
def test_a_faulty_task_of_a_folder_is_answered_by_a_placeholder(tmp_path, caplog, spoilt, reason):
    write(tmp_path / "a.json", ANSWERED)
    write(tmp_path / "b.json", json.dumps(ANSWERED).replace("[[9]]", f"[[{spoilt}]]"))
    found = read_input(str(tmp_path))
    check_answered(found, ["a"])
    assert found.challenges.num_tests == {"a": 2, "b": 2} and found.challenges.faulty["b"].reason.startswith("train[1].output")
    assert [(f.id, len(f.pairs)) for f in read_families(str(tmp_path))] == [("a", 4), ("b", 3)]
    assert "b: 1 of 4 pairs left out, the first: train[1].output" in said(caplog)[0]


@pytest.mark.parametrize("spoilt, reason", SPOILT.values(), ids=SPOILT)
def test_a_bad_pair_of_a_rearc_folder_costs_itself(tmp_path, caplog, spoilt, reason):
    pairs = [{"input": [[cell]], "output": [[cell]]} for cell in range(6)]
    write(tmp_path / "tasks" / "f.json", json.dumps(pairs).replace("[[3]]", f"[[{spoilt}]]", 1))
    write(tmp_path / "tasks" / "g.json", pairs)
    write(tmp_path / "metadata.json", {"f": {"n": 6}})
    assert [(f.id, len(f.pairs)) for f in read_families(str(tmp_path))] == [("f", 5), ("g", 6)]
    one, total = said(caplog)
    assert "f: 1 of 6 pairs left out, the first: [3].input" in one and "1 pairs and 0 files are left out" in total


def test_pairs_too_large_are_counted_and_few_lines_said(tmp_path, caplog):
    good = [{"input": [[cell]], "output": [[cell]]} for cell in range(4)]
    for number in range(MOST_NAMED + 5):
        write(
            tmp_path / f"{number:03}.json",
            [*good, {"input": [[1]] * 31, "output": [[1]]}, {"input": [[1]], "output": [[1] * 31]}],
        )
    assert len(read_families(str(tmp_path))) == MOST_NAMED + 5
    lines = said(caplog)
    assert len(lines) == MOST_NAMED + 2 and "5 more" in lines[-2] and f"{2 * (MOST_NAMED + 5)} pairs and 0 files" in lines[-1]
    assert "size 31x1 is outside" in lines[0]


def test_an_id_that_comes_twice_in_a_folder_is_the_first_ones(tmp_path, caplog):
    first = write(tmp_path / "one" / "a.json", ANSWERED)
    second = write(tmp_path / "two" / "a.json", body([[7]]))
    found = read_input(str(tmp_path))
    check_answered(found, ["a"])
    assert str(first) in said(caplog)[0] and said(caplog)[0].startswith(str(second))


def test_a_byte_order_mark_is_no_fault(tmp_path, caplog):
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(ANSWERED).encode())
    check_answered(read_input(str(tmp_path)), ["a", "b"])
    assert len(read_families(str(tmp_path))) == 2 and not said(caplog)


@pytest.mark.parametrize("kind", ["pipe", "dangling link", "folder"])
def test_what_is_no_file_is_left_out(tmp_path, kind):
    write(tmp_path / "a.json", ANSWERED)
    odd = tmp_path / "odd.json"
    {"pipe": os.mkfifo, "dangling link": lambda p: p.symlink_to("nowhere"), "folder": os.mkdir}[kind](odd)
    check_answered(read_input(str(tmp_path)), ["a"])
    assert len(read_families(str(tmp_path))) == 1


def test_a_folder_whose_tasks_are_all_faulty_names_the_first(tmp_path):
    write(tmp_path / "a.json", {"train": [], "test": []})
    assert "none of 1 tasks can be read; task a: train" in error_of(read_input, str(tmp_path))
    (tmp_path / "empty").mkdir()
    assert TEST_CHALLENGES in error_of(read_input, str(tmp_path / "empty"))


# Anything at all

HUGE = "a number of 5,001 digits"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.just(HUGE) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["train", "test", "input", "output", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def dumps(value) -> str:
    """JSON, also of numbers too long for Python."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dumps, value)) + "]"
    return "1" + "0" * 5000 if value == HUGE else json.dumps(value)


@QUICK
@given(VALUES)
def test_whatever_one_item_is_the_others_are_read(tmp_path_factory, value):
    folder, text, good = tmp_path_factory.mktemp("any"), dumps(value), json.dumps(ANSWERED)
    whole = write(folder / "whole.json", f'{{"a": {good}, "bad": {text}, "z": {good}}}')
    write(folder / "tasks" / "a.json", good)
    write(folder / "tasks" / "bad.json", text)
    write(folder / "tasks" / "z.json", good)
    rearc = write(folder / "rearc.json", f'[{{"input": [[1]], "output": [[1]]}}, {text}]')
    for source in (whole, folder / "tasks"):
        found = read_input(str(source))
        assert {"a", "z"} <= set(found.challenges.tasks) <= {"a", "bad", "z"} and {"a", "z"} <= set(found.solutions)
        assert source != whole or "bad" in found.challenges.num_tests
        assert {"a", "z"} <= {f.id for f in read_families(str(source))}
    assert np.array_equal(read_families(str(rearc))[0].pairs[0].input, [[1]])


@QUICK
@given(st.binary(max_size=40), st.integers(0, 10_000))
def test_a_file_of_any_bytes_is_read_or_refused_in_one_line(tmp_path_factory, junk, where):
    path = tmp_path_factory.mktemp("bytes") / "x.json"
    whole = json.dumps({"a": ANSWERED}).encode()
    cut = where % len(whole)
    for content in (junk, whole[:cut] + junk + whole[cut:], whole[:cut] + junk + whole[cut + len(junk) :]):
        path.write_bytes(content)
        for read in (read_json, lambda file: read_input(str(file)), lambda file: read_families(str(file))):
            try:
                read(path)
            except InputError as error:
                assert "\n" not in str(error) and str(path) in str(error)


ROWS = st.lists(st.lists(st.integers(-1, 10) | st.sampled_from([True, 1.0, 300, "1", None]), max_size=4), max_size=4)
GRIDS = st.integers(1, 31).flatmap(
    lambda w: st.lists(st.lists(st.integers(0, 9), min_size=w, max_size=w), min_size=1, max_size=31)
)


@QUICK
@given(ROWS | GRIDS)
def test_the_fast_way_to_a_grid_is_the_plain_one(rows):
    def made():
        try:
            return as_grid(rows)
        except GridError as error:
            return str(error)

    fast = made()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arc_task, "_plain", lambda *_: None)
        plain = made()
    assert type(fast) is type(plain) and np.array_equal(fast, plain)
    if isinstance(fast, np.ndarray):
        assert fast.dtype == np.uint8 and not fast.flags.writeable and fast.flags.c_contiguous
