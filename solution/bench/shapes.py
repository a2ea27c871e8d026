"""Llamas of random weights, from the smallest that we train to 8B, for timing what does not depend on what they know.

In:  a name of `SHAPES`. Out: its configuration; an `AdaptedModel` made on the device itself; or an NF4 folder.
Not here: measuring (`speed`, tests/benchmarks/llama_sizes.py).
"""

from pathlib import Path

import torch
from peft import get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from ..codec.arc16 import END, PAD, VOCABULARY_SIZE, Arc16
from ..models.adapted import AdaptedModel
from ..models.load import peft_config
from ..models.manifest import describe_files
from ..models.nf4 import BLOCK, is_quantized_name, quantize_folder
from ..models.precision import compute_dtype
from ..models.rotary import GridRotary
from ..models.settings import LoraShape


def _shape(hidden: int, layers: int, inner: int, heads: int, kv_heads: int = 0, head: int = 64, tied: bool = True) -> dict:
    return dict(hidden_size=hidden, num_hidden_layers=layers, intermediate_size=inner, num_attention_heads=heads,
                num_key_value_heads=kv_heads or heads, head_dim=head, tie_word_embeddings=tied)  # fmt: skip


SHAPES = {
    "s": _shape(256, 8, 704, 4),
    "m": _shape(512, 8, 1408, 8),
    "135M": _shape(576, 30, 1536, 9, 3),
    "1B": _shape(2048, 16, 8192, 32, 8),
    "3B": _shape(3072, 28, 8192, 24, 8, head=128),
    "8B": _shape(4096, 32, 14336, 32, 8, head=128, tied=False),
    "test": _shape(64, 2, 128, 4, 2, head=16),
    "tiny": _shape(128, 2, 256, 2),
}
"""s, m: as we train them. 135M: SmolLM2. 1B to 8B: Llama 3. test, tiny: end in seconds on a CPU. All have our vocabulary."""
GRID = ("s", "m", "tiny")
"""Those with grid positions."""
SPREAD = 0.02
"""Standard deviation of the random weights."""


def configuration(name: str, vocabulary: int = VOCABULARY_SIZE) -> LlamaConfig:
    return LlamaConfig(**SHAPES[name], vocab_size=vocabulary, max_position_embeddings=16384, bos_token_id=None,
                       eos_token_id=END, pad_token_id=PAD)  # fmt: skip


def random_model(name: str, device: torch.device, lora: LoraShape, in_4_bits: bool = False) -> AdaptedModel:
    """A model of that shape with its adapter, in the device's own type; nothing passes through the host or a file.

    `in_4_bits`: its matrices in NF4, by bitsandbytes.
    """
    config, dtype = configuration(name), compute_dtype(device)
    with torch.device("meta"):
        lm = LlamaForCausalLM(config).to(dtype)
    generator = torch.Generator(device).manual_seed(0)

    def drawn(shape: torch.Size) -> torch.Tensor:
        if len(shape) == 1:
            return torch.ones(shape, device=device, dtype=dtype)
        return torch.empty(shape, device=device, dtype=dtype).normal_(0, SPREAD, generator=generator)

    for path, module in list(lm.named_modules()):
        if in_4_bits and is_quantized_name(f"{path}.weight"):
            lm.set_submodule(path, _packed(drawn(module.weight.shape), dtype))
            continue
        for key, parameter in module.named_parameters(recurse=False):
            module.register_parameter(key, torch.nn.Parameter(drawn(parameter.shape), requires_grad=False))
    lm.tie_weights()
    lm.is_loaded_in_4bit = in_4_bits  # peft asks for it
    scheme = "grid" if name in GRID else "sequential"
    lm.model.rotary_emb = GridRotary(config.head_dim) if scheme == "grid" else type(lm.model.rotary_emb)(config).to(device)
    wrapped = get_peft_model(lm.eval(), peft_config(lora), autocast_adapter_dtype=False)
    return AdaptedModel(wrapped, Arc16(scheme), device, dtype)


def _packed(weight: torch.Tensor, dtype: torch.dtype) -> torch.nn.Module:
    """A projection in NF4, as `models.nf4` stores it."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    out, width = weight.shape
    layer = Linear4bit(width, out, bias=False, compute_dtype=dtype, compress_statistics=False, quant_type="nf4", device="meta")
    layer.weight = Params4bit(
        weight, requires_grad=False, blocksize=BLOCK, compress_statistics=False, quant_type="nf4", module=layer
    ).to(weight.device)
    layer.support_avx512bf16_for_cpu = False  # see models.load
    return layer


def random_folder(name: str, folder: Path) -> dict:
    """Random NF4 weights of that shape in `folder`, made matrix by matrix; -> their manifest entry."""
    config = configuration(name)
    with torch.device("meta"):
        shapes = {n: p.shape for n, p in LlamaForCausalLM(config).named_parameters()}
    if config.tie_word_embeddings:
        shapes.pop("lm_head.weight", None)
    generator = torch.Generator().manual_seed(0)
    state = {
        n: torch.ones(s) if len(s) == 1 else torch.randn(s, generator=generator).mul_(SPREAD).bfloat16()
        for n, s in shapes.items()
    }
    quantize_folder(state, config.to_dict() | {"architectures": ["LlamaForCausalLM"]}, folder)
    return dict(
        name=name, role="", architecture="random", parameters=sum(t.numel() for t in state.values()), quantization="NF4",
        codec="arc16", position_scheme="sequential", licence="", files=describe_files(folder),
    )  # fmt: skip
