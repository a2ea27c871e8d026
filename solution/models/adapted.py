"""`AdaptedModel`: a frozen base Llama with one LoRA adapter that is reset in place for every task.

In:  a Llama wrapped by peft (from either backend). Out: logits for training, adapter snapshots, dense merged weights.
Not here: where the base comes from (`load`), the training loop (`ttt`), decoding (`decode`).
"""

import math
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from peft.tuners.lora import LoraLayer
from torch.utils.checkpoint import checkpoint

from ..codec.codec import Codec
from .lean import can_compute, is_small, llama_logits
from .nf4 import dense_weight, is_4_bit

PREFIX = "prefix"
TABLES = ("embed_tokens", "lm_head")
LOGITS_AT_ONCE = 2**24
"""Logits (targets times vocabulary) that training holds at a time, in float32."""


class NonFiniteError(ArithmeticError):
    """The model gave NaN or infinity: this job's result is worthless, the others' are not affected."""


class AdaptedModel:
    """One model on one device, owned by one worker thread.

    `lm` is the Llama inside peft's wrapper; `codec` writes its prompts; `trainable` are the adapter's parameters in a
    fixed order. With `embeddings` the embedding and the head are trained whole, as copies that belong to the adapter
    (`tables`, by name): tied ones part. `prefix` is None or a table of learned vectors (rows, hidden), read as token ids from
    the vocabulary's end on and trained with the adapter. Parameters are only ever written in place under `no_grad`: fused
    backends cache casts by tensor version (docs/sources.md, "Unsloth training").
    """

    def __init__(
        self, peft_model: torch.nn.Module, codec: Codec, device: torch.device, dtype: torch.dtype, embeddings: bool = False
    ):
        self.peft_model = peft_model
        self.lm = peft_model.get_base_model()
        self.codec, self.device, self.dtype = codec, device, dtype
        self.prefix: torch.nn.Parameter | None = None
        self._base_tables = dict(zip(TABLES, (self.lm.model.embed_tokens.weight, self.lm.lm_head.weight))) if embeddings else {}
        self.tables = {name: torch.nn.Parameter(base.detach().clone()) for name, base in self._base_tables.items()}
        strangers = [n for n, p in peft_model.named_parameters() if p.requires_grad and "lora_" not in n]
        if strangers:
            raise ValueError(f"{strangers[0]} is trained whole where an adapter was asked for")
        adapted = {n: p for n, p in sorted(peft_model.named_parameters()) if p.requires_grad} | self.tables
        self._names, self._adapter = list(adapted), list(adapted.values())
        self.trainable = self._adapter
        in_4_bits = any(is_4_bit(module.base_layer.weight) for module in lora_layers(self.lm).values())
        whole = embeddings or isinstance(self.lm.lm_head, LoraLayer)
        wanted = device.type == "cpu" or is_small(self.lm.config)
        self._lean = wanted and can_compute(self.lm.config) and not in_4_bits and not whole
        self._initial, self._twice = None, False
        self.initialise(seed=0)

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw the initial adapter that `reset` returns to: A uniform within 1/sqrt(fan_in), B zero, from `seed` alone."""
        generator = torch.Generator().manual_seed(seed)
        initial = []
        for name, parameter in zip(self._names, self._adapter):
            if name in TABLES:
                value = self._base_tables[name]
            elif "lora_A" in name:
                bound = 1 / math.sqrt(parameter.shape[1])
                value = (torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound
            else:
                value = torch.zeros(parameter.shape)
            initial.append(value.detach().to(parameter.device, parameter.dtype))
        self._initial = initial
        self.reset()

    @torch.no_grad()
    def reset(self, prefix_rows: int = 0) -> None:
        """Back to the initial adapter, in place, with a new prefix table of so many rows: each the mean of the embeddings.

        The optimiser is the training loop's own and starts anew with it.
        """
        torch._foreach_copy_(self._adapter, self._initial)
        embedding = self._embed_tokens().detach()
        mean = embedding.float().mean(0).to(embedding.dtype)
        self._set_prefix(mean.repeat(prefix_rows, 1) if prefix_rows else None)

    def _set_prefix(self, table: torch.Tensor | None) -> None:
        self.prefix = None if table is None else torch.nn.Parameter(table)
        self.trainable = self._adapter + ([] if table is None else [self.prefix])

    def adapter(self) -> dict[str, torch.Tensor]:
        """A copy of the adapter's tensors by name, on the CPU; the prefix table, where there is one, under `PREFIX`."""
        names = [*self._names, PREFIX]
        return {n: p.detach().to("cpu", copy=True) for n, p in zip(names, self.trainable)}

    @torch.no_grad()
    def load_adapter(self, tensors: dict[str, torch.Tensor]) -> None:
        """Write an adapter taken by `adapter` back, in place, with its prefix table or none."""
        torch._foreach_copy_(self._adapter, [tensors[n].to(self.device) for n in self._names])
        table = tensors.get(PREFIX)
        self._set_prefix(None if table is None else table.to(self.device, copy=True))

    def embeddings(self) -> torch.Tensor:
        """What token ids read: the embedding, and below it the prefix table (vocabulary + rows, hidden)."""
        embedding = self._embed_tokens()
        return embedding if self.prefix is None else torch.cat([embedding, self.prefix])

    def _embed_tokens(self) -> torch.Tensor:
        return self.tables.get("embed_tokens", self.lm.model.embed_tokens.weight)

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits (..., vocabulary) of final hidden states (..., hidden)."""
        table = self.tables.get("lm_head")
        return self.lm.lm_head(hidden) if table is None else F.linear(hidden, table)

    def logits(self, ids: torch.Tensor, positions: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        """Next-token logits, float32 (selected, vocabulary), at the places where the mask `where` (batch, length) is True.

        `ids`, `positions`: int64 (batch, length), padded on the RIGHT. Dense Llamas on a CPU and small ones anywhere are computed
        by `lean.llama_logits` on weights with the adapter added, others by the model itself (`plain_logits`).
        """
        if not self._lean or self._twice:
            return self.plain_logits(ids, positions, where)
        weights = dict(self.lm.named_parameters())
        merged = {name.replace(".base_layer", ""): weight for name, weight in weights.items() if "lora_" not in name}
        for name, module in lora_layers(self.lm).items():
            (adapter,) = module.active_adapters
            a, b = module.lora_A[adapter].weight, module.lora_B[adapter].weight
            merged[f"{name}.weight"] = torch.addmm(module.base_layer.weight, b, a, alpha=module.scaling[adapter])
        cos, sin = self.lm.model.rotary_emb(self.lm.model.embed_tokens.weight, positions)
        logits = llama_logits(merged, self.lm.config, ids, cos, sin, self.embeddings())  # (batch * length, vocabulary)
        return logits.view(*ids.shape, -1)[where].float()

    def plain_logits(self, ids: torch.Tensor, positions: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        """What `logits` gives, by the Hugging Face model itself: its reference, and the way of every other Llama.

        `ids`, `positions`: int64 (batch, length), padded on the RIGHT: training kernels drop the attention mask, so
        left padding would be attended to (docs/sources.md, "Unsloth training"). The all-ones mask keeps transformers from
        reading position jumps as packed sequences (docs/sources.md, "transformers positions").
        """
        return self.head(self._hidden(ids, positions)[where]).float()

    def _hidden(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        own = self.prefix is None and not self.tables
        what = {"input_ids": ids} if own else {"inputs_embeds": F.embedding(ids, self.embeddings())}
        return self.lm.model(
            **what, position_ids=positions, attention_mask=torch.ones_like(ids), use_cache=False
        ).last_hidden_state

    def loss(self, ids: torch.Tensor, positions: torch.Tensor, where: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy of `logits` against `targets`, int64 (selected,).

        With a large vocabulary the logits are made in parts, and once more in the backward pass: 4,000 targets of Llama 3's
        128,256 tokens would otherwise be 2 GB, three times over.
        """
        rows = max(1, LOGITS_AT_ONCE // self.lm.config.vocab_size)
        if (self._lean and not self._twice) or len(targets) <= rows:
            return F.cross_entropy(self.logits(ids, positions, where), targets)
        hidden = self._hidden(ids, positions)[where]
        parts = [
            checkpoint(self._sum_loss, some, wanted, use_reentrant=False)
            for some, wanted in zip(hidden.split(rows), targets.split(rows))
        ]
        return torch.stack(parts).sum() / len(targets)

    def _sum_loss(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(self.head(hidden).float(), targets, reduction="sum")

    @contextmanager
    def checkpointing(self, on: bool):
        """Within it, training computes the activations of every layer twice instead of keeping them, if `on`: on a GPU then by
        the Hugging Face model, whatever its size."""
        modules = [m for m in self.lm.modules() if hasattr(m, "gradient_checkpointing")]
        was = [m.gradient_checkpointing for m in modules]
        self._twice = on and not (self._lean and self.device.type == "cpu")
        if self._twice:
            if not hasattr(self.lm.model.layers[0], "_gradient_checkpointing_func"):
                self.lm.gradient_checkpointing_enable({"use_reentrant": False})
            self.lm.train()  # layers check it; there is no dropout that it could wake
        for module in modules:
            module.gradient_checkpointing = self._twice
        try:
            yield
        finally:
            self._twice = False
            for module, before in zip(modules, was):
                module.gradient_checkpointing = before


def lora_layers(lm: torch.nn.Module) -> dict[str, LoraLayer]:
    """The adapted projections of a model by module name."""
    return {name: module for name, module in lm.named_modules() if isinstance(module, LoraLayer)}


@torch.no_grad()
def merged_weight(module: torch.nn.Module, dtype: torch.dtype, adapter: bool = True) -> torch.Tensor:
    """The dense weight (out, in) of a projection with its adapter added in float32; 4-bit bases are dequantized.

    The base itself is never written, so there is nothing to restore afterwards.
    """
    base = module.base_layer if isinstance(module, LoraLayer) else module
    weight = dense_weight(base.weight)
    if not adapter or not isinstance(module, LoraLayer):
        return weight.detach().to(dtype, copy=True)
    (name,) = module.active_adapters
    a, b = module.lora_A[name].weight.float(), module.lora_B[name].weight.float()
    return torch.addmm(weight.float(), b, a, alpha=module.scaling[name]).to(dtype)
