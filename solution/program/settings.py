"""Settings of the program search; light to import."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProgramConfig:
    """`tries`: steps tried on behaviours in each round of a task; a later round searches anew and deeper, where no program fits
    yet. A number, not a time: the same on every machine."""

    tries: tuple[int, ...] = (20_000, 150_000)
