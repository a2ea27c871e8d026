"""The report: every outcome is told apart and counted, the page is whole and stands alone, its pictures are the grids."""

import base64
import json
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest

from solution.arc.load import Challenges, Faulty, InputError, public_evaluation
from solution.arc.submission import OutputError
from solution.arc.task import Pair, Task, as_grid
from solution.arc.view import View
from solution.decode.candidate import Candidate
from solution.driver.board import Board
from solution.driver.journal import Journal, Result, result_to_json
from solution.preset import DEFAULT
from solution.report.__main__ import main
from solution.report.draw import CURVE_POINTS, grid_image, grid_png, loss_curve
from solution.report.outcome import NOT_GENERATED, NOT_REACHED, NOT_SELECTED, SOLVED, proposals
from solution.report.page import write_report
from solution.schedule.job import Job, Record

IDENTITY = {
    "weights": "0123456789abcdef" * 4,
    "preset": DEFAULT.as_dict(),
    "seed": 7,
    "dtype": "torch.float32",
    "backend": "none",
}
END = {"kind": "end", "seconds": 61.5, "budget": 90.0, "ended": "budget"}
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Parses a page and fails on a tag that is closed wrongly; collects tables, blocks and addresses."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.rows, self.blocks, self.resources, self.text = [], [], [], [], text
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.resources += [attributes[key] for key in ("src", "href") if key in attributes]
        assert tag not in ("script", "link", "iframe")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "details":
            self.blocks.append("")

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "span", "code") and "tr" in self.open:
            self.rows[-1][-1] += data
        if "details" in self.open:
            self.blocks[-1] += data

    def row(self, first: str) -> list[str]:
        return next(row for row in self.rows if row and row[0] == first)


def decode_png(data: bytes) -> tuple[np.ndarray, bytes]:
    """Indices and palette of a 4-bit palette PNG; checks every part's checksum. Shares nothing with the writer."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    parts, at = {}, 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        parts[kind], at = body, at + 12 + length
    assert list(parts) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, *rest = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    assert rest == [4, 3, 0, 0, 0]
    raw, stride = zlib.decompress(parts[b"IDAT"]), 1 + (width + 1) // 2
    assert len(raw) == height * stride
    rows = []
    for y in range(height):
        line = raw[y * stride : (y + 1) * stride]
        assert line[0] == 0
        rows.append([n for byte in line[1:] for n in (byte >> 4, byte & 15)][:width])
    return np.array(rows), parts[b"PLTE"]


def wrong(grid, number: int):
    """The number-th variant of a grid: another one for each number up to 8."""
    changed = grid.copy()
    changed[0, 0] = (int(grid[0, 0]) + 1 + number) % 10
    return as_grid(changed)


def candidates(*grids, source="ttt"):
    return [Candidate(g, View(i % 8), -0.25 - i, source) for i, g in enumerate(grids)]


def trained(name: str, tests, cut=False, seconds=2.0, losses=(0.9, 0.1)) -> Result:
    ttt = {"steps": len(losses), "tokens": 1000, "losses": list(losses), "ended": "planned"}
    return Result(
        Record(Job("ttt", (name,), 0, 8), "cpu:0", seconds, cut=cut), {name: tests}, {}, ttt, {"prompt": 300, "new": 100}
    )


def base(names, tests) -> Result:
    return Result(Record(Job("base", tuple(names)), "cpu:1", 4.0), dict(zip(names, tests)), tokens={"prompt": 90, "new": 10})


def write_journal(path, results, end=END):
    journal = Journal(path, IDENTITY)
    for result in results:
        journal.append(result_to_json(result))
    if end:
        journal.append(end)
    journal.close()
    return path


def unsummed(path):
    """A journal's text without its checksums, as earlier versions wrote it: lines can be added and changed."""
    return re.sub(r',"sum":"[0-9a-f]{16}"}', "}", path.read_text())


