"""The allocator, the cost model and the plan: pure, breadth first, inside the deadline, the same for any interleaving."""

import math
import random
from dataclasses import replace

import pytest

from solution.preset import DEFAULT, PRESETS
from solution.program.settings import ProgramConfig
from solution.schedule.allocate import base_jobs, cut_search, cut_training, due_seconds, exhausted, next_job, next_slice
from solution.schedule.cost import FIRST_GUESS, CostModel, decode_work, family, kind, planned_steps, train_work
from solution.schedule.job import MAX_ATTEMPTS, STAGES, Job, Progress, Record, TaskSize
from solution.schedule.plan import planned_run, starved

CUT = ("ttt", "program")
"""What the clock may cut: a training, which then decodes, and a search."""


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
                    end = min(now + took, max(seconds, now)) if job.stage in CUT else now + took
                    running[device] = (end, now, job)
                    log.append((now, end, job, device))
        if not running:
            return progress, log
        device = min(running, key=lambda d: running[d][0])
        now, start, job = running.pop(device)
        ok = not fail(job)
        agreement = {t: rng.choice([0.3, 0.9]) for t in job.tasks}
        cut = job.stage in CUT and now == seconds
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


def test_slices_of_a_training_add_up_to_its_work_and_to_its_seconds():
    rng = random.Random(0)
    for name in ("default", "test", "paper", "joint", "no-ttt", "shared-adapter"):
        preset = replace(PRESETS[name], slices=rng.choice([2, 3, 4, 7, 100]))
        cost = CostModel(sizes(), preset)
        for task, size in sizes().items():
            whole, cuts = Job("ttt", (task,), 0, preset.first_views), []
            while (piece := next_slice(replace(whole, first_step=sum(cuts)), cost, "cpu:0", 1e12)).num_steps:
                cuts.append(piece.num_steps)
            assert len(cuts) < preset.slices and (planned_steps(size, preset) > 0 or not cuts)
            pieces = [replace(whole, first_step=sum(cuts[:i]), num_steps=num) for i, num in enumerate([*cuts, 0])]
            assert sum(map(cost.work, pieces)) == pytest.approx(cost.work(whole))
            for job in pieces:  # on a device that trains three times as fast as it decodes
                seconds = cost.work(job) / 300 if job.num_steps else (train_work(size, preset, job.first_step) / 3 +
                    decode_work(size, job.num_views, preset.decode.max_prompt_tokens)) / 100  # fmt: skip
                cost.observe(job, "cpu:0", seconds)
            rest = [cost.seconds(replace(job, num_steps=0), "cpu:0") for job in pieces]
            assert rest == sorted(rest, reverse=True) and rest[-1] > 0
            for before, after, job in zip(rest, rest[1:], pieces):
                assert before == pytest.approx(cost.seconds(job, "cpu:0") + after, rel=0.1)


def test_a_slice_counts_as_evidence_by_its_share():
    whole, sliced = CostModel(sizes(), DEFAULT), CostModel(sizes(), DEFAULT)
    for task in list(sizes())[:20]:
        job = Job("ttt", (task,), 0, 8)
        whole.observe(job, "a", whole.work(job) / 700)
        for piece in [replace(job, first_step=8 * k, num_steps=8 if k < 3 else 0) for k in range(4)]:
            sliced.observe(piece, "a", sliced.work(piece) / 700)
    assert sliced.speed("a", "ttt") == pytest.approx(700) == whole.speed("a", "ttt")
    assert sliced.margin("a", "ttt") == pytest.approx(whole.margin("a", "ttt"))
    assert sliced.speed("a", "slice") == pytest.approx(700)


def test_a_training_begun_is_known_by_its_attempt_and_its_end():
    job, records = Job("ttt", ("t00",), 0, 8, 0, 0, 8), []
    records.append(Record(job, "a", 1.0, loss=0.5))
    records.append(Record(replace(job, first_step=8), "b", 1.0, loss=0.4))
    records.append(Record(replace(job, attempt=1), "b", 1.0))
    for _ in range(6):
        random.Random(_).shuffle(records)
        progress = Progress()
        for record in records:
            progress.add(record)
        assert progress.steps == {("t00", 0): 16, ("t00", 1): 8} and not progress.trained
    progress.add(Record(replace(job, first_step=16), "a", 1.0, ok=False))
    cost = CostModel({"t00": sizes()["t00"]}, replace(DEFAULT, program=None))
    progress.answered.add("t00")
    again = next_job(progress, cost, cost.preset, set(), "a", 1e9)
    assert (again.attempt, again.first_step, again.num_steps) == (1, 8, 8)
    progress.add(Record(again, "a", 1.0, steps=DEFAULT.train.steps))  # its loss was flat
    last = next_job(progress, cost, cost.preset, set(), "a", 1e9)
    assert (last.first_step, last.num_steps) == (DEFAULT.train.steps, 0)
    decode = decode_work(sizes()["t00"], 8, DEFAULT.decode.max_prompt_tokens)
    assert cost.work(last) == pytest.approx(decode) and cost.seconds(last, "a") > 0
    progress.add(Record(replace(last, num_steps=0), "a", 1.0, agreement={"t00": 1.0}))
    assert progress.trained == {"t00"} and exhausted(progress, cost.sizes, cost.preset)


