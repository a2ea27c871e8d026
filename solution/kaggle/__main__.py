"""For Kaggle: python -m solution.kaggle --help

In:  a command line. Out: staged folders and the commands that upload them, notebooks, a wheelhouse; exit code 2 and one line for
what cannot be done.
"""

import argparse
import shlex
import sys
from pathlib import Path

from ..command import Parser, hold_streams, one_line, tell_fault

EXAMPLE = """examples:
  python -m solution.kaggle pack --user ada --out ../kaggle_upload
  python -m solution.kaggle pack --user ada --out ../kaggle_upload --weights runs/m/weights --submit "--preset paper --seed 1"
  python -m solution.kaggle pack --user ada --out ../kaggle_upload --machine l4x4 --finetune "--preset m --minutes 600"
  python -m solution.kaggle notebooks --check
  python -m solution.kaggle wheels --out wheelhouse"""


def words(text: str) -> list[str]:
    """The type of options in quotes."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be split: {error}") from None


def pack(options: argparse.Namespace) -> int:
    """Stage code, weights and kernels, and print the upload commands."""
    from .pack import Order
    from .pack import pack as stage

    order = Order(
        options.user, options.out, options.weights, options.finetuned, options.machine, options.competition,
        options.docker_image, options.submit, options.finetune,
    )  # fmt: skip
    print("\n".join(map(one_line, stage(order))))
    if not options.docker_image:
        print("# the image is not pinned: the wheels are tried on today's; --docker-image ID pins the one a finished run names")
    return 0


def notebooks(options: argparse.Namespace) -> int:
    """Write the notebooks of kernels/ from their source; with --check only compare."""
    from .notebooks import stale, write

    if not options.check:
        print("\n".join(map(str, write())))
        return 0
    wrong = stale()
    for path in wrong:
        print(f"{path}: not in step with its source: python -m solution.kaggle notebooks", file=sys.stderr)
    return 2 if wrong else 0


def wheels(options: argparse.Namespace) -> int:
    """Build the wheelhouse for the Python that runs this; on Kaggle the wheels kernel does."""
    from .wheels import NEEDED, build

    built = build(options.out, options.only or NEEDED)
    print(f"{len(built)} wheels, {sum(wheel.stat().st_size for wheel in built) / 2**20:.0f} MiB in {options.out}")
    return 0


def parser() -> argparse.ArgumentParser:
    from .metadata import MACHINES

    arguments = Parser(
        prog="python -m solution.kaggle", description="Stage the project for Kaggle, make its notebooks and wheels.",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = arguments.add_subparsers(required=True, metavar="pack|notebooks|wheels")
    one = commands.add_parser("pack", help=pack.__doc__, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter)
    one.add_argument("--user", required=True, metavar="NAME", help="your Kaggle user name")
    one.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="a new folder, or an earlier staging to replace")
    one.add_argument("--weights", metavar="NAME_OR_DIR", help="weights to submit with (the default of weights_manifest.json)")
    one.add_argument("--finetuned", action="store_true", help="submit with the weights that the finetune kernel leaves")
    one.add_argument("--machine", choices=MACHINES, default="t4x2", help="accelerator (%(default)s)")
    one.add_argument("--competition", metavar="SLUG", default="arc-prize-2026-arc-agi-2", help="(%(default)s)")
    one.add_argument("--docker-image", metavar="ID", help="the image to run on (Kaggle's latest)")
    one.add_argument("--submit", metavar="OPTIONS", type=words, default="", help="options for submission.py on Kaggle, in quotes")
    one.add_argument("--finetune", metavar="OPTIONS", type=words, default="--preset m",
                     help="options for solution.finetune (%(default)s)")  # fmt: skip
    one.set_defaults(do=pack)
    one = commands.add_parser("notebooks", help=notebooks.__doc__)
    one.add_argument("--check", action="store_true", help="exit code 2 where a notebook is not in step with its source")
    one.set_defaults(do=notebooks)
    one = commands.add_parser("wheels", help=wheels.__doc__)
    one.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder to fill")
    one.add_argument("--only", nargs="+", metavar="NAME", help="packages of requirements.txt (those a Kaggle run uses)")
    one.set_defaults(do=wheels)
    return arguments


def main() -> int:
    hold_streams()
    from ..models.manifest import WeightsError
    from .wheels import WheelsError

    try:
        options = parser().parse_args()
        return options.do(options)
    except (OSError, ValueError, WeightsError, WheelsError) as error:
        tell_fault("solution.kaggle", error)
        return 2


if __name__ == "__main__":
    sys.exit(main())
