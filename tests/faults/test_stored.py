"""What a run leaves on the disk, damaged: the journal, parked trainings, adapters.

Every class of bytes is hit: nothing crashes, nothing wrong is taken for right, what is whole is kept.
"""

import json
import random
from types import SimpleNamespace

import pytest
import torch

from solution.driver.journal import Journal, read_lines, result_from_json, result_to_json
from solution.driver.solve import Solver, adapter_file, can_read_adapter, parked_file, read_parked
from solution.schedule.job import Job
from solution.ttt.train import Parked

from .conftest import OPTIONS, STAND_IN
from .judge import check_files, check_words, jobs, journal, write_challenges
from .stand_in import tiny_tasks
from .test_runs import a_seed, resumed

EACH = 12
"""Places that are drawn of each class of bytes."""


def places(data: bytes, kind: str) -> list[int]:
    """Offsets of a journal of one class."""
    ends = [at for at, byte in enumerate(data) if byte == ord("\n")]
    header = ends[0]
    body = range(header + 1, len(data) - 1)
    grids = [at for at in body if chr(data[at]).isdigit() and data[at - 1] in b'"0123456789' and data[at + 1] in b'"0123456789']
    found = {
        "the header": list(range(header)),
        "a newline": ends[:-1],
        "the last newline": [len(data) - 1],
        "a brace or a quote": [at for at in body if data[at] in b'{}[]":,'],
        "a number": [at for at in body if chr(data[at]).isdigit()],
        "a grid": grids,
        "a name": [at for at in body if chr(data[at]).isalpha()],
        "the last record": list(range(ends[-2] + 1, len(data) - 1)),
    }
    return found[kind]


KINDS = ("the header", "a newline", "the last newline", "a brace or a quote", "a number", "a grid", "a name", "the last record")


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


DAMAGES = {
    "a bit is flipped": lambda data, at, draw: flipped(data, at, draw.randrange(8)),
    "the lowest bit is flipped": lambda data, at, draw: flipped(data, at, 0),  # a digit stays a digit
    "a byte is gone": lambda data, at, draw: data[:at] + data[at + 1 :],
    "a sector is zero": lambda data, at, draw: data[:at] + bytes(len(data[at : at + 512])) + data[at + 512 :],
    "it is cut there": lambda data, at, draw: data[:at],
}


@pytest.fixture(scope="module")
def whole(warm, tmp_path_factory):
    """-> a journal's bytes and its identity."""
    folder = tmp_path_factory.mktemp("whole")
    write_challenges(folder, tiny_tasks(6))
    assert warm.go(folder, *OPTIONS, injections=[STAND_IN]).code == 0
    return journal(folder).read_bytes(), read_lines(journal(folder))[0][0]["identity"]


def kept(path) -> list[str]:
    return [json.dumps(result_to_json(result_from_json(line))) for line in read_lines(path)[0] if line.get("kind") == "job"]


def touched(data: bytes, damaged: bytes) -> tuple[int, int]:
    """Whole lines before the first and after the last byte that differ."""
    first = next((k for k, (a, b) in enumerate(zip(data, damaged)) if a != b), min(len(data), len(damaged)))
    back = zip(reversed(data), reversed(damaged))
    last = next((k for k, (a, b) in enumerate(back) if a != b), min(len(data), len(damaged)))
    last = min(last, len(data) - first, len(damaged) - first)
    return data[:first].count(b"\n"), data[len(data) - last :].count(b"\n") - 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_gives_what_is_whole_and_nothing_wrong(whole, tmp_path, kind, damage, record_property):
    data, identity = whole
    seed = a_seed()
    draw = random.Random(seed)
    path = tmp_path / "journal.jsonl"
    path.write_bytes(data)
    good = kept(path)
    lines = [line["kind"] == "job" for line in read_lines(path)[0]]
    chosen = [draw.choice(places(data, kind)) for _ in range(EACH)]
    record_property("faults", len(chosen))
    for at in chosen:
        for old in tmp_path.iterdir():
            old.unlink()
        damaged = DAMAGES[damage](data, at, draw)
        path.write_bytes(damaged)
        opened = Journal(path, identity)
        found = [json.dumps(result_to_json(result)) for result in opened.results]
        opened.close()
        where = f"seed {seed}, {damage}, {kind}, byte {at}"
        wrong = set(found) - set(good)
        assert not wrong, f"{where}: taken for right: {sorted(wrong)[0][:300]}"
        before, after = touched(data, damaged)
        untouched = sum(lines[:before]) + (sum(lines[len(lines) - after :]) if after > 0 else 0)
        assert len(found) >= untouched, f"{where}: {len(found)} of {untouched} whole answers are kept"
        again = Journal(path, identity)  # what is left of it is whole
        again.close()
        assert [json.dumps(result_to_json(result)) for result in again.results] == found, where


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_a_damaged_journal_says_so_and_ends_with_the_same_answers(warm, whole, undisturbed, tmp_path, kind):
    data, _ = whole
    write_challenges(tmp_path, tiny_tasks(6))
    journal(tmp_path).parent.mkdir()
    at = random.Random(kind).choice(places(data, kind))
    journal(tmp_path).write_bytes(flipped(data, at, 2))
    ended = warm.go(tmp_path, *OPTIONS, injections=[STAND_IN])
    assert ended.code == 0, ended.printed
    check_words(ended.printed, ("" if kind == "the last newline" else "damaged",))
    check_files(tmp_path)
    # a first search is not done again where the second, deeper one is whole
    assert (tmp_path / "submission.json").read_bytes() == undisturbed[0] and jobs(tmp_path).items() <= undisturbed[1].items()


