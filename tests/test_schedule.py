"""The allocator, the cost model and the plan: pure, breadth first, inside the deadline, the same for any interleaving."""

import math
import random
from dataclasses import replace

import pytest

from solution.preset import DEFAULT, PRESETS
from solution.program.settings import ProgramConfig
from solution.schedule.allocate import base_jobs, due_seconds, exhausted, next_job
from solution.schedule.cost import FIRST_GUESS, CostModel, family, kind
from solution.schedule.job import MAX_ATTEMPTS, STAGES, Job, Progress, Record, TaskSize
from solution.schedule.plan import planned_run, starved


def sizes(count=30, seed=0):
    rng = random.Random(seed)
    found = {}
    for i in range(count):
        item, tests = rng.randint(100, 4000), rng.randint(1, 2)
        found[f"t{i:02}"] = TaskSize(item * tests, rng.randint(5, 400) * tests, item, tests, rng.randint(2, 5))
    return found


def simulate(preset, seconds, workers=2, fail=lambda job: False, seed=0, speed=4000.0, guess=FIRST_GUESS, count=30):
    """Run the allocator on a virtual clock with noise; -> (progress, [(start, end, job, device)])."""
    rng = random.Random(seed)
    cost, progress, running, log, now = CostModel(sizes(count), preset, guess), Progress(), {}, [], 0.0
    devices = [f"cpu:{i}" for i in range(workers)]
    while True:
        for device in devices:
            if device not in running:
                job = next_job(progress, cost, preset, {j for _, _, j in running.values()}, device, seconds - now, devices)
                if job is not None:
                    took = cost.work(job) / (speed if family(kind(job)) == "neural" else 1.0) * rng.uniform(0.8, 1.2)
                    end = min(now + took, max(seconds, now)) if job.stage == "ttt" else now + took  # the clock cuts training
                    running[device] = (end, now, job)
                    log.append((now, end, job, device))
        if not running:
            return progress, log
        device = min(running, key=lambda d: running[d][0])
        now, start, job = running.pop(device)
        ok = not fail(job)
        agreement = {t: rng.choice([0.3, 0.9]) for t in job.tasks}
        cut = job.stage == "ttt" and now == seconds
        progress.add(Record(job, device, now - start, ok=ok, cut=cut, agreement=agreement if ok else {}))
        if ok and not cut:
            cost.observe(job, device, now - start)


def test_every_task_gets_its_cheap_answer_before_any_is_trained():
    progress, log = simulate(DEFAULT, 1e9)
    cheap = {stage: [e for e in log if kind(e[2]) == stage] for stage in ("base", "program 0")}
    first_expensive = min(start for start, _, job, _ in log if kind(job) not in cheap)
    assert all(start <= first_expensive for jobs in cheap.values() for start, _, _, _ in jobs)
    assert log[0][2].stage == "base" and len(cheap["program 0"]) == len(sizes())
    assert max(e[1] for e in cheap["program 0"]) < max(e[1] for e in cheap["base"])  # the better cheap answer comes first
    assert progress.answered == progress.trained == set(sizes())
    assert exhausted(progress, sizes(), DEFAULT)
    again = {t for t in sizes() if progress.rounds[t]}
    assert again and all(progress.rounds[t] <= DEFAULT.rounds for t in again)  # further views only where votes disagreed


def test_base_jobs_hold_each_task_once_smallest_first():
    jobs = base_jobs(sizes(), DEFAULT)
    tasks = [t for j in jobs for t in j.tasks]
    assert sorted(tasks) == sorted(sizes())
    assert [sizes()[t].prompt_tokens for t in tasks] == sorted(s.prompt_tokens for s in sizes().values())
    assert base_jobs({}, DEFAULT) == []


@pytest.mark.parametrize("seconds", [5, 60, 400])
def test_nothing_is_started_that_is_not_predicted_to_fit(seconds):
    for seed in range(5):
        _, log = simulate(DEFAULT, seconds, seed=seed, guess=4000.0)
        assert log and max(end for _, end, _, _ in log) <= seconds


def test_two_workers_never_hold_the_same_task():
    """But for a search, which may run beside the model's work on a task."""
    _, log = simulate(DEFAULT, 1e9, workers=3)
    for i, (start, end, job, _) in enumerate(log):
        for other_start, other_end, other, _ in log[:i]:
            if start < other_end - 1e-9 and other_start < end - 1e-9:
                assert family(kind(job)) != family(kind(other)) or not set(job.tasks) & set(other.tasks)


