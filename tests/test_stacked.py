"""The stacked training step against the plain one: losses, weights, optimizers, checkpoints, two processes, no waiting."""

import dataclasses
from collections import Counter
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode

from solution.codec.arc16 import Arc16
from solution.finetune.batches import Batch, BatchStream
from solution.finetune.settings import Settings
from solution.finetune.stacked import StackedEngine
from solution.finetune.threaded import ThreadedEngine
from solution.models.nf4 import is_quantized_name, nf4_round_trip
from solution.models.rotary import GridRotary

from .arc_examples import turning_mixture

SETTINGS = Settings(out="", hidden=64, layers=2, intermediate=192, batch_tokens=1024, max_len=160, threads=1, weight_decay=0.1)
SCALES = (0.5, 1.0, 0.7)
ROTARY = GridRotary(64)


@pytest.fixture(scope="module")
def batches():
    stream = iter(BatchStream(partial(turning_mixture, families=3, each=12), Arc16("grid"), 1024, 160, seed=0, rows_multiple=4))
    return [next(stream) for _ in SCALES]


class Inline:
    """Stands in for `Trainer`'s threads: a dispatch mode sees its own thread only."""

    map = staticmethod(map)


def pair(dtype=torch.float32, settings=SETTINGS) -> tuple[ThreadedEngine, StackedEngine]:
    """The plain engine and the stacked one with the same weights, both computing in `dtype`."""
    from solution.finetune.train import start_model  # imports transformers: not for the processes of `_rank`

    torch.manual_seed(settings.seed)
    model = start_model(settings, None)
    work = dict(model.named_parameters()), model.config, settings, ROTARY, dtype
    plain = ThreadedEngine(*work)
    plain.workers = Inline()
    return plain, StackedEngine(*work)


def copies(tensors: dict) -> dict:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def moved(after: dict, before: dict, other: dict) -> float:
    """The largest difference of a tensor between two trainers, as a share of how far training moved it."""
    return max(((after[n] - other[n]).norm() / (after[n] - before[n]).norm()).item() for n in before)


@pytest.mark.parametrize("dtype, rounded, near", [(torch.float32, False, 1e-3), (torch.float32, True, 1e-3),
                                                  (torch.bfloat16, False, 0.5)])  # fmt: skip
def test_losses_and_weights_are_those_of_the_plain_trainer(batches, dtype, rounded, near):
    plain, stacked = pair(dtype)
    start = copies(plain.masters())
    for batch, scale in zip(batches, SCALES):
        theirs, ours = plain.step([batch], scale, rounded), stacked.step([batch], scale, rounded)
        assert ours.dtype == torch.float64 and ours[2] == theirs[2]
        torch.testing.assert_close(ours[0], theirs[0], rtol=1e-5 if dtype == torch.float32 else 1e-2, atol=0)
    assert moved(plain.masters(), start, stacked.masters()) < near


def test_the_first_gradient_is_that_of_the_plain_trainer(batches):
    plain, stacked = pair()
    theirs, ours = plain.step([batches[0]], 0.0), stacked.step([batches[0]], 0.0)
    torch.testing.assert_close(ours, theirs)
    for name, master in plain.masters().items():
        gradient = stacked._view(stacked._gradient, name)
        assert (gradient - master.grad).norm() < 1e-5 * master.grad.norm(), name  # both clipped


def test_optimizers_are_torchs():
    torch.manual_seed(0)
    plain, stacked = pair(torch.bfloat16)
    start = copies(plain.masters())
    muon = torch.optim.Muon([plain.masters()[n] for n in plain.matrices], lr=SETTINGS.muon_lr, weight_decay=0.1)
    for step in range(4):
        for name, master in plain.masters().items():
            master.grad = torch.randn_like(master) * 10.0**-step
            stacked._view(stacked._gradient, name).copy_(master.grad)
        muon.step()
        plain.adam.step()
        stacked._update(1.0)
    assert moved(plain.masters(), start, stacked.masters()) < 0.02
    for name, moment in plain.moments().items():
        if not name.startswith("momentum_buffer"):
            torch.testing.assert_close(stacked.moments()[name], moment)
    for name in plain.matrices:
        momentum = muon.state[plain.masters()[name]]["momentum_buffer"]
        torch.testing.assert_close(stacked.moments()[f"momentum_buffer.{name}"], momentum)


def test_micro_batches_of_other_lengths_train_like_one_batch(batches):
    _, one = pair()
    _, two = pair()
    start = copies(one.masters())
    for batch, scale in zip(batches, SCALES):
        narrow = dataclasses.replace(batch, positions=batch.positions.int())
        torch.testing.assert_close(two.step(narrow.split(2), scale), one.step([batch], scale), rtol=1e-5, atol=0.0)
    assert moved(one.masters(), start, two.masters()) < 1e-3


def test_checkpoints_go_from_one_trainer_to_the_other_and_back(batches):
    plain, stacked = pair()
    stacked.step([batches[0]], 1.0)
    state = copies(stacked.masters() | stacked.moments())
    plain_state = {n: t.detach() for n, t in (plain.masters() | plain.moments()).items()}
    assert {n: t.shape for n, t in state.items()} == {n: t.shape for n, t in plain_state.items()}
    assert list(stacked.masters()) == list(plain.masters())
    for name, tensor in plain_state.items():
        tensor.copy_(state[name])
    _, again = pair()
    for name, tensor in (again.masters() | again.moments()).items():
        tensor.copy_(plain_state[name])
    assert torch.equal(again.step([batches[1]], 1.0), stacked.step([batches[1]], 1.0))
    start = copies(plain.masters())
    plain.step([batches[1]], 1.0)
    for name, tensor in (again.masters() | again.moments()).items():
        assert torch.equal(tensor, (stacked.masters() | stacked.moments())[name]), name
    assert moved(plain.masters(), start, again.masters()) < 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_matrices_are_rounded_as_each_alone(dtype):
    _, stacked = pair(dtype)
    for round_to_nf4 in (True, False):
        stacked._refresh_weights(round_to_nf4)
        for name, master in stacked.masters().items():
            weight = master.to(dtype)
            expected = nf4_round_trip(weight) if round_to_nf4 and is_quantized_name(name) else weight
            assert torch.equal(stacked._view(stacked._weight, name), expected), name


