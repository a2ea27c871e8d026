"""Weights on a device: verified files in, an `AdaptedModel` out, by either backend.

"transformers": transformers + peft, on the CPU (4-bit weights dequantized once) and on CUDA without Unsloth (in 4 bits).
"unsloth": Unsloth's fused kernels on CUDA; its CPU backend runs the same calls.
Load models one after the other in the main thread: both libraries patch modules while they load
(docs/sources.md, "Unsloth loading").
"""

import importlib.util
import logging
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.integrations import sdpa_attention

from ..arc.task import Pair, Task, as_grid
from ..codec.arc16 import VOCABULARY_SIZE, Arc16
from ..codec.codec import Codec
from ..codec.prompt import Prompt
from .adapted import AdaptedModel, NonFiniteError
from .checkpoint import HEAD, read_checkpoint
from .lean import is_small
from .manifest import WeightsError, WeightSet
from .nf4 import read_dense
from .precision import compute_dtype
from .rotary import GridRotary
from .settings import LoraShape

log = logging.getLogger("solution")

BACKENDS = ("transformers", "unsloth")


def load(
    weights: WeightSet,
    device: torch.device,
    lora: LoraShape,
    backend: str = "transformers",
    dtype: torch.dtype | None = None,
    in_4_bits: bool | None = None,
    longest: int = 0,
    checkpointing: bool = False,
    verified: bool = False,
) -> AdaptedModel:
    """Verify `weights`, put them on `device` and wrap one adapter around them.

    `dtype` None chooses by device (`precision`). `in_4_bits`: keep a 4-bit base packed (None: `keeps_4_bits`); Unsloth on CUDA
    always does. `longest`: tokens of the longest sequence to come (0: as many as the weights have positions). `checkpointing`:
    whether training may have to compute activations twice (`AdaptedModel.checkpointing`). `verified`: the files have been
    compared with the entry already.
    Raises `WeightsError` for files that are missing or not those of the entry, for sequences longer than the weights'
    positions, and for Unsloth where config.json ties a head that is another, which it would throw away; `NonFiniteError` where
    the weights overflow in the chosen precision.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is not one of {BACKENDS}")
    if not verified:
        weights.verify()
    dtype = dtype or compute_dtype(device)
    codec = read_codec(weights)
    config = read_config(weights)
    if codec.position_scheme == "sequential" and longest > config.max_position_embeddings:
        raise WeightsError(f"weights {weights.name}: {config.max_position_embeddings} positions, sequences of {longest} tokens")
    if read_checkpoint(weights.folder).untied:
        if backend == "unsloth":
            raise WeightsError(f"weights {weights.name}: config.json ties the head, but {HEAD} is another, which Unsloth would "
                               "throw away: set tie_word_embeddings to false, or let solution.weights pack do it")  # fmt: skip
        log.warning("weights %s: config.json ties the head, but %s is another: it is used", weights.name, HEAD)
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # on Hopper it comes first, and takes a second to plan for every new length
        if torch.cuda.get_device_capability(device)[0] < 8:
            repeat_shared_keys()
    if backend == "unsloth":
        from .unsloth_backend import load_peft

        wrapped = load_peft(weights, device, dtype, lora, longest or config.max_position_embeddings, checkpointing)
        lm = wrapped.get_base_model()
        if codec.position_scheme == "grid":
            lm.model.rotary_emb = GridRotary(lm.model.layers[0].self_attn.head_dim)
    else:
        packed = keeps_4_bits(config, device) if in_4_bits is None else in_4_bits and config.quantized
        try:
            if packed:
                lm = read_llama_4bit(weights.folder, device, dtype, codec.position_scheme)
            else:
                lm = read_llama(weights.folder, dtype, codec.position_scheme, codec.vocabulary_size).to(device)
        except ValueError as error:
            raise WeightsError(f"weights {weights.name}: {error}") from error
        wrapped = get_peft_model(lm, peft_config(lora), autocast_adapter_dtype=False)
    model = AdaptedModel(wrapped, codec, device, dtype, lora.embeddings)
    _check_finite(model, weights.name)
    return model


def read_codec(weights: WeightSet) -> Codec:
    """The codec of a weight set, whose folder brings the vocabulary of published checkpoints. Raises `WeightsError`."""
    name = weights.entry["codec"]
    try:
        if name == "arc16":
            return Arc16(weights.entry["position_scheme"])
        if name == "architects":
            from ..codec.architects import Architects

            return Architects(weights.folder)
        if name == "marc":
            from ..codec.marc import Marc

            return Marc(weights.folder)
    except (OSError, ValueError) as error:
        raise WeightsError(f"weights {weights.name}: {error}") from error
    raise WeightsError(f"weights {weights.name}: codec {name!r} is not known")


def read_config(weights: WeightSet) -> LlamaConfig:
    """The configuration of a weight set, its head tied or not as its tensors are; `quantized` tells whether its matrices are
    stored in 4 bits. Raises `WeightsError`."""
    try:
        config, quantization = _llama_config(weights.folder)
    except WeightsError as error:
        raise WeightsError(f"weights {weights.name}: {error}") from error
    config.quantized = quantization is not None
    return config


def _llama_config(folder: Path) -> tuple[LlamaConfig, dict | None]:
    """A whole folder's configuration and, apart, how it is quantized."""
    values = dict(read_checkpoint(folder).config)
    quantization = values.pop("quantization_config", None)
    try:
        return LlamaConfig(**values), quantization
    except Exception as error:  # a value that the library does not accept; it raises what it likes
        raise WeightsError(f"{folder / 'config.json'}: {' '.join(str(error).split())}") from error


