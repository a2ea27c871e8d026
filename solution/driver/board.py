"""The board: every candidate so far, and the two attempts that follow from them for each test input.

In:  results in any order. Out: answers for the submission. The same results give the same answers in any order.
Not here: voting rules (`select`), writing files (`arc.submission`).
"""

from collections import Counter
from collections.abc import Mapping

from ..arc.load import Challenges
from ..arc.score import Score, score
from ..arc.submission import Answers, placeholder, placeholders
from ..arc.task import Grid, grid_key
from ..decode.candidate import Candidate
from ..select.ensemble import ensemble
from ..select.vote import METHODS
from .journal import Result


class Board:
    """Candidates by task, test input and job; a job done again replaces what it brought before."""

    def __init__(self, challenges: Challenges, method: str):
        self.challenges, self._select = challenges, METHODS[method]
        self._found: dict[str, dict[tuple[str, int], list[list[Candidate]]]] = {}
        self.faults: Counter = Counter()
        self._answers = placeholders(challenges)
        self._changed: set[str] = set()  # tasks whose attempts are to be chosen anew
        self._solutions: Mapping[str, tuple[Grid, ...]] = {}
        self._solved: dict[str, tuple[bool, ...]] = {}  # of the tasks of `_solutions` whose answers are still those scored

    def add(self, result: Result) -> None:
        """Take a result in; its tasks' attempts are chosen when they are next asked for."""
        job = result.record.job
        for name, tests in result.candidates.items():
            if name in self.challenges.tasks:
                self._found.setdefault(name, {})[job.stage, job.first_view] = tests
                self._changed.add(name)
        for counts in result.faults.values():
            self.faults.update(counts)

    @property
    def answers(self) -> Answers:
        """The two attempts for every test input of every task, as things stand."""
        for name in sorted(self._changed):
            self._answers[name] = [self._attempts(name, i) for i in range(len(self._answers[name]))]
            self._solved.pop(name, None)
        self._changed.clear()
        return self._answers

    def candidates(self, name: str, test: int, trained: bool | None = None) -> list[Candidate]:
        """Candidates of one test input; `trained` keeps those of the untrained model (False) or all others (True)."""
        return [
            c
            for (stage, _), tests in sorted(self._found.get(name, {}).items())
            if trained is None or (stage != "base") == trained
            for c in tests[test]
        ]

    def _attempts(self, name: str, test: int) -> tuple[Grid, Grid]:
        """The ensemble of programs and the trained model first, then the untrained one, then the placeholder; two different
        grids."""
        ranked = [
            *ensemble(self.candidates(name, test, trained=True), self._select),
            *self._select(self.candidates(name, test, trained=False)),
            *placeholder(self.challenges.tasks[name].test[test].input),
        ]
        first = ranked[0]
        second = next((g for g in ranked if grid_key(g) != grid_key(first)), first)
        return first, second

    def score(self, solutions: Mapping[str, tuple[Grid, ...]]) -> Score:
        """The score of the answers as they stand. Asked again with the same solutions, it compares only what has changed: the
        progress bar asks many times a minute, and the workers wait for the interpreter meanwhile."""
        answers = self.answers
        if solutions is not self._solutions:
            self._solutions, self._solved = solutions, {}
        unscored = {name: outputs for name, outputs in solutions.items() if name not in self._solved}
        if unscored or not solutions:
            self._solved |= score(answers, unscored).solved
        return Score({name: self._solved[name] for name in solutions})

    def score_before_training(self, solutions: Mapping[str, tuple[Grid, ...]]) -> Score:
        """The score that the untrained model's answers alone would have."""
        answers = {}
        for name, outputs in solutions.items():
            answers[name] = []
            for test in range(len(outputs)):
                chosen = self._select(self.candidates(name, test, trained=False)) if name in self.challenges.tasks else ()
                answers[name].append(chosen)
        return score(answers, solutions)
