"""Fits the gain model (`solution.schedule.gain`) to recorded runs, and says what its numbers are worth.

    python -m tests.benchmarks.gain_fit held.run dev.run --seen train20.run --check eval.run

RUN: journals, or folders that hold one, of tasks whose rules the weights were not trained on. `--seen`: of tasks whose rules
they were; these say how chances change with what is shown, not how high they are. `--check`: of public evaluation tasks, on
which the fitted numbers are only rated. Tasks are ARC-AGI-1's training set and ARC-AGI-2's training tasks that are in neither
set of ARC-AGI-1; or those of `--input` and `--solutions`. Journals with searches come first, of tasks that others trained.
Every job's begin is a case: what the journal showed then, and what came of it; of a training its half, too. Curves are logistic
with priors (`PRIORS`). Features join one by one, each time the one that lowers the log loss of tasks left out most, as long as
one `PAYS` and there are cases enough of either outcome (`EVENTS`).
Printed: the numbers to paste, with standard errors; log loss, left out, of every choice; how often what was foretold came true.
Not here: reading a journal line (`driver.journal`), the fit itself (`schedule.impute.fit_curve`).
"""

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from solution.arc.load import Challenges, load_challenges, load_solutions, public_evaluation
from solution.arc.score import solved_tests
from solution.codec.arc16 import Arc16
from solution.driver.board import Board
from solution.driver.journal import Result
from solution.driver.setup import task_size
from solution.report.outcome import read_run
from solution.schedule.gain import FEATURES, Gains, Odds
from solution.schedule.impute import fit_curve
from solution.schedule.job import Progress, Shown, TaskSize
from solution.schedule.recorded import preset_of
from solution.select.vote import agreement, sureness

from .program_search import tasks_of

PRIORS = {
    "size": (-0.87, 0.25),
    "untrained": (0.3, 0.5),
    "agreement": (2.0, 1.5),
    "log_prob": (0.5, 0.5),
    "loss": (-0.3, 0.3),
    "explained": (0.0, 1.0),
    "fitting": (0.0, 1.0),
    "seen": (0.0, 2.0),
}
"""Mean and standard deviation of the normal prior on each slope. Of size, the mean is measured: 20,000 tries of program search
on all 400 public training tasks. The others: a guess that a sure model is righter, wide enough to be overruled."""
PAYS = 0.005
"""Nats a case by which a feature has to lower the log loss of tasks left out."""
EVENTS = 3
"""Cases of the rarer outcome that there have to be for each feature."""
CURVES = {
    "before": (("size",), ("untrained", "explained")),
    "during": (("size",), ("loss", "untrained", "explained")),
    "after": (("size",), ("agreement", "log_prob", "loss", "explained")),
    "more": (("size",), ("agreement", "log_prob", "loss")),
    "first": (("size",), ()),
    "second": (("size",), ("fitting",)),
}
"""The features that each curve of `Gains` always has, and those that it may have."""
PROGRAMS = ("first", "second")
BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)


@dataclass(frozen=True)
class Case:
    """The begin of a job. `right`: what the curve is to foretell. `seen`: 1 where rules of this kind were known when the
    weights, or the vocabulary of the programs, were made."""

    task: str
    size: TaskSize
    shown: Shown
    right: bool
    seen: float


@dataclass(frozen=True)
class Fit:
    """A curve with its standard errors (of the slopes, `seen` last where it varies, then of the level), and for every case the
    chance that it had when the case's task was left out."""

    odds: Odds
    errors: tuple[float, ...]
    left_out: tuple[float, ...]


def completed(result: Result) -> Result:
    """The result with what records of earlier versions lack."""
    record, job = result.record, result.record.job
    if job.stage == "program":
        (tests,) = result.candidates.values()
        best = [max((c.log_prob for c in test), default=None) for test in tests]
        confidence = None if None in best else math.exp(min(best))
        return replace(result, record=replace(record, confidence=record.confidence or confidence))
    shares, sure = {}, {}
    for name, tests in result.candidates.items():
        shares[name] = min(agreement(test) * len(test) for test in tests) / job.num_views
        if all(tests):
            sure[name] = min(map(sureness, tests))
    loss = record.loss if result.ttt is None else last_quarter(result.ttt["losses"])
    return replace(result, record=replace(record, agreement=shares, log_prob=sure, loss=loss))


