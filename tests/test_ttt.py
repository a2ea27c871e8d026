"""Test-time training: what D_TTT may hold, and a loop that learns, resets, stops and repeats itself."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from solution.arc.load import public_evaluation
from solution.arc.task import Pair, Task
from solution.codec.arc16 import Arc16
from solution.models.adapted import AdaptedModel, NonFiniteError
from solution.ttt.data import build, encode_item, pseudo_tasks
from solution.ttt.joint import joint_items
from solution.ttt.settings import DataConfig, JointConfig, TrainConfig
from solution.ttt.train import batches, collate, is_flat, schedule, train

from .conftest import random_model, randomise
from .test_codec import random_task

CODEC = Arc16("grid")
PLAIN = DataConfig(transformations="none", permutations=0)


def test_leave_one_out_holds_out_each_demonstration_once():
    task = random_task(np.random.default_rng(0), 4)
    items = pseudo_tasks(task, 1)
    assert [item.test[0] for item in items] == list(task.train)
    assert all(len(item.train) == 3 and item.test[0] not in item.train for item in items)
    twos = pseudo_tasks(task, 2)
    assert len(twos) == 12 and all(len(item.train) == 2 and item.test[0] not in item.train for item in twos)
    assert pseudo_tasks(random_task(np.random.default_rng(0), 2), 2) == []


def test_leave_two_out_fills_up_only_after_all_of_leave_one_out():
    task = random_task(np.random.default_rng(1), 4)
    assert Counter(len(i.train) for i in build(task, PLAIN, CODEC, 0)) == {3: 4, 2: 12}
    capped = build(task, DataConfig(transformations="none", permutations=0, max_items=10), CODEC, 0)
    assert Counter(len(i.train) for i in capped) == {3: 4, 2: 6}


@pytest.mark.parametrize("transformations", ["paper", "symmetries", "none"])
def test_items_are_different_short_enough_capped_and_never_show_the_test(transformations):
    config = DataConfig(transformations=transformations, permutations=2, max_items=60, max_tokens=400)
    rng = np.random.default_rng(2)
    for _ in range(5):
        task = random_task(rng, 3, 6)
        unknown = Task(task.id, task.train, (Pair(task.test[0].input),))
        items = build(unknown, config, CODEC, 0)
        assert 0 < len(items) <= 60 and len(set((i.train, i.test) for i in items)) == len(items)
        assert all(len(CODEC.encode(i, answer=True)) <= 400 for i in items)
        other = Task(task.id, task.train, (Pair(random_task(rng, 1, 6).test[0].input),))
        assert build(other, config, CODEC, 0) == items  # test inputs are never looked at
        assert build(unknown, config, CODEC, 1) != items


def test_symmetries_apply_to_demonstrations_and_held_out_pair_alike():
    grids = [np.arange(6).reshape(2, 3) % 10, np.arange(4).reshape(2, 2)]
    from solution.arc.task import as_grid

    task = Task("t", tuple(Pair(as_grid(g), as_grid(g)) for g in grids), (Pair(as_grid([[1]])),))
    items = build(task, DataConfig(transformations="symmetries", permutations=0), CODEC, 0)
    assert len(items) == 16
    assert all(p.input.shape == p.output.shape and (p.input == p.output).all() for i in items for p in (*i.train, *i.test))


def test_permuted_items_exchange_colours_but_keep_zero():
    task = random_task(np.random.default_rng(3), 2, 8)
    base = build(task, DataConfig(transformations="none", permutations=0), CODEC, 0)
    items = build(task, DataConfig(transformations="none", permutations=6), CODEC, 0)
    assert len(items) > 2 * len(base)
    zeros = Counter((p.input == 0).sum() for p in task.train)
    for item in items:
        assert Counter((p.input == 0).sum() for p in (*item.train, *item.test)) == zeros


def test_end_to_end_shows_no_demonstration_and_one_demonstration_still_trains():
    task = random_task(np.random.default_rng(4), 3)
    items = build(task, DataConfig(kind="end_to_end", transformations="none", permutations=0), CODEC, 0)
    assert [len(i.train) for i in items] == [0, 0, 0] and {i.test[0] for i in items} == set(task.train)
    alone = build(random_task(np.random.default_rng(5), 1), PLAIN, CODEC, 0)
    assert len(alone) == 1 and alone[0].train == ()


def test_loss_is_on_outputs_from_the_second_pair_on():
    for count in (1, 2, 4):
        item = random_task(np.random.default_rng(count), count)
        prompt, spans = encode_item(item, DataConfig(), CODEC)
        assert spans == prompt.spans[1:] and len(spans) == count
        assert encode_item(item, DataConfig(demonstration_loss=False), CODEC)[1] == prompt.spans[-1:]
    ids, positions, targets = collate([prompt], [spans], CODEC, torch.device("cpu"))
    assert ids.shape[1] % 32 == 0 and targets.sum() == sum(b - a for a, b in spans)
    alone = Task("t", (), item.test)
    assert encode_item(alone, DataConfig(), CODEC)[1] == ((len(CODEC.encode(alone)), len(CODEC.encode(alone, answer=True))),)


@pytest.mark.slow
def test_d_ttt_of_the_public_evaluation_set_reaches_its_cap_as_in_the_paper():
    tasks = public_evaluation()[0].tasks.values()
    sizes = [len(build(t, DataConfig(transformations="paper"), CODEC, 0)) for t in tasks]
    assert max(sizes) <= 250 and sum(s == 250 for s in sizes) > 100 and min(sizes) >= 1


def test_every_epoch_sees_every_item_once_with_similar_lengths_together():
    lengths = [int(n) for n in np.random.default_rng(0).integers(50, 900, 37)]
    config = TrainConfig(steps=1000, epochs=3, batch_size=4, batch_tokens=2000)
    planned = batches(lengths, config, np.random.default_rng(0))
    assert Counter(i for b in planned for i in b) == dict.fromkeys(range(37), 3)
    assert all(len(b) <= 4 and (len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 2000 + 4 * 32) for b in planned)
    spread = np.mean([max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in planned])
    assert spread < 150
    assert len(batches(lengths, TrainConfig(steps=5, batch_size=4), np.random.default_rng(0))) == 5


def test_schedule_warms_up_and_ends_near_zero():
    rates = [schedule(s, 20, 0.1) for s in range(20)]
    assert rates[:2] == [0.5, 1.0] and rates[2:] == sorted(rates[2:], reverse=True) and 0 < rates[-1] < 0.02
    assert schedule(0, 1, 0.1) == 1.0


def test_flat_means_no_better_than_before_or_low_enough():
    config = TrainConfig(flat_window=4, flat_gain=0.05, flat_loss=0.01)
    assert not is_flat([1.0] * 7, config) and is_flat([1.0] * 8, config)
    assert not is_flat([1.0] * 4 + [0.9] * 4, config) and is_flat([0.001] * 4, config)
    assert not is_flat([1.0] * 100, TrainConfig(flat_window=0))


def setting():
    task = random_task(np.random.default_rng(11), 3, 4)
    return random_model(rank=8), build(task, DataConfig(), CODEC, 0)


def test_training_learns_touches_only_the_adapter_and_repeats_itself():
    model, items = setting()
    model.initialise(seed=0)
    base = {n: p.clone() for n, p in model.peft_model.named_parameters() if not p.requires_grad}
    config = TrainConfig(steps=30, batch_size=4, learning_rate=2e-2, flat_window=0)
    first = train(model, items, DataConfig(), config, seed=1)
    adapter = model.adapter()
    assert first.steps == 30 and first.ended == "planned" and first.tokens > 0
    assert np.mean(first.losses[-5:]) < 0.7 * np.mean(first.losses[:5])
    assert all(torch.equal(base[n], p) for n, p in model.peft_model.named_parameters() if n in base)
    again = train(model, items, DataConfig(), config, seed=1)
    assert again == first and all(torch.equal(adapter[n], t) for n, t in model.adapter().items())
    assert train(model, items, DataConfig(), config, seed=2).losses != first.losses


def test_deadline_is_asked_before_every_step_and_nothing_to_train_is_no_error():
    model, items = setting()
    calls = iter([False, False, True])
    cut = train(model, items, DataConfig(), TrainConfig(steps=30), seed=0, out_of_time=lambda: next(calls))
    assert cut.steps == 2 and cut.ended == "deadline"
    assert train(model, [], DataConfig(), TrainConfig(), seed=0).steps == 0
    assert train(model, items, DataConfig(), TrainConfig(steps=0), seed=0).steps == 0


def whole_and_sliced(model, items, config, cuts, other=None, **given):
    """(result, adapter) of a training in one piece, and of the same parked at each of `cuts`, by two models in turn."""
    whole = train(model, items, DataConfig(), config, seed=3, **given)
    adapter = model.adapter()
    parked, tokens, workers = None, 0, [other or model, model]
    for count, stop in enumerate([*cuts, None]):
        randomise(workers[count % 2])  # another task was here in between
        piece = train(workers[count % 2], items, DataConfig(), config, seed=3, parked=parked, park_at=stop, **given)
        parked, tokens = piece.parked, tokens + piece.tokens
        assert piece.losses == whole.losses[: piece.steps] and (piece.parked is None) == (stop is None)
    assert tokens == whole.tokens and (piece.steps, piece.ended) == (whole.steps, whole.ended)
    return whole, adapter, workers[len(cuts) % 2].adapter()


@pytest.mark.parametrize("kind", ["plain", "bfloat16", "prefix", "joint", "embeddings"])
@pytest.mark.parametrize("cuts", [[7], [3, 6, 9], [1, 2, 2, 11, 12]])
def test_a_training_in_slices_is_the_same_to_the_bit(kind, cuts):
    dtype = torch.bfloat16 if kind == "bfloat16" else torch.float32
    embeddings = kind == "embeddings"
    models = [random_model(seed=1, dtype=dtype) for _ in range(2)]
    if embeddings:
        models = [AdaptedModel(model.peft_model, CODEC, model.device, dtype, embeddings=True) for model in models]
    task = random_task(np.random.default_rng(11), 3, 4)
    items = build(task, DataConfig(), CODEC, 0)
    config = TrainConfig(steps=12, batch_size=4, learning_rate=2e-2, embedding_learning_rate=1e-3, flat_window=0)
    given = {"prefixes": {task.id: range(3)}} if kind in ("prefix", "joint") else {}
    if kind == "joint":
        train(models[0], items, DataConfig(), replace(config, steps=2), seed=0, **given)
        given["start"] = models[0].adapter()
    _, adapter, sliced = whole_and_sliced(models[0], items, config, cuts, models[1], **given)
    assert adapter.keys() == sliced.keys() and all(torch.equal(adapter[name], sliced[name]) for name in adapter)
    assert ("prefix" in sliced) == (kind in ("prefix", "joint")) and ("embed_tokens" in sliced) == embeddings


def test_steps_whose_gradients_overflow_are_left_out_in_slices_alike(monkeypatch):
    """The scale of float16 gradients and AdamW's count of updates go on with the training."""
    model, items = setting()
    model.dtype = torch.float16  # it computes in float32 all the same
    overflows, clip, steps = [0, 1, 5], torch.nn.utils.clip_grad_norm_, []

    def overflowing(masters, *args):
        steps.append(len(steps) % 8)
        return torch.tensor(float("inf")) if steps[-1] in overflows else clip(masters, *args)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", overflowing)
    config = TrainConfig(steps=8, batch_size=4, learning_rate=2e-2, flat_window=0)
    for cuts in ([1], [2, 6], [1, 2, 3, 4, 5, 6, 7]):
        _, adapter, sliced = whole_and_sliced(model, items, config, cuts)
        assert all(torch.equal(adapter[name], sliced[name]) for name in adapter)


