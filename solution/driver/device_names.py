"""Devices as --devices names them: read without torch, so that a slip is told before anything is loaded.

In:  the text. Out: worker names, or "auto". Not here: which devices there are (`devices`).
"""

import argparse
import os
import re

AUTO = "auto"


def most_cpu_workers() -> int:
    """More workers than that are taken to be a slip."""
    return max(64, os.cpu_count() or 1)


def worker_names(text: str) -> list[str]:
    """Names such as "cpu:0", "cpu:1", "cuda:0", one a worker; none for "auto". Raises `ValueError`, also for two workers on one
    card: the fused kernels' buffers of dequantized weights are one a card."""
    if text == AUTO:
        return []
    names: list[str] = []
    for part in text.split(","):
        match = re.fullmatch(r"(cpu|cuda)(?::([0-9]{1,6}))?", part)
        if match is None:
            raise ValueError(f"{part!r} is not auto, cpu, cpu:N or cuda:N")
        if match[1] == "cuda":
            name = f"cuda:{int(match[2] or 0)}"
            if name in names:
                raise ValueError(f"{text!r} names {name} twice: two workers on one card would share its buffers")
            names.append(name)
            continue
        count = 1 if match[2] is None else int(match[2])
        if not 1 <= count <= most_cpu_workers() - len(names):
            raise ValueError(f"{part!r} is not from 1 to {most_cpu_workers()} workers")
        names += [f"cpu:{len(names) + i}" for i in range(count)]
    return names


def devices(text: str) -> str:
    """The type of --devices: the text as it is."""
    try:
        worker_names(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def device(text: str) -> str:
    """The type of an option that takes one device: auto, cpu, cuda or cuda:N."""
    if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,6})?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not auto, cpu, cuda or cuda:N")
    return text
