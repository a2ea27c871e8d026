"""Weights on a device: verified files in, an `AdaptedModel` out, by either backend.

"transformers": transformers + peft, on the CPU (4-bit weights dequantized once) and on CUDA without Unsloth.
"unsloth": Unsloth's fused kernels on CUDA; its CPU backend runs the same calls.
Load models one after the other in the main thread: both libraries patch modules while they load (unsloth.md).
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from ..codec.arc16 import VOCABULARY_SIZE, Arc16
from .adapted import AdaptedModel, NonFiniteError
from .manifest import WeightsError, WeightSet
from .nf4 import read_dense
from .precision import compute_dtype
from .rotary import GridRotary
from .settings import LoraShape

BACKENDS = ("transformers", "unsloth")


def load(
    weights: WeightSet, device: torch.device, lora: LoraShape, backend: str = "transformers", dtype: torch.dtype | None = None
) -> AdaptedModel:
    """Verify `weights`, put them on `device` and wrap one adapter around them.

    `dtype` None chooses by device (`precision`). Raises `WeightsError` for files that are missing or not those of the
    entry, and `NonFiniteError` where the weights overflow in the chosen precision.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is not one of {BACKENDS}")
    weights.verify()
    dtype = dtype or compute_dtype(device)
    if weights.entry["codec"] != "arc16":
        raise WeightsError(f"weights {weights.name}: codec {weights.entry['codec']!r} is not known")
    codec = Arc16(weights.entry["position_scheme"])
    if backend == "unsloth":
        from .unsloth_backend import load_peft

        wrapped = load_peft(weights, device, dtype, lora)
        lm = wrapped.get_base_model()
        if codec.position_scheme == "grid":
            lm.model.rotary_emb = GridRotary(lm.model.layers[0].self_attn.head_dim)
    else:
        wrapped = _transformers_peft(weights, device, dtype, lora)
    model = AdaptedModel(wrapped, codec, device, dtype)
    _check_finite(model, weights.name)
    return model


def _transformers_peft(weights: WeightSet, device: torch.device, dtype: torch.dtype, lora: LoraShape):
    try:
        lm = read_llama(weights.folder, dtype, weights.entry["position_scheme"])
    except ValueError as error:
        raise WeightsError(f"weights {weights.name}: {error}") from error
    return get_peft_model(lm.to(device), peft_config(lora), autocast_adapter_dtype=False)


def read_llama(folder: Path, dtype: torch.dtype, position_scheme: str) -> LlamaForCausalLM:
    """A folder's Llama on the CPU in `dtype`, 4-bit matrices dequantized, with the rotary positions of its scheme.

    Raises `ValueError` where its vocabulary is not the codec's or its tensors do not fit its configuration.
    """
    values = json.loads((folder / "config.json").read_text())
    values.pop("quantization_config", None)
    config = LlamaConfig(**values)
    if config.vocab_size != VOCABULARY_SIZE:
        raise ValueError(f"vocabulary of {config.vocab_size}, the codec has {VOCABULARY_SIZE}")
    with torch.device("meta"):
        lm = LlamaForCausalLM(config)
    rotary = type(lm.model.rotary_emb)(config)  # made off the meta device: its buffers are not in the file
    missing, unexpected = lm.load_state_dict(read_dense(folder, dtype), strict=False, assign=True)
    lm.tie_weights()
    if unexpected or [name for name in missing if name != "lm_head.weight"]:
        raise ValueError(f"tensors do not fit the configuration: {[*missing, *unexpected][:3]}")
    lm.model.rotary_emb = GridRotary(lm.model.layers[0].self_attn.head_dim) if position_scheme == "grid" else rotary
    return lm.eval()


def peft_config(lora: LoraShape) -> LoraConfig:
    """The adapter's shape as peft wants it."""
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, use_rslora=lora.rslora, lora_dropout=0.0, bias="none",
        target_modules=list(lora.targets), task_type="CAUSAL_LM",
    )  # fmt: skip


@torch.no_grad()
def _check_finite(model: AdaptedModel, name: str) -> None:
    ids = torch.arange(VOCABULARY_SIZE, device=model.device).repeat(1, 16)
    positions = torch.arange(ids.shape[1], device=model.device)[None]
    if not torch.isfinite(model.logits(ids, positions, torch.ones_like(ids, dtype=torch.bool))).all():
        raise NonFiniteError(f"weights {name} give NaN or infinity in {model.dtype} on {model.device}")
