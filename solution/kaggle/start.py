"""On Kaggle: from the attached datasets to a finished run. The notebooks of kernels/ call `submit`, `finetune` and `wheels`.

In:  /kaggle/input with code, wheels, weights and the competition's files; packed.json beside the code (`pack`); options for the
driver in the environment variable ARC_ARGUMENTS, which come after the packed ones. Out: `submit`: submission.json, whatever
happens; `finetune`: a weights folder; `wheels`: the wheelhouse. A fault stops an ordinary run with one line (`StartError`); in
the competition rerun the best that still works is run instead, and a line says so.
Standard library only, until the packages are there. Not here: solving (`driver`), which packages (`wheels`).
"""

import argparse
import contextlib
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ..command import Parser, duration
from ..driver.clock import SESSION_LEAVES, Clock, format_seconds, parse_duration
from ..models.limits import cores
from . import overlay
from .check import NO_UNSLOTH
from .inputs import CODE_MARK, WEIGHTS_MARK, WHEELS_MARK, folders_with
from .place import PROJECT, RERUN, Place, StartError

PACKED = "packed.json"
ARGUMENTS = "ARC_ARGUMENTS"
RERUN_BUDGET, REHEARSAL_BUDGET = "11h30m", "15m"
"""From the start of the notebook's process. An ordinary run solves public tasks: it rehearses, and its hours are GPU quota."""
ENOUGH = 30.0
"""Seconds that must be left for the driver to be started (again)."""
PATHS = ("--solutions", "--author")
"""Options of the driver besides --input and --weights that name files."""
FRUITLESS, PAUSE = 3, 20.0
"""Starts in a row that add nothing to answers that are there, before it is given up; and seconds before the next: a GPU may need
a while after a crash."""
FINETUNE_SECONDS = 11 * 3600.0
"""After which a training is ended, for its checkpoints to be stored within the session's 12 hours."""
OVERDUE = 120.0
"""Seconds after its budget at which the driver, whose own watchdog then failed, is killed."""


def submit(place: Place | None = None) -> None:
    """Write a valid submission at once, install what lacks, run the driver. Raises `StartError` (in the rerun only where there
    is no submission at all)."""
    place = place or Place.here()
    asked = place.guarded(lambda: read_options(options("submit")), "going on with the packed options alone")
    asked = asked or place.guarded(lambda: read_options(packed().get("submit", [])), "going on without options")
    asked = asked or read_options([])
    clock = Clock(seconds_for(asked, place))
    place.say(f"{f'competition rerun ({RERUN})' if place.rerun else 'ordinary run'}: code from {PROJECT}")
    if asked.output is not None and Path(asked.output).resolve() != (place.working / "submission.json").resolve():
        place.fault(f"--output {asked.output}: Kaggle takes submission.json in {place.working} alone", "it is written there")
    place.guarded(lambda: only_code(place), f"going on with {PROJECT}")
    place.guarded(lambda: write_placeholders(place, asked.input), "no submission yet, the driver will say more")
    chosen = [*asked.others, "--input", asked.input or str(place.input)]
    weights = asked.weights or place.guarded(lambda: attached_weights(place), "going on with the embedded weights")
    weights = ["--weights", str(weights)] if weights else []
    with scratch_folder(place) as scratch:
        environment = prepare(place, Path(scratch))
        place.guarded(lambda: keep_adapters_in(Path(scratch), place), "trained adapters wait in the working folder")
        try:
            drive(place, clock, tries(chosen, weights, place), environment, Path(scratch))
        finally:
            remove_adapters(place)
    check_submission(place, asked.input)


