"""The README's pictures, from the journals of two runs.

    python submission.py --input training --limit 60 --solvers ttt --budget 5m --output runs/picture.json
    python -m tests.benchmarks.pictures task runs/picture.run --input training --out solution/docs/pictures/task.png
    python submission.py
    python -m tests.benchmarks.pictures curve submission.run --out solution/docs/pictures/curve.png

`task`: one solved training task: its demonstrations, its test, what the trained model's views proposed and how often. The task
whose answer won against the most other proposals, or the one that `--task` names. `curve`: tasks right against time, and how
many the allocator expected at the end. No evaluation task is drawn.
"""

import argparse
from pathlib import Path

from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from solution.arc.load import Challenges, Solutions
from solution.arc.sources import read_input
from solution.arc.task import Grid, grid_key
from solution.driver.board import Board
from solution.report.draw import PALETTE
from solution.report.forecast import of_last_process
from solution.report.outcome import Proposal, Run, candidates_of, proposals, read_run

COLOURS = ListedColormap([tuple(channel / 255 for channel in PALETTE[3 * i : 3 * i + 3]) for i in range(10)])
MOST_SHOWN = 3
"""Demonstrations, and proposals, at the most."""


def draw_grid(axes, grid: Grid, title: str) -> None:
    """One grid with a title, cells square."""
    height, width = grid.shape
    axes.pcolormesh(grid[::-1], cmap=COLOURS, vmin=0, vmax=9, edgecolors="#555", linewidth=0.4)
    axes.set(aspect="equal", xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    axes.set_title(title, fontsize=8)


def contested(run: Run, challenges: Challenges, solutions: Solutions) -> dict[str, list[Proposal]]:
    """Tasks of one test input whose answer has the most votes of the trained model's views, with all proposals; the most
    contested first."""
    board = Board(challenges, "hierarchical")
    for result in run.results:
        if result.record.ok:
            board.add(result)
    found = {}
    for name, jobs in run.by_task().items():
        if len(solutions.get(name, ())) != 1:
            continue
        voted = [p for p in proposals([c for c in candidates_of(jobs, name, 0) if c.source == "ttt"])]
        if voted and grid_key(voted[0].grid) == grid_key(solutions[name][0]) == grid_key(board.answers[name][0][0]):
            found[name] = voted
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def draw_task(challenges: Challenges, name: str, voted: list[Proposal]) -> Figure:
    """Demonstrations above, the test and the proposals below."""
    task, shown = challenges.tasks[name], voted[:MOST_SHOWN]
    demonstrations = task.train[:MOST_SHOWN]
    columns = max(2 * len(demonstrations), 1 + len(shown))
    figure = Figure((1.35 * columns, 3.3), layout="constrained")
    axes = figure.subplots(2, columns)
    for place in axes.flat:
        place.axis("off")
    for number, pair in enumerate(demonstrations):
        for side, grid in enumerate((pair.input, pair.output)):
            axes[0, 2 * number + side].axis("on")
            draw_grid(axes[0, 2 * number + side], grid, f"demonstration {number + 1}" if not side else "output")
    axes[1, 0].axis("on")
    draw_grid(axes[1, 0], task.test[0].input, "test input")
    for number, proposal in enumerate(shown):
        axes[1, 1 + number].axis("on")
        right = " (right)" if not number else ""
        draw_grid(axes[1, 1 + number], proposal.grid, f"{proposal.trained} view{'s' * (proposal.trained > 1)}{right}")
    figure.suptitle(f"ARC-AGI-1 training task {name}", fontsize=9)
    return figure


def draw_curve(run: Run) -> Figure:
    """Tasks right and expected against minutes."""
    forecasts = [f for f in of_last_process(run.forecasts) if f.right is not None]
    figure = Figure((5.4, 2.9), layout="constrained")
    axes = figure.subplots()
    minutes = [f.elapsed / 60 for f in forecasts]
    axes.plot(minutes, [f.right for f in forecasts], color="#0072b2", label="right so far")
    axes.plot(minutes, [f.solved for f in forecasts], "--", color="#b45309", label="expected at the end")
    axes.set(xlabel="minutes since the start", ylabel="tasks of 400", xlim=(0, None), ylim=(0, None))
    axes.legend(loc="lower right", frameon=False)
    axes.grid(alpha=0.3)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("task", "curve"))
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--input", help="the run's tasks, as for submission.py")
    parser.add_argument("--task", help="id of the task to draw")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = read_input(options.input)
    run = read_run(options.run / "journal.jsonl", found.challenges)
    if options.kind == "curve":
        figure = draw_curve(run)
    else:
        if options.input != "training":
            parser.error("only training tasks are drawn: give --input training")
        tasks = contested(run, found.challenges, found.solutions)
        print(*(f"{name}: {len(voted)} proposals" for name, voted in tasks.items()), sep="\n")
        name = options.task or next(iter(tasks))
        figure = draw_task(found.challenges, name, tasks[name])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out, dpi=130)
    print(options.out)


if __name__ == "__main__":
    main()
