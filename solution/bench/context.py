"""What a stage of `python -m solution.bench` is given, and what it gives back; light to import.

A stage is a module with `run(context: Context, note: Note) -> Result`. It calls `note` with what it has so far whenever it has
something: a stage that its time box kills leaves that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Context:
    """`out`: results go here. `device`: "cuda:0" or "cpu". `seconds`: this stage's time box, from now. `toy`: tiny sizes, for a
    CPU and CI. `pack`: a pack of training pairs (`finetune.pack.Pack`), which also brings the public tasks. `train`: presets and
    the seconds of each. `weights`: weight folders to score and time, best first: those just trained, else the embedded ones."""

    out: Path
    device: str
    seconds: float
    toy: bool
    pack: Path | None
    train: tuple[tuple[str, float], ...]
    weights: tuple[Path, ...]


@dataclass(frozen=True)
class Result:
    """`values`: what JSON can hold. `lines`: the short table that a person reads, what matters most first."""

    values: dict = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)


Note = Callable[[Result], None]