def report(folder, results, challenges, solutions, end=END) -> Page:
    """Journal, answers and page of `results`, all by the real parts."""
    journal = write_journal(folder / "journal.jsonl", results, end)
    board = Board(challenges, "hierarchical")
    for result in results:
        if result.record.ok:
            board.add(result)
    path = write_report(folder / "report.html", journal, challenges, solutions, board.answers)
    assert path == folder / "report.html"
    assert sorted(p.name for p in folder.iterdir()) == ["journal.jsonl", "journal.lock", "report.html"]  # nothing left aside
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def public():
    return public_evaluation()


def only(public, count: int):
    """The first `count` public tasks that have one test input."""
    names = [name for name, task in public[0].tasks.items() if len(task.test) == 1][:count]
    return Challenges({n: public[0].tasks[n] for n in names}, {}), {n: public[1][n] for n in names}, names


def test_every_outcome_is_told_apart_and_counted(public, tmp_path):
    challenges, solutions, names = only(public, 9)
    right = {n: solutions[n][0] for n in names}
    solved, early, selected, generated, empty, cut, unanswered, untouched, cut_right = names

    def outvoted(name):  # two wrong grids with three votes each, the right one with one
        return [candidates(*[wrong(right[name], 0)] * 3, *[wrong(right[name], 1)] * 3, right[name])]

    results = [
        base(
            [early, selected, generated, cut, unanswered],
            [
                [candidates(right[early], source="base")],
                [[]],
                [candidates(wrong(right[generated], 5), source="base")],
                [[]],
                [[]],
            ],
        ),
        trained(solved, [candidates(wrong(right[solved], 0), right[solved], right[solved])]),
        trained(selected, outvoted(selected)),
        trained(generated, [candidates(wrong(right[generated], 0), wrong(right[generated], 1))]),
        trained(empty, [[]]),  # done, with not one candidate
        trained(cut, [candidates(wrong(right[cut], 0))], cut=True),
        trained(cut_right, outvoted(cut_right), cut=True),
    ]
    page = report(tmp_path, results, challenges, solutions)
    # of the trained tasks one is right, two are outvoted (one of them was cut), the others never had the answer
    assert page.row("oracle")[1:3] == ["3", "33.33%"] and page.row("flattened")[1:3] == ["1", "11.11%"]
    assert page.row("untrained, flattened")[1:3] == ["1", "11.11%"] and "of 9 tasks 5 have such views" in page.text
    assert page.row(SOLVED)[1:3] == ["2", "22.2%"]
    assert page.row(NOT_SELECTED)[1:3] == ["2", "22.2%"]
    assert page.row(NOT_GENERATED)[1:3] == ["2", "22.2%"]
    assert page.row(NOT_REACHED)[1:3] == ["3", "33.3%"]
    assert "strict <b>2</b> of 9 tasks (22.22%" in page.text and "partial <b>2</b> of 9 test outputs (22.22%)" in page.text
    blocks = {name: block for name in names for block in page.blocks if block.startswith(name)}
    assert set(blocks) == {solved, early, selected, generated, empty, cut_right}  # the others were not reached
    shown = (solved, early, selected, generated, empty, cut_right)
    assert [re.match(r"\w{8}(solved|not (?:selected|generated))", blocks[n])[1] for n in shown] == [
        SOLVED, SOLVED, NOT_SELECTED, NOT_GENERATED, NOT_GENERATED, NOT_SELECTED,
    ]  # fmt: skip
    assert "1 of 7 votes" in blocks[selected] and "3 of 7 votes" in blocks[selected]
    assert "1 of 1 untrained" in blocks[early] and "votes" not in blocks[early]
    assert "placeholders" in blocks[empty] and "placeholders" not in blocks[generated]
    assert "training + first views 2.0s" in blocks[solved]
    assert (
        page.text.index("Tasks: not selected (2)")
        < page.text.index("Tasks: not generated (2)")
        < page.text.index("Tasks: solved (2)")
    )


