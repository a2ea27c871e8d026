"""`python -m solution.finetune` as a user runs it: nothing to a loadable entry, interruptions, and one line for what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from solution.finetune import __main__ as finetune
from solution.finetune import launch, pack_data
from solution.finetune.launch import commands
from solution.finetune.mixture import Recipe
from solution.finetune.pack import Amounts, made_of
from solution.finetune.train import read_counters
from solution.models.manifest import find_weights

from .processes import HANGS
from .test_driver import ROOM, ROOT
from .test_finetune_pack import flat


def command(out, *options):
    plain = ["--preset", "test", "--score", "no", "--out", str(out)]
    return [sys.executable, "-m", "solution.finetune", *plain, *options]


def go(out, *options):
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command(out, *options), cwd=ROOT, capture_output=True, text=True, timeout=HANGS, env=environment)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finetune") / "run"
    done = go(out, "--tokens", "15000")
    assert done.returncode == 0, done.stderr
    return out


def test_one_command_gives_a_weight_set_that_the_driver_answers_with(finished, tmp_path):
    weights = find_weights(str(finished / "weights"))
    weights.verify()
    entry, counters = weights.entry, read_counters(finished / "final")
    assert entry["position_scheme"] == "grid" and entry["training"]["tokens"] == counters["tokens"] >= 15000
    assert entry["training"]["stages"][0]["recipe"]["drop_scored"] and "--tokens 15000" in entry["training"]["command"]
    assert entry["float16"]["finite"] and entry["quantization_cost"]["4 bit"]["tokens"] > 100
    options = [
        "--weights",
        str(finished / "weights"),
        "--input",
        "training",
        "--limit",
        "2",
        "--budget",
        ROOM,
        "--preset",
        "test",
    ]
    done = subprocess.run([sys.executable, "submission.py", *options, "--output", str(tmp_path / "s.json"), "--devices", "cpu"],
                          cwd=ROOT, capture_output=True, text=True, timeout=HANGS)  # fmt: skip
    assert done.returncode == 0 and "everything was done" in done.stderr, done.stderr


def test_the_same_command_again_publishes_again_and_another_is_refused(finished):
    before = json.loads((finished / "weights" / "manifest_entry.json").read_text())
    again = go(finished, "--tokens", "15000")
    assert again.returncode == 0 and "TFLOP/s" not in again.stdout  # nothing is trained
    assert json.loads((finished / "weights" / "manifest_entry.json").read_text()) == before
    for options, words in (
        (("--tokens", "20000"), "tokens 15000, not 20000"),
        (("--positions", "sequential"), "positions 'grid'"),
    ):
        refused = go(finished, *options)
        assert refused.returncode == 2 and words in refused.stderr and refused.stderr.count("\n") == 1


def test_a_killed_run_is_gone_on_with_and_ends_as_an_undisturbed_one(tmp_path):
    options = ["--tokens", "60000", "--checkpoint-minutes", "0.001"]
    process = subprocess.Popen(command(tmp_path / "cut", *options), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not (tmp_path / "cut" / "latest").is_dir():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for name in ("cut", "whole"):
        done = go(tmp_path / name, *options)
        assert done.returncode == 0, done.stderr
    entries = [json.loads((tmp_path / n / "weights/manifest_entry.json").read_text()) for n in ("cut", "whole")]
    assert entries[0]["files"] == entries[1]["files"]
    assert entries[0]["training"]["stages"] == entries[1]["training"]["stages"]


@pytest.mark.parametrize(
    "options, words",
    [
        (("--score", "abc"), "'abc' is not a duration"),
        (("--minutes", "-1"), "minutes must be positive"),
        (("--base", "x"), "--base is not an option of --preset test"),
        (("--data", "nothing.npz"), "nothing.npz: neither"),
        (("--data", "arc-agi-2/training"), "--drop-scored leaves these pairs out"),
        (("--start-from", "nowhere"), "nowhere: no weights to start from"),
        (("--start-from", "solution/weights/arc-llama-s"), "give --hidden, --layers and --intermediate"),
        (("--max-len", "60", "--batch-tokens", "100"), "no held-out training task fits 60 tokens"),
    ],
)
def test_what_is_wrong_gets_one_line_before_anything_is_trained(tmp_path, options, words):
    done = go(tmp_path / "run", *options)
    lines = [line for line in done.stderr.splitlines() if "Loading weights" not in line]
    assert done.returncode == 2 and len(lines) == 1 and words in lines[0], done.stderr
    assert not any((tmp_path / "run" / name).exists() for name in ("latest", "final", "weights"))


@pytest.mark.parametrize("gpus, words, expected", [
    (0, ["--preset", "m"], ["solution.finetune --preset m"]),
    (1, ["--preset", "m", "--data", "re_arc/", "--drop-scored", "--out", "runs/x"], [
        "solution.finetune pack-data --data re_arc/ --drop-scored --out runs/x.npz",
        "solution.finetune --preset m --out runs/x --pack runs/x.npz"]),
    (2, ["--preset", "m", "--pack", "p.npz"], [
        "torch.distributed.run --standalone --nproc-per-node 2 -m solution.finetune --preset m --pack p.npz"]),
    (2, ["--preset", "smollm2"], ["solution.finetune --preset smollm2"]),
])  # fmt: skip
def test_launch_packs_first_and_gives_every_gpu_a_process(gpus, words, expected):
    assert [" ".join(command[2:]) for command in commands(words, gpus)] == expected


def test_launch_uses_a_pack_again_only_for_the_same_data(tmp_path):
    out = tmp_path / "arc1.5"
    words = ["--preset", "test", "--out", str(out)]
    pack = tmp_path / "arc1.5.npz"
    assert [command[3] for command in commands(words, 1)] == ["pack-data", "--preset"]
    flat({"generators": {"a": [5]}}, np.random.default_rng(0)).write(pack)  # somebody else's
    assert [command[3] for command in commands(words, 1)] == ["pack-data", "--preset"]
    mine = made_of(Recipe(), Amounts(), 0)
    replace(flat({"generators": {"a": [5]}}, np.random.default_rng(0)), recipe=mine).write(pack)
    assert commands(words, 1) == [[sys.executable, "-m", "solution.finetune", *words, "--pack", str(pack)]]
    assert [command[3] for command in commands([*words, "--data", "re_arc/"], 1)] == ["pack-data", "--preset"]


def test_launch_puts_an_earlier_run_aside_itself_and_refuses_early(tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    words = ["--preset", "test", "--out", str(out), "--pack", "p.npz"]
    assert "--fresh" not in commands([*words, "--fresh"], 2)[0] and not out.exists() and (tmp_path / "run.1").exists()
    assert launch.main([*words, "--positions", "sequential"]) == 2
    assert "grid positions" in capsys.readouterr().err


@pytest.mark.parametrize("options, words", [
    (["--pack", "none.npz"], "none.npz: not a pack"),
    (["--pack", "PACK"], "packed while other training tasks were held out"),
    (["--pack", "PACK", "--data", "re_arc/"], "--data and --drop-scored are for pack-data"),
    (["--pack", "PACK", "--positions", "sequential"], "packed pairs are laid out on grid positions"),
    (["--device", "gpu"], "--device must be cpu, cuda or cuda:N, not gpu"),
])  # fmt: skip
def test_what_a_pack_cannot_do_gets_one_line(tmp_path, monkeypatch, capsys, options, words):
    flat({"generators": {"a": [5]}}, np.random.default_rng(0)).write(tmp_path / "pack.npz")
    chosen = [str(tmp_path / "pack.npz") if word == "PACK" else word for word in options]
    monkeypatch.setattr(sys, "argv", ["finetune", "--preset", "test", "--train-only", "--out", str(tmp_path / "run"), *chosen])
    assert finetune.main() == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


@pytest.mark.parametrize("options, words", [
    (["--out", "FOLDER"], "is a folder"),
    (["--out", "FOLDER/pack.npz", "--seed", "-3"], "--seed must not be negative"),
    (["--out", "FOLDER/pack.npz", "--composer", "-1"], "--composer must not be negative"),
    (["--out", "FOLDER/pack.npz", "--data", "none/"], "neither an .npz or .json file, nor a folder"),
])  # fmt: skip
def test_pack_data_says_what_is_wrong_before_it_generates(tmp_path, capsys, options, words):
    assert pack_data.main([word.replace("FOLDER", str(tmp_path)) for word in options]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1 and not list(tmp_path.iterdir())
