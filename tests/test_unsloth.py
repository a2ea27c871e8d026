"""Unsloth against transformers on the embedded weights: losses, gradients, training, reset, decoding; and every guard.

Both run in processes of their own: importing Unsloth patches transformers for the whole process, so that a reference
beside it would be Unsloth as well. `python -m tests.test_unsloth unsloth cuda OUT` is one such process.
Without a GPU this is Unsloth's CPU backend (2026.10.8 and later): the fused kernels are reached only with `gpu`.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from solution.models.manifest import PROJECT
from solution.models.rotary import GridRotary

from .processes import HANGS

SKIPPED = 77
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def child(*arguments: str) -> str:
    """Run this file in a process of its own; -> its last line. Skips the test where Unsloth cannot be imported."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "UNSLOTH_DISABLE_STATISTICS": "1"}
    if "cpu" in arguments:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "-m", "tests.test_unsloth", *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=HANGS)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module", params=DEVICES)
def runs(request, tmp_path_factory):
    """device, and what Unsloth and transformers measured there."""
    folder = tmp_path_factory.mktemp(request.param)
    found = []
    for backend in ("unsloth", "transformers"):
        child(backend, request.param, str(folder / f"{backend}.npz"))
        found.append(dict(np.load(folder / f"{backend}.npz")))
    return request.param, *found


@pytest.fixture(scope="module", params=DEVICES)
def guards(request, tmp_path_factory):
    """device, and what each provoked fault led to."""
    return request.param, json.loads(child("guards", request.param, str(tmp_path_factory.mktemp("guards"))))


def close(device: str, one: np.ndarray, other: np.ndarray) -> None:
    """On a CPU in float32 only sums may come in another order; on a GPU bfloat16 or float16 is rounded at other places."""
    difference = np.linalg.norm(one - other) / np.linalg.norm(other)
    print(f"relative difference {difference:.2e}, largest {np.abs(one - other).max():.2e}")
    assert difference < (1e-4 if device == "cpu" else 0.1)


def test_losses_agree_and_heed_positions(runs):
    device, unsloth, transformers = runs
    close(device, unsloth["losses"], transformers["losses"])
    close(device, unsloth["sequential"], transformers["sequential"])
    assert (np.abs(unsloth["misplaced"] - unsloth["losses"]) > 0.1).any()
    close(device, unsloth["misplaced"], transformers["misplaced"])


def test_padding_on_the_right_changes_nothing(runs):
    device, unsloth, _ = runs
    close(device, unsloth["padded"], unsloth["alone"])


def test_gradients_agree(runs):
    device, unsloth, transformers = runs
    assert unsloth["names"].tolist() == transformers["names"].tolist()
    for key in ("gradients", "gradients after reset"):
        for name, one, other in zip(unsloth["names"], unsloth[key], transformers[key]):
            if key == "gradients" or "lora_B" in name:
                assert other > 0 and one > 0, name
        close(device, unsloth[key], transformers[key])
    close(device, unsloth["gradient"], transformers["gradient"])


def test_activations_computed_twice_and_trained_embeddings_agree(runs):
    device, unsloth, transformers = runs
    for key in ("kept gradient", "checkpointed gradient"):
        close(device, unsloth[key], transformers[key])
    close(device, unsloth["checkpointed gradient"], unsloth["kept gradient"])
    assert len(unsloth["kept gradient"]) > len(unsloth["gradient"]) and (unsloth["tables move"] > 0).all()


def test_training_agrees_and_repeats_after_a_reset(runs):
    device, unsloth, transformers = runs
    assert len(unsloth["curve"]) == 3 and unsloth["curve"][-1] < unsloth["curve"][0]
    close(device, unsloth["curve"], transformers["curve"])
    if device == "cpu":  # Adam's first steps follow the sign of the smallest gradient, rounding and all
        close(device, unsloth["trained"], transformers["trained"])
    assert unsloth["moved"] > 0 and unsloth["reset is exact"]
    close(device, unsloth["curve again"], unsloth["curve"])