def test_a_training_that_ends_early_in_a_slice_trains_no_more():
    model, items = setting()
    config = TrainConfig(steps=20, batch_size=4, learning_rate=0.0, flat_window=3)
    whole, adapter, sliced = whole_and_sliced(model, items, config, [4, 12])
    assert whole.ended == "flat" and whole.steps < 12 and all(torch.equal(adapter[name], sliced[name]) for name in adapter)
    short, _, _ = whole_and_sliced(model, items, replace(config, steps=5, flat_window=0), [4, 12])
    assert short.ended == "planned" and short.steps == 5


def test_joint_items_are_views_of_every_task_that_fits_and_never_show_a_test():
    rng = np.random.default_rng(7)
    tasks = [Task(str(k), t.train, t.test) for k, t in enumerate(random_task(rng, 3, side) for side in (3, 4, 5, 28))]
    config = JointConfig(passes=20, max_tokens=100)
    items = joint_items(tasks, config, CODEC, 0)
    assert set(Counter(item.id for item in items).values()) <= set(range(1, 21)) and len(items) >= 40
    assert {len(item.train) for item in items} == {1, 2} and all(len(CODEC.encode(i, answer=True)) <= 100 for i in items)
    shapes = {t.id: {tuple(sorted(p.input.shape)) for p in t.train} for t in tasks}
    assert all(tuple(sorted(p.input.shape)) in shapes[i.id] for i in items for p in (*i.train, *i.test))
    hidden = [Task(t.id, t.train, (Pair(random_task(rng, 1, 6).test[0].input),)) for t in tasks]
    assert joint_items(hidden, config, CODEC, 0) == items and joint_items(tasks, config, CODEC, 1) != items


