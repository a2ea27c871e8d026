"""Which floating-point type a device computes in. In: a torch device. Out: a torch dtype. Not here: any model."""

from pathlib import Path

import torch


def compute_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it, float16 on older CUDA devices (T4: capability 7.5), else float32.

    torch reports bf16 as supported on a T4 although it is emulated there (kaggle.md, GPUs): the capability decides.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device)[0] >= 8 else torch.float16
    return torch.bfloat16 if _cpu_multiplies_bf16() else torch.float32


def _cpu_multiplies_bf16() -> bool:
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")).split()
    except (OSError, StopIteration):
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