def test_an_empty_or_foreign_journal_is_no_answer(warm, undisturbed, tmp_path):
    for number, content in enumerate((b"", b"\n", b"\0" * 4096, b"[]\n", b"null\n" * 3, b'{"kind":"run"}\n', b"\xff\xfe")):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_challenges(folder, tiny_tasks(6))
        journal(folder).parent.mkdir()
        journal(folder).write_bytes(content)
        resumed(warm, folder, undisturbed)


def a_solver(folder) -> Solver:
    """The part of a solver that stores: no model."""
    solver = Solver.__new__(Solver)
    solver.device, solver.adapters, solver.preset = "cpu:0", folder, SimpleNamespace(train=SimpleNamespace(steps=4))
    return solver


def same(one: Parked, other: Parked) -> bool:
    tensors = all(
        torch.equal(a, b)
        for kind in ("masters", "means", "squares")
        for a, b in zip(getattr(one, kind), getattr(other, kind), strict=True)
    )
    return tensors and all(getattr(one, name) == getattr(other, name) for name in ("updates", "losses", "scale", "prefix_rows"))


def damages_of_tensors(data: bytes, draw):
    """Every class of bytes of a safetensors file: length, header, tensors, ends."""
    header = 8 + int.from_bytes(data[:8], "little")
    for first, last in ((0, 8), (8, header), (header, len(data)), (len(data) - 8, len(data))):
        for _ in range(30):
            yield flipped(data, draw.randrange(first, last), draw.randrange(8))
    for length in (0, 1, 7, 8, 9, header - 1, header, header + 1, len(data) - 1):
        yield data[:length]
    yield data + b"\0"
    yield data[:header] + data[header:][::-1]
    yield bytes(len(data))


def test_a_parked_training_with_a_damaged_byte_is_none(tmp_path, record_property):
    seed = a_seed()
    draw = random.Random(seed)
    tensors = [tuple(torch.randn(3, 5) for _ in range(2)) for _ in range(3)]
    parked = Parked(*tensors, updates=2.0, losses=(1.5, 1.25), scale=1.0, prefix_rows=0)
    a_solver(tmp_path)._park(Job("ttt", ("one",), 0, 2, 0, 0, 2), SimpleNamespace(parked=parked, ended="parked"))
    path = parked_file(tmp_path, "one", 0, 2)
    assert same(read_parked(path), parked)
    damaged = [*damages_of_tensors(path.read_bytes(), draw)]
    record_property("faults", len(damaged))
    for data in damaged:
        path.write_bytes(data)
        found = read_parked(path)
        assert found is None or same(found, parked), f"seed {seed}: a damaged training is gone on with"


def test_an_adapter_with_a_damaged_byte_is_none(tmp_path, record_property):
    seed = a_seed()
    draw = random.Random(seed)
    tensors = {"one": torch.randn(3, 5), "two": torch.randn(4)}
    path = adapter_file(tmp_path, "joint-adapter")
    assert a_solver(tmp_path)._store(path, tensors) and can_read_adapter(tmp_path, "joint-adapter")
    whole = path.read_bytes()
    damaged = [data for data in damages_of_tensors(whole, draw) if data != whole]
    record_property("faults", len(damaged))
    for data in damaged:
        path.write_bytes(data)
        loaded = []
        solver = a_solver(tmp_path)
        solver.model = SimpleNamespace(load_adapter=loaded.append)
        if solver._recall("joint-adapter"):
            equal = all(torch.equal(loaded[-1][name], tensors[name]) for name in tensors)
            assert equal and loaded[-1].keys() == tensors.keys(), f"seed {seed}: a damaged adapter is used"


def test_another_tasks_parked_training_is_none(tmp_path):
    for name in ("one", "two"):
        parked = Parked(*[(torch.randn(2, 2),) for _ in range(3)], updates=2.0, losses=(1.0,), scale=1.0, prefix_rows=0)
        a_solver(tmp_path)._park(Job("ttt", (name,), 0, 2, 0, 0, 2), SimpleNamespace(parked=parked, ended="parked"))
    one, two = (parked_file(tmp_path, name, 0, 2) for name in ("one", "two"))
    one.write_bytes(two.read_bytes())
    assert read_parked(one) is None
