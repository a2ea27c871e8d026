"""The command line of `submission.py`: where it runs decides what no option says.

In:  arguments and environment. Out: an exit code; faults of the input as one line on stderr, exit code 2.
The placeholder submission is written before torch is imported. Not here: loading (`setup`), the run itself (`run`).
"""

import argparse
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from ..arc.load import (
    TEST_CHALLENGES,
    Challenges,
    InputError,
    Solutions,
    find_file,
    load_challenges,
    load_solutions,
    public_evaluation,
    public_training,
)
from ..arc.submission import OutputError, placeholders, validate_submission, write_submission
from ..models.manifest import WeightsError, default_weights, find_weights
from ..preset import PRESETS, Preset
from ..program.settings import VOCABULARY, ProgramConfig, WrittenConfig
from ..program.written.author import AuthorError, find_author
from .clock import Clock, parse_duration

KAGGLE_INPUT, KAGGLE_WORKING = Path("/kaggle/input"), Path("/kaggle/working")
DESCRIPTION = """\
Solve ARC tasks within a time budget and write a Kaggle submission.

With no option: on Kaggle, the competition's test tasks, every GPU, 11h30m. Elsewhere, the 400 public evaluation tasks
of ARC-AGI-1, the embedded weights, 15 minutes, and the score at the end. A run that was interrupted goes on where it was."""
EXAMPLE = """\
example:
  python submission.py --input tasks/ --solutions tasks/solutions.json --budget 2h --devices cuda:0,cuda:1"""


@dataclass(frozen=True)
class Input:
    """The tasks to answer, and their outputs where these are known."""

    challenges: Challenges
    solutions: Solutions | None
    name: str


