"""Training data: readers, the contamination guard on the real overlap, sampling, transformations, batches."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from solution.arc.load import InputError, public_set
from solution.arc.task import Pair, Task, frozen, to_rows
from solution.arc.transforms import Transform
from solution.arc.view import View
from solution.codec.arc16 import END, INPUT, OUTPUT, PAD, Arc16
from solution.finetune.batches import BatchStream, collate, supervised_tokens
from solution.finetune.check import held_out_prompts
from solution.finetune.examples import Family, read_families
from solution.finetune.guard import HELD_OUT, ContaminationError, Guard, canonical_key, rough_key
from solution.finetune.mixture import Composed, Examples, Generated, Mixture, Recipe, tears, transformed

from .arc_examples import turning_families, turning_mixture, write_packed


@pytest.fixture(scope="module")
def guard():
    return Guard.standard()


def random_pair(rng, high=6):
    return Pair(*(frozen(rng.integers(0, 10, rng.integers(1, high, 2))) for _ in range(2)))


# Readers


def test_packed_examples_and_a_rearc_folder_are_read_as_they_were_written(tmp_path):
    families = turning_families()
    write_packed(tmp_path / "a.npz", families)
    for folder in (tmp_path / "plain", tmp_path / "re_arc" / "tasks"):
        folder.mkdir(parents=True)
        for family in families:
            rows = [{"input": to_rows(p.input), "output": to_rows(p.output)} for p in family.pairs]
            (folder / f"{family.id}.json").write_text(json.dumps(rows))
    for source in (tmp_path / "a.npz", tmp_path / "plain", tmp_path / "re_arc"):
        read = read_families(str(source))
        assert [f.id for f in read] == [f.id for f in families] and [f.pairs for f in read] == [f.pairs for f in families]
        assert all(np.array_equal(a.tokens, b.tokens) for a, b in zip(read, families))


def test_public_sets_bring_demonstrations_and_answered_tests():
    families = {f.id: f for f in read_families("arc-agi-1/training")}
    challenges, solutions = public_set("arc-agi-1/training")
    assert len(families) == 400
    for name, task in challenges.tasks.items():
        assert len(families[name].pairs) == len(task.train) + len(task.test)
        assert families[name].pairs[-1] == Pair(task.test[-1].input, solutions[name][-1])


@pytest.mark.parametrize("fault", ["nothing", "text", "cut", "values", "missing", "folder", "json"])
def test_sources_that_cannot_be_read_give_one_line(tmp_path, fault):
    path = tmp_path / "a.npz"
    write_packed(path, turning_families())
    arrays = dict(np.load(path))
    if fault == "nothing":
        path = tmp_path / "none.npz"
    elif fault == "text":
        path.write_text("no archive")
    elif fault == "cut":
        np.savez(path, **arrays | {"cells": arrays["cells"][:-1]})
    elif fault == "values":
        np.savez(path, **arrays | {"cells": np.full_like(arrays["cells"], 10)})
    elif fault == "missing":
        np.savez(path, keys=arrays["keys"])
    elif fault == "folder":
        path = tmp_path / "empty"
        path.mkdir()
    else:
        path = tmp_path / "re_arc"
        path.mkdir()
        (path / "a.json").write_text('[{"input": [[1, 2], [3]], "output": [[1]]}]')
    with pytest.raises(InputError) as error:
        read_families(str(path))
    assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_bad_pairs_of_a_packed_file_cost_themselves(tmp_path, caplog):
    families = turning_families()
    pairs = [list(f.pairs) for f in families]
    large = Pair(frozen(np.zeros((31, 2))), frozen(np.ones((2, 2))))
    coloured = Pair(frozen(np.full((3, 3), 10)), frozen(np.ones((1, 1))))
    shown = [pairs[0], [large, *pairs[1], coloured], [*pairs[2][:4], large, *pairs[2][4:]]]
    write_packed(tmp_path / "a.npz", [Family.of(f.id, found) for f, found in zip(families, shown)])
    read = read_families(str(tmp_path / "a.npz"))
    assert [f.pairs for f in read] == [f.pairs for f in families]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 4 and "pair 12 of family1" in lines[0] and f"3 of {3 + sum(map(len, pairs))} pairs" in lines[-1]


def test_loader_processes_do_not_say_again_what_is_left_out(tmp_path, caplog, monkeypatch):
    (tmp_path / "a.json").write_text('[{"input": [[1]], "output": [[1]]}, 7]')
    monkeypatch.setattr("multiprocessing.parent_process", object)
    assert len(read_families(str(tmp_path))) == 1 and not caplog.records


def test_scored_tasks_are_known_in_every_form(tmp_path, guard):
    challenges, solutions = public_set("arc-agi-2/evaluation")
    bodies = {}
    for name in list(challenges.tasks)[:3]:
        task = challenges.tasks[name]
        pairs = [*task.train, *(Pair(test.input, output) for test, output in zip(task.test, solutions[name]))]
        rows = [{"input": to_rows(p.input), "output": to_rows(p.output)} for p in pairs]
        bodies[name] = {"train": rows[: len(task.train)], "test": rows[len(task.train) :]}
    (tmp_path / "tasks").mkdir()
    for number, body in enumerate(bodies.values()):
        (tmp_path / "tasks" / f"renamed{number}.json").write_text(json.dumps(body))
    (tmp_path / "c.json").write_text(json.dumps(bodies))
    for source in (tmp_path / "tasks", tmp_path / "tasks" / "renamed0.json", tmp_path / "c.json"):
        with pytest.raises(ContaminationError):
            guard.check(read_families(str(source)), str(source))
        assert not guard.drop(read_families(str(source)))


# The contamination guard


def test_the_real_overlap_of_arc_agi_2_is_refused(guard):
    """376 of ARC-AGI-1's 400 public evaluation ids are in ARC-AGI-2's training set, 6 in its evaluation set (docs/sources.md)."""
    evaluation = set(public_set("arc-agi-1/evaluation")[0].tasks)
    caught = 0
    for source, expected in (("arc-agi-2/training", 376), ("arc-agi-2/evaluation", 6)):
        families = read_families(source)
        assert sum(f.id in evaluation for f in families) == expected
        with pytest.raises(ContaminationError, match=source):
            guard.check(families, source)
        renamed = [Family.of(f"renamed-{f.id}", f.pairs) for f in families]  # by content alone
        offending = {f.id for f in renamed if guard.offences(f).any()}
        assert {f"renamed-{f.id}" for f in families if f.id in evaluation} <= offending
        caught += len({f.removeprefix("renamed-") for f in offending} & evaluation)
        kept = guard.drop(families)
        guard.check(kept, source)
        assert len(kept) == len(families) - sum(f.id in guard.ids for f in families)
    assert caught == 382 and not kept  # the second set is scored on as a whole


@pytest.mark.parametrize("name", ["00576224", "00576224.json", "re-arc_00576224", "00576224_1", "ARC-00576224"])
def test_guard_knows_an_id_however_it_is_spelt(guard, name):
    family = Family.of(name, [random_pair(np.random.default_rng(0))])
    assert guard.offences(family).all() and not guard.drop([family])
    assert not guard.offences(Family.of("0057622", family.pairs)).any()


def test_guard_sees_through_symmetries_colours_and_other_ids(guard):
    rng = np.random.default_rng(0)
    challenges, _ = public_set("arc-agi-1/evaluation")
    for name in rng.choice(sorted(challenges.tasks), 20, replace=False):
        pair = challenges.tasks[name].train[0]
        view = View(int(rng.integers(8)), tuple(int(c) for c in rng.permutation(10)))
        family = Family.of("mine", [random_pair(rng), view.apply_pair(pair), random_pair(rng)])
        assert guard.offences(family).tolist() == [False, True, False]
        assert len(guard.drop([family])[0].pairs) == 2
        assert guard.task_of(Pair(pair.output, pair.input)) is None  # another rule


def test_keys_are_equal_exactly_for_pairs_that_a_view_joins():
    rng = np.random.default_rng(1)
    seen = {}
    for number in range(150):
        pair = random_pair(rng, 5)
        views = [View(s, tuple(int(c) for c in rng.permutation(10))) for s in range(8)]
        assert {canonical_key(v.apply_pair(pair)) for v in views} == {canonical_key(pair)}
        assert {rough_key(v.apply_pair(pair)) for v in views} == {rough_key(pair)}
        other = seen.setdefault(canonical_key(pair), pair)
        if other is not pair:  # found equal: then some view must join them
            cells = {tuple(sorted(p.input.shape)) for p in (pair, other)}
            assert len(cells) == 1, number


def test_held_out_tasks_are_out_of_the_default_mixture_and_are_what_is_checked_on(guard):
    assert len(HELD_OUT) == len(set(HELD_OUT)) == 60 and set(HELD_OUT) <= guard.ids
    (_, examples), *_ = Recipe(generators=0, composer=0).build().parts
    assert not {f.id for f in examples.families} & guard.ids and len(examples.families) > 330
    with pytest.raises(ContaminationError, match="60 families by their id"):
        Recipe(generators=0, composer=0, drop_scored=False).build()
    prompts = held_out_prompts(Arc16("grid"), 1024)
    assert 55 <= len(prompts) and max(map(len, prompts)) <= 1024


# Sampling


def test_a_pair_that_comes_twice_is_kept_once():
    rng = np.random.default_rng(0)
    pairs = [random_pair(rng) for _ in range(5)]
    assert len(Family.of("x", pairs + pairs[:3]).pairs) == 5
    recipe = Recipe(data=("arc-agi-1/training", "arc-agi-2/training"), generators=0, composer=0, transformed=0)
    for family in recipe.build().parts[0][1].families:
        assert len({p.key[0] for p in family.pairs}) == len(family.pairs)


def test_samples_fit_and_every_family_comes():
    rng = np.random.default_rng(1)
    grids = [frozen(np.zeros((side, side))) for side in (2, 6, 30)]
    families = []
    for i, grid in enumerate(grids):  # nine pairs that differ in one cell
        marked = [grid.copy() for _ in range(9)]
        for value, other in enumerate(marked):
            other.setflags(write=True)
            other[0, 0] = value
        families.append(Family.of(str(i), (Pair(frozen(m), grid) for m in marked)))
    source = Examples("x", families)
    sides = []
    for _ in range(300):
        pairs = source.sample(rng, 300)
        if pairs is not None:
            assert 3 <= len(pairs) <= 7 and sum(len(p.input) * (len(p.input) + 1) * 2 + 3 for p in pairs) <= 300
            sides.append(len(pairs[0].input))
    assert sides.count(30) == 0 and min(sides.count(2), sides.count(6)) > 120
    with pytest.raises(ValueError, match="no task of three pairs"):
        Mixture(((1.0, Examples("y", families[2:])),)).sample(rng, 300)


def test_a_generated_task_that_holds_a_scored_pair_is_left_out(guard):
    challenges, _ = public_set("arc-agi-1/evaluation")
    rng = np.random.default_rng(4)

    class Unlucky:
        name = "unlucky"
        clean = tuple(random_pair(rng) for _ in range(3))
        scored = challenges.tasks[sorted(challenges.tasks)[0]].train[0]

        def sample(self, rng, max_len):
            return (*self.clean, self.scored) if rng.random() < 0.5 else self.clean

    mixture = Mixture(((1.0, Unlucky()),), guard=guard)
    tasks = [mixture.sample(rng, 5000) for _ in range(40)]
    assert {len(task.train) for task in tasks} == {2}


@pytest.mark.parametrize("source", [Generated(), Composed()], ids=lambda s: s.name)
def test_our_own_sources_give_tasks_that_fit(source):
    mixture = Mixture(((1.0, source),))
    rng, codec = np.random.default_rng(0), Arc16("grid")
    for _ in range(60):
        task = mixture.sample(rng, 700)
        assert 2 <= len(task.train) <= 6 and len(codec.encode(task, answer=True)) <= 700
    one, two = (mixture.sample(np.random.default_rng(5), 700) for _ in range(2))
    assert one == two


class Rarely:
    name = "rarely"

    def sample(self, rng, max_len):
        return Examples("x", turning_families()).sample(rng, max_len) if rng.random() < 0.1 else None


def test_a_mixture_draws_its_sources_by_their_shares():
    parts = tuple((share, Examples(name, turning_families())) for share, name in ((3.0, "a"), (1.0, "b")))
    mixture = Mixture(parts)
    rng = np.random.default_rng(0)
    drawn = [mixture.sample(rng, 500).id for _ in range(800)]
    assert 540 < drawn.count("a") < 660
    rare = Mixture(((1.0, Examples("a", turning_families())), (1.0, Rarely())))
    assert 330 < [rare.sample(rng, 500).id for _ in range(800)].count("rarely") < 470  # its share, though it gives one in ten
    assert mixture.describe() == "75% a, 25% b"


def test_transformed_tasks_keep_the_rule_and_the_shares_of_the_paper():
    rng = np.random.default_rng(3)
    pairs = tuple(Pair(frozen(g), frozen((g + 1) % 10)) for g in (rng.integers(0, 10, (3, 4)) for _ in range(5)))
    task = Task("t", pairs[:4], pairs[4:])
    kinds = {"input": 0, "output": 0, "both": 0}
    for _ in range(3000):
        other = transformed(task, rng, 10_000)
        shown = (*other.train, *other.test)
        same_inputs = all(np.array_equal(a.input, b.input) for a, b in zip(shown, pairs))
        same_outputs = all(np.array_equal(a.output, b.output) for a, b in zip(shown, pairs))
        assert not (same_inputs and same_outputs) and len(shown) == 5
        kinds["output" if same_inputs else "input" if same_outputs else "both"] += 1
        if not same_inputs and not same_outputs:  # one transformation acts on both: the colours still go up by one
            assert all(np.array_equal((p.input + 1) % 10, p.output) for p in shown)
    assert [round(n / 3000, 1) for n in kinds.values()] == [0.3, 0.6, 0.1]
    shorter = [transformed(task, rng, 200) for _ in range(300)]
    assert {len(t.train) for t in shorter} == {4, 3}
    assert all(len(Arc16("grid").encode(t, answer=True)) <= 200 for t in shorter)


def test_no_transformation_undoes_a_rule_changes_nothing_or_tears_a_drawing():
    rng = np.random.default_rng(4)
    spots = [frozen(np.pad(rng.integers(1, 10, (2, 3)), 4)) for _ in range(5)]
    turned = Task("t", tuple(Pair(g, frozen(np.rot90(g))) for g in spots[:4]), (Pair(spots[4], frozen(np.rot90(spots[4]))),))
    even = Task("e", tuple(Pair(frozen(np.full((3, 3), c)), frozen(np.full((3, 3), 9))) for c in range(4)), turned.test)
    full = Task("f", tuple(Pair(frozen(rng.integers(0, 10, (6, 6))), g) for g in spots[:4]), turned.test)
    for _ in range(400):
        for task in (turned, even):
            other = transformed(task, rng, 10_000)
            pairs = list(zip((*task.train, *task.test), (*other.train, *other.test)))
            assert other is not task and all(b != a and not np.array_equal(b.input, b.output) for a, b in pairs)
    for shift in ((1, 0), (0, 1), (4, 2)):
        shift = Transform("shift", shift=shift)
        assert tears(shift, full, True, False) and not tears(shift, full, False, True)  # its outputs have an empty edge
        assert not tears(shift, turned, True, True)


# Batches


def test_exactly_the_outputs_from_the_second_pair_on_are_supervised():
    rng = np.random.default_rng(2)
    mixture = turning_mixture()
    prompts = [Arc16("grid").encode(mixture.sample(rng, 400), answer=True, first_pair=3) for _ in range(20)]
    batch = collate(prompts)
    assert batch.ids.shape == batch.positions.shape == batch.supervised.shape and batch.ids.shape[1] % 32 == 0
    assert batch.num_tokens == sum(map(len, prompts))
    for row, prompt in enumerate(prompts):
        n, learnt, inside, pair = len(prompt), [], False, -1
        for token in prompt.ids:
            pair += token == INPUT
            learnt.append(bool(inside and pair > 0))
            inside = token == OUTPUT or inside and token != END
        assert supervised_tokens(prompt).tolist() == learnt == batch.supervised[row, :n].tolist()
        assert not batch.supervised[row, n:].any() and (batch.ids[row, n:] == PAD).all()
        assert batch.positions[row, 0] >> 12 == 6


def test_a_stream_goes_on_exactly_and_wastes_little():
    codec = Arc16("grid")
    stream = iter(BatchStream(turning_mixture, codec, 512, 160, seed=4))
    batches = [next(stream) for _ in range(150)]
    whole = BatchStream(turning_mixture, codec, 512, 160, seed=4)
    reader = iter(whole)
    for _ in range(120):
        next(reader)
    again = iter(BatchStream(turning_mixture, codec, 512, 160, **whole.state))
    assert whole.state["pool"] > 0
    for k in range(120, 150):
        other = next(again)
        assert torch.equal(batches[k].ids, other.ids) and torch.equal(batches[k].positions, other.positions)
    assert max(b.ids.numel() for b in batches) <= 512
    assert sum(b.num_tokens for b in batches) > 0.8 * sum(b.ids.numel() for b in batches)


def test_loader_processes_give_the_same_batches_in_the_same_order():
    codec, build = Arc16("grid"), partial(turning_mixture, families=2)
    here = iter(BatchStream(build, codec, 512, 160, seed=1, pool=2, taken=3))
    there = iter(BatchStream(build, codec, 512, 160, seed=1, pool=2, taken=3, loaders=2))
    for _ in range(80):
        one, two = next(here), next(there)
        assert torch.equal(one.ids, two.ids) and torch.equal(one.supervised, two.supervised)
    there.close()
