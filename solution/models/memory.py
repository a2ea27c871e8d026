"""The memory planner: what a model, its training and its decoding need on a device, and what therefore is done there.

In:  a Llama's configuration, the adapter's shape, the device's memory. Out: a `MemoryPlan`. Pure, but for `device_memory`.
Activations are counted from the tensors that a backward pass keeps (tests/test_memory.py compares with those really kept by
transformers + peft); Unsloth's fused kernels keep fewer, so that the plan errs to the safe side there.
Not here: what control groups and `ulimit` leave of a machine (`limits`), what to do when memory runs out all the same
(`driver.solve.smaller`).
"""

import logging
from dataclasses import dataclass

import torch

from . import limits
from .lean import QUERY_BLOCK
from .settings import LoraShape

log = logging.getLogger("solution")

GIB = 2**30
CONTEXT = 0.7 * GIB
"""CUDA context, kernels and libraries of one process on one device: an allowance."""
FRAGMENTATION = 0.08
"""Share of the memory that stays unused between blocks: an allowance."""
LOGITS = 0.25 * GIB
"""Logits of a large vocabulary, in parts (`adapted.LOGITS_AT_ONCE`), with their gradients and probabilities."""
LIBRARIES = 2 * GIB
"""Python, torch and the main thread on a CPU: an allowance."""
UNKNOWN = 8 * GIB
"""Memory of a machine that does not say how much it has."""
LEAST_TOKENS = 512
"""Fewer tokens in a batch than this are of no use: the weights do not fit."""


@dataclass(frozen=True)
class MemoryPlan:
    """What is done on a device, and the memory (bytes) that it is planned to take.

    `kept_tokens`: most tokens of a training batch that keeps its activations; `train_tokens`: most tokens of any training
    batch, beyond `kept_tokens` with activations computed twice. `decode_tokens`: most prompt and answer tokens decoded at
    once. `merged`: decode with dense weights, adapter added; else with the 4-bit ones.
    `base`, `adapter`: weights; the adapter with its gradients and optimiser. `train`, `decode`: the peak of either, all
    included.
    """

    kept_tokens: int
    train_tokens: int
    decode_tokens: int
    merged: bool
    base: int
    adapter: int
    train: int
    decode: int

    @property
    def checkpointing(self) -> bool:
        """Whether some batches compute their activations twice."""
        return self.kept_tokens < self.train_tokens


UNLIMITED = MemoryPlan(2**62, 2**62, 2**62, True, 0, 0, 0, 0)
"""No limits but the preset's own."""


class Sizes:
    """Bytes of the parts of a Llama: `config` as transformers reads it, weights in NF4 or `dtype_bytes` each.

    `lean`: trained by `lean.llama_logits`. `repeated`: attention gets shared key heads repeated (`load.repeat_shared_keys`).
    """

    def __init__(self, config, lora: LoraShape, in_4_bits: bool, lean: bool = False, dtype_bytes: int = 2,
                 repeated: bool = False):  # fmt: skip
        self.config, self.lora, self.in_4_bits, self.lean, self.dtype_bytes = config, lora, in_4_bits, lean, dtype_bytes
        self.repeated = repeated
        h, inner = config.hidden_size, config.intermediate_size
        d = getattr(config, "head_dim", None) or h // config.num_attention_heads
        q, kv = d * config.num_attention_heads, d * config.num_key_value_heads
        self.matrices = {  # (out, in) of a layer's projections
            "q_proj": (q, h), "k_proj": (kv, h), "v_proj": (kv, h), "o_proj": (h, q),
            "gate_proj": (inner, h), "up_proj": (inner, h), "down_proj": (h, inner),
        }  # fmt: skip
        self.hidden, self.inner, self.query, self.key = h, inner, q, kv
        self.layers, self.table = config.num_hidden_layers, config.vocab_size * h
        self.matrix_parameters = self.layers * sum(out * width for out, width in self.matrices.values())

    @property
    def parameters(self) -> int:
        """Weights of the whole model, norms included."""
        tables = 1 if self.config.tie_word_embeddings else 2
        return self.matrix_parameters + tables * self.table + (2 * self.layers + 1) * self.hidden

    @property
    def base(self) -> int:
        """The frozen model: 4-bit matrices with one float32 scale a block of 64, everything else 16-bit."""
        tables = self.parameters - self.matrix_parameters
        matrix = self.matrix_parameters * (0.5 + 4 / 64 if self.in_4_bits else self.dtype_bytes)
        return int(matrix + self.dtype_bytes * tables)

    @property
    def adapter_parameters(self) -> int:
        """Trained values: A and B of every target, and whole tables where they are trained."""
        lora = sum(sum(self.matrices[t]) for t in self.lora.targets if t in self.matrices) * self.lora.rank * self.layers
        head = self.lora.rank * (self.hidden + self.config.vocab_size) if "lm_head" in self.lora.targets else 0
        return lora + head + (2 * self.table if self.lora.embeddings else 0)

    @property
    def adapter(self) -> int:
        """The adapter, its initial state, float32 masters, both gradients and AdamW's two moments: 4 bytes each."""
        return 28 * self.adapter_parameters

    @property
    def merged(self) -> int:
        """Dense matrices with the adapter added, the head's too where it has one."""
        return self.dtype_bytes * (self.matrix_parameters + self.table * ("lm_head" in self.lora.targets))

    @property
    def kept(self) -> int:
        """Bytes a token that a backward pass keeps of one layer."""
        b, h, inner, q, kv = self.dtype_bytes, self.hidden, self.inner, self.query, self.key
        if self.lean:
            return b * (5 * h + 5 * q + 4 * inner)
        norms = 2 * 4 * h  # their float32 inputs
        adapters = b * self.lora.rank * len(self.lora.targets)
        return norms + adapters + b * (2 * h + 2 * q + 2 * (q if self.repeated else kv) + 4 * inner)

    def probabilities(self, longest: int) -> int:
        """Bytes a token of one layer's attention probabilities: kept by `lean`'s attention alone."""
        return self.config.num_attention_heads * self.dtype_bytes * (longest + QUERY_BLOCK) // 2 if self.lean else 0

    def training(self, longest: int) -> tuple[int, int]:
        """Bytes a token of a batch that the backward pass keeps, without what one layer's gradients need for a moment
        (`layer`): all activations, or every layer's input alone."""
        ends = (4 + 2 * self.dtype_bytes) * self.hidden
        return self.layers * self.layer(longest) + ends, self.layers * self.dtype_bytes * self.hidden + ends

    def layer(self, longest: int) -> int:
        """Bytes a token of all activations of one layer."""
        return self.kept + self.probabilities(longest)

    @property
    def dequantized(self) -> int:
        """Two of the largest matrices, dense: what a product with a packed matrix needs for a moment."""
        return 2 * self.dtype_bytes * self.hidden * max(self.inner, self.query) if self.in_4_bits else 0

    @property
    def merging(self) -> int:
        """What merging the largest fused matrix needs for a moment: parts in float32, and the joined one."""
        largest = max(self.hidden * self.inner, self.table * ("lm_head" in self.lora.targets))
        return (10 + 2 * self.dtype_bytes) * largest

    @property
    def decoding(self) -> int:
        """Bytes a token of a batch in decoding: keys and values, and the prompt's activations in one layer."""
        b = 4 if self.lean else self.dtype_bytes  # the cache of a CPU is float32
        cache = 2 * b * self.layers * self.key
        if self.lean is False:
            cache += 2 * b * self.key  # one layer's copy while rows leave
        return cache + self.dtype_bytes * (6 * self.hidden + 4 * self.inner + 3 * self.query)


