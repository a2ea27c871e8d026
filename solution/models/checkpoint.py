"""A Llama's folder as Hugging Face lays it out: found whole, or refused in one line that says what is wrong.

In:  a folder, or one whose files are links (a hub cache). Out: a `Checkpoint`: its configuration, with the head tied or not as
its tensors are, and where each tensor lies. Headers alone are read, by the standard library.
Not here: sizes and hashes (`manifest`), the tensors themselves (`nf4.read_dense`).
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

INDEX = "model.safetensors.index.json"
STATE_KEY = ".quant_state.bitsandbytes__nf4"
PARTS = (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map", STATE_KEY)
"""Ends of the names of what bitsandbytes stores beside a packed matrix."""
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
DERIVED = "rotary_emb.inv_freq"
"""End of the name of a table that old files hold and that follows from the configuration."""
COUNTS = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
FLOATING = ("F64", "F32", "F16", "BF16")
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
PIECE = 2**20
"""Bytes compared at once."""


class WeightsError(ValueError):
    """Weights cannot be used; the message is one line that names the set, the file and the fault."""


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies: its bytes from `start` to `stop` of `path`; dtype as safetensors writes it ("BF16")."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    def read(self) -> bytes:
        with open(self.path, "rb") as file:
            file.seek(self.start)
            return file.read(self.stop - self.start)

    def same_as(self, other: "Stored") -> bool:
        """Whether type, shape and all bytes are equal."""
        if (self.dtype, self.shape) != (other.dtype, other.shape):
            return False
        with open(self.path, "rb") as one, open(other.path, "rb") as two:
            one.seek(self.start)
            two.seek(other.start)
            for left in range(self.stop - self.start, 0, -PIECE):
                if one.read(min(left, PIECE)) != two.read(min(left, PIECE)):
                    return False
        return True


@dataclass(frozen=True)
class Checkpoint:
    """A whole Llama. `config`: config.json's values, `tie_word_embeddings` as the tensors are. `untied`: whether config.json
    calls the head tied although the folder holds a head of its own, which is then used."""

    config: dict
    tensors: dict[str, Stored]
    untied: bool


def read_checkpoint(folder: Path) -> Checkpoint:
    """Find a Llama's tensors and compare them with its configuration. Raises `WeightsError`: config.json is missing or not that
    of a Llama which the code here computes, a file is missing, cut off or no safetensors, a tensor is missing, unknown or of
    another shape."""
    tensors = stored_tensors(folder)
    config = read_json(folder / "config.json")
    try:
        _check_config(config)
        tied = bool(config.get("tie_word_embeddings"))
        own_head = HEAD in tensors and EMBEDDING in tensors and not tensors[HEAD].same_as(tensors[EMBEDDING])
        config = config | {"tie_word_embeddings": tied and not own_head}
        _check_tensors(config, tensors)
    except WeightsError as error:
        raise WeightsError(f"{folder}: {error}") from error
    return Checkpoint(config, tensors, tied and own_head)


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """Every tensor of a folder's model*.safetensors by name. Raises `WeightsError` where there is no such file, where files that
    the index or their own names tell of are missing, or where a tensor is in two of them or not where the index says."""
    if not folder.is_dir():
        raise WeightsError(f"{folder}: no such folder")
    if (folder / "adapter_config.json").exists():
        raise WeightsError(f"{folder}: holds an adapter: merge it into its base (peft: merge_and_unload) and give the merged "
                           "folder")  # fmt: skip
    paths = sorted(folder.glob("model*.safetensors"))
    index = None
    if (folder / INDEX).exists():
        index = read_json(folder / INDEX).get("weight_map")
        if not isinstance(index, dict) or not all(isinstance(file, str) for file in index.values()):
            raise WeightsError(f"{folder / INDEX}: no file names under 'weight_map'")
        named = {folder / file for file in index.values() if Path(file).name == file and file.endswith(".safetensors")}
        paths = sorted({*paths, *(path for path in named if path.is_file() or path.is_symlink())})
    elif not paths:
        raise WeightsError(f"{folder}: {_instead(folder)}")
    missing = sorted(_told(paths, index) - {path.name for path in paths})
    if missing:
        raise WeightsError(f"{folder}: {missing[0]} is missing ({len(missing)} of the files that belong together)")
    tensors: dict[str, Stored] = {}
    for path in paths:
        for name, stored in read_header(path).items():
            if name in tensors:
                raise WeightsError(f"{folder}: {name} is both in {tensors[name].path.name} and in {path.name}")
            if index is not None and index.get(name) != path.name:
                raise WeightsError(f"{folder}: {name} is in {path.name}, in the index it is {index.get(name, 'not')}")
            tensors[name] = stored
    lost = sorted(set(index or ()) - set(tensors))
    if lost:
        raise WeightsError(f"{folder}: {lost[0]} is in the index but in no file")
    return tensors


def read_header(path: Path) -> dict[str, Stored]:
    """The tensors of a safetensors file by name. Raises `WeightsError` where it is cut off or not of this format."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            begin = file.read(8)
            length = int.from_bytes(begin, "little")
            if begin == b"version ":
                raise WeightsError(f"{path}: is a Git LFS pointer, not the file: git lfs pull brings it")
            if len(begin) < 8 or 8 + length > size:
                raise WeightsError(f"{path}: cut off, or no safetensors file ({size} bytes)")
            header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        found = {
            name: Stored(path, str(about["dtype"]), tuple(map(int, about["shape"])),
                         *(8 + length + int(offset) for offset in about["data_offsets"]))
            for name, about in header.items()
        }  # fmt: skip
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: is a link to a file that is not there") from error
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    except WeightsError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: not a safetensors file") from error
    end = max((stored.stop for stored in found.values()), default=8 + length)
    if size != end:
        raise WeightsError(f"{path}: {'cut off' if size < end else 'damaged'}: {size} bytes, its header tells of {end}")
    return found


