"""Packs: what is in them, how tasks are drawn, tokens equal to the codec's, streams that resume."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from solution.arc.load import InputError, public_set
from solution.arc.task import Pair, Task, as_grid
from solution.arc.view import View
from solution.codec.arc16 import PAD, Arc16
from solution.finetune import likeness
from solution.finetune.assembly import Assembler
from solution.finetune.batches import supervised_tokens
from solution.finetune.draws import Drawer, Sampling, commonest_colours, distinct
from solution.finetune.examples import Family
from solution.finetune.guard import HELD_OUT, Guard
from solution.finetune.mixture import MAX_PAIRS, MIN_PAIRS, ONE_BACKGROUND, ONE_SIZE, TRANSFORMED_PAIRS, Examples, Recipe
from solution.finetune.pack import Amounts, Pack, build_pack
from solution.finetune.streams import PackStream, lengths_within
from solution.finetune.train import fitting_tokens

CPU = torch.device("cpu")
EVEN = Sampling(shares={"examples": 1.0, "real": 1.0, "generators": 2.0, "transformed": 1.0})


def random_grid(rng, most):
    return as_grid(rng.integers(0, 10, rng.integers(1, most + 1, 2)))


def flat(sources: dict, rng, most=6) -> Pack:
    """A pack of random grids: sources -> families -> groups -> how many pairs."""
    families = [(name, groups) for source in sources.values() for name, groups in source.items()]
    sizes = [size for _, groups in families for size in groups]
    grids = [random_grid(rng, most) for _ in range(2 * sum(sizes))]
    return Pack(
        cells=np.concatenate([g.ravel() for g in grids]).astype(np.uint8),
        shapes=np.array([a.shape + b.shape for a, b in zip(grids[::2], grids[1::2])], np.uint8),
        group_sizes=np.array(sizes, np.int32), family_sizes=np.array([len(g) for _, g in families], np.int32),
        source_sizes=np.array([len(s) for s in sources.values()], np.int32), sources=tuple(sources),
        families=tuple(n for n, _ in families), recipe={"seed": 0}, public={},
    )  # fmt: skip


@pytest.fixture(scope="module")
def pack():
    return flat(
        {"examples": {"a": [400], "b": [300]}, "real": {"c": [5], "d": [3]}, "generators": {"e": [7, 4, 6], "f": [3, 7]},
         "transformed": {"g": [4, 6, 7]}},
        np.random.default_rng(0),
    )


def pairs_of(pack: Pack) -> list[Pair]:
    counts = pack.counts
    starts = np.cumsum(counts.ravel()) - counts.ravel()
    found = []
    for (h, w, h_out, w_out), (first, second) in zip(pack.shapes.astype(int), starts.reshape(-1, 2)):
        found.append(Pair(as_grid(pack.cells[first : first + h * w].reshape(h, w)),
                          as_grid(pack.cells[second : second + h_out * w_out].reshape(h_out, w_out))))  # fmt: skip
    return found


def test_assembled_tokens_are_the_codecs(pack):
    draws = Drawer(pack, EVEN, 512).draw(np.random.default_rng(1), 200)
    assert set(draws.symmetry) == set(range(8)) and set(draws.counts) == set(range(MIN_PAIRS, MAX_PAIRS + 1))
    batch = Assembler(pack, CPU).assemble(draws, 512, rows=203)
    pairs, codec = pairs_of(pack), Arc16("grid")
    for row in range(len(draws)):
        chosen = [pairs[i] for i in draws.pairs[row, : draws.counts[row]]]
        view = View(int(draws.symmetry[row]), tuple(map(int, draws.colours[row])))
        task = view.apply(Task("x", tuple(chosen[:-1]), (chosen[-1],)))
        prompt = codec.encode(task, answer=True, first_pair=int(draws.first_pair[row]))
        end = len(prompt)
        assert end == draws.tokens[row]
        for found, expected, filler in (
            (batch.ids, prompt.ids, PAD), (batch.positions, prompt.positions, 0), (batch.supervised, supervised_tokens(prompt), 0)
        ):  # fmt: skip
            assert np.array_equal(found[row, :end], expected) and (found[row, end:] == filler).all()
    assert (batch.ids[len(draws) :] == PAD).all() and not batch.supervised[len(draws) :].any()
    assert batch.num_tokens == int((batch.ids != PAD).sum())


def test_drawn_tasks_are_of_one_group_and_fit(pack):
    draws = Drawer(pack, EVEN, 128).draw(np.random.default_rng(2), 3000)
    group_of = np.repeat(np.arange(len(pack.group_sizes)), pack.group_sizes)
    for row in range(len(draws)):
        used = draws.pairs[row, : draws.counts[row]]
        assert len(set(used)) == len(used) >= MIN_PAIRS and len(set(group_of[used])) == 1
        assert sorted(draws.colours[row]) == list(range(10))
    assert draws.tokens.max() <= 128
    assert draws.counts[draws.source == 3].min() == TRANSFORMED_PAIRS and draws.counts.min() == MIN_PAIRS
    shares = np.bincount(draws.source, minlength=4) / len(draws)
    assert np.allclose(shares, (0.2, 0.2, 0.4, 0.2), atol=0.05)


def test_generated_tasks_are_shown_whole_with_their_test_last(pack):
    draws = Drawer(pack, Sampling(shares={"generators": 1.0}), 512).draw(np.random.default_rng(8), 500)
    ends = np.cumsum(pack.group_sizes)
    groups = {tuple(range(end - size, end)) for size, end in zip(pack.group_sizes, ends)}
    orders = set()
    for pairs, count in zip(draws.pairs, draws.counts):
        shown = tuple(pairs[:count].tolist())
        assert tuple(sorted(shown)) in groups and shown[-1] == max(shown)
        orders.add(shown)
    assert len(orders) > 100  # demonstrations in any order


def test_what_fits_nowhere_gets_one_line(pack):
    with pytest.raises(ValueError, match="no task of three pairs in 12 tokens"):
        Drawer(pack, EVEN, 12)
    with pytest.raises(ValueError, match="none of the sources elsewhere"):
        Drawer(pack, Sampling(shares={"elsewhere": 1.0}), 500)


def test_stored_examples_agree_in_background_and_size_as_often_as_said():
    pack = flat({"examples": {"a": [3000], "b": [3000]}}, np.random.default_rng(3), most=3)
    sampling = Sampling(shares={"examples": 1.0}, one_background=0.75, one_size=0.5, background_zero=0.8)
    draws = Drawer(pack, sampling, 2000).draw(np.random.default_rng(4), 4000)
    background = commonest_colours(pack)
    used = np.arange(MAX_PAIRS) < draws.counts[:, None]
    one = {}
    for name, key in (("background", background), ("size", pack.shapes[:, 0] * 32 + pack.shapes[:, 1])):
        value = key[draws.pairs]
        one[name] = np.mean((value == value[:, :1]).astype(bool) | ~used, axis=1) == 1
    assert abs(one["background"].mean() - 0.75) < 0.03 and 0.5 - 0.03 < one["size"].mean() < 0.56
    shown = draws.colours[np.arange(len(draws)), background[draws.pairs[:, 0]]]
    assert abs((shown == 0).mean() - (0.8 + 0.2 * 0.1)) < 0.03
    plain = Drawer(pack, dataclasses.replace(sampling, one_background=0.0, one_size=0.0), 2000)
    pairs = plain.draw(np.random.default_rng(5), 2000).pairs
    assert (background[pairs[:, 0]] == background[pairs[:, 1]]).mean() < 0.3


def test_sources_pick_examples_that_agree_as_often_as_packs_do():
    rng = np.random.default_rng(6)
    family = Family.of("a", (Pair(random_grid(rng, 3), random_grid(rng, 3)) for _ in range(3000)))
    for picks, one_background, one_size in ((True, ONE_BACKGROUND, ONE_SIZE), (False, 0.1, 0.1)):
        source = Examples("examples", [family], picks)
        tasks = [source.sample(rng, 2000) for _ in range(1500)]
        backgrounds = np.mean([len({int(np.bincount(p.input.ravel()).argmax()) for p in pairs}) == 1 for pairs in tasks])
        sizes = np.mean([len({p.input.shape for p in pairs}) == 1 for pairs in tasks])
        assert abs(backgrounds - one_background) < 0.1 and abs(sizes - one_size) < 0.1, picks


def test_likeness_counts_what_its_rows_say(built, tmp_path, capsys):
    shapes = np.array([[[3, 3, 2, 2]] * 3 + [[9, 9, 9, 9]], [[3, 4, 2, 2], [3, 4, 2, 13], [4, 4, 2, 2], [4, 4, 2, 2]]])
    used = np.array([[True, True, True, False], [True] * 4])
    found = likeness.shares(shapes, np.array([[0, 0, 0, 5], [1, 1, 2, 1]]), np.array([0, 3]), used)
    assert dict(zip(likeness.ROWS, found)) == {
        "one input size": 0.5, "one output size": 0.5, "commonest colour is 0": 0.5, "background varies": 0.5,
        "square inputs": 5 / 7, "a side above 12": 0.5, "two demonstrations": 0.5,
    }  # fmt: skip
    built.write(tmp_path / "pack.npz")
    assert likeness.main([str(tmp_path / "pack.npz"), "--tasks", "50", "--limit", "4096"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["real,", "whole", "real"] and len(lines) == 1 + len(likeness.ROWS)
    assert lines[3].split()[4] == "78%"  # of the 400 public training tasks the commonest colour is 0
    assert likeness.main([str(tmp_path / "none.npz")]) == 2 and capsys.readouterr().err.count("\n") == 1


def test_commonest_colours_are_those_of_the_inputs(pack):
    expected = [np.bincount(pair.input.ravel(), minlength=10).argmax() for pair in pairs_of(pack)]
    assert np.array_equal(commonest_colours(pack), expected)


def test_distinct_numbers_are_distinct_and_uniform():
    found = distinct(np.random.default_rng(0), np.full(20_000, 5), 4)
    assert (np.sort(found, 1)[:, 1:] != np.sort(found, 1)[:, :-1]).all() and found.min() == 0 and found.max() == 4
    assert all(abs(np.bincount(column) / len(found) - 0.2).max() < 0.02 for column in found.T)
    few = distinct(np.random.default_rng(0), np.array([2, 3]), 7)  # only the first so many are different
    assert sorted(few[0, :2]) == [0, 1] and sorted(few[1, :3]) == [0, 1, 2] and few.max() <= 2


def test_streams_resume_exactly_and_share_their_batches_out(pack):
    def stream(**where):
        return PackStream(pack, EVEN, 1536, 256, CPU, seed=7, **where)

    whole = stream()
    steps = iter(whole)
    first = [batch for _ in range(5) for batch in next(steps)]
    state = whole.state
    after = [batch for _ in range(90) for batch in next(steps)]  # into the next pool
    again = iter(stream(pool=state["pool"], taken=state["taken"]))
    assert len(after) == 90 and all(torch.equal(next(again)[0].ids, batch.ids) for batch in after)
    assert {b.ids.numel() for b in first + after} == {1536} and {b.ids.shape[1] for b in after} <= {128, 256}
    free = iter(PackStream(pack, EVEN, 1536, 256, CPU, seed=7, fixed=False))
    assert max(b.ids.numel() for _ in range(20) for b in next(free)) <= 1536


def test_a_step_is_shared_out_and_goes_on_in_another_shape(pack):
    """Two processes of two batches each, from wherever one process of one batch came to."""

    def stream(**where):
        return PackStream(pack, EVEN, 3072, 256, CPU, seed=7, **where)

    for taken in (0, 3, 10_000):  # even, odd, beyond the pool
        halves = [iter(stream(taken=taken, part=part, parts=2, at_once=768)) for part in range(2)]
        for _ in range(80):
            one, two = (next(half) for half in halves)
            assert len(one) == len(two) == 2 and all(b.ids.numel() == 768 for b in one + two)
            assert [b.counted for b in one] == [b.counted for b in two]
            assert one[0].counted == sum(int((b.ids != PAD).sum()) for b in (one[0], two[0]))
            assert not torch.equal(one[0].ids, two[0].ids)


def test_parts_of_a_batch_are_multiples_that_hold_the_longest_sequence():
    assert [fitting_tokens(122880, most, 4096) for most in (200_000, 100_000, 50_000, 30_000, 5_000, 100)] == [
        122880, 61440, 40960, 24576, 4096, 4096
    ]  # fmt: skip
    assert all(lengths_within(fitting_tokens(122880, most, 4096), 4096) for most in range(1, 130_000, 997))


def test_lengths_divide_the_batch():
    assert lengths_within(122880, 4096)[-3:] == [3072, 3840, 4096]
    assert lengths_within(1024, 200) == [128, 256]
    with pytest.raises(ValueError, match="cannot hold sequences of 900"):
        lengths_within(1000, 900)


@pytest.fixture(scope="module")
def built():
    return build_pack(Recipe(), Amounts(generators=1, composer=3, transformed=6, max_tokens=1200), seed=1, processes=2)


def test_a_built_pack_holds_every_source_and_nothing_that_is_scored(built):
    assert built.sources == ("real", "generators", "composer", "transformed") and not set(HELD_OUT) & set(built.families)
    assert built.family_sizes[-1] == 6 and built.source_sizes[0] > 300 and built.source_sizes[1] > 230
    guard = Guard.standard()
    assert not any(map(guard.task_of, pairs_of(built)))
    evaluation, solutions = built.public["evaluation"]
    challenges, answers = public_set("arc-agi-1/evaluation")
    assert list(evaluation) == list(challenges.tasks) and len(solutions) == 400
    name = next(iter(evaluation))
    assert np.array_equal(evaluation[name]["test"][0]["input"], challenges.tasks[name].test[0].input)
    assert np.array_equal(solutions[name][0], answers[name][0])


def test_a_pack_gives_the_mixture_of_its_sources(built):
    """Tasks by source, drawn from the pack and task by task from the sources themselves."""
    recipe, tasks = Recipe(), 600
    mixture, rng = recipe.build(), np.random.default_rng(0)
    named = [mixture.sample(rng, 1024).id for _ in range(tasks)]
    draws = Drawer(built, Sampling(recipe.shares), 1024).draw(np.random.default_rng(1), 20 * tasks)
    from_pack = dict(zip(built.sources, np.bincount(draws.source, minlength=len(built.sources)) / len(draws)))
    total = sum(recipe.shares[name] for name in built.sources)
    for name in built.sources:
        share = recipe.shares[name] / total
        assert abs(named.count(name) / tasks - share) < 4 * (share * (1 - share) / tasks) ** 0.5, name
        assert abs(from_pack[name] - share) < 4 * (share * (1 - share) / len(draws)) ** 0.5, name


def test_a_pack_is_written_and_read_whole(built, tmp_path):
    path = tmp_path / "pack.npz"
    built.write(path)
    again = Pack.read(path)
    for field in dataclasses.fields(Pack):
        one, two = getattr(built, field.name), getattr(again, field.name)
        assert np.array_equal(one, two) if isinstance(one, np.ndarray) else json.dumps(one) == json.dumps(two), field.name
    assert again.describe()[0].startswith("real: ")


@pytest.mark.parametrize("fault", ["cut", "text", "shapes", "groups", "colours", "types", "bits"])
def test_what_is_no_pack_gets_one_line(pack, tmp_path, monkeypatch, fault):
    path = tmp_path / "pack.npz"
    changes = {
        "shapes": {"shapes": np.full_like(pack.shapes, 31)},
        "groups": {"group_sizes": pack.group_sizes[:-1]},
        "colours": {"cells": pack.cells + 5},
        "types": {"cells": pack.cells.astype(np.int8)},
    }
    if fault == "bits":  # other pairs under the same words
        monkeypatch.setattr(Pack, "digest", "0")
    dataclasses.replace(pack, **changes.get(fault, {})).write(path)
    monkeypatch.undo()
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif fault == "text":
        path.write_text("no pack")
    with pytest.raises(InputError, match="not a pack of training pairs"):
        Pack.read(path)
