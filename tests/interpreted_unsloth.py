"""What `test_unsloth_interpreted` compares, of one backend: losses, gradients, padding, training, on tiny random Llamas.

`python -m tests.interpreted_unsloth FOLDER` writes the Llamas into FOLDER and measures Unsloth's CUDA code on them, its Triton
kernels interpreted on the CPU, into FOLDER/unsloth.json; `ENVIRONMENT` must be set before Python starts.
Not here: what must be equal, and what cannot be had this way (`test_unsloth_interpreted`).
"""

import gc
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from solution.arc.task import Pair, Task, as_grid
from solution.codec.arc16 import END, PAD, VOCABULARY_SIZE
from solution.models import load as loading
from solution.models.adapted import AdaptedModel
from solution.models.manifest import PROJECT, WeightSet
from solution.models.nf4 import dense_weight, quantize_folder
from solution.models.settings import LoraShape
from solution.ttt.data import pseudo_tasks
from solution.ttt.settings import DataConfig, TrainConfig
from solution.ttt.train import FP16_SCALE, collate, train

ENVIRONMENT = {
    "TRITON_INTERPRET": "1", "UNSLOTH_ALLOW_CPU": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1", "UNSLOTH_DISABLE_STATISTICS": "1",
}  # fmt: skip
SKIPPED = 77
HIDDEN = 192
"""Wider than 128: the kernels for narrower rows check themselves on a GPU's order of summation and turn themselves off here."""
LLAMAS = {"grid": (2, 1, 176), "sequential": (2, 2, 128)}
"""By position scheme: query heads of 64, key heads, feed-forward. 176 is not a whole number of NF4's blocks of 64."""
CASES = {
    "grid": ("grid", torch.float32), "sequential": ("sequential", torch.float32), "nf4": ("grid", torch.float32),
    "nf4 float16": ("grid", torch.float16),
}  # fmt: skip
"""Folder (the first word), position scheme and dtype."""
BEYOND = 15
"""First pair of a prompt that ends at pair coordinate 33, beyond the table that the grid rotary starts with."""


class InterpretedGpu(str):
    """Stands for the first GPU where our loader and Unsloth name a device; tensors land on the CPU.

    `type` sends `load_peft` and `AdaptedModel` the way of CUDA; `index` is what they put into a device map; as a number it is
    the place in Unsloth's tables by device.
    """

    type, index = "cuda", "cpu"

    def __index__(self) -> int:
        return 0


def pretend_gpu() -> InterpretedGpu:
    """Answer what Unsloth asks a GPU about itself; nothing that computes is replaced. Our own `_check_finite` is left out."""
    import unsloth.kernels.nf4 as nf4
    import unsloth.kernels.utils as kernels
    import unsloth.models.llama as llama

    device = InterpretedGpu("cpu:0")
    torch.cuda.current_device = lambda: None  # the index of a CPU tensor's device
    torch.cuda.get_device_capability = lambda device=None: (9, 0)
    llama.DEVICE_COUNT, llama.get_current_device, llama.get_device_stats = 1, lambda: device, lambda: ("", "", 0)
    kernels._current_device = torch.cuda.current_device
    kernels._can_use_scratch = lambda device: True  # whether the current stream is the default one
    nf4._CONFIG_OVERRIDE = (2048, 4, False, False, 0)  # a large matrix's launch: an eighth of the programs to interpret
    llama._base_weight_dtype = lambda projection: torch.float16  # float32, exact to compare, is else kept from the fused LoRA
    loading._check_finite = lambda model, name: None  # 558 tokens more to interpret a load
    return device