def finetune(place: Place | None = None) -> None:
    """Run `solution.finetune` with the packed arguments; its weights, log and stable state stay in the working folder, the
    weights as a dataset folder. Raises `StartError`."""
    place = place or Place.here()
    try:
        given = options("finetune")
    except ValueError as error:
        raise StartError(str(error)) from None
    only_code(place)
    with scratch_folder(place) as scratch:
        environment, out = prepare(place, Path(scratch)), Path(scratch, "run")
        command = [sys.executable, "-m", "solution.finetune", "launch", *given, "--out", str(out)]
        place.say(f"+ {shlex.join(command[1:])}")
        code = place.run(command, environment, Path(scratch), FINETUNE_SECONDS)
        for name in ("log.jsonl", "weights", "stable", "latest"):
            if (out / name).is_dir():
                shutil.copytree(out / name, place.working / name, dirs_exist_ok=True)
            elif (out / name).exists():
                shutil.copy(out / name, place.working / name)
    weights = place.working / "weights"
    if code and (place.working / "stable").is_dir():
        why = "was killed, by its limit or for memory" if code == -signal.SIGKILL else f"ended with exit code {code}"
        place.say(f"solution.finetune {why}: --start-from stable/ goes on from its last checkpoint")
        return
    if code or not (weights / WEIGHTS_MARK).is_file():
        raise StartError(f"solution.finetune ended with exit code {code}")
    from .metadata import weights_dataset

    user = packed().get("user", "USERNAME")
    (weights / "dataset-metadata.json").write_text(json.dumps(weights_dataset(user, weights), indent=2) + "\n")
    place.say(f"weights: {weights}; attach this notebook's output, or: kaggle datasets create -p weights")


def wheels(place: Place | None = None) -> None:
    """Build the wheelhouse in the working folder and try it on this image. Raises `StartError`."""
    place = place or Place.here()
    from .wheels import WheelsError, build

    only_code(place)
    try:
        built = build(place.working)
    except WheelsError as error:
        raise StartError(f"wheels: {error}") from error
    place.say(f"wheels: {len(built)}, {sum(wheel.stat().st_size for wheel in built) / 2**20:.0f} MiB in {place.working}")
    with scratch_folder(place) as scratch:
        tried(place, Path(scratch), installed(place, place.working, Path(scratch, "packages")))


def packed() -> dict:
    path = PROJECT / PACKED
    return json.loads(path.read_text()) if path.is_file() else {}


def options(kernel: str) -> list[str]:
    """The options that `pack` was given for this kernel, and those of the environment. Raises `ValueError`."""
    try:
        return [*packed().get(kernel, []), *shlex.split(os.environ.get(ARGUMENTS, ""))]
    except ValueError as error:
        raise ValueError(f"{ARGUMENTS}: {os.environ.get(ARGUMENTS, '')!r} cannot be split: {error}") from None


def read_options(words: list[str]) -> argparse.Namespace:
    """What is decided here: `budget` in seconds, `input`, `weights`, `output`, each None where it is not given; and `others`, the
    words of all other options. Raises `ValueError` for anything that the driver refuses."""
    parser = Parser(prog="submission.py", add_help=False)
    parser.add_argument("--budget", type=duration)
    for name in ("--input", "--weights", "--output", *PATHS):
        parser.add_argument(name, type=_path)
    try:
        from ..driver.cli import parser as driver

        with contextlib.redirect_stdout(io.StringIO()):
            driver().parse_args(words)
    except ImportError:  # of a package that the wheels bring: the driver itself will say what it refuses
        pass
    except SystemExit:
        raise ValueError(f"{ARGUMENTS}: --help is nothing that a run can do") from None
    given, given.others = parser.parse_known_args(words)
    for name in PATHS:
        if (path := getattr(given, name.removeprefix("--"))) is not None:
            given.others += [name, path]
    return given


def _path(text: str) -> str:
    """A path as the driver finds it, which works in another folder than the notebook; a name as it is."""
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return os.path.abspath(text) if os.path.exists(text) else text


