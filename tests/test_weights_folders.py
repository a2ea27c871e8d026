"""Folders of weights: whole, readable and unchanged in meaning, or refused in one line, by every way that leads to them."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from solution.driver.startup import get_ready
from solution.finetune.settings import Settings
from solution.finetune.train import check_supported, start_model
from solution.models.checkpoint import HEAD, INDEX, read_checkpoint
from solution.models.load import load, read_config, read_llama, read_llama_4bit
from solution.models.manifest import ENTRY_FILE, WeightsError, WeightSet, default_weights, describe_files, find_weights
from solution.models.nf4 import nf4_round_trip, quantize_folder, read_dense
from solution.models.settings import LoraShape
from solution.models.shards import write_shards
from solution.preset import PRESETS
from solution.weights import pack as packing
from solution.weights.__main__ import main
from solution.weights.pack import as_it_is, check_apart, pack_folder, replace_whole

CPU = torch.device("cpu")
GATE = "model.layers.1.mlp.gate_proj.weight"


def values(**changes) -> dict:
    return LlamaConfig(
        vocab_size=16, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=16, tie_word_embeddings=False, bos_token_id=None, eos_token_id=13, pad_token_id=14, **changes,
    ).to_dict()  # fmt: skip


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {name: t.bfloat16().contiguous() for name, t in LlamaForCausalLM(LlamaConfig(**values())).state_dict().items()}


def write(folder: Path, state: dict, most: int = 2**30, **changes) -> Path:
    """A dense folder of these tensors; `changes` to config.json, None takes a value out."""
    folder.mkdir(parents=True, exist_ok=True)
    write_shards(state, folder, most)
    config = {k: v for k, v in (values() | changes).items() if v is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def packed(folder: Path, state: dict, storage: torch.dtype = torch.uint8, **changes) -> Path:
    """A folder in 4 bits, its bytes stored as `storage`."""
    quantize_folder(state, values() | changes, folder)
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if f"{name}.quant_state.bitsandbytes__nf4" in tensors:
            tensors[name] = tensor.flatten().view(storage)[:, None]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def entry_for(folder: Path, codec: str = "arc16") -> Path:
    """An entry beside the files as they are, whatever they are."""
    entry = dict.fromkeys(("role", "architecture", "quantization", "licence"), "") | {"name": "mine", "parameters": 1}
    entry |= {"codec": codec, "position_scheme": "grid", "files": describe_files(folder)}
    (folder / ENTRY_FILE).write_text(json.dumps(entry))
    return folder


def cut(path: Path, bytes_left: int) -> None:
    path.write_bytes(path.read_bytes()[:bytes_left])


def in_index(folder: Path, **places) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"] |= places
    (folder / INDEX).write_text(json.dumps(index))


def without(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).unlink()


def only(folder: Path, name: str) -> None:
    without(folder, *(path.name for path in folder.iterdir() if path.name != "config.json"))
    (folder / name).write_bytes(b"0")


SHARD_1, SHARD_2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
IN_SHARDS = {
    "a lost shard": (lambda f: without(f, SHARD_2), f"{SHARD_2} is missing"),
    "a lost shard, no index": (lambda f: without(f, SHARD_2, INDEX), f"{SHARD_2} is missing"),
    "all shards lost": (lambda f: without(f, SHARD_1, SHARD_2), f"{SHARD_1} is missing"),
    "an index of more": (lambda f: in_index(f, more=SHARD_1), "more is in the index but in no file"),
    "an index of other places": (lambda f: in_index(f, **{GATE: SHARD_1}), f"{GATE} is in {SHARD_2}, in the index it is"),
    "a broken index": (lambda f: cut(f / INDEX, 99), "not valid JSON"),
    "an empty index": (lambda f: (f / INDEX).write_text("[]"), "not a JSON object"),
    "an index of something else": (lambda f: (f / INDEX).write_text("{}"), "no file names under 'weight_map'"),
    "a file twice": (lambda f: (without(f, INDEX), shutil.copy(f / SHARD_1, f / "model.safetensors")), "is both in"),
    "a file of an earlier save": (lambda f: shutil.copy(f / SHARD_1, f / "model.safetensors"), "is both in|in the index it is"),
    "a shard cut off": (lambda f: cut(f / SHARD_2, 20_000), f"{SHARD_2}: cut off: 20000 bytes"),
    "a shard cut off in its header": (lambda f: cut(f / SHARD_2, 100), f"{SHARD_2}: cut off"),
    "an empty shard": (lambda f: cut(f / SHARD_2, 0), f"{SHARD_2}: cut off"),
    "a pointer": (lambda f: (f / SHARD_2).write_text("version https://git-lfs.github.com/spec/v1\n"), "is a Git LFS pointer"),
    "a page instead": (lambda f: (f / SHARD_2).write_bytes(b"\2\0\0\0\0\0\0\0<>"), "not a safetensors file"),
    "a link that leads nowhere": (lambda f: ((f / SHARD_2).unlink(), (f / SHARD_2).symlink_to("../gone")), "a link to a file"),
    "pickles": (lambda f: only(f, "pytorch_model.bin"), r"only pickles \(pytorch_model.bin\)"),
    "a checkpoint": (lambda f: only(f, "consolidated.00.pth"), r"only pickles \(consolidated.00.pth\)"),
    "GGUF": (lambda f: only(f, "model-q4.gguf"), r"only GGUF \(model-q4.gguf\)"),
    "other safetensors": (lambda f: only(f, "consolidated.safetensors"), "no model.safetensors in it, only consolidated"),
    "nothing": (lambda f: without(f, *(p.name for p in f.iterdir())), "no model.safetensors in it"),
    "an adapter": (lambda f: only(f, "adapter_config.json"), "holds an adapter: merge it into its base"),
    "an adapter beside": (lambda f: (f / "adapter_config.json").write_text("{}"), "holds an adapter: merge it into its base"),
    "no configuration": (lambda f: without(f, "config.json"), "config.json: No such file"),
    "a broken configuration": (lambda f: cut(f / "config.json", 50), "config.json: not valid JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_SHARDS)
def test_folders_that_are_not_whole_are_refused_in_one_line(tmp_path, capsys, state, name):
    """By pack, pin and verify, by --weights, and by --start-from."""
    spoil, line = IN_SHARDS[name]
    folder = write(tmp_path / "source", state, 70_000)
    assert {p.name for p in folder.iterdir()} == {"config.json", INDEX, SHARD_1, SHARD_2}
    read_checkpoint(folder)
    spoil(folder)
    with pytest.raises(WeightsError, match=line) as found:
        read_checkpoint(folder)
    assert "\n" not in str(found.value) and str(folder) in str(found.value)
    assert main_fails(capsys, "pack", folder, tmp_path / "target", "--name", "x") and not (tmp_path / "target").exists()
    assert list(tmp_path.iterdir()) == [folder]  # nothing is left beside it
    with pytest.raises(WeightsError, match=line):  # what is wrong comes before that there is no entry
        find_weights(str(folder))
    with pytest.raises(ValueError, match=line + "|no config.json"):
        start_model(Settings(str(tmp_path / "run"), hidden=64, layers=2, intermediate=96), folder)
    if not (folder / SHARD_2).is_symlink():
        entry_for(folder)
        for command in ("verify", "pin"):
            assert main_fails(capsys, command, folder)
        with pytest.raises(WeightsError, match=f"weights mine: .*({line})"):
            get_ready(find_weights(str(folder)), PRESETS["test"], ["cpu:0"], "transformers", {}, False)


def main_fails(capsys, *arguments) -> str:
    """The one line that `python -m solution.weights` refuses by."""
    sys.argv, before = ["solution.weights", *map(str, arguments)], sys.argv
    try:
        assert main() == 2
    finally:
        sys.argv = before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("solution.weights: ") and "Errno" not in line
    return line


def main_does(*arguments) -> None:
    sys.argv, before = ["solution.weights", *map(str, arguments)], sys.argv
    try:
        assert main() == 0
    finally:
        sys.argv = before


AMISS = {
    "a tensor too few": ({}, {GATE: None}, f"{GATE} is missing"),
    "a tensor too many": ({}, {"score.weight": torch.zeros(2, 64)}, "score.weight is no tensor of this Llama"),
    "a tensor of another shape": ({}, {GATE: torch.zeros(96, 32)}, rf"{GATE} is \[96, 32\], not \[96, 64\]"),
    "a tensor in 8 bits": ({}, {GATE: torch.zeros(96, 64, dtype=torch.int8)}, f"{GATE} is stored as I8"),
    "a layer too few": ({"num_hidden_layers": 3}, {}, r"is missing \(9 missing, 0 unknown\)"),
    "a layer too many": ({"num_hidden_layers": 1}, {}, "no tensor of this Llama"),
    "another number of key heads": ({"num_key_value_heads": 4}, {}, "k_proj"),
    "no head, and not tied": ({}, {HEAD: None}, f"{HEAD} is missing, and config.json does not tie it"),
    "another vocabulary": ({"vocab_size": 17}, {}, r"is \[16, 64\], not \[17, 64\]"),
    "another model": ({"model_type": "qwen2"}, {}, "model type 'qwen2' is not llama"),
    "another activation": ({"hidden_act": "gelu"}, {}, "hidden_act is 'gelu'"),
    "biases": ({"attention_bias": True}, {}, "attention_bias: Llamas with biases"),
    "a number of heads that is none": ({"num_attention_heads": "4"}, {}, "num_attention_heads is '4', not a number"),
    "no number of heads": ({"num_attention_heads": None}, {}, "num_attention_heads is None"),
    "heads that cannot share": ({"num_key_value_heads": 3}, {}, "4 heads share 3 key heads"),
    "other quantization": ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, {}, "quantized by 'gptq'"),
    "8 bits": ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, {}, "only bitsandbytes NF4"),
    "quantized by its word alone": ({"quantization_config": {"bnb_4bit_quant_type": "nf4"}}, {}, "the tensors are not"),
    "a value that the library refuses": ({"initializer_range": "wide"}, {}, "config.json: .*initializer_range"),
}  # fmt: skip


@pytest.mark.parametrize("name", AMISS)
def test_tensors_and_configuration_must_fit(tmp_path, state, name):
    changes, tensors, line = AMISS[name]
    folder = write(tmp_path / "source", {n: t for n, t in (state | tensors).items() if t is not None}, **changes)
    with pytest.raises(WeightsError, match=line) as found:
        read_llama(folder, torch.float32, "grid")
    assert "\n" not in str(found.value)


def test_packed_tensors_must_be_whole_and_said_to_be_packed(tmp_path, state):
    folder = packed(tmp_path / "a", state)
    tensors = load_file(folder / "model.safetensors")

    def refused(**changes) -> str:
        save_file({n: t for n, t in (tensors | changes).items() if t is not None}, folder / "model.safetensors")
        with pytest.raises(WeightsError) as found:
            read_checkpoint(folder)
        return str(found.value)

    assert f"{GATE}.absmax is missing" in refused(**{f"{GATE}.absmax": None})
    assert f"{GATE} has 10 packed bytes for 6144 values" in refused(**{GATE: torch.zeros(10, 1, dtype=torch.uint8)})
    odd = torch.tensor(list(b"{"), dtype=torch.uint8)
    assert "cannot be read" in refused(**{f"{GATE}.quant_state.bitsandbytes__nf4": odd})
    save_file(tensors, folder / "model.safetensors")
    read_checkpoint(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("quantization_config")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="packed in 4 bits, of which config.json says nothing"):
        read_checkpoint(folder)


def test_what_unpacks_a_matrix_must_be_there_and_of_its_size(tmp_path, state):
    """Block scales that are themselves quantized, as bitsandbytes stores them: without their scales they are only indices."""
    import bitsandbytes.functional as bnb

    folder = packed(tmp_path / "a", state)
    matrix, found = bnb.quantize_4bit(state[GATE].float(), blocksize=64, quant_type="nf4", compress_statistics=True)
    own = {f"{GATE}.{name}": tensor for name, tensor in found.as_dict(packed=True).items()}
    tensors = {n: t for n, t in load_file(folder / "model.safetensors").items() if not n.startswith(GATE)} | {GATE: matrix} | own

    def store(**changes):
        save_file({n: t for n, t in (tensors | changes).items() if t is not None}, folder / "model.safetensors")

    store()
    read_checkpoint(folder)
    for end in (".nested_absmax", ".nested_quant_map", ".absmax", ".quant_map"):
        whole = tensors[GATE + end]
        for wrong in (None, whole[:-1].clone(), torch.cat([whole, whole])):
            store(**{GATE + end: wrong})
            with pytest.raises(WeightsError, match=end):
                read_checkpoint(folder)
    said = json.loads(bytes(tensors[f"{GATE}.quant_state.bitsandbytes__nf4"].tolist()))
    for wrong in ({"blocksize": None}, {"blocksize": 0}, {"quant_type": "fp4"}, {"nested_offset": None}):
        changed = json.dumps({k: v for k, v in (said | wrong).items() if v is not None}).encode()
        store(**{f"{GATE}.quant_state.bitsandbytes__nf4": torch.tensor(list(changed), dtype=torch.uint8)})
        with pytest.raises(WeightsError, match="cannot be read|only NF4"):
            read_checkpoint(folder)


def test_shards_may_have_any_name_that_the_index_gives_them(tmp_path, state):
    folder = write(tmp_path / "a", state, 40_000)
    index = json.loads((folder / INDEX).read_text())
    for shard in {*index["weight_map"].values()}:
        (folder / shard).rename(folder / f"pytorch_{shard}")
    index["weight_map"] = {name: f"pytorch_{shard}" for name, shard in index["weight_map"].items()}
    (folder / INDEX).write_text(json.dumps(index))
    read_checkpoint(folder)
    assert torch.equal(read_dense(folder, torch.bfloat16)[GATE], state[GATE])
    assert torch.equal(read_llama(folder, torch.bfloat16, "grid").model.layers[1].mlp.gate_proj.weight, state[GATE])
    next(iter(folder.glob("pytorch_*"))).unlink()
    with pytest.raises(WeightsError, match="is missing"):
        read_checkpoint(folder)


@pytest.mark.parametrize("storage", [torch.uint8, torch.bfloat16, torch.float16, torch.float32])
def test_4_bits_stored_under_another_type_are_the_same_bytes(tmp_path, state, storage):
    folder = packed(tmp_path / "a", state, storage)
    assert load_file(folder / "model.safetensors")[GATE].dtype == storage
    assert torch.equal(read_dense(folder, torch.bfloat16)[GATE], nf4_round_trip(state[GATE]))
    lm = read_llama(folder, torch.bfloat16, "grid")
    assert torch.equal(lm.model.layers[1].mlp.gate_proj.weight, nf4_round_trip(state[GATE]))


def test_an_own_head_is_used_although_the_configuration_ties_it(tmp_path, state, caplog):
    """Packed, loaded, loaded in 4 bits, packed again; one equal to the embeddings is a tied one."""
    folder = write(tmp_path / "source", state, tie_word_embeddings=True)
    assert torch.equal(read_llama(folder, torch.bfloat16, "grid").lm_head.weight, state[HEAD])
    entry = pack_folder(folder, tmp_path / "packed", "mine", "", {})
    assert "kept as a head of its own" in caplog.text
    assert json.loads((tmp_path / "packed/config.json").read_text())["tie_word_embeddings"] is False
    assert not read_config(WeightSet(entry, tmp_path / "packed")).tie_word_embeddings
    pack_folder(tmp_path / "packed", tmp_path / "again", "mine", "", {})
    tied = packed(tmp_path / "tied in 4 bits", state, tie_word_embeddings=True)
    for one in (tmp_path / "packed", tmp_path / "again", tied):
        lm = read_llama(one, torch.bfloat16, "grid")
        assert torch.equal(lm.lm_head.weight, state[HEAD])
        assert torch.equal(lm.model.embed_tokens.weight, state["model.embed_tokens.weight"])
        assert torch.equal(read_llama_4bit(one, CPU, torch.bfloat16, "grid").lm_head.weight, state[HEAD])
    weights = WeightSet(entry | {"files": describe_files(tied)}, tied)
    assert torch.equal(load(weights, CPU, LoraShape(rank=2), dtype=torch.bfloat16).lm.lm_head.weight, state[HEAD])
    assert "lm_head.weight is another: it is used" in caplog.text
    with pytest.raises(WeightsError, match="which Unsloth would throw away"):
        load(weights, CPU, LoraShape(rank=2), "unsloth")
    with pytest.raises(ValueError, match="tied embeddings"):
        check_supported(start_model(Settings(str(tmp_path), hidden=64, layers=2, intermediate=96), tied).config)

    same = write(tmp_path / "same", state | {HEAD: state["model.embed_tokens.weight"].clone()}, tie_word_embeddings=True)
    lm = read_llama(same, torch.bfloat16, "grid")
    assert lm.lm_head.weight is lm.model.embed_tokens.weight
    pack_folder(same, tmp_path / "same packed", "mine", "", {})
    assert HEAD not in read_checkpoint(tmp_path / "same packed").tensors


def test_tables_that_follow_from_the_configuration_are_left_out(tmp_path, state):
    old = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.ones(8) for i in range(2)}
    folder = write(tmp_path / "old", state | old)
    assert set(read_dense(folder, torch.bfloat16)) == set(state)
    read_llama(folder, torch.bfloat16, "grid")


def test_a_target_in_its_source_or_with_something_else_is_refused_and_kept(tmp_path, capsys, state, monkeypatch):
    source = write(tmp_path / "source", state)
    (tmp_path / "link").symlink_to("source")
    (source / "inner").mkdir()
    before = {path: path.read_bytes() for path in source.iterdir() if path.is_file()}
    monkeypatch.chdir(tmp_path)
    for target in (source, "source", "./source/../source", "link", "link/inner", source / "new", "link/new", tmp_path, "."):
        assert "give a folder apart" in main_fails(capsys, "pack", source, target, "--name", "x")
    with pytest.raises(WeightsError, match="give a folder apart"):
        check_apart(Path("link"), Path("source"))
    other = write(tmp_path / "other", state)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/mine.txt").write_text("kept")
    (tmp_path / "file").write_text("kept")
    for target in (other, tmp_path / "notes", tmp_path / "file"):
        assert "no earlier packing's: give a new folder" in main_fails(capsys, "pack", source, target, "--name", "x")
    assert "go into the manifest" in main_fails(capsys, "pack", source, tmp_path / "new", "--name", "x", "--add")
    assert (tmp_path / "file").read_text() == (tmp_path / "notes/mine.txt").read_text() == "kept"
    assert before == {path: path.read_bytes() for path in source.iterdir() if path.is_file()}
    read_checkpoint(other)


def test_an_earlier_packing_is_replaced_whole_or_stays(tmp_path, capsys, state, monkeypatch):
    from solution.models import shards

    source, target = write(tmp_path / "source", state), tmp_path / "a/packed"
    monkeypatch.setattr(shards, "SHARD_BYTES", 20_000)
    main_does("pack", source, target, "--name", "first")
    assert (target / INDEX).is_file()
    monkeypatch.setattr(shards, "SHARD_BYTES", 2**30)
    main_does("pack", source, target, "--name", "second")
    assert not (target / INDEX).exists() and find_weights(str(target)).name == "second"
    main_does("verify", target)

    def full(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr(packing, "describe_files", full)
    assert "no space left" in main_fails(capsys, "pack", source, target, "--name", "third")
    find_weights(str(target)).verify()
    assert find_weights(str(target)).name == "second" and list(target.parent.iterdir()) == [target]
    with pytest.raises(KeyError):
        replace_whole(target, lambda aside: {}["fault"])
    assert find_weights(str(target)).name == "second" and list(target.parent.iterdir()) == [target]


def test_a_source_is_packed_for_a_codec_that_it_is_for(tmp_path, capsys, state):
    large = {n: torch.cat([t, t]) if t.shape == (16, 64) else t for n, t in state.items()}
    folder = write(tmp_path / "source", large, vocab_size=32)
    assert "vocabulary of 32, codec arc16 has 16: give --codec" in main_fails(
        capsys, "pack", folder, tmp_path / "a", "--name", "x"
    )
    line = main_fails(capsys, "pack", folder, tmp_path / "a", "--name", "x", "--codec", "marc")
    assert "tokenizer.json is missing: codec marc reads its vocabulary there" in line
    assert "tokenizer.json is missing" in main_fails(capsys, "verify", entry_for(folder, "marc"))
    (tmp_path / "training.json").write_text("[1]")
    options = ("--name", "x", "--training", tmp_path / "training.json")
    assert "training.json: not a JSON object" in main_fails(capsys, "pack", folder, tmp_path / "a", *options)
    (folder / "training_state.json").write_text("{}")
    with pytest.raises(WeightsError, match="training_state.json: no settings of a run"):
        packing.said_by(folder)


def test_entries_that_say_nothing_of_their_files_are_refused(tmp_path, state):
    folder = entry_for(write(tmp_path / "source", state))
    entry = json.loads((folder / ENTRY_FILE).read_text())
    find_weights(str(folder)).verify()
    for files in (None, "all", [1], [{"path": "config.json"}], [{"path": 1, "size": 2, "sha256": "3"}],
                  [{"path": "config.json", "size": "1", "sha256": "3"}]):  # fmt: skip
        (folder / ENTRY_FILE).write_text(json.dumps(entry | {"files": files}))
        with pytest.raises(WeightsError, match="not a list of path, size and sha256"):
            find_weights(str(folder))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(WeightsError, match="model.gguf is a file: give the folder"):
        find_weights(str(tmp_path / "model.gguf"))


def test_the_links_of_a_hub_cache_are_followed_and_never_written_through(tmp_path, capsys, state):
    """snapshots/REVISION/NAME -> ../../blobs/HASH."""
    blobs, snapshot = tmp_path / "models--a--b/blobs", tmp_path / "models--a--b/snapshots/abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    files = write(tmp_path / "source", state, 70_000)
    (files / "tokenizer.json").write_text('{"of": "the source"}')
    entry_for(files)
    for number, path in enumerate(sorted(files.iterdir())):
        shutil.move(path, blobs / f"{number}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    before = {path.name: path.read_bytes() for path in blobs.iterdir()}
    weights = find_weights(str(snapshot))
    weights.verify()
    assert len(weights.fingerprint) == 64
    assert torch.equal(load(weights, CPU, LoraShape(rank=2), dtype=torch.bfloat16).lm.lm_head.weight, state[HEAD])
    main_does("pack", snapshot, tmp_path / "packed", "--name", "mine")
    assert not any(path.is_symlink() for path in (tmp_path / "packed").iterdir())
    main_does("pin", snapshot)
    assert not (snapshot / ENTRY_FILE).is_symlink()
    (snapshot / ENTRY_FILE).unlink()
    as_it_is(snapshot).verify()
    assert before == {path.name: path.read_bytes() for path in blobs.iterdir()}
    assert "holds it or is it" in main_fails(capsys, "pack", snapshot, snapshot, "--name", "x")
    with pytest.raises(WeightsError, match="a link to a file that is not there"):
        (blobs / next(p for p in before if b"down_proj" in before[p] and b"weight_map" not in before[p])).unlink()
        read_checkpoint(snapshot)


def test_the_embedded_weights_are_whole():
    weights = default_weights("cpu")
    checkpoint = read_checkpoint(weights.folder)
    assert not checkpoint.untied and checkpoint.config["tie_word_embeddings"]