def test_partial_and_strict_differ_where_one_of_two_tests_is_solved(public, tmp_path):
    name = next(n for n, task in public[0].tasks.items() if len(task.test) == 2)
    one, two = public[1][name]
    challenges = Challenges({name: public[0].tasks[name]}, {})
    page = report(tmp_path, [trained(name, [candidates(one), candidates(wrong(two, 0))])], challenges, {name: (one, two)})
    assert "strict <b>0</b> of 1 tasks" in page.text and "partial <b>1</b> of 2 test outputs" in page.text
    assert page.row(SOLVED)[1] == "1" and page.row(NOT_GENERATED)[1] == "1"
    assert "Tasks: not generated (1)" in page.text and "Tasks: solved" not in page.text


def test_head_stages_and_failures(public, tmp_path):
    challenges, solutions, names = only(public, 3)
    one, two, three = names
    faulty = Challenges(challenges.tasks, {"f00": Faulty("train: missing <&>", 1)})
    failed = [Result(Record(Job("ttt", (two,), attempt=i), "cpu:0", 1.0, ok=False), error="OutOfMemory: <b>") for i in (0, 1)]
    missing = Result(
        Record(Job("views", (one,), 8, 8), "cpu:1", 0.5), {one: [[]]}, {one: {"cut": 2, "ragged": 1}}, tokens={"new": 25}
    )
    results = [base([one, three], [[[]], [[]]]), trained(one, [[]], seconds=3.5), *failed, missing]
    page = report(tmp_path, results, faulty, solutions)
    assert "preset <b>default</b> · weights <b>0123456789ab</b> · seed <b>7</b> · dtype <b>float32</b>" in page.text
    assert "ended after 1m01s of 1m30s: the budget was used" in page.text
    assert page.row("cheap answer")[1:] == ["1", "2", "4.0", "40.0%", "25"]
    assert page.row("training + first views") == ["training + first views", "3", "1", "5.5", "55.0%", "255"]
    assert page.row("more views")[1:] == ["1", "1", "0.5", "5.0%", "50"]
    assert not any(row and row[0] == "joint adapter" for row in page.rows)
    assert ["training + first views", "2", "OutOfMemory: <b>", two] in page.rows
    assert ["answer is no grid", "2", "cut", one] in page.rows and ["answer is no grid", "1", "ragged", one] in page.rows
    assert ["broken task", "1", "train: missing <&>", "f00"] in page.rows
    assert sum(block.startswith(one) and "more views 0.5s" in block for block in page.blocks) == 1


def foretold(elapsed, trained, solved, **planned):
    return {"kind": "forecast", "elapsed": elapsed, "planned": planned, "answered": 2, "trained": trained, "solved": solved}


def test_forecasts_are_drawn_against_what_happened(public, tmp_path):
    challenges, solutions, (one, two) = only(public, 2)
    journal = Journal(tmp_path / "journal.jsonl", IDENTITY)
    results = [base([one, two], [[[]], [[]]]), trained(one, [candidates(solutions[one][0])], seconds=12.0), trained(two, [[]])]
    lines = [
        foretold(90.0, 2, 2.0, base=1.0),  # of a process that was killed
        foretold(5.0, 1, 0.5, base=6.0, ttt=18.0, views=6.0),
        *map(result_to_json, results[:2]),
        foretold(30.0, 2, 1.2, ttt=2.0),
        result_to_json(results[2]),
        END,
    ]
    for line in lines:
        journal.append(line)
    journal.close()
    board = Board(challenges, "hierarchical")
    for result in results:
        board.add(result)
    write = (tmp_path / "journal.jsonl", challenges, solutions, board.answers)
    page = Page(write_report(tmp_path / "r.html", *write).read_text())
    assert page.text.count("Forecast against what happened") == 1 and "5.0s after the start" in page.text
    table = page.text[page.text.index('id="planned"') :]
    shown = re.findall(r"<tr><td>(.*?)</td>(.*?)<td><div", table)
    assert [(name, re.findall(r">([\d.%]+)<", cells)) for name, cells in shown] == [
        ("cheap answer", ["6", "20%", "4", "22%"]),
        ("training + first views", ["18", "60%", "14", "78%"]),
        ("more views", ["6", "20%", "0", "0%"]),
    ]
    assert ["5.0s", "0", "2", "0", "1", "", "0.5"] in page.rows and ["30.0s", "2", "2", "1", "2", "", "1.2"] in page.rows
    assert ["1m01s", "2", "", "2", "", "1 in the end", ""] in page.rows and not any("1m30s" in row for row in page.rows)
    drawing = re.search(r'<svg id="forecast".*?</svg>', page.text)[0]
    assert drawing.count("<polyline") == 4 and "solved: 1" in drawing and "time since process start" in drawing
    assert [len(p.split()) for p in re.findall('points="(.*?)"', drawing)] == [2, 3, 2, 3]  # the axes last
    text = unsummed(tmp_path / "journal.jsonl").replace('"planned":{"ttt"', '"planned":{"ttt":"x"},"plan":{"ttt"')
    (tmp_path / "journal.jsonl").write_text(text)
    with pytest.raises(InputError, match="line 6 is not a forecast: ValueError"):
        write_report(tmp_path / "r.html", *write)


