"""What a device can do, in one command: python -m solution.bench --help

In:  minutes, a device, optionally a pack of training pairs. Out: OUT/STAGE.json and .txt of every stage as it ends,
OUT/summary.txt, weights trained on the way in OUT/weights; exit code 0 if the frame ended, whatever came of the stages.
"""

import time

BEGIN = time.monotonic()

import argparse  # noqa: E402
import json  # noqa: E402
import re  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from ..command import CommandError, Parser, duration, hold_streams, tell_fault  # noqa: E402
from ..driver.clock import format_seconds  # noqa: E402
from .context import Context  # noqa: E402
from .files import WEIGHTS, Outcome, keep, summary, write_whole  # noqa: E402
from .frame import GRACE, LEAST, SETUP, SHARES, run_boxed, run_stage, skipped, time_box, train_box  # noqa: E402

DESCRIPTION = """\
How fast this machine's device is, and whether it computes what it should: ceilings (matrix products, copies, launches), proof
(the embedded weights on the device against the plain path on the CPU), train (small Llamas for some minutes), score (the
public evaluation tasks with them), speed (of the driver's jobs), profile (where the slowest one's time goes)."""
EXAMPLE = """\
examples:
  python -m solution.bench                                               # 13 minutes on the device that is here
  python -m solution.bench --minutes 5 --toy --device cpu                # the machinery, on a CPU
  python -m solution.bench --minutes 9.5 --pack pack.npz --stages ceilings,proof,train --train s=90s,m=5m --keep $OUT
  python -m solution.bench --minutes 4 --pack pack.npz --stages score,speed,profile --weights bench/weights/m

Stages share the time by fixed shares, what one leaves over goes to the later ones; --train takes what it says, and about
three quarters of a minute a preset for imports, reading the pack and checkpoints."""
KEEP_EVERY = 15.0
EMBEDDED = "arc-llama-s"


