"""The memory planner: its counts against tensors that are really kept, its choices against the devices' sizes."""

import pytest
import torch
from peft import get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from solution.codec.arc16 import Arc16
from solution.models import limits
from solution.models.adapted import AdaptedModel
from solution.models.load import peft_config
from solution.models.memory import GIB, Sizes, device_memory, plan
from solution.models.settings import LoraShape

CPU = torch.device("cpu")
LORA = LoraShape(rank=16)


def make_model(kv_heads, **changes):
    config = LlamaConfig(
        vocab_size=16, hidden_size=256, intermediate_size=704, num_hidden_layers=3, num_attention_heads=8,
        num_key_value_heads=kv_heads, head_dim=32, tie_word_embeddings=True, max_position_embeddings=4096, **changes,
    )  # fmt: skip
    lm = LlamaForCausalLM(config).to(torch.bfloat16)
    wrapped = get_peft_model(lm, peft_config(LORA), autocast_adapter_dtype=False)
    return AdaptedModel(wrapped, Arc16("sequential"), CPU, torch.bfloat16)


def kept_bytes(model, tokens, checkpointing=False):
    """Bytes of the storages that a backward pass over one sequence keeps, the model's own left out."""
    ids, positions = torch.randint(0, 14, (1, tokens)), torch.arange(tokens)[None]
    where = torch.zeros(1, tokens, dtype=torch.bool)
    where[:, -16:] = True
    own = {p.untyped_storage().data_ptr() for p in model.lm.parameters()}
    alive, sizes = [], {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), model.checkpointing(checkpointing):
        model.loss(ids, positions, where, torch.zeros(16, dtype=torch.int64))
    return sum(sizes.values())


@pytest.mark.parametrize("kv_heads,lean", [(2, False), (8, True)])
def test_activations_are_those_really_kept(kv_heads, lean):
    model, tokens = make_model(kv_heads), 768
    assert model._lean == lean
    sizes = Sizes(model.lm.config, LORA, in_4_bits=False, lean=lean)
    planned = tokens * sizes.training(tokens)[0] + (sizes.merged if lean else 0)
    assert planned == pytest.approx(kept_bytes(model, tokens), rel=0.1)


def test_checkpointing_keeps_the_inputs_of_layers_alone_and_gives_the_same_gradients():
    model, tokens = make_model(2), 768
    sizes = Sizes(model.lm.config, LORA, in_4_bits=False)
    once, twice = kept_bytes(model, tokens), kept_bytes(model, tokens, checkpointing=True)
    assert tokens * sizes.training(tokens)[1] == pytest.approx(twice, rel=0.45) and twice < 0.2 * once
    gradients = []
    for on in (False, True):
        torch.manual_seed(0)
        ids, positions = torch.randint(0, 14, (2, 96)), torch.arange(96).repeat(2, 1)
        with model.checkpointing(on):
            model.loss(ids, positions, torch.ones_like(ids, dtype=torch.bool), ids.flatten()).backward()
        gradients.append([p.grad.clone() for p in model.trainable])
        for p in model.trainable:
            p.grad = None
    assert all(torch.equal(a, b) for a, b in zip(*gradients)) and any(g.abs().sum() > 0 for g in gradients[0])


def llama(hidden, inner, layers, heads, kv_heads, vocabulary, tied=True, head_dim=None):
    return LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, tie_word_embeddings=tied, head_dim=head_dim,
    )  # fmt: skip


EIGHT_BILLION = llama(4096, 14336, 32, 32, 8, 128256, tied=False)


def test_parameters_are_counted_as_transformers_counts_them():
    for config in (llama(64, 96, 3, 4, 2, 16), llama(64, 128, 2, 4, 4, 1000, tied=False, head_dim=32)):
        lm = LlamaForCausalLM(config)
        wrapped = get_peft_model(lm, peft_config(LORA))
        sizes = Sizes(config, LORA, in_4_bits=True)
        assert sizes.adapter_parameters == sum(p.numel() for p in wrapped.parameters() if p.requires_grad)
        assert sizes.parameters == sum(p.numel() for p in wrapped.parameters() if not p.requires_grad)
        whole = Sizes(config, LoraShape(rank=16, embeddings=True), in_4_bits=True)
        assert whole.adapter_parameters - sizes.adapter_parameters == 2 * config.vocab_size * config.hidden_size


def test_what_is_done_follows_from_the_memory():
    small = plan(Sizes(llama(256, 704, 8, 4, 4, 16), LORA, True), 14.6 * GIB, 4096, 8192, 32768)
    assert (small.kept_tokens, small.train_tokens, small.decode_tokens, small.merged) == (8192, 8192, 32768, True)
    assert not small.checkpointing
    on_t4, on_l4, on_h100 = (plan(Sizes(EIGHT_BILLION, LORA, True), m * GIB, 8192, 8192, 32768) for m in (14.6, 22, 78))
    assert on_t4.checkpointing and not on_t4.merged and on_h100.merged
    assert on_t4.train_tokens <= on_l4.train_tokens <= on_h100.train_tokens
    for memory, planned in ((14.6, on_t4), (22, on_l4), (78, on_h100)):
        assert 5 * GIB < max(planned.train, planned.decode) <= memory * GIB
    with pytest.raises(MemoryError, match="8.03 billion parameters do not fit into 6.0 GiB: base 5.6"):
        plan(Sizes(EIGHT_BILLION, LORA, True), 6 * GIB, 8192, 8192, 32768)


def test_cpu_workers_share_what_the_process_may_hold(monkeypatch):
    for total, each in ((10, 2), (3, 0.25), (1, 0)):
        monkeypatch.setattr(limits, "memory", lambda total=total: total * GIB)
        assert device_memory(CPU, 4) == each * GIB == device_memory(CPU) / 4
