"""The simulator: the same by seed, no time out of nothing, known answers on small traces."""

import random
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from solution.preset import DEFAULT, PRESETS
from solution.schedule.job import Job, TaskSize
from solution.schedule.policy import InOrder, StaticHalves, allocator, plain_allocator, policies, shortest_first, sorted_order
from solution.schedule.replay import Noise, TraceWorld, clairvoyant, makespan_bound, replay, step_mean
from solution.schedule.trace import TaskTrace, Trace
from solution.schedule.virtual import Device, Start

NEURAL = replace(DEFAULT, program=None)
ROUNDS = range(len(DEFAULT.program.tries))
PLAIN_VIEWS = replace(NEURAL, first_views=2, more_views=2, rounds=1, agreement=0.6)
"""Two views, and two more where fewer than 60 % agree."""


def random_trace(count=40, seed=0):
    """Tasks of many sizes with open chances; costs follow sizes loosely."""
    rng = random.Random(seed)
    tasks = {}
    for i in range(count):
        item, tests = rng.randint(100, 4000), rng.randint(1, 2)
        size = TaskSize(item * tests, rng.randint(5, 400) * tests, item, tests, rng.randint(2, 5))
        level = rng.random()
        tasks[f"t{i:03}"] = TaskTrace(
            size, base=item / 4000 * rng.uniform(0.5, 2), train=item / 100 * rng.uniform(0.3, 3), view=item / 1000,
            search=tuple(rng.uniform(0.5, 3) * 5**k for k in ROUNDS), base_right=0.05, views_right=(level / 2, level),
            explains=tuple(0.2 / 2**k for k in ROUNDS), explained_right=0.9,
            search_right=(0.1, 0.15),
        )  # fmt: skip
    return Trace("random", tasks, DEFAULT.train.steps, (((0.2,), (0.5,)), ((0.9,), (0.6,), (1.0,))))


def small_trace(*costs, agreement=1.0, base=0.02):
    """Task a, b, ... of (training, view) seconds, by rising size."""
    tasks = {
        "abcdefgh"[i]: TaskTrace(
            TaskSize(100 * (i + 1), 10, 100 * (i + 1), 1, 3), base=base, train=train, view=view,
            views_right=(1.0,), agreement=(agreement,),
        )
        for i, (train, view) in enumerate(costs)
    }  # fmt: skip
    return Trace("small", tasks, DEFAULT.train.steps)


def jobs(run):
    return [(p.job.stage, "".join(p.job.tasks), p.device, p.start, p.end) for p in run.slices]


def devices(count, **kwargs):
    return [Device(f"cuda:{i}", **kwargs) for i in range(count)]


# -- the clock and the trace


def test_a_devices_end_and_work_are_inverse():
    rng = random.Random(0)
    for _ in range(200):
        device = Device("a", rng.uniform(0.1, 3), slow_from=rng.uniform(0, 20), slow_by=rng.uniform(1, 10))
        start, work = rng.uniform(0, 20), rng.uniform(0, 20)
        end = device.end_of(start, work)
        assert end >= start and device.done_by(start, end) == pytest.approx(work)
    assert Device("a", 2.0, slow_from=10, slow_by=4).end_of(5, 12) == pytest.approx(14)  # 10 in 5 s, the last 2 in 4 s
    assert Device("a", 2.0, dies_at=10).worth(30) == 20


def test_a_draw_settles_everything_by_seed_and_keeps_the_chances():
    trace = random_trace()
    drawn = [trace.draw(seed) for seed in range(400)]
    assert drawn[3] == trace.draw(3) != drawn[4]
    assert all(d.settled and set(t.views_right) <= {0.0, 1.0} for d in drawn[:5] for t in d.tasks.values())
    for name, task in list(trace.tasks.items())[:5]:
        for views in (1, 2):
            mean = sum(d.tasks[name].neural_right(views) for d in drawn) / len(drawn)
            assert mean == pytest.approx(task.neural_right(views), abs=0.08)
    # Views that agree are drawn from right tasks, views that do not from wrong ones.
    assert all((t.agreement[0] > 0.5) == (t.views_right[-1] == 1) for d in drawn[:9] for t in d.tasks.values())


