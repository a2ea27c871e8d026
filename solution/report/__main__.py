"""The report of a run by hand, finished or still at work: python -m solution.report --help

In:  a run's folder or journal, and the tasks it ran on. Out: report.html; faults as one line, exit code 2.
The answers are chosen anew from the journal, by the rule of the run's preset.
"""

import argparse
import sys
from pathlib import Path

from ..arc.load import InputError
from ..arc.sources import read_input
from ..arc.submission import OutputError
from ..command import CommandError, Parser, hold_streams, one_line, tell_fault
from ..driver.board import Board
from ..driver.cli import KAGGLE_INPUT
from ..select.vote import METHODS
from .outcome import read_run
from .page import write_report

EXAMPLE = """examples:
  python -m solution.report submission.run
  python -m solution.report out/submission.run --input tasks/ --solutions tasks/solutions.json --output report.html"""


def main(arguments: list[str] | None = None) -> int:
    """Write the report. Exit code 0, or 2 with one line for input that cannot be used."""
    hold_streams()
    parser = Parser(
        prog="python -m solution.report", description="Show what a run did: one HTML file with every grid drawn.",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("journal", metavar="RUN", type=Path, help="a run's folder (beside its submission), or the journal in it")
    parser.add_argument("--input", metavar="PATH", help="the run's challenges, as for submission.py (the public evaluation set)")
    parser.add_argument("--solutions", metavar="PATH", help="solutions file to score against")
    parser.add_argument("--output", metavar="PATH", type=Path, help="HTML file (report.html beside the journal)")
    try:
        options = parser.parse_args(arguments)
    except CommandError as error:
        tell_fault("solution.report", error)
        return 2
    journal = options.journal / "journal.jsonl" if options.journal.is_dir() else options.journal
    try:
        found = read_input(options.input, options.solutions, KAGGLE_INPUT)
        run = read_run(journal, found.challenges)
        board = Board(found.challenges, selection(run.identity, journal))
        for result in run.results:
            if result.record.ok:
                board.add(result)
        output = options.output or journal.with_name("report.html")
        print(one_line(write_report(output, journal, found.challenges, found.solutions, board.answers)))
    except (InputError, OutputError) as error:
        tell_fault("solution.report", error)
        return 2
    return 0


def selection(identity: dict, journal: Path) -> str:
    """The selection rule that the run's preset names. Raises `InputError` where this version has no such rule."""
    preset = identity.get("preset")
    name = preset.get("select") if isinstance(preset, dict) else None
    if name not in METHODS:
        raise InputError(f"{journal}: the preset selects by {name!r}, which is none of {', '.join(METHODS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
