"""What every command line here shares: a parser of one-line faults, values checked where they are read, lasting streams.

In:  the words of a command, text to say. Out: checked values; messages that no path and no terminal can stop. Standard library
only. Not here: which options there are.
"""

import argparse
import io
import math
import os
import re
import sys
from collections.abc import Callable

from .driver.clock import parse_duration

MOST_WHOLE = 2**63 - 1
"""The largest whole number that numpy and torch take, seeds among them."""


class CommandError(ValueError):
    """The words of a command cannot be used; the message is one line that names the option and the value."""


class Parser(argparse.ArgumentParser):
    """Options by their full names alone; raises `CommandError` where `argparse` would print its usage and end the process."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, allow_abbrev=False, **named)
        self._words: list[str] = []

    def parse_known_args(self, args=None, namespace=None):
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str):
        if (found := re.fullmatch(r"argument (\S+): expected (?:at least )?one argument", message)) is not None:
            after = [word for option, word in zip(self._words, self._words[1:]) if option in found[1].split("/")]
            message += f", not {after[-1]!r}" if after else ""  # such as -5s, which begins as an option does
        raise CommandError(one_line(message))


def one_line(text: object) -> str:
    """The text with everything that is no printable character escaped: line ends, control characters, undecodable bytes."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def tell_fault(program: str, fault: object) -> None:
    """The fault as one line on stderr."""
    print(f"{program}: {one_line(fault)}", file=sys.stderr, flush=True)


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}... ({len(text)} characters)"


def whole(least: int = 0, most: int = MOST_WHOLE) -> Callable[[str], int]:
    """The type of an option that takes a whole number from `least` to `most`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]+", text.strip()):
            raise argparse.ArgumentTypeError(f"{_shown(text)!r} is not a whole number")
        short = text.strip()[:40]  # longer ones are out of any range, and Python reads no thousands of digits
        if not least <= int(short) <= most or len(text.strip()) > 40:
            wanted = f"{least} or more" if most == MOST_WHOLE and least > int(short) else f"from {least} to {most}"
            wanted = "a positive number" if (least, most) == (1, MOST_WHOLE) else wanted
            raise argparse.ArgumentTypeError(f"{_shown(text)} is not {wanted}")
        return int(short)

    return read


def number(least: float = 0.0) -> Callable[[str], float]:
    """The type of an option that takes a finite number of `least` or more."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{_shown(text)!r} is not a number") from None
        if not math.isfinite(value) or value < least:
            wanted = "a finite number" if least == -math.inf else f"a number of {least:g} or more"
            raise argparse.ArgumentTypeError(f"{_shown(text)} is not {wanted}")
        return value

    return read


seed = whole()
"""The type of --seed."""


def duration(text: str) -> float:
    """The type of an option that takes a time such as 11h30m; seconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class _Lasting(io.FileIO):
    """A standard stream's file: what its reader, its terminal or its disk does not take is dropped."""

    def write(self, data) -> int:
        try:
            written = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written


def hold_streams() -> None:
    """Make stdout and stderr last through the process, whatever becomes of them: closed ones lead nowhere (and their numbers go
    to no other file), a pipe without a reader takes everything, what the encoding does not have is escaped."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or isinstance(getattr(stream, "_lasting", None), _Lasting):
            continue  # a notebook's or a test's own, or done
        encoding = getattr(stream, "encoding", None) or "utf-8"
        file = _Lasting(descriptor, "w", closefd=False)
        lasting = io.TextIOWrapper(io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=True)
        lasting._lasting = file
        setattr(sys, name, lasting)
        setattr(sys, f"__{name}__", lasting)
