"""python -m solution.finetune launch OPTIONS: the training on every GPU of this machine.

In:  the options of `python -m solution.finetune`. Out: its run. Pairs are packed first where no pack is given (beside the run's
folder, used again by a call with the same data), then one process a GPU trains. Without a GPU, and for pre-trained bases, it is
the command without `launch`. Several machines: pack once, then `torchrun --nnodes ... -m solution.finetune --pack ...` on each,
with a shared --out.
"""

import shlex
import subprocess
import sys
from pathlib import Path

from ..command import tell_fault

SIGNALLED = 128


def commands(words: list[str], gpus: int) -> list[list[str]]:
    """What to run, one after the other, where so many GPUs are. Raises `ValueError` for options that the training refuses."""
    from ..arc.load import InputError
    from .__main__ import chosen_settings, parser, put_aside, recipe_of
    from .pack import Amounts, Pack, made_of
    from .settings import Settings

    options, here = parser().parse_args(words), [sys.executable, "-m"]
    settings = chosen_settings(options)
    if options.device == "cpu" or not gpus or not isinstance(settings, Settings):
        return [[*here, "solution.finetune", *words]]
    if options.fresh:  # one process does it, before the others look
        put_aside(Path(settings.out))
        words = [word for word in words if word != "--fresh"]
    several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(gpus), "-m"] if gpus > 1 else []
    train = [*here, *several, "solution.finetune", *words]
    if options.pack:
        return [train]
    out = Path(settings.out)
    pack, wanted = out.with_name(out.name + ".npz"), made_of(recipe_of(options), Amounts(), 0)
    try:
        there = {key: Pack.read(pack).recipe.get(key) for key in wanted} == wanted
    except InputError:
        there = False
    train = drop_option(drop_option(train, "--data"), "--drop-scored")
    data = ["--data", *options.data] if options.data else []
    data += ["--drop-scored"] if options.drop_scored else []
    packing = [*here, "solution.finetune", "pack-data", *data, "--out", str(pack)]
    return [*([] if there else [packing]), [*train, "--pack", str(pack)]]


def drop_option(words: list[str], option: str) -> list[str]:
    """The words without an option and its values."""
    found, inside = [], False
    for word in words:
        inside = word == option or word.startswith(option + "=") or inside and not word.startswith("-")
        if not inside:
            found.append(word)
    return found


def main(words: list[str]) -> int:
    import torch

    try:
        todo = commands(words, torch.cuda.device_count())
    except ValueError as error:
        tell_fault("solution.finetune launch", error)
        return 2
    for command in todo:
        print(f"+ {shlex.join(command[1:])}", flush=True)
        code = subprocess.run(command).returncode
        if code:
            return code if code > 0 else SIGNALLED - code
    return 0
