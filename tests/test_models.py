"""Weights: verified, safetensors only, loadable by the libraries themselves; the adapter resets in place."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import bitsandbytes.functional
import numpy as np
import pytest
import torch
from peft import get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from solution.codec.arc16 import END, Arc16
from solution.decode.greedy import greedy
from solution.decode.reference import greedy_one
from solution.models import adapted, shards
from solution.models.adapted import AdaptedModel, NonFiniteError, lora_layers, merged_weight
from solution.models.dense import DenseLlama
from solution.models.load import load, peft_config
from solution.models.manifest import ENTRY_FILE, MANIFEST, WeightsError, WeightSet, default_weights, find_weights, read_manifest
from solution.models.nf4 import dense_weight, is_4_bit, is_quantized_name, nf4_round_trip, read_dense
from solution.models.settings import LoraShape
from solution.ttt.settings import DataConfig, TrainConfig
from solution.ttt.train import collate, train
from solution.weights.pack import pack_folder

from .conftest import give_prefix, random_model, randomise
from .test_codec import random_task

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    """A copy of the default weights as a folder with its own entry."""
    weights = default_weights("cpu")
    copy = tmp_path / "weights"
    shutil.copytree(weights.folder, copy)
    (copy / ENTRY_FILE).write_text(json.dumps(weights.entry))
    return copy


def test_every_entry_of_the_manifest_verifies():
    entries = [entry for entry in read_manifest() if "folder" in entry]
    assert entries
    for entry in entries:
        find_weights(entry["name"]).verify()


def test_published_checkpoints_are_listed_without_a_hash_and_refused_until_pinned(tmp_path):
    far = [entry for entry in read_manifest() if "folder" not in entry]
    assert {(e["name"], e["codec"]) for e in far} == {("architects-3b", "architects"), ("marc-8b", "marc")}
    for entry in far:
        assert all(f["sha256"] is None for f in entry["files"])
        here = tmp_path / entry["name"]
        here.mkdir()
        for file in entry["files"]:
            (here / file["path"]).write_text("{}")
        with pytest.raises(WeightsError, match="--allow-unpinned does without"):
            find_weights(f"{entry['name']}={here}").verify()


def test_embedded_weights_are_small_and_listed_whole():
    weights = default_weights("cpu")
    assert {f["path"] for f in weights.entry["files"]} == {p.name for p in weights.folder.iterdir()}
    assert sum(f["size"] for f in weights.entry["files"]) < 64e6


def test_a_changed_byte_is_refused(folder):
    find_weights(str(folder)).verify()
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="model.safetensors does not have the sha256"):
        load(find_weights(str(folder)), CPU, LoraShape())
    path.write_bytes(data[:-1])
    with pytest.raises(WeightsError, match="bytes, not"):
        find_weights(str(folder)).verify()
    path.unlink()
    with pytest.raises(WeightsError, match="is missing"):
        find_weights(str(folder)).verify()


def test_pickles_and_unknown_names_are_refused(folder):
    entry = json.loads((folder / ENTRY_FILE).read_text())
    entry["files"].append({"path": "pytorch_model.bin", "size": 1, "sha256": "0"})
    (folder / ENTRY_FILE).write_text(json.dumps(entry))
    with pytest.raises(WeightsError, match="only .safetensors and .json"):
        find_weights(str(folder))
    with pytest.raises(WeightsError, match="'no-such-weights' are neither in weights_manifest.json .*arc-llama-s"):
        find_weights("no-such-weights")


def test_unpinned_weights_are_refused(folder):
    entry = json.loads((folder / ENTRY_FILE).read_text())
    entry["files"][0]["sha256"] = None
    (folder / ENTRY_FILE).write_text(json.dumps(entry))
    with pytest.raises(WeightsError, match="solution.weights pin arc-llama-s"):
        find_weights(str(folder)).verify()


def test_the_library_itself_loads_the_same_numbers():
    weights = default_weights("cpu")
    ours = read_dense(weights.folder, torch.bfloat16)
    theirs = AutoModelForCausalLM.from_pretrained(weights.folder)
    from bitsandbytes.functional import dequantize_4bit

    for name in ("model.layers.0.self_attn.q_proj", "model.layers.3.mlp.gate_proj"):
        layer = theirs.get_submodule(name)
        assert torch.equal(
            dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(torch.bfloat16), ours[name + ".weight"]
        )
    assert torch.equal(theirs.model.norm.weight, ours["model.norm.weight"])


@pytest.mark.parametrize("shape", [(64, 64), (64, 96), (256, 688)])
def test_dequantizing_counts_blocks_through_the_whole_matrix(shape):
    """bitsandbytes' CPU kernel does not where rows are no whole number of blocks; ours must."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    code = torch.tensor(bitsandbytes.functional.get_4bit_type("nf4", device="cpu").tolist())
    blocks = weight.view(-1, 64)
    absmax = blocks.abs().amax(1, keepdim=True)
    nearest = code[(blocks / absmax)[..., None].sub(code).abs().argmin(-1)] * absmax
    assert torch.allclose(nf4_round_trip(weight), nearest.view(shape), atol=1e-6)


