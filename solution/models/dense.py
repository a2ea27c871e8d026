"""`DenseLlama`: a Llama's merged weights and its forward pass with a preallocated key-value cache.

In:  a model whose adapter is trained. Out: logits, many rows at once, one token or many.
A pure function of tensors with fused projections: on small models the module tree costs more than the arithmetic.
Plain reference: the Hugging Face model itself, without a cache (`decode.reference`).
Not here: which token is chosen (`decode.greedy`).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from peft.tuners.lora import LoraLayer

from .adapted import AdaptedModel, merged_weight
from .nf4 import dense_weight


class Merged:
    """Projections of one input as one dense matrix (out, in), adapters added."""

    def __init__(self, modules: list[torch.nn.Module], dtype: torch.dtype, adapter: bool):
        self.weight = torch.cat([merged_weight(m, dtype, adapter) for m in modules])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) -> (..., out)."""
        return F.linear(x, self.weight)


class Unmerged:
    """The same in the memory of the 4-bit base: its matrices are dequantized at every use, the adapters stand beside them as
    they were at construction. Slower where few rows are decoded; for models whose dense weights do not fit."""

    def __init__(self, modules: list[torch.nn.Module], dtype: torch.dtype, adapter: bool):
        self.dtype = dtype
        self.parts = [self._part(module, adapter) for module in modules]

    def _part(self, module, adapter):
        if not isinstance(module, LoraLayer):
            return module.weight, None
        if not adapter:
            return module.base_layer.weight, None
        (name,) = module.active_adapters
        a, b = module.lora_A[name].weight, module.lora_B[name].weight * module.scaling[name]
        return module.base_layer.weight, (a.detach().to(self.dtype, copy=True), b.detach().to(self.dtype, copy=True))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) -> (..., out)."""
        found = []
        for weight, adapter in self.parts:
            y = F.linear(x, dense_weight(weight).to(self.dtype))
            if adapter is not None:
                a, b = adapter
                y = y + F.linear(F.linear(x, a), b)
            found.append(y)
        return found[0] if len(found) == 1 else torch.cat(found, -1)


Projection = Merged | Unmerged


@dataclass(frozen=True)
class Layer:
    """One decoder layer: norms (hidden,), projections."""

    input_norm: torch.Tensor
    qkv: Projection
    output: Projection
    mlp_norm: torch.Tensor
    gate_up: Projection
    down: Projection


class Cache:
    """Keys and values of `rows` sequences of at most `capacity` tokens, right-aligned so that all rows end together.

    `keys`, `values`: per layer (rows, kv_heads, capacity, head_dim). `end`: columns in use. `bias`: (rows, 1, 1, capacity),
    minus infinity where a row's own tokens have not begun. On a CPU all are float32: torch's attention kernel for a single
    query takes 6 to 8 times as long in bfloat16 (docs/experiments/04-cpu-attention.md).
    """

    def __init__(self, model: "DenseLlama", rows: int, capacity: int):
        shape = (rows, model.kv_heads, capacity, model.head_dim)
        like = {"dtype": torch.float32 if model.device.type == "cpu" else model.dtype, "device": model.device}
        self.keys = [torch.zeros(shape, **like) for _ in model.layers]
        self.values = [torch.zeros(shape, **like) for _ in model.layers]
        self.bias = torch.zeros(rows, 1, 1, capacity, **like)
        self.end = 0

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only."""
        for tensors in (self.keys, self.values):
            for index, tensor in enumerate(tensors):  # one by one: a copy of everything might not fit
                tensors[index] = tensor.index_select(0, rows)
        self.bias = self.bias.index_select(0, rows)


