"""Settings of test-time training; light to import, so that the command line knows its presets without torch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataConfig:
    """What D_TTT holds.

    `kind`: "leave_one_out", or "end_to_end" (ablation: every pair alone, no demonstrations in context).
    `transformations`: "paper" (the whole rule-based list), "symmetries" (the eight invertible ones), "none" (ablation).
    `permutations`: copies of each item under a fresh colour bijection and a fresh demonstration order. `keep_zero`: colour 0
    stays 0 in them.
    `demonstration_loss`: whether outputs of demonstrations carry loss from the second one on (off: an ablation).
    `max_items`, `max_tokens`: the cap a task and the token limit an item. `shorten`: an item beyond it loses demonstrations
    until it fits, instead of being left out.
    """

    kind: str = "leave_one_out"
    transformations: str = "symmetries"
    permutations: int = 1
    keep_zero: bool = True
    demonstration_loss: bool = True
    max_items: int = 250
    max_tokens: int = 8192
    shorten: bool = False


@dataclass(frozen=True)
class JointConfig:
    """One adapter trained on leave-one-out items of all tasks of the file at once, before the tasks' own trainings.

    `share`: the part of the time left that it may take. Where the clock ends it before its passes do, the learning rate has
    followed the clock, and two runs differ. One device trains it while others do the cheap answers; done with those before it
    ends, they wait. A kill before its end loses it.
    `passes`: how often each task gives an item, at most. `max_tokens`: the longest item; a task with none gives none.
    `prefix_tokens`: learned vectors that stand before every prompt, each task its own (0: none).
    `per_task`: whether every task then trains on from the joint adapter (off: the paper's shared LoRA, an ablation).
    """

    share: float = 0.3
    passes: int = 32
    learning_rate: float = 5e-3
    max_tokens: int = 1024
    prefix_tokens: int = 0
    per_task: bool = True


@dataclass(frozen=True)
class TrainConfig:
    """The loop's hyperparameters.

    `steps`: the most optimiser steps a task; fewer where `epochs` passes over its D_TTT end sooner.
    `batch_size`: sequences a step, fewer where they exceed `batch_tokens` (at least one).
    `embedding_learning_rate`: that of embedding and head, where the adapter has them (None: the same).
    `warmup`: share of the steps with rising learning rate; cosine to 0 after it.
    `clip_norm`: the gradient is scaled down to this norm; 0 for no clipping, as in the paper.
    `flat_window`, `flat_gain`: stop once the mean loss of the last `flat_window` steps is not better than that of the
    `flat_window` before by the share `flat_gain`, or is below `flat_loss`; 0 never stops early.
    """

    steps: int = 32
    epochs: int = 100
    batch_size: int = 8
    batch_tokens: int = 8192
    learning_rate: float = 5e-3
    embedding_learning_rate: float | None = None
    warmup: float = 0.1
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    flat_window: int = 16
    flat_gain: float = 0.0
    flat_loss: float = 0.01