def seconds_for(asked: argparse.Namespace, place: Place) -> float:
    """The budget of the run, no more than a session leaves."""
    seconds = asked.budget or parse_duration(RERUN_BUDGET)
    if seconds > SESSION_LEAVES:
        most = format_seconds(SESSION_LEAVES)
        place.fault(f"--budget {format_seconds(seconds)} is more than a Kaggle session leaves ({most})", f"going on with {most}")
        seconds = SESSION_LEAVES
    if not place.rerun and "--budget" not in os.environ.get(ARGUMENTS, ""):
        seconds = min(seconds, parse_duration(REHEARSAL_BUDGET))
    return seconds


def scratch_folder(place: Place) -> tempfile.TemporaryDirectory:
    """A folder outside the working folder, whose files Kaggle would keep and count."""
    root = place.temp if place.temp.is_dir() and os.access(place.temp, os.W_OK) else None
    return tempfile.TemporaryDirectory(prefix="arc-", dir=root, ignore_cleanup_errors=True)


def only_code(place: Place) -> None:
    """Raises `StartError` where another code dataset is attached: which one runs would be chance."""
    others = [f for f in folders_with(place.input, CODE_MARK) if f.resolve() != PROJECT]
    if others:
        raise StartError(f"two code datasets are attached: {PROJECT} and {others[0]}")


def challenges_for(place: Place, asked: str | None):
    """The tasks to answer: those that are asked for, else the attached ones. Raises `InputError`, `ImportError`."""
    from ..arc.load import load_challenges
    from ..arc.sources import read_input

    return read_input(asked).challenges if asked else load_challenges(place.input)


def write_placeholders(place: Place, asked: str | None) -> None:
    """A valid submission before the minutes that an installation takes, unless one of these tasks is there. Raises `InputError`,
    `OutputError`, `ImportError`."""
    from ..arc.submission import placeholders, validate_submission, write_submission

    challenges = challenges_for(place, asked)
    path = place.working / "submission.json"
    if not validate_submission(path, challenges.num_tests):
        place.say(f"{path}: answers of an earlier run, which stay until there are better ones")
        return
    write_submission(path, placeholders(challenges))
    place.say(f"{path}: placeholders for {len(challenges.num_tests)} tasks")


def attached_weights(place: Place) -> Path | None:
    """The weights folder that is attached, or None. Raises `StartError` for two."""
    found = folders_with(place.input, WEIGHTS_MARK, outside=PROJECT)
    if len(found) > 1:
        raise StartError(f"two weights folders are attached: {found[0]} and {found[1]}")
    return found[0] if found else None


def prepare(place: Place, scratch: Path) -> dict[str, str]:
    """The environment to run the project in: on the attached wheels where these work, else on what the image has."""
    packages = place.guarded(lambda: attached_packages(place, scratch), "going on with the image's own packages")
    environment = place.guarded(lambda: tried(place, scratch, packages), "going on with the image's own packages")
    return environment or overlay.environment(PROJECT, None)


def attached_packages(place: Place, scratch: Path) -> Path | None:
    """The folder that what lacks was installed into; None where nothing lacks. Raises `StartError`, `OverlayError`."""
    found = folders_with(place.input, WHEELS_MARK)
    if not found:
        raise StartError("no wheels are attached (a folder with SHA256SUMS)")
    if len(found) > 1:
        raise StartError(f"two wheel folders are attached: {found[0]} and {found[1]}")
    return installed(place, found[0], scratch / "packages")


def installed(place: Place, folder: Path, target: Path) -> Path | None:
    every = overlay.verified_wheels(folder)
    lacking = overlay.lacking(every)
    if lacking:
        overlay.install(lacking, target)
    names = ", ".join("{} {}".format(*overlay.name_and_version(wheel)) for wheel in lacking)
    place.say(f"wheels: {folder}, {len(every)} verified, {len(lacking)} installed: {names or 'the image has them all'}")
    return target if lacking else None


def tried(place: Place, scratch: Path, packages: Path | None) -> dict[str, str]:
    """The environment with those packages, after an import of what the driver needs. Raises `StartError` where that fails."""
    environment = overlay.environment(PROJECT, packages)
    code, told = imports(environment, scratch)
    if code == NO_UNSLOTH:
        place.fault(told, "the driver will go on with transformers + peft")
    elif code:
        raise StartError(told)
    else:
        place.say(told)
    return environment


