"""Settings of the program search; light to import."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ProgramConfig:
    """`tries`: steps tried on behaviours in each round of a task; a later round searches anew and deeper, where nothing yet
    explains the task. A number, not a time: the same on every machine."""

    tries: tuple[int, ...] = (2_000, 20_000, 200_000)


VOCABULARY = "vocabulary"
"""Name of the author that needs no checkpoint (`rendered`)."""


@dataclass(frozen=True)
class WrittenConfig:
    """Programs written by a language model. `author`: the folder or .gguf file of a Llama, or `VOCABULARY`; `fingerprint` tells
    its files from others. `device`: a torch device, of the process that searches programs. `samples`: programs a task, `batch` of
    them at once, each of at most `new_tokens`. `seconds`, `memory`: CPU time and bytes of a program, on all inputs of a task."""

    author: str = VOCABULARY
    fingerprint: str = ""
    device: str = "cpu"
    samples: int = 64
    batch: int = 8
    new_tokens: int = 1024
    temperature: float = 0.8
    top_p: float = 1.0
    seconds: float = 2.0
    memory: int = 512 * 2**20
