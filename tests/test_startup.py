"""The first seconds: what cannot be used stops a run with one line, and in the competition rerun is replaced; published
checkpoints run through the whole driver."""

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from solution.arc.load import InputError, public_training
from solution.arc.submission import validate_submission
from solution.codec.arc16 import Arc16
from solution.driver import devices
from solution.driver.clock import Clock, parse_duration
from solution.driver.solve import smaller_training, within_memory
from solution.driver.startup import longest_sequence, within_positions
from solution.driver.worker import Assignment, Worker, is_lost
from solution.kaggle import start
from solution.models.manifest import ENTRY_FILE, default_weights, find_weights
from solution.models.memory import UNLIMITED
from solution.models.nf4 import quantize_folder
from solution.preset import ARCHITECTS, DEFAULT, PAPER
from solution.schedule.job import Job
from solution.ttt.data import build, item_tokens

from .processes import HANGS
from .test_codec_published import learnt_llama3, shrunk
from .test_driver import ROOM, ROOT, go, job_lines, smallest_training_tasks, write_input


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    tasks, _ = smallest_training_tasks(2)
    write_input(folder, tasks)
    return folder, {name: len(task.test) for name, task in tasks.items()}


def published(folder, name, build):
    """A folder as the named entry's source publishes it: its kind of tokenizer, a small random Llama in 4 bits."""
    build(folder)
    vocabulary = len(json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"])
    vocabulary += sum(t["special"] for t in json.loads((folder / "tokenizer.json").read_text())["added_tokens"])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=3000, tie_word_embeddings=False,
    )  # fmt: skip
    lm = LlamaForCausalLM(config)
    quantize_folder(lm.state_dict(), config.to_dict() | {"architectures": ["LlamaForCausalLM"]}, folder)
    listed = {f["path"] for f in find_weights(f"{name}={folder}").entry["files"]}
    for path in listed - {p.name for p in folder.iterdir()}:
        if path.endswith(".json"):
            (folder / path).write_text("{}")
    return folder


def test_the_architects_checkpoint_runs_through_the_driver_pinned_or_not(two, tmp_path):
    folder, num_tests = two
    weights = published(tmp_path / "architects", "architects-3b", lambda f: shrunk(f, tokenizer_config={
        "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>"}))  # fmt: skip
    named = f"architects-3b={weights}"
    common = ("--preset", "architects", "--budget", ROOM, "--devices", "cpu", "--limit", "1")
    refused = go(folder, *common, "--weights", named, output="refused.json")
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert refused.stderr.strip().endswith("--allow-unpinned does without")
    assert not (folder / "refused.json").exists()

    done = go(folder, *common, "--weights", named, "--allow-unpinned", output="open.json")
    assert done.returncode == 0, done.stderr
    assert "architects-3b, NOT PINNED" in (folder / "open.log").read_text()
    (trained,) = [line for line in job_lines(folder, "open") if line["record"]["job"]["stage"] == "ttt"]
    assert trained["ttt"]["steps"] == 64 and trained["record"]["job"]["num_views"] == 16 and trained["record"]["ok"]
    assert trained["ttt"]["losses"][-1] < trained["ttt"]["losses"][0]

    pinned = go_module("solution.weights", "pin", "architects-3b", str(weights))
    assert pinned.returncode == 0, pinned.stderr
    entry = json.loads((weights / ENTRY_FILE).read_text())
    assert entry["codec"] == "architects" and all(f["sha256"] for f in entry["files"])
    again = go(folder, *common, "--weights", str(weights), output="pinned.json")
    assert again.returncode == 0 and "architects-3b, verified" in (folder / "pinned.log").read_text()
    assert (folder / "pinned.json").read_bytes() == (folder / "open.json").read_bytes()


