"""Settings of the adapter; light to import."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LoraShape:
    """Rank, scale and targets of the adapter. `alpha / rank` scales the update (`alpha / sqrt(rank)` with rsLoRA).

    `embeddings`: train the embedding and the head too, whole.
    """

    rank: int = 32
    alpha: float = 32.0
    rslora: bool = False
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    embeddings: bool = False
