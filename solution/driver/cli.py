"""The command line of `submission.py`: where it runs decides what no option says.

In:  arguments and environment. Out: an exit code; faults of the input as one line on stderr, exit code 2.
Everything that can be refused is, before the first byte goes to --output: what needs no torch at once. A file that is not there
yet is written then, before torch is imported; one that is there only once the run has begun (`output`, `setup`). On Kaggle the
placeholders come first of all, for nobody can answer an error there. Not here: loading (`setup`), the run itself (`run`).
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..arc.load import Challenges, InputError
from ..arc.sources import Input, read_input, solutions_beside
from ..arc.submission import OutputError
from ..command import CommandError, Parser, duration, hold_streams, one_line, seed, tell_fault, whole
from ..models.manifest import WeightsError, WeightSet, default_weights, find_weights
from ..overrides import OverrideError, overridden
from ..preset import PRESETS, Preset
from ..program.settings import VOCABULARY, ProgramConfig, WrittenConfig
from ..program.written.author import AuthorError, find_author
from .clock import SESSION_LEAVES, Clock, format_seconds
from .device_names import device, devices
from .output import Claim, check_output

KAGGLE_INPUT, KAGGLE_WORKING = Path("/kaggle/input"), Path("/kaggle/working")
DESCRIPTION = """\
Solve ARC tasks within a time budget and write a Kaggle submission.

