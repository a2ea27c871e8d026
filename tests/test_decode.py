"""Batched greedy decoding against the plain reference, token for token in float32, and the candidates made of it."""

import numpy as np
import pytest
import torch

from solution.arc.load import public_training
from solution.arc.task import Pair, Task, as_grid, grid_key
from solution.arc.view import View
from solution.codec.arc16 import Arc16, num_tokens, task_tokens
from solution.decode.greedy import answer_log_probs, greedy
from solution.decode.reference import greedy_one
from solution.decode.settings import DecodeConfig
from solution.decode.views import answer_limit, batch_prompts, decode_views, plan_view, view_prompt
from solution.models.adapted import NonFiniteError
from solution.models.dense import DenseLlama

from .conftest import give_prefix, random_model
from .test_codec import random_task


def small_public_tasks(count, max_tokens):
    tasks = sorted(public_training()[0].tasks.values(), key=lambda t: task_tokens(t.train, t.test[0]))
    return [t for t in tasks if task_tokens(t.train, t.test[0]) <= max_tokens][:count]


def compare(model, prompts, limit):
    """Batched generations must be prefixes of the reference's (hopeless answers stop early), with the same probability."""
    generations = greedy(DenseLlama(model), model.codec, prompts, [limit] * len(prompts))
    grids = 0
    for prompt, generation in zip(prompts, generations):
        expected = greedy_one(model, prompt, limit)
        count = len(generation.ids)
        assert np.array_equal(generation.ids, expected.ids[:count])
        if expected.decoded.grid is not None:
            grids += 1
            assert count == len(expected.ids)
            assert generation.log_prob == pytest.approx(expected.log_prob, abs=1e-3)
            assert grid_key(generation.decoded.grid) == grid_key(expected.decoded.grid)
        else:
            assert generation.decoded.grid is None
    return grids


@pytest.mark.parametrize("scheme, kv_heads, prefix_rows", [("grid", 2, 0), ("grid", 4, 0), ("sequential", 1, 0), ("grid", 2, 3)])
def test_batched_equals_reference_on_random_weights(scheme, kv_heads, prefix_rows):
    rng = np.random.default_rng(5)
    model = random_model(scheme, kv_heads=kv_heads)
    give_prefix(model, prefix_rows)
    prefix = DenseLlama(model).prefix
    tasks = [random_task(rng, int(rng.integers(1, 4)), 5).without_answers() for _ in range(12)]
    prompts = [model.codec.encode(task, prefix=prefix) for task in tasks]
    compare(model, prompts, 40)
    assert len({len(p) for p in prompts}) > 6  # a ragged batch: prompts of many lengths


def test_batched_equals_reference_on_the_embedded_weights_in_every_view(embedded):
    embedded.reset()
    grids = 0
    for task in small_public_tasks(2, 200):
        config = DecodeConfig()
        views = [plan_view(task, number, config, seed=3) for number in range(16)]
        prompts = [view_prompt(task, 0, view, number, config, embedded.codec) for number, view in enumerate(views)]
        grids += compare(embedded, prompts, answer_limit(task, 0, embedded.codec))
    assert grids > 8  # the comparison reached END, not only runaway answers


def test_adapter_changes_what_is_decoded_and_reset_restores_it():
    rng = np.random.default_rng(6)
    model = random_model()
    prompt = model.codec.encode(random_task(rng, 2, 4).without_answers())
    tokens = torch.from_numpy(prompt.ids)[None], torch.from_numpy(prompt.positions)[None]
    with_adapter = DenseLlama(model).prefill(*tokens, [len(prompt)])
    without = DenseLlama(model, adapter=False).prefill(*tokens, [len(prompt)])
    assert (with_adapter - without).abs().max() > 1e-2
    model.initialise(seed=1)  # B is zero again
    assert torch.allclose(DenseLlama(model).prefill(*tokens, [len(prompt)]), without, atol=1e-5)


def test_scored_log_probs_equal_those_of_greedy_decoding():
    rng = np.random.default_rng(7)
    model = random_model()
    llama = DenseLlama(model)
    prompts, expected = [], []
    for _ in range(6):
        task = random_task(rng, 2, 4)
        answered = model.codec.encode(task, answer=True)
        start, stop = answered.spans[-1]
        with torch.no_grad():
            where = torch.zeros(1, len(answered), dtype=torch.bool)
            where[0, start - 1 : stop - 1] = True
            logits = model.plain_logits(torch.from_numpy(answered.ids)[None], torch.from_numpy(answered.positions)[None], where)
        target = torch.from_numpy(answered.ids[start:stop])
        expected.append(float(torch.log_softmax(logits, -1).gather(1, target[:, None]).sum()))
        prompts.append(answered)
    assert answer_log_probs(llama, prompts) == pytest.approx(expected, abs=1e-3)