def test_any_interleaving_does_the_same_jobs():
    def done(workers, seed):
        progress, log = simulate(replace(DEFAULT, rounds=0), 1e9, workers, seed=seed)
        return {(j.stage, j.tasks, j.first_view, j.num_views) for _, _, j, _ in log}

    assert done(1, 0) == done(2, 1) == done(3, 2)


def test_failures_are_retried_smaller_then_given_up_and_never_block_the_others():
    broken = "t03"
    progress, log = simulate(DEFAULT, 1e9, fail=lambda job: broken in job.tasks)
    mine = [job for _, _, job, _ in log if broken in job.tasks]
    assert [j.attempt for j in mine if j.stage == "base" and j.tasks == (broken,)] == list(range(MAX_ATTEMPTS))
    assert [j.attempt for j in mine if j.stage == "ttt"] == list(range(MAX_ATTEMPTS))
    assert progress.answered == progress.trained == set(sizes()) - {broken}


@pytest.mark.parametrize("answered, failed", [(("t01",), ("t02", "t03")), ((), ("t02",))])
def test_a_failure_of_part_of_a_batch_is_counted(answered, failed):
    """A part (what a resume left of a batch, or a single task of one that did not fit) must not be tried for ever."""
    some = {name: size for name, size in sizes().items() if name in ("t01", "t02", "t03")}
    progress, cost = Progress(), CostModel(some, DEFAULT)
    if answered:
        progress.add(Record(Job("base", answered), "a", 1.0))
    progress.add(Record(Job("base", failed), "a", 1.0, ok=False))
    tried = []
    while (job := next_job(progress, cost, DEFAULT, set(), "a", 1e9)) and job.stage == "base":
        tried.append(job)
        progress.add(Record(job, "a", 1.0, ok=False))
        assert len(tried) < 20
    assert {t for j in tried for t in j.tasks} == set(some) - set(answered)
    assert all(len(j.tasks) == 1 for j in tried if set(j.tasks) & set(failed))


def test_cost_model_learns_each_devices_speed():
    cost = CostModel(sizes(), DEFAULT)
    job = Job("ttt", ("t00",), 0, 8)
    assert cost.seconds(job, "a") == pytest.approx(cost.work(job) / FIRST_GUESS)
    for task in ("t01", "t02", "t03"):
        done = Job("ttt", (task,), 0, 8)
        cost.observe(done, "a", cost.work(done) / 500)
        cost.observe(done, "b", cost.work(done) / 5000)
    assert cost.seconds(job, "a") == pytest.approx(cost.work(job) / 500)
    assert cost.seconds(job, "b") == pytest.approx(cost.work(job) / 5000)
    assert cost.seconds(Job("base", ("t00",)), "a") == pytest.approx(cost.work(Job("base", ("t00",))) / 500)
    assert 0 < cost.decode_seconds(job, "a") < cost.seconds(job, "a")


def test_a_device_ten_times_slower_than_guessed_still_ends_in_time():
    _, log = simulate(DEFAULT, 300, speed=FIRST_GUESS / 10)
    late = [end for _, end, _, _ in log if end > 300]
    assert len(late) <= 2 and all(end < 300 * 13 for end in late)  # at most each worker's first job, before it is known
    assert sum(end - start for start, end, _, _ in log) > 350  # of 600 device-seconds


@pytest.mark.parametrize("preset", ["joint", "shared-adapter"])
@pytest.mark.parametrize("workers", [1, 3])
def test_the_joint_adapter_is_trained_once_before_any_task_and_beside_the_answers(preset, workers):
    progress, log = simulate(PRESETS[preset], 1e9, workers=workers)
    ((start, end, _, device),) = [entry for entry in log if entry[2].stage == "joint"]
    answers = [entry for entry in log if entry[2].stage == "base"]
    assert min(entry[0] for entry in log if entry[2].stage in ("ttt", "views")) >= max(end, max(e[1] for e in answers)) - 1e-6
    assert progress.answered == progress.trained == set(sizes()) and exhausted(progress, sizes(), PRESETS[preset])
    if workers == 1:
        assert start >= max(e[1] for e in answers) - 1e-6
    else:
        assert start == 0 and device != answers[0][3]  # one device answers, another trains