With no option: on Kaggle, the competition's test tasks, every GPU, 11h30m. Elsewhere, the 400 public evaluation tasks
of ARC-AGI-1, the embedded weights, 15 minutes, and the score at the end. A run that was interrupted goes on where it was."""
EXAMPLE = """\
example:
  python submission.py --input tasks/ --solutions tasks/solutions.json --budget 2h --devices cuda:0,cuda:1"""


SOLVERS = ("ttt", "program", "written")
QUICK_BYTES = 256 * 2**20
"""Weights of so many bytes are hashed before anything is loaded; larger ones while they are loaded, which takes as long."""
SETTLING = 2.0
"""Seconds that must be left for devices to be looked at before an earlier file is replaced."""
PROGRAM = "submission.py"


def solvers(text: str) -> str:
    """The type of --solvers."""
    unknown = [name for name in text.split(",") if name not in SOLVERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{text!r} is not of {','.join(SOLVERS)} ({unknown[0]!r})")
    return text


def task_ids(text: str) -> list[str]:
    """The type of --tasks."""
    names = text.split(",")
    if "" in names:
        raise argparse.ArgumentTypeError(f"{text!r} has an empty entry")
    repeated = [name for index, name in enumerate(names) if name in names[:index]]
    if repeated:
        raise argparse.ArgumentTypeError(f"{repeated[0]!r} is there twice")
    return names


def parser() -> argparse.ArgumentParser:
    on_kaggle = KAGGLE_WORKING.is_dir()
    arguments = Parser(
        prog=PROGRAM, description=DESCRIPTION, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = arguments.add_argument
    add("--input", metavar="PATH", help="challenges or task file, a folder of either, or a public set: arc-agi-2/evaluation")
    add("--solutions", metavar="PATH", help="score against this file, folder or public set at the end")
    output = KAGGLE_WORKING / "submission.json" if on_kaggle else Path("submission.json")
    add("--output", metavar="PATH", type=Path, default=output, help="submission file (%(default)s)")
    budget = "11h30m" if on_kaggle else "15m"
    add("--budget", metavar="TIME", type=duration, default=budget, help="wall clock from process start (%(default)s)")
    add("--weights", metavar="NAME_OR_DIR", help="an entry of weights_manifest.json, or a folder with its own entry")
    add("--allow-unpinned", action="store_true", help="use weights whose sha256 the manifest does not know")
    add("--preset", choices=PRESETS, help="a named set of every hyperparameter (the weights' own, else default)")
    add("--set", metavar="FIELD=VALUE", nargs="+", action="extend", default=[], help="change fields of the preset, such as "
        "train.steps=64 first_views=16")  # fmt: skip
    add("--solvers", metavar="A,...", type=solvers, help="of ttt,program,written: test-time training, program search, programs "
        "by --author (the first two)")  # fmt: skip
    add("--author", metavar="PATH", help="a Llama that writes Python, folder or .gguf, used unpinned; 'vocabulary': a stand-in")
    add("--author-device", metavar="NAME", type=device, default="cpu", help="where it is loaded; its memory is in no plan "
        "(%(default)s)")  # fmt: skip
    add("--author-samples", metavar="N", type=whole(1), default=64, help="programs that it writes a task (%(default)s)")
    add("--devices", metavar="A,...", type=devices, default="auto", help="auto, cpu, cpu:2 (two workers), cuda:0,cuda:1 "
        "(%(default)s)")  # fmt: skip
    add("--backend", choices=("auto", "transformers", "unsloth"), default="auto", help="auto: unsloth on CUDA where installed")
    add("--limit", metavar="N", type=whole(1), help="solve only the first N tasks; the rest gets placeholders")
    add("--tasks", metavar="ID,...", type=task_ids, help="solve only these tasks; the rest gets placeholders")
    add("--fresh", action="store_true", help="put the journal of an earlier run aside and start anew")
    add("--seed", metavar="N", type=seed, default=0, help="same seed, machine and devices: the same submission (%(default)s)")
    return arguments


def choose_tasks(options: argparse.Namespace, challenges: Challenges) -> list[str]:
    """Ids of the tasks to solve. Raises `InputError` for an id that is not there, and where none that is asked for is good."""
    chosen = list(challenges.tasks)
    if options.tasks:
        unknown = [name for name in options.tasks if name not in challenges.num_tests]
        if unknown:
            raise InputError(f"--tasks: {unknown[0]!r} is not a task of the input")
        chosen = [name for name in chosen if name in set(options.tasks)]
        if not chosen:
            first = options.tasks[0]
            raise InputError(f"--tasks: {first!r} cannot be read: {challenges.faulty[first].reason}")
    return chosen[: options.limit]


def with_solvers(preset: Preset, text: str, author: WrittenConfig | None) -> Preset:
    """The preset with only these solvers."""
    chosen = text.split(",")
    program = preset.program or ProgramConfig()
    return replace(preset, program=program if "program" in chosen else None, ttt="ttt" in chosen, written=author)


def find_everything(options: argparse.Namespace) -> tuple[WeightSet | None, str]:
    """What needs no torch: the weights that are asked for, their files compared with their entry as far as that is quick; and the
    author's hash. Raises `InputError`, `WeightsError`."""
    if ("written" in (options.solvers or "").split(",")) != (options.author is not None):
        raise InputError("--solvers written and --author PATH need each other")
    weights, fingerprint = None, ""
    if options.weights is None:
        overridden(PRESETS[options.preset or "default"], options.set)
    else:
        weights = replace(find_weights(options.weights), allow_unpinned=options.allow_unpinned)
        named_preset(options, weights)
        if sum(file.get("size") or 0 for file in weights.entry["files"]) <= QUICK_BYTES:
            weights.verify()
    if options.author not in (None, VOCABULARY):
        try:
            fingerprint = find_author(options.author)
        except (AuthorError, OSError) as error:
            raise InputError(str(error)) from error
    return weights, fingerprint


def named_preset(options: argparse.Namespace, weights: WeightSet) -> Preset:
    """The preset that is asked for, else the weights' own, with what --set changes. Raises `WeightsError`, `OverrideError`."""
    name = options.preset or weights.entry.get("preset", "default")
    if not isinstance(name, str) or name not in PRESETS:
        raise WeightsError(f"weights {weights.name}: their preset {name!r} is not known, give --preset")
    return overridden(PRESETS[name], options.set)


