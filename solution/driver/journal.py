"""The journal: an append-only file of everything a run has done, replayed when it starts again.

In:  finished jobs. Out: one JSON object a line, fsynced; after any kill, all but perhaps the last line.
The first line names what the results depend on (weights, preset, seed, tasks, precision): a journal of another run is put
aside, never mixed in. Two processes cannot write one journal. Not here: what the records mean for the next job
(`schedule.job`).
"""

import fcntl
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..arc.task import as_grid
from ..arc.view import View
from ..decode.candidate import Candidate
from ..schedule.job import Job, Record


@dataclass
class Result:
    """What a job brought: its record, candidates per task and test input, and figures for the report.

    `faults`: task -> how many answers had which fault. `ttt`: steps, tokens, losses and end of the training.
    `tokens`: prompt and new tokens of the decoding. `error`: one line, where the job failed. `lost`: its device serves this
    process no more (not stored: another process may fare better).
    """

    record: Record
    candidates: dict[str, list[list[Candidate]]] = field(default_factory=dict)
    faults: dict[str, Counter] = field(default_factory=dict)
    ttt: dict | None = None
    tokens: dict[str, int] = field(default_factory=dict)
    error: str | None = None
    lost: bool = False


def _candidate_out(c: Candidate) -> dict:
    view = {"symmetry": c.view.symmetry, "colours": "".join(map(str, c.view.colours)), "order": c.view.order}
    rows = ["".join(map(str, row)) for row in c.grid]
    return {"grid": rows, "view": view, "log_prob": c.log_prob, "source": c.source, "view_log_probs": c.view_log_probs}


def _candidate_in(value: dict) -> Candidate:
    view, order = value["view"], value["view"]["order"]
    return Candidate(
        as_grid([[int(v) for v in row] for row in value["grid"]]),
        View(view["symmetry"], tuple(map(int, view["colours"])), None if order is None else tuple(order)),
        value["log_prob"],
        value["source"],
        tuple(value["view_log_probs"]),
    )


def result_to_json(result: Result) -> dict:
    """One journal line of a result."""
    return {
        "kind": "job",
        "record": asdict(result.record),
        "candidates": {t: [[_candidate_out(c) for c in test] for test in tests] for t, tests in result.candidates.items()},
        "faults": {t: dict(f) for t, f in result.faults.items()},
        "ttt": result.ttt,
        "tokens": result.tokens,
        "error": result.error,
    }


def result_from_json(value: dict) -> Result:
    """The result of a journal line."""
    record = dict(value["record"])
    job = dict(record.pop("job"))
    job["tasks"] = tuple(job["tasks"])
    return Result(
        Record(job=Job(**job), **record),
        {t: [[_candidate_in(c) for c in test] for test in tests] for t, tests in value["candidates"].items()},
        {t: Counter(f) for t, f in value["faults"].items()},
        value["ttt"],
        value["tokens"],
        value["error"],
    )


class JournalBusy(OSError):
    """This journal is not this run's to write: another process has it, or its answers stand."""


class Journal:
    """Open for appending, by this process alone; `results` are those of the earlier runs that this one goes on from."""

    def __init__(self, path: Path, identity: dict, fresh: bool = False, keep: bool = False):
        """`identity`: what the results depend on. A journal with another identity, a damaged one, or any under `fresh`, is
        renamed aside; `put_aside` is then its new name. A last line that a kill cut short is dropped. Raises `JournalBusy`
        where another process has it, or where under `keep` finished jobs would be put aside."""
        self.path = path
        self.put_aside: Path | None = None
        self.results: list[Result] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = open(path.with_suffix(".lock"), "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise JournalBusy(f"{path}: another run is writing here; give this one another --output") from error
        if path.exists() and not (not fresh and self._replay(identity)):
            self.results = []
            if keep and not fresh and any(line.get("kind") == "job" for line in read_lines(path)[0]):
                raise JournalBusy(f"{path}: made with other weights, options or devices, and its answers stand")
            self.put_aside = _free_name(path)
            path.rename(self.put_aside)
        new = not path.exists()
        self._file = open(path, "ab")
        if new:
            self.append({"kind": "run", "identity": identity})

    def _replay(self, identity: dict) -> bool:
        """Read the results of the journal that is there, and cut off a last line that is not whole; False where it is
        another run's, or damaged in its middle."""
        lines, good_bytes = read_lines(self.path)
        if not lines or lines[0].get("identity") != identity:
            return False
        if b"\n" in self.path.read_bytes()[good_bytes:].rstrip(b"\n"):
            return False
        try:
            self.results = [result_from_json(line) for line in lines if line.get("kind") == "job"]
        except (KeyError, TypeError, ValueError):
            return False
        os.truncate(self.path, good_bytes)
        return True

    def append(self, value: dict) -> None:
        """Write one line and wait until it is on the disk."""
        self._file.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def read_lines(path: Path) -> tuple[list[dict], int]:
    """The journal's lines, and the number of bytes they take: reading stops at the first line that is not whole."""
    lines, good_bytes = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            value = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(value, dict):
            break
        lines.append(value)
        good_bytes += len(line)
    return lines, good_bytes


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return name