class DenseLlama:
    """Weights of an `AdaptedModel` at the moment of construction; later training does not reach it.

    `adapter`: with the adapter, or the base alone. `merged`: dense matrices (2 bytes a parameter more), or the 4-bit base's.
    """

    def __init__(self, model: AdaptedModel, adapter: bool = True, merged: bool = True):
        config = model.lm.config
        self.device, self.dtype = model.device, model.dtype
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.epsilon = config.rms_norm_eps
        self.rotary = model.lm.model.rotary_emb
        self.embedding = (model.embeddings() if adapter else model.lm.model.embed_tokens.weight).detach()
        if adapter and model.tables:
            self.embedding = self.embedding.clone()
        self.prefix = range(0 if model.prefix is None or not adapter else len(model.prefix))
        self.norm = model.lm.model.norm.weight.detach()
        self.head = model.lm.lm_head.weight.detach()
        if adapter and model.tables:
            self.head = model.tables["lm_head"].detach().clone()
        elif isinstance(model.lm.lm_head, LoraLayer):
            self.head = merged_weight(model.lm.lm_head, self.dtype, adapter)
        self.grouped = self.heads // self.kv_heads
        # Without flash attention a kernel that reads shared key heads would write out all probabilities.
        self.repeat = self.device.type == "cuda" and torch.cuda.get_device_capability(self.device)[0] < 8

        def joined(*modules):
            return (Merged if merged else Unmerged)(modules, self.dtype, adapter)

        self.layers = [
            Layer(
                layer.input_layernorm.weight.detach(),
                joined(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                joined(layer.self_attn.o_proj),
                layer.post_attention_layernorm.weight.detach(),
                joined(layer.mlp.gate_proj, layer.mlp.up_proj),
                joined(layer.mlp.down_proj),
            )
            for layer in model.lm.model.layers
        ]

    @torch.inference_mode()
    def prefill(self, ids: torch.Tensor, positions: torch.Tensor, lengths: list[int], cache: Cache | None = None) -> torch.Tensor:
        """Hidden states (rows, length, hidden) of right-padded prompts; with `cache`, their keys and values go into it.

        `ids`, `positions`: int64 (rows, length). `lengths`: tokens of each row, at least 1. Causal attention makes the
        padding harmless: no token sees what stands to its right. Rows are moved to the right end of the cache's first
        `max(lengths)` columns.
        """
        longest = max(lengths)
        if cache is not None:
            cache.end = longest
            for row, length in enumerate(lengths):
                cache.bias[row, ..., : longest - length] = -torch.inf

        def attend(index, q, k, v):
            if cache is not None:
                for row, n in enumerate(lengths):
                    cache.keys[index][row, :, longest - n : longest] = k[row, :, :n]
                    cache.values[index][row, :, longest - n : longest] = v[row, :, :n]
            if self.repeat:
                k, v = (t.repeat_interleave(self.grouped, 1) for t in (k, v))
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=q.shape[1] != k.shape[1])

        return self._run(ids, positions, attend)

    @torch.inference_mode()
    def step(self, ids: torch.Tensor, positions: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Logits, float32 (rows, vocabulary), after one more token a row; `ids`, `positions`: int64 (rows,)."""
        end = cache.end
        bias = cache.bias[..., : end + 1]

        def attend(index, q, k, v):
            keys, values = cache.keys[index], cache.values[index]
            keys[:, :, end : end + 1] = k
            values[:, :, end : end + 1] = v
            shared = q.reshape(len(q), self.kv_heads, self.grouped, -1).to(keys.dtype)  # the heads of one key head as its queries
            mixed = F.scaled_dot_product_attention(shared, keys[:, :, : end + 1], values[:, :, : end + 1], bias)
            return mixed.to(q.dtype).reshape(q.shape)

        hidden = self._run(ids[:, None], positions[:, None], attend)
        cache.end = end + 1
        return self.logits(hidden[:, 0])

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Next-token logits in float32 from final hidden states (..., hidden)."""
        return F.linear(hidden, self.head).float()

    def _run(self, ids, positions, attend):
        rows, length = ids.shape
        x = F.embedding(ids, self.embedding)  # (rows, length, hidden)
        cos, sin = (t[:, None] for t in self.rotary(x, positions))  # (rows, 1, length, head_dim)
        sizes = (self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv_heads * self.head_dim)
        for index, layer in enumerate(self.layers):
            q, k, v = layer.qkv(self._rms(x, layer.input_norm)).split(sizes, -1)
            q, k, v = (t.view(rows, length, -1, self.head_dim).transpose(1, 2) for t in (q, k, v))
            mixed = attend(index, _rotate(q, cos, sin), _rotate(k, cos, sin), v)
            x = x + layer.output(mixed.transpose(1, 2).reshape(rows, length, -1))
            gate, up = layer.gate_up(self._rms(x, layer.mlp_norm)).chunk(2, -1)
            x = x + layer.down(F.silu(gate) * up)
        return self._rms(x, self.norm)

    def _rms(self, x, weight):
        return F.rms_norm(x, weight.shape, weight, self.epsilon)


def _rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin
