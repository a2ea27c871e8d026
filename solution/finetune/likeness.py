"""python -m solution.finetune likeness: how like real ARC tasks the tasks of a pack are.

In:  a pack, the shares of its sources. Out: a table of shares of tasks, a column a source: one size in all pairs, the background,
square grids, large ones, demonstrations; the 400 public training tasks first, the mixture last.
Tasks are those within a token limit; colours as they are shown, sizes before any symmetry (which changes none of the rows).
Not here: what tasks are about.
"""

from pathlib import Path

import numpy as np

from ..command import CommandError, Parser, tell_fault, whole

LIMIT, TASKS, LARGE_SIDE = 1024, 4000, 12
ROWS = (
    "one input size", "one output size", "commonest colour is 0", "background varies", "square inputs",
    f"a side above {LARGE_SIDE}", "two demonstrations",
)  # fmt: skip


def shares(shapes: np.ndarray, backgrounds: np.ndarray, shown: np.ndarray, used: np.ndarray) -> np.ndarray:
    """The rows' shares, float (len(ROWS),).

    `shapes`: (tasks, pairs, 4) heights and widths of inputs and outputs. `backgrounds`: (tasks, pairs) the commonest colours of
    the inputs. `shown`: (tasks,) what the first pair's is shown as. `used`: (tasks, pairs) which pairs there are, the test's too.
    """

    def alike(values: np.ndarray) -> np.ndarray:
        return ((values == values[:, :1]) | ~used).all(1)

    sizes = shapes[..., 0::2].astype(int) * 32 + shapes[..., 1::2]  # (tasks, pairs, input and output)
    square = shapes[..., 0] == shapes[..., 1]
    large = (shapes.max(2) > LARGE_SIDE) & used
    return np.array([
        alike(sizes[..., 0]).mean(), alike(sizes[..., 1]).mean(), (shown == 0).mean(), 1 - alike(backgrounds).mean(),
        square[used].mean(), large.any(1).mean(), (used.sum(1) == 3).mean(),
    ])  # fmt: skip


def of_draws(drawer, tasks: int, seed: int = 0) -> np.ndarray:
    """The shares of tasks as a `draws.Drawer` draws them."""
    draws = drawer.draw(np.random.default_rng(seed), tasks)
    backgrounds = drawer.background[draws.pairs]
    shown = draws.colours[np.arange(tasks), backgrounds[:, 0]]
    return shares(drawer.pack.shapes[draws.pairs], backgrounds, shown, np.arange(draws.pairs.shape[1]) < draws.counts[:, None])


def of_public(pack, limit: int) -> np.ndarray:
    """The shares of the public training tasks, whole, that fit the limit; the first test input stands for all."""
    challenges, solutions = pack.public["training"]
    found = []
    for name, task in challenges.items():
        pairs = [*task["train"], {"input": task["test"][0]["input"], "output": solutions[name][0]}]
        grids = [[np.array(pair[side]) for side in ("input", "output")] for pair in pairs]
        if sum(g.shape[0] * (g.shape[1] + 1) for pair in grids for g in pair) + 3 * len(pairs) <= limit:
            found.append(grids)
    most = max(map(len, found))
    shapes, backgrounds = np.zeros((len(found), most, 4), int), np.zeros((len(found), most), int)
    used = np.zeros((len(found), most), bool)
    for task, grids in enumerate(found):
        for pair, (first, second) in enumerate(grids):
            shapes[task, pair], used[task, pair] = (*first.shape, *second.shape), True
            backgrounds[task, pair] = np.bincount(first.ravel()).argmax()
    return shares(shapes, backgrounds, backgrounds[:, 0], used)


def table(columns: dict[str, np.ndarray]) -> str:
    """The columns side by side, in percent."""
    width = max(map(len, ROWS)) + 2
    lines = [" " * width + "".join(f"{name:>13}" for name in columns)]
    for index, row in enumerate(ROWS):
        lines.append(f"{row:<{width}}" + "".join(f"{100 * column[index]:>12.0f}%" for column in columns.values()))
    return "\n".join(lines)


def main(words: list[str]) -> int:
    arguments = Parser(prog="python -m solution.finetune likeness", description=__doc__.partition("\n")[0])
    arguments.add_argument("pack", type=Path)
    arguments.add_argument("--limit", metavar="N", type=whole(1), default=LIMIT, help="tokens of a task at most (%(default)s)")
    arguments.add_argument("--tasks", metavar="N", type=whole(1), default=TASKS, help="tasks drawn of each source (%(default)s)")
    try:
        options = arguments.parse_args(words)
    except CommandError as error:
        tell_fault("solution.finetune likeness", error)
        return 2
    from ..arc.load import InputError
    from .draws import Drawer, Sampling
    from .pack import Pack

    try:
        pack = Pack.read(options.pack)
        columns = {"real, whole": of_public(pack, options.limit)}
        for name in pack.sources:
            columns[name] = of_draws(Drawer(pack, Sampling({name: 1.0}), options.limit), options.tasks)
        columns["mixture"] = of_draws(Drawer(pack, Sampling(), options.limit), options.tasks)
    except (InputError, ValueError) as error:
        tell_fault("solution.finetune likeness", error)
        return 2
    print(table(columns))
    return 0