def parser() -> argparse.ArgumentParser:
    on_kaggle = KAGGLE_WORKING.is_dir()
    arguments = argparse.ArgumentParser(
        prog="submission.py", description=DESCRIPTION, epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = arguments.add_argument
    add("--input", metavar="PATH", help="challenges file, or a folder to find it in; 'training': ARC-AGI-1's public set")
    add("--solutions", metavar="PATH", help="score against this solutions file at the end")
    output = KAGGLE_WORKING / "submission.json" if on_kaggle else Path("submission.json")
    add("--output", metavar="PATH", type=Path, default=output, help="submission file (%(default)s)")
    add("--budget", metavar="TIME", default="11h30m" if on_kaggle else "15m", help="wall clock from process start (%(default)s)")
    add("--weights", metavar="NAME_OR_DIR", help="an entry of weights_manifest.json, or a folder with its own entry")
    add("--allow-unpinned", action="store_true", help="use weights whose sha256 the manifest does not know")
    add("--preset", choices=PRESETS, help="a named set of every hyperparameter (the weights' own, else default)")
    add("--solvers", help="of ttt,program,written: test-time training, program search, programs by --author (the first two)")
    add("--author", metavar="PATH", help="a Llama that writes Python, folder or .gguf, used unpinned; 'vocabulary': a stand-in")
    add("--author-device", metavar="NAME", default="cpu", help="where it is loaded; its memory is in no plan (%(default)s)")
    add("--author-samples", metavar="N", type=int, default=64, help="programs that it writes a task (%(default)s)")
    add("--devices", default="auto", help="auto, cpu, cpu:2 (two workers), cuda:0,cuda:1 (%(default)s)")
    add("--backend", choices=("auto", "transformers", "unsloth"), default="auto", help="auto: unsloth on CUDA where installed")
    add("--limit", metavar="N", type=int, help="solve only the first N tasks; the rest gets placeholders")
    add("--tasks", metavar="ID,...", help="solve only these tasks; the rest gets placeholders")
    add("--fresh", action="store_true", help="put the journal of an earlier run aside and start anew")
    add("--seed", type=int, default=0, help="same seed, machine and devices: the same submission (%(default)s)")
    return arguments


def read_input(options: argparse.Namespace) -> Input:
    """The tasks that the options, or the place we run in, point to. Raises `InputError`."""
    source = options.input
    if source in (None, "evaluation", "training"):
        if source is None and KAGGLE_INPUT.is_dir():
            source = str(KAGGLE_INPUT)
        else:
            if options.solutions:
                raise InputError("--solutions needs --input: the public sets bring their own")
            challenges, solutions = public_training() if source == "training" else public_evaluation()
            return Input(challenges, solutions, f"ARC-AGI-1 public {source or 'evaluation'} set")
    path = find_file(source, TEST_CHALLENGES) if os.path.isdir(source) else Path(source)
    challenges = load_challenges(path)
    solutions = load_solutions(options.solutions, challenges.tasks) if options.solutions else None
    return Input(challenges, solutions, str(path))


def choose_tasks(options: argparse.Namespace, challenges: Challenges) -> list[str]:
    """Ids of the tasks to solve. Raises `InputError` for an id that is not there."""
    chosen = list(challenges.tasks)
    if options.tasks:
        wanted = options.tasks.split(",")
        unknown = [name for name in wanted if name not in challenges.num_tests]
        if unknown:
            raise InputError(f"--tasks: {unknown[0]!r} is not a task of the input")
        chosen = [name for name in chosen if name in set(wanted)]
    if options.limit is not None:
        if options.limit < 1:
            raise InputError(f"--limit: {options.limit} is not a positive number")
        chosen = chosen[: options.limit]
    return chosen


def with_solvers(preset: Preset, text: str, author: WrittenConfig | None) -> Preset:
    """The preset with only these solvers. Raises `InputError` for any that is not known, or an author that is missing."""
    solvers = set(text.split(","))
    if ("written" in solvers) != (author is not None):
        raise InputError("--solvers written and --author PATH need each other")
    if solvers - {"ttt", "program", "written"}:
        raise InputError(f"--solvers: {text!r} is not of ttt,program,written")
    program = preset.program or ProgramConfig()
    return replace(preset, program=program if "program" in solvers else None, ttt="ttt" in solvers, written=author)


def read_author(options: argparse.Namespace, rerun: bool) -> WrittenConfig | None:
    """Who writes programs; None where nobody is to. Raises `InputError` for a checkpoint or a device that cannot be used."""
    from .devices import torch_device, worker_devices

    if options.author is None:
        return None
    if options.author_samples < 1:
        raise InputError(f"--author-samples: {options.author_samples} is not a positive number")
    try:
        fingerprint = "" if options.author == VOCABULARY else find_author(options.author)
        device = torch_device(worker_devices(options.author_device, rerun)[0][0])
    except (AuthorError, OSError) as error:
        raise InputError(str(error)) from error
    except InputError as error:
        raise InputError(str(error).replace("--devices", "--author-device")) from error
    return WrittenConfig(options.author, fingerprint, str(device), options.author_samples)


def main(arguments: list[str] | None = None) -> int:
    """Parse, write the placeholder submission, then load and run. Exit code 0, or 2 with one line for bad input."""
    options = parser().parse_args(arguments)
    try:
        clock = Clock(parse_duration(options.budget))
        found = read_input(options)
        chosen = choose_tasks(options, found.challenges)
        if options.output.suffix in (".log", ".run"):
            raise InputError(f"--output: {options.output} would be the run's own log or folder")
        options.output.parent.mkdir(parents=True, exist_ok=True)
        if validate_submission(options.output, found.challenges.num_tests):  # else it is an earlier run's, better than nothing
            write_submission(options.output, placeholders(found.challenges))
    except (InputError, OutputError, ValueError, OSError) as error:
        print(f"submission.py: {error}", file=sys.stderr)
        return 2
    clock.watch()
    rerun = bool(os.environ.get("KAGGLE_IS_COMPETITION_RERUN"))
    try:
        from .devices import choose_backend, worker_devices  # imports torch: seconds, so only now

        names, notes = worker_devices(options.devices, rerun)
        weights = find_weights(options.weights) if options.weights else default_weights(names[0].partition(":")[0])
        weights = replace(weights, allow_unpinned=options.allow_unpinned)
        named = options.preset or weights.entry.get("preset", "default")
        if named not in PRESETS:
            raise WeightsError(f"weights {weights.name}: their preset {named!r} is not known, give --preset")
        author, preset = read_author(options, rerun), PRESETS[named]
        if options.solvers or author:
            preset = with_solvers(preset, options.solvers or "", author)
        backend, reason = choose_backend(options.backend, names, preset)
        for note in (*notes, *filter(None, [reason])):
            print(note, file=sys.stderr)
        from .setup import Wanted, start  # imports transformers, which Unsloth has to come before
    except (InputError, WeightsError) as error:
        print(f"submission.py: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"submission.py: a package is missing or broken ({error}): pip install -r requirements.txt; on Kaggle attach the "
              "wheels dataset", file=sys.stderr)  # fmt: skip
        return 2
    return start(options, found, chosen, clock, Wanted(weights, preset, names, backend, rerun))