def test_tokenizer_of_the_weights_is_our_codec():
    tokenizer = PreTrainedTokenizerFast.from_pretrained(default_weights("cpu").folder)
    prompt = Arc16("grid").encode(random_task(np.random.default_rng(0)), answer=True)
    text = tokenizer.decode(prompt.ids.tolist()).replace(" ", "")
    assert tokenizer(text)["input_ids"] == prompt.ids.tolist()
    assert tokenizer.eos_token_id == END


@pytest.mark.parametrize("in_shards", [False, True])
def test_packed_weights_are_those_of_the_source_within_4_bits(tmp_path, monkeypatch, in_shards):
    if in_shards:
        monkeypatch.setattr(shards, "SHARD_BYTES", 20_000)
    model = random_model(dtype=torch.float32)
    lm = model.peft_model.unload()
    source = tmp_path / "dense"
    lm.save_pretrained(source)
    dense = read_dense(source, torch.float32)
    entry = pack_folder(source, tmp_path / "packed", "x", "", {"licence": "MIT-0"})
    files = [file["path"] for file in entry["files"]]
    assert entry["licence"] == "MIT-0" and (len(files) > 6 and shards.INDEX in files if in_shards else len(files) == 4)
    packed = read_dense(tmp_path / "packed", torch.bfloat16)
    for name, tensor in packed.items():
        expected = dense[name].bfloat16()
        if is_quantized_name(name):
            assert torch.equal(tensor, nf4_round_trip(expected))
            assert 0 < (tensor - expected).float().norm() / expected.float().norm() < 0.12
        else:
            assert torch.equal(tensor, expected)
    (tmp_path / "packed" / ENTRY_FILE).write_text(json.dumps(entry))
    loaded = load(find_weights(str(tmp_path / "packed")), CPU, LoraShape(rank=2, alpha=2), dtype=torch.float32)
    expected = read_dense(tmp_path / "packed", torch.float32)["model.layers.0.mlp.down_proj.weight"]
    assert torch.equal(loaded.lm.model.layers[0].mlp.down_proj.base_layer.weight, expected)


def test_weights_that_overflow_are_refused_at_load(tmp_path):
    lm = random_model().peft_model.unload()
    with torch.no_grad():
        lm.model.norm.weight.fill_(3e38)
    lm.save_pretrained(tmp_path / "dense")
    entry = pack_folder(tmp_path / "dense", tmp_path / "packed", "huge", "", {})
    (tmp_path / "packed" / ENTRY_FILE).write_text(json.dumps(entry))
    with pytest.raises(NonFiniteError, match="huge give NaN or infinity"):
        load(find_weights(str(tmp_path / "packed")), CPU, LoraShape(), dtype=torch.float16)


def test_reset_is_exact_in_place_and_the_same_for_every_task():
    model = random_model()
    model.initialise(seed=7)
    first, places = model.adapter(), [p.data_ptr() for p in model.trainable]
    versions = [p._version for p in model.trainable]
    with torch.no_grad():
        for parameter in model.trainable:
            parameter.add_(1.0)
    changed = model.adapter()
    model.reset()
    assert all(torch.equal(first[n], t) for n, t in model.adapter().items())
    assert [p.data_ptr() for p in model.trainable] == places
    assert all(p._version > v for p, v in zip(model.trainable, versions))  # stale casts can be noticed
    model.load_adapter(changed)
    assert all(torch.equal(changed[n], t) for n, t in model.adapter().items())
    model.initialise(seed=8)
    a, b = ([t for n, t in x.items() if "lora_A" in n] for x in (first, model.adapter()))
    assert not any(torch.equal(x, y) for x, y in zip(a, b))
    assert all(not t.any() for n, t in model.adapter().items() if "lora_B" in n)


def test_merging_leaves_the_base_as_it_was():
    model = random_model()
    layer = model.lm.model.layers[0].mlp.up_proj
    before = layer.base_layer.weight.clone()
    merged = merged_weight(layer, torch.float32)
    assert torch.equal(layer.base_layer.weight, before) and not torch.allclose(merged, before)
    x = torch.randn(5, 64)
    assert torch.allclose(layer(x), x @ merged.T, atol=1e-4)