def test_two_models_in_two_threads_train_as_one_after_the_other(runs):
    device, unsloth, _ = runs
    for curve in unsloth["threads"]:
        close(device, curve, unsloth["curve"])


def test_decoded_tokens_are_equal(runs):
    device, unsloth, transformers = runs
    one, other, plain = unsloth["tokens"], transformers["tokens"], unsloth["plain tokens"]
    assert len(one) > 20 and len(one) == len(other) == len(plain)
    allowed = 0 if device == "cpu" else 0.1 * len(one)
    assert (one != other).sum() <= allowed and (one != plain).sum() <= allowed
    close(device, unsloth["log probs"], transformers["log probs"])


def test_what_unsloth_would_do_in_silence_is_refused(guards):
    device, said = guards
    assert "a sequence of 65 tokens is longer than the 64" in said["too long"]
    assert said["longest"] == 64 and said["rope"] == "default"
    assert "model.embed_tokens is not the file's" in said["pad row zeroed"]
    assert "holds an adapter" in said["adapter beside the base"]
    assert said["dense folder"] == "loaded"
    assert "position 70 is beyond the 64" in said["position beyond the table"]
    if device == "cpu":
        assert "in torch.bfloat16, not torch.float16" in said["float16"] or "in torch.float32, not" in said["float16"]
        assert "is not the file's" in said["folder named X-bnb-4bit"]
        assert "sees later tokens" in said["not causal"]
        assert said["4-bit layers on the CPU"] == 0
    else:
        assert said["folder named X-bnb-4bit"] == "loaded"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_table_that_fused_kernels_gather_from_is_the_grid_rotary(dtype):
    rotary, like = GridRotary(64), torch.zeros(1, dtype=dtype)
    positions = torch.tensor([[0, 5 << 12 | 7 << 6 | 9, 40 << 12 | 3]])
    rotary.reserve(positions)
    rotary.extend_rope_embedding(like, 2048, materialize_len=2048)
    with torch.inference_mode():  # decoding may come first and must leave tables that training can use
        cos, sin = rotary.get_cached(2048, 0)
    assert cos.shape[1] == 64 and len(cos) > positions.max() and not cos.is_inference()
    expected = rotary(like, positions)
    assert torch.equal(cos[positions], expected[0]) and torch.equal(sin[positions], expected[1])
    assert cos.dtype == dtype and not torch.equal(cos[positions][0, 1], cos[1])


