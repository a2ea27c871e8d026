"""Grid rotary positions: angles of (x, y, pair) instead of one running index.

In:  packed position ids of the 16-token codec's "grid" scheme, `pair << 12 | y << 6 | x`.
Out: cosines and sines for transformers' Llama attention, gathered from a table with one row per position id.
Use: `model.model.rotary_emb = GridRotary(head_dim)`. Pass an all-ones attention mask with such positions: without
     one transformers reads their jumps as borders between packed sequences. Unsloth's fused kernels do not call the
     module; they gather from its table (`get_cached`) by position id themselves.
Not here: how positions are made (`codec.arc16`).
"""

import torch

from ..codec.arc16 import X_BITS, Y_BITS

BASE = 100.0
INITIAL_PAIRS = 32


def grid_angles(head_dim: int, pairs: int, base: float = BASE) -> torch.Tensor:
    """Angles of every position id with pair coordinate < `pairs`: fp32 (pairs * 4096, head_dim / 2), in radians.

    The frequencies are split 3:3:2 over x, y and pair (12/12/8 of a 64-wide head); the n-th of N is base^(-n/N).
    """
    half = head_dim // 2
    sizes = (3 * half // 8, 3 * half // 8, half - 2 * (3 * half // 8))
    ids = torch.arange(pairs << (X_BITS + Y_BITS))
    coordinates = (ids & ((1 << X_BITS) - 1), (ids >> X_BITS) & ((1 << Y_BITS) - 1), ids >> (X_BITS + Y_BITS))
    frequencies = (base ** (-torch.arange(n) / n) for n in sizes)
    return torch.cat([c[:, None].float() * f for c, f in zip(coordinates, frequencies)], -1)


class GridRotary(torch.nn.Module):
    """Stands in for transformers' `LlamaRotaryEmbedding`. The table grows with the largest pair coordinate seen.

    The tables are no buffers: they are neither saved with the weights nor turned to another dtype with the model.
    """

    def __init__(self, head_dim: int, base: float = BASE):
        super().__init__()
        self.head_dim, self.base = head_dim, base
        self._tables = {}  # (device, dtype) -> (cos, sin), each (pairs * 4096, head_dim)
        self._like = (torch.device("cpu"), torch.float32)  # what Unsloth's hidden states are
        self._reach = 0  # pairs that Unsloth's table must hold

    @torch.inference_mode(False)
    def tables(self, device: torch.device, dtype: torch.dtype, pairs: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines of all position ids with pair coordinate < at least `pairs`, each (rows, head_dim)."""
        tables = self._tables.get((device, dtype))
        if tables is None or len(tables[0]) < pairs << (X_BITS + Y_BITS):
            angles = grid_angles(self.head_dim, max(INITIAL_PAIRS, 2 * pairs), self.base)
            angles = torch.cat([angles, angles], -1)
            self._tables[device, dtype] = tables = angles.cos().to(device, dtype), angles.sin().to(device, dtype)
        return tables

    @torch.no_grad()
    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`position_ids` (batch, length) -> cos, sin, both (batch, length, head_dim) in `x`'s dtype and on its device."""
        cos, sin = self.tables(x.device, x.dtype, _pairs(position_ids))
        return cos[position_ids], sin[position_ids]

    def reserve(self, position_ids: torch.Tensor) -> None:
        """Make Unsloth's table reach these positions: its kernels gather without looking where it ends."""
        self._reach = max(self._reach, _pairs(position_ids))

    def extend_rope_embedding(self, x: torch.Tensor, seq_len: int, materialize_len: int | None = None) -> None:
        """Unsloth announces its hidden states `x`. The lengths are those of running positions and say nothing here."""
        self._like = (x.device, x.dtype)

    def get_cached(self, seq_len: int | None = None, device_index: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """The table that Unsloth's kernels gather from, for the hidden states announced last: cos, sin, (rows, head_dim)."""
        return self.tables(*self._like, self._reach)


def _pairs(position_ids: torch.Tensor) -> int:
    return (int(position_ids.max()) >> (X_BITS + Y_BITS)) + 1