# -- the simulator on random traces


MACHINES = [["cuda:0"], ["cpu:0", "cpu:1"], ["cuda:0", "cuda:1", "search:0", "search:1"], [f"cuda:{i}" for i in range(8)]]


@pytest.mark.parametrize("names", MACHINES)
@pytest.mark.parametrize("seconds", [3, 60, 500, 1e6])
def test_the_index_does_what_the_plain_allocator_does(names, seconds):
    rng = random.Random(len(names))
    for seed in range(3):
        machine = [Device(name, rng.uniform(0.3, 2)) for name in names]
        if len(machine) > 1:
            machine[0] = replace(machine[0], dies_at=seconds * rng.random())
        plain, indexed = (
            replay(random_trace(seed=seed), DEFAULT, machine, seconds, policy, Noise(seed, 0.5), guess=rng.choice([500]))
            for policy in (plain_allocator, allocator)
        )
        assert plain == indexed and (plain.slices or seconds == 3)


@pytest.mark.parametrize("policy", [*policies(0.6).values()], ids=list(policies(0.6)))
@pytest.mark.parametrize("seconds", [50, 400, 1e5])
def test_time_is_conserved_and_no_task_done_twice(policy, seconds):
    machine = [Device("cpu:0"), Device("cpu:1", 0.5), Device("cuda:0", 2, dies_at=seconds / 3)]
    machine.append(Device("search:0", slow_from=9, slow_by=5))
    run = replay(random_trace(), DEFAULT, machine, seconds, policy, Noise(1, 0.4))
    for index, device in enumerate(machine):
        mine = sorted((p for p in run.slices if p.device == index), key=lambda p: p.start)
        assert mine or device.name == "search:0"
        assert all(0 <= p.start <= p.end <= min(seconds, device.dies_at) for p in mine)
        assert all(a.end <= b.start for a, b in zip(mine, mine[1:]))
    whole = [p.job for p in run.slices if not p.cut and not p.lost]
    done = Counter((job.stage, name, job.first_view, job.first_step) for job in whole for name in job.tasks)
    assert max(done.values(), default=1) == 1
    assert sum(run.seconds_by_stage.values()) + run.idle == pytest.approx(3 * seconds + seconds / 3) and run.idle >= -1e-6
    times = [time for time, _ in run.curve]
    assert times == sorted(times) and all(-1e-9 <= right <= 40 for _, right in run.curve)
    assert run.makespan <= seconds and run.area() <= max(right for _, right in run.curve) + 1e-9


@pytest.mark.parametrize("policy", [*policies(0.6).values()], ids=list(policies(0.6)))
def test_a_replay_is_the_same_by_seed(policy):
    first, again, other = (
        replay(random_trace(), DEFAULT, [Device("cpu:0"), Device("cuda:0")], 300, policy, Noise(seed, 0.3)) for seed in (1, 1, 2)
    )
    assert first == again and first.slices != other.slices


def test_policies_meet_the_same_noise_and_its_mean_is_one():
    def factors(count, seed, spread):
        return Noise(seed, spread).factors(random_trace(count))

    assert factors(3, 3, 0.5) == factors(3, 3, 0.5) != factors(3, 4, 0.5)
    assert set(factors(3, 0, 0.0).values()) == {(1.0, 1.0, 1.0, 1.0)}
    many = list(factors(5000, 0, 0.5).values())
    assert np.mean(many) == pytest.approx(1, abs=0.02) and np.log(many).std() == pytest.approx(0.5, abs=0.02)


def seconds_of(job, trace, factors):
    """What a job must take at speed 1."""
    task, (_, train, view, search) = trace.tasks[job.tasks[0]], factors[job.tasks[0]]
    if job.stage == "base":
        return sum(trace.tasks[name].base * factors[name][0] for name in job.tasks)
    if job.stage == "program":
        return task.search[job.first_view] * search
    if job.num_steps:
        return task.train * train * job.num_steps / DEFAULT.train.steps
    share = 1 - job.first_step / DEFAULT.train.steps if job.stage == "ttt" else 0.0
    return share * task.train * train + job.num_views * task.view * view


