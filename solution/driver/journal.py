"""The journal: an append-only file of everything a run has done, replayed when it starts again.

In:  finished jobs. Out: one JSON object a line with its checksum, fsynced; after any kill, all but perhaps the last line.
The first line names what the results depend on (weights, preset, seed, tasks, precision): a journal of another run is put
aside, never mixed in. Two processes cannot write one journal. Not here: what the records mean for the next job
(`schedule.job`).
"""

import json
import os
import re
import shutil
import zlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..arc.task import as_grid
from ..arc.view import View
from ..decode.candidate import Candidate
from ..schedule.job import Job, Record
from .lock import take

SUMMED = re.compile(rb'(\{.*),"sum":"([0-9a-f]{8})([0-9a-f]{8})"\}\n')
"""A line with its checksum: the rest of it, the number of its run, the sum of the rest seeded with that."""


@dataclass
class Result:
    """What a job brought: its record, candidates per task and test input, and figures for the report.

    `faults`: task -> how many answers had which fault. `ttt`: steps, tokens, losses and end of the training.
    `tokens`: prompt and new tokens of the decoding. `error`: one line, where the job failed. `lost`: its device serves this
    process no more; in the journal so that the next process knows which job that was.
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
        **({"lost": True} if result.lost else {}),
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
        value.get("lost", False),
    )


class JournalBusy(OSError):
    """This journal is not this run's to write: another process has it, or its answers stand."""


class Journal:
    """Open for appending, by this process alone; `results` are those of the earlier runs that this one goes on from, `damaged`
    the number of lines that could not be read and were left out."""

    def __init__(self, path: Path, identity: dict, fresh: bool = False, keep: bool = False):
        """`identity`: what the results depend on. A journal with another identity, or any under `fresh`, is renamed aside;
        `put_aside` is then its new name. Of a damaged one the whole lines are gone on with, and a copy is put aside; a last line
        that a kill cut short is dropped. Raises `JournalBusy` where another process has it, or where under `keep` finished jobs
        would be put aside."""
        self.path = path
        self.put_aside: Path | None = None
        self.results: list[Result] = []
        self.damaged = 0
        self._run = zlib.crc32(json.dumps(identity, sort_keys=True).encode())
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = take(path.with_suffix(".lock"))
        except BlockingIOError as error:
            raise JournalBusy(f"{path}: another run is writing here; give this one another --output") from error
        if path.exists() and not (not fresh and self._replay(identity)):
            if keep and not fresh and any(line.get("kind") == "job" for line in read_lines(path)[0]):
                raise JournalBusy(f"{path}: made with other weights, options or devices, and its answers stand")
            self.put_aside = _free_name(path)
            path.rename(self.put_aside)
        new = not path.exists()
        self._file = open(path, "ab")
        if new:
            self.append({"kind": "run", "identity": identity})

    def _replay(self, identity: dict) -> bool:
        """Read the results of the journal that is there, and leave its whole lines alone in it; False where it is another's."""
        lines, damaged = _read(self.path)
        first = lines[0][0] if lines else {}
        if first.get("kind") != "run":
            lines.insert(0, (first := {"kind": "run", "identity": identity}, None))  # damaged: the others know whose they are
            if any(run != self._run for _, run in lines[1:]) or len(lines) == 1:
                return False
        if first.get("identity") != identity:
            return False
        try:
            self.results = [result_from_json(value) for value, _ in lines if value.get("kind") == "job"]
        except (KeyError, TypeError, ValueError, AttributeError):  # of a form without checksums
            return False
        self.damaged = sum(part.endswith(b"\n") for part in damaged)
        if self.damaged:
            self.put_aside = _free_name(self.path)
            shutil.copyfile(self.path, self.put_aside)
        if damaged or any(run is None for _, run in lines):
            aside = self.path.with_suffix(".part")
            with open(aside, "wb") as file:
                file.write(b"".join(line_of(value, self._run) for value, _ in lines))
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, self.path)
        return True

    def append(self, value: dict) -> None:
        """Write one line and wait until it is on the disk."""
        self._file.write(line_of(value, self._run))
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def line_of(value: dict, run: int) -> bytes:
    """A line of the journal: the value's JSON, with the run's number and a checksum as the last entry."""
    text = json.dumps(value, separators=(",", ":")).encode()
    return text[:-1] + b',"sum":"%08x%08x"}\n' % (run, zlib.crc32(text, run))


def _read(path: Path) -> tuple[list[tuple[dict, int | None]], list[bytes]]:
    """The journal's whole lines, each with its run's number, and the other lines. Without any checksum in it, as written by
    earlier versions: all lines that are JSON objects, without numbers."""
    data = path.read_bytes()
    summed, good, damaged = b',"sum":"' in data, [], []
    for line in data.splitlines(keepends=True):
        match = SUMMED.fullmatch(line)
        run = int(match[2], 16) if match else None
        whole = match and zlib.crc32(match[1] + b"}", run) == int(match[3], 16)
        try:
            value = json.loads(match[1] + b"}" if match else line) if whole or not summed else None
        except ValueError:
            value = None
        if isinstance(value, dict) and line.endswith(b"\n"):
            good.append((value, run))
        else:
            damaged.append(line)
    return good, damaged


def read_lines(path: Path) -> tuple[list[dict], int]:
    """The journal's whole lines, and how many others there are."""
    lines, damaged = _read(path)
    return [value for value, _ in lines], len(damaged)


def _free_name(path: Path) -> Path:
    number = 1
    while (name := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return name
