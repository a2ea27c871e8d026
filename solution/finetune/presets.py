"""What `python -m solution.finetune --preset` trains: every hyperparameter of each in one value.

`Settings` are small Llamas from scratch by our own loop (`train`), `SftSettings` pre-trained ones by trl's (`sft`).
"""

from .settings import Settings
from .sft import SftSettings

PRESETS: dict[str, Settings | SftSettings] = {
    "s": Settings(out="runs/s", hidden=256, layers=8, intermediate=704, quantization_aware=True),
    "m": Settings(
        out="runs/m", hidden=512, layers=8, intermediate=1408, quantization_aware=True, batch_tokens=122880, max_len=4096,
        warmup=200, checkpoint_minutes=3.0, adam_lr=2e-3, loaders=12,
    ),
    "l": Settings(
        out="runs/l", hidden=768, layers=12, intermediate=2048, quantization_aware=True, batch_tokens=122880, max_len=4096,
        warmup=200, checkpoint_minutes=3.0, adam_lr=2e-3, loaders=12,
    ),
    "smollm2": SftSettings(out="runs/smollm2"),
    "test": Settings(
        out="runs/test", hidden=64, layers=2, intermediate=128, minutes=0.2, batch_tokens=2048, max_len=512, warmup=5
    ),
}  # fmt: skip
"""s: 6.4 million parameters, for a CPU. m: 26 million (13 MB in 4 bits) and l: 85 million (45 MB), for a GPU. smollm2:
SmolLM2-135M, pre-trained on text, for a GPU. test: ends in seconds, learns nothing.
Feed-forward widths are multiples of 64: bitsandbytes' blocks then end with the rows (docs/experiments/01-bitsandbytes-cpu.md)."""

ON_A_CARD = {"s": {"batch_tokens": 122880, "max_len": 4096, "warmup": 200, "adam_lr": 2e-3}}
"""What of a preset is another value on a GPU: batches that keep it busy."""
