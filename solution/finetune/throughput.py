"""Speed of a training run against what the device can do, and what the run ran on.

In:  a model's configuration, tokens and seconds; a device. Out: FLOPs, the device's measured ceiling, words for the record.
Rule: 6 FLOPs a parameter and token, forward and backward, plus 12 * layers * hidden * context for attention
(Kaplan et al., arXiv 2001.08361, section 2.1; the causal half of attention is counted whole, as is usual for MFU).
"""

import platform
import shlex
import sys
import time
from pathlib import Path

import torch

from ..models.limits import cores

MATRIX = {"cpu": 1024, "cuda": 8192}
REPEATS = 8


def training_flops(num_parameters: int, config, tokens: int, context: float) -> float:
    """FLOPs of training on `tokens` tokens in sequences of `context` tokens on average; embeddings count as parameters."""
    attention = 12 * config.num_hidden_layers * config.hidden_size * context
    return tokens * (6.0 * num_parameters + attention)


@torch.no_grad()
def peak_flops(device: torch.device, dtype: torch.dtype, threads: int = 1) -> float:
    """FLOPs a second of a large matrix product in `dtype`, the best of a few: measured here, now. On a CPU one core is
    measured and multiplied by `threads`."""
    size = MATRIX[device.type]
    a = torch.randn(size, size, device=device).to(dtype)
    before = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    best = float("inf")
    for _ in range(REPEATS):
        begin = time.perf_counter()
        a @ a
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - begin)
    if device.type == "cpu":
        torch.set_num_threads(before)
    return 2.0 * size**3 / best * (threads if device.type == "cpu" else 1)


def hardware(device: torch.device) -> str:
    """What the training ran on, in words."""
    if device.type == "cuda":
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(device)}"
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [
            line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return f"{cores()} CPU cores ({model})"


def command_line() -> str:
    """What this process was called with, as it would be typed."""
    return f"python -m solution.finetune {shlex.join(sys.argv[1:])}"