def imports(environment: dict[str, str], scratch: Path) -> tuple[int, str]:
    """Exit code and last line of `check`."""
    done = subprocess.run([sys.executable, "-m", "solution.kaggle.check"], env=environment, cwd=scratch,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")  # fmt: skip
    lines = done.stdout.strip().splitlines() or ["solution.kaggle.check said nothing"]
    return done.returncode, lines[-1]


def keep_adapters_in(scratch: Path, place: Place) -> None:
    """Trained adapters wait on the disk for further views, gigabytes of them: not in the working folder, which is limited."""
    run = place.working / "submission.run"
    run.mkdir(exist_ok=True)
    if (run / "adapters").is_symlink():  # of a notebook that was killed
        (run / "adapters").unlink()
    if not (run / "adapters").exists():
        (scratch / "adapters").mkdir()
        (run / "adapters").symlink_to(scratch / "adapters")


def remove_adapters(place: Place) -> None:
    folder = place.working / "submission.run" / "adapters"
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def tries(chosen: list[str], weights: list[str], place: Place) -> list[tuple[str, list[str]]]:
    """What to run the driver with: as asked; in the rerun also what to try where that is refused. (what it is, options)."""
    asked = [*chosen, *weights]
    if not place.rerun:
        return [("as asked", asked)]
    plain = ["--input", str(place.input), "--backend", "transformers"]
    return [
        ("as asked", asked),
        ("without Unsloth", [*asked, "--backend", "transformers"]),
        ("embedded weights, default preset", plain),
        ("on the CPU", [*plain, "--devices", f"cpu:{cores()}"]),
    ]


def drive(place: Place, clock: Clock, steps: list[tuple[str, list[str]]], environment: dict[str, str], scratch: Path) -> None:
    """Run the driver; in the rerun again after a crash, from its journal, until `FRUITLESS` runs in a row did nothing; and with
    less where it does nothing at all. Raises `StartError` where an ordinary run's driver fails."""
    journal = place.working / "submission.run" / "journal.jsonl"
    for what, given in steps:
        fruitless = 0
        while clock.left() > ENOUGH:
            before = num_lines(journal)
            command = [sys.executable, str(PROJECT / "submission.py"), *given,
                       "--output", str(place.working / "submission.json"), "--budget", f"{clock.left():.0f}s"]  # fmt: skip
            place.say(f"+ {shlex.join(command[1:])}")
            code = place.run(command, environment, scratch, clock.left() + OVERDUE)
            if code == 0:
                return
            given = [word for word in given if word != "--fresh"]  # the journal is this run's now
            place.fault(f"submission.py ended with exit code {code}", f"{format_seconds(clock.left())} left, tried: {what}")
            fruitless = fruitless + 1 if num_lines(journal) <= before else 0
            if fruitless and (num_lines(journal) <= 1 or fruitless == FRUITLESS):
                break
            time.sleep(PAUSE if fruitless else 0)
        if num_lines(journal) > 1:  # answers are there, and another configuration would begin without them
            break
    place.fault(f"the driver cannot be started again ({format_seconds(max(0.0, clock.left()))} left)", "the submission stays")


def num_lines(path: Path) -> int:
    """Lines of the driver's journal: the first names the run, every other is a finished job."""
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def check_submission(place: Place, asked: str | None) -> None:
    """Raises `StartError` where there is no submission.json, or it does not answer the attached tasks."""
    from ..arc.submission import validate_submission

    path = place.working / "submission.json"
    if not path.is_file():
        raise StartError(f"{path}: there is none")
    if asked is None and (faults := validate_submission(path, challenges_for(place, None).num_tests)):
        raise StartError(f"{path}: {faults[0]}")
    place.say(f"{path}: {path.stat().st_size} bytes, valid")
