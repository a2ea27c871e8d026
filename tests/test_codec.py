"""The codec: exact round trips, spans, positions that continue as they were trained, and no trust in generated tokens."""

import numpy as np
import pytest

from solution.arc.task import Pair, Task, as_grid, grid_key
from solution.codec.arc16 import END, INPUT, OUTPUT, PAD, ROW, AnswerCheck, Arc16, task_tokens


def random_grid(rng, max_side=30):
    height, width = rng.integers(1, max_side + 1, 2)
    return as_grid(rng.integers(0, 10, (min(height, 30), min(width, 30))))


def random_task(rng, demonstrations=3, max_side=8):
    pairs = [Pair(random_grid(rng, max_side), random_grid(rng, max_side)) for _ in range(demonstrations + 1)]
    return Task("t", tuple(pairs[:-1]), (pairs[-1],))


@pytest.mark.parametrize("scheme", ["grid", "sequential"])
def test_spans_hold_exactly_the_outputs(scheme):
    rng = np.random.default_rng(1)
    codec = Arc16(scheme)
    for _ in range(20):
        task = random_task(rng, int(rng.integers(1, 6)))
        prompt = codec.encode(task, answer=True)
        assert len(prompt.spans) == len(task.train) + 1
        for (start, stop), pair in zip(prompt.spans, (*task.train, *task.test)):
            assert grid_key(codec.decode(prompt.ids[start:stop]).grid) == grid_key(pair.output)
            assert prompt.ids[start - 1] == OUTPUT and prompt.ids[stop - 1] == END
            assert np.array_equal(codec.answer_ids(pair.output), prompt.ids[start:stop])


@pytest.mark.parametrize("scheme", ["grid", "sequential"])
def test_open_prompt_is_the_prefix_of_the_answered_one_and_positions_continue_it(scheme):
    rng = np.random.default_rng(2)
    codec = Arc16(scheme)
    for _ in range(20):
        task = random_task(rng)
        answered, prompt = codec.encode(task, answer=True), codec.encode(task.without_answers())
        n = len(prompt)
        assert n == task_tokens(task.train, task.test[0])
        assert np.array_equal(answered.ids[:n], prompt.ids) and np.array_equal(answered.positions[:n], prompt.positions)
        ids, positions = prompt.ids[-1:], prompt.positions[-1:]
        for i in range(n, len(answered) - 1):  # END itself is never fed back
            positions = codec.next_positions(ids, positions)
            ids = answered.ids[i : i + 1]
            assert positions[0] == answered.positions[i]


def test_grid_positions_are_column_row_and_pair():
    task = Task("t", (Pair(as_grid([[1, 2], [3, 4]]), as_grid([[5]])),), (Pair(as_grid([[6]])),))
    prompt = Arc16("grid").encode(task, first_pair=2)
    coordinates = [(int(p) >> 12, (int(p) >> 6) & 63, int(p) & 63) for p in prompt.positions]
    assert coordinates[:7] == [(4, 0, 0), (4, 1, 1), (4, 1, 2), (4, 1, 3), (4, 2, 1), (4, 2, 2), (4, 2, 3)]
    assert coordinates[7:11] == [(5, 0, 0), (5, 1, 1), (5, 1, 2), (5, 2, 0)]
    assert coordinates[11:] == [(6, 0, 0), (6, 1, 1), (6, 1, 2), (7, 0, 0)]


@pytest.mark.parametrize(
    "ids, fault",
    [
        ([1, 2, ROW], "unfinished"),
        ([], "unfinished"),
        ([END], "empty"),
        ([ROW, END], "empty"),
        ([1, 2, ROW, 3, ROW, END], "ragged"),
        ([1, 2, END], "ragged"),
        ([1, ROW, INPUT, ROW, END], "foreign token"),
        ([1, PAD, ROW, END], "foreign token"),
        ([1] * 31 + [ROW, END], "oversized"),
        ([1, ROW] * 31 + [END], "oversized"),
    ],
)
def test_faulty_answers_give_no_grid(ids, fault):
    decoded = Arc16("grid").decode(ids)
    assert decoded.grid is None and decoded.fault == fault


def test_tokens_after_the_end_are_ignored():
    assert np.array_equal(Arc16("grid").decode([1, 2, ROW, END, 5, INPUT]).grid, [[1, 2]])


def test_answer_check_gives_up_exactly_the_answers_that_decode_refuses():
    rng = np.random.default_rng(3)
    codec = Arc16("grid")
    seen = {True: 0, False: 0}
    for trial in range(400):
        ids = codec.answer_ids(random_grid(rng, 31 if trial % 2 else 4)).copy()
        for _ in range(int(rng.integers(0, 3))):
            ids[rng.integers(len(ids))] = rng.choice([rng.integers(0, 10), ROW, INPUT, PAD])
        if trial % 5 == 0:
            ids = np.insert(ids, int(rng.integers(len(ids))), ROW)
        check = AnswerCheck(1)
        hopeless = False
        for token in ids:
            hopeless |= bool(check.hopeless(np.array([0]), np.array([token]))[0])
            if hopeless or token == END:
                break
        if END in ids:
            assert hopeless == (codec.decode(ids).grid is None)
            seen[hopeless] += 1
    assert min(seen.values()) > 50