def plan(sizes: Sizes, memory: float, longest: int, train_tokens: int, decode_tokens: int) -> MemoryPlan:
    """What fits into `memory` bytes.

    `longest`: tokens of the longest sequence. `train_tokens`, `decode_tokens`: batches that the preset wants.
    Raises `MemoryError`, one line, where not even `LEAST_TOKENS` can be trained on or decoded.
    """
    context = 0 if sizes.lean else CONTEXT
    room = memory * (1 - FRAGMENTATION) - context - sizes.base
    large_vocabulary = LOGITS if sizes.config.vocab_size > 1024 else 0
    fixed = sizes.adapter + (sizes.merged if sizes.lean else sizes.dequantized) + large_vocabulary
    kept, twice = sizes.training(min(longest, train_tokens))
    layer = sizes.layer(min(longest, train_tokens))
    kept, twice = kept + layer, twice + 2 * layer  # the gradients of one layer; and its activations once more
    kept_tokens = int((room - fixed) / kept)
    most_tokens = kept_tokens if sizes.lean else max(kept_tokens, int((room - fixed) / twice))
    train = min(train_tokens, most_tokens)

    resting = 8 * sizes.adapter_parameters + large_vocabulary  # the adapter and its initial state stay while decoding
    dense = room - resting - sizes.merged - sizes.merging
    packed = room - resting - sizes.dequantized
    merged = dense / sizes.decoding >= min(decode_tokens, 2 * longest) or not sizes.in_4_bits
    decode = min(decode_tokens, int((dense if merged else packed) / sizes.decoding))
    if min(train, decode) < LEAST_TOKENS:
        raise MemoryError(
            f"{sizes.parameters / 1e9:.2f} billion parameters do not fit into {memory / GIB:.1f} GiB: base "
            f"{sizes.base / GIB:.1f}, adapter and optimiser {sizes.adapter / GIB:.1f} GiB"
        )
    per_token = kept if train <= kept_tokens else twice
    outside = memory - room  # base, context, fragmentation
    training = outside + fixed + max(per_token * train, kept * min(kept_tokens, train))
    decoding = outside + resting + (sizes.merged + sizes.merging if merged else sizes.dequantized) + sizes.decoding * decode
    kept_tokens = max(0, min(kept_tokens, train))
    return MemoryPlan(kept_tokens, train, decode, merged, sizes.base, sizes.adapter, int(training), int(decoding))


def device_memory(device: torch.device, workers: int = 1) -> float:
    """Bytes that each of the workers on `device` may plan with, asked before anything is loaded: what is free on a GPU, in
    quarters of a GiB so that a run that is resumed plans as it did; of the machine what this process may hold
    (`limits.memory`), `LIBRARIES` less.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // (GIB // 4) * (GIB // 4) / workers
    total = limits.memory()
    if total is None:
        log.warning("this machine does not say how much memory it has: planned with %d GiB", UNKNOWN // GIB)
        total = UNKNOWN
    return max(0, total - LIBRARIES) / workers