def keeps_4_bits(config: LlamaConfig, device: torch.device) -> bool:
    """Whether a base of that configuration stays packed there: a large one on CUDA, where bitsandbytes is there to compute with
    it."""
    large = device.type == "cuda" and not is_small(config)
    return config.quantized and large and importlib.util.find_spec("bitsandbytes") is not None


def read_llama_4bit(folder: Path, device: torch.device, dtype: torch.dtype, position_scheme: str) -> LlamaForCausalLM:
    """A folder's NF4 Llama on `device`, packed as it is, computing in `dtype` whatever the folder says (a T4 has no bfloat16)."""
    from bitsandbytes.nn import Linear4bit

    config, config.quantization_config = _llama_config(folder)
    lm = LlamaForCausalLM.from_pretrained(
        folder, config=config, dtype=dtype, device_map={"": device.index or 0 if device.type == "cuda" else "cpu"},
        local_files_only=True, use_safetensors=True,
    )  # fmt: skip
    for module in lm.modules():
        if isinstance(module, Linear4bit):
            module.compute_dtype = dtype
            module.support_avx512bf16_for_cpu = False  # docs/sources.md, "bitsandbytes on a CPU"
    if position_scheme == "grid":
        lm.model.rotary_emb = GridRotary(lm.model.layers[0].self_attn.head_dim)
    return lm.eval()


def read_llama(
    folder: Path, dtype: torch.dtype, position_scheme: str, vocabulary_size: int = VOCABULARY_SIZE
) -> LlamaForCausalLM:
    """A folder's Llama on the CPU in `dtype`, 4-bit matrices dequantized, with the rotary positions of its scheme.

    A head of its own is used whatever config.json says of tied ones. Raises `WeightsError` where the folder is not a whole
    Llama (`checkpoint`), `ValueError` where its vocabulary is not the codec's.
    """
    config, _ = _llama_config(folder)
    if config.vocab_size != vocabulary_size:
        raise ValueError(f"vocabulary of {config.vocab_size}, the codec has {vocabulary_size}")
    with torch.device("meta"):
        lm = LlamaForCausalLM(config)
    rotary = type(lm.model.rotary_emb)(config)  # made off the meta device: its buffers are not in the file
    lm.load_state_dict(read_dense(folder, dtype), strict=not config.tie_word_embeddings, assign=True)
    lm.tie_weights()
    lm.model.rotary_emb = GridRotary(lm.model.layers[0].self_attn.head_dim) if position_scheme == "grid" else rotary
    return lm.eval()


def repeat_shared_keys() -> None:
    """Make transformers give attention one key head a query head, from now on, in every model.

    Without flash attention (a T4) torch would compute shared key heads by its plain kernel, which writes all probabilities out:
    24 heads of 6,000 x 6,000 are 1.7 GB a sequence in float16. Repeated keys take the memory-efficient kernel.
    """
    sdpa_attention.use_gqa_in_sdpa = lambda *arguments, **named: False


def peft_config(lora: LoraShape) -> LoraConfig:
    """The adapter's shape as peft wants it."""
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, use_rslora=lora.rslora, lora_dropout=0.0, bias="none",
        target_modules=list(lora.targets), task_type="CAUSAL_LM",
    )  # fmt: skip


def probe(codec: Codec) -> Prompt:
    """The prompt of a small task with every colour, to try a model on."""
    grid = as_grid(np.arange(100).reshape(10, 10) % 10)
    return codec.encode(Task("probe", (Pair(grid, grid), Pair(grid.T, grid)), (Pair(grid),)))


@torch.no_grad()
def _check_finite(model: AdaptedModel, name: str) -> None:
    prompt = probe(model.codec)
    ids, positions = (torch.from_numpy(t).to(model.device)[None] for t in (prompt.ids, prompt.positions))
    if not torch.isfinite(model.logits(ids, positions, torch.ones_like(ids, dtype=torch.bool))).all():
        raise NonFiniteError(f"weights {name} give NaN or infinity in {model.dtype} on {model.device}")
