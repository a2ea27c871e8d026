"""Program search on a public set: tasks and outputs solved with two attempts, precision, behaviours a second.

    python -m tests.benchmarks.program_search --set training --tries 40000 --every 4

One process a core, each task with so many tries. `--profile` prints where one process spends its time.
"""

import argparse
import cProfile
import multiprocessing
import os
import pstats
import time


def one(job):
    from solution.arc.score import solved_tests
    from solution.program.solve import solve

    task, solution, tries = job
    start = time.process_time()
    result = solve(task, tries)
    seconds = time.process_time() - start
    attempts = [result.attempts(test) for test in range(len(task.test))]
    flags = solved_tests(attempts, solution)
    cheapest = result.explanations[0] if result.explanations else None
    return task.id, flags, len(result.explanations), result.nodes, seconds, cheapest and (cheapest.cost, cheapest.program)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=("training", "evaluation"), default="training")
    parser.add_argument("--tries", type=int, default=40000, help="steps tried a task")
    parser.add_argument("--every", type=int, default=1, help="only every so many-th task by id")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    from solution.arc.load import public_evaluation, public_training

    challenges, solutions = public_training() if options.set == "training" else public_evaluation()
    names = sorted(challenges.tasks)[:: options.every]
    jobs = [(challenges.tasks[name], solutions[name], options.tries) for name in names]
    start = time.monotonic()
    if options.profile:
        with cProfile.Profile() as profile:
            found = list(map(one, jobs))
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    else:
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            found = list(pool.imap_unordered(one, jobs, chunksize=1))
    wall = time.monotonic() - start
    for name, flags, number, nodes, seconds, cheapest in sorted(found):
        if number:
            print(
                f"{name} {'right' if all(flags) else 'WRONG'} {number} answers, {nodes} behaviours, {seconds:.1f} s, {cheapest}"
            )
    solved = sum(all(flags) for _, flags, *_ in found)
    outputs = sum(sum(flags) for _, flags, *_ in found)
    fitted = sum(number > 0 for _, _, number, *_ in found)
    nodes, seconds = sum(f[3] for f in found), sum(f[4] for f in found)
    print(f"{options.set}: {solved} of {len(found)} tasks, {outputs} of {sum(len(f[1]) for f in found)} outputs")
    print(f"{fitted} tasks with a program that fits every demonstration, {solved / max(1, fitted):.0%} of them solved")
    print(
        f"{nodes / seconds:.0f} behaviours a CPU second, {seconds:.0f} CPU seconds, {wall:.0f} s, {options.processes} processes"
    )


if __name__ == "__main__":
    main()