@pytest.mark.parametrize("scheme, prefix_rows", [("grid", 0), ("sequential", 0), ("grid", 3)])
def test_lean_logits_and_gradients_equal_those_of_the_library(scheme, prefix_rows):
    model = random_model(scheme, kv_heads=4)
    give_prefix(model, prefix_rows)
    rng = np.random.default_rng(0)
    prompts = [model.codec.encode(random_task(rng, 2, 12), answer=True, prefix=range(prefix_rows)) for _ in range(3)]
    ids, positions, targets = collate(prompts, [p.spans for p in prompts], model.codec, CPU)
    assert ids.shape[1] > 128  # more than one block of queries
    gradients = []
    for logits in (model.logits(ids, positions, targets), model.plain_logits(ids, positions, targets)):
        loss = torch.nn.functional.cross_entropy(logits, ids[targets])
        gradients.append(torch.autograd.grad(loss, model.trainable))
        gradients[-1] += (logits.detach(),)
    lean, plain = gradients
    assert len(lean) == len(model.trainable) + 1 and all((a - b).norm() <= 1e-3 * b.norm() for a, b in zip(lean, plain))
    assert not torch.equal(lean[-1], plain[-1])  # two computations, not one called twice


def test_manifest_is_what_the_package_ships():
    entry = default_weights("cpu").entry
    assert entry["parameters"] <= 12_000_000 and "training" in entry and "scores" in entry
    assert (MANIFEST.parent / entry["folder"]).is_dir()


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_decoding_from_4_bit_weights_gives_what_merged_weights_give(tmp_path, kv_heads):
    """`Unmerged` against `Merged`, and both against the library's own 4-bit model."""
    lm = random_model("sequential", kv_heads=kv_heads, inner=128).peft_model.unload()  # 96: bitsandbytes errs on a CPU
    (tmp_path / "dense").mkdir()
    lm.save_pretrained(tmp_path / "dense")
    entry = pack_folder(tmp_path / "dense", tmp_path / "packed", "x", "", {"position_scheme": "sequential"})
    weights = WeightSet(entry, tmp_path / "packed")
    packed = load(weights, CPU, LoraShape(rank=4), dtype=torch.float32, in_4_bits=True)
    dense = load(weights, CPU, LoraShape(rank=4), dtype=torch.float32)
    assert sum(is_4_bit(layer.base_layer.weight) for layer in lora_layers(packed.lm).values()) == 21
    randomise(packed)
    dense.load_adapter(packed.adapter())
    rng = np.random.default_rng(0)
    prompts = [packed.codec.encode(random_task(rng, 2, 5).without_answers()) for _ in range(3)]
    limits = [12, 20, 9]
    texts = [
        greedy(llama, packed.codec, prompts, limits)
        for llama in (DenseLlama(packed, merged=False), DenseLlama(packed), DenseLlama(dense))
    ]
    for one, two, three in zip(*texts):
        assert np.array_equal(one.ids, two.ids) and np.array_equal(one.ids, three.ids)
        assert one.log_prob == pytest.approx(two.log_prob, rel=1e-4) == pytest.approx(three.log_prob, rel=1e-4)
    plain = [greedy_one(packed, prompt, limit) for prompt, limit in zip(prompts, limits)]
    assert all(np.array_equal(p.ids[: len(one.ids)], one.ids) for p, one in zip(plain, texts[0]))
    before = DenseLlama(packed, adapter=False, merged=False).prefill(
        torch.zeros(1, 4, dtype=torch.int64), torch.arange(4)[None], [4]
    )
    assert torch.allclose(
        before,
        DenseLlama(dense, adapter=False).prefill(torch.zeros(1, 4, dtype=torch.int64), torch.arange(4)[None], [4]),
        atol=1e-4,
    )


def test_trained_embeddings_belong_to_the_adapter_and_reset_with_it(tmp_path):
    lm = random_model("sequential").peft_model.unload()
    wrapped = get_peft_model(lm, peft_config(LoraShape(rank=4)), autocast_adapter_dtype=False)
    base = lm.model.embed_tokens.weight.detach().clone()
    model = AdaptedModel(wrapped, Arc16("sequential"), CPU, torch.float32, embeddings=True)
    assert torch.equal(model.tables["embed_tokens"], base) and torch.equal(model.tables["lm_head"], base)
    task = random_task(np.random.default_rng(0), 2, 4)
    config = TrainConfig(steps=3, batch_size=1, learning_rate=1e-2, embedding_learning_rate=1e-3)
    train(model, [task, task, task], DataConfig(), config, 0)
    moved = {name: (table - base).abs().max().item() for name, table in model.tables.items()}
    assert all(1e-4 < value < 4e-3 for value in moved.values())  # AdamW moves by about its own learning rate a step
    assert torch.equal(lm.model.embed_tokens.weight, base)
    prompt = model.codec.encode(task.without_answers())
    after = greedy(DenseLlama(model), model.codec, [prompt], [8])[0]
    assert np.array_equal(after.ids, greedy_one(model, prompt, 8).ids[: len(after.ids)])
    stored = model.adapter()
    model.reset()
    assert torch.equal(model.tables["embed_tokens"], base) and torch.equal(model.tables["lm_head"], base)
    model.load_adapter(stored)
    assert (model.tables["lm_head"] - base).abs().max().item() == pytest.approx(moved["lm_head"])
    frozen = train(model, [task], DataConfig(), replace(config, embedding_learning_rate=0.0), 0)
    assert frozen.steps and torch.equal(model.tables["embed_tokens"], base)