def write_llamas(folder: Path) -> None:
    """The Llamas of `LLAMAS`, and "grid" in NF4 too, of random weights that both 16-bit formats hold exactly."""
    tokenizer = PROJECT / "solution" / "weights" / "arc-llama-s"
    for number, (name, (heads, kv_heads, inner)) in enumerate(LLAMAS.items()):
        config = {
            "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": VOCABULARY_SIZE, "hidden_size": HIDDEN,
            "intermediate_size": inner, "num_hidden_layers": 2, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
            "head_dim": 64, "max_position_embeddings": 128, "tie_word_embeddings": True, "bos_token_id": None,
            "eos_token_id": END, "pad_token_id": PAD, "rms_norm_eps": 1e-6, "dtype": "bfloat16",
        }  # fmt: skip
        shapes = {"model.embed_tokens": (VOCABULARY_SIZE, HIDDEN), "model.norm": (HIDDEN,)}
        for layer in ("model.layers.0", "model.layers.1"):
            shapes |= {f"{layer}.{norm}_layernorm": (HIDDEN,) for norm in ("input", "post_attention")}
            shapes |= {f"{layer}.self_attn.{p}_proj": (64 * n, HIDDEN) for p, n in zip("qkv", (heads, kv_heads, kv_heads))}
            shapes |= {f"{layer}.self_attn.o_proj": (HIDDEN, 64 * heads), f"{layer}.mlp.down_proj": (HIDDEN, inner)}
            shapes |= {f"{layer}.mlp.{p}_proj": (inner, HIDDEN) for p in ("gate", "up")}
        generator = torch.Generator().manual_seed(number)
        drawn = {n: torch.randn(s, generator=generator) * 0.1 + (len(s) == 1) for n, s in shapes.items()}
        state = {f"{n}.weight": tensor.half().bfloat16() for n, tensor in drawn.items()}
        if name == "grid":
            quantize_folder(state, config, folder / "nf4")
        (folder / name).mkdir()
        save_file(state, folder / name / "model.safetensors", metadata={"format": "pt"})
        (folder / name / "config.json").write_text(json.dumps(config))
    for written in folder.iterdir():
        for file in tokenizer.glob("tokenizer*"):
            (written / file.name).write_bytes(file.read_bytes())


def loaded(backend: str, device, folder: Path, scheme: str, dtype: torch.dtype, **options) -> AdaptedModel:
    """Through `load` as a run does, with an adapter that is not zero."""
    weights = WeightSet({"name": folder.name, "codec": "arc16", "position_scheme": scheme}, folder)
    model = loading.load(weights, device, LoraShape(rank=4, alpha=8), backend, dtype, verified=True, **options)
    model._lean = False  # the Hugging Face model itself, on a CPU too
    generator = torch.Generator().manual_seed(7)
    model.load_adapter({n: torch.randn(p.shape, generator=generator) * 0.1 for n, p in zip(model._names, model.trainable)})
    return model


def small_task(name: str, colours: int) -> Task:
    """Rows whose cells change places: three demonstrations, nine tokens a pair."""
    rows = [[(colours + 3 * i) % 10, (colours + i) % 10] for i in range(4)]
    pairs = tuple(Pair(as_grid([row]), as_grid([row[::-1]])) for row in rows)
    return Task(name, pairs[:3], pairs[3:])


def batch(model: AdaptedModel, first_pair: int = 0):
    """Two prompts, the second shorter and, by sequential position, every other place: ids, positions, targets (2, 32)."""
    long, short = small_task("long", 1), small_task("short", 5)
    short = Task("short", short.train[:1], short.test)
    prompts = [model.codec.encode(long, answer=True), model.codec.encode(short, answer=True, first_pair=first_pair)]
    ids, positions, targets = collate(prompts, [p.spans for p in prompts], model.codec, torch.device("cpu"))
    if model.codec.position_scheme == "sequential":
        positions[1] *= 2
    return ids, positions, targets


def loss_and_gradient(model: AdaptedModel, first_pair: int = 0) -> dict:
    """Loss, gradient by parameter and the kinds of autograd nodes of a step, with the scale of float16 that `train` has."""
    ids, positions, targets = batch(model, first_pair)
    scale = FP16_SCALE if model.dtype == torch.float16 else 1.0
    loss = model.loss(ids, positions, targets.roll(-1, 1), ids[targets])
    nodes = graph(loss)
    (loss * scale).backward()
    gradient = {n: (p.grad.float() / scale).flatten().tolist() for n, p in zip(model._names, model.trainable)}
    for parameter in model.trainable:
        parameter.grad = None
    return {"loss": float(loss.detach()), "gradient": gradient, "nodes": nodes}


def graph(loss: torch.Tensor) -> list[str]:
    """The kinds of autograd nodes behind `loss`."""
    found, rest = set(), [loss.grad_fn]
    while rest:
        node = rest.pop()
        if node is not None and node not in found:
            found.add(node)
            rest += [following for following, _ in node.next_functions]
    return sorted({node.name() for node in found})


