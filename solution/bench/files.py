"""The files of a bench run: OUT/STAGE.json and OUT/STAGE.txt of each stage, OUT/summary.txt, and the few that travel.

In:  outcomes of stages. Out: files, each replaced whole, so that a reader never meets half of one. Light to import.
Not here: who writes when (`frame`), weights (`train`).
"""

import io
import json
import os
import shutil
import tarfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .context import Result

PARTIAL, OK, CUT, FAILED, SKIPPED = "partial", "ok", "cut", "FAILED", "skipped"
KEY_LINES = 12
"""Lines of a stage that the summary shows."""
SMALL, ARCHIVED = 6 << 20, 14 << 20
"""Bytes of a file beyond which it does not go into the archive, and of all in it, small ones first."""
WEIGHTS, ARCHIVE = "weights", "results.tar.gz"


@dataclass(frozen=True)
class Outcome:
    """What came of a stage: one of the states above, seconds it took of its box, one line of why it is not ok, its result."""

    stage: str
    state: str = PARTIAL
    seconds: float = 0.0
    box: float = 0.0
    fault: str = ""
    result: Result = Result()

    def write(self, out: Path) -> None:
        """OUT/STAGE.json and OUT/STAGE.txt."""
        values = asdict(replace(self, result=Result())) | {"values": self.result.values, "lines": self.result.lines}
        del values["result"]
        write_whole(out / f"{self.stage}.json", json.dumps(values, indent=1, default=str) + "\n")
        write_whole(out / f"{self.stage}.txt", "\n".join([self.headline, *self.result.lines]) + "\n")

    @classmethod
    def read(cls, out: Path, stage: str) -> "Outcome":
        """What the stage wrote last; an empty outcome where it wrote nothing."""
        try:
            values = json.loads((out / f"{stage}.json").read_text())
        except (OSError, ValueError):
            return cls(stage)
        result = Result(values.pop("values"), values.pop("lines"))
        return cls(**values, result=result)

    @property
    def headline(self) -> str:
        why = f": {self.fault}" if self.fault else ""
        return f"{self.stage:<10} {self.state:<8} {self.seconds:6.1f} s of {self.box:.0f}{why}"


def summary(outcomes: list[Outcome], title: str) -> str:
    """The table at the end: for each stage a headline and its first lines."""
    lines = [title]
    for outcome in outcomes:
        shown = outcome.result.lines[:KEY_LINES]
        more = len(outcome.result.lines) - len(shown)
        lines += ["", outcome.headline, *(f"  {line}" for line in shown)]
        lines += [f"  ... {more} more lines in {outcome.stage}.txt"] if more else []
    return "\n".join(lines) + "\n"


def write_whole(path: Path, content: str | bytes) -> None:
    aside = path.with_name(path.name + ".new")
    aside.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(aside, path)


def stamp(path: Path) -> tuple[int, int]:
    """What tells two states of a file apart, and goes with a copy of it."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def keep(out: Path, target: Path) -> None:
    """Copy what has to travel to `target`, in as few files as can be: the weights' shards, and one archive of all that is small.

    `tar xzf results.tar.gz` beside the shards gives the layout of OUT again.
    """
    shards = sorted((out / WEIGHTS).glob("*/*.safetensors"))
    for old in (target / WEIGHTS).glob("*/*.safetensors"):
        if out / old.relative_to(target) not in shards:
            old.unlink()  # of a checkpoint that another has replaced
    for shard in shards:
        copy = target / shard.relative_to(out)
        if not copy.exists() or stamp(copy) != stamp(shard):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(shard, copy.with_name(copy.name + ".new"))
            os.replace(copy.with_name(copy.name + ".new"), copy)
    target.mkdir(parents=True, exist_ok=True)
    packed, room = io.BytesIO(), ARCHIVED
    skipped = (".safetensors", ".new")
    files = [p for p in out.rglob("*") if p.is_file() and not p.is_symlink() and p.suffix not in skipped]
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for size, path in sorted((p.stat().st_size, p) for p in files if target.resolve() not in p.resolve().parents):
            room -= size
            if size <= SMALL and room >= 0:
                archive.add(path, path.relative_to(out))
    write_whole(target / ARCHIVE, packed.getvalue())