def test_a_joint_training_that_fails_for_good_does_not_hold_up_the_tasks():
    progress, log = simulate(PRESETS["joint"], 1e9, fail=lambda job: job.stage == "joint")
    assert sum(job.stage == "joint" for _, _, job, _ in log) == MAX_ATTEMPTS and progress.trained == set(sizes())


def test_cut_jobs_count_as_not_done():
    progress = Progress()
    job = Job("ttt", ("t00",), 0, 8)
    progress.add(Record(job, "a", 1.0, cut=True))
    assert not progress.trained and not progress.next_view
    progress.add(Record(job, "a", 1.0, agreement={"t00": 0.5}))
    assert progress.trained == {"t00"} and progress.next_view["t00"] == 8


def test_planned_shares_add_up_and_follow_the_budget():
    cost = CostModel(sizes(), DEFAULT)
    whole = planned_run(cost, DEFAULT, ["cpu:0", "cpu:1"], 1e9).shares
    assert set(whole) == set(STAGES) and sum(whole.values()) == pytest.approx(1)
    assert whole["ttt"] > whole["base"] > 0
    short = planned_run(cost, DEFAULT, ["cpu:0", "cpu:1"], 10).shares
    assert short["base"] > whole["base"] and sum(planned_run(cost, DEFAULT, ["cpu:0"], 0).shares.values()) == 0


def test_programs_are_searched_on_cores_alone_and_what_they_explain_is_trained_last():
    cost, progress = CostModel(sizes(), DEFAULT), Progress()
    for name in sizes():
        progress.add(Record(Job("base", (name,)), "cpu:0", 1.0))
    assert next_job(progress, cost, DEFAULT, set(), "cuda:0", 1e9).stage == "ttt"
    for device in ("cpu:0", "search:0"):
        assert next_job(progress, cost, DEFAULT, set(), device, 1e9).stage == "program"
    first = next_job(progress, cost, DEFAULT, set(), "search:0", 1e9)
    assert next_job(progress, cost, DEFAULT, {first}, "search:1", 1e9).tasks != first.tasks
    best = next_job(progress, cost, DEFAULT, set(), "cuda:0", 1e9).tasks[0]
    progress.add(Record(Job("program", (best,), 0, 0), "search:0", 1.0, explained=True))
    assert best in progress.explained and next_job(progress, cost, DEFAULT, set(), "cuda:0", 1e9).tasks[0] != best
    rounds = len(DEFAULT.program.tries)
    while (job := next_job(progress, cost, DEFAULT, set(), "search:0", 1e9)) is not None:
        assert job.tasks[0] != best
        progress.add(Record(job, "search:0", 1.0, cut=progress.searched[job.tasks[0]] > rounds))
    assert {name for name in sizes() if progress.searched[name] == rounds} == set(sizes()) - {best}
    without = replace(DEFAULT, program=None)
    assert next_job(progress, cost, without, set(), "cpu:0", 1e9).stage == "ttt"
    alone = replace(DEFAULT, ttt=False)
    assert next_job(progress, cost, alone, set(), "cuda:0", 1e9) is None and exhausted(progress, sizes(), alone)


def test_a_search_costs_what_searches_took():
    cost = CostModel(sizes(), DEFAULT)
    job = Job("program", ("t00",), 0, 0)
    before = cost.seconds(job, "cpu:0")
    cost.observe(Job("ttt", ("t00",), 0, 8), "cpu:0", 1000.0)
    assert cost.seconds(job, "cpu:0") == before
    cost.observe(job, "cpu:1", 3 * before)
    assert cost.seconds(job, "cpu:0") == pytest.approx(3 * before)
    assert cost.seconds(Job("program", ("t00",), 1, 0), "cpu:0") > 5 * before


def test_a_stage_that_gets_less_than_half_of_its_plan_is_named():
    planned = {"base": 0.1, "program": 0.01, "ttt": 0.6, "views": 0.29}
    (line,) = starved(planned, {"base": 0.5, "ttt": 0.2, "views": 0.3})
    assert "training + first views: planned 60%" in line and "got 20%" in line
    assert not starved(planned, planned)


# -- the cost model's own error


def observed(factors, stage="ttt", device="a"):
    """A cost model after trainings that took so many times what the guess says."""
    cost = CostModel(sizes(), DEFAULT)
    for task, factor in zip(sizes(), factors):
        job = Job(stage, (task,), 0, 8)
        cost.observe(job, device, factor * cost.work(job) / FIRST_GUESS)
    return cost