def test_training_goes_on_from_a_given_adapter_and_its_rate_follows_the_clock():
    model, items = setting()
    config = TrainConfig(steps=15, batch_size=4, learning_rate=2e-2, flat_window=0)
    first = train(model, items, DataConfig(), config, seed=1)
    start = model.adapter()
    on = train(model, items, DataConfig(), config, seed=2, start=start)
    assert np.mean(on.losses[:3]) < 0.85 * np.mean(first.losses[:3])
    still = train(model, items, DataConfig(), config, seed=2, start=start, time_used=lambda: 1.0)
    moved = [float((model.adapter()[n] - t).abs().max()) for n, t in start.items()]
    assert still.steps == 15 and max(moved) < 1e-3  # the rate is near zero once the time is used


def test_a_prefix_stands_before_the_prompt_and_belongs_to_its_task_alone():
    task = random_task(np.random.default_rng(11), 3, 4)
    plain, with_prefix = CODEC.encode(task, answer=True), CODEC.encode(task, answer=True, prefix=range(2, 5))
    assert with_prefix.ids[:3].tolist() == [18, 19, 20] and np.array_equal(with_prefix.ids[3:], plain.ids)
    assert not set(with_prefix.positions[:3]) & set(plain.positions) and np.array_equal(
        with_prefix.positions[3:], plain.positions
    )
    assert with_prefix.spans == tuple((a + 3, b + 3) for a, b in plain.spans)
    model, items = setting()
    other = [Task("other", item.train, item.test) for item in items]
    prefixes = {items[0].id: range(0, 2), "other": range(2, 4)}
    config = TrainConfig(steps=4, batch_size=4, learning_rate=2e-2, flat_window=0)
    train(model, items, DataConfig(), config, seed=0, prefixes=prefixes)
    table = model.adapter()["prefix"]
    assert table.shape == (4, model.lm.config.hidden_size)
    assert (table[:2] != table[2:]).any() and torch.equal(table[2], table[3])  # the other task's rows are as they were
    train(model, items + other, DataConfig(), config, seed=0, prefixes=prefixes)
    assert not torch.equal(model.adapter()["prefix"][2], table[2])
    train(model, items, DataConfig(), config, seed=0)
    assert model.prefix is None and "prefix" not in model.adapter()


def test_nan_loss_stops_the_training():
    model, items = setting()
    with torch.no_grad():
        model.lm.model.norm.weight[0] = float("nan")
    with pytest.raises(NonFiniteError, match="at step 1"):
        train(model, items, DataConfig(), TrainConfig(steps=3), seed=0)