def go_module(module, *arguments):
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_dense_marc_weights_are_packed_and_run(two, tmp_path):
    folder, num_tests = two
    source = tmp_path / "marc"
    learnt_llama3(source)
    vocabulary = len(json.loads((source / "tokenizer.json").read_text())["model"]["vocab"]) + 10
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=3000, tie_word_embeddings=False,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(source)
    target = tmp_path / "packed"
    packed = go_module("solution.weights", "pack", str(source), str(target), "--name", "mine", "--codec", "marc")
    assert packed.returncode == 0, packed.stderr
    done = go(folder, "--weights", str(target), "--preset", "test", "--budget", ROOM, "--devices", "cpu", "--limit", "1",
              output="marc.json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert validate_submission(folder / "marc.json", num_tests) == []
    assert all(line["record"]["ok"] for line in job_lines(folder, "marc"))


def test_bad_weights_stop_a_run(two, tmp_path):
    folder, num_tests = two
    weights = default_weights("cpu")
    damaged = shutil.copytree(weights.folder, tmp_path / "damaged")
    (damaged / ENTRY_FILE).write_text(json.dumps(weights.entry))
    data = bytearray((damaged / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (damaged / "model.safetensors").write_bytes(data)
    options = ("--weights", str(damaged), "--budget", ROOM, "--preset", "test", "--limit", "1", "--devices", "cpu")
    stopped = go(folder, *options, output="stopped.json")
    assert stopped.returncode == 2
    fault = r"submission.py: weights arc-llama-s: .*does not have the sha256 of its manifest entry"
    assert re.fullmatch(fault, stopped.stderr.splitlines()[-1]) and "Traceback" not in stopped.stderr


def test_the_rerun_goes_on_with_the_embedded_weights_and_never_over_answers(two, tmp_path, monkeypatch):
    """The real driver under the real start: damaged weights are refused twice, then the embedded ones run. Where answers are
    already there, they stay."""
    folder, num_tests = two
    weights = default_weights("cpu")
    damaged = shutil.copytree(weights.folder, tmp_path / "damaged")
    (damaged / ENTRY_FILE).write_text(json.dumps(weights.entry | {"preset": "test"}))
    (tmp_path / "working").mkdir()
    place = start.Place(folder, tmp_path / "working", tmp_path, rerun=True)
    environment = dict(os.environ, OMP_NUM_THREADS="1", KAGGLE_IS_COMPETITION_RERUN="1", PYTHONPATH=str(ROOT))
    given = ["--input", str(folder), "--preset", "test", "--limit", "1"]
    monkeypatch.setattr(start, "PAUSE", 0.0)

    def drive():
        steps = start.tries(given, ["--weights", str(damaged)], place)
        steps = [(what, [*options, "--preset", "test", "--limit", "1"]) for what, options in steps]
        start.drive(place, Clock(parse_duration(ROOM)), steps, environment, tmp_path)
        return (tmp_path / "working" / "notebook.log").read_text()

    data = bytearray((damaged / "model.safetensors").read_bytes())
    (damaged / "model.safetensors").write_bytes(data[:-1])
    log = drive()
    assert log.count("bytes, not") == 2 and "tried: without Unsloth" in log and "weights: arc-llama-s, verified" in log
    answers = (tmp_path / "working" / "submission.json").read_bytes()
    assert validate_submission(tmp_path / "working" / "submission.json", num_tests) == []
    assert sum(1 for line in job_lines(tmp_path / "working") if line["record"]["ok"]) >= 2

    # The weights work again, but the journal is the embedded ones' on another precision: nothing may begin over it.
    (damaged / "model.safetensors").write_bytes(data)
    given += ["--seed", "7"]
    log = drive()
    assert "its answers stand" in log and "the submission stays" in log
    assert (tmp_path / "working" / "submission.json").read_bytes() == answers


LOSES_ITS_DEVICE = """
import sys
from solution.driver import solve
from solution.driver.cli import main
jobs = []
original = solve.Solver.__call__
def call(self, job, *limits):
    jobs.append(job)
    if len(jobs) > 2:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    return original(self, job, *limits)
solve.Solver.__call__ = call
sys.argv = ["submission.py", *sys.argv[1:]]
sys.exit(main())
"""


def test_a_process_that_lost_its_device_begins_anew_and_goes_on(two):
    folder, num_tests = two
    command = [sys.executable, "-c", LOSES_ITS_DEVICE, "--input", str(folder), "--output", str(folder / "lost.json"), "--fresh",
               "--preset", "test", "--budget", ROOM, "--devices", "cpu"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ, OMP_NUM_THREADS="1"))
    assert done.returncode == 0, done.stderr
    log = (folder / "lost.log").read_text()
    assert "cpu:0 is lost to this process: RuntimeError: CUDA error" in log and "every device is lost: starting again" in log
    assert "going on from" in log and "everything was done" in log
    lines = job_lines(folder, "lost")
    assert {t for line in lines if line["record"]["job"]["stage"] == "ttt" and line["record"]["ok"] for t in
            line["record"]["job"]["tasks"]} == set(num_tests)  # fmt: skip
    assert all(line["record"]["job"]["attempt"] == 0 for line in lines)  # no task was blamed


def test_a_worker_whose_device_is_lost_still_answers(monkeypatch):
    def raises(*arguments):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "set_device", raises)
    monkeypatch.setattr(torch.cuda, "empty_cache", raises)
    finished = queue.Queue()
    worker = Worker("cuda:0", None, finished, 1)
    for _ in range(2):
        worker.assignments.put(Assignment(Job("ttt", ("a",), 0, 8), time.monotonic() + HANGS, time.monotonic() + HANGS))
        _, result = finished.get(timeout=HANGS)
        assert result.lost and not result.record.ok
    worker.stop()
    assert worker.join(HANGS)
    assert not is_lost(torch.OutOfMemoryError("CUDA error: out of memory")) and not is_lost(ValueError("no"))


@pytest.mark.parametrize("preset", [DEFAULT, ARCHITECTS])
def test_every_further_attempt_needs_less_memory_than_the_one_before(preset):
    known = public_training()[0].tasks.values()
    task = next(t for t in known if len(t.train) >= 4 and Arc16("grid").task_tokens(t.train, t.test[0]) > 3000)
    memory = replace(UNLIMITED, kept_tokens=4096, train_tokens=8192)
    needs = []
    for attempt in range(3):
        config, data, kept = smaller_training(within_memory(preset, memory), memory, attempt)
        items = build(task, replace(data, max_items=40), Arc16("grid"), 0)
        longest = max(item_tokens(item, Arc16("grid")) for item in items)
        batch = max(longest, min(config.batch_size * longest, config.batch_tokens))
        needs.append((batch, batch > kept, longest, max(len(item.train) for item in items)))
    assert needs[0][1] is False or preset.train.batch_size > 1
    assert needs[1][1] and needs[2][1] and needs[1][0] <= needs[0][0]  # activations twice from the second attempt on
    assert needs[2][2] <= memory.train_tokens / 2 and items  # then shorter, with what demonstrations fit


def test_a_missing_package_is_one_line(two, tmp_path):
    folder, num_tests = two
    (tmp_path / "peft").mkdir()
    (tmp_path / "peft" / "__init__.py").write_text("raise ImportError('no peft here')")
    for rerun in ("", "1"):
        done = go(folder, "--budget", ROOM, output="missing.json", PYTHONPATH=str(tmp_path), KAGGLE_IS_COMPETITION_RERUN=rerun)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "a package is missing or broken (no peft here)" in done.stderr
        assert not (folder / "missing.json").exists()


@pytest.fixture
def old_and_new(monkeypatch):
    """Two CUDA devices, of which the first is too old for this torch."""
    cuda = SimpleNamespace(
        device_count=lambda: 2, get_device_name=lambda i: ("Tesla P100", "Tesla T4")[i],
        get_device_capability=lambda i: ((6, 0), (7, 5))[i],
    )  # fmt: skip

    def ones(count, device):
        if device == "cuda:0":
            raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")
        return torch.ones(count)

    monkeypatch.setattr(devices, "torch", SimpleNamespace(cuda=cuda, ones=ones))


def test_a_gpu_that_runs_nothing_stops_the_run_and_is_left_out_in_the_rerun(old_and_new):
    fault = r"cuda:0 cannot be used \(Tesla P100, capability 6.0: CUDA error: no kernel image is available.*\)"
    for asked in ("auto", "cuda:0", "cuda:0,cuda:1"):
        with pytest.raises(InputError, match=fault):
            devices.worker_devices(asked)
    assert devices.worker_devices("cuda:1") == (["cuda:1"], [])
    names, notes = devices.worker_devices("auto", rerun=True)
    assert names == ["cuda:1"] and re.match(fault, notes[0])
    names, _ = devices.worker_devices("cuda:0", rerun=True)
    assert names == [f"cpu:{i}" for i in range(devices.cores())]


@pytest.mark.parametrize("asked", ["cuda:0,cuda:0", "cuda,cuda:0", "cuda:1,cpu:2,cuda:01", "cpu:0", "cpu:9999", "", "auto,auto"])
def test_devices_that_cannot_be_meant_are_one_line(asked, old_and_new):
    with pytest.raises(InputError, match="--devices: '") as raised:
        devices.worker_devices(asked)
    assert "\n" not in str(raised.value)


def test_an_earlier_submission_of_other_tasks_stays_until_models_are_loaded(two, tmp_path):
    """Weights that only loading finds unfit: larger than what is hashed at once."""
    folder, num_tests = two
    weights = default_weights("cpu")
    damaged = shutil.copytree(weights.folder, tmp_path / "damaged")
    (damaged / ENTRY_FILE).write_text(json.dumps(weights.entry))
    data = bytearray((damaged / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (damaged / "model.safetensors").write_bytes(data)
    finished = '{"other": [{"attempt_1": [[1]], "attempt_2": [[0]]}]}'
    (folder / "finished.json").write_text(finished)
    options = ("--weights", str(damaged), "--budget", ROOM, "--preset", "test", "--devices", "cpu")
    program = [sys.executable, "-c", "import sys; from solution.driver import cli; cli.QUICK_BYTES = 0; sys.exit(cli.main())"]
    for output, there in (("finished.json", True), ("none.json", False)):
        line = [*program, "--input", str(folder), "--output", str(folder / output), *options]
        done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=HANGS)
        assert done.returncode == 2 and "does not have the sha256" in done.stderr.splitlines()[-1]
        assert (folder / output).exists() == there and len(list(folder.glob("*.tmp"))) == 0
    assert (folder / "finished.json").read_text() == finished


def test_longest_sequence_bounds_what_a_run_computes_and_presets_stay_within_positions():
    tasks = list(public_training()[0].tasks.values())[:60]
    codec = Arc16("sequential")
    short = within_positions(DEFAULT, 2500, codec)
    assert short.data.max_tokens == 2500 and short.decode.max_prompt_tokens + codec.max_answer_tokens <= 2500
    largest = max(codec.task_tokens((), test) for task in tasks for test in task.test)
    assert longest_sequence(tasks, short, codec) <= max(2500, largest + codec.max_answer_tokens)
    assert longest_sequence(tasks, DEFAULT, codec) > longest_sequence(tasks, short, codec)
    assert longest_sequence(tasks[:1], PAPER, codec) == PAPER.data.max_tokens  # transformed items may be larger than the task's
    assert ARCHITECTS.train.warmup * ARCHITECTS.train.steps == 32
