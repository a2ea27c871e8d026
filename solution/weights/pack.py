"""From trained weights to a weight set: quantized, complete, described. Not here: the manifest file (`__main__`)."""

import json
import shutil
from pathlib import Path

import torch

from ..codec.tokenizer import write_tokenizer
from ..models.manifest import ENTRY_FILE, MANIFEST, WeightsError, WeightSet, describe_files, read_manifest
from ..models.nf4 import is_quantized_name, quantize_folder, read_dense

COUNTERS, DETAILS = "training_state.json", "entry_details.json"
"""What `solution.finetune` leaves beside trained weights: its counters and settings; parts of the entry."""
UNPUBLISHED = "unpublished"
"""The role of weights that were described by `as_it_is`."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def pack_folder(source: Path, target: Path, name: str, role: str, details: dict, codec: str = "arc16") -> dict:
    """Quantize the dense Llama in `source` to NF4 in `target`, with tokenizer, and return its manifest entry.

    With another `codec` than our own the tokenizer is the source's.

    What the source says of itself (`said_by`) goes into the entry;
    `details` overrides or adds to that: training, scores, licence, position_scheme. The files' hashes are those of `target`
    as written. Raises `WeightsError` where the source is not a Llama or holds NaN or infinity.
    """
    config, state = _read_llama(source)
    quantize_folder(state, config, target)
    if codec == "arc16":
        write_tokenizer(target)
    else:
        for file in TOKENIZER_FILES:
            if (source / file).is_file():
                shutil.copyfile(source / file, target / file)
    in_4_bits = sum(t.numel() for key, t in state.items() if is_quantized_name(key))
    quantization = f"bitsandbytes NF4, blocks of 64 ({in_4_bits} parameters in 4 bits, the rest bfloat16)"
    entry = _describe(config, state, name, role, quantization, codec, source)
    return entry | said_by(source) | details | {"files": describe_files(target)}


def as_it_is(folder: Path) -> WeightSet:
    """The weight set of a folder: by the manifest's entry or its own; one that was just trained, with our codec, gets a tokenizer
    and an entry, and these anew each time. Raises `WeightsError` as `pack_folder`, `OSError` where they cannot be written."""
    for entry in read_manifest():
        if "folder" in entry and (MANIFEST.parent / entry["folder"]).resolve() == folder.resolve():
            return WeightSet(entry, folder)
    path = folder / ENTRY_FILE
    entry = json.loads(path.read_text()) if path.is_file() else None
    if entry is None or entry.get("role") == UNPUBLISHED:
        write_tokenizer(folder)
        config, state = _read_llama(folder)
        quantization = "bitsandbytes NF4" if "quantization_config" in config else "none, bfloat16"
        entry = _describe(config, state, folder.name, UNPUBLISHED, quantization, "arc16", folder) | said_by(folder)
        entry["files"] = describe_files(folder)
        path.write_text(json.dumps(entry, indent=2) + "\n")
    return WeightSet(entry, folder)


def _read_llama(source: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """A dense Llama's configuration and tensors in bfloat16, tied ones once."""
    config = json.loads((source / "config.json").read_text())
    if config.get("model_type") != "llama":
        raise WeightsError(f"{source}: model type {config.get('model_type')!r} is not llama")
    state = read_dense(source, torch.bfloat16)
    broken = [key for key, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise WeightsError(f"{source}: {broken[0]} holds NaN or infinity")
    if config.get("tie_word_embeddings"):
        state.pop("lm_head.weight", None)
    return config, state


def _describe(config: dict, state: dict, name: str, role: str, quantization: str, codec: str, source: Path) -> dict:
    """An entry without its files."""
    return {
        "name": name,
        "role": role,
        "architecture": "LlamaForCausalLM, {num_hidden_layers} layers of {hidden_size}, {num_attention_heads} heads, "
        "feed-forward {intermediate_size}".format(**config),
        "parameters": sum(t.numel() for t in state.values()),
        "quantization": quantization,
        "codec": codec,
        "position_scheme": "grid" if codec == "arc16" else "sequential",
        "licence": "MIT" if codec == "arc16" else "that of its source",
        "source": "trained by solution.finetune" if codec == "arc16" else source.name,
    }


def said_by(source: Path) -> dict:
    """The parts of an entry that a folder written by `solution.finetune` brings along."""
    said = {}
    if (source / COUNTERS).is_file():
        counters = json.loads((source / COUNTERS).read_text())
        said["position_scheme"] = counters["settings"].get("positions", "grid")
    if (source / DETAILS).is_file():
        said |= json.loads((source / DETAILS).read_text())
    return said
