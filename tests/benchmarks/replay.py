"""The allocator against other policies, on the 2025 winner's costs with our own answers.

    python -m tests.benchmarks.replay nvarc_arc1_4xh100.csv --journal submission.run/journal.jsonl --replays 1000

The table gives seconds, the journal (a run on the public evaluation set with trained tasks) says when answers become right
(`schedule.nvarc`). Every replay draws outcomes and noise by its seed, the same for all policies. Budgets are shares of all neural
work divided by the devices. Cells: the mean, and between which values 95 % of the replays lie. One process; its replays
a minute are printed at the end.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from solution.arc.load import public_evaluation
from solution.codec.arc16 import Arc16
from solution.driver.board import Board
from solution.driver.setup import task_size
from solution.preset import DEFAULT
from solution.report.outcome import read_run
from solution.schedule.nvarc import STEPS, nvarc_trace, outcomes_of
from solution.schedule.policy import policies
from solution.schedule.recorded import preset_of, trace_of_run
from solution.schedule.replay import Noise, average_speed, clairvoyant, makespan_bound, replay
from solution.schedule.virtual import Device

WHOLE = 3.0
"""The budget that the makespan is measured under, as a share of all neural work: more than any policy needs."""
BUDGETS = (0.25, 0.5, 1.0)
PRESET = replace(DEFAULT, name="winner's costs", program=None, train=replace(DEFAULT.train, steps=STEPS))


def read_trace(table: Path, journals: list[Path], limit: int | None):
    """The winner's costs with the answers of our own runs."""
    challenges, solutions = public_evaluation()
    sizes = {name: task_size(task, Arc16("grid")) for name, task in challenges.tasks.items()}
    runs = [read_run(path, challenges) for path in journals]
    preset = replace(preset_of(runs[0].identity["preset"]), program=None, written=None)
    results = [result for run in runs for result in run.results if result.record.job.stage != "program"]
    ours = trace_of_run(journals[0].parent.name, results, sizes, preset, solutions, lambda: Board(challenges, preset.select))
    trace = nvarc_trace(table.read_text(), sizes, outcomes_of(ours, preset))
    print(*ours.notes, *trace.notes, sep="\n")
    return replace(trace, tasks=dict(list(trace.tasks.items())[:limit]))


def machine(count: int, case: str, seconds: float) -> list[Device]:
    """`count` devices, the first of them as the case has it."""
    first = {
        "all well": Device("cuda:0"),
        "one dies half-way": Device("cuda:0", dies_at=seconds / 2),
        "one is 5 x slow": Device("cuda:0", 1 / 5),
    }[case]
    return [first, *(Device(f"cuda:{i}") for i in range(1, count))]


class Table:
    """Figures of every policy, one a replay, and how they are printed."""

    def __init__(self, title: str):
        self._title, self._figures = title, {}

    def add(self, row: str, column: str, figure: float) -> None:
        self._figures.setdefault(row, {}).setdefault(column, []).append(figure)

    def show(self, digits: int) -> None:
        columns = list(next(iter(self._figures.values())))
        print(f"\n{self._title}\n{'':16}" + "".join(f"{column:>28}" for column in columns))
        for row, cells in self._figures.items():
            print(f"{row:16}" + "".join(f"{cell(cells[column], digits):>28}" for column in columns))


def cell(figures: list[float], digits: int) -> str:
    low, high = np.percentile(figures, (2.5, 97.5))
    return f"{np.mean(figures):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def compare(trace, count: int, seeds: range, spread: float) -> int:
    """Print the tables for so many devices; the number of replays done."""
    world = trace.draw(0)
    share, full = world.train_share(PRESET), sum(world.whole_seconds(name, PRESET) for name in world.tasks) / count
    guess = average_speed(trace, PRESET)
    spans = Table(f"{count} devices: makespan with no deadline, over the bound")
    scores = Table(f"{count} devices: tasks right at the end, by budget ({full:.0f} s is 100 %)")
    areas = Table(f"{count} devices: tasks right, averaged over the budget")
    ratios = Table(f"{count} devices: tasks right with the allocator, over those of each other policy")
    cases = Table(f"{count} devices: tasks right at 100 % of the budget, over the clairvoyant bound on the same machine")
    for seed in seeds:
        world, noise = trace.draw(seed), Noise(seed, spread)
        bounds = {budget: clairvoyant(world, PRESET, machine(count, "all well", 0), budget * full, noise) for budget in BUDGETS}
        hurt = {
            case: clairvoyant(world, PRESET, machine(count, case, full), full, noise)
            for case in ("all well", "one dies half-way", "one is 5 x slow")
        }
        alone = makespan_bound(world, PRESET, machine(count, "all well", 0), noise)
        ours = {}
        for name, policy in policies(share).items():
            run = replay(world, PRESET, machine(count, "all well", 0), WHOLE * full, policy, noise, guess)
            spans.add(name, "of all neural work", run.makespan / alone)
            spans.add(name, "of what the policy did", run.makespan * count / sum(run.seconds_by_stage.values()))
            for budget in BUDGETS:
                run = replay(world, PRESET, machine(count, "all well", 0), budget * full, policy, noise, guess)
                ours.setdefault(budget, run.solved)
                scores.add(name, f"{budget:.0%}", run.solved)
                areas.add(name, f"{budget:.0%}", run.area())
                ratios.add(name, f"{budget:.0%}", ours[budget] / max(run.solved, 0.5))
            for case, bound in hurt.items():
                run = replay(world, PRESET, machine(count, case, full), full, policy, noise, guess)
                cases.add(name, case, run.solved / bound.solved)
        for budget, bound in bounds.items():
            scores.add("clairvoyant", f"{budget:.0%}", bound.solved)
            areas.add("clairvoyant", f"{budget:.0%}", bound.area())
    for table, digits in ((spans, 3), (scores, 1), (areas, 1), (ratios, 2), (cases, 3)):
        table.show(digits)
    return len(seeds) * len(policies(share)) * (1 + len(BUDGETS) + len(hurt))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="the winner's costs, a CSV file")
    parser.add_argument("--journal", type=Path, action="append", required=True, help="of a run of ours; may be repeated")
    parser.add_argument("--devices", default="2,4", help="numbers of devices")
    parser.add_argument("--replays", type=int, default=100, help="of every policy in every case")
    parser.add_argument("--noise", type=float, default=0.1, help="standard deviation of the logarithm of a job's seconds")
    parser.add_argument("--seed", type=int, default=0, help="of the first replay")
    parser.add_argument("--limit", type=int, help="only the table's first tasks")
    options = parser.parse_args()
    trace = read_trace(options.table, options.journal, options.limit)
    begun, done = time.process_time(), 0
    for count in map(int, options.devices.split(",")):
        done += compare(trace, count, range(options.seed, options.seed + options.replays), options.noise)
    seconds = time.process_time() - begun
    print(f"\n{done} replays in {seconds:.0f} s of one core: {60 * done / seconds:.0f} a minute")


if __name__ == "__main__":
    main()