def last_quarter(losses: Sequence[float]) -> float | None:
    """The mean of the last quarter of losses; None without any."""
    last = losses[-max(1, len(losses) // 4) :]
    return fmean(last) if last else None


class Cases:
    """Cases by curve. `add` journals, those with program searches first: what programs found is shown to the later ones."""

    def __init__(self, challenges: Challenges, solutions):
        self.challenges, self._solutions = challenges, solutions
        self._sizes = {name: task_size(task, Arc16("grid")) for name, task in challenges.tasks.items()}
        self._searched: dict[str, list[Result]] = {}
        self.by_curve: dict[str, list[Case]] = defaultdict(list)
        self.spoilt: list[bool] = []  # whether further views made wrong what was right
        self.cheap: list[Case] = []  # cheap answers of weights that do not know the rules
        self.explained: list[bool] = []  # of the vocabulary, for either kind of task

    def add(self, path: Path, seen: float, known: Callable[[str], bool]) -> None:
        """Take a journal's cases. `seen`: of the weights; `known`: whether the vocabulary was written for such a task."""
        run = read_run(path / "journal.jsonl" if path.is_dir() else path, self.challenges)
        preset = preset_of(run.identity["preset"])
        for name, jobs in sorted(run.by_task().items()):
            done = {key: completed(result) for key, result in jobs.items() if not result.record.cut}
            searches = [done[key] for key in sorted(done) if key[0] == "program"]
            if searches and name not in self._searched:
                self._searched[name] = searches
                self._programs(name, preset.select, searches, float(known(name)))
            self._neural(name, preset, done, seen)

    def _right(self, board: Board, name: str) -> bool:
        return all(solved_tests(board.answers[name], self._solutions[name]))

    def _board(self, name: str, method: str) -> Board:
        return Board(Challenges({name: self.challenges.tasks[name]}, {}), method)

    def _case(self, curve: str, name: str, shown: Shown, right: bool, seen: float) -> None:
        self.by_curve[curve].append(Case(name, self._sizes[name], shown, right, seen))

    def _programs(self, name: str, method: str, searches: Sequence[Result], known: float) -> None:
        board, progress = self._board(name, method), Progress()
        for number, search in enumerate(searches[:2]):
            before = self._right(board, name)
            shown = progress.shown(name)
            board.add(search)
            progress.add(search.record)
            if search.record.job.first_view == number and not before:
                self._case(PROGRAMS[number], name, shown, self._right(board, name), known)
        if name in progress.explained:
            self.explained.append(self._right(board, name))

    def _neural(self, name: str, preset, done: dict, seen: float) -> None:
        board, progress = self._board(name, preset.select), Progress()
        for search in self._searched.get(name, ()):
            progress.add(search.record)
        base, ttt, views = done.get(("base", 0)), done.get(("ttt", 0)), done.get(("views", preset.first_views))
        if base is not None:
            board.add(base)
            progress.add(base.record)
            if not seen:
                self.cheap.append(Case(name, self._sizes[name], Shown(), self._right(board, name), seen))
        if ttt is None:
            return
        untrained = progress.shown(name)
        board.add(ttt)
        progress.add(ttt.record)
        right, shown, losses = self._right(board, name), progress.shown(name), ttt.ttt["losses"]
        half = preset.train.steps // 2
        self._case("before", name, untrained, right, seen)
        if half and len(losses) > half:
            self._case("during", name, replace(untrained, loss=last_quarter(losses[:half])), right, seen)
        self._case("after", name, shown, right, seen)
        if views is not None and shown.agreement < preset.agreement:
            board.add(views)
            if not right:
                self._case("more", name, shown, self._right(board, name), seen)
            else:
                self.spoilt.append(not self._right(board, name))


def values(cases: Sequence[Case], names: Sequence[str]) -> np.ndarray:
    """Features, (cases, features); what was not measured is the mean of what was."""
    table = np.array([[FEATURES[n](c.size, c.shown) for n in names] for c in cases], float).reshape(len(cases), len(names))
    known = ~np.isnan(table)
    means = np.where(known, table, 0).sum(0) / np.maximum(1, known.sum(0))
    return np.where(known, table, means)


def fitted(cases: Sequence[Case], names: tuple[str, ...], at: float) -> tuple[Odds, tuple[float, ...]]:
    """The curve for rules of which `at` are known (0 to 1), and standard errors as in `Fit`."""
    x, seen = values(cases, names), np.array([c.seen for c in cases])
    columns = names + (("seen",) if np.ptp(seen) > 0 else ())
    x = np.column_stack([x, seen])[:, : len(columns)]
    y = [float(c.right) for c in cases]
    if not columns:
        chance = (sum(y) + 0.5) / (len(y) + 1)
        return Odds(math.log(chance / (1 - chance))), ((len(y) * chance * (1 - chance)) ** -0.5,)
    curve = fit_curve(x, y, [PRIORS[name] for name in columns])
    slopes, centre = np.array(curve.slopes), np.array(curve.centre)
    p = 1 / (1 + np.exp(-curve.level - (x - centre) @ slopes))
    design = np.column_stack([x - centre, np.ones(len(x))])
    penalty = np.diag([PRIORS[name][1] ** -2 for name in columns] + [0.0])
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]) + penalty)))
    count = len(names)
    level = curve.level + float(((at - centre[count:]) * slopes[count:]).sum())
    return Odds(level, names, curve.slopes[:count], curve.centre[:count]), tuple(map(float, errors))


