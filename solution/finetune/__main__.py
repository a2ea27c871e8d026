"""From nothing to a weight set that the driver loads: python -m solution.finetune --help

In:  a preset of a size, examples, time. Out: OUT/weights/ with its manifest entry; checkpoints beside it.
Several GPUs: `launch` (see `launch.py`), or accelerate launch for pre-trained bases.
"""

import argparse
import json
import math
import os
import re
import sys
from dataclasses import asdict, fields, replace
from importlib import import_module
from pathlib import Path

from ..command import CommandError, Parser, duration, hold_streams, number, tell_fault, whole

EXAMPLE = """\
examples:
  python -m solution.finetune --preset s --minutes 5
  python -m solution.finetune --preset s --minutes 60 --data re_arc/ --drop-scored --start-from runs/s/stable --out runs/s2
  python -m solution.finetune --preset smollm2 --minutes 60 --data re_arc/ --drop-scored
  python -m solution.finetune pack-data --out pack.npz --data re_arc/ --drop-scored       # once; see pack-data --help
  python -m solution.finetune --preset m --minutes 10 --pack pack.npz
  python -m solution.finetune launch --preset m --minutes 10 --data re_arc/ --drop-scored    # packs, then a process a GPU
  python submission.py --weights runs/s/weights
Interrupted? The same command goes on exactly where the last checkpoint was. Every later slice of s and m starts from the
last one's OUT/stable: its weights from before the learning rates fell."""

HELP = {
    "hidden": "width of a new model, a multiple of 64",
    "layers": "decoder layers of a new model",
    "intermediate": "feed-forward width of a new model; best a multiple of 64",
    "minutes": "length of the run; for pre-trained bases: stop and save then, the next call goes on (0: no limit)",
    "tokens": "length of the run in tokens read (0: minutes count)",
    "steps": "s, m: optimizer steps at most, counted from the first run on (0: no limit); pre-trained: length of the run",
    "muon_lr": "learning rate of the matrices",
    "adam_lr": "learning rate of everything else",
    "weight_decay": "weight decay",
    "checkpoint_minutes": "minutes between checkpoints",
    "log_steps": "steps between lines of the log",
    "seed": "random seed of weights and data",
    "learning_rate": "peak learning rate",
    "schedule": "cosine or linear, after the warm-up",
    "batch_size": "sequences that a process takes at once",
    "accumulate": "batches of them a step",
    "gradient_checkpointing": "compute activations twice instead of keeping them",
    "save_steps": "steps between checkpoints",
    "decay": "share of the run in which the learning rates fall to zero",
    "warmup": "steps of learning-rate warm-up",
    "batch_tokens": "tokens in a batch, padding included",
    "micro_tokens": "tokens that a GPU takes at once (0: by its memory)",
    "max_len": "tokens of the longest sequence",
    "positions": "position scheme: grid or sequential",
    "input_weight": "loss weight of tokens that are not outputs to learn",
    "quantization_aware": "in the decay, compute with NF4-rounded matrices (straight-through gradients)",
    "tokens_before": "tokens that the starting weights were trained on, where no training state says so",
    "device": "cpu or cuda (default: cuda where there is one)",
    "threads": "parts of a batch computed at the same time on a CPU, one core each",
    "loaders": "processes that make batches ahead; 0: the training's own",
    "compile": "compile the layers on a GPU (with --pack)",
    "base": "pre-trained Llama: smollm2, a folder of safetensors, or a .gguf file",
    "backend": "auto, transformers or unsloth",
}
MAY_CHANGE = {
    "out", "device", "backend", "threads", "loaders", "micro_tokens", "checkpoint_minutes", "save_steps", "log_steps", "pack",
    "compile",
}  # fmt: skip
"""Settings in which a later call may differ from the one that began the run: the others say what is computed."""
OTHERS = {"pack-data": ".pack_data", "launch": ".launch", "likeness": ".likeness"}
"""Further commands of this package and their modules."""
CHOICES = {"schedule": ("cosine", "linear"), "positions": ("grid", "sequential"), "backend": ("auto", "transformers", "unsloth")}
"""Settings of a few named values."""
RECIPE_HELP = {
    "examples": "share of tasks out of --data's examples",
    "real": "share out of the public sets in --data",
    "generators": "share out of our own generator families",
    "composer": "share out of random programs",
    "transformed": "share of examples with one of the paper's transformations on inputs, outputs or both",
}


def score_time(text: str) -> str:
    """The type of --score: the text as it is."""
    if text != "no":
        duration(text)
    return text