def test_fp16_skips_a_step_whose_gradients_are_not_finite(batches):
    _, stacked = pair(torch.float16)
    before = copies(stacked.masters() | stacked.moments())
    stacked.loss_scale = 2.0**30
    stacked.step([batches[0]], 1.0)
    assert stacked.loss_scale == 2.0**29
    assert all(torch.equal(t, before[n]) for n, t in (stacked.masters() | stacked.moments()).items())
    _, exact = pair()
    stacked.loss_scale = 1024.0
    torch.testing.assert_close(stacked.step([batches[0]], 1.0), exact.step([batches[0]], 1.0), rtol=0.01, atol=2.0)
    assert moved(exact.masters(), {n: before[n] for n in stacked.masters()}, stacked.masters()) < 0.2


def run_rank(rank: int, store: str, masters: dict, config: SimpleNamespace, batches: list[Batch]) -> tuple[list, dict]:
    """One of two processes, with its half of every batch; sums of every step and the weights after the last."""
    dist.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2, timeout=timedelta(minutes=10))
    try:
        stacked = StackedEngine(masters, config, SETTINGS, ROTARY, torch.float32)
        sums = [stacked.step([batch.split(2)[rank]], scale) for batch, scale in zip(batches, SCALES)]
    finally:
        dist.destroy_process_group()
    return sums, copies(stacked.masters())


def _other_rank(_: int, store: str, *rest) -> None:
    torch.set_num_threads(1)
    torch.save(run_rank(1, store, *rest), f"{store}.1")


def test_two_processes_train_like_one(batches, tmp_path, monkeypatch):
    plain, alone = pair()
    start, store = copies(alone.masters()), str(tmp_path / "store")
    expected = [alone.step([batch], scale) for batch, scale in zip(batches, SCALES)]
    work = (store, start, SimpleNamespace(**plain.config.to_dict()), batches)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    other = torch.multiprocessing.spawn(_other_rank, work, nprocs=1, join=False)
    sums, masters = run_rank(0, *work)
    while not other.join():
        pass
    torch.testing.assert_close(sums, expected, rtol=1e-5, atol=0.0)
    assert moved(alone.masters(), start, masters) < 1e-3
    other_sums, other_masters = torch.load(f"{store}.1")
    assert all(map(torch.equal, sums, other_sums)) and all(torch.equal(m, other_masters[n]) for n, m in masters.items())


def test_compiled_layers_serve_every_length_and_are_left_out_where_compiling_fails(batches, monkeypatch, capsys):
    _, plain = pair(settings=dataclasses.replace(SETTINGS, layers=3))
    _, stacked = pair(settings=dataclasses.replace(SETTINGS, layers=3))
    start, compiled = copies(plain.masters()), torch.compile
    batch = Batch(*(t.flatten()[:512].view(4, 128) for t in (batches[0].ids, batches[0].positions, batches[0].supervised)))
    wide = Batch(*(t.reshape(2, 256) for t in (batch.ids, batch.positions, batch.supervised)))
    graphs = []
    monkeypatch.setattr(torch, "compile", partial(compiled, backend=lambda graph, inputs: graphs.append(graph) or graph.forward))
    assert stacked.warm_up(512) > 0
    for b in (batch, wide, batches[1]):  # the last one has another size: uncompiled
        torch.testing.assert_close(stacked.step([b], 1.0), plain.step([b], 1.0))
    assert moved(plain.masters(), start, stacked.masters()) < 1e-3 and len(graphs) == 3 and not capsys.readouterr().err

    def broken(function, **options):
        def raises(*arguments):
            raise RuntimeError("no compiler\nand more")

        return raises

    monkeypatch.setattr(torch, "compile", broken)
    stacked.warm_up(512)
    assert capsys.readouterr().err == "the layers run uncompiled: RuntimeError: no compiler\n"
    torch.testing.assert_close(stacked.step([batch], 1.0), plain.step([batch], 1.0), rtol=1e-4, atol=1e-4)


class Operations(TorchDispatchMode):
    """Counts what runs, views left out."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not func.is_view:
            self.counts[func.name()] += 1
        return func(*args, **(kwargs or {}))


WAITING = ("_local_scalar_dense", "nonzero", "item", "is_nonzero", "masked_select", "unique", "equal")


@pytest.mark.parametrize("rounded", [False, True])
def test_a_step_never_waits_for_the_device_and_takes_few_operations(batches, rounded):
    plain, stacked = pair(torch.bfloat16, dataclasses.replace(SETTINGS, layers=8))
    counts = []
    for step in (lambda: plain.step([batches[0]], 1.0, rounded), lambda: stacked.step([batches[0]], 1.0, rounded)):
        step()  # makes what stays
        with Operations() as operations:
            step()
        counts.append(operations.counts)
    print(f"operations of a step: {counts[0].total()} plain, {counts[1].total()} stacked")
    assert not [n for n in counts[1] if n.split("::")[1].split(".")[0] in WAITING]
    assert [n for n in counts[0] if "_local_scalar_dense" in n]  # so it would be seen
    assert counts[1].total() < 0.7 * counts[0].total()
