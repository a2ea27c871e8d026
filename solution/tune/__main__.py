"""Budget tuning by hand: python -m solution.tune --help

In:  journals of dry runs, their tasks, a budget, a machine. Out: a folder with a page, its pictures and the numbers; faults as
one line, exit code 2.
Not here: what is compared (`advice`), how it is told (`words`).
"""

import argparse
import json
import shlex
import sys
import textwrap
from pathlib import Path

from tqdm import tqdm

from ..arc.load import InputError
from ..arc.sources import Input, read_input
from ..arc.submission import OutputError
from ..command import CommandError, Parser, duration, hold_streams, seed, tell_fault, whole
from ..driver.journal import read_lines
from ..schedule.virtual import Device
from .advice import Advice, advise, make_plan
from .evidence import gather
from .forecast import Forecast, Forecaster
from .machine import MOST, describe, parse_devices
from .page import render
from .plots import Picture, pictures
from .words import command, headline, numbers, told

DESCRIPTION = """\
Learn from the journals of dry runs how to spend a budget on another machine: which numbers to set, what score to expect,
how sure that is. Journals of different TTT steps or views are compared with each other; those of equal
settings count together."""
EXAMPLE = """\
examples:
  python -m solution.tune submission.run --budget 11h30m --devices cuda:0x3,cuda:1x3 --tasks 240
  python -m solution.tune steps32.run steps64.run --budget 2h --devices 2 --output advice"""
PAGE, NUMBERS = "tune.html", "tune.json"
LEAST_REPLAYS = 2


