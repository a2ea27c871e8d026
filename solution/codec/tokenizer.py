"""`tokenizer.json` of the 16-token codec, so that its weights are complete Hugging Face folders.

In:  nothing. Out: two JSON files. The driver never tokenizes text: prompts are built from grids (`arc16`).
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

from .arc16 import END, PAD, TOKEN_NAMES


def write_tokenizer(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json: text such as "<input>012<row><output>" becomes a token a character
    or marker."""
    tokenizer = Tokenizer(WordLevel({name: i for i, name in enumerate(TOKEN_NAMES)}, unk_token=TOKEN_NAMES[-1]))
    tokenizer.pre_tokenizer = Split(Regex(r"<[a-z]+>|."), behavior="isolated")
    tokenizer.add_special_tokens(list(TOKEN_NAMES[10:]))
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": TOKEN_NAMES[END],
        "pad_token": TOKEN_NAMES[PAD],
        "unk_token": TOKEN_NAMES[-1],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