def test_margins_follow_the_models_own_error():
    rng = random.Random(0)
    before = observed([])
    steady, wild = observed([3.0] * 20), observed([3.0 * math.exp(rng.gauss(0, 0.5)) for _ in range(20)])
    assert before.margin("a", "ttt") == pytest.approx(1.3)
    assert 1 < steady.margin("a", "ttt") < 1.2 and 1.4 < wild.margin("a", "ttt") < 2.2
    job = Job("ttt", ("t00",), 0, 8)
    assert before.decode_seconds(job, "a") == pytest.approx(3 * before.seconds(Job("views", ("t00",), 0, 8), "a"))
    assert observed([1.0] * 20, "views").decode_seconds(job, "a") < 2 * before.seconds(Job("views", ("t00",), 0, 8), "a")


def test_a_device_that_becomes_slow_is_believed_soon():
    for stage, other in (("ttt", "views"), ("views", "ttt")):
        cost = observed([1.0] * 20, other)
        for task, factor in zip(sizes(), [1.0] * 15 + [5.0] * 4):
            job = Job(stage, (task,), 0, 8)
            cost.observe(job, "a", factor * cost.work(job) / FIRST_GUESS)
        assert FIRST_GUESS / 6 < cost.speed("a", stage) < FIRST_GUESS / 2.5
        assert cost.speed("a", other) < FIRST_GUESS / 1.5  # of which it has done nothing since


def test_a_device_is_foretold_from_others_at_its_own_pace():
    cost = observed([1.0] * 5)
    views = Job("views", ("t00",), 0, 8)
    cost.observe(views, "a", cost.work(views) / 2000)
    assert cost.speed("b", "views") == pytest.approx(2000)
    slow = Job("ttt", ("t01",), 0, 8)
    cost.observe(slow, "b", 10 * cost.work(slow) / FIRST_GUESS)
    assert cost.speed("b", "views") == pytest.approx(200) and cost.speed("b", "base") == pytest.approx(1000)


# -- the allocator's new rules


def test_the_breadth_pass_has_its_share_and_the_rest_its_turn():
    def first_trained(breadth, seconds=400):
        preset = replace(DEFAULT, program=ProgramConfig((1000,)), breadth=breadth)
        progress, log = simulate(preset, seconds, guess=4000.0)
        start = min(start for start, _, job, _ in log if job.stage == "ttt")
        early = sum(end - begun for begun, end, job, _ in log if job.stage == "base" and begun < start)
        return early, progress

    whole, _ = first_trained(1.0)
    share, progress = first_trained(0.02)
    assert whole > 2 * share and share < 0.02 * 800 and progress.answered
    _, patient = first_trained(0.0, 1e9)
    assert patient.answered == patient.trained == set(sizes())


def test_the_longest_begins_in_time_where_all_fits_and_never_on_a_slow_device():
    cost = CostModel(sizes(), replace(DEFAULT, program=None, rounds=0), 1000.0)
    longest = max((Job("ttt", (task,), 0, 8) for task in sizes()), key=cost.work)
    seconds = cost.seconds(longest, "cuda:0")

    def limit(ahead, left, device="cuda:0"):
        return due_seconds([longest], ahead, 0.0, cost, device, ("cuda:0", "cuda:1", "search:0"), left)

    assert limit(2 * seconds, 1e9) == pytest.approx(seconds)
    assert limit(2 * seconds, seconds) == 0  # not all of it fits
    assert limit(30 * seconds, 1e9) == 0  # too early
    cost.observe(longest, "cuda:0", seconds)
    cost.observe(longest, "cuda:1", 5 * seconds)
    assert limit(5 * seconds, 1e9, "cuda:1") == pytest.approx(seconds)  # a fifth of what it would take there
    assert limit(seconds, 1e9) == pytest.approx(seconds)


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_with_ample_time_all_devices_end_nearly_together(workers):
    shares = []
    for seed in range(2):
        _, log = simulate(replace(DEFAULT, program=None), 1e9, workers, seed=seed, guess=4000.0, count=120)
        spent = sum(end - start for start, end, _, _ in log)
        shares.append(max(end for _, end, _, _ in log) * workers / spent)
    assert sum(shares) / len(shares) < 1.03
