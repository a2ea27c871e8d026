"""Several processes that train one model, as `torchrun` starts them."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from solution.finetune.draws import Sampling
from solution.finetune.mixture import Recipe
from solution.finetune.pack import held_out_digest
from solution.finetune.presets import PRESETS
from solution.finetune.stacked import StackedEngine
from solution.finetune.streams import PackStream
from solution.finetune.train import read_counters, start_model
from solution.models.precision import compute_dtype
from solution.models.rotary import GridRotary

from .processes import HANGS, is_running, wait_until
from .test_driver import ROOT
from .test_finetune_pack import flat

STEPS = 4


@pytest.fixture(scope="module")
def pack():
    return flat({"examples": {"a": [200], "b": [200]}, "generators": {"e": [7, 4, 6]}}, np.random.default_rng(0))


def torchrun(processes, *options):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--standalone",
               "-m", "solution.finetune", "--preset", "test", "--train-only", "--log-steps", "1", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS, env=environment)


def test_two_processes_under_torchrun_train_like_one_and_only_the_first_writes(pack, tmp_path):
    replace(pack, recipe={"held_out": held_out_digest()}).write(tmp_path / "pack.npz")
    out = tmp_path / "run"
    done = torchrun(2, "--pack", str(tmp_path / "pack.npz"), "--out", str(out), "--steps", str(STEPS), "--device", "cpu")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4] and "2 x cpu" in done.stdout

    settings = replace(PRESETS["test"], out=str(tmp_path))
    torch.manual_seed(settings.seed)
    model = start_model(settings, None)
    cpu, weights = torch.device("cpu"), dict(model.named_parameters())
    engine = StackedEngine(weights, model.config, settings, GridRotary(64), compute_dtype(cpu))
    halves = [iter(PackStream(pack, Sampling(Recipe().shares), settings.batch_tokens, settings.max_len, cpu, settings.seed,
                              part=part, parts=2)) for part in range(2)]  # fmt: skip
    tokens = 0
    for step, row in enumerate(rows):
        batches = [batch for half in halves for batch in next(half)]
        nll, _, count = engine.step(batches, min(1.0, (step + 1) / settings.warmup)).tolist()
        tokens += batches[0].num_tokens
        assert row["output_loss"] == pytest.approx(nll / count, rel=0.01) and row["tokens"] == tokens
    assert read_counters(out / "final")["tokens"] == tokens


def test_processes_end_with_what_launched_them():
    """torchrun gives each a session of its own: killing its group does not reach them."""
    code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True); " \
           "print(p.pid, flush=True); p.wait()"  # fmt: skip
    inner = "import time; from solution.finetune import ranks; ranks.end_with_parent(); print(1, flush=True); time.sleep(999)"
    parent = subprocess.Popen([sys.executable, "-c", code, inner], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    child = int(parent.stdout.readline())
    assert parent.stdout.readline() == "1\n" and is_running(child)
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_running(child))


def test_several_processes_without_a_pack_get_one_line(tmp_path):
    command = [sys.executable, "-m", "solution.finetune", "--preset", "test", "--out", str(tmp_path / "run")]
    environment = os.environ | {"WORLD_SIZE": "2"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANGS, env=environment)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--pack" in done.stderr
