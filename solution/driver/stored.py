"""Tensors that wait on the disk between two jobs, with a checksum: whole and unchanged, or none.

In:  a path, tensors, words. Out: a safetensors file that also holds its own name and a sum over everything; the tensors again.
Not here: what they are for (`solve`).
"""

import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

OF, SUM = "of", "crc32"


def store(path: Path, aside: Path, tensors: dict[str, torch.Tensor], words: dict[str, str] | None = None) -> None:
    """Write to `path` by way of `aside`, whole or not at all. Raises `OSError` or `SafetensorError`."""
    words = (words or {}) | {OF: path.name}
    save_file(tensors, aside, words | {SUM: checksum(tensors, words)})
    aside.replace(path)


def recall(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and words of a stored file. Raises `OSError` or `ValueError` where it is gone, damaged or another's."""
    try:
        with safe_open(path, "pt") as file:
            tensors, words = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{path}: {error}") from error
    found = words.pop(SUM, None)
    if words.get(OF) != path.name or found != checksum(tensors, words):
        raise ValueError(f"{path}: damaged, or another's")
    return tensors, words


def checksum(tensors: dict[str, torch.Tensor], words: dict[str, str]) -> str:
    """CRC-32 over names, types, shapes, bytes and words."""
    total = zlib.crc32(repr(sorted(words.items())).encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy(), total)
    return f"{total:08x}"
