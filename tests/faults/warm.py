"""A process that has imported everything and loaded the embedded weights, and forks a run of `submission.py` when told to.

In:  orders, a JSON object a line: arguments, environment, injections (`injections`). Out: the run's process number; when asked to
wait for one, its exit code and what it printed. Not here: what must hold of it (`judge`).
"""

import fcntl
import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOM = 2**20
"""Bytes that a run may print."""


@dataclass(frozen=True)
class Ended:
    """A run that ended: its exit code (negative: the signal that ended it), and what it printed."""

    code: int
    printed: str

    def lines(self, words: str) -> list[str]:
        return [line for line in self.printed.splitlines() if words in line]


class Warm:
    """The client's side."""

    def __init__(self):
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.warm"], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def _ask(self, order: dict) -> dict:
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return json.loads(self._server.stdout.readline())

    def start(self, folder: Path, *arguments: str, injections: list | None = None, **environment: str) -> int:
        """Begin a run in `folder` on its `challenges.json`; -> its process number."""
        line = ["--input", str(folder / "challenges.json"), "--output", str(folder / "submission.json"), *arguments]
        return self._ask({"arguments": line, "environment": environment, "injections": injections or []})["pid"]

    def wait(self, number: int) -> Ended:
        return Ended(**self._ask({"wait": number}))

    def go(self, folder: Path, *arguments: str, **named) -> Ended:
        """A run from its beginning to its end."""
        return self.wait(self.start(folder, *arguments, **named))

    def close(self) -> None:
        self._server.kill()
        self._server.wait()


def _serve() -> None:
    import torch

    torch.set_num_threads(1)  # no thread may be there when it forks
    import solution.driver.setup  # noqa: F401 - with all that it imports
    from solution.driver import startup
    from solution.models.load import load
    from solution.models.manifest import default_weights
    from solution.preset import PRESETS

    from . import injections  # noqa: F401

    model = load(default_weights("cpu"), torch.device("cpu"), PRESETS["test"].lora)
    startup.load = lambda *_, **__: model
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    printed: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            with os.fdopen(printed.pop(order["wait"]), errors="replace") as pipe:
                answer = {"code": os.waitstatus_to_exitcode(status), "printed": pipe.read()}
        else:
            ours, theirs = os.pipe()  # no limit on files holds for it
            fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, ROOM)
            number = os.fork()
            if not number:
                _run(order, theirs)
            os.close(theirs)
            printed[number], answer = ours, {"pid": number}
        print(json.dumps(answer), file=answers, flush=True)


def _run(order: dict, printed: int) -> None:
    """The forked process: `submission.py` as a user starts it, with faults injected."""
    from .injections import INJECTIONS

    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream in (1, 2):
            os.dup2(printed, stream)
        os.environ.update(order["environment"])
        for name, arguments in order["injections"]:
            INJECTIONS[name](**arguments)
        sys.argv = [str(ROOT / "submission.py"), *order["arguments"]]
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as left:
        code = left.code
    except BaseException as error:
        traceback.print_exc()
        code = 130 if isinstance(error, KeyboardInterrupt) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
