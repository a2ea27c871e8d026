"""Unsloth for full fine-tuning: whether it can be used, and a base loaded by it.

In:  a folder that `pretrained.write_base` wrote. Out: its Llama, patched by Unsloth, on one device, with all weights to train.
Full fine-tuning does not run the fused Llama kernels that `models.unsloth_backend` has for adapters: Unsloth compiles stock
transformers' modules instead (its FastModel), so the rotary module is called with its positions as usual.
Not here: the training (`sft`).
"""

import json
from pathlib import Path

import numpy as np
import torch

from ..arc.task import Pair, Task, frozen
from ..codec.arc16 import Arc16
from ..models.precision import compute_dtype
from ..models.rotary import GridRotary


def choose_backend(wanted: str, dtype: torch.dtype) -> str:
    """The backend to train by; imports Unsloth where it is that. Call before transformers' or trl's trainers are imported.

    Unsloth's fused kernels are for CUDA and want bf16 here: fp16 needs float32 weights, which turn them off
    (docs/sources.md, "Unsloth training").
    """
    if wanted == "transformers" or (wanted == "auto" and not (torch.cuda.is_available() and dtype == torch.bfloat16)):
        return "transformers"
    try:
        import unsloth  # noqa: F401 - patches transformers and trl
    except Exception as error:  # it raises whatever it likes where it does not find its GPU
        if wanted == "unsloth":
            raise ValueError(f"backend unsloth: cannot be imported here ({error})") from error
        print(f"unsloth cannot be used ({error}): going on with transformers", flush=True)
        return "transformers"
    return "unsloth"


def load_unsloth(folder: Path, position_scheme: str, device: torch.device, gradient_checkpointing: bool):
    """The base by Unsloth, float32 weights under autocast, on exactly `device`. Raises `ValueError` where its logits are
    not those of the plain model: Unsloth prefers going on with a warning to stopping.

    NOT RUN ON A GPU YET: only on Unsloth's CPU backend, which makes the same calls on stock transformers.
    """
    import unsloth

    from ..models.load import read_llama  # imports transformers, which Unsloth has to come before

    longest = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
    dtype = compute_dtype(device)
    if device.type == "cuda":  # this asks for products in `dtype`; without the second option the weights would be in it as well
        options = {"dtype": dtype, "float32_mixed_precision": True, "device_map": {"": device.index or 0}}
    else:
        options = {"dtype": torch.float32, "device_map": {"": "cpu"}}
    lm, _ = unsloth.FastLanguageModel.from_pretrained(
        str(folder.resolve()), max_seq_length=longest, load_in_4bit=False, full_finetuning=True, use_exact_model_name=True,
        use_gradient_checkpointing=gradient_checkpointing, local_files_only=True, **options,
    )  # fmt: skip
    frozen_ones = [name for name, p in lm.named_parameters() if not p.requires_grad or p.dtype != torch.float32]
    if frozen_ones:
        raise ValueError(f"Unsloth would not train {frozen_ones[0]} in float32: train with the backend transformers")
    if position_scheme == "grid":
        lm.model.rotary_emb = GridRotary(lm.model.layers[0].self_attn.head_dim)
    plain = read_llama(folder, torch.float32, position_scheme).to(device)
    grid = frozen(np.arange(20).reshape(4, 5) % 10)
    prompt = Arc16(position_scheme).encode(
        Task("check", (Pair(grid, grid.T), Pair(grid.T, grid)), (Pair(grid, grid.T),)), answer=True
    )
    ids, positions = (torch.from_numpy(a)[None].to(device) for a in (prompt.ids, prompt.positions))
    with torch.no_grad(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        theirs, ours = (
            m(input_ids=ids, position_ids=positions, attention_mask=torch.ones_like(ids), use_cache=False).logits.float()
            for m in (lm.train(), plain)
        )
    if not (theirs - ours).norm() < 0.05 * ours.norm():
        raise ValueError("Unsloth's logits are not those of the plain model: train with the backend transformers")
    return lm
