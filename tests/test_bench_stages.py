"""The stages of `solution.bench` that measure: score, speed, profile, at toy sizes."""

import json
import tarfile

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from solution.bench import profile, rivals, score, speed
from solution.bench.context import Context
from solution.bench.shapes import random_model
from solution.codec.arc16 import END, PAD, VOCABULARY_SIZE
from solution.driver.journal import Result as Done
from solution.finetune.mixture import MIN_PAIRS
from solution.finetune.pack import Pack
from solution.models.manifest import find_weights
from solution.models.nf4 import is_4_bit, read_dense
from solution.models.settings import LoraShape
from solution.report.__main__ import main as report
from solution.schedule.job import Job, Record


@pytest.fixture
def weights(tmp_path):
    """A tiny Llama of random weights as a training run leaves it: bfloat16 shards with their index, no entry."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY_SIZE, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=1,
        num_key_value_heads=1, max_position_embeddings=4096, tie_word_embeddings=True, pad_token_id=PAD, eos_token_id=END,
        bos_token_id=None,
    )  # fmt: skip
    folder = tmp_path / "fresh"
    LlamaForCausalLM(config).bfloat16().save_pretrained(folder, max_shard_size="60KB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    return folder


def flipping_task(tests: int) -> tuple[dict, list]:
    """A task of 2 x 2 grids that are turned upside down, as Kaggle writes it: no placeholder solves it."""
    grids = [[[k, k], [k + 1, k + 1]] for k in range(3 + tests)]
    pairs = [{"input": grid, "output": grid[::-1]} for grid in grids]
    return {"train": pairs[:3], "test": [{"input": p["input"]} for p in pairs[3:]]}, [p["output"] for p in pairs[3:]]


@pytest.fixture
def context(tmp_path, weights):
    tasks = {f"{tests:08x}": flipping_task(tests) for tests in (1, 2)}
    public = {n: t for n, (t, _) in tasks.items()}, {n: s for n, (_, s) in tasks.items()}
    pack = Pack(
        cells=np.zeros(2 * MIN_PAIRS, np.uint8), shapes=np.ones((MIN_PAIRS, 4), np.uint8),
        group_sizes=np.array([MIN_PAIRS], np.int32), family_sizes=np.array([1], np.int32), source_sizes=np.array([1], np.int32),
        sources=("none",), families=("none",), recipe={}, public={"training": public, "evaluation": public},
    )  # fmt: skip
    return lambda seconds, pack_path=tmp_path / "pack.npz": (
        pack.write(pack_path) or Context(tmp_path / "out", "cpu", seconds, True, pack_path, (), (weights,))
    )


def test_score_runs_drivers_side_by_side_and_leaves_a_journal_for_the_report(context, tmp_path, monkeypatch):
    monkeypatch.setattr(score, "num_processes", lambda *_: 2)  # as on a GPU
    noted = []
    result = score.run(context(300.0), noted.append)
    found = result.values["runs"]["ttt"]
    assert found["processes"] == 2 and not found["failed"], found
    assert found["tasks"] == found["trained"] == 2 and found["outputs"] == 3, found
    assert found["seconds a task"]["tasks"] == 2 and found["seconds a task"]["steps"] == 2
    assert found["strict"] == 0 and found["strict 95%"] == (0.0, 0.0)
    assert set(found["methods"]) >= {"hierarchical", "oracle"} and found["device-seconds"] > 0
    assert result.lines and noted[-1] == result
    json.dumps(result.values)

    with tarfile.open(tmp_path / "out" / "score" / "ttt.tar.xz") as tar:
        tar.extractall(tmp_path / "back", filter="data")
    back = tmp_path / "back"
    assert set(json.loads((back / "submission.json").read_text())) == {"00000001", "00000002"}
    options = ["--input", str(back / "challenges.json"), "--solutions", str(back / "solutions.json")]
    assert report([str(back / "submission.run"), *options]) == 0
    assert "00000002" in (back / "submission.run" / "report.html").read_text()


def test_a_fresh_folder_gets_an_entry_that_the_driver_accepts(context, weights):
    score.as_it_is(weights)
    found = find_weights(str(weights))
    found.verify()
    assert found.entry["position_scheme"] == "grid" and found.entry["quantization"] == "none, bfloat16"
    assert found.entry["parameters"] == sum(t.numel() for n, t in read_dense(weights, torch.bfloat16).items())
    (weights / "config.json").write_text((weights / "config.json").read_text() + "\n")
    score.as_it_is(weights).verify()  # trained on since: described anew


def test_a_driver_that_fails_is_named(context, monkeypatch):
    monkeypatch.setattr(score, "SOLVERS", ("nonsense",))
    with pytest.raises(RuntimeError, match="nonsense"):
        score.run(context(20.0), lambda _: None)


def test_seconds_a_task_tell_training_from_decoding():
    def slice_of(first, num, steps, seconds):
        job = Job("ttt", ("a",), 0, 8, first_step=first, num_steps=num)
        return Done(Record(job, "cuda:0", seconds), ttt={"steps": steps})

    results = [slice_of(0, 8, 8, 4.0), slice_of(8, 8, 16, 4.0), slice_of(16, 0, 32, 11.0)]
    results.append(Done(Record(Job("views", ("a",), 8, 8), "cuda:0", 2.0)))
    found = score.seconds_a_task(results)
    assert found["training"] == 16.0 and found["decoding first views"] == 3.0 and found["decoding more views"] == 2.0
    assert found["steps"] == 32 and found["tasks"] == 1


def test_speed_measures_what_the_driver_does(context):
    noted = []
    result = speed.run(context(60.0), noted.append)
    rows = result.values["rows"]
    assert [row["shape"] for row in rows] == list(speed.TOYS) and len(noted) == len(rows)
    for row in rows:
        assert row["training tokens/s"] > 0 and row["decoding tokens/s"] > 0 and 0 < row["share of ceiling"] < 1
        assert row["seconds a task"] > row["seconds a step"] * row["steps a task"]
        assert row["peak GiB training"] is None and row["planned GiB training"] > 0
    assert len(result.lines) == 2 + len(rows)
    json.dumps(result.values)


def test_speed_decodes_every_answer_to_its_limit(context):
    task = speed.typical_task(speed.public_tasks(context(1.0).pack), smallest=True)
    model = random_model("test", torch.device("cpu"), LoraShape())
    work = speed.work_of(task, model.codec, toy=True)
    written, _ = speed.decode(speed.DenseLlama(model), model.codec, work)
    assert written == speed.VIEWS * speed.TOY_ANSWER
    assert 8 * max(work.lengths) <= work.batch_tokens and len(work.planned) == 2


@pytest.mark.parametrize("name", speed.TOYS)
def test_random_models_in_4_bits_are_packed_and_train(context, name):
    pytest.importorskip("bitsandbytes")
    model = random_model(name, torch.device("cpu"), LoraShape(rank=4), in_4_bits=True)
    assert is_4_bit(model.lm.model.layers[0].self_attn.q_proj.base_layer.weight)
    task = speed.typical_task(speed.public_tasks(context(1.0).pack))
    trained, seconds = speed.some_steps(model, speed.work_of(task, model.codec, toy=True), 2)
    assert trained.steps == 2 and np.isfinite(trained.losses).all() and seconds > 0


def test_rivals_measure_in_turn_and_name_what_fails(context):
    task = speed.typical_task(speed.public_tasks(context(1.0).pack), smallest=True)
    pytest.importorskip("bitsandbytes")
    (result,) = rivals.compare(context(1.0), task, 100.0, ("ours", "nobody's unsloth"))
    found = result.values["tiny"]
    assert found["ours"]["training"] > 0 and found["ours"]["decoding"] > 0
    assert "fault" in found["nobody's unsloth"] or torch.cuda.is_available()


def test_profile_counts_operators_and_waits_a_step(context):
    noted = []
    result = profile.run(context(60.0), noted.append)
    for name in ("training", "decoding"):
        found = result.values[name]
        assert found["operators a step"] > 50 and found["seconds a step"] > 0 and len(found["top"]) == profile.TOP
        assert "mm" in " ".join(row["name"] for row in found["top"])
    assert result.values["training"]["steps"] == 1 and result.values["decoding"]["steps"] == profile.TOY_TOKENS - 1
    assert result.values["decoding"]["operators a step"] < result.values["training"]["operators a step"]
    assert len(noted) == 2
    json.dumps(result.values)


def test_a_watch_counts_only_what_comes_after_its_first_question():
    seen = []

    def job(watch):
        for step in range(5):
            watch()
            seen.append(step)
            torch.ones(3).sum()
        return 3  # of the steps, two are warm-up

    found = profile.steps_of(job, torch.device("cpu"), 3)
    assert found["steps"] == 3 and seen == [0, 1, 2, 3, 4] * 2
    (row,) = [row for row in found["top"] if row["name"] == "aten::sum"]
    assert row["calls a step"] == 1
