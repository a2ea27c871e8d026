"""Shared by all tests: options, small random models, and the embedded weights loaded once."""

import signal

import pytest
import torch
from peft import get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from solution.codec.arc16 import END, PAD, VOCABULARY_SIZE, Arc16
from solution.models.adapted import AdaptedModel
from solution.models.load import load, peft_config
from solution.models.manifest import default_weights
from solution.models.rotary import GridRotary
from solution.models.settings import LoraShape


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run tests that take minutes")


def pytest_collection_modifyitems(config, items):
    for item in items:
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(pytest.mark.skip(reason="takes minutes; run with --slow"))
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


torch.set_num_threads(1)  # two threads stall each other if anything else runs (docs/experiments/02-cpu-threads.md)


def random_model(
    scheme: str = "grid", seed: int = 0, kv_heads: int = 2, dtype=torch.float32, rank: int = 4, inner: int = 96
) -> AdaptedModel:
    """A Llama of random weights with a random, non-zero adapter."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY_SIZE, hidden_size=64, intermediate_size=inner, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=kv_heads, head_dim=16, max_position_embeddings=4096, tie_word_embeddings=True, pad_token_id=PAD,
        eos_token_id=END, bos_token_id=None, initializer_range=0.3,
    )  # fmt: skip
    lm = LlamaForCausalLM(config).to(dtype).eval()
    if scheme == "grid":
        lm.model.rotary_emb = GridRotary(16)
    wrapped = get_peft_model(lm, peft_config(LoraShape(rank=rank, alpha=rank)), autocast_adapter_dtype=False)
    model = AdaptedModel(wrapped, Arc16(scheme), torch.device("cpu"), dtype)
    randomise(model)
    return model


def randomise(model: AdaptedModel) -> None:
    """A random, non-zero adapter."""
    with torch.no_grad():
        for parameter in model.trainable:
            parameter.normal_(0, 0.1)


def give_prefix(model: AdaptedModel, rows: int) -> None:
    """A random prefix table of so many rows, the adapter as it is."""
    if rows:
        generator = torch.Generator().manual_seed(1)
        model.load_adapter(model.adapter() | {"prefix": torch.randn(rows, model.lm.config.hidden_size, generator=generator)})


@pytest.fixture(autouse=True)
def signals_stay_pytests_own():
    """A driver that runs inside a test's process listens to signals itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def embedded():
    """The weights that a CPU run loads by default, in float32."""
    return load(default_weights("cpu"), torch.device("cpu"), LoraShape(rank=8, alpha=8), dtype=torch.float32)