def test_candidates_come_back_in_the_frame_of_the_task(embedded):
    """A model that only copies would answer each view with that view of the grid: restoring must give one and the same grid."""
    grid = as_grid([[1, 2, 3], [4, 5, 6]])
    task = Task("copy", tuple(Pair(g, g) for g in (grid, as_grid([[7, 8], [9, 1], [2, 3]]))), (Pair(as_grid([[5, 1], [2, 2]])),))
    for number in range(24):
        view = plan_view(task, number, DecodeConfig(), seed=0)
        shown = view.apply(task)
        assert np.array_equal(view.restore(shown.test[0].input), task.test[0].input)
    views = [(task, n, plan_view(task, n, DecodeConfig(), 0)) for n in range(8)]
    decoding = decode_views(DenseLlama(embedded), embedded.codec, views, DecodeConfig(), "base")["copy"]
    assert sum(decoding.faults.values()) + len(decoding.candidates[0]) == 8
    assert all(isinstance(c.view, View) and c.log_prob <= 0 for c in decoding.candidates[0])


def test_first_eight_views_are_the_symmetries_and_later_ones_are_fresh():
    task = random_task(np.random.default_rng(0), 4)
    views = [plan_view(task, n, DecodeConfig(), seed=0) for n in range(24)]
    assert views[:8] == [View(k) for k in range(8)]
    assert len(set(views)) == 24 and [v.symmetry for v in views] == list(range(8)) * 3
    assert views == [plan_view(task, n, DecodeConfig(), seed=0) for n in range(24)]
    assert views[8:] != [plan_view(task, n, DecodeConfig(), seed=1) for n in range(8, 24)]


def test_long_prompts_lose_demonstrations_not_the_test_input():
    task = random_task(np.random.default_rng(1), 5, 8)
    codec = Arc16("grid")
    whole = view_prompt(task, 0, View(), 0, DecodeConfig(), codec)
    short = view_prompt(task, 0, View(), 0, DecodeConfig(max_prompt_tokens=len(whole) - 1), codec)
    none = view_prompt(task, 0, View(), 0, DecodeConfig(max_prompt_tokens=1), codec)
    assert len(short.spans) == 4 and np.array_equal(short.ids, whole.ids[: whole.spans[3][1]].tolist() + none.ids.tolist())
    left_out = view_prompt(task, 0, View(), 2, DecodeConfig(demonstrations="leave_one_out"), codec)
    assert len(left_out.spans) == 4


def test_answers_are_cut_at_the_limit_and_by_the_clock():
    model = random_model()
    rng = np.random.default_rng(8)
    prompts = [model.codec.encode(random_task(rng, 2, 4).without_answers()) for _ in range(4)]
    llama = DenseLlama(model)
    limited = greedy(llama, model.codec, prompts, [3, 5, 3, 5])
    assert all(len(g.ids) <= n for g, n in zip(limited, [3, 5, 3, 5]))
    stopped = greedy(llama, model.codec, prompts, [200] * 4, out_of_time=lambda: True)
    assert all(len(g.ids) == 1 for g in stopped)
    assert {g.decoded.fault for g in stopped} <= {"cut", "ragged", "foreign token", "unfinished", "empty"}
    looks = iter([False] + [True] * 100)
    task, config = random_task(rng, 2, 4).without_answers(), DecodeConfig(batch_tokens=1)  # a batch for each view
    found = decode_views(llama, model.codec, [(task, k, View()) for k in range(3)], config, "ttt", lambda: next(looks))[task.id]
    assert found.cut and found.faults["cut"] >= 2 and found.new_tokens <= 1  # two views were not even begun


def test_answer_limit_holds_every_public_answer_that_follows_its_demonstrations():
    challenges, solutions = public_training()
    kept = total = 0
    for name, task in challenges.tasks.items():
        for index, output in enumerate(solutions[name]):
            total += 1
            kept += num_tokens(output) + 1 <= answer_limit(task, index, Arc16("grid"))
    assert total == 416 and kept / total > 0.97


def test_nan_weights_raise_instead_of_answering():
    model = random_model()
    prompt = model.codec.encode(random_task(np.random.default_rng(9), 1, 3).without_answers())
    with torch.no_grad():
        model.lm.model.norm.weight[0] = float("nan")
    with pytest.raises(NonFiniteError):
        greedy(DenseLlama(model), model.codec, [prompt], [5])


def test_batches_respect_the_token_limit_and_lose_nothing():
    rng = np.random.default_rng(10)
    sizes = [(int(a), int(b)) for a, b in rng.integers(1, 500, (60, 2))]
    batches = batch_prompts(sizes, 2000)
    assert sorted(i for b in batches for i in b) == list(range(60))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * (max(sizes[i][0] for i in batch) + max(sizes[i][1] for i in batch)) <= 2000
    assert len(batches) < 40 and batch_prompts([], 10) == []