def test_loss_of_a_large_vocabulary_in_parts_is_the_whole_loss(monkeypatch):
    model = random_model("sequential", kv_heads=2)
    rng = np.random.default_rng(3)
    prompt = model.codec.encode(random_task(rng, 2, 6), answer=True)
    ids, positions = torch.from_numpy(prompt.ids)[None], torch.from_numpy(prompt.positions)[None]
    where = torch.ones_like(ids, dtype=torch.bool)
    found = []
    for at_once in (adapted.LOGITS_AT_ONCE, 16 * 7):
        monkeypatch.setattr(adapted, "LOGITS_AT_ONCE", at_once)
        loss = model.loss(ids, positions, where, ids.flatten())
        loss.backward()
        found.append((loss.detach(), [p.grad.clone() for p in model.trainable]))
        for p in model.trainable:
            p.grad = None
    (whole, gradients), (parts, others) = found
    assert torch.allclose(whole, parts) and all(torch.allclose(a, b, atol=1e-6) for a, b in zip(gradients, others))


def test_reading_4_bits_needs_no_bitsandbytes(tmp_path):
    """Double quantization included, as the published checkpoints have it."""
    import bitsandbytes.functional as bnb

    weight = torch.randn(96, 128)
    for nested in (False, True):
        packed, state = bnb.quantize_4bit(weight, blocksize=64, quant_type="nf4", compress_statistics=nested)
        tensors = {"a.weight": packed} | {f"a.weight.{k}": v for k, v in state.as_dict(packed=True).items()}
        save_file(tensors, tmp_path / "model.safetensors")
        ours = read_dense(tmp_path, torch.float32)["a.weight"]
        assert torch.allclose(ours, bnb.dequantize_4bit(packed, state), atol=1e-6)
        assert torch.allclose(ours, dense_weight(SimpleNamespace(data=packed, quant_state=state, device=CPU)), atol=1e-6)
    code = "import sys; sys.modules['bitsandbytes'] = None; import solution.driver.setup; print('starts')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=MANIFEST.parent)
    assert found.stdout == "starts\n", found.stderr


def test_a_named_entry_takes_its_files_from_another_folder(folder, tmp_path):
    entry = json.loads((folder / ENTRY_FILE).read_text())
    files = [f | {"size": None, "sha256": None} for f in entry["files"]]
    manifest = tmp_path / "manifest.json"
    listed = {k: v for k, v in entry.items() if k != "folder"} | {"files": files, "name": "far", "source": "a public place"}
    manifest.write_text(json.dumps({"weights": [listed]}))
    with pytest.raises(WeightsError, match="get them from a public place and give far=FOLDER"):
        find_weights("far", manifest)
    weights = find_weights(f"far={folder}", manifest)
    with pytest.raises(WeightsError, match="--allow-unpinned"):
        weights.verify()
    replace(weights, allow_unpinned=True).verify()
    assert len(weights.fingerprint) == 64
    (folder / ENTRY_FILE).unlink()
    with pytest.raises(WeightsError, match="solution.weights pin NAME"):
        find_weights(str(folder), manifest)
    (folder / "model-extra.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="model-extra.safetensors is not in its manifest entry"):
        replace(weights, allow_unpinned=True).verify()


def test_repeating_shared_keys_changes_no_logits(monkeypatch):
    from transformers.integrations import sdpa_attention

    from solution.models.load import repeat_shared_keys

    model = random_model("sequential", kv_heads=1)
    ids, positions = torch.arange(12)[None], torch.arange(12)[None]
    where = torch.ones_like(ids, dtype=torch.bool)
    shared = model.plain_logits(ids, positions, where)
    repeats = []
    monkeypatch.setattr(sdpa_attention, "use_gqa_in_sdpa", sdpa_attention.use_gqa_in_sdpa)
    original = sdpa_attention.repeat_kv
    monkeypatch.setattr(sdpa_attention, "repeat_kv", lambda keys, n: repeats.append(n) or original(keys, n))
    repeat_shared_keys()
    assert torch.allclose(model.plain_logits(ids, positions, where), shared, atol=1e-5) and repeats == [4] * 6
