"""A Llama's forward pass for training on a CPU, and of small ones on a GPU: the same function as transformers', made of fewer
passes over memory and fewer kernels.

In:  weights by Hugging Face name, rotary cosines and sines, token ids of right-padded sequences.
Out: logits, differentiable in the weights.
What is faster than the stock model (measured on Zen 4, tests/test_finetune.py checks equality): causal attention in
blocks of queries over their own prefix with saved probabilities (matrix products at full bf16 speed, where the flash
kernel for CPUs reaches a quarter), rotation and RMSNorm with their gradients written out, one product for q, k and v.
Not here: caches, padding on the left, sequences whose probabilities exceed memory (2 bytes * heads * length^2 / 2 a layer).
"""

import torch
import torch.nn.functional as F

QUERY_BLOCK = 128
SMALL = 200_000_000
LAYER_WEIGHTS = (
    "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
)  # fmt: skip


class Rotate(torch.autograd.Function):
    """x (..., length, head_dim) turned by cos, sin (broadcastable to it); the gradient is turned back."""

    @staticmethod
    def forward(ctx, x, cos, sin):
        ctx.save_for_backward(cos, sin)
        half = x.shape[-1] // 2
        turned = x * cos
        turned[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
        turned[..., half:].addcmul_(x[..., :half], sin[..., half:])
        return turned

    @staticmethod
    def backward(ctx, gradient):
        cos, sin = ctx.saved_tensors
        return Rotate.apply(gradient, cos, -sin), None, None


class Normalize(torch.autograd.Function):
    """RMSNorm of x (tokens, hidden) with fp32 statistics."""

    @staticmethod
    def forward(ctx, x, weight, epsilon):
        wide = x.float()
        scale = torch.linalg.vector_norm(wide, dim=-1, keepdim=True).square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        normal = (wide * scale).to(x.dtype)
        ctx.save_for_backward(normal, scale.to(x.dtype), weight)
        return normal * weight

    @staticmethod
    def backward(ctx, gradient):
        normal, scale, weight = ctx.saved_tensors
        product = gradient * normal
        along = (product @ weight).div_(weight.shape[0])  # (tokens,), the part along x that normalization removes
        inner = torch.addcmul(gradient * weight, normal, along[:, None], value=-1).mul_(scale)
        return inner, product.sum(0), None


class BlockAttention(torch.autograd.Function):
    """Causal attention of q, k, v (batch * heads, length, head_dim) in blocks of `QUERY_BLOCK` queries."""

    @staticmethod
    def forward(ctx, q, k, v):
        length = q.shape[1]
        q = q * q.shape[-1] ** -0.5
        out, saved = torch.empty_like(v), []
        future = torch.ones(QUERY_BLOCK, QUERY_BLOCK, dtype=torch.bool, device=q.device).triu_(1)
        for start in range(0, length, QUERY_BLOCK):
            stop = min(start + QUERY_BLOCK, length)
            scores = torch.bmm(q[:, start:stop], k[:, :stop].mT)  # (batch * heads, block, stop)
            scores[:, :, start:].masked_fill_(future[: stop - start, : stop - start], float("-inf"))
            saved.append(torch.softmax(scores, -1))
            out[:, start:stop] = torch.bmm(saved[-1], v[:, :stop])
        ctx.save_for_backward(q, k, v, *saved)
        return out

    @staticmethod
    def backward(ctx, gradient):
        q, k, v, *saved = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        for start, p in zip(range(0, q.shape[1], QUERY_BLOCK), saved):
            stop = start + p.shape[1]
            dp = torch.bmm(gradient[:, start:stop], v[:, :stop].mT)
            ds = torch._softmax_backward_data(dp, p, -1, p.dtype)
            dq[:, start:stop] = torch.bmm(ds, k[:, :stop])
            dk[:, :stop] += torch.bmm(ds.mT, q[:, start:stop])
            dv[:, :stop] += torch.bmm(p.mT, gradient[:, start:stop])
        return dq.mul_(q.shape[-1] ** -0.5), dk, dv


def causal_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """q, k, v (batch, heads, length, head_dim) -> the same shape; torch's own kernel on a GPU."""
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return BlockAttention.apply(*(t.flatten(0, 1) for t in (q, k, v))).view(q.shape)


def is_small(config) -> bool:
    """Whether a Llama has at most `SMALL` parameters in its layers: a GPU then waits for launches, not for arithmetic, and
    16-bit weights fit anywhere."""
    layer = 4 * config.hidden_size**2 + 3 * config.hidden_size * config.intermediate_size
    return config.num_hidden_layers * layer <= SMALL


def can_compute(config) -> bool:
    """Whether `llama_logits` computes this Llama."""
    same_heads = config.num_key_value_heads == config.num_attention_heads
    return same_heads and config.tie_word_embeddings and not config.attention_bias and not config.mlp_bias


def llama_logits(
    weights: dict[str, torch.Tensor],
    config,
    ids: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    embeddings: torch.Tensor | None = None,
) -> torch.Tensor:
    """ids (batch, length), cos and sin (batch, length, head_dim) -> logits (batch * length, vocabulary).

    `embeddings`: what ids read, where that is not the model's own table. For Llamas with as many key as query heads, no
    biases and tied embeddings.
    """
    batch, length = ids.shape
    heads, epsilon = config.num_attention_heads, config.rms_norm_eps
    cos, sin = cos[:, None], sin[:, None]  # (batch, 1, length, head_dim)
    embedding = weights["model.embed_tokens.weight"]
    x = (embedding if embeddings is None else embeddings)[ids.flatten()]  # (tokens, hidden)
    for i in range(config.num_hidden_layers):
        layer = {n: weights[f"model.layers.{i}.{n}.weight"] for n in LAYER_WEIGHTS}
        h = Normalize.apply(x, layer["input_layernorm"], epsilon)
        qkv = F.linear(h, torch.cat([layer[f"self_attn.{n}_proj"] for n in "qkv"]))  # (tokens, 3 * heads * head_dim)
        q, k, v = qkv.view(batch, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        attended = causal_attention(Rotate.apply(q, cos, sin), Rotate.apply(k, cos, sin), v)
        x = x + F.linear(attended.transpose(1, 2).reshape(batch * length, -1), layer["self_attn.o_proj"])
        h = Normalize.apply(x, layer["post_attention_layernorm"], epsilon)
        h = F.silu(F.linear(h, layer["mlp.gate_proj"])) * F.linear(h, layer["mlp.up_proj"])
        x = x + F.linear(h, layer["mlp.down_proj"])
    return F.linear(Normalize.apply(x, weights["model.norm.weight"], epsilon), embedding)
