"""Weights in files of a bounded size, as Hugging Face lays them out.

In:  tensors by name. Out: model.safetensors where they fit into one file, else model-00001-of-0000N.safetensors and an index.
Reading back: `nf4.read_dense`, transformers and Unsloth themselves. Not here: what the tensors are.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from .checkpoint import INDEX

SHARD_BYTES = 15 * 2**20
"""Small enough for whatever carries single files of at most 16 MiB."""


def write_shards(tensors: dict[str, torch.Tensor], folder: Path, most: int | None = None) -> list[Path]:
    """Write the tensors in order, at most `most` bytes a file (`SHARD_BYTES`); the files, and an index if there are several.

    A single tensor larger than that gets a file of its own.
    """
    shards: list[dict[str, torch.Tensor]] = [{}]
    room = most = most or SHARD_BYTES
    for name, tensor in tensors.items():
        if tensor.nbytes > room and shards[-1]:
            shards.append({})
            room = most
        shards[-1][name] = tensor
        room -= tensor.nbytes
    if len(shards) == 1:
        paths = [folder / "model.safetensors"]
    else:
        paths = [folder / f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for path, shard in zip(paths, shards):
        save_file(shard, path, metadata={"format": "pt"})
    if len(shards) > 1:
        places = {name: path.name for path, shard in zip(paths, shards) for name in shard}
        size = sum(t.nbytes for t in tensors.values())
        (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": places}, indent=1) + "\n")
        paths.append(folder / INDEX)
    return paths