def how_many(text: str) -> int | None:
    """The type of --tasks: None for the recorded ones themselves."""
    try:
        return None if text == "same" else whole(1)(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of tasks nor 'same'") from None


def parser() -> argparse.ArgumentParser:
    arguments = Parser(
        prog="python -m solution.tune",
        description=DESCRIPTION,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = arguments.add_argument
    add("journals", metavar="RUN", nargs="+", type=Path, help="a run's folder, or the journal in it")
    add("--input", metavar="PATH", help="the runs' challenges, as for submission.py (the public set that their tasks are of)")
    add("--solutions", metavar="PATH", help="solutions file of these challenges")
    add("--budget", metavar="TIME", type=duration, default="11h30m", help="wall clock, as for submission.py (%(default)s)")
    add("--devices", metavar="LIST", help="cuda:0,cuda:1, cuda:0x3 (three times as fast as a worker of the journals), cpu:2, "
        "or a count: 2, 2x3 (the first journal's)")  # fmt: skip
    add("--searchers", metavar="N", type=whole(0, MOST), default=1, help="cores beside GPUs that search programs (%(default)s)")
    add(
        "--tasks",
        metavar="N",
        type=how_many,
        default="240",
        help="tasks to come, like the recorded ones; 'same': these themselves (%(default)s)",
    )
    add("--output", metavar="DIR", type=Path, help="folder for page and pictures ('tune' beside the first journal)")
    add("--replays", metavar="N", type=whole(LEAST_REPLAYS), default=30, help="of every setting (%(default)s)")
    add("--seed", metavar="N", type=seed, default=0, help="the same seed, the same page (%(default)s)")
    return arguments


def main(arguments: list[str] | None = None) -> int:
    """Write the page. Exit code 0, or 2 with one line for input that cannot be used."""
    hold_streams()
    arguments = sys.argv[1:] if arguments is None else [str(argument) for argument in arguments]
    try:
        options = parser().parse_args(arguments)
    except CommandError as error:
        tell_fault("solution.tune", error)
        return 2
    paths = [path / "journal.jsonl" if path.is_dir() else path for path in options.journals]
    folder = options.output or paths[0].parent / "tune"
    try:
        advice = tune(options, paths)
        write(folder, advice, pictures(advice), f"python -m solution.tune {shlex.join(arguments)}")
    except (OutputError, ValueError) as error:
        tell_fault("solution.tune", error)
        return 2
    show(advice)
    print(f"\npage: {folder / PAGE}")
    return 0


def tune(options: argparse.Namespace, paths: list[Path]) -> Advice:
    """The advice that the options ask for, progress shown on a terminal. Raises `InputError`, and `ValueError` for journals
    with too little in them."""
    if options.devices:
        parse_devices(options.devices, (), 0)  # before anything is read
    found = read_tasks(options, paths)
    evidence = gather(paths, found.challenges, found.solutions)
    names = evidence[0].journals[0].devices
    given = [Device(name) for name in names]
    devices = parse_devices(options.devices, names, options.searchers) if options.devices else given
    plan = make_plan(evidence, devices, options.budget, options.tasks)
    with tqdm(total=0, unit="replay", file=sys.stderr, disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:

        def stage(name: str, forecasts: int) -> None:
            bar.set_description(name)
            bar.total += forecasts * options.replays
            bar.refresh()

        return advise(evidence, plan, Forecaster(options.tasks, options.replays, options.seed, bar.update), stage)


def read_tasks(options: argparse.Namespace, paths: list[Path]) -> Input:
    """The tasks that the journals ran on, with their outputs: as the options say, else the public set that has them. Raises
    `InputError`."""
    if options.input or options.solutions:
        found = read_input(options.input, options.solutions)
        if found.solutions is None:
            raise InputError(f"--input {options.input}: what was right cannot be told without --solutions")
        return found
    sets = [read_input(name) for name in ("evaluation", "training")]
    named = tasks_of(paths[0])
    return next((found for found in sets if named <= set(found.challenges.tasks)), sets[0])


def tasks_of(path: Path) -> set[str]:
    """Tasks that a journal's jobs name; none where it cannot be read, which is said later."""
    try:
        lines, _ = read_lines(path)
        return {task for line in lines if line.get("kind") == "job" for task in line["record"]["job"]["tasks"]}
    except (OSError, KeyError, TypeError):
        return set()


def write(folder: Path, advice: Advice, drawn: list[Picture], how: str) -> None:
    """Page, pictures and numbers. Raises `OutputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for picture in drawn:
            (folder / picture.name).write_bytes(picture.png)
        (folder / NUMBERS).write_text(json.dumps(as_numbers(advice), indent=1) + "\n", encoding="utf-8")
        (folder / PAGE).write_bytes(render(advice, drawn, how).encode("utf-8", "xmlcharrefreplace"))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}") from error


def as_numbers(advice: Advice) -> dict:
    """The advice for programs: shares 0 to 1, seconds."""
    forecast, plan = advice.forecast, advice.plan
    preset = forecast.setting.preset

    def score(one: Forecast) -> dict:
        return {"mean": round(one.mean, 5), "low": round(one.band[0], 5), "high": round(one.band[1], 5)}

    return {
        "devices": describe(plan.devices), "budget": plan.budget, "tasks": plan.tasks,
        "solvers": forecast.setting.solvers, "steps": preset.train.steps,
        "first_views": preset.first_views, "more_views": preset.more_views, "rounds": preset.rounds,
        "breadth_share": round(forecast.share_of("base"), 5), "reserve": round(plan.reserve, 2), "score": score(forecast),
        "by_budget": {f"{budget:g}": score(one) for budget, one in sorted(advice.hours.items())},
        "by_machine": {name: score(one) for name, one in advice.machines.items()},
        "compared": {name: score(one) for name, one in advice.compared.items()},
    }  # fmt: skip


def show(advice: Advice) -> None:
    """The advice on the terminal."""
    print(f"{headline(advice)}\n")
    for number in numbers(advice):
        print(f"{number.what:38}{number.advised:>12}   {number.why}")
    print(f"\n{command(advice)}")
    for heading, lines in told(advice):
        print(f"\n{heading}")
        for line in lines:
            print(textwrap.fill(line, 110, initial_indent="- ", subsequent_indent="  "))


if __name__ == "__main__":
    sys.exit(main())
