"""The training: what is learnt and what is not, exact resumption, NF4 rounding, and that it learns at all."""

import dataclasses
import shutil
from functools import partial

import bitsandbytes.functional as bnb
import pytest
import torch
from safetensors import SafetensorError
from transformers import LlamaConfig, LlamaForCausalLM

from solution.bench.train import is_weights
from solution.codec.arc16 import Arc16
from solution.finetune import train as train_module
from solution.finetune.batches import BatchStream
from solution.finetune.muon import Muon
from solution.finetune.settings import Settings
from solution.finetune.train import Trainer, learning_rate_scale, read_counters, train
from solution.models import shards
from solution.models.adapted import NonFiniteError
from solution.models.lean import llama_logits
from solution.models.nf4 import nf4_round_trip
from solution.models.rotary import GridRotary
from solution.weights.pack import pack_folder

from .arc_examples import turning_mixture


@pytest.fixture
def build():
    return partial(turning_mixture, families=3, each=12)


@pytest.fixture(autouse=True)
def one_thread():
    """Bit for bit the same on every machine, and quick beside other work: tiny operations wait long for a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny(tmp_path, name, **changes):
    base = Settings(out=str(tmp_path / name), hidden=64, layers=2, intermediate=128, batch_tokens=1024, max_len=160, decay=0.0,
                    warmup=2, log_steps=1, minutes=10.0, threads=2)  # fmt: skip
    return dataclasses.replace(base, **changes)


def test_rotary_angles_are_column_row_and_pair():
    rotary, positions = GridRotary(64), torch.tensor([[0, 5 << 12 | 7 << 6 | 9, 40 << 12]])
    cos, sin = rotary(torch.zeros(1, dtype=torch.bfloat16), positions)
    assert cos.shape == sin.shape == (1, 3, 64) and cos.dtype == torch.bfloat16
    cos, sin = rotary(torch.zeros(1), positions)
    expected = [n * 100.0 ** (-torch.arange(k) / k) for n, k in ((9, 12), (7, 12), (5, 8))]
    assert torch.equal(cos[0, 1], torch.cat(expected * 2).cos()) and torch.equal(sin[0, 1], torch.cat(expected * 2).sin())
    assert torch.equal(sin[0, 2, 24:32], (40 * 100.0 ** (-torch.arange(8) / 8)).sin()) and not sin[0, 2, :24].any()


@pytest.mark.parametrize("quantization_aware", [False, True])
def test_resumed_training_ends_with_the_same_weights(tmp_path, build, quantization_aware):
    options = {"quantization_aware": quantization_aware, "batch_tokens": 512}
    straight = tiny(tmp_path, "straight", steps=6, **options)
    train(straight, build)
    train(tiny(tmp_path, "first", steps=3, **options), build)
    train(tiny(tmp_path, "second", steps=6, start_from=str(tmp_path / "first/final"), **options), build)
    one, two = (Trainer(straight, tmp_path / f"{n}/final") for n in ("straight", "second"))
    assert (one.steps, one.tokens, one.data_state) == (two.steps, two.tokens, two.data_state) and one.steps == 6
    for state in (one.masters | one.engine.moments(), two.masters | two.engine.moments()):
        assert len(state) == len(one.masters) + len(one.engine.matrices) + 3 * len(one.engine.others)
    for name, tensor in (one.masters | one.engine.moments()).items():
        assert torch.equal(tensor, (two.masters | two.engine.moments())[name]), name
    assert not list(tmp_path.glob("*/*.old")) and not list(tmp_path.glob("**/*.bin"))


def test_saved_weights_load_in_transformers_and_counters_add_up(tmp_path, build):
    settings = tiny(tmp_path, "a", steps=2, tokens_before=1000)
    train(settings, build)
    again = Trainer(dataclasses.replace(settings, tokens_before=0), tmp_path / "a/final")
    stream = iter(BatchStream(build, Arc16("grid"), 1024, 160, seed=0, rows_multiple=2))
    assert again.tokens == 1000 + sum(next(stream).num_tokens for _ in range(2))
    model = LlamaForCausalLM.from_pretrained(tmp_path / "a/final", dtype=torch.float32)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, again.masters[name].bfloat16().float())


def test_a_killed_run_goes_on_from_its_last_checkpoint_whatever_the_moment(tmp_path, build):
    options = {"tokens": 6000, "decay": 0.5, "checkpoint_minutes": 0.0, "batch_tokens": 512}
    train(tiny(tmp_path, "whole", **options), build)
    cut = tiny(tmp_path, "cut", **options)
    train(dataclasses.replace(cut, steps=4), build)
    out = tmp_path / "cut"
    shutil.rmtree(out / "final")
    (out / "latest").rename(out / "latest.old")  # killed between the two renames: the new folder is complete, the old aside
    shutil.copytree(out / "latest.old", out / "latest.new")
    assert train(cut, build)["step"] > 4
    one, two = (Trainer(cut, tmp_path / n / "final") for n in ("whole", "cut"))
    assert one.tokens == two.tokens and one.progress == two.progress >= 1
    assert all(torch.equal(m, two.masters[n]) for n, m in one.masters.items())
    assert {p.name for p in out.iterdir()} == {"latest", "stable", "final", "log.jsonl"}


def test_stages_say_what_the_weights_were_trained_on(tmp_path, build):
    train(tiny(tmp_path, "a", steps=2), build, {"part": "first"})
    train(tiny(tmp_path, "b", steps=4, start_from=str(tmp_path / "a/final")), build, {"part": "second"})
    stages = read_counters(tmp_path / "b/final")["stages"]
    assert [s["recipe"]["part"] for s in stages] == ["first", "second"] and min(s["tokens"] for s in stages) > 0
    pack_folder(tmp_path / "b/final", tmp_path / "packed", "x", "", {})
    packed = Trainer(tiny(tmp_path, "c", start_from=str(tmp_path / "packed"), tokens_before=7))  # 4-bit weights, no state
    assert packed.tokens == 7 and "unknown" in packed.stages[0]["recipe"]
    original = Trainer(tiny(tmp_path, "d"), tmp_path / "b/final").masters
    name = "model.layers.0.mlp.up_proj.weight"
    torch.testing.assert_close(packed.masters[name], nf4_round_trip(original[name].bfloat16()).float(), rtol=0.01, atol=1e-3)


def test_weights_that_travelled_without_their_optimizers_go_on_and_the_stages_say_so(tmp_path, build, monkeypatch):
    """Shards, index and counters, as `solution.bench` lays them aside."""
    monkeypatch.setattr(shards, "SHARD_BYTES", 40_000)
    train(tiny(tmp_path, "a", steps=4, log_steps=4), build, {"part": "first"})
    sent = tmp_path / "sent"
    sent.mkdir()
    for path in (p for p in (tmp_path / "a/final").iterdir() if is_weights(p.name)):
        shutil.copy(path, sent)
    files = list(sent.glob("*.safetensors"))
    assert len(files) > 2 and max(p.stat().st_size for p in files) < 45_000 and not (sent / "training_state.safetensors").exists()
    whole = LlamaForCausalLM.from_pretrained(sent, dtype=torch.float32)
    trainer = Trainer(tiny(tmp_path, "b", start_from=str(sent)), recipe={"part": "second"})
    before = Trainer(tiny(tmp_path, "c"), tmp_path / "a/final")
    assert trainer.steps == 0 and (trainer.tokens, trainer.data_state) == (before.tokens, before.data_state)
    for start in (sent, tmp_path / "a/final"):  # another seed draws other data
        assert Trainer(tiny(tmp_path, "d", start_from=str(start), seed=99)).data_state == {"seed": 99}
    assert not any(moment.any() for moment in trainer.engine.moments().values())
    for name, weight in whole.named_parameters():
        assert torch.equal(weight, trainer.masters[name]) and torch.equal(weight, before.masters[name].bfloat16().float())
    first, second = trainer.stages
    assert first["recipe"] == {"part": "first"} and first["began"] == "random weights" and first["tokens"] == before.tokens
    assert second["recipe"] == {"part": "second"} and "weights alone" in second["began"] and second["tokens"] == 0


def test_what_cannot_be_started_from_gets_one_line(tmp_path, build):
    train(tiny(tmp_path, "a", steps=1), build)
    start = str(tmp_path / "a/final")
    for changes, words in (
        ({"start_from": str(tmp_path / "none")}, "holds no config.json"),
        ({"start_from": start, "layers": 3}, "holds 2 layers of 64 with feed-forward 128, not 3 of 64"),
        ({"start_from": start, "positions": "sequential"}, "was trained with grid positions, not sequential"),
    ):
        with pytest.raises(ValueError, match=words):
            Trainer(tiny(tmp_path, "b", **changes))
    for changes in ({"minutes": -1.0}, {"tokens": -5}, {"hidden": 32}, {"decay": 2.0}, {"layers": 0}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            tiny(tmp_path, "c", **changes)


def test_nan_ends_the_run_and_leaves_the_last_checkpoint(tmp_path, build):
    settings = tiny(tmp_path, "a", checkpoint_minutes=0.0, steps=2)
    train(settings, build)
    good = (tmp_path / "a/latest/model.safetensors").read_bytes()
    trainer = Trainer(settings, tmp_path / "a/latest")
    trainer.masters["model.norm.weight"][0] = float("nan")
    with pytest.raises(NonFiniteError, match="not overwritten"):
        trainer.save(tmp_path / "a/latest")
    assert (tmp_path / "a/latest/model.safetensors").read_bytes() == good
    with pytest.raises(NonFiniteError, match="the loss is"):
        train(tiny(tmp_path, "b", muon_lr=1e37, adam_lr=1e20, warmup=0, steps=50), build)
    assert not (tmp_path / "b/final").exists()


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_run(tmp_path, build, monkeypatch, capsys):
    save = Trainer.save

    def full(self, folder):
        if folder.name == "latest":
            raise SafetensorError("no space left on device")
        save(self, folder)

    monkeypatch.setattr(Trainer, "save", full)
    train(tiny(tmp_path, "a", checkpoint_minutes=0.0, steps=3), build)
    assert (tmp_path / "a/final").is_dir() and "the training goes on" in capsys.readouterr().err


def test_it_learns(tmp_path):
    build = partial(turning_mixture, families=1, each=3)
    trainer = Trainer(tiny(tmp_path, "b", input_weight=0.0, seed=1))
    stream, losses = iter(BatchStream(build, Arc16("grid"), 2048, 160, seed=1)), []
    for k in range(30):
        nll, _, count = trainer.step([next(stream)], learning_rate_scale(k, 0.0, 2, 0.0)).tolist()
        losses.append(nll / count)
    assert sum(losses[-3:]) < 0.75 * sum(losses[:3])


def test_forward_and_gradients_are_those_of_transformers(tmp_path):
    torch.manual_seed(3)
    config = LlamaConfig(vocab_size=16, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
                         intermediate_size=96, tie_word_embeddings=True)  # fmt: skip
    model = LlamaForCausalLM(config)
    model.model.rotary_emb = GridRotary(64)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for weight in weights.values():
            weight.add_(0.2 * torch.randn_like(weight))
    ids, positions = torch.randint(0, 16, (3, 300)), torch.randint(0, 12 << 12, (3, 300))  # more than two blocks of queries
    theirs = model(input_ids=ids, position_ids=positions, attention_mask=torch.ones_like(ids), use_cache=False).logits
    ours = llama_logits(weights, model.config, ids, *GridRotary(64)(torch.zeros(1), positions)).view(theirs.shape)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    seed = torch.randn_like(theirs)
    for a, b in zip(*(torch.autograd.grad(logits, list(weights.values()), seed) for logits in (ours, theirs))):
        assert (a - b).norm() < 1e-4 * b.norm()


def test_parts_of_a_batch_give_the_gradients_of_the_whole(tmp_path, build):
    batch = next(iter(BatchStream(build, Arc16("grid"), 1024, 160, seed=0)))
    one, two = (Trainer(tiny(tmp_path, "d", threads=n)) for n in (1, 2))
    for trainer in (one, two):
        trainer.engine.weights = {n: m.clone().requires_grad_() for n, m in trainer.masters.items()}  # fp32
        trainer.engine.refresh_weights = lambda rounded: None
        trainer.sums = trainer.step([batch], 0.0)
    torch.testing.assert_close(one.sums, two.sums, rtol=1e-5, atol=0)
    for name, master in one.masters.items():
        assert (master.grad - two.masters[name].grad).norm() < 1e-4 * master.grad.norm(), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_step_in_16_bits_is_about_that_in_32(tmp_path, build, monkeypatch, dtype):
    batch = next(iter(BatchStream(build, Arc16("grid"), 256, 160, seed=0)))
    gradients = []
    for chosen in (torch.float32, dtype):
        monkeypatch.setattr(train_module, "compute_dtype", lambda device, chosen=chosen: chosen)
        trainer = Trainer(tiny(tmp_path, "a"))
        before = {n: m.clone() for n, m in trainer.masters.items()}
        trainer.step([batch], 1.0)
        assert {w.dtype for w in trainer.engine.weights.values()} == {chosen}
        assert all(m.dtype == torch.float32 and not torch.equal(before[n], m) for n, m in trainer.masters.items())
        gradients.append(torch.cat([m.grad.flatten() for m in trainer.masters.values()]))
    assert (gradients[1] - gradients[0]).norm() < 0.05 * gradients[0].norm()


def test_a_step_whose_float16_gradients_overflow_is_left_out_and_the_scale_halves(tmp_path, build, monkeypatch):
    monkeypatch.setattr(train_module, "compute_dtype", lambda device: torch.float16)
    batch = next(iter(BatchStream(build, Arc16("grid"), 256, 160, seed=0)))
    trainer = Trainer(tiny(tmp_path, "a"))
    before, trainer.engine.loss_scale = {n: m.clone() for n, m in trainer.masters.items()}, 2.0**40
    trainer.step([batch], 1.0)
    assert (trainer.steps, trainer.tokens, trainer.engine.loss_scale) == (1, batch.num_tokens, 2.0**39)
    assert all(torch.equal(before[n], m) for n, m in trainer.masters.items())
    assert not any(moment.any() for moment in trainer.engine.moments().values())
    trainer.engine.loss_scale = 512.0
    trainer.step([batch], 1.0)
    assert not any(torch.equal(before[n], m) for n, m in trainer.masters.items())
    trainer.save(tmp_path / "a/latest")
    assert Trainer(trainer.settings, tmp_path / "a/latest").engine.loss_scale == 512.0


@pytest.mark.parametrize("shape", [(96, 64), (64, 64), (64, 172)])
def test_muon_is_torchs(shape):
    """torch's multiplies in bfloat16 alone, and rounds a matrix before it is normalized, not after."""
    torch.manual_seed(0)
    start, options = torch.randn(shape), {"lr": 0.02, "weight_decay": 0.01}
    found = []
    for make in (torch.optim.Muon, partial(Muon, dtype=torch.bfloat16), partial(Muon, dtype=torch.float32)):
        weight = start.clone().requires_grad_()
        muon = make([weight], **options)
        for seed in range(3):
            weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
            muon.step()
        found.append((weight.detach() - start, muon.state[weight]["momentum_buffer"]))
    for moved, momentum in found[1:]:
        assert (moved - found[0][0]).norm() < 0.02 * found[0][0].norm() and torch.equal(momentum, found[0][1])


