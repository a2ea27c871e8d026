"""From trained weights to a weight set: quantized, complete, described. Not here: the manifest file (`__main__`)."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from ..codec.arc16 import VOCABULARY_SIZE
from ..codec.tokenizer import write_tokenizer
from ..models.checkpoint import HEAD, INDEX, read_checkpoint, read_json
from ..models.manifest import (
    ENTRY_FILE,
    MANIFEST,
    WeightsError,
    WeightSet,
    check_folder,
    describe_files,
    read_entry,
    read_manifest,
    write_json,
)
from ..models.nf4 import is_quantized_name, quantize_folder, read_dense

log = logging.getLogger("solution")

COUNTERS, DETAILS = "training_state.json", "entry_details.json"
"""What `solution.finetune` leaves beside trained weights: its counters and settings; parts of the entry."""
UNPUBLISHED = "unpublished"
"""The role of weights that were described by `as_it_is`."""

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
WRITTEN = {"config.json", INDEX, ENTRY_FILE, *TOKENIZER_FILES}
"""What a weight set's folder holds besides its tensors."""


def pack_folder(source: Path, target: Path, name: str, role: str, details: dict, codec: str = "arc16") -> dict:
    """Quantize the dense Llama in `source` to NF4 in `target`, with tokenizer, and return its manifest entry.

    With another `codec` than our own the tokenizer is the source's. A head that was trained apart from the embeddings stays
    one, whatever config.json says of tied ones: a line says so.

    What the source says of itself (`said_by`) goes into the entry;
    `details` overrides or adds to that: training, scores, licence, position_scheme. The files' hashes are those of `target`
    as written. Raises `WeightsError` where the source is not a whole Llama, is not for this codec, holds NaN or infinity, or is
    the target.
    """
    check_apart(source, target)
    check_folder(source, codec)
    config, state = _read_llama(source)
    if codec == "arc16" and config["vocab_size"] != VOCABULARY_SIZE:
        raise WeightsError(f"{source}: vocabulary of {config['vocab_size']}, codec arc16 has {VOCABULARY_SIZE}: give --codec")
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


def check_apart(source: Path, target: Path) -> None:
    """Raises `WeightsError` where writing the target would write into the source, or the other way round."""
    here, there = source.resolve(), target.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here) or (there.exists() and here.exists() and here.samefile(there)):
        raise WeightsError(f"{target}: lies in the source {source}, holds it or is it: give a folder apart")


def replace_whole(target: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a folder beside `target` and put it in place of an empty one or of an earlier weight set with its entry.

    Whatever `fill` raises leaves the old one. Raises `WeightsError` where `target` is anything else.
    """
    target = target.resolve()
    names = {path.name for path in target.iterdir()} if target.is_dir() else set()
    strangers = sorted(n for n in names if n not in WRITTEN and not (n.startswith("model") and n.endswith(".safetensors")))
    if (target.exists() and not target.is_dir()) or strangers or (names and not (_listed(target) or ENTRY_FILE in names)):
        held = strangers[0] if strangers else "something"
        raise WeightsError(f"{target}: holds {held} that is no earlier packing's: give a new folder")
    aside, old = (target.with_name(f".{target.name}.{word}-{os.getpid()}") for word in ("new", "old"))
    aside.mkdir(parents=True)
    try:
        fill(aside)
        if target.exists():
            target.rename(old)
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _listed(folder: Path) -> dict | None:
    """The manifest's entry of that very folder."""
    for entry in read_manifest():
        if "folder" in entry and (MANIFEST.parent / entry["folder"]).resolve() == folder.resolve():
            return entry
    return None


def as_it_is(folder: Path) -> WeightSet:
    """The weight set of a folder: by the manifest's entry or its own; one that was just trained, with our codec, gets a tokenizer
    where it has none and an entry, that anew each time. Raises `WeightsError` as `pack_folder`, `OSError` where they cannot be
    written."""
    entry = _listed(folder)
    if entry is not None:
        return WeightSet(entry, folder)
    weights = read_entry(folder) if (folder / ENTRY_FILE).is_file() else None
    if weights is None or weights.entry["role"] == UNPUBLISHED:
        if not (folder / "tokenizer.json").is_file():
            write_tokenizer(folder)
        config, state = _read_llama(folder)
        quantization = "bitsandbytes NF4" if "quantization_config" in config else "none, bfloat16"
        entry = _describe(config, state, folder.name, UNPUBLISHED, quantization, "arc16", folder) | said_by(folder)
        entry["files"] = describe_files(folder)
        write_json(entry, folder / ENTRY_FILE)
        weights = WeightSet(entry, folder)
    return weights


def _read_llama(source: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """A whole Llama's configuration and tensors, dense, in bfloat16, tied ones once."""
    checkpoint = read_checkpoint(source)
    config = checkpoint.config
    if checkpoint.untied:
        log.warning("%s: config.json ties the head to the embeddings, but %s is another: kept as a head of its own", source, HEAD)
    state = read_dense(source, torch.bfloat16)
    broken = [key for key, tensor in state.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise WeightsError(f"{source}: {broken[0]} holds NaN or infinity")
    if config["tie_word_embeddings"]:
        state.pop(HEAD, None)
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
    """The parts of an entry that a folder written by `solution.finetune` brings along. Raises `WeightsError` where they cannot be
    read."""
    said = {}
    if (source / COUNTERS).is_file():
        settings = read_json(source / COUNTERS).get("settings")
        if not isinstance(settings, dict):
            raise WeightsError(f"{source / COUNTERS}: no settings of a run in it")
        said["position_scheme"] = settings.get("positions", "grid")
    if (source / DETAILS).is_file():
        said |= read_json(source / DETAILS)
    return said