def read_json(path: Path) -> dict:
    """The JSON object in a file. Raises `WeightsError`."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise WeightsError(f"{path}: not a JSON object")
    return value


def packed_shape(tensors: dict[str, Stored], name: str) -> tuple[int, ...]:
    """The shape of the matrix that a packed tensor stands for. Raises `WeightsError` where what unpacks it is missing."""
    try:
        state = json.loads(tensors[name + STATE_KEY].read())
        shape, blocksize = tuple(map(int, state["shape"])), int(state["blocksize"])
        nested = int(state["nested_blocksize"]) if "nested_blocksize" in state else None
        quantized = state.get("quant_type", "nf4"), float(state.get("nested_offset", 0.0))
        if blocksize < 1 or (nested is not None and (nested < 1 or "nested_offset" not in state)):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{name}{STATE_KEY} cannot be read") from error
    if quantized[0] != "nf4":
        raise WeightsError(f"{name} is quantized by {quantized[0]!r}: only NF4 is read")
    parts = (".absmax", ".quant_map", *((".nested_absmax", ".nested_quant_map") if nested else ()))
    lost = [end for end in parts if name + end not in tensors]
    if lost:
        raise WeightsError(f"{name}{lost[0]} is missing")
    values, packed = 1, tensors[name].stop - tensors[name].start
    for side in shape:
        values *= side
    if packed != (values + 1) // 2:
        raise WeightsError(f"{name} has {packed} packed bytes for {values} values of 4 bits")
    blocks = -(-values // blocksize)
    wanted = {".absmax": (blocks, ("U8",) if nested else ("F32",)), ".quant_map": (16, ("F32",))}
    if nested:
        wanted |= {".nested_absmax": (-(-blocks // nested), ("F32",)), ".nested_quant_map": (256, ("F32",))}
    for end, (count, dtypes) in wanted.items():
        part = tensors[name + end]
        if math.prod(part.shape) != count or part.dtype not in dtypes:
            raise WeightsError(f"{name}{end} is {list(part.shape)} of {part.dtype}, not {count} of {dtypes[0]}")
    return shape


def _instead(folder: Path) -> str:
    """What a folder without weights holds in their stead."""
    names = sorted(path.name for path in folder.iterdir())
    for name in names:
        if name.endswith(".gguf"):
            return f"only GGUF ({name}): not read here, give the safetensors that it was made from"
        if name.endswith(PICKLES):
            return f"only pickles ({name}), which can run code: not read; save the model as safetensors (save_pretrained does)"
    others = [name for name in names if name.endswith(".safetensors")]
    return f"no model.safetensors in it{f', only {others[0]}' if others else ''}"


def _told(paths: list[Path], index: dict | None) -> set[str]:
    """Names of the files that belong together: those of the index, and of NAME-0000i-of-0000N all N."""
    told = set(index.values()) if index is not None else set()
    for path in paths:
        part = re.fullmatch(r"(.+-)(\d+)(-of-)(\d+)(\.safetensors)", path.name)
        if part:
            stem, number, of, count, end = part.groups()
            told |= {f"{stem}{i:0{len(number)}}{of}{count}{end}" for i in range(1, int(count) + 1)}
    return told


def _check_config(config: dict) -> None:
    if config.get("model_type") != "llama":
        raise WeightsError(f"model type {config.get('model_type')!r} is not llama")
    for key in (*COUNTS, *(key for key in ("num_key_value_heads", "head_dim") if config.get(key) is not None)):
        if type(config.get(key)) is not int or config[key] < 1:
            raise WeightsError(f"config.json: {key} is {config.get(key)!r}, not a number from 1 on")
    if config["num_attention_heads"] % (config.get("num_key_value_heads") or 1):
        raise WeightsError(f"config.json: {config['num_attention_heads']} heads share {config['num_key_value_heads']} key heads")
    if config.get("hidden_act", "silu") != "silu":
        raise WeightsError(f"config.json: hidden_act is {config['hidden_act']!r}, only 'silu' is computed here")
    for key in ("attention_bias", "mlp_bias"):
        if config.get(key):
            raise WeightsError(f"config.json: {key}: Llamas with biases are not computed here")
    quantization = config.get("quantization_config")
    if quantization is not None:
        known = isinstance(quantization, dict) and quantization.get("quant_method", "bitsandbytes") == "bitsandbytes"
        if not known or quantization.get("bnb_4bit_quant_type") != "nf4":
            what = quantization.get("quant_method") if isinstance(quantization, dict) else quantization
            raise WeightsError(f"config.json: quantized by {what!r}: only bitsandbytes NF4 is read")


def _check_tensors(config: dict, tensors: dict[str, Stored]) -> None:
    """Compare names and shapes with those of the configuration."""
    packed = {name.removesuffix(STATE_KEY) for name in tensors if name.endswith(STATE_KEY)}
    if packed and config.get("quantization_config") is None:
        raise WeightsError(f"{min(packed)} is packed in 4 bits, of which config.json says nothing (quantization_config)")
    if not packed and config.get("quantization_config") is not None:
        raise WeightsError("config.json says quantized (quantization_config), the tensors are not: take that out of it")
    shapes = _shapes(config)
    if HEAD in tensors:
        shapes[HEAD] = shapes[EMBEDDING]
    parts = {name + end for name in packed for end in PARTS}
    found = {name for name in tensors if name not in parts and not name.endswith(DERIVED)}
    missing, unknown = sorted(set(shapes) - found), sorted(found - set(shapes))
    if missing == [HEAD]:
        raise WeightsError(f"{HEAD} is missing, and config.json does not tie it to the embeddings (tie_word_embeddings)")
    if missing or unknown:
        one = f"{missing[0]} is missing" if missing else f"{unknown[0]} is no tensor of this Llama"
        raise WeightsError(f"tensors do not fit the configuration: {one} ({len(missing)} missing, {len(unknown)} unknown)")
    for name in sorted(found):
        shape = packed_shape(tensors, name) if name in packed else tensors[name].shape
        if shape != shapes[name]:
            raise WeightsError(f"tensors do not fit the configuration: {name} is {list(shape)}, not {list(shapes[name])}")
        if name not in packed and tensors[name].dtype not in FLOATING:
            raise WeightsError(f"{name} is stored as {tensors[name].dtype}: only 16, 32 or 64 bits, or NF4, are read")


def _shapes(config: dict) -> dict[str, tuple[int, ...]]:
    """The tensors of a Llama of that configuration, a head of its own only where it is not tied."""
    vocabulary, hidden, inner, layers, heads = (config[key] for key in COUNTS)
    width = config.get("head_dim") or hidden // heads
    query, key = width * heads, width * (config.get("num_key_value_heads") or heads)
    layer = {
        "input_layernorm": (hidden,), "post_attention_layernorm": (hidden,),
        "self_attn.q_proj": (query, hidden), "self_attn.k_proj": (key, hidden), "self_attn.v_proj": (key, hidden),
        "self_attn.o_proj": (hidden, query), "mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }  # fmt: skip
    shapes = {f"model.layers.{i}.{name}.weight": shape for i in range(layers) for name, shape in layer.items()}
    shapes |= {EMBEDDING: (vocabulary, hidden), "model.norm.weight": (hidden,)}
    return shapes if config["tie_word_embeddings"] else shapes | {HEAD: (vocabulary, hidden)}