@torch.no_grad()
def padding(model: AdaptedModel) -> dict:
    """Logits of the shorter prompt: beside the longer one, alone, and padded on the left with and without a mask that says so."""
    ids, positions, _ = batch(model)
    length = int((ids[1] != PAD).sum())
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    ids_alone, positions_alone = ids[1:, :length], positions[1:, :length]
    rows = {
        "right": model.plain_logits(ids, positions, everywhere).view(2, -1, VOCABULARY_SIZE)[1, :length],
        "alone": model.plain_logits(ids_alone, positions_alone, everywhere[1:, :length]),
    }
    left_ids, left_positions = torch.full((1, 4 + length), PAD), torch.zeros(1, 4 + length, dtype=torch.int64)
    left_ids[:, 4:], left_positions[:, 4:] = ids_alone, positions_alone
    mask = (torch.arange(4 + length) >= 4).long()[None]
    for name, given in (("left, masked", mask), ("left, not masked", torch.ones_like(mask))):
        hidden = model.lm.model(input_ids=left_ids, position_ids=left_positions, attention_mask=given, use_cache=False)
        rows[name] = model.head(hidden.last_hidden_state)[0, 4:]
    return {name: row.float().flatten().tolist() for name, row in rows.items()}


def losses(model: AdaptedModel, colours: int) -> list[float]:
    """Of a training on a task of those colours."""
    config = TrainConfig(steps=2, batch_size=1, learning_rate=2e-2)
    return list(train(model, pseudo_tasks(small_task("task", colours)), DataConfig(), config, seed=colours).losses)


def measure(backend: str, device, folder: Path) -> dict:
    """Everything that the backends are compared by. Transformers, the reference, computes in float32 throughout."""
    result = {}
    for case, (scheme, dtype) in CASES.items():
        where, dtype = folder / case.split()[0], dtype if backend == "unsloth" else torch.float32
        model = loaded(backend, device, where, scheme, dtype, checkpointing=case == "grid")
        with model.checkpointing(False):
            result[case] = loss_and_gradient(model, BEYOND if case == "grid" else 0)
        if case == "grid":
            with model.checkpointing(True):
                result["computed twice"] = loss_and_gradient(model, BEYOND)
            result["padding"] = padding(model)
    first, second, again = (losses(model, colours) for colours in (1, 4, 1))
    fresh = losses(loaded(backend, device, where, scheme, dtype), 4)
    return result | {"trainings": {"first": first, "second": second, "first again": again, "second, fresh model": fresh}}


def dequantized() -> dict[str, bool]:
    """Whether Unsloth's NF4 kernel, launched as on a T4 and as on an H100, gives bit for bit what `dense_weight` does."""
    import bitsandbytes.functional as bnb
    import unsloth.kernels.nf4 as nf4
    from unsloth.kernels.utils import fast_dequantize

    same, weight = {}, torch.randn(48, 176, generator=torch.Generator().manual_seed(0))
    for card, config in (("T4", (512, 8, True, True, 0)), ("H100", (256, 2, False, False, 0))):
        for nested in (False, True):
            for dtype in (torch.float32, torch.float16):
                packed, state = bnb.quantize_4bit(weight.to(dtype), blocksize=64, quant_type="nf4", compress_statistics=nested)
                parameter = torch.nn.Parameter(packed, requires_grad=False)
                parameter.quant_state = state
                nf4._CONFIG_OVERRIDE = config
                fast = fast_dequantize(parameter, state, use_global_buffer=True)
                name = f"{card}, {dtype}, {'double' if nested else 'single'} quantization"
                same[name] = torch.equal(fast, dense_weight(parameter).to(dtype))
    return same


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    try:
        import triton
        import unsloth.kernels.utils as kernels

        import solution.models.unsloth_backend  # noqa: F401
    except (ImportError, NotImplementedError) as error:
        print(f"unsloth's CUDA code cannot be imported: {' '.join(str(error).split())[:300]}")
        sys.exit(SKIPPED)
    if kernels.DEVICE_TYPE != "cuda" or not triton.knobs.runtime.interpret:
        print(f"this unsloth chooses its own {kernels.DEVICE_TYPE} backend here, or triton does not interpret")
        sys.exit(SKIPPED)
    gc.collect()
    gc.freeze()  # Unsloth collects several times a load
    device = pretend_gpu()
    write_llamas(folder)
    result = measure("unsloth", device, folder) | {"dequantized": dequantized()}
    result["nf4 kernels"] = kernels._USE_NF4_KERNELS  # off from the first failure on
    (folder / "unsloth.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