def parser() -> argparse.ArgumentParser:
    from .mixture import Recipe
    from .presets import PRESETS
    from .settings import Settings
    from .sft import SftSettings

    arguments = Parser(
        prog="python -m solution.finetune", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a Llama on ARC-like tasks, quantize it, check it, score it, write its manifest entry. A run prints "
        "every setting it has, the preset's and those given.",
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
    add("--train-only", action="store_true", help="stop once OUT/final is there: no quantization, no check, no entry")
    add("--score", metavar="TIME", type=score_time, default="2m", help="time for the public evaluation set at the end; "
        "'no': none (%(default)s)")  # fmt: skip
    add("--start-from", metavar="FOLDER", help="weights to start from (s, m); where the folder holds a "
        "training state, its optimizers go on too, and its data unless --seed is another")  # fmt: skip
    data = arguments.add_argument_group("data")
    data.add_argument("--data", nargs="+", metavar="SOURCE", help=".npz files, files or folders of examples (Re-ARC) or tasks, "
                      "or public sets such as arc-agi-1/training (the default); scored pairs are refused")  # fmt: skip
    data.add_argument("--pack", metavar="FILE", help="a file of pack-data, instead of --data; the shares below hold")
    data.add_argument("--drop-scored", action="store_true", help="leave out what is scored on (public evaluation, held-out "
                      "training tasks) instead of refusing the data")  # fmt: skip
    for name, text in RECIPE_HELP.items():
        data.add_argument(f"--{name}", type=number(), default=getattr(Recipe, name), help=f"{text} (%(default)s)")
    for title, kind, others in (
        ("training (defaults: the preset's)", Settings, ()),
        ("training of pre-trained bases alone", SftSettings, fields(Settings)),
    ):
        group = arguments.add_argument_group(title)
        known = {"out", "start_from", "pack", *(f.name for f in others)}
        for field in (f for f in fields(kind) if f.name not in known):
            flag, text = "--" + field.name.replace("_", "-"), HELP.get(field.name)
            if isinstance(field.default, bool):
                group.add_argument(flag, action=argparse.BooleanOptionalAction, help=text)
            else:
                # ranges are what the settings say, of minutes too
                kind_of = {int: whole(), float: number(-math.inf if field.name == "minutes" else 0)}.get(type(field.default), str)
                group.add_argument(flag, type=kind_of, choices=CHOICES.get(field.name), help=text)
    return arguments


def chosen_settings(options: argparse.Namespace):
    """The preset with the options given. Raises `ValueError` for an option that this preset's training does not have, and for
    values that cannot be."""
    import torch

    from .presets import ON_A_CARD, PRESETS
    from .settings import Settings
    from .sft import SftSettings

    preset = PRESETS[options.preset]
    names = {f.name for kind in (Settings, SftSettings) for f in fields(kind)}
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    foreign = sorted(set(given) - {f.name for f in fields(preset)})
    if foreign:
        raise ValueError(f"--{foreign[0].replace('_', '-')} is not an option of --preset {options.preset}")
    if options.pack and (options.data or options.drop_scored):
        raise ValueError("--pack holds its data, checked: --data and --drop-scored are for pack-data")
    if options.device and not re.fullmatch(r"cpu|cuda(:\d+)?", options.device):
        raise ValueError(f"--device must be cpu, cuda or cuda:N, not {options.device}")
    device = given.get("device", "cuda" if torch.cuda.is_available() else "cpu")
    on_a_card = {} if device == "cpu" else ON_A_CARD.get(options.preset, {})
    settings = replace(preset, **{"device": device} | on_a_card | given)
    if settings.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("--device cuda: there is no CUDA device here")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and (options.fresh or isinstance(preset, Settings) and not settings.pack):
        raise ValueError("several processes train from a pack (--pack; see pack-data --help), and without --fresh")
    return settings


def main() -> int:
    hold_streams()
    other = OTHERS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if other:
        return import_module(other, __package__).main(sys.argv[2:])
    try:
        options = parser().parse_args()
    except CommandError as error:
        tell_fault("solution.finetune", error)
        return 2
    import torch

    from ..arc.load import InputError
    from ..models.manifest import WeightsError

    try:
        train_and_publish(chosen_settings(options), recipe_of(options), options)
    except (InputError, WeightsError, ValueError, OSError, ArithmeticError) as error:
        tell_fault("solution.finetune", error)
        return 2
    except torch.OutOfMemoryError as error:
        print(f"solution.finetune: {str(error).splitlines()[0]}; --micro-tokens takes fewer tokens at once", file=sys.stderr)
        return 2
    return 0


def recipe_of(options: argparse.Namespace):
    """What to train on, as the options say."""
    from .mixture import Recipe

    return Recipe(tuple(options.data or Recipe.data), *(getattr(options, name) for name in RECIPE_HELP),
                  drop_scored=options.drop_scored or not options.data)  # fmt: skip


def put_aside(out: Path) -> None:
    """Give an earlier run in that folder another name."""
    if out.exists():
        aside = next(p for k in range(1, 10**6) if not (p := out.with_name(f"{out.name}.{k}")).exists())
        out.rename(aside)
        print(f"the earlier run is now {aside}")


def train_and_publish(settings, recipe, options: argparse.Namespace) -> None:
    """Train, or go on training, until OUT/final is there; then publish it."""
    from ..codec.arc16 import Arc16
    from .check import held_out_prompts
    from .sft import SftSettings

    out, first = Path(settings.out), os.environ.get("RANK", "0") == "0"  # under accelerate launch one process writes
    if options.fresh:
        put_aside(out)
    if not options.train_only:
        held_out_prompts(Arc16(settings.positions), settings.max_len)  # what the end needs fails at the beginning
    pack = None
    if getattr(settings, "pack", None):
        pack = read_pack(Path(settings.pack))
        build, described = None, pack_recipe(pack, recipe)
    else:
        mixture = recipe.build()
        build = recipe.build if settings.loaders else lambda: mixture  # loader processes are sent the recipe
        described = asdict(recipe) | {"mixture": mixture.describe()}
    finished = is_finished(out, settings)
    command = same_run(out, settings, described, finished, first)
    if not finished:
        if first:
            print(f"recipe: {described}\nsettings: {asdict(settings)}", flush=True)
        if isinstance(settings, SftSettings):
            from .sft import fine_tune

            fine_tune(settings, build)
        else:
            from .train import train

            train(settings, build, described, pack)
    if first and not options.train_only:
        publish_run(out, settings, described, command, options)


def read_pack(path: Path):
    """A pack to train from. Raises `InputError`; also for one that was made while other tasks were held out."""
    from ..arc.load import InputError
    from .pack import Pack, held_out_digest

    pack = Pack.read(path)
    if pack.recipe.get("held_out") != held_out_digest():
        raise InputError(f"{path}: packed while other training tasks were held out: pack again (pack-data)")
    return pack


def pack_recipe(pack, recipe) -> dict:
    """What a run out of a pack is trained on, for the record and for `train`. Raises `ValueError`."""
    from .draws import Sampling

    return {"pack": pack.recipe, "digest": pack.digest, "sources": pack.describe(), "sampling": asdict(Sampling(recipe.shares))}


def same_run(out: Path, settings, recipe: dict, finished: bool, first: bool) -> str:
    """Note settings, recipe and command of a new run in OUT/run.json; the command that the run was begun with.

    Raises `ValueError` where the folder holds a run of other settings or data: what is computed must not change midway, nor
    what is said of it afterwards.
    """
    from .throughput import command_line

    path = out / "run.json"
    begun = finished or any((out / name).exists() for name in ("latest", "stable")) or any(out.glob("checkpoint-*"))
    now = json.loads(json.dumps({**asdict(settings), "recipe": recipe}))
    if path.exists() and begun:
        then = json.loads(path.read_text())
        free = MAY_CHANGE if finished else MAY_CHANGE | {"minutes", "tokens", "steps"}
        changed = [name for name in now if now[name] != then["settings"].get(name) and name not in free]
        if changed:
            name = changed[0]
            raise ValueError(f"{out}: holds {'a finished' if finished else 'another'} run, with {name} "
                             f"{then['settings'].get(name)!r}, not {now[name]!r}: give another --out, or --fresh")  # fmt: skip
        return then["command"]
    command = command_line()
    if first:
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"command": command, "settings": now}, indent=1) + "\n")
    return command


def is_finished(out: Path, settings) -> bool:
    """Whether the run trained to its end; one of a pre-trained base that its minutes ended goes on with the next call."""
    from .folders import recover
    from .sft import SftSettings, last_checkpoint

    if os.environ.get("RANK", "0") == "0":
        recover(out / "final")
    if not (out / "final").is_dir() or not isinstance(settings, SftSettings):
        return (out / "final").is_dir()
    checkpoint = last_checkpoint(out)
    return checkpoint is not None and int(checkpoint.name.partition("-")[2]) >= settings.steps


def publish_run(out: Path, settings, recipe: dict, command: str, options: argparse.Namespace) -> None:
    """Quantize, check and score OUT/final, and describe it."""
    import torch

    from .publish import publish
    from .throughput import hardware

    log = out / "log.jsonl"
    training = {
        "recipe": recipe,
        "hardware": hardware(torch.device(settings.device)),
        "command": command,
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