def parser() -> argparse.ArgumentParser:
    arguments = Parser(prog="python -m solution.bench", description=DESCRIPTION, epilog=EXAMPLE,
                       formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    add = arguments.add_argument
    add("--minutes", metavar="N", type=float, default=13.0, help="length of it all (%(default)s)")
    add("--out", type=Path, default=Path("bench"), help="folder of the results (%(default)s/)")
    add("--pack", type=Path, metavar="FILE", help="pack of training pairs; without it trainings read their data from sources")
    add("--train", type=parse_train, default=(), metavar="P=TIME,...", help="presets of solution.finetune and how long to train "
        "each (s; on a GPU then m)")  # fmt: skip
    add("--stages", default=",".join(SHARES), metavar="A,B,...", help="which, in this order (%(default)s)")
    add("--device", default="auto", help="cuda, cuda:N or cpu (the GPU where there is one)")
    add("--weights", nargs="+", type=Path, default=[], metavar="FOLDER", help="weights to score and time, best first (those "
        "trained in this folder, else the embedded ones)")  # fmt: skip
    add("--keep", type=Path, metavar="FOLDER", help="copy there, while it runs, what has to travel, in as few files as can be: "
        "the shards of trained weights, all else in one archive")  # fmt: skip
    add("--toy", action="store_true", help="tiny sizes everywhere")
    add("--only", help=argparse.SUPPRESS)  # the process of one stage
    add("--seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    return arguments


def parse_train(text: str) -> tuple[tuple[str, float], ...]:
    """ "s=2m,m=6m" -> presets and seconds."""
    found = []
    for part in filter(None, text.split(",")):
        preset, equals, length = part.partition("=")
        if not preset or not equals:
            raise argparse.ArgumentTypeError(f"{part!r} is not PRESET=TIME")
        found.append((preset, duration(length)))
    return tuple(found)


def main(arguments: list[str] | None = None, begin: float | None = None) -> int:
    """`begin`: when the process started, on the monotonic clock (now)."""
    begin = time.monotonic() if begin is None else begin
    hold_streams()
    try:
        options = parser().parse_args(arguments)
    except CommandError as error:
        tell_fault("solution.bench", error)
        return 2
    if options.only:
        return only(options, begin)
    stages = [name for name in options.stages.split(",") if name]
    total, trains = 60 * options.minutes, options.train if "train" in options.stages.split(",") else ()
    modules = [module_of(name) for name in stages]
    if fault := wrong(options):
        tell_fault("solution.bench", fault)
        return 2
    if not stages or None in modules:
        tell_fault("solution.bench", f"--stages: {options.stages!r} are not some of {', '.join(SHARES)}")
        return 2
    if train_box(trains) > total - GRACE:
        print(f"solution.bench: --train takes {format_seconds(train_box(trains))} with {SETUP:.0f} s around each, --minutes "
              f"gives {format_seconds(max(0.0, total))}", file=sys.stderr)  # fmt: skip
        return 2
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        tell_fault("solution.bench", f"{options.out}: {error.strerror}")
        return 2
    run_stages(options, stages, begin, total)
    return 0


def wrong(options: argparse.Namespace) -> str | None:
    """What is wrong with the options, found before any time is spent; a preset's name is found out by its training."""
    if not 0 < options.minutes < float("inf"):
        return f"--minutes must be positive, not {options.minutes}"
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", options.device):
        return f"--device must be auto, cpu, cuda or cuda:N, not {options.device}"
    if options.pack and not options.pack.is_file():
        return f"--pack: there is no file {options.pack}"
    missing = [folder for folder in options.weights if not (folder / "config.json").is_file()]
    return f"--weights: {missing[0]} holds no config.json" if missing else None


def run_stages(options: argparse.Namespace, stages: list[str], begin: float, total: float) -> None:
    """All stages in turn; summary and kept copies are up to date after each."""
    outcomes: list[Outcome] = []
    kept = [time.monotonic()]
    shown = [name.rpartition(".")[2] for name in stages]

    def title() -> str:
        return (f"python -m solution.bench: {format_seconds(time.monotonic() - begin)} of {format_seconds(total)}, "
                f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {len(outcomes)} of {len(stages)} stages")  # fmt: skip

    def keep_now() -> None:
        if options.keep:
            try:
                keep(options.out, options.keep)
            except OSError as error:
                print(f"--keep {options.keep}: {error}", file=sys.stderr, flush=True)
            kept[0] = time.monotonic()

    def between() -> None:
        if time.monotonic() - kept[0] > KEEP_EVERY:
            keep_now()

    for index, (name, stage) in enumerate(zip(stages, shown)):
        left = total - GRACE - (time.monotonic() - begin)
        box = time_box(stage, shown[index + 1 :], left, options.train)
        if box < LEAST:
            outcomes.append(skipped(stage, box, options.out))
        else:
            print(f"{stage}: {box:.0f} s ...", flush=True)
            outcomes.append(run_boxed(stage, box, stage_command(options, name, box), options.out, between))
        print("\n".join([outcomes[-1].headline, *outcomes[-1].result.lines]), flush=True)
        write_whole(options.out / "summary.txt", summary(outcomes, title()))
        keep_now()
    print("\n" + (options.out / "summary.txt").read_text(), flush=True)


def stage_command(options: argparse.Namespace, stage: str, box: float) -> list[str]:
    """The command of a stage's own process."""
    command = [sys.executable, "-m", "solution.bench", "--only", stage, "--seconds", f"{box:.3f}", "--out", str(options.out)]
    command += ["--device", options.device, *(["--toy"] if options.toy else [])]
    command += ["--pack", str(options.pack)] if options.pack else []
    command += ["--train", ",".join(f"{preset}={seconds:g}s" for preset, seconds in options.train)] if options.train else []
    return [*command, "--weights", *map(str, options.weights or trained(options.out) or [embedded()])]


def module_of(stage: str) -> str | None:
    """The module of a stage: one of this package, or any by its dotted name."""
    return f"{__package__}.{stage}" if stage in SHARES else stage if "." in stage else None


def only(options: argparse.Namespace, begin: float) -> int:
    """The process of one stage."""
    stage = options.only.rpartition(".")[2]
    device = choose_device(options.device)
    seconds = options.seconds - (time.monotonic() - begin)
    context = Context(options.out, device, seconds, options.toy, options.pack, options.train, tuple(options.weights))
    return run_stage(stage, module_of(options.only), context, options.seconds, begin)


def choose_device(text: str) -> str:
    """ "cuda:0" or "cpu"."""
    if text == "auto":
        import torch

        text = "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda:0" if text == "cuda" else text


def trained(out: Path) -> list[Path]:
    """Folders of weights that were trained in this folder, the lowest last loss first."""
    found = []
    for config in (out / WEIGHTS).glob("*/config.json"):
        try:
            last = (out / config.parent.name / "log.jsonl").read_text().splitlines()[-1]
            loss = float(json.loads(last)["output_loss"])
        except (OSError, ValueError, KeyError, IndexError):
            loss = float("inf")
        found.append((loss, config.parent))
    return [folder for _, folder in sorted(found)]


def embedded() -> Path:
    """The folder of the embedded weights."""
    from ..models.manifest import find_weights

    return find_weights(EMBEDDED).folder


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a stage's processes are killed first
    sys.exit(main(begin=BEGIN))