def read_author(options: argparse.Namespace, fingerprint: str, rerun: bool) -> WrittenConfig | None:
    """Who writes programs; None where nobody is to. Raises `InputError` for a device that cannot be used."""
    from .devices import torch_device, worker_devices

    if options.author is None:
        return None
    try:
        where = torch_device(worker_devices(options.author_device, rerun)[0][0])
    except InputError as error:
        raise InputError(str(error).replace("--devices", "--author-device")) from error
    return WrittenConfig(options.author, fingerprint, str(where), options.author_samples)


def what_is_read(options: argparse.Namespace, found: Input) -> Iterator[tuple[str, Path]]:
    """Options and the files or folders that they name."""
    path = Path(found.name)
    if options.input is not None and path.is_file():
        yield "--input", path
        if beside := solutions_beside(path):
            yield "--input", beside
    for option, text in (("--solutions", options.solutions), ("--weights", options.weights), ("--author", options.author)):
        if text:
            yield option, Path(text)
            yield option, Path(text.partition("=")[2] or text)


def budget_here(options: argparse.Namespace, on_kaggle: bool) -> float:
    """Seconds of the budget: no more than Kaggle leaves."""
    if on_kaggle and options.budget > SESSION_LEAVES:
        print(f"{PROGRAM}: --budget {format_seconds(options.budget)} is longer than a Kaggle session leaves: going on with "
              f"{format_seconds(SESSION_LEAVES)}", file=sys.stderr)  # fmt: skip
        return SESSION_LEAVES
    return options.budget


def main(arguments: list[str] | None = None) -> int:
    """Settle what can be, then load and run. Exit code 0, or 2 with one line for what is refused, which harms nothing."""
    hold_streams()
    try:
        options = parser().parse_args(arguments)
    except CommandError as error:
        tell_fault(PROGRAM, error)
        return 2
    on_kaggle, rerun = KAGGLE_WORKING.is_dir(), bool(os.environ.get("KAGGLE_IS_COMPETITION_RERUN"))

    def claim_output() -> Claim:
        check_output(options.output, what_is_read(options, found), anything=on_kaggle)
        claim = Claim(options.output, found.challenges, keep=on_kaggle)
        if on_kaggle or claim.is_new or clock.left() < SETTLING:
            claim.first()
        return claim

    try:
        clock = Clock(budget_here(options, on_kaggle))
        found = read_input(options.input, options.solutions, KAGGLE_INPUT)
        chosen = choose_tasks(options, found.challenges)
        claim = claim_output() if on_kaggle else None
        weights, fingerprint = find_everything(options)
        claim = claim or claim_output()
    except (InputError, OutputError, WeightsError, ValueError, OSError) as error:
        tell_fault(PROGRAM, error)
        return 2
    try:
        clock.watch(claim.last)
        clock.listen()
        from .devices import choose_backend, worker_devices  # imports torch: seconds, so only now

        names, notes = worker_devices(options.devices, rerun)
        if weights is None:
            weights = replace(default_weights(names[0].partition(":")[0]), allow_unpinned=options.allow_unpinned)
        author, preset = read_author(options, fingerprint, rerun), named_preset(options, weights)
        if options.solvers:
            preset = with_solvers(preset, options.solvers, author)
        backend, reason = choose_backend(options.backend, names, preset)
        for note in (*notes, *filter(None, [reason])):
            print(one_line(note), file=sys.stderr)
        from .setup import Wanted, start  # imports transformers, which Unsloth has to come before
    except Exception as error:
        claim.withdraw()
        tell_fault(PROGRAM, told(error))
        return 2
    return start(options, found, chosen, clock, Wanted(weights, preset, names, backend, rerun), claim)


def told(error: Exception) -> str:
    """The fault in words."""
    if isinstance(error, (InputError, WeightsError, OverrideError)):
        return str(error)
    if isinstance(error, ImportError):
        return (f"a package is missing or broken ({error}): pip install -r requirements.txt; on Kaggle attach the wheels "
                "dataset")  # fmt: skip
    return f"cannot start: {type(error).__name__}: {error}"[:500]