def leave_one_out(cases: Sequence[Case], names: tuple[str, ...]) -> tuple[float, ...]:
    """Each case's chance by the curve that was fitted without its task."""
    found = []
    for case in cases:
        others = [other for other in cases if other.task != case.task]
        found.append(fitted(others, names, case.seen)[0](case.size, case.shown))
    return tuple(found)


def losses(chances: Iterable[float], cases: Sequence[Case]) -> list[float]:
    """Log loss of every case, nats."""
    return [-math.log(p if c.right else 1 - p) for p, c in zip(chances, cases)]


def chosen(curve: str, cases: Sequence[Case], at: float) -> Fit:
    """The curve with the features that pay. Prints what each would bring."""
    names, open_ones = CURVES[curve]
    left_out = leave_one_out(cases, names)
    score = losses(left_out, cases)
    print(f"\n{curve}: {len(cases)} cases, {sum(c.right for c in cases)} right; log loss left out {fmean(score):.4f} "
          f"with {' '.join(names) or 'its level alone'}")  # fmt: skip
    rarer = min(sum(c.right for c in cases), sum(not c.right for c in cases))
    while open_ones and rarer >= EVENTS * (len(names) + 1):
        tried = {name: leave_one_out(cases, (*names, name)) for name in open_ones if measured(cases, name)}
        scores = {name: losses(chances, cases) for name, chances in tried.items()}
        for name, new in scores.items():
            change = [a - b for a, b in zip(new, score)]
            print(f"   and {name}: {fmean(change):+.4f} (standard error {stdev(change) / math.sqrt(len(change)):.4f})")
        best = min(scores, key=lambda name: sum(scores[name]), default=None)
        if best is None or fmean(scores[best]) > fmean(score) - PAYS:
            break
        print(f"   kept: {best}")
        names, left_out, score = (*names, best), tried[best], scores[best]
        open_ones = tuple(name for name in open_ones if name != best)
    odds, errors = fitted(cases, names, at)
    return Fit(odds, errors, left_out)


def measured(cases: Sequence[Case], name: str) -> bool:
    """Whether a feature is known of any case, and not the same of all."""
    return len({FEATURES[name](c.size, c.shown) for c in cases} - {None}) > 1


def describe(curve: str, fit: Fit, cases: Sequence[Case]) -> None:
    """Print the numbers to paste, and what they are worth."""
    odds = fit.odds

    def numbers(found):
        return f"({''.join(f'{value:.2f}, ' for value in found)})".replace(", )", ",)" if len(found) == 1 else ")")

    print(f"    {curve}: Odds = Odds({odds.level:.2f}, {odds.names}, {numbers(odds.slopes)}, {numbers(odds.means)})")
    known = fitted(cases, odds.names, 1.0)[0].level - fitted(cases, odds.names, 0.0)[0].level
    errors = ", ".join(f"{error:.2f}" for error in fit.errors)
    print(f"    # standard errors: {errors}; where the rules are known: {known:+.2f}")


