"""The machine that a forecast is for.

In:  the text of `--devices`. Out: `Device`s of the simulator. Pure.
Speeds are relative to an average worker of the same kind in the journals: 1 is a machine like theirs.
Not here: what a device does (`schedule.virtual`), finding real devices (`driver.devices`).
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from ..arc.load import InputError
from ..schedule.virtual import Device

PART = re.compile(r"(?P<what>(?P<kind>cuda|cpu|search)(?::(?P<number>\d+))?|(?P<count>\d+))(?:x(?P<speed>\d+(?:\.\d+)?))?")
MOST = 64
"""Workers at most: more are taken to be a slip."""


def parse_devices(text: str, journal_devices: Sequence[str], searchers: int) -> list[Device]:
    """Devices of "cuda:0,cuda:1", "cuda:0x3,cuda:1x2.5", "cpu:2" (two workers, as for submission.py), "2" or "2x3" (so many of
    the journals' kind). Beside GPUs, `searchers` workers that search programs on a core each, where none is named.

    Raises `InputError` for anything else.
    """
    found: list[Device] = []
    for part in text.split(","):
        match = PART.fullmatch(part.strip())
        if match is None:
            raise InputError(f"--devices: {part.strip()!r} is not such as cuda:0, cuda:0x3 (three times as fast), cpu:2 or 2x3")
        kind = match["kind"] or ("cuda" if any(name.startswith("cuda") for name in journal_devices) else "cpu")
        count = int(match["count"] or (match["number"] or 1) if kind == "cpu" else match["count"] or 1)
        speed = float(match["speed"] or 1)
        if not 1 <= count <= MOST or len(found) + count > MOST or speed <= 0:
            raise InputError(f"--devices: {part.strip()!r}: from 1 to {MOST} workers of a positive speed")
        named = kind != "cpu" and match["number"] is not None
        for _ in range(count):
            number = int(match["number"]) if named else sum(device.name.startswith(kind) for device in found)
            if any(device.name == f"{kind}:{number}" for device in found):
                raise InputError(f"--devices: {kind}:{number} is named twice")
            found.append(Device(f"{kind}:{number}", speed))
    if all(device.name.startswith("search") for device in found):
        raise InputError("--devices: no worker that trains")
    if any(device.name.startswith(("cpu", "search")) for device in found):
        return found
    return [*found, *(Device(f"search:{i}") for i in range(searchers))]


def scaled(devices: Sequence[Device], factor: float) -> list[Device]:
    """The same machine, every worker `factor` times as fast."""
    return [replace(device, speed=device.speed * factor) for device in devices]


def one_dies(devices: Sequence[Device], at: float) -> list[Device]:
    """The same machine, whose first worker stops for good at second `at`."""
    return [replace(devices[0], dies_at=at), *devices[1:]]


def describe(devices: Sequence[Device]) -> str:
    """The machine in words, as `--devices` takes it."""
    return ", ".join(device.name + (f"x{device.speed:g}" if device.speed != 1 else "") for device in devices)
