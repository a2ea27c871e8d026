"""The Kaggle box by hand: python -m tests.kaggle_box --help. Exit code 1 and the faults where a submission would have failed."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .box import digest, judge, lay_out, namespaces, run, small_tasks
from .image import LACKING, fresh, kernel_spec, linked, wheelhouse
from .inside import CPUS, MEMORY

SCALES = {"ci": ("--preset test --budget 11h", 4), "full": ("--budget 150s", 8)}
"""Scale -> options for the driver, number of tasks."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.kaggle_box",
        description="Run the submit notebook as shipped in an imitation of a Kaggle session (read-only input, no network, "
        "competition rerun) and check what it leaves.",
        epilog="example: python -m tests.kaggle_box --scale full --python python3.12 --torch torch==2.10.0",
    )
    parser.add_argument("--scale", choices=SCALES, default="ci", help="ci: this environment's torch and transformers by links, "
                        "wheels of the rest. full: a fresh image, wheels of everything (%(default)s)")  # fmt: skip
    parser.add_argument("--python", default=sys.executable, help="full: the image's Python (the one that runs this)")
    parser.add_argument("--torch", default="torch==2.13.0", help="full: the image's torch (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    options = parser.parse_args()
    command, why = namespaces()
    if command is None:
        print(f"no box here: {why}", file=sys.stderr)
        return 2
    root = Path(tempfile.mkdtemp(prefix="kaggle_box."))
    print(f"{root}: at most {CPUS} CPUs and {MEMORY // 2**30} GB, as a T4 x2 session has; {' '.join(command)}", flush=True)
    try:
        verdict = session(root, command, options)
    finally:
        if not options.keep:
            shutil.rmtree(root, ignore_errors=True)
    print(verdict.told)
    print("\n".join(verdict.faults) or "no faults")
    print(f"{verdict.tasks} tasks, {verdict.answered} decoded, {verdict.working_bytes} bytes in the working folder")
    return 1 if verdict.faults else 0


def session(root: Path, command: list[str], options: argparse.Namespace):
    """Lay out, run and judge; prints what each part took."""
    arguments, num_tasks = SCALES[options.scale]
    start = time.monotonic()

    def lap(what: str) -> None:
        nonlocal start
        print(f"{what}: {time.monotonic() - start:.1f} s", flush=True)
        start = time.monotonic()

    full = options.scale == "full"
    python = fresh(root / "image", options.python, options.torch) if full else linked(root / "image")
    lap("image")
    kernel_spec(python, root / "jupyter")
    lay_out(root, small_tasks(num_tasks))
    lap("datasets")
    wheelhouse(python, root / "kaggle" / "input" / "arc-prize-wheels", None if full else LACKING)
    lap("wheels")
    before = digest(root / "kaggle" / "input")
    result = run(root, command, arguments)
    lap("notebook")
    return judge(root, result, before)


if __name__ == "__main__":
    sys.exit(main())