def test_forecasts_without_solutions_or_an_end(public, tmp_path):
    challenges, _, (one, two) = only(public, 2)
    lines = [foretold(5.0, 1, None, ttt=9.0), result_to_json(trained(one, [[]]))]
    journal = write_journal(tmp_path / "journal.jsonl", [], end=None)
    journal.write_text(unsummed(journal) + "".join(json.dumps(line) + "\n" for line in lines))
    answers = Board(challenges, "hierarchical").answers
    page = Page(write_report(tmp_path / "r.html", journal, challenges, None, answers).read_text())
    assert ["5.0s", "0", "2", "0", "1", "", ""] in page.rows and ["now", "0", "", "1", "", "", ""] in page.rows
    assert "foretold solved</text>" not in page.text and "<circle" not in page.text
    assert "Forecast against" not in report_without_forecasts(challenges, journal, answers, tmp_path)


def report_without_forecasts(challenges, journal, answers, folder):
    journal.write_text("".join(line for line in journal.read_text().splitlines(True) if "forecast" not in line))
    return write_report(folder / "r.html", journal, challenges, None, answers).read_text()


def test_page_stands_alone_and_its_pictures_are_the_grids(public, tmp_path):
    challenges, solutions, (name,) = only(public, 1)
    task, right = challenges.tasks[name], solutions[name][0]
    found = [wrong(right, i) for i in range(8)]
    votes = candidates(*(g for i, g in enumerate(found) for _ in range(9 - i)), right)  # the right one comes ninth
    page = report(tmp_path, [trained(name, [votes])], challenges, solutions)
    assert page.resources and all(r.startswith("data:image/png;base64,") for r in page.resources)
    drawn = [decode_png(base64.b64decode(r.split(",")[1]))[0] for r in page.resources]
    expected = [g for pair in task.train for g in (pair.input, pair.output)]
    expected += [task.test[0].input, right, found[0], found[1], *found[:5], right]
    assert len(drawn) == len(expected) and all(map(np.array_equal, drawn, expected))
    assert page.text.count('class="right"') == 1 and "candidate 9" in page.text and "candidate 6" not in page.text


def test_a_job_done_again_replaces_what_it_brought_before(public, tmp_path):
    challenges, solutions, (name,) = only(public, 1)
    right = solutions[name][0]
    again = trained(name, [candidates(wrong(right, 3))], seconds=1.5)
    page = report(tmp_path, [trained(name, [candidates(right)], cut=True), again], challenges, solutions)
    assert page.row(NOT_GENERATED)[1] == "1" and "1 of 1 votes" in page.text and "training + first views 3.5s" in page.text


def test_a_failed_job_neither_reaches_a_task_nor_takes_what_was_found(public, tmp_path):
    challenges, solutions, (found, lost) = only(public, 2)
    failed = [Result(Record(Job("ttt", (n,), 0, 8, 1), "cpu:0", 1.0, ok=False), error="NaN") for n in (found, lost)]
    page = report(tmp_path, [trained(found, [candidates(solutions[found][0])]), *failed], challenges, solutions)
    assert page.row(SOLVED)[1] == "1" and page.row(NOT_REACHED)[1] == "1" and "1 of 1 votes" in page.text


