"""Where a Kaggle run happens, how it tells, and how it takes a fault: an ordinary run stops, the competition rerun goes on.

In:  lines, faults, commands. Out: the same lines in the notebook and in notebook.log. Standard library only.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..command import one_line

PROJECT = Path(__file__).resolve().parents[2]
RERUN = "KAGGLE_IS_COMPETITION_RERUN"
POLL_SECONDS = 0.2
KILL_SECONDS = 30.0
"""How long a killed process is waited for."""


class StartError(RuntimeError):
    """The run cannot go on; the message is one line that says what is wrong."""


def show(text: str) -> None:
    """Print as much as the notebook takes: what its encoding does not have is escaped, where nobody reads it is dropped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError):
        print(text.encode(encoding, "backslashreplace").decode(encoding), end="", flush=True)


@dataclass(frozen=True)
class Place:
    """Kaggle's folders. `rerun`: this is the run that counts, over the hidden tasks."""

    input: Path = Path("/kaggle/input")
    working: Path = Path("/kaggle/working")
    temp: Path = Path("/kaggle/temp")
    rerun: bool = False

    @staticmethod
    def here() -> "Place":
        return Place(rerun=bool(os.environ.get(RERUN)))

    @property
    def log(self) -> Path:
        return self.working / "notebook.log"

    def say(self, line: str) -> None:
        """One line in the notebook and in the log, whatever it holds; a log on a full disk goes without."""
        line = one_line(line)
        show(line + "\n")
        with contextlib.suppress(OSError), open(self.log, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def fault(self, message: str, instead: str) -> None:
        """Say what is wrong and what is done instead, in the rerun; raise `StartError` in any other run."""
        if not self.rerun:
            raise StartError(message)
        self.say(f"{message}: {instead}")

    def guarded(self, step: Callable, instead: str):
        """What `step` returns; where it raises, None and a `fault`: in the rerun nothing may keep the driver from running."""
        try:
            return step()
        except Exception as error:
            self.fault(" ".join(str(error).split()) or type(error).__name__, instead)
            return None

    def run(self, command: list[str], environment: dict[str, str], folder: Path, seconds: float | None = None) -> int:
        """Run a command in `folder`, its output into the log and, as it comes, into the notebook; its exit code.

        The command writes to the file, not to a pipe: neither a notebook that does not read nor a process that the command
        leaves behind can hold it up. After `seconds` it is killed; what it started is killed in any case.
        """
        end = time.monotonic() + seconds if seconds else None
        with open(self.log, "ab") as log, open(self.log, encoding="utf-8", errors="replace") as shown:
            shown.seek(0, os.SEEK_END)
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True)
            try:
                while process.poll() is None and (end is None or time.monotonic() < end):
                    show(shown.read())
                    time.sleep(POLL_SECONDS)
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                try:
                    code = process.wait(KILL_SECONDS)
                except subprocess.TimeoutExpired:  # stuck in a device's driver
                    code = -signal.SIGKILL
            show(shown.read())
        return code
