"""Command line of the training: python -m solution.finetune --help"""

import argparse
import json
import os
import time
from dataclasses import asdict, fields

EXAMPLE = """example, an hour on from an earlier run's weights, the last fifth quantisation-aware:
  python -m solution.finetune --data rearc_a.npz rearc_b.npz --resume runs/a/stable --out runs/b --minutes 60 --quantization-aware
Interrupted? Give the same --out and --resume runs/b/latest: data, optimizers and clock go on where they were."""

HELP = {
    "out": "folder to write: latest/ (every few minutes), stable/ (before the decay), final/, log.jsonl",
    "resume": "folder of weights to start from; with a training state in it, go on exactly",
    "minutes": "length of the run",
    "steps": "end after so many steps in all, counted from the first run (0: no such end)",
    "decay": "share of the minutes in which the learning rates fall to zero",
    "warmup": "steps of learning-rate warm-up",
    "batch_tokens": "tokens in a batch, padding included",
    "max_len": "tokens of the longest sequence",
    "input_weight": "loss weight of tokens that are not outputs to learn",
    "quantization_aware": "in the decay, compute with NF4-rounded matrices (straight-through gradients)",
    "tokens_before": "tokens that the resumed weights were trained on, where no training state says so",
    "device": "cpu or cuda",
    "threads": "parts of a batch computed at the same time, one core each; 1 on a GPU",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m solution.finetune", description="Train a small Llama on packed Re-ARC examples.",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    from .train import Settings, train

    parser.add_argument("--data", nargs="+", required=True, metavar="NPZ", help="files of verified examples")
    for field in fields(Settings):
        flag, text = "--" + field.name.replace("_", "-"), HELP.get(field.name, "") + " (default %(default)s)"
        if field.type in (bool, "bool"):
            parser.add_argument(flag, action="store_true", help=HELP[field.name])
        elif field.name == "out":
            parser.add_argument(flag, required=True, help=HELP[field.name])
        else:
            kind = type(field.default) if field.default is not None else str
            parser.add_argument(flag, type=kind, default=field.default, help=text.strip())
    arguments = vars(parser.parse_args())
    paths = arguments.pop("data")
    settings = Settings(**arguments)
    print(json.dumps(asdict(settings)), flush=True)
    from .data import read_examples

    begin = time.monotonic()
    families = read_examples(paths)
    print(f"{sum(len(f.pairs) for f in families)} examples read in {time.monotonic() - begin:.1f} s", flush=True)
    train(settings, families)


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
