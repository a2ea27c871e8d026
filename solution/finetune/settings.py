"""Hyperparameters of the training loop; light to import: Unsloth, where it is used, has to come before transformers."""

from dataclasses import dataclass

from ..models.limits import cores

HEAD_DIM = 64


@dataclass(frozen=True)
class Settings:
    """Every hyperparameter of a run. Its length is `minutes`, or `tokens` read in this run where that is not 0; `steps` ends it
    after so many steps in all (0: no such end). `pack`: a file of `finetune.pack` to draw from, instead of a recipe's sources.
    `micro_tokens`: tokens that a GPU takes at once, the batch in parts (0: as many as fit its memory)."""

    out: str
    start_from: str | None = None
    pack: str | None = None
    positions: str = "grid"
    hidden: int = 256
    layers: int = 8
    intermediate: int = 688
    minutes: float = 60.0
    tokens: int = 0
    steps: int = 0
    decay: float = 0.2
    warmup: int = 60
    muon_lr: float = 0.02
    adam_lr: float = 3e-3
    weight_decay: float = 0.01
    batch_tokens: int = 8192
    micro_tokens: int = 0
    max_len: int = 1024
    input_weight: float = 0.05
    quantization_aware: bool = False
    checkpoint_minutes: float = 5.0
    log_steps: int = 20
    tokens_before: int = 0
    seed: int = 0
    device: str = "cpu"
    threads: int = cores()
    loaders: int = 0
    compile: bool = True

    def __post_init__(self):
        """Raises `ValueError`, in words, for what cannot be trained."""
        if self.hidden < HEAD_DIM or self.hidden % HEAD_DIM:
            raise ValueError(f"hidden size {self.hidden} is not a multiple of the head size, {HEAD_DIM}")
        for name in ("layers", "intermediate", "batch_tokens", "max_len", "log_steps", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in (
            "tokens", "steps", "warmup", "tokens_before", "loaders", "micro_tokens", "seed", "input_weight", "muon_lr", "adam_lr",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, as {getattr(self, name)} is")
        if self.pack and self.positions != "grid":
            raise ValueError(f"packed pairs are laid out on grid positions, not {self.positions}")
        if self.minutes <= 0 or not 0 <= self.decay <= 1:
            raise ValueError(f"minutes must be positive and decay from 0 to 1, not {self.minutes} and {self.decay}")
