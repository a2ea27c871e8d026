"""What a run reads, damaged: weights and their entries, challenges. All of it is read or refused in one line."""

import json
import random
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solution.arc.load import InputError, load_challenges
from solution.arc.submission import placeholders, validate_submission, write_submission
from solution.models.manifest import ENTRY_FILE, default_weights

from .conftest import STAND_IN
from .judge import check_words, write_challenges
from .stand_in import tiny_tasks
from .test_runs import a_seed
from .test_stored import flipped


@pytest.fixture
def weights(tmp_path):
    """The embedded weights in a folder of their own, with their entry."""
    own = default_weights("cpu")
    folder = tmp_path / "mine"
    shutil.copytree(own.folder, folder, ignore=shutil.ignore_patterns(ENTRY_FILE))
    entry = {key: value for key, value in own.entry.items() if key != "folder"} | {"name": "mine"}
    (folder / ENTRY_FILE).write_text(json.dumps(entry))
    return folder


def _swap(folder):
    first, second = (folder / "model.safetensors", folder / "config.json")
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def _rewrite(name, change):
    def damage(folder):
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return damage


def _entry(**changes):
    def damage(folder):
        entry = json.loads((folder / ENTRY_FILE).read_text())
        (folder / ENTRY_FILE).write_text(json.dumps({k: v for k, v in (entry | changes).items() if v != "gone"}))

    return damage


