"""Which floating-point type a device computes in. In: a torch device. Out: a torch dtype. Not here: any model."""

import os
from pathlib import Path

import torch

FP16_SCALE = 1024.0
"""float16 gradients are scaled by this from the first step on: unscaled, 2 % of them vanish (measured at loss 0.6), and a
GradScaler at its default would skip the first steps of every run (docs/sources.md, "T4 and float16")."""
ISA_LIMIT = "ONEDNN_MAX_CPU_ISA"
"""Environment variable that keeps oneDNN, torch's matrix products on a CPU, from newer instructions."""
ISA_WITHOUT_BF16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")
"""Its values that leave no bf16 products: those take 40 times as long as float32 ones then, as on an older CPU."""


def compute_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it, float16 on older CUDA devices (T4: capability 7.5), else float32.

    torch reports bf16 as supported on a T4 although it is emulated there (docs/kaggle.md, "GPUs"): the capability decides.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    return torch.bfloat16 if _cpu_multiplies_bf16() else torch.float32


def _cpu_multiplies_bf16() -> bool:
    if os.environ.get(ISA_LIMIT, "").upper() in ISA_WITHOUT_BF16:
        return False
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
