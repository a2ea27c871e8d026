"""From nothing to a weight set that the driver loads: python -m solution.finetune --help

In:  a preset of a size, examples, time. Out: OUT/weights/ with its manifest entry; checkpoints beside it.
Several GPUs, pre-trained bases: accelerate launch -m solution.finetune --preset smollm2
"""

import argparse
import json
import os
import shlex
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

EXAMPLE = """\
examples:
  python -m solution.finetune --preset s --minutes 5
  python -m solution.finetune --preset s --minutes 60 --data re_arc/ --drop-scored --start-from runs/s/stable --out runs/s2
  python -m solution.finetune --preset smollm2 --minutes 60 --data re_arc/ --drop-scored
  python submission.py --weights runs/s/weights
Interrupted? The same command goes on exactly where the last checkpoint was. Every later slice of s and m starts from the
last one's OUT/stable: its weights from before the learning rates fell."""

HELP = {
    "minutes": "length of the run",
    "tokens": "length of the run in tokens read (0: minutes count)",
    "steps": "optimizer steps at most, counted from the first run on",
    "decay": "share of the run in which the learning rates fall to zero",
    "warmup": "steps of learning-rate warm-up",
    "batch_tokens": "tokens in a batch, padding included",
    "micro_tokens": "tokens that a GPU takes at once",
    "max_len": "tokens of the longest sequence",
    "positions": "position scheme: grid or sequential",
    "input_weight": "loss weight of tokens that are not outputs to learn",
    "quantization_aware": "in the decay, compute with NF4-rounded matrices (straight-through gradients)",
    "tokens_before": "tokens that the starting weights were trained on, where no training state says so",
    "device": "cpu or cuda (default: cuda where there is one)",
    "threads": "parts of a batch computed at the same time on a CPU, one core each",
    "loaders": "processes that make batches ahead; 0: the training's own",
    "base": "pre-trained Llama: smollm2, a folder of safetensors, or a .gguf file",
    "backend": "auto, transformers or unsloth",
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
    from .settings import Settings
    from .sft import SftSettings

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
    add("--out", help="folder of the run (runs/PRESET): log.jsonl, checkpoints, final/, weights/, score/")
    add("--fresh", action="store_true", help="put an earlier run in that folder aside and start anew")
    add("--name", help="name of the weight set (arc-llama-PRESET)")
    add("--score", metavar="TIME", default="2m", help="time for the public evaluation set at the end; 'no': none (%(default)s)")
    add("--start-from", metavar="FOLDER", dest="resume", help="weights to start from (s, m); where the folder holds a "
        "training state, its optimizers and data go on too")  # fmt: skip
    data = arguments.add_argument_group("data")
    data.add_argument("--data", nargs="+", metavar="SOURCE", help=".npz files, Re-ARC folders, or names of public sets such as "
                      "arc-agi-1/training (the default); pairs that are scored on are refused")  # fmt: skip
    data.add_argument("--drop-scored", action="store_true", help="leave out what is scored on (public evaluation, held-out "
                      "training tasks) instead of refusing the data")  # fmt: skip
    for name, text in RECIPE_HELP.items():
        data.add_argument(f"--{name}", type=float, default=getattr(Recipe, name), help=f"{text} (%(default)s)")
    for title, kind, others in (
        ("training (defaults: the preset's)", Settings, ()),
        ("training of pre-trained bases alone", SftSettings, fields(Settings)),
    ):
        group = arguments.add_argument_group(title)
        known = {"out", "resume", *(f.name for f in others)}
        for field in (f for f in fields(kind) if f.name not in known):
            flag, text = "--" + field.name.replace("_", "-"), HELP.get(field.name)
            if isinstance(field.default, bool):
                group.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
            else:
                group.add_argument(flag, type=type(field.default), help=text)
    return arguments


def chosen_settings(options: argparse.Namespace):
    """The preset with the options given. Raises `ValueError` for an option that this preset's training does not have."""
    import torch

    from .presets import PRESETS
    from .settings import Settings
    from .sft import SftSettings

    preset = PRESETS[options.preset]
    names = {f.name for kind in (Settings, SftSettings) for f in fields(kind)}
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    foreign = sorted(set(given) - {f.name for f in fields(preset)})
    if foreign:
        flag = {"resume": "start-from"}.get(foreign[0], foreign[0].replace("_", "-"))
        raise ValueError(f"--{flag} is not an option of --preset {options.preset}")
    return replace(preset, **{"device": "cuda" if torch.cuda.is_available() else "cpu"} | given)


def main() -> int:
    options = parser().parse_args()
    from ..arc.load import InputError
    from ..models.manifest import WeightsError
    from .mixture import Recipe

    recipe = Recipe(tuple(options.data or Recipe.data), *(getattr(options, name) for name in RECIPE_HELP),
                    drop_scored=options.drop_scored or not options.data)  # fmt: skip
    try:
        train_and_publish(chosen_settings(options), recipe, options)
    except (InputError, WeightsError, ValueError, OSError, ArithmeticError) as error:
        print(f"solution.finetune: {error}", file=sys.stderr)
        return 2
    return 0


def train_and_publish(settings, recipe, options: argparse.Namespace) -> None:
    """Train, or go on training, until OUT/final is there; then publish it."""
    from .sft import SftSettings

    out, first = Path(settings.out), os.environ.get("RANK", "0") == "0"  # under accelerate launch one process writes
    if options.fresh and out.exists() and first:
        aside = next(p for k in range(1, 10**6) if not (p := out.with_name(f"{out.name}.{k}")).exists())
        out.rename(aside)
        print(f"the earlier run is now {aside}")
    mixture = recipe.build()
    build = recipe.build if settings.loaders else lambda: mixture  # loader processes are sent the recipe
    if not is_finished(out, settings):
        if first:
            print(f"recipe: {asdict(recipe)}\nsettings: {asdict(settings)}", flush=True)
        if isinstance(settings, SftSettings):
            from .sft import fine_tune

            fine_tune(settings, build)
        else:
            from .train import train

            if (out / "latest").is_dir():
                settings = replace(settings, resume=str(out / "latest"))
                print(f"going on from {settings.resume}")
            train(settings, build)
    if first:
        publish_run(out, settings, recipe, mixture.describe(), options)


def is_finished(out: Path, settings) -> bool:
    """Whether the run trained to its end; one of a pre-trained base that its minutes ended goes on with the next call."""
    from .sft import SftSettings, last_checkpoint

    if not (out / "final").is_dir() or not isinstance(settings, SftSettings):
        return (out / "final").is_dir()
    checkpoint = last_checkpoint(out)
    return checkpoint is not None and int(checkpoint.name.partition("-")[2]) >= settings.steps


def publish_run(out: Path, settings, recipe, data: str, options: argparse.Namespace) -> None:
    """Quantize, check and score OUT/final, and describe it."""
    import torch

    from .publish import hardware, publish

    log = out / "log.jsonl"
    training = {
        "data": data,
        "recipe": asdict(recipe),
        "hardware": hardware(torch.device(settings.device)),
        "command": f"python -m solution.finetune {shlex.join(sys.argv[1:])}",
        "last_log_line": json.loads(log.read_text().splitlines()[-1]) if log.exists() else None,
    }
    folder = publish(
        out, options.name or f"arc-llama-{options.preset}", settings.positions, training, torch.device(settings.device),
        settings.max_len, None if options.score == "no" else options.score,
    )  # fmt: skip
    print(f"weights and entry: {folder}\npython submission.py --weights {folder}")


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
