"""Hyperparameters of the training loop; light to import: Unsloth, where it is used, has to come before transformers."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Every hyperparameter of a run. Its length is `minutes`, or `tokens` read in this run where that is not 0; `steps` ends it
    after so many steps in all (0: no such end). `micro_tokens`: tokens that a GPU takes at once, the batch in parts."""

    out: str
    resume: str | None = None
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
    micro_tokens: int = 32768
    max_len: int = 1024
    input_weight: float = 0.05
    quantization_aware: bool = False
    checkpoint_minutes: float = 5.0
    log_steps: int = 20
    tokens_before: int = 0
    seed: int = 0
    device: str = "cpu"
    threads: int = os.cpu_count() or 1
    loaders: int = 0
