"""A Llama by Unsloth: a Hugging Face folder, NF4 or dense, in; one LoRA adapter around it, on one device, out.

On CUDA Unsloth's fused kernels run; without a GPU its own CPU backend makes the same calls on stock transformers.
Unsloth prefers going on with a warning to stopping (docs/sources.md, "Unsloth loading"), so what was loaded is compared with
what was asked for.
Not here: verifying files and putting the grid rotary in (`load`), training, decoding (`dense` needs none of this).
"""

import json
import os
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", os.path.join(tempfile.gettempdir(), "unsloth_compiled_cache"))

import unsloth  # noqa: F401, I001 - before transformers and peft are used: it patches both
import torch
from bitsandbytes.nn import Linear4bit
from peft import PeftModel
from safetensors import safe_open

from .adapted import lora_layers
from .manifest import WeightsError, WeightSet
from .nf4 import dense_weight
from .rotary import GridRotary
from .settings import LoraShape


class SequentialRotary(torch.nn.Module):
    """Unsloth's own rotary table, read by position id: its forward ignores them and returns the table's first rows."""

    def __init__(self, table: torch.nn.Module):
        super().__init__()
        self.table = table
        self.extend_rope_embedding, self.get_cached = table.extend_rope_embedding, table.get_cached

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`position_ids` (batch, length) -> cos, sin, both (batch, length, head_dim) in `x`'s dtype."""
        rows = int(position_ids.max()) + 1
        self.extend_rope_embedding(x, rows)
        cos, sin = self.get_cached(rows, x.device.index)
        return cos[position_ids].to(x.dtype), sin[position_ids].to(x.dtype)

    def reserve(self, position_ids: torch.Tensor) -> None:
        """Unsloth sizes its table by the configuration and gathers without looking where it ends."""
        last, rows = int(position_ids.max()), self.table.max_position_embeddings
        if last >= rows:
            raise ValueError(f"position {last} is beyond the {rows} that these weights have")


def load_peft(
    weights: WeightSet, device: torch.device, dtype: torch.dtype, lora: LoraShape, longest: int = 0, checkpointing: bool = False
) -> PeftModel:
    """Load `weights` onto exactly `device` in `dtype` and wrap one adapter of that shape around every layer.

    `longest`: tokens of the longest sequence to come (0: as many as the weights have positions). `checkpointing`: whether
    activations may have to be computed twice; never Unsloth's own way of it, which is not safe with two models in one process
    (docs/sources.md, "Unsloth training").
    Main thread only, one model after the other: Unsloth patches modules while it loads. Raises `WeightsError` where
    Unsloth loaded anything but the folder's own tensors in `dtype`. The model raises `ValueError` for sequences and
    positions beyond its length, where Unsloth would cut them off.
    """
    config = json.loads((weights.folder / "config.json").read_text())
    positions = config["max_position_embeddings"]
    longest = min(longest or positions, positions)  # beyond the positions Unsloth would stretch them, in silence
    if (weights.folder / "adapter_config.json").exists():
        raise WeightsError(f"weights {weights.name}: {weights.folder} holds an adapter: Unsloth would load its base instead")
    lm, _ = unsloth.FastLanguageModel.from_pretrained(
        str(weights.folder.resolve()), max_seq_length=longest, dtype=dtype, load_in_4bit="quantization_config" in config,
        device_map={"": device.index or 0} if device.type == "cuda" else {"": "cpu"}, use_exact_model_name=True,
        use_gradient_checkpointing=checkpointing, offload_embedding=False, local_files_only=True,
    )  # fmt: skip
    _check_loaded(lm, weights, device, dtype, positions)
    if device.type == "cpu":
        _make_dense(lm, dtype)
    wrapped = unsloth.FastLanguageModel.get_peft_model(
        lm, r=lora.rank, lora_alpha=lora.alpha, use_rslora=lora.rslora, target_modules=list(lora.targets), lora_dropout=0,
        bias="none", use_gradient_checkpointing=checkpointing,
    )  # fmt: skip
    lm = wrapped.get_base_model()
    if device.type == "cpu":
        for layer in lora_layers(lm).values():  # as with transformers; the fused kernels want float32 adapters
            layer.lora_A.to(dtype)
            layer.lora_B.to(dtype)
    _own_rotary(lm)
    lm.model.register_forward_pre_hook(_reach_check(longest), with_kwargs=True)
    wrapped.train()  # Unsloth then drops the attention mask; prompts are padded on the right
    _check_causal(lm, weights.name)
    return wrapped


