"""The board: the score that it keeps up to date against one made anew, whatever comes in and in whatever order."""

import random

from solution.arc.load import Challenges
from solution.arc.score import score
from solution.arc.task import Pair, Task, as_grid
from solution.arc.view import View
from solution.decode.candidate import Candidate
from solution.driver.board import Board
from solution.driver.journal import Result
from solution.schedule.job import Job, Record

GRIDS = [as_grid([[colour]]) for colour in range(4)]


def test_the_score_kept_up_to_date_is_the_score_made_anew():
    rng = random.Random(0)
    pair = Pair(GRIDS[0], GRIDS[1])
    tasks = {f"t{i}": Task(f"t{i}", (pair,), (Pair(GRIDS[0], None),) * (1 + i % 2)) for i in range(6)}
    board = Board(Challenges(tasks, {}), "hierarchical")
    first, second = ({name: (rng.choice(GRIDS),) * len(task.test) for name, task in tasks.items()} for _ in range(2))
    seen = set()
    for i in range(60):
        name, stage = rng.choice(list(tasks)), rng.choice(("base", "ttt"))
        found = [[Candidate(rng.choice(GRIDS), View(), -rng.random(), stage)] for _ in tasks[name].test]
        board.add(Result(Record(Job(stage, (name,), i % 3, 1), "cpu:0", 1.0, True), {name: found}))
        solutions = first if i % 7 else second
        kept = board.score(solutions)
        assert kept == score(board.answers, solutions)
        seen.add(kept.strict)
    assert len(seen) > 2  # it moved
