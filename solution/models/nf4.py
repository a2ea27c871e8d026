"""4-bit weights on disk: bitsandbytes' serialized NF4 inside ordinary Hugging Face folders.

In:  a dense Llama (`quantize_folder`) or a quantized folder (`read_dense`).
Out: a folder that `AutoModelForCausalLM` and Unsloth load as it is; or its tensors, dequantized once.
Every Linear of the decoder layers is quantized in blocks of 64 values; embeddings, norms and the head stay 16-bit.
Reading needs no bitsandbytes: where the package is missing (docs/kaggle.md, "Images and packages") dense weights still run.
"""

import json
from functools import cache
from pathlib import Path

import torch
from safetensors import safe_open

from .checkpoint import DERIVED, PARTS, STATE_KEY, stored_tensors
from .shards import write_shards

BLOCK = 64
CODE = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""NF4's values (Dettmers et al., arXiv 2305.14314, appendix E)."""
BORDERS = tuple(((torch.tensor(CODE[1:]) + torch.tensor(CODE[:-1])) / 2).tolist())


def is_quantized_name(name: str) -> bool:
    """Whether the parameter of that name is a matrix that gets quantized."""
    return ".layers." in name and name.endswith("_proj.weight")


@cache
def _code_book(device: torch.device) -> torch.Tensor:
    return torch.tensor(CODE, device=device)  # once: a training step must not wait for the transfer


def nf4_round_trip(weight: torch.Tensor) -> torch.Tensor:
    """`weight`, a whole number of blocks, as it comes back from 4 bits, in its own dtype: the nearest of the code book's values
    times its block's largest magnitude.

    Bit for bit bitsandbytes' own round trip (tests/test_finetune.py), without the package and in less than half its time.
    """
    code = _code_book(weight.device)
    blocks = weight.reshape(-1, BLOCK).float()
    largest = blocks.abs().amax(1, keepdim=True)
    scaled = blocks / largest.clamp(min=torch.finfo(torch.float32).tiny)
    place = torch.zeros(scaled.shape, dtype=torch.uint8, device=weight.device)
    for border in BORDERS:
        place += scaled > border
    return (code[place.int()] * largest).view(weight.shape).to(weight.dtype)


def dequantize(
    packed: torch.Tensor, code: torch.Tensor, absmax: torch.Tensor, blocksize: int, shape: torch.Size | list[int]
) -> torch.Tensor:
    """The dense float32 matrix of packed 4-bit values: entry of the code book (16,) times its block's absmax (blocks,),
    blocks counted through the whole matrix. `packed` may be called bf16 or float32 (bnb_4bit_quant_storage): its bytes count.

    bitsandbytes' own CPU kernel (0.50.2) starts a new block in every row, which is wrong where a row is not a whole number
    of blocks (our 688 columns: 25 % error instead of 9 %); its CUDA kernel counts as we do.
    """
    packed = packed.contiguous().flatten().view(torch.uint8)
    places = torch.stack([packed >> 4, packed & 15], 1).flatten().int()
    count = torch.Size(shape).numel()
    values = code[places][:count] * absmax.float().repeat_interleave(blocksize)[:count]
    return values.view(torch.Size(shape))


def _read_packed(parts: dict[str, torch.Tensor]) -> torch.Tensor:
    """The dense float32 matrix of one matrix's tensors in a file, by the end of their names ("" is the packed values).

    With double quantization the absmax are 8-bit themselves: entry of a second code book times their own block's absmax,
    plus an offset.
    """
    state = json.loads(bytes(parts[STATE_KEY].tolist()))
    if state.get("quant_type") != "nf4":
        raise ValueError(f"quantization {state.get('quant_type')!r} is not nf4")
    absmax = parts[".absmax"]
    if ".nested_absmax" in parts:
        scale = parts[".nested_absmax"].repeat_interleave(state["nested_blocksize"])[: len(absmax)]
        absmax = parts[".nested_quant_map"][absmax.int()] * scale + state["nested_offset"]
    return dequantize(parts[""], parts[".quant_map"], absmax, state["blocksize"], state["shape"])


def is_4_bit(weight: torch.Tensor) -> bool:
    """Whether a layer's weight is packed in 4 bits."""
    return getattr(weight, "quant_state", None) is not None


def dense_weight(weight: torch.Tensor) -> torch.Tensor:
    """A layer's matrix (out, in): a dense one as it is, a 4-bit one dequantized, on a GPU by bitsandbytes' kernel."""
    if not is_4_bit(weight):
        return weight.detach()
    import bitsandbytes.functional as bnb

    state = weight.quant_state
    if weight.device.type == "cuda":
        return bnb.dequantize_4bit(weight.data, state)
    absmax = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset if state.nested else state.absmax
    return dequantize(weight.data, state.code, absmax, state.blocksize, state.shape)


def quantize_folder(state: dict[str, torch.Tensor], config: dict, folder: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """Write `state` (dense tensors by Hugging Face name) and `config` as a serialized NF4 folder.

    bitsandbytes stores a matrix as packed bytes, absmax per block, the code book and its state as JSON bytes.
    """
    import bitsandbytes.functional as bnb

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
    write_shards(tensors, folder)
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
    """Every tensor of a folder's model*.safetensors files by name, 4-bit ones dequantized, on the CPU in `dtype`.

    Raises `WeightsError` where files are missing or damaged (`checkpoint.stored_tensors`).
    """
    raw = {}
    for path in sorted({stored.path for stored in stored_tensors(folder).values()}):
        with safe_open(path, framework="pt") as file:
            raw |= {name: file.get_tensor(name) for name in file.keys()}
    dense = {}
    for name, tensor in raw.items():
        if name.endswith((*PARTS, DERIVED)):
            continue
        if name + STATE_KEY in raw:
            tensor = _read_packed({end: raw[name + end] for end in ("", *PARTS) if name + end in raw})
        dense[name] = tensor.to(dtype)
    return dense