def test_a_training_begun_is_left_to_its_device_unless_another_is_much_faster_or_it_is_gone():
    some = {"t00": sizes()["t00"]}
    cost, progress = CostModel(some, replace(DEFAULT, program=None)), Progress()
    progress.answered.add("t00")
    slow = next_job(progress, cost, cost.preset, set(), "slow", 1e9, ("slow", "fast"))
    whole = replace(slow, num_steps=0)
    for device, speed in (("slow", 100), ("fast", 1000), ("alike", 110)):
        cost.observe(whole, device, cost.work(whole) / speed)
    progress.add(Record(slow, "slow", cost.work(slow) / 100))

    def goes_on(device, devices):
        job = next_job(progress, cost, cost.preset, set(), device, 1e9, devices)
        return job is not None and job.first_step == slow.num_steps

    assert goes_on("slow", ("slow", "fast", "alike")) and goes_on("fast", ("slow", "fast", "alike"))
    assert not goes_on("alike", ("slow", "fast", "alike")) and goes_on("alike", ("fast", "alike"))
    progress.parked_by["t00"] = "fast"
    assert not goes_on("slow", ("slow", "fast")) and goes_on("slow", ("slow", "alike"))


def test_the_clock_cuts_a_training_that_was_begun_rather_than_a_new_one():
    """And little time is left in one piece."""
    cost, progress = CostModel(sizes(), replace(DEFAULT, program=None, slices=4)), Progress()
    progress.answered |= set(sizes())
    biggest = max((Job("ttt", (task,), 0, 8) for task in sizes()), key=cost.work)
    seconds = cost.seconds(biggest, "a")
    assert next_slice(biggest, cost, "a", 3 * seconds).num_steps == 8
    assert next_slice(biggest, cost, "a", 2 * seconds).num_steps == 0
    progress.add(Record(replace(biggest, num_steps=8), "a", seconds / 4))
    rest = replace(biggest, first_step=8)
    left = cost.decode_seconds(rest, "a") + 0.5 * cost.seconds(rest, "a")
    smallest = min((Job("ttt", (task,), 0, 8) for task in sizes()), key=cost.work)
    assert cut_training([smallest, rest], cost, "a", left) == rest
    less = cost.decode_seconds(smallest, "a") + 0.5 * cost.seconds(smallest, "a")
    assert less < cost.decode_seconds(rest, "a") and cut_training([smallest, rest], cost, "a", less) == smallest


def test_where_nothing_fits_the_best_search_goes_on_until_the_clock_cuts_it():
    cost = CostModel(sizes(), DEFAULT)
    searched = Progress()
    for task in sizes():
        searched.add(Record(Job("program", (task,), 0, 0), "cpu:0", 1.0))
    job = next_job(searched, cost, DEFAULT, set(), "search:0", 0.6)
    assert job.stage == "program" and job.first_view == 1 and cost.seconds(job, "search:0") > 0.6

    def rate(task):
        return DEFAULT.gains.program(sizes()[task], searched.shown(task)) / cost.seconds(replace(job, tasks=(task,)), "search:0")

    assert rate(job.tasks[0]) == max(map(rate, sizes()))
    assert next_job(searched, cost, DEFAULT, set(), "search:0", 0.4) is None
    assert cut_search(searched, cost, DEFAULT, set(), "cuda:0", 0.6) is None


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
    (line,) = starved({"ttt": 0.0}, {"base": 1.0}, ["base", "ttt"])  # it was wanted, and got nothing
    assert "training + first views: planned 0%" in line and "got 0%" in line


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
    assert limit(5 * seconds, 1e9, "cuda:1") == pytest.approx(1.25 * seconds)  # a quarter of what it would take there
    assert limit(seconds, 1e9) == pytest.approx(seconds)


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_with_ample_time_all_devices_end_nearly_together(workers):
    shares = []
    for seed in range(2):
        _, log = simulate(replace(DEFAULT, program=None), 1e9, workers, seed=seed, guess=4000.0, count=120)
        spent = sum(end - start for start, end, _, _ in log)
        shares.append(max(end for _, end, _, _ in log) * workers / spent)
    assert sum(shares) / len(shares) < 1.03