def measure(backend: str, device_name: str, out: str) -> None:
    """Everything that is compared, for one backend, into an npz file."""
    from dataclasses import replace
    from threading import Thread

    from solution.arc.load import public_evaluation
    from solution.decode.greedy import greedy
    from solution.decode.reference import greedy_one
    from solution.models.dense import DenseLlama
    from solution.models.load import load
    from solution.models.manifest import default_weights
    from solution.models.precision import compute_dtype
    from solution.models.settings import LoraShape
    from solution.ttt.data import build
    from solution.ttt.settings import DataConfig, TrainConfig
    from solution.ttt.train import collate, train

    device = torch.device(device_name)
    dtype = torch.float32 if device_name == "cpu" else compute_dtype(device)
    weights, shape = default_weights("cpu"), LoraShape(rank=8, alpha=8)

    def loaded(weights, shape=shape, **options):
        model = load(weights, device, shape, backend, dtype, **options)
        model._lean = False  # which on a CPU would go round Unsloth's module
        return model

    def loss(model, prompts, moved=False):
        ids, positions, targets = collate(prompts, [p.spans[1:] for p in prompts], model.codec, device)
        if moved:
            positions = positions ^ 1 << 12  # inputs exchange their place with outputs
        return torch.nn.functional.cross_entropy(model.logits(ids, positions, targets.roll(-1, 1)), ids[targets])

    def values(model, batches, **options):
        with torch.no_grad():
            return [float(loss(model, batch, **options)) for batch in batches]

    def gradients(model, batch):
        loss(model, batch).backward()
        found = [p.grad.float() for p in model.trainable]
        for parameter in model.trainable:
            parameter.grad = None
        return found

    def training(model):
        items = build(tasks[0], DataConfig(transformations="symmetries", permutations=0), model.codec, 0)
        return train(model, items, DataConfig(), TrainConfig(steps=3, batch_size=2, learning_rate=3e-3), 0).losses

    model = loaded(weights)
    known = [t for t in public_evaluation()[0].tasks.values()]
    tasks = sorted(known, key=lambda t: (len(model.codec.encode(t)), t.id))[:6]
    prompts = [model.codec.encode(task.only_test(0)) for task in tasks]
    batches = [prompts[:3], prompts[3:], [prompts[0], prompts[-1]]]
    result = {"names": model._names, "losses": values(model, batches), "misplaced": values(model, batches, moved=True)}

    ids, positions, targets = collate(prompts, [p.spans for p in prompts], model.codec, device)
    with torch.no_grad():
        padded = model.logits(ids, positions, targets).split([int(n) for n in targets.sum(1)])
        alone = []
        for prompt in prompts:
            where = torch.zeros(1, len(prompt), dtype=torch.bool, device=device)
            for start, stop in prompt.spans:
                where[0, start:stop] = True
            one = (torch.from_numpy(x)[None].to(device) for x in (prompt.ids, prompt.positions))
            alone.append(model.logits(*one, where))
    result |= {"padded": torch.cat(padded).cpu(), "alone": torch.cat(alone).cpu()}

    generator = torch.Generator().manual_seed(1)
    drawn = {n: torch.randn(p.shape, generator=generator) * 0.05 for n, p in zip(model._names, model.trainable)}
    result["gradients after reset"] = [float(g.norm()) for g in gradients(model, batches[0])]
    model.load_adapter(drawn)
    found = gradients(model, batches[0])
    result["gradients"] = [float(g.norm()) for g in found]
    result["gradient"] = torch.cat([g.flatten() for g in found]).cpu()

    model.reset()
    before = model.adapter()
    result["curve"] = training(model)
    trained = model.adapter()
    result["trained"] = torch.cat([t.float().flatten() for t in trained.values()])
    result["moved"] = max(float((trained[n] - before[n]).abs().max()) for n in before)
    model.reset()
    result["reset is exact"] = all(torch.equal(tensor, before[n]) for n, tensor in model.adapter().items())
    result["curve again"] = training(model)

    model.load_adapter(drawn)
    written = greedy(DenseLlama(model), model.codec, prompts[:3], [24] * 3)
    result["tokens"] = np.concatenate([g.ids for g in written])
    result["log probs"] = [g.log_prob for g in written]
    result["plain tokens"] = np.concatenate([greedy_one(model, p, len(g.ids)).ids for p, g in zip(prompts, written)])

    whole = loaded(weights, replace(shape, embeddings=True), checkpointing=True, longest=2048)
    whole.load_adapter(whole.adapter() | drawn)
    for name, on in (("kept", False), ("checkpointed", True)):
        with whole.checkpointing(on):
            result[f"{name} gradient"] = torch.cat([g.flatten() for g in gradients(whole, batches[0])]).cpu()
    result["tables move"] = [float(g.norm()) for g in gradients(whole, batches[0])[-2:]]

    entry = weights.entry | {"position_scheme": "sequential"}
    sequential = loaded(replace(weights, entry=entry))
    result["sequential"] = values(sequential, [[sequential.codec.encode(t) for t in tasks]])
    written = greedy(DenseLlama(sequential), sequential.codec, [sequential.codec.encode(tasks[0])], [9])
    result["sequential"] += [g.log_prob for g in written]

    models, curves = [model, loaded(weights)], [None, None]
    threads = [Thread(target=lambda i=i: curves.__setitem__(i, training(models[i]))) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result["threads"] = curves
    np.savez(out, **{name: np.asarray(value) for name, value in result.items()})


def provoke(device_name: str, folder: str) -> dict:
    """What becomes of each fault: its message, or "loaded"."""
    import shutil
    from pathlib import Path
    from types import SimpleNamespace

    import unsloth
    from safetensors.torch import save_file

    from solution.models import unsloth_backend
    from solution.models.manifest import WeightSet, default_weights
    from solution.models.nf4 import read_dense
    from solution.models.precision import compute_dtype
    from solution.models.settings import LoraShape

    device, folder, weights = torch.device(device_name), Path(folder), default_weights("cpu")
    dtype = torch.float32 if device_name == "cpu" else compute_dtype(device)
    stock = unsloth.FastLanguageModel.from_pretrained
    said = {}

    def outcome(source, dtype=dtype):
        try:
            unsloth_backend.load_peft(WeightSet(weights.entry, source), device, dtype, LoraShape(rank=2))
        except ValueError as error:
            return str(error)
        return "loaded"

    def tampered(change):
        def from_pretrained(*arguments, **options):
            lm, tokenizer = stock(*arguments, **options)
            with torch.no_grad():
                change(lm)
            return lm, tokenizer

        unsloth.FastLanguageModel.from_pretrained = staticmethod(from_pretrained)
        message = outcome(weights.folder)
        unsloth.FastLanguageModel.from_pretrained = staticmethod(stock)
        return message

    def never_causal(lm):
        for layer in lm.model.layers:
            layer.self_attn.is_causal = False

    short = shutil.copytree(weights.folder, folder / "short")
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 64}))
    lm = unsloth_backend.load_peft(WeightSet(weights.entry, short), device, dtype, LoraShape(rank=2)).get_base_model()
    said |= {"longest": lm.max_seq_length, "rope": lm.config.rope_parameters["rope_type"]}
    said["4-bit layers on the CPU"] = sum(isinstance(m, unsloth_backend.Linear4bit) for m in lm.modules())
    ids = torch.zeros(1, 65, dtype=torch.int64, device=device)
    try:
        lm.model(input_ids=ids, position_ids=torch.arange(65, device=device)[None], attention_mask=torch.ones_like(ids))
    except ValueError as error:
        said["too long"] = str(error)
    rotary = unsloth_backend.SequentialRotary(
        SimpleNamespace(max_position_embeddings=64, extend_rope_embedding=None, get_cached=None)
    )
    try:
        rotary.reserve(torch.tensor([[0, 70]]))
    except ValueError as error:
        said["position beyond the table"] = str(error)

    said["pad row zeroed"] = tampered(lambda lm: lm.model.embed_tokens.weight[14].zero_())
    said["not causal"] = tampered(never_causal)
    beside = shutil.copytree(weights.folder, folder / "beside")
    (beside / "adapter_config.json").write_text("{}")
    said["adapter beside the base"] = outcome(beside)

    state, plain = read_dense(weights.folder, dtype), {k: v for k, v in config.items() if k != "quantization_config"}
    for name, sign in (("dense", 1), ("dense-bnb-4bit", -1)):
        shutil.copytree(weights.folder, folder / name)
        (folder / name / "config.json").write_text(json.dumps(plain))
        save_file({k: sign * v for k, v in state.items()}, folder / name / "model.safetensors", metadata={"format": "pt"})
    said["dense folder"] = outcome(folder / "dense")
    said["folder named X-bnb-4bit"] = outcome(folder / "dense-bnb-4bit")
    if device_name == "cpu":
        said["float16"] = outcome(weights.folder, torch.float16)
    return said


def main(task: str, device: str, out: str) -> None:
    torch.set_num_threads(1)
    if task != "transformers":
        try:
            import solution.models.unsloth_backend  # noqa: F401
        except (ImportError, NotImplementedError) as error:
            print(f"unsloth cannot be imported: {' '.join(str(error).split())[:300]}")
            sys.exit(SKIPPED)
    if task == "guards":
        print(json.dumps(provoke(device, out)))
    else:
        measure(task, device, out)
        print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