def describe_rates(cases: Cases) -> None:
    """Print what is a number without features in `Gains`."""
    spoilt, explained, cheap = cases.spoilt, cases.explained, cases.cheap
    print(f"\nfurther views made wrong what was right: {sum(spoilt)} of {len(spoilt)}; half a case of "
          f"either added: {(sum(spoilt) + 0.5) / (len(spoilt) + 1):.2f}")  # fmt: skip
    print(f"explained by programs and right: {sum(explained)} of {len(explained)}")
    if cheap:
        odds, _ = fitted(cheap, ("size",), 0.0)
        chances = (f"{odds(TaskSize(tokens, 0, tokens, 1, 1), Shown()):.4f} at {tokens}" for tokens in (500, 1000, 2000, 4000))
        print(f"cheap answers right: {sum(c.right for c in cheap)} of {len(cheap)}; by size: {', '.join(chances)} tokens")


def calibration(chances: Sequence[float], cases: Sequence[Case]) -> None:
    """Print how often what was foretold came true, and the scores of it."""
    if not cases:
        return
    brier = fmean((p - c.right) ** 2 for p, c in zip(chances, cases))
    print(f"   log loss {fmean(losses(chances, cases)):.4f}, Brier score {brier:.4f}, foretold {sum(chances):.1f} "
          f"of {len(cases)}, right {sum(c.right for c in cases)}")  # fmt: skip
    for low, high in zip(BINS, BINS[1:]):
        mine = [(p, c.right) for p, c in zip(chances, cases) if low <= p < high]
        if mine:
            print(f"   {low:4.2f} to {high:4.2f}: {len(mine):4} cases, foretold {fmean(p for p, _ in mine):.3f}, "
                  f"right {fmean(r for _, r in mine):.3f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="rules that the weights were not trained on")
    parser.add_argument("--seen", type=Path, nargs="*", default=[], metavar="RUN", help="rules that they were trained on")
    parser.add_argument("--check", type=Path, nargs="*", default=[], metavar="RUN", help="public evaluation: rated only")
    parser.add_argument("--input", help="challenges of RUN and --seen")
    parser.add_argument("--solutions", help="their solutions")
    options = parser.parse_args()
    training = tasks_of("training")
    if options.input:
        challenges = load_challenges(options.input)
        solutions = load_solutions(options.solutions, challenges.tasks)
    else:
        development = tasks_of("development")
        challenges, solutions = Challenges(training[0] | development[0], {}), training[1] | development[1]
    cases = Cases(challenges, solutions)
    for path, seen in [(path, 1.0) for path in options.seen] + [(path, 0.0) for path in options.runs]:
        cases.add(path, seen, training[0].__contains__)
    fits = {}
    for curve in CURVES:
        # The vocabulary was written for training tasks, and is tried on others here: what it meets is taken to lie between.
        if cases.by_curve[curve]:
            fits[curve] = chosen(curve, cases.by_curve[curve], 0.5 if curve in PROGRAMS else 0.0)
    describe_rates(cases)
    print("\nto paste into solution/schedule/gain.py:")
    for curve, fit in fits.items():
        describe(curve, fit, cases.by_curve[curve])
    for curve, fit in fits.items():
        print(f"\n{curve}, tasks left out:")
        calibration(fit.left_out, cases.by_curve[curve])
    if options.check:
        rate(options.check, replace(Gains(), **{curve: fit.odds for curve, fit in fits.items()}))


def rate(paths: Sequence[Path], gains: Gains) -> None:
    """Print how numbers do on runs on public evaluation tasks."""
    cases = Cases(*public_evaluation())
    for path in paths:
        cases.add(path, 0.0, lambda name: False)
    for curve in CURVES:
        mine = cases.by_curve[curve]
        print(f"\n{curve}, public evaluation tasks:")
        calibration([getattr(gains, curve)(c.size, c.shown) for c in mine], mine)


if __name__ == "__main__":
    main()