def test_learning_rate_warms_up_stays_and_decays():
    assert learning_rate_scale(0, 0.0, 10, 0.2) == pytest.approx(0.1)
    assert learning_rate_scale(50, 0.79, 10, 0.2) == 1
    assert learning_rate_scale(50, 0.9, 10, 0.2) == pytest.approx(0.5)


def test_rounding_is_bitsandbytes_nf4_and_masters_get_the_gradient_at_the_rounded_weights(tmp_path, build):
    weight = torch.randn(96, 64).bfloat16()  # rows of whole blocks: elsewhere bitsandbytes is wrong on a CPU (models.nf4)
    packed, state = bnb.quantize_4bit(weight, quant_type="nf4", blocksize=64)
    rounded = nf4_round_trip(weight)
    assert torch.equal(rounded, bnb.dequantize_4bit(packed, state)) and not torch.equal(rounded, weight)
    assert torch.equal(nf4_round_trip(rounded), rounded)
    trainer = Trainer(tiny(tmp_path, "c"))
    before = {n: m.clone() for n, m in trainer.masters.items()}
    trainer.step([next(iter(BatchStream(build, Arc16("grid"), 1024, 160, seed=0)))], 1.0, round_to_nf4=True)
    for name, weight in trainer.engine.weights.items():
        used = before[name].to(trainer.dtype)
        used = nf4_round_trip(used) if name in trainer.engine.matrices else used
        assert torch.equal(weight, used) and not torch.equal(trainer.masters[name], before[name])
