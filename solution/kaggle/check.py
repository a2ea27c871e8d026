"""Whether what the driver imports can be imported here, and which versions: python -m solution.kaggle.check

In:  the packages. Out: a line of versions and devices, or the fault; exit code 0, UNUSABLE, or NO_UNSLOTH where only Unsloth
fails, which the driver does without. Run in a process of its own, before hours are spent. Not here: the models (`driver`).
"""

import importlib
import importlib.metadata
import platform
import sys

UNUSABLE, NO_UNSLOTH = 1, 3
NEEDED = ("numpy", "safetensors", "tqdm", "transformers", "accelerate", "peft", "bitsandbytes")


def one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def main() -> int:
    fault, name = None, "torch"
    try:
        import torch

        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        if gpus:
            try:
                importlib.import_module("unsloth")  # before transformers, which it patches
            except Exception as error:  # it raises whatever it likes
                fault = f"unsloth cannot be used: {one_line(error)}"
        for name in NEEDED:
            importlib.import_module(name)
    except Exception as error:
        print(f"{name} cannot be used: {one_line(error)}")
        return UNUSABLE
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", *NEEDED))
    print(f"Python {platform.python_version()}, {versions}; GPUs: {', '.join(gpus) or 'none'}")
    if fault:
        print(fault)
        return NO_UNSLOTH
    return 0


if __name__ == "__main__":
    sys.exit(main())