def test_without_solutions_or_a_closing_line(public, tmp_path):
    challenges, _, (name, other) = only(public, 2)
    page = report(tmp_path, [trained(name, [candidates(challenges.tasks[name].test[0].input)])], challenges, None, end=None)
    assert "strict" not in page.text and "expected output" not in page.text and 'class="right"' not in page.text
    assert "no closing line" in page.text and "Tasks: answer not known (1)" in page.text and other not in page.text


def test_ids_and_errors_from_files_are_escaped(tmp_path):
    name = "<script>alert(1)</script>&\ud800"
    grid = as_grid([[1, 2], [3, 4]])
    challenges = Challenges({name: Task(name, (Pair(grid, grid),), (Pair(grid),))}, {})
    failed = Result(Record(Job("views", (name,), 8), "cpu:0", 1.0, ok=False), error="<img src=http://x>")
    page = report(tmp_path, [trained(name, [candidates(grid)]), failed], challenges, {name: (grid,)})
    assert all(r.startswith("data:") for r in page.resources)  # and no <script>: `Page` refuses it
    assert any("<script>alert(1)</script>&" in block for block in page.blocks)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 5), (30, 30), (30, 29)])
def test_png_decodes_to_the_grid(shape):
    grid = as_grid(np.random.default_rng(sum(shape)).integers(0, 10, shape))
    indices, palette = decode_png(grid_png(grid))
    assert np.array_equal(indices, grid)
    colours = [palette[i : i + 3].hex() for i in range(0, len(palette), 3)]
    assert len(set(colours)) == 10 and colours[0] == "000000" and colours[5] == "aaaaaa"
    assert f'width="{shape[1] * 6}" height="{shape[0] * 6}"' in grid_image(grid, 6)


def test_loss_curve_falls_and_stays_short():
    ys = [float(p.split(",")[1]) for p in re.search('points="(.*?)"', loss_curve([1.0, 0.1, 0.01]))[1].split()]
    assert ys[0] < ys[1] < ys[2] and abs(ys[0] - 2 * ys[1] + ys[2]) < 0.2  # downwards is less; even steps of the logarithm
    assert len(re.search('points="(.*?)"', loss_curve(list(range(1000))))[1].split()) == CURVE_POINTS
    assert "nan" not in loss_curve([0.0]) and "nan" not in loss_curve([0.5, 0.5])


def test_proposals_put_trained_votes_first():
    a, b, c = (as_grid([[n]]) for n in range(3))
    found = proposals([*candidates(a, a, a, source="base"), *candidates(b, c, c), *candidates(b, source="base")])
    assert [(int(p.grid[0, 0]), p.trained, p.untrained, p.log_prob) for p in found] == [
        (2, 2, 0, -1.25), (1, 1, 1, -0.25), (0, 0, 3, -0.25),
    ]  # fmt: skip


def test_four_hundred_tasks_stay_small(public, tmp_path):
    challenges, solutions = public
    rng = np.random.default_rng(0)
    results = []
    for name, outputs in solutions.items():
        tests = [candidates(*(g if rng.random() < 0.3 else wrong(g, int(rng.integers(8))) for _ in range(16))) for g in outputs]
        results.append(trained(name, tests, losses=rng.random(64)))
    journal = write_journal(tmp_path / "journal.jsonl", results[:1])
    text = unsummed(journal)  # without an fsync a line
    journal.write_text(text + "".join(json.dumps(result_to_json(result)) + "\n" for result in results[1:]))
    answers = Board(challenges, "flattened").answers
    path = write_report(tmp_path / "report.html", journal, challenges, solutions, answers)
    page = Page(path.read_text())
    assert sum(re.match("[0-9a-f]{8}not", block) is not None for block in page.blocks) == 400
    assert path.stat().st_size < 6_000_000


