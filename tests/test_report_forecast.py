"""The forecast: the sum it claims, from any state of a run, without changing it; and how many of them are drawn."""

import copy
import random
import re

import numpy as np
import pytest

from solution.arc.score import bootstrap_interval
from solution.driver.journal import Result
from solution.preset import DEFAULT
from solution.report.forecast import MOST_DRAWN, WIDTH, Forecast, forecast_from_json, forecast_section, of_last_process
from solution.report.methods import interval
from solution.schedule.allocate import next_job
from solution.schedule.cost import CostModel
from solution.schedule.job import STAGES, Job, Progress, Record, TaskSize
from solution.schedule.plan import planned_run

DEVICES = ["cpu:0", "cuda:0", "search:0"]


def random_run(seed: int, count: int = 12):
    """Sizes, a cost model, what was done and what is in flight at some moment of a run."""
    rng = random.Random(seed)
    sizes = {f"t{i}": TaskSize(rng.randint(50, 3000), rng.randint(10, 300), rng.randint(50, 3000), 1, 3) for i in range(count)}
    cost, progress = CostModel(sizes, DEFAULT, 3000.0), Progress()
    flying = {}
    for _ in range(rng.randint(0, 30)):
        place = rng.randrange(len(DEVICES))
        if place in flying:
            job, _ = flying.pop(place)
            seconds = cost.seconds(job, DEVICES[place]) * rng.uniform(0.5, 1.5)
            found = {task: rng.random() for task in job.tasks}
            sure = rng.choice((None, rng.random())) if job.stage == "program" else None
            record = Record(job, DEVICES[place], seconds, agreement=found, confidence=sure, explained=(sure or 0) > 0.6)
            progress.add(record)
            cost.observe(job, DEVICES[place], seconds)
        running = {job for job, _ in flying.values()}
        job = next_job(progress, cost, DEFAULT, running, DEVICES[place], 1e5, DEVICES)
        if job is not None:
            flying[place] = (job, rng.uniform(0, 2))
    return cost, progress, flying


def right_now(cost, progress):
    return sum(DEFAULT.gains.right(size, progress.shown(task)) for task, size in cost.sizes.items())


@pytest.mark.parametrize("seed", range(20))
def test_a_forecast_is_what_is_right_now_and_what_its_jobs_add(seed):
    cost, progress, flying = random_run(seed)
    before = copy.deepcopy(vars(progress))
    none = planned_run(cost, DEFAULT, DEVICES, 0.0, progress)
    some, all_ = (planned_run(cost, DEFAULT, DEVICES, seconds, progress, flying) for seconds in (30.0, 1e7))
    assert vars(progress) == before
    assert none.solved == pytest.approx(right_now(cost, progress))
    assert none.answered == len(progress.answered) and none.trained == len(progress.trained)
    assert none.solved <= some.solved + 1e-6 and all_.solved <= len(cost.sizes)
    assert sum(some.seconds.values()) <= 30.0 * len(DEVICES) + 1e-6 and set(some.seconds) == set(STAGES)
    assert all_.trained == all_.answered == len(cost.sizes)  # with enough time everything is done
    assert planned_run(cost, DEFAULT, DEVICES, 30.0, progress, flying) == some


def test_the_sum_by_hand():
    sizes = {"a": TaskSize(400, 50, 300, 1, 3)}
    cost, progress = CostModel(sizes, DEFAULT, 3000.0), Progress()
    gains, size = DEFAULT.gains, sizes["a"]
    first = Job("program", ("a",), 0, 0)
    whole = cost.seconds(first, "search:0")
    cut = planned_run(cost, DEFAULT, ["search:0"], 0.25 * whole, progress, {0: (first, 0.25 * whole)})
    assert cut.solved == pytest.approx(0.5 * gains.program(size, progress.shown("a")))  # half of it will be done
    assert cut.seconds["program"] == pytest.approx(0.25 * whole)
    done = planned_run(cost, DEFAULT, ["search:0"], 1e6, progress, {0: (first, 0.25 * whole)})
    expected, missed, state = 0.0, 1.0, Progress()
    for number in range(len(DEFAULT.program.tries)):
        chance = gains.program(size, state.shown("a"))
        expected, missed = expected + missed * chance, missed * (1 - chance)
        state.add(Record(Job("program", ("a",), number, 0), "search:0", 1.0))
    assert done.solved == pytest.approx(expected)


def test_a_slice_of_a_training_adds_nothing_until_the_decoding():
    sizes = {"a": TaskSize(400, 50, 300, 1, 3)}
    cost, progress = CostModel(sizes, DEFAULT, 3000.0), Progress()
    progress.add(Record(Job("base", ("a",)), "cuda:0", 1.0))
    part = Job("ttt", ("a",), 0, DEFAULT.first_views, num_steps=4)
    whole = cost.seconds(part, "cuda:0")
    assert planned_run(cost, DEFAULT, ["cuda:0"], whole, progress, {0: (part, 0.0)}).solved == right_now(cost, progress)


def test_many_forecasts_are_thinned_and_stay_inside_the_drawing():
    forecasts, results = [], []
    for i in range(1380):
        forecasts.append(
            Forecast(30.0 * i + 9, {"ttt": 100.0}, 400, min(400, 3 * i), 100 - 40 * np.exp(-i / 200), len(results), i // 20)
        )
        results.append(Result(Record(Job("ttt", (f"t{i % 400}",), 0, 8), "cuda:0", 9.0)))
    section = forecast_section(forecasts, results, 41380.0, 70)
    drawing = re.search(r'<svg id="forecast".*?</svg>', section)[0]
    *lines, _ = re.findall('points="(.*?)"', drawing)
    assert [len(points.split()) for points in lines] == [MOST_DRAWN, MOST_DRAWN + 1, MOST_DRAWN, MOST_DRAWN + 1]
    spots = np.array([[float(v) for v in pair.split(",")] for points in lines for pair in points.split()])
    assert spots.min() >= 0 and spots[:, 0].max() <= WIDTH and spots[:, 1].max() <= 240
    assert section.count("<tr>") < MOST_DRAWN + 10
    places = [float(y) for y in re.findall(r'<text x="498" y="([\d.]+)"', drawing)]
    assert len(places) == 4 and min(np.diff(sorted(places))) >= 13.9 and max(places) <= 240
    assert ">400<" in section and "70 in the end" in section


def test_older_forecast_lines_are_read():
    line = {"kind": "forecast", "elapsed": 3, "planned": {"base": 2}, "answered": 1, "trained": 0, "solved": None}
    assert forecast_from_json(line, 4) == Forecast(3.0, {"base": 2.0}, 1, 0, None, 4)
    assert forecast_from_json(line | {"right": 2}, 4).right == 2


def test_processes_are_told_apart_by_number_or_by_a_clock_that_starts_anew():
    def made(*figures):
        return [Forecast(elapsed, {}, 0, 0, None, 0, None, process) for elapsed, process in figures]

    killed = made((6.0, 1), (36.0, 1), (37.0, 2), (38.0, 2))
    assert of_last_process(killed) == killed[2:] and of_last_process(killed[:2]) == killed[:2]
    older = made((6.0, None), (36.0, None), (6.5, None))
    assert of_last_process(older) == older[2:] and of_last_process([]) == []


def test_intervals_of_the_table_are_the_ones_of_the_score():
    rng = random.Random(3)
    for count in (1, 7, 50):
        flags = [tuple(rng.random() < 0.3 for _ in range(rng.randint(1, 3))) for _ in range(count)]
        assert interval(flags) == pytest.approx(bootstrap_interval(flags), abs=1e-12)
