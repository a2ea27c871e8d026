"""What a run writes and may not harm: looked at and locked before the first byte, and the submission until answers come.

In:  --output, what is read. Out: `InputError` of one line, or a `Claim`: the run's folder, this process's alone.
A refused command leaves everything as it was. Not here: what a submission holds (`arc.submission`), the journal (`journal`).
"""

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from ..arc.load import Challenges, InputError
from ..arc.submission import OutputError, aside_of, placeholders, validate_submission, write_submission
from .lock import take

LOCK = "run.lock"


def log_of(output: Path) -> Path:
    return output.with_suffix(".log")


def folder_of(output: Path) -> Path:
    return output.with_suffix(".run")


def check_output(output: Path, reads: Iterable[tuple[str, Path]], anything: bool = False) -> None:
    """Raises `InputError` where a run may not write to `output` and beside it. `reads`: what the command reads, as pairs of
    option and file or folder, however they are linked. `anything`: whatever file is there may be replaced."""
    for path in (output, Path(os.path.realpath(output))):
        if path.is_dir():
            raise InputError(f"--output: {output} is a folder, give a file in it")
        if path.suffix in (".log", ".run"):
            raise InputError(f"--output: {output} would be the run's own log or folder")
    for path in (output, log_of(output)):
        if path.exists() and not path.is_file():
            raise InputError(f"--output: {path} is no regular file")
    if os.path.lexists(folder_of(output)) and not folder_of(output).is_dir():
        raise InputError(f"--output: {folder_of(output)}, for the run's journal, is there and no folder")
    for option, read in reads:
        for file in read.iterdir() if read.is_dir() else [read]:
            for path in (output, log_of(output)):
                if path.exists() and file.is_file() and path.samefile(file):
                    raise InputError(f"--output: {path} is what {option} reads")
    if not anything and not _may_go(output):
        raise InputError(f"--output: {output} is there and no submission: give another file")
    if log_of(output).exists() and not os.access(log_of(output), os.W_OK):
        raise InputError(f"--output: {log_of(output)}, the run's log, cannot be written")


def _may_go(path: Path) -> bool:
    """Whether nothing but an earlier submission, whole or damaged, is lost where a file is replaced."""
    try:
        data = path.read_bytes()
    except OSError:  # none is there, or `Claim` will say
        return True
    return data.strip() in (b"", b"{}") or b'"attempt_1"' in data


class Claim:
    """The run's folder, which no other run writes to while this object lives, and the first submission: placeholders."""

    def __init__(self, output: Path, challenges: Challenges, keep: bool = False):
        """`keep`: placeholders stay even where the command is refused. Raises `OutputError` where nothing can be written there,
        `InputError` where another run is at work."""
        self.output, self._challenges, self._keep = output, challenges, keep
        self._writing, self._settled, self._made = threading.Lock(), False, False
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            folder_of(output).mkdir(exist_ok=True)
            with open(aside_of(output), "wb"):  # tried out now, not when the first answer comes
                pass
            os.unlink(aside_of(output))
            self._lock = take(folder_of(output) / LOCK)
        except BlockingIOError as error:
            raise InputError(f"--output: another run is writing to {output}: give this one another file") from error
        except OSError as error:
            raise OutputError(f"--output: {output} cannot be written: {error.strerror}") from error

    @property
    def is_new(self) -> bool:
        """Whether nothing is lost by writing: no file is there."""
        return not os.path.lexists(self.output)

    def first(self) -> None:
        """Write placeholders, unless a valid submission of these tasks is there: an earlier run's, and better than nothing. Once;
        from any thread. Raises `OutputError`."""
        with self._writing:
            if not self._settled and validate_submission(self.output, self._challenges.num_tests):
                self._made = self.is_new
                write_submission(self.output, placeholders(self._challenges))
            self._settled = True

    def last(self) -> None:
        """`first`, as the budget ends: what cannot be written then is left as it is."""
        try:
            self.first()
        except OutputError:
            pass

    def withdraw(self) -> None:
        """Take away the placeholders of a command that was refused after all, where no file was before."""
        with self._writing:
            self._settled = True
            if self._made and not self._keep:
                self.output.unlink(missing_ok=True)