WEIGHTS = {
    "a bit in the header": _rewrite("model.safetensors", lambda data: flipped(data, 20, 1)),
    "a bit in a tensor": _rewrite("model.safetensors", lambda data: flipped(data, len(data) // 2, 3)),
    "the last bit": _rewrite("model.safetensors", lambda data: flipped(data, len(data) - 1, 0)),
    "cut short": _rewrite("model.safetensors", lambda data: data[:-1]),
    "empty": _rewrite("model.safetensors", lambda data: b""),
    "longer": _rewrite("model.safetensors", lambda data: data + b"\0"),
    "a bit in the configuration": _rewrite("config.json", lambda data: flipped(data, 30, 0)),
    "files swapped": _swap,
    "a file gone": lambda folder: (folder / "config.json").unlink(),
    "a stranger": lambda folder: shutil.copy(folder / "model.safetensors", folder / "other.safetensors"),
    "a folder for a file": lambda folder: ((folder / "config.json").unlink(), (folder / "config.json").mkdir()),
    "entry: no JSON": _rewrite(ENTRY_FILE, lambda data: data[:-5]),
    "entry: not UTF-8": _rewrite(ENTRY_FILE, lambda data: b"\xff" + data),
    "entry: a list": _rewrite(ENTRY_FILE, lambda data: b"[]"),
    "entry: files gone": _entry(files="gone"),
    "entry: files a number": _entry(files=7),
    "entry: files of numbers": _entry(files=[7]),
    "entry: files without a name": _entry(files=[{"size": 1, "sha256": "0"}]),
    "entry: codec unknown": _entry(codec="arc17"),
    "entry: codec a list": _entry(codec=["arc16"]),
    "entry: positions unknown": _entry(position_scheme="spiral"),
    "entry: preset unknown": _entry(preset="nobody's"),
    "entry: preset a list": _entry(preset=["default"]),
}
PRESET_FROM_ENTRY = ("--devices", "cpu", "--budget", "24h")


@pytest.mark.parametrize("damage", WEIGHTS)
def test_damaged_weights_are_refused_in_one_line(warm, weights, tmp_path, damage):
    write_challenges(tmp_path, tiny_tasks(6))
    WEIGHTS[damage](weights)
    ended = warm.go(tmp_path, *PRESET_FROM_ENTRY, "--weights", str(weights), injections=[STAND_IN])
    assert ended.code == 2, ended.printed
    said = ended.lines("submission.py: ")
    assert len(said) == 1 and ("mine" in said[0] or ENTRY_FILE in said[0]), ended.printed
    check_words(ended.printed)


def mutated(data, draw):
    """A JSON value, changed in one random place."""
    path, node = [], data
    while isinstance(node, (dict, list)) and node and (not path or draw.random() < 0.85):
        key = draw.choice(sorted(node)) if isinstance(node, dict) else draw.randrange(len(node))
        path.append((node, key))
        node = node[key]
    parent, key = path[-1]
    strange = draw.choice(
        [None, True, -1, 10, 1.5, 1e400, float("nan"), 10**400, "", "0", "\ud800", [], {}, [[]], [[1, 2], [3]], [[0] * 31] * 31,
         {"input": [[1]]}, [None], [[None]], [[[0]]], "gone", "twice"]
    )  # fmt: skip
    if strange == "gone":
        del parent[key]
    elif strange == "twice" and isinstance(parent, list):
        parent.insert(key, parent[key])
    else:
        parent[key] = strange
    return str(path[0][1]) if len(path) > 1 else None


def check_loaded(path, tmp_path):
    """What is read can be answered, whatever it is; -> the tasks, or None where the file is refused in one line."""
    try:
        found = load_challenges(path)
    except InputError as error:
        assert "\n" not in str(error) and path.name in str(error) and len(str(error)) < 1000
        return None
    for task in found.tasks.values():
        for pair in (*task.train, *task.test):
            for grid in (pair.input, pair.output):
                assert grid is None or (1 <= min(grid.shape) and max(grid.shape) <= 30 and 0 <= grid.min() and grid.max() <= 9)
    write_submission(tmp_path / "s.json", placeholders(found))
    assert validate_submission(tmp_path / "s.json", found.num_tests) == []
    return found


def test_mutated_challenges_cost_only_the_task_that_is_hit(tmp_path, record_property):
    seed = a_seed()
    draw, tries = random.Random(seed), 400
    record_property("faults", tries)
    path = tmp_path / "arc-agi_test_challenges.json"
    write = json.dumps(tiny_tasks(3))
    path.write_text(write)
    whole = load_challenges(path).tasks
    for number in range(tries):
        data = json.loads(write)
        hit = mutated(data, draw)
        text = json.dumps(data)
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            found = check_loaded(path, tmp_path)
        except Exception as error:
            raise AssertionError(f"seed {seed}, number {number}: {text[:300]}") from error
        if hit in whole:
            assert found is not None, f"seed {seed}, number {number}: the whole file is refused"
            for name in whole.keys() - {hit}:
                ours, theirs = whole[name], found.tasks[name]
                assert [p.input.tolist() for p in ours.train] == [p.input.tolist() for p in theirs.train]


def test_mutated_bytes_are_read_or_refused_in_one_line(tmp_path, record_property):
    seed = a_seed()
    draw, tries = random.Random(seed), 400
    record_property("faults", tries)
    path = tmp_path / "arc-agi_test_challenges.json"
    whole = json.dumps(tiny_tasks(2)).encode()
    for number in range(tries):
        data = whole
        for _ in range(draw.randrange(1, 4)):
            at, to = sorted((draw.randrange(len(data) + 1), draw.randrange(len(data) + 1)))
            piece = draw.choice(
                [b"", bytes([draw.randrange(256)]), data[at:to], b"9" * 5000, b"[" * 2000, b"\0", b"\xef\xbb\xbf"]
            )
            data = data[:at] + piece + data[draw.choice([at, at + 1, to]) :]
        path.write_bytes(data)
        try:
            check_loaded(path, tmp_path)
        except Exception as error:
            raise AssertionError(f"seed {seed}, number {number}: {data[:200]!r}") from error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["train", "test", "input", "output", "x"]), inner)
    ),
    max_leaves=25,
)


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_any_json_is_read_or_refused_in_one_line(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("any", numbered=True)
    path = folder / "arc-agi_test_challenges.json"
    path.write_text(json.dumps(value))
    check_loaded(path, folder)
