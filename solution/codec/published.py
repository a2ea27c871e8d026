"""What the codecs of published checkpoints share: a folder's tokenizer, its special tokens, and a prompt made of segments.

In:  a folder of Hugging Face files, of which only JSON is read (no pickle, no remote code); segments of token ids.
Out: a `Tokenizer` and ids; a `Prompt`. Not here: what a checkpoint's prompt says (`architects`, `marc`).
"""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from .prompt import Prompt


def read_tokenizer(folder: Path) -> Tokenizer:
    """The folder's `tokenizer.json`. Raises `ValueError` where it is missing or cannot be read."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ValueError(f"{path}: missing")
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare `Exception`
        raise ValueError(f"{path}: not a tokenizer: {error}") from error


def read_json(path: Path) -> dict:
    """A JSON object, or nothing where the file is missing. Raises `ValueError` for any other content."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path}: not a JSON object")
    return value


def token_id(folder: Path, tokenizer: Tokenizer, token: str) -> int:
    """The id of a token by its name. Raises `ValueError` where the tokenizer has none."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ValueError(f"{folder / 'tokenizer.json'}: no token {token!r}")
    return found


def special_id(folder: Path, tokenizer: Tokenizer, role: str) -> int | None:
    """The id of the token in the role "eos" or "pad", or None where no file names one.

    tokenizer_config.json goes before special_tokens_map.json, and both before config.json, whose ids may be a list: its
    first counts. Raises `ValueError` where the named token is not in the vocabulary.
    """
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token = read_json(folder / name).get(f"{role}_token")
        if isinstance(token, dict):
            token = token.get("content")
        if isinstance(token, str):
            return token_id(folder, tokenizer, token)
    found = read_json(folder / "config.json").get(f"{role}_token_id")
    found = found[0] if isinstance(found, list) and found else found
    if found is None:
        return None
    if not isinstance(found, int) or tokenizer.id_to_token(found) is None:
        raise ValueError(f"{folder / 'config.json'}: {role}_token_id {found!r} is no token of tokenizer.json")
    return found


def vocabulary_size(folder: Path, tokenizer: Tokenizer) -> int:
    """Rows of the model's embedding: config.json's `vocab_size`, else the tokenizer's size.

    Raises `ValueError` where the model has fewer rows than the tokenizer has tokens.
    """
    tokens = tokenizer.get_vocab_size()
    rows = read_json(folder / "config.json").get("vocab_size", tokens)
    if not isinstance(rows, int) or rows < tokens:
        raise ValueError(f"{folder / 'config.json'}: vocab_size {rows!r} is less than the tokenizer's {tokens} tokens")
    return rows


def join(segments: list[tuple[np.ndarray, bool]]) -> Prompt:
    """A prompt of segments (ids (n,), whether they are an output), at the positions 0, 1, 2, ..."""
    stops = np.cumsum([len(ids) for ids, _ in segments])
    spans = tuple((int(stop) - len(ids), int(stop)) for (ids, is_output), stop in zip(segments, stops) if is_output)
    ids = np.concatenate([ids for ids, _ in segments]).astype(np.int64)
    return Prompt(ids, np.arange(len(ids)), spans)
