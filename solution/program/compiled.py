"""Compilation of inner loops where numba is there; the same functions, slower, where it is not.

Not here: what is left out without it (`cells.rules` then learns from two features instead of three).
"""

from collections.abc import Callable

try:
    import numba
except ImportError:
    numba = None

COMPILES = numba is not None


def compiled(function: Callable) -> Callable:
    """The function, compiled at its first call and kept on disk, where there is a place for it; itself without numba. `.py_func`
    is the plain one in both."""
    if numba is None:
        function.py_func = function
        return function
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written to
        return numba.njit(function)
