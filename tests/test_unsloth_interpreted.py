"""Unsloth's CUDA code without a GPU: its Triton kernels, interpreted, against stock transformers + peft in float32.

Our whole way to it is run: `load`, `load_peft` as for CUDA (Unsloth's loader and patches, the guards, float32 adapters over
NF4 or dense bases), our rotary tables, `AdaptedModel` and `train`. One process measures everything (`interpreted_unsloth`).
What cannot be had this way:
- bfloat16: Triton's interpreter keeps it in 16-bit integers, calculates with those, and cuts off instead of rounding.
- xformers, flash and cuDNN attention: torch's attention for CPUs stands in. The Triton cross entropy is not used by us.
- Kernels for rows of at most 128 columns, libdevice's multiplication without fusion and cached launches (plain ones instead).
- Streams, races, the allocator, two devices, rounding in the order of a GPU's sums, speed.
- Whether float32 bases get fused LoRA: Unsloth leaves it out there, and is told here that they have 16 bits.
- Unsloth's own decoding, which we do not use.
"""

import json
import os
import subprocess
import sys

import pytest
import torch

from solution.models.manifest import PROJECT

from .interpreted_unsloth import CASES, ENVIRONMENT, SKIPPED, measure

FUSED = {"LoRA_QKV", "LoRA_W", "LoRA_MLP", "Fast_RoPE_Embedding_QK", "Fast_RMS_Layernorm"}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What Unsloth and transformers measured."""
    folder = tmp_path_factory.mktemp("interpreted")
    environment = os.environ | ENVIRONMENT | {"UNSLOTH_COMPILE_LOCATION": str(folder.with_name("unsloth_compiled"))}
    command = [sys.executable, "-m", "tests.interpreted_unsloth", str(folder)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=3600)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "unsloth.json").read_text()), measure("transformers", torch.device("cpu"), folder)


def difference(one: list[float], other: list[float]) -> float:
    """Relative, of two vectors."""
    one, other = torch.tensor(one).double(), torch.tensor(other).double()
    return float((one - other).norm() / other.norm())


def check_step(one: dict, other: dict, loss_tolerance: float, gradient_tolerance: float) -> None:
    """The largest relative difference of any parameter's gradient counts."""
    assert list(one["gradient"]) == list(other["gradient"]) and len(one["gradient"]) == 2 * 7 * 2
    loss = difference([one["loss"]], [other["loss"]])
    gradient = max(difference(one["gradient"][name], other["gradient"][name]) for name in other["gradient"])
    print(f"relative difference of the loss {loss:.1e}, of gradients at most {gradient:.1e}")
    assert loss < loss_tolerance and gradient < gradient_tolerance


@pytest.mark.parametrize("case", CASES)
def test_fused_kernels_are_what_runs(both, case):
    unsloth, transformers = both
    assert {f"{name}Backward" for name in FUSED} <= set(unsloth[case]["nodes"])
    assert not {f"{name}Backward" for name in FUSED} & set(transformers[case]["nodes"])
    assert unsloth["nf4 kernels"]


@pytest.mark.parametrize("case", ["grid", "sequential", "nf4"])
def test_losses_and_gradients_agree_in_float32(both, case):
    unsloth, transformers = both
    check_step(unsloth[case], transformers[case], 3e-6, 4e-5)


def test_losses_and_gradients_agree_in_float16_over_nf4(both):
    unsloth, transformers = both
    check_step(unsloth["nf4 float16"], transformers["nf4 float16"], 1e-3, 0.1)


def test_activations_computed_twice_give_the_same_gradients(both):
    unsloth, transformers = both
    assert "CheckpointFunctionBackward" in unsloth["computed twice"]["nodes"]
    check_step(unsloth["computed twice"], transformers["grid"], 3e-6, 4e-5)
    check_step(unsloth["computed twice"], unsloth["grid"], 3e-6, 4e-5)


def test_padding_on_the_right_changes_nothing(both):
    unsloth, transformers = (backend["padding"] for backend in both)
    for one, other in ((unsloth["right"], unsloth["alone"]), (unsloth["right"], transformers["alone"])):
        print(f"relative difference {difference(one, other):.1e}")
        assert difference(one, other) < 2e-5


def test_training_drops_the_mask_so_that_padding_on_the_left_would_be_wrong(both):
    unsloth, transformers = (backend["padding"] for backend in both)
    assert difference(transformers["left, masked"], transformers["alone"]) < 2e-5
    assert unsloth["left, masked"] == unsloth["left, not masked"]
    assert difference(unsloth["left, masked"], unsloth["alone"]) > 0.1


def test_a_reset_leaves_nothing_of_the_task_before(both):
    losses = both[0]["trainings"]
    assert losses["second"] == losses["second, fresh model"]
    assert losses["first again"] == losses["first"] != losses["second"]


def test_float16_trainings_follow_float32_ones(both):
    unsloth, transformers = (backend["trainings"] for backend in both)
    for name, expected in transformers.items():
        print(f"{name}: relative difference {difference(unsloth[name], expected):.1e}")
        assert difference(unsloth[name], expected) < 0.02
        assert expected[1] < expected[0]


def test_nf4_weights_are_unpacked_bit_for_bit(both):
    assert len(both[0]["dequantized"]) == 8
    assert not [name for name, same in both[0]["dequantized"].items() if not same]