def test_a_job_takes_its_cost_times_its_noise_over_its_devices_speed():
    trace, noise = random_trace().draw(1), Noise(1, 0.4)
    run = replay(trace, DEFAULT, [Device("cpu:0", 2)], 1e6, noise=noise)
    for piece in run.slices:
        assert piece.end - piece.start == pytest.approx(seconds_of(piece.job, trace, noise.factors(trace)) / 2)
    assert {piece.job.stage for piece in run.slices} == {"base", "program", "ttt", "views"}


@pytest.mark.parametrize("seconds", [60, 500, 1e6])
def test_slices_of_a_training_add_up_and_end_in_its_decoding(seconds):
    """Steps follow each other without a gap; whatever runs at once, each task's training does once; none is left parked that
    would have fitted."""
    for slices in (1, 2, 4, 5, 64):
        preset = replace(DEFAULT, slices=slices)
        trace, noise = random_trace(seed=slices).draw(1), Noise(1, 0.4)
        machine = [Device("cpu:0", 2), Device("cuda:0", 0.2), Device("cuda:1", dies_at=seconds / 2)]
        run = replay(trace, preset, machine, seconds, noise=noise, guess=500)
        trainings = {}
        for piece in run.slices:
            if piece.job.stage == "ttt" and not piece.lost:
                trainings.setdefault(piece.job.tasks[0], []).append(piece)
        finished = 0
        for pieces in trainings.values():
            whole = [p for p in pieces if not p.cut]
            steps = [(p.job.first_step, p.job.first_step + p.job.num_steps) for p in whole]
            assert not steps or steps[0][0] == 0 and all(a == b for (_, a), (b, _) in zip(steps, steps[1:]))
            assert all(p.job.num_steps in (0, -(-DEFAULT.train.steps // slices)) for p in pieces) and len(whole) <= slices
            assert all(a.end <= b.start for a, b in zip(pieces, pieces[1:]))
            finished += any(p.job.num_steps == 0 for p in whole)
        assert finished == len(run.reached["ttt"]) and (finished == len(trainings) == 40 or seconds < 1e6)
        assert all(p.job.num_steps == 0 for p in run.slices) == (slices == 1 or not trainings)


def test_a_device_that_dies_loses_no_more_than_a_slice():
    ends = {}
    for slices in (1, 4):
        machine = [Device("cuda:0", 0.1), Device("cuda:1", 2, dies_at=35)]
        run = replay(small_trace((80, 1)), replace(PLAIN_VIEWS, slices=slices), machine, 1e5, guess=10)
        done = [p.device for p in run.slices if p.job.stage == "ttt" and not p.lost]
        assert run.solved == 1 and done == ([0] if slices == 1 else [1, 1, 1, 0])
        ends[slices] = run.makespan
    assert ends[4] == pytest.approx(35 + (20 + 2) / 0.1) and ends[1] == pytest.approx(35 + (80 + 2) / 0.1)


def test_what_a_slow_device_began_a_fast_one_goes_on_with():
    """The slow device's training is longer than all other work; the fast one takes it up when it has nothing else."""
    trace, ends = small_trace((10, 0.1), (100, 0.1)), {}
    for slices in (1, 4):
        run = replay(trace, replace(PLAIN_VIEWS, slices=slices), [Device("cuda:0", 0.1), Device("cuda:1")], 1e4, guess=100)
        ends[slices] = run.makespan
        used = {p.device for p in run.slices if p.job.stage == "ttt" and p.job.tasks == ("b",)}
        assert run.solved == 2 and (len(used) == 1 or slices == 4)
    assert ends[4] <= ends[1]


@pytest.mark.parametrize("names", MACHINES)
def test_the_index_knows_of_trainings_that_were_begun(names):
    """Where slices are many, trace and guess are far apart, and a device dies."""
    rng = random.Random(len(names))
    for seed, (slices, seconds) in enumerate([(2, 300), (8, 1500), (64, 200), (4, 1e6)]):
        preset = replace(DEFAULT, slices=slices)
        machine = [Device(name, rng.uniform(0.3, 2), slow_from=seconds * rng.random(), slow_by=5) for name in names]
        machine[-1] = replace(machine[-1], dies_at=seconds * rng.random() if len(names) > 1 else float("inf"))
        guess = rng.choice([100, 5000])
        plain, indexed = (
            replay(random_trace(25, seed), preset, machine, seconds, policy, Noise(seed, 0.8), guess=guess)
            for policy in (plain_allocator, allocator)
        )
        assert plain == indexed and plain.slices


@pytest.mark.parametrize("job", [Job("base", ("a", "b")), Job("program", ("a",), 0, 0), Job("views", ("a",), 0, 2)])
def test_what_the_deadline_cuts_brings_nothing(job):
    sure = dict(base_right=1.0, search=(4.0,), explains=(1.0,), explained_right=1.0)
    trace = small_trace((8, 2), (8, 2), base=2)
    trace = replace(trace, tasks={name: replace(task, **sure) for name, task in trace.tasks.items()})
    for run_for, right in ((4, len(job.tasks)), (3.9, 0)):
        world = TraceWorld(trace, NEURAL, Noise())
        end, record = world.run(Start(job, run_for, run_for), Device("cpu:0"), 10)
        world.finished(record, end)
        assert (end, record.seconds, record.cut) == (pytest.approx(10 + run_for), pytest.approx(run_for), not right)
        assert world.curve[-1][1] == right and record.explained == (job.stage == "program" and right == 1)


def test_programs_count_where_they_explain_nothing():
    mine = dict(search=(4.0, 20.0), explains=(0.0, 1.0), search_right=(1.0,), explained_right=0.0)
    trace = small_trace((800, 2), base=2)
    trace = replace(trace, tasks={name: replace(task, **mine) for name, task in trace.tasks.items()})
    preset = replace(DEFAULT, program=replace(DEFAULT.program, tries=(1, 2)))
    run = replay(trace, preset, [Device("search:0")], 100)
    assert run.curve == ((0.0, 0.0), (4.0, 1.0), (24.0, 0.0))  # the second round's, which explain it, are wrong
    assert trace.least_seconds("a", preset) == 4 and trace.certain


def test_nobody_beats_the_clairvoyant():
    for seed in range(3):
        trace = random_trace(seed=seed).draw(seed)
        machine = [Device("cpu:0"), Device("cuda:0", 2, dies_at=150), Device("cuda:1", slow_from=50, slow_by=5)]
        bound = clairvoyant(trace, DEFAULT, machine, 400, Noise(seed, 0.3))
        assert 0 < bound.solved <= 40
        for policy in policies(0.6).values():
            run = replay(trace, DEFAULT, machine, 400, policy, Noise(seed, 0.3))
            cut = sum(p.cut for p in run.slices)
            assert all(right <= bound.solved_at(time) + cut + 1e-9 for time, right in run.curve)
            whole = replay(trace, NEURAL, devices(2), 1e6, policy, Noise(seed, 0.3))
            assert whole.makespan >= makespan_bound(trace, NEURAL, devices(2), Noise(seed, 0.3)) - 1e-6


# -- known answers


def test_orders_on_three_tasks():
    trace = small_trace((8, 1), (2, 1), (4, 1))  # 10, 4, 6 s whole
    run = partial(replay, trace, PLAIN_VIEWS, devices(1), 100)
    assert run(sorted_order).curve == ((0, 0), (10, 1), (14, 2), (20, 3))
    backwards = run(lambda brief: InOrder(brief, "cba"))
    assert backwards.curve == ((0, 0), (6, 1), (10, 2), (20, 3)) and backwards.makespan == 20
    assert run(shortest_first).curve == run(sorted_order).curve  # by size, which is all it knows
    both = replay(trace, PLAIN_VIEWS, devices(2), 100, sorted_order)
    assert jobs(both) == [("ttt", "b", 1, 0, 4), ("ttt", "a", 0, 0, 10), ("ttt", "c", 1, 4, 10)]
    assert makespan_bound(trace, PLAIN_VIEWS, devices(2)) == 10 == both.makespan
    assert both.area(10) == step_mean(both.curve, 10) == 0.6 and both.idle == 180
    assert both.solved_at(3.9) == 0 and both.solved_at(4) == 1 and both.solved == 3


def test_further_views_only_where_votes_disagree():
    run = replay(small_trace((8, 1), agreement=0.5), PLAIN_VIEWS, devices(1), 100, sorted_order)
    assert jobs(run) == [("ttt", "a", 0, 0, 10), ("views", "a", 0, 10, 12)]


def test_a_cap_ends_a_task_and_its_device_goes_on():
    run = replay(small_trace((8, 1), (2, 1)), PLAIN_VIEWS, devices(1), 100, lambda brief: InOrder(brief, "ab", cap=5))
    assert jobs(run) == [("ttt", "a", 0, 0, 5), ("ttt", "b", 0, 5, 9)] and run.solved == 1


def test_static_halves_train_first_then_decode():
    halves = partial(StaticHalves, share=0.5)
    run = replay(small_trace((8, 1), (2, 1), (4, 1)), PLAIN_VIEWS, devices(2), 26, halves)
    assert jobs(run) == [
        ("ttt", "b", 1, 0, 2), ("views", "b", 1, 2, 4), ("ttt", "a", 0, 0, 8), ("ttt", "c", 0, 8, 12),
        ("views", "a", 0, 12, 14), ("views", "c", 0, 14, 16),
    ]  # fmt: skip
    short = replay(small_trace((8, 1), (2, 1), (4, 1)), PLAIN_VIEWS, devices(2), 20, halves)
    assert [p.job.tasks for p in short.slices if p.cut] == [("c",)] and short.solved == 2  # c is not trained at half-time


def test_the_deadline_cuts_training_early_enough_to_decode():
    trace = small_trace((100, 0.2), base=0.2)
    run = replay(trace, PLAIN_VIEWS, devices(1), 60)
    last = run.slices[-1]
    assert last.cut and last.job.stage == "ttt" and last.end <= 60
    trained = last.end - last.start - 0.4
    assert 50 < trained < 59.5 and run.solved == pytest.approx(trained / 100)
    assert replay(trace, PLAIN_VIEWS, devices(1), 60, sorted_order).solved == 0  # trains to the last second


def test_more_steps_take_longer():
    longer = replace(PLAIN_VIEWS, train=replace(DEFAULT.train, steps=2 * DEFAULT.train.steps))
    assert replay(small_trace((8, 1)), longer, devices(1), 100, sorted_order).makespan == 18


def test_a_device_that_dies_loses_its_job_which_another_does():
    machine = [Device("cuda:0", dies_at=5), Device("cuda:1")]
    run = replay(small_trace((8, 1), (8, 1)), replace(PLAIN_VIEWS, slices=1), machine, 100)
    (lost,) = [p for p in run.slices if p.lost]
    assert (lost.device, lost.end) == (0, 5) and all(p.device == 1 for p in run.slices if p.start >= 5)
    assert run.solved == 2 and run.reached["ttt"][-1] == pytest.approx(20.5, abs=0.6)
    in_order = replay(small_trace((8, 1), (8, 1), (2, 1)), PLAIN_VIEWS, machine, 100, sorted_order)
    assert in_order.solved == 2 and in_order.makespan == 14  # a task in order is not taken up again


def test_a_slow_device_takes_longer_and_the_allocator_gives_it_less():
    trace = random_trace(60, 5).draw(0)
    even, uneven = (replay(trace, NEURAL, [Device("cuda:0", slow_from=0, slow_by=by), Device("cuda:1")], 600) for by in (1, 5))
    counts = [Counter(p.device for p in run.slices if p.job.stage == "ttt") for run in (even, uneven)]
    assert counts[0][0] > 0.7 * counts[0][1] and counts[1][0] < 0.4 * counts[1][1]
    assert uneven.makespan <= 600


def test_what_a_trace_cannot_know_is_refused():
    with pytest.raises(ValueError, match="joint"):
        replay(random_trace(), PRESETS["joint"], devices(1), 10)
    with pytest.raises(ValueError, match="program search"):
        replay(small_trace((1, 1)), DEFAULT, devices(1), 10)