def _make_dense(lm, dtype) -> None:
    """4-bit layers are no faster on a CPU and faulty: wrong values where a row is not a whole number of blocks (`nf4`), and
    on AVX512-bf16 machines no gradients any more after the first forward without them."""
    for name, module in list(lm.named_modules()):
        if isinstance(module, Linear4bit):
            dense = torch.nn.Linear(module.in_features, module.out_features, bias=False, device="meta")
            weight = dense_weight(module.weight).to(dtype)
            dense.weight = torch.nn.Parameter(weight, requires_grad=False)
            lm.set_submodule(name, dense)


def _own_rotary(lm) -> None:
    """Leave one rotary module, `lm.model.rotary_emb`, which `load` may replace, and make it heed positions."""
    if hasattr(lm.model.rotary_emb, "get_cached"):
        lm.model.rotary_emb = SequentialRotary(lm.model.rotary_emb)
    for layer in lm.model.layers:
        if hasattr(layer.self_attn, "rotary_emb"):
            del layer.self_attn.rotary_emb  # fused attention falls back on it, in silence, where a table seems too short


def _reach_check(longest: int):
    def check(module, args, kwargs):
        length = kwargs["position_ids"].shape[1]
        if length > longest:
            raise ValueError(f"a sequence of {length} tokens is longer than the {longest} that the model was loaded for")
        if isinstance(module.rotary_emb, GridRotary | SequentialRotary):
            module.rotary_emb.reserve(kwargs["position_ids"])

    return check


def _check_loaded(lm, weights: WeightSet, device, dtype, positions: int) -> None:
    """Unsloth may resize or rewrite embeddings, change precision, load another folder or stretch the positions."""
    faults = []
    elsewhere = {p.device for p in lm.parameters()} - {torch.empty(0, device=device).device}
    if elsewhere:
        faults.append(f"parameters on {', '.join(map(str, elsewhere))}, not on {device}")
    if lm.config.max_position_embeddings != positions:
        faults.append(f"{lm.config.max_position_embeddings} positions, not {positions}")
    for name in ("model.embed_tokens", "model.layers.0.self_attn.q_proj", "model.norm", "lm_head"):
        loaded = lm.get_submodule(name).weight.detach()
        stored = _stored(weights.folder, f"{name}.weight")
        if stored is None and name == "lm_head":
            stored = _stored(weights.folder, "model.embed_tokens.weight")
        if loaded.is_floating_point() and loaded.dtype != dtype:
            faults.append(f"{name} in {loaded.dtype}, not {dtype}")
        elif stored is None or not torch.equal(loaded.cpu(), stored.to(loaded.dtype)):
            faults.append(f"{name} is not the file's")
    if faults:
        raise WeightsError(f"weights {weights.name}: Unsloth loaded something else: {'; '.join(faults)}")


def _stored(folder, name: str) -> torch.Tensor | None:
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if name in file.keys():
                return file.get_tensor(name)
    return None


def _check_causal(lm, name: str) -> None:
    """A token must not see the next: called without a mask, as here, Unsloth with xformers once attended to both sides."""
    weight = lm.model.embed_tokens.weight
    ids = torch.arange(32, device=weight.device).repeat(2, 1) % min(10, len(weight))
    ids[1, 16:] = ids[1, 16:].flip(0)
    positions = torch.arange(32, device=weight.device).repeat(2, 1)
    hidden = lm.model(input_ids=ids, position_ids=positions, attention_mask=torch.ones_like(ids), use_cache=False)
    first, second = hidden.last_hidden_state.detach().float()
    if not torch.allclose(first[:16], second[:16], rtol=0, atol=0.01 * float(first.abs().max())):
        raise WeightsError(f"weights {name}: Unsloth's attention sees later tokens on {weight.device}")
