"""Two forms of one function: loops that numba compiles, and the plain numpy one that stands in where numba is missing.

In:  a pair of functions that give the same. Out: the faster one that this machine has.
A file whose loops call others must hold those too: the cache on disk looks at the age of one file only. Images are
C-contiguous, uint8 and writable: another layout would be compiled once more.
Not here: what the functions do (the other files of this room).
"""

from collections.abc import Callable

import numpy as np

from ...compiled import COMPILES, compiled

PAIRS: dict[str, tuple[Callable, Callable]] = {}
"""Name of a pair -> its plain function and its loops; empty without numba."""

NOTHING = np.zeros((0, 0), np.uint8)
"""What a function gives that does not apply."""


def loops_of(plain: Callable) -> Callable[[Callable], Callable]:
    """Decorate loops that give the same as `plain`: they, compiled at their first call, or `plain` where there is no numba."""

    def decorate(function):
        if not COMPILES:
            return plain
        PAIRS[function.__name__] = plain, compiled(function)
        return PAIRS[function.__name__][1]

    return decorate