def test_long_pages_stop_drawing_and_say_so(public, tmp_path, monkeypatch):
    challenges, solutions, names = only(public, 3)
    monkeypatch.setattr("solution.report.page.MAX_BYTES", 10)
    page = report(tmp_path, [trained(n, [candidates(wrong(solutions[n][0], 0))]) for n in names], challenges, solutions)
    assert "Tasks: not generated (3, 2 of them not drawn to keep the file small)" in page.text
    assert page.row(NOT_GENERATED)[1] == "3"


def test_command_chooses_the_answers_anew(public, tmp_path, capsys):
    name = next(n for n, task in public[0].tasks.items() if len(task.test) == 1)
    folder = tmp_path / "a.run"
    write_journal(folder / "journal.jsonl", [trained(name, [candidates(public[1][name][0])])])
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert "strict <b>1</b> of 400 tasks" in (folder / "report.html").read_text()
    assert main([str(folder / "journal.jsonl"), "--output", str(tmp_path / "b.html")]) == 0
    assert (tmp_path / "b.html").read_text() == (folder / "report.html").read_text()


def test_bad_input_is_one_line(public, tmp_path, capsys):
    def fault(*arguments) -> str:
        assert main([str(a) for a in arguments]) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        return error

    name = next(iter(public[0].tasks))
    good = write_journal(tmp_path / "good.jsonl", [trained(name, [[]] * len(public[0].tasks[name].test))])
    other = tmp_path / "other.jsonl"
    first_line = unsummed(good).splitlines()[0].encode()
    assert "cannot be read" in fault(tmp_path / "missing.jsonl")
    other.write_text('{"a": 1}\n')
    assert "not the journal" in fault(other)
    other.write_bytes(first_line + b'\n{"kind":"job","record":{}}\n')
    assert "line 2 is not a job" in fault(other)
    other.unlink()
    write_journal(other, [trained("nowhere", [[]])])
    assert "task nowhere is not in the input" in fault(other)
    other.unlink()
    write_journal(other, [trained(name, [[]] * 5)])
    assert "answers to 5 test inputs" in fault(other)
    other.write_bytes(first_line.replace(b"hierarchical", b"by-dice") + b"\n")
    assert "selects by 'by-dice'" in fault(other)
    assert "cannot be written" in fault(good, "--output", tmp_path / "no folder" / "r.html")
    assert "missing.json" in fault(good, "--input", tmp_path / "missing.json")
    (tmp_path / "folder.html").mkdir()
    assert "cannot be written" in fault(good, "--output", tmp_path / "folder.html")
    assert not list(tmp_path.glob("*.tmp"))


def test_write_report_raises_by_kind(public, tmp_path):
    challenges, solutions = public
    with pytest.raises(InputError, match="not the journal"):
        (tmp_path / "empty").touch()
        write_report(tmp_path / "r.html", tmp_path / "empty", challenges, solutions, {})
    journal = write_journal(tmp_path / "j.jsonl", [])
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(tmp_path / "gone" / "r.html", journal, challenges, None, Board(challenges, "flattened").answers)


def test_voting_methods_are_compared_on_the_trained_views_alone(public, tmp_path):
    challenges, solutions, (one, two, three, four) = only(public, 4)
    found = Record(Job("program", (two,), 0, 0), "cpu:0", 1.0, explained=True, confidence=0.9)
    results = [
        trained(one, [candidates(wrong(solutions[one][0], 0), solutions[one][0])]),  # views identity and rot90
        Result(found, {two: [candidates(solutions[two][0], source="program")]}),
        trained(two, [candidates(wrong(solutions[two][0], 0))]),
        base([three], [[candidates(solutions[three][0], source="base")]]),
    ]
    page = report(tmp_path, results, challenges, solutions)
    assert "strict <b>3</b> of 4 tasks" in page.text and "of 4 tasks 2 have such views" in page.text
    for name in ("flattened", "hierarchical", "oracle", "rotate", "untrained, flattened"):
        assert page.row(name)[1:3] == page.row(name)[4:6] == ["1", "25.00%"] and page.row(name)[3] == "0.00% to 75.00%"
    assert page.row("vanilla")[1:] == ["0", "0.00%", "0.00% to 0.00%"] * 2
