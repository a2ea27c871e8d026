"""From nothing to a weight set that the driver loads: python -m solution.finetune --help

In:  a preset of a size, examples, time. Out: OUT/weights/ with its manifest entry; checkpoints beside it.
"""

import argparse
import os
import shlex
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

EXAMPLE = """\
examples:
  python -m solution.finetune --preset s --minutes 5
  python -m solution.finetune --preset s --minutes 60 --data re_arc/ --drop-scored --start-from runs/s/stable --out runs/s2
  python submission.py --weights runs/s/weights
Interrupted? The same command goes on exactly where the last checkpoint was. Every later slice starts from the last one's
OUT/stable: its weights from before the learning rates fell."""

HELP = {
    "resume": "start from this folder's weights, and go on with its optimizers and data where it holds a training state",
    "minutes": "length of the run",
    "tokens": "length of the run in tokens read (0: minutes count)",
    "steps": "end after so many steps in all, counted from the first run (0: no such end)",
    "decay": "share of the run in which the learning rates fall to zero",
    "warmup": "steps of learning-rate warm-up",
    "batch_tokens": "tokens in a batch, padding included",
    "micro_tokens": "tokens that a GPU takes at once",
    "max_len": "tokens of the longest sequence",
    "positions": "position scheme of a new model: grid or sequential",
    "input_weight": "loss weight of tokens that are not outputs to learn",
    "quantization_aware": "in the decay, compute with NF4-rounded matrices (straight-through gradients)",
    "tokens_before": "tokens that the starting weights were trained on, where no training state says so",
    "device": "cpu or cuda (default: cuda where there is one)",
    "threads": "parts of a batch computed at the same time on a CPU, one core each",
    "loaders": "processes that make batches ahead; 0: the training's own",
}
RECIPE_HELP = {
    "examples": "share of tasks drawn from --data",
    "generators": "share from our own generator families",
    "composer": "share from random programs",
    "geometric": "share of tasks with one of the paper's transformations on inputs, outputs or both",
}


def parser() -> argparse.ArgumentParser:
    from .mixture import Recipe
    from .presets import PRESETS
    from .train import Settings

    arguments = argparse.ArgumentParser(
        prog="python -m solution.finetune", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a Llama on ARC-like tasks, quantize it, check it, score it, and write its manifest entry.",
    )  # fmt: skip
    add = arguments.add_argument
    add(
        "--preset",
        choices=PRESETS,
        default="s",
        help="size and hyperparameters; the options below change single ones (%(default)s)",
    )
    add("--out", help="folder of the run (default: runs/PRESET): log.jsonl, latest/, stable/, final/, weights/, score/")
    add("--fresh", action="store_true", help="put an earlier run in that folder aside and start anew")
    add("--name", help="name of the weight set (default: arc-llama-PRESET)")
    add("--score", metavar="TIME", default="2m", help="time for the public evaluation set at the end; 'no': none (%(default)s)")
    add("--start-from", metavar="FOLDER", dest="resume", help=HELP["resume"])
    data = arguments.add_argument_group("data")
    data.add_argument("--data", nargs="+", metavar="SOURCE", help=".npz files, Re-ARC folders, or names of public sets such as "
                      "arc-agi-1/training (the default); pairs that are scored on are refused")  # fmt: skip
    data.add_argument("--drop-scored", action="store_true", help="leave out what is scored on (public evaluation, held-out "
                      "training tasks) instead of refusing the data")  # fmt: skip
    for name, text in RECIPE_HELP.items():
        data.add_argument(f"--{name}", type=float, default=getattr(Recipe, name), help=f"{text} (%(default)s)")
    training = arguments.add_argument_group("training (defaults: the preset's)")
    for field in fields(Settings):
        if field.name in ("out", "resume"):
            continue
        flag, text = "--" + field.name.replace("_", "-"), HELP.get(field.name)
        if isinstance(field.default, bool):
            training.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
        else:
            training.add_argument(flag, type=type(field.default), help=text)
    return arguments


def main() -> int:
    options = parser().parse_args()
    import torch

    from ..arc.load import InputError
    from ..models.manifest import WeightsError
    from .mixture import Recipe
    from .presets import PRESETS
    from .train import Settings

    given = {f.name: getattr(options, f.name) for f in fields(Settings) if getattr(options, f.name) is not None}
    settings = replace(PRESETS[options.preset], device="cuda" if torch.cuda.is_available() else "cpu")
    settings = replace(settings, **given)
    recipe = Recipe(tuple(options.data or Recipe.data), *(getattr(options, name) for name in RECIPE_HELP),
                    drop_scored=options.drop_scored or not options.data)  # fmt: skip
    try:
        train_and_publish(settings, recipe, options)
    except (InputError, WeightsError, ValueError, OSError) as error:
        print(f"solution.finetune: {error}", file=sys.stderr)
        return 2
    return 0


def train_and_publish(settings, recipe, options: argparse.Namespace) -> None:
    """Train, or go on training, until OUT/final is there; then publish it."""
    import torch

    from .publish import hardware, publish
    from .train import is_finished, read_counters, train

    out = Path(settings.out)
    if options.fresh and out.exists():
        aside = next(p for k in range(1, 10**6) if not (p := out.with_name(f"{out.name}.{k}")).exists())
        out.rename(aside)
        print(f"the earlier run is now {aside}")
    if not is_finished(out):
        if (out / "latest").is_dir():
            settings = replace(settings, resume=str(out / "latest"))
            print(f"going on from {settings.resume}")
        print(f"recipe: {asdict(recipe)}\nsettings: {asdict(settings)}", flush=True)
        train(settings, recipe.build)
    counters = read_counters(out / "final")
    training = {
        "data": recipe.build().describe(),
        "recipe": asdict(recipe),
        "tokens": counters["tokens"],
        "minutes": round(counters["minutes"], 1),
        "hardware": hardware(torch.device(settings.device)),
        "started_from": options.resume,
        "command": f"python -m solution.finetune {shlex.join(sys.argv[1:])}",
        "last_log_line": (out / "log.jsonl").read_text().splitlines()[-1] if (out / "log.jsonl").exists() else None,
    }
    folder = publish(
        out, options.name or f"arc-llama-{options.preset}", "", settings.positions, training, torch.device(settings.device),
        settings.max_len, None if options.score == "no" else options.score,
    )  # fmt: skip
    print(f"weights and entry: {folder}\npython submission.py --weights {folder}")


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
