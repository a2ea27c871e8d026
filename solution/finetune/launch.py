"""python -m solution.finetune launch OPTIONS: the training on every GPU of this machine.

In:  the options of `python -m solution.finetune`. Out: its run. Pairs are packed first where no pack is given (OUT.npz, kept
for the next call), then one process a GPU trains. Without a GPU, and for pre-trained bases, it is the command without `launch`.
Several machines: pack once, then `torchrun --nnodes ... -m solution.finetune --pack ...` on each, with a shared --out.
"""

import shlex
import subprocess
import sys
from pathlib import Path


def commands(words: list[str], gpus: int) -> list[list[str]]:
    """What to run, one after the other, where so many GPUs are."""
    from .__main__ import parser
    from .presets import PRESETS
    from .settings import Settings

    options, here = parser().parse_args(words), [sys.executable, "-m"]
    preset = PRESETS[options.preset]
    if not gpus or not isinstance(preset, Settings):
        return [[*here, "solution.finetune", *words]]
    several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(gpus), "-m"] if gpus > 1 else []
    train = [*here, *several, "solution.finetune", *words]
    if options.pack:
        return [train]
    pack = Path(options.out or preset.out).with_suffix(".npz")
    data = ["--data", *options.data] if options.data else []
    data += ["--drop-scored"] if options.drop_scored else []
    packing = [*here, "solution.finetune", "pack-data", *data, "--out", str(pack)]
    return [*([] if pack.exists() else [packing]), [*train, "--pack", str(pack)]]


def main(words: list[str]) -> int:
    import torch

    code = 0
    for command in commands(words, torch.cuda.device_count()):
        print(f"+ {shlex.join(command[1:])}", flush=True)
        code = subprocess.run(command).returncode
        if code:
            break
    return code
