"""JSON files read so that a bad part costs only itself.

In:  paths. Out: parsed values in which `Broken` stands for a member that is no JSON; or an `InputError` of one line.
Not here: what the values mean (`load`, `sources`).
"""

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_NAMED = 20
"""Lines about things left out that are shown of one source; the rest is counted."""
MOST_DIGITS = 1000
"""Python refuses to convert longer numbers than 4,300 digits; here they stay text, which no cell may be."""
LEVELS = 4
"""Objects and lists in each other down to the grids of a file: tasks by id, the task, its list of pairs, the pair."""
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[][{},]', re.DOTALL)

log = logging.getLogger("solution")


def one_line(text: str, limit: int = 300) -> str:
    """The text without line breaks, cut at `limit` characters."""
    line = " ".join(text.splitlines())
    return line if len(line) <= limit else line[:limit] + " ..."


class InputError(ValueError):
    """The input cannot be used; the message is one line that names the file, the task where there is one, and the fault."""

    def __init__(self, message: str):
        super().__init__(one_line(message))


@dataclass(frozen=True)
class Broken:
    """Stands for a part of a file that is no JSON."""

    reason: str


class JsonObject(dict):
    """A JSON object that remembers the keys it was given more than once; the last value of each stays."""

    def __init__(self, pairs: Sequence[tuple[str, object]]):
        super().__init__(pairs)
        self.repeated: list[str] = []
        if len(self) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            self.repeated = [key for key, count in counts.items() if count > 1]


def _integer(text: str):
    return int(text) if len(text) <= MOST_DIGITS else f"{text[:20]}... ({len(text)} digits)"


def _parse(text: str):
    """The JSON value, objects as `JsonObject`. Raises `ValueError` or `RecursionError`."""
    try:
        return json.loads(text, object_pairs_hook=JsonObject)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number of thousands of digits; the hook for those makes every other number slow
        return json.loads(text, object_pairs_hook=JsonObject, parse_int=_integer)


def _parts(text: str) -> tuple[str, list[str]]:
    """The opening bracket of a JSON object or list and the texts between its own commas. Raises `ValueError`."""
    depth, parts, opening, start = 0, [], "", 0
    for token in _STRUCTURE.finditer(text):
        sign = token[0]
        if sign in "[{":
            depth += 1
            if depth == 1:
                if text[: token.start()].strip():
                    break
                opening, start = sign, token.end()
        elif sign in "]}":
            depth -= 1
        if (sign == "," and depth == 1) or (sign in "]}" and depth == 0):
            parts.append(text[start : token.start()])
            start = token.end()
        if depth == 0:
            if text[start:].strip() or not parts:
                break
            return opening, parts
    raise ValueError("its brackets do not close")


def _salvage(text: str, levels: int):
    """An object or list of which the members that are no JSON are `Broken`, and those that hold objects are salvaged in turn, so
    many `levels` deep. Raises `ValueError`."""
    opening, parts = _parts(text)
    members = []
    for part in parts:
        key, rest = None, part.lstrip()
        if opening == "{":
            key, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].lstrip()
            if not isinstance(key, str) or rest[:1] != ":":
                raise ValueError("a member without a key")
            rest = rest[1:]
        members.append((key, _member(rest, levels - 1)))
    return JsonObject(members) if opening == "{" else [value for _, value in members]


def _member(text: str, levels: int):
    try:
        return _parse(text)
    except (ValueError, RecursionError) as error:
        if levels and "{" in text:  # no grid: a grid is broken as a whole
            try:
                return _salvage(text, levels)
            except (ValueError, RecursionError):
                pass
        return Broken("nested too deep" if isinstance(error, RecursionError) else f"not JSON: {error}")


def read_json(path: str | os.PathLike):
    """The value in a file, its objects as `JsonObject`. Where the file is no JSON although its brackets close, its faulty parts
    are `Broken`, as small ones as `LEVELS` allows.

    Raises `InputError` for a file that is missing, not UTF-8, cut short or no JSON.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    try:
        return _parse(text)
    except (ValueError, RecursionError) as error:
        try:
            return _salvage(text, LEVELS)
        except (ValueError, RecursionError):
            raise InputError(f"{path}: not JSON, or cut short: {error}") from None


def walk(roots: str | os.PathLike | Iterable[str | os.PathLike]) -> Iterator[tuple[str, list[str]]]:
    """Every folder under `roots` (one or several) and the names of its files, sorted.

    Links are followed, each real folder is entered once, hidden folders are not.
    """
    entered = set()
    for root in [roots] if isinstance(roots, (str, os.PathLike)) else roots:
        for folder, subfolders, files in os.walk(root, followlinks=True):
            real = os.path.realpath(folder)
            if real in entered:
                subfolders.clear()
                continue
            entered.add(real)
            subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
            yield folder, sorted(files)


def json_files(folder: str | os.PathLike) -> list[Path]:
    """Every .json file anywhere under a folder, without hidden ones; by folder, then by name."""
    return [Path(where, name) for where, names in walk(folder) for name in names if name.endswith(".json") and name[0] != "."]


def tell(faults: Sequence[str], total: str) -> None:
    """Warn of what is left out: a line each of the first, then `total`; nothing where there are none."""
    for fault in faults[:MOST_NAMED]:
        log.warning("%s", one_line(fault))
    if len(faults) > MOST_NAMED:
        log.warning("... and %d more such lines", len(faults) - MOST_NAMED)
    if faults:
        log.warning("%s", total)
