"""4-bit weights on disk: bitsandbytes' serialized NF4 inside ordinary Hugging Face folders.

In:  a dense Llama (`quantize_folder`) or a quantized folder (`read_dense`).
Out: a folder that `AutoModelForCausalLM` and Unsloth load as it is; or its tensors, dequantized once.
Every Linear of the decoder layers is quantized in blocks of 64 values; embeddings, norms and the head stay 16-bit.
"""

import json
from pathlib import Path

import bitsandbytes.functional as bnb
import torch
from safetensors import safe_open
from safetensors.torch import save_file

BLOCK = 64
_STATE_KEY = ".quant_state.bitsandbytes__nf4"
_PARTS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", _STATE_KEY)


def is_quantized_name(name: str) -> bool:
    """Whether the parameter of that name is a matrix that gets quantized."""
    return ".layers." in name and name.endswith("_proj.weight")


def nf4_round_trip(weight: torch.Tensor) -> torch.Tensor:
    """`weight` as it comes back from 4 bits, in its own dtype."""
    packed, state = bnb.quantize_4bit(weight.contiguous(), blocksize=BLOCK, quant_type="nf4")
    return dequantize(packed, state).to(weight.dtype)


def dequantize(packed: torch.Tensor, state: bnb.QuantState) -> torch.Tensor:
    """The dense float32 matrix of packed 4-bit values: code book entry times its block's absmax, blocks counted through
    the whole matrix.

    bitsandbytes' own CPU kernel (0.50.2) starts a new block in every row, which is wrong where a row is not a whole number
    of blocks (our 688 columns: 25 % error instead of 9 %); its CUDA kernel counts as we do.
    """
    packed = packed.flatten()
    places = torch.stack([packed >> 4, packed & 15], 1).flatten().long()
    absmax = state.absmax
    if state.nested:
        absmax = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset
    count = state.shape.numel()
    values = state.code[places][:count] * absmax.float().repeat_interleave(state.blocksize)[:count]
    return values.view(state.shape)


def quantize_folder(state: dict[str, torch.Tensor], config: dict, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write `state` (dense tensors by Hugging Face name) and `config` as a serialized NF4 folder.

    bitsandbytes stores a matrix as packed bytes, absmax per block, the code book and its state as JSON bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, tensor in state.items():
        tensor = tensor.to(dtype)
        if not is_quantized_name(name):
            tensors[name] = tensor.contiguous()
            continue
        packed, quant_state = bnb.quantize_4bit(tensor.contiguous(), blocksize=BLOCK, quant_type="nf4")
        tensors[name] = packed
        tensors |= {f"{name}.{key}": value for key, value in quant_state.as_dict(packed=True).items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    quantization = {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_compute_dtype": str(dtype).removeprefix("torch."),
        "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_use_double_quant": False,
        "llm_int8_skip_modules": ["lm_head"],
    }
    config = config | {"dtype": str(dtype).removeprefix("torch."), "quantization_config": quantization}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_dense(folder: Path, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Every tensor of a folder's model*.safetensors files by name, 4-bit ones dequantized, on the CPU in `dtype`."""
    raw = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            raw |= {name: file.get_tensor(name) for name in file.keys()}
    dense = {}
    for name, tensor in raw.items():
        if name.endswith(_PARTS):
            continue
        if name + _STATE_KEY in raw:
            parts = {key[len(name) + 1 :]: value for key, value in raw.items() if key.startswith(name + ".")}
            state = bnb.QuantState.from_dict(parts, device=torch.device("cpu"))
            tensor = dequantize(tensor, state)
        dense[name] = tensor.to(dtype)
    return dense
