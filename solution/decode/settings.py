"""Settings of decoding; light to import."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DecodeConfig:
    """How a task is shown.

    `demonstrations`: "all"; "leave_one_out": view i leaves out demonstration i mod K, the form that TTT trains on
    (docs/sources.md, "Details", 1); "none": the test input alone, the form of the end-to-end ablation.
    `permute_colours`: whether views after the first eight also exchange colours; `keep_zero`: but not 0.
    `max_prompt_tokens`: longer prompts lose demonstrations from the end.
    `batch_tokens`: prompt and answer tokens decoded at once.
    """

    demonstrations: str = "all"
    permute_colours: bool = True
    keep_zero: bool = True
    max_prompt_tokens: int = 8192
    batch_tokens: int = 32768
