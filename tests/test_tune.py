"""Budget tuning: what the journals say stands, what they cannot say is said, the same by seed, bad input is named."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from solution.arc.load import InputError
from solution.arc.task import as_grid
from solution.arc.view import View
from solution.decode.candidate import Candidate
from solution.driver.clock import Closing
from solution.driver.journal import Journal, Result, result_to_json
from solution.preset import DEFAULT, PRESETS
from solution.program.settings import ProgramConfig
from solution.schedule.impute import Measured
from solution.schedule.job import Job, Record, TaskSize
from solution.schedule.trace import TaskTrace, Trace
from solution.schedule.virtual import Device
from solution.tune.__main__ import NUMBERS, PAGE, main
from solution.tune.advice import choose
from solution.tune.forecast import Forecast, Forecaster, Setting, with_steps, with_views
from solution.tune.machine import describe, one_dies, parse_devices, scaled
from solution.tune.words import duration
from solution.tune.world import measurements, scatter, settled, world

from .test_report import Page

TASKS = [f"t{i:02}" for i in range(24)]
PICTURES = {"score_by_hours.png", "steps_and_views.png", "time_by_stage.png", "tasks_reached.png", "machine.png"}
SMALL = replace(DEFAULT, first_views=2, more_views=2, program=ProgramConfig((100,)))
"""Two views, two more where they disagree, one round of program search."""


# -- dry runs made by hand


def write_tasks(folder):
    """24 tasks whose answer is a lone 1, the later ones larger; -> the options that name their files."""
    wide = [[[0] * (2 + i)] * (1 + i // 4) for i in range(len(TASKS))]
    pairs = [{"input": grid, "output": [[1]]} for grid in wide]
    challenges = {name: {"train": [pair] * 2, "test": [{"input": pair["input"]}]} for name, pair in zip(TASKS, pairs)}
    (folder / "tasks.json").write_text(json.dumps(challenges))
    (folder / "solutions.json").write_text(json.dumps({name: [[[1]]] for name in TASKS}))
    return ["--input", folder / "tasks.json", "--solutions", folder / "solutions.json"]


def found(*values, source="ttt"):
    return [[Candidate(as_grid([[value]]), View(symmetry=i), -1.0 - i, source) for i, value in enumerate(values)]]


def write_run(folder, preset=SMALL, trained=12, right=6, weights="w", device="cpu"):
    """A run that answers and searches all tasks (every sixth explained) and trains `trained`, of which `right` get right."""
    folder.mkdir(parents=True)
    busy, journal = (
        [],
        Journal(folder / "journal.jsonl", {"preset": preset.as_dict(), "weights": weights, "dtype": "f", "seed": 0}),
    )

    def add(stage, tasks, number, seconds, candidates, **kwargs):
        record = Record(Job(stage, tuple(tasks), *kwargs.pop("views", (0, 1))), f"{device}:{number % 2}", seconds, **kwargs)
        tokens = {"prompt": 1000, "new": 100}
        busy.append(seconds)
        journal.append(result_to_json(Result(record, candidates, tokens=tokens)))

    add("base", TASKS, 0, 6.0, {name: found(3, source="base") for name in TASKS})
    for i, name in enumerate(TASKS):
        explained = i % 6 == 0
        if preset.program is not None:
            grids = found(1, source="program") if explained else [[]]
            add("program", [name], i, 1.0 + i / 10, {name: grids}, views=(0, 0), explained=explained)
    for i, name in enumerate(TASKS[:trained]):
        values = (1, 1) if i < right else (4, 5)
        agreement = {name: 1.0 if i < right else 0.5}
        add(
            "ttt",
            [name],
            i,
            (20.0 + 2 * i) * preset.train.steps / 32,
            {name: found(*values)},
            views=(0, 2),
            agreement=agreement,
        )
        if i >= right:
            add("views", [name], i, 2.0, {name: found(6, 7)}, views=(2, 2), agreement={name: 0.25})
    seconds = 12 + sum(busy) / 2
    journal.append({"kind": "end", "seconds": seconds, "budget": seconds + 3, "ended": "budget"})
    journal.close()
    return folder


def tune(capsys, *arguments):
    code = main([*map(str, arguments), "--replays", "3"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return out


@pytest.fixture
def options(tmp_path):
    return write_tasks(tmp_path)


def test_the_page_says_what_to_set_and_what_to_expect(tmp_path, options, capsys):
    run = write_run(tmp_path / "night.run")
    out = tune(capsys, run, *options, "--budget", "10m", "--devices", "cpu:2", "--tasks", "30")
    folder = run / "tune"
    assert {path.name for path in folder.iterdir()} == {PAGE, NUMBERS, *PICTURES}
    page = Page((folder / PAGE).read_text())
    assert len(page.resources) == len(PICTURES) and all(r.startswith("data:image/png;base64,") for r in page.resources)
    numbers = json.loads((folder / NUMBERS).read_text())
    score = numbers["score"]
    assert 0 <= score["low"] <= score["mean"] <= score["high"] <= 1 and numbers["tasks"] == 30 and numbers["budget"] == 600
    assert f"Expect {100 * score['mean']:.1f} % of 30 tasks right" in page.text and "Expect" in out.splitlines()[0]
    assert page.row("TTT steps (train.steps)")[1:3] == ["32", "32"]
    assert page.row("solvers (--solvers)")[1] == "ttt,program"
    assert page.row("reserve")[2] == "2.8s" and round(Closing.foretold(30).reserve(600), 1) == 2.8
    for said in ("12 of 24 tasks trained, 6 of these right", "24 searched for programs, 4 explained", "30 % slower",
                 "all journals have 32", "no task was decoded in more", "solved 9 of 24", "half-way",
                 "python submission.py --budget 10m", "16 steps a task instead of 32"):  # fmt: skip
        assert said in page.text and said in " ".join(out.split())
    assert set(numbers["by_machine"]) == {
        "half as fast", "30 % slower", "30 % faster", "twice as fast", "one worker stops half-way",
    }  # fmt: skip
    assert [float(budget) for budget in numbers["by_budget"]] == [600 * k for k in (1 / 32, 1 / 16, 1 / 8, 0.25, 0.5, 1, 1.5)]


def test_a_run_that_trained_nothing_is_forecast_by_the_gain_model(tmp_path, options, capsys):
    out = tune(capsys, write_run(tmp_path / "short.run", trained=0), *options, "--budget", "2m", "--tasks", "same")
    assert "0 of 24 tasks trained" in " ".join(out.split()) and "gain model" in " ".join(out.split())


def test_the_same_seed_gives_the_same_files(tmp_path, options, capsys):
    run = write_run(tmp_path / "run")
    files = []
    for seed in (1, 1, 2):
        tune(capsys, run, *options, "--budget", "5m", "--seed", seed, "--tasks", "20", "--output", tmp_path / "out")
        files.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert files[0] == files[1] and files[0][NUMBERS] != files[2][NUMBERS]


def test_journals_of_other_steps_are_compared_and_the_better_one_advised(tmp_path, options, capsys):
    longer = replace(SMALL, train=replace(SMALL.train, steps=64))
    runs = [write_run(tmp_path / "32" / "r", right=1), write_run(tmp_path / "64" / "r", longer, right=11)]
    tune(capsys, *runs, *options, "--budget", "8h", "--tasks", "60", "--output", tmp_path / "out")
    page, numbers = Page((tmp_path / "out" / PAGE).read_text()), json.loads((tmp_path / "out" / NUMBERS).read_text())
    assert numbers["steps"] == 64 and page.row("TTT steps (train.steps)")[1:3] == ["32", "64"]
    assert "Change the numbers in the table" in page.text and "--preset default --set train.steps=64" in page.text
    assert "all journals have" not in page.text and any("(64/r)" in name for name in numbers["compared"])


def test_journals_of_one_kind_are_one_group_and_lend_their_searches(tmp_path, options, capsys):
    alone = replace(SMALL, program=None)
    short, long = write_run(tmp_path / "short", trained=3), write_run(tmp_path / "long", alone, trained=20)
    tune(capsys, short, long, *options, "--tasks", "20", "--budget", "5m", "--output", tmp_path / "a")
    page = Page((tmp_path / "a" / PAGE).read_text())
    assert "Measured in short + long: 20 of 24 tasks trained" in page.text and "24 searched" in page.text
    other = write_run(tmp_path / "other", alone, weights="v")
    tune(capsys, other, short, *options, "--tasks", "20", "--budget", "5m", "--output", tmp_path / "b")
    page = Page((tmp_path / "b" / PAGE).read_text())
    compared = json.loads((tmp_path / "b" / NUMBERS).read_text())["compared"]
    assert next(iter(compared)) == "ttt: 32 steps, 2 + 2 views (other)"  # as it was run, first
    assert "ttt,program: 32 steps, 2 + 2 views (other)" in compared and "it takes the searches of short" in page.text


def test_gpus_that_no_journal_knows_are_named_as_a_guess(tmp_path, options, capsys):
    run = write_run(tmp_path / "run", replace(SMALL, program=None), trained=3, right=1)
    out = tune(capsys, run, *options, "--budget", "5m", "--devices", "cuda:0x3,cuda:1x3", "--tasks", "same")
    said = " ".join(out.split())
    assert "How fast cuda is: the journals are of cpu." in said and "cuda:0x3, cuda:1x3, search:0" in said
    assert "no journal searched" in said and "With 1 trained tasks right" in said and "of 24 tasks right" in said
    assert "The machine's speed is a guess" in out.splitlines()[0]


def test_bad_input_is_one_line_and_exit_code_2(tmp_path, options, capsys):
    run = write_run(tmp_path / "run")

    def fault(*arguments):
        assert main(list(map(str, arguments))) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("solution.tune: ") and err.count("\n") == 1
        return err

    assert "cannot be read" in fault(tmp_path / "missing", *options)
    (tmp_path / "empty").touch()
    assert "not the journal of a run" in fault(tmp_path / "empty", *options)
    assert "--budget: 'soon'" in fault(run, *options, "--budget", "soon")
    assert "--devices: 'tpu'" in fault(run, *options, "--devices", "tpu")
    assert "--tasks: 'many'" in fault(run, *options, "--tasks", "many") and "--tasks" in fault(run, *options, "--tasks", "0")
    assert "--budget: 5.0s is used up by start-up (12.0s" in fault(run, *options, "--budget", "5")
    assert "--replays: 1" in fault(run, *options, "--replays", "1")
    assert "--searchers: -1" in fault(run, *options, "--searchers", "-1")
    assert "without --solutions" in fault(run, *options[:2]) and "needs --input" in fault(run, *options[2:])
    assert "task t00 is not in the input" in fault(run)  # of the public sets
    joint = write_run(tmp_path / "joint", PRESETS["joint"])
    assert "joint adapter" in fault(joint, *options)
    line = (run / "journal.jsonl").read_text().splitlines()[0]
    (tmp_path / "started").write_text(line + "\n")
    assert "no job was finished" in fault(tmp_path / "started", *options)
    odd = re.sub(',"sum":.*', "}", re.sub('"preset":{.*?},"weights"', '"preset":3,"weights"', line))
    (tmp_path / "odd").write_text(odd + "\n")  # without its checksum, as earlier versions wrote it
    assert "its preset cannot be read" in fault(tmp_path / "odd", *options)
    (tmp_path / "file").touch()
    assert "cannot be written" in fault(run, *options, "--replays", "2", "--budget", "1m", "--output", tmp_path / "file")


# -- machines


def test_devices_as_the_options_name_them():
    def names(text, known=("cpu:0",), searchers=1):
        return describe(parse_devices(text, known, searchers))

    assert names("cuda:0,cuda:1") == "cuda:0, cuda:1, search:0" and names("cuda:1x2.5", searchers=0) == "cuda:1x2.5"
    assert names("cpu:2") == names("2") == names("cpu,cpu") == "cpu:0, cpu:1"
    assert names("2x3", ("cuda:0", "search:0")) == "cuda:0x3, cuda:1x3, search:0"
    assert names("cuda:0,search:0x2") == "cuda:0, search:0x2"
    for bad in ("", "gpu", "2x", "cuda:0x0", "0", "65", "cuda:0,cuda:0", "search:0", "2x-1"):
        with pytest.raises(InputError, match="--devices"):
            parse_devices(bad, ("cpu:0",), 1)


def test_other_machines():
    machine = [Device("cuda:0", 2.0), Device("cuda:1")]
    assert [d.speed for d in scaled(machine, 0.5)] == [1.0, 0.5]
    assert [d.dies_at for d in one_dies(machine, 9)] == [9, float("inf")]
    assert [duration(s) for s in (43200, 5400, 2700, 8.3)] == ["12h", "1h30m", "45m", "8.3s"]


# -- worlds


def toy(count=60, trained=40):
    """Tasks of one size; the first `trained` trained, right where programs explain them: every fourth."""
    size = TaskSize(400, 20, 400, 1, 3)
    tasks = {}
    for i in range(count):
        explained, stages = i % 4 == 0, {"base", "program"} | ({"ttt", "views"} if i < trained else set())
        right = (float(explained),) * 4 if i < trained else (0.25,) * 4
        tasks[f"{i:03}"] = TaskTrace(
            size, base=0.1, train=10.0 + i % 3, view=1.0, search=(1.0, 5.0), views_right=right,
            agreement=(1.0,) * 4 if i < trained else None, explains=(float(explained), 0.0 if explained else 0.3),
            explained_right=1.0, searched=1, measured=frozenset(stages),
        )  # fmt: skip
    return Trace("toy", tasks, 32)


PRESET = replace(DEFAULT, first_views=2, more_views=2)


def test_measurements_are_what_was_measured():
    tasks = toy().tasks
    first, second, last = (measurements(tasks[name], PRESET) for name in ("000", "001", "059"))
    assert first.search == (1.0,) and first.explained and first.ttt == 12.0 and first.views_right == (1.0,) * 4
    assert second.search == (1.0,) and not second.explained  # its second round is a chance
    assert last.ttt is last.view is None and last.agreement == () and last.base == 0.1
    assert measurements(replace(tasks["059"], measured=frozenset()), PRESET) == Measured()


def test_a_world_is_drawn_by_seed_in_any_number_of_tasks():
    one, again, other = (world(toy(), PRESET, seed, 100) for seed in (1, 1, 2))
    assert one == again != other and len(one.tasks) == 100 and one.certain
    same = [world(toy(), PRESET, seed) for seed in (1, 1, 2)]
    assert same[0] == same[1] != same[2] and same[0].tasks.keys() == toy().tasks.keys()
    known = [(t.base, t.search[0], t.train) for t in toy().tasks.values() if "ttt" in t.measured]
    assert all([(t.base, t.search[0], t.train) for t in w.tasks.values() if "ttt" in t.measured] == known for w in same)
    unanswered = replace(toy(), tasks={n: replace(t, measured=frozenset({"program"})) for n, t in toy().tasks.items()})
    with pytest.raises(ValueError, match="no cheap answer"):
        world(unanswered, PRESET, 0, 10)
    assert scatter(unanswered) == 0 and 0 < scatter(toy()) < 0.2


def test_what_programs_explain_is_easier_for_the_model_too():
    worlds = [settled(toy(), PRESET, seed) for seed in range(30)]
    for explained, low, high in ((True, 0.7, 1.0), (False, 0.0, 0.1)):
        flags = [t.views_right[-1] for w in worlds for t in list(w.tasks.values())[40:] if (1.0 in t.explains) == explained]
        assert low < np.mean(flags) <= high
    assert all(w.tasks["000"].views_right == (1.0,) * 4 and w.tasks["001"].views_right == (0.0,) * 4 for w in worlds)


# -- forecasts


class Group:
    """Evidence as far as a forecast needs it."""

    name, trace, preset = "toy", toy(), PRESET


def test_forecasts_meet_the_same_worlds_and_more_time_is_better():
    ticks = []
    forecaster = Forecaster(50, 6, 0, lambda: ticks.append(1))
    setting, machine = Setting(Group(), PRESET), [Device("cpu:0")]
    short, long = (forecaster(setting, machine, seconds) for seconds in (60, 5000))
    assert len(ticks) == 12 and (short.right <= long.right).all() and short.mean < long.mean and short.tasks == 50
    fast = forecaster(setting, scaled(machine, 2), 2500)
    assert (abs(fast.right - long.right) <= 1).all()  # twice the speed is half the time
    assert sum(long.stages.values()) == pytest.approx(5000) and (long.ends < 5000).all()
    assert list(long.reached["base"][[0, -1]]) == [0, 50] and long.share_of("ttt") > 0.1
    assert long.band[0] <= long.mean <= long.band[1]
    assert setting.views == "2 + 2" and with_views(setting, 4, 0).views == "4" and setting.solvers == "ttt,program"
    slower = forecaster(with_steps(setting, 320), machine, 600)
    assert slower.right.mean() < forecaster(setting, machine, 600).right.mean()


def forecast(*right, tasks=100):
    return Forecast(Setting(Group(), PRESET), 1.0, tasks, np.array(right, float), np.ones(len(right)), {}, {})


def test_only_what_is_clearly_better_is_advised():
    own = forecast(10, 20, 30, 40)
    assert choose({"own": own, "luck": forecast(60, 10, 30, 40)}, "own") == "own"  # worse in one world of four
    assert choose({"own": own, "hair": forecast(10, 20, 30, 41)}, "own") == "own"  # a quarter of a point
    assert choose({"own": own, "good": forecast(11, 21, 31, 41), "best": forecast(12, 22, 32, 42)}, "own") == "best"


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert re.search(r"examples:\n  python -m solution\.tune \S", capsys.readouterr().out)
