"""Kaggle: staging, notebooks, wheels, and what a run does with a fault, in an ordinary run and in the competition rerun."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest

from solution.arc.submission import validate_submission
from solution.driver.cli import parser as driver_parser
from solution.driver.clock import parse_duration
from solution.kaggle import notebooks, overlay, start, wheels
from solution.kaggle.check import NO_UNSLOTH, UNUSABLE
from solution.kaggle.inputs import CODE_MARK, WEIGHTS_MARK, folders_with
from solution.kaggle.metadata import PLACEHOLDER, SLUG_LENGTH, slug
from solution.kaggle.notebooks import KERNELS
from solution.kaggle.pack import Order, PackError, check_options, stage_weights
from solution.kaggle.place import PROJECT, Place, StartError
from solution.models.manifest import ENTRY_FILE, WeightsError, default_weights, find_weights
from tests.kaggle_box import box
from tests.kaggle_box.__main__ import session

from .processes import HANGS, is_running, wait_until

KERNEL_FIELDS = {
    "id", "title", "code_file", "language", "kernel_type", "is_private", "enable_gpu", "enable_tpu", "enable_internet",
    "machine_shape", "dataset_sources", "competition_sources", "kernel_sources", "model_sources", "docker_image",
}  # fmt: skip
TASKS = {"aa000000": {"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3, 4]]}]}}


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "solution.kaggle", *map(str, arguments)], cwd=PROJECT, capture_output=True, text=True
    )


def read(path):
    return json.loads(Path(path).read_text())


# The box


def test_the_submit_notebook_in_the_kaggle_box(tmp_path):
    namespaces, why = box.namespaces()
    if namespaces is None:
        pytest.skip(f"no mount and network namespaces here: {why}")
    verdict = session(tmp_path, namespaces, Namespace(scale="ci"))
    assert not verdict.faults, verdict.told
    assert verdict.answered == verdict.tasks == 4
    assert "3 installed: accelerate" in verdict.told and "valid" in verdict.told.splitlines()[-1]


def test_the_box_names_everything_that_would_have_gone_wrong(tmp_path):
    for name in ("input", "working", "temp/arc-x"):
        (tmp_path / "kaggle" / name).mkdir(parents=True)
    (tmp_path / "kaggle" / "input" / "arc-agi_test_challenges.json").write_text(json.dumps(TASKS))
    before = box.digest(tmp_path / "kaggle" / "input")
    (tmp_path / "kaggle" / "input" / "written").write_text("")
    (tmp_path / "kaggle" / "working" / "big.whl").write_bytes(bytes(box.LARGE + 1))
    told = box.judge(tmp_path, {"error": "E", "network": None, "input": None, "project": True}, before).faults
    expected = ("notebook: E", "submission: ", "network was open", "input was open", "own package was in reach", "was written",
                "bytes left in the working", "big.whl", "left in temp", "aa000000 was never decoded")  # fmt: skip
    assert len(told) == len(expected) and all(part in line for part, line in zip(expected, told))


# Staging


@pytest.fixture(scope="module")
def weights_folder(tmp_path_factory):
    """The embedded weights as a folder of their own."""
    embedded, folder = default_weights("cpu"), tmp_path_factory.mktemp("weights") / "mine"
    folder.mkdir()
    for file in embedded.entry["files"]:
        (folder / file["path"]).write_bytes((embedded.folder / file["path"]).read_bytes())
    (folder / ENTRY_FILE).write_text(json.dumps(embedded.entry | {"name": "mine"}))
    return folder


@pytest.fixture(scope="module")
def staged(tmp_path_factory, weights_folder):
    out = tmp_path_factory.mktemp("pack") / "out"
    done = command(
        "pack", "--user", "ada", "--out", out, "--weights", weights_folder, "--machine", "l4x4", "--submit", "--seed 1"
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_pack_stages_code_that_runs_and_nothing_else(staged):
    code = staged[0] / "code"
    assert {p.name for p in code.iterdir()} == {
        "solution", "submission.py", "weights_manifest.json", "requirements.txt", "README.md", "LICENSE",
        "packed.json", "dataset-metadata.json",
    }  # fmt: skip
    assert not [p for p in code.rglob("*") if p.name == "__pycache__" or p.name.startswith(".")]
    done = subprocess.run([sys.executable, code / "submission.py", "--help"], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0 and "--budget" in done.stdout, done.stderr
    assert read(code / "packed.json") == {"user": "ada", "submit": ["--seed", "1"], "finetune": ["--preset", "m"]}


def test_pack_leaves_the_documents_out(staged):
    assert (PROJECT / "solution" / "docs" / "experiments" / "README.md").is_file()
    assert not [p for p in (staged[0] / "code" / "solution").rglob("*") if p.name == "docs" or p.suffix == ".md"]


def test_pack_fills_in_names_machine_and_weights(staged):
    out, said = staged
    submit = read(out / "submit" / "kernel-metadata.json")
    assert submit["id"] == "ada/arc-prize-submit" and submit["machine_shape"] == "NvidiaL4"
    assert submit["dataset_sources"] == ["ada/arc-prize-code", "ada/arc-weights-mine"]
    assert submit["kernel_sources"] == ["ada/arc-prize-wheels"] and submit["competition_sources"]
    assert read(out / "weights" / "dataset-metadata.json")["id"] == "ada/arc-weights-mine"
    assert read(out / "wheels" / "kernel-metadata.json")["dataset_sources"] == ["ada/arc-prize-code"]
    assert PLACEHOLDER + "/" not in "".join(p.read_text() for p in out.glob("*/*metadata.json"))
    for line in ("datasets create -p {}/code --dir-mode zip", "datasets version -p {}/weights ", "kernels push -p {}/submit"):
        assert f"kaggle {line.format(out)}" in said


def test_weights_that_travel_with_the_code_are_chosen_by_name(tmp_path):
    assert command("pack", "--user", "ada", "--out", tmp_path / "out", "--weights", "arc-llama-s").returncode == 0
    assert len(read(tmp_path / "out" / "submit" / "kernel-metadata.json")["kernel_sources"]) == 1
    assert read(tmp_path / "out" / "code" / "packed.json")["submit"] == ["--weights", "arc-llama-s"]
    assert not (tmp_path / "out" / "weights").exists()


def test_the_finetune_kernels_output_can_be_submitted_with(tmp_path):
    assert command("pack", "--user", "ada", "--out", tmp_path / "out", "--finetuned").returncode == 0
    sources = read(tmp_path / "out" / "submit" / "kernel-metadata.json")["kernel_sources"]
    finetune = read(tmp_path / "out" / "finetune" / "kernel-metadata.json")
    assert sources == ["ada/arc-prize-wheels", finetune["id"]]


@pytest.mark.parametrize(
    "options, fault",
    [
        (("--user", "ada", "--finetuned", "--weights", "arc-llama-s"), "--weights names others"),
        (("--user", "a/b"), "not a Kaggle user name"),
        (("--user", "ada", "--weights", "nothing"), "neither in weights_manifest.json"),
        (("--user", "ada", "--submit", "--bugdet 1h"), "unrecognized arguments: --bugdet"),
        (("--user", "ada", "--submit", "--budget soon"), "'soon' is not a duration"),
        (("--user", "ada", "--submit", "--budget 12h --seed 'x"), "No closing quotation"),
        (("--user", "ada", "--finetune", "--preset huge"), "invalid choice: 'huge'"),
        (("--user", "ada", "--finetune", "--minutes 720"), "--minutes 720 leaves a session no time"),
    ],
)
def test_pack_names_what_is_wrong_in_one_line(options, fault, tmp_path):
    done = command("pack", "--out", tmp_path / "out", *options)
    assert done.returncode == 2 and fault in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("submit, finetune, fault", [
    ("--budget=12h", "", "--submit: --budget 12h00m is longer than a Kaggle session leaves (11h50m)"),
    ("--budget 0", "", "'0' is not a positive duration"),
    ("--seed -1", "", "-1 is not"),
    ("--devices cuda:0,cuda:0", "", "names cuda:0 twice"),
    ("--bud 1h", "", "--bud"),
    ("--help", "", "--help is nothing"),
    ("", "--minutes nan", "nan is not"),
    ("", "--minutes inf", "inf is not"),
    ("", "--seed=-1", "-1 is not"),
    ("", "--positions round", "'round'"),
])  # fmt: skip
def test_options_that_kaggle_would_refuse_are_not_packed(submit, finetune, fault, tmp_path):
    with pytest.raises(PackError) as raised:
        check_options(Order("ada", tmp_path, submit=submit.split(), finetune=finetune.split()))
    assert fault in str(raised.value) and "\n" not in str(raised.value)
    check_options(Order("ada", tmp_path, submit=["--budget=11h50m", "--input", "a b"], finetune=["--minutes", "60"]))


def hub_cache(folder, weights_folder, absolute):
    """The files as huggingface_hub lays them down: the snapshot's are links, relative ones, into blobs."""
    (folder / "blobs").mkdir(parents=True)
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for number, file in enumerate(weights_folder.iterdir()):
        shutil.copy(file, folder / "blobs" / str(number))
        blob = folder / "blobs" / str(number)
        (snapshot / file.name).symlink_to(blob if absolute else Path("../../blobs", str(number)))
    return snapshot


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("hard_links", [True, False])
def test_links_of_a_hub_cache_are_staged_as_files(tmp_path, weights_folder, absolute, hard_links, monkeypatch):
    if not hard_links:

        def link(*_):
            raise OSError("another file system")

        monkeypatch.setattr(os, "link", link)
    snapshot = hub_cache(tmp_path / "hub", weights_folder, absolute)
    (tmp_path / "main").symlink_to(snapshot)
    stage_weights("ada", find_weights(str(tmp_path / "main")), tmp_path / "staged")
    shutil.rmtree(tmp_path / "hub")
    for file in (tmp_path / "staged").iterdir():
        assert file.is_file() and not file.is_symlink()
    find_weights(str(tmp_path / "staged")).verify()


def test_weights_that_change_while_they_are_staged_are_refused(tmp_path, weights_folder, monkeypatch):
    def link(source, target):
        Path(target).write_bytes(source.read_bytes()[:-1])

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(WeightsError, match="staged"):
        stage_weights("ada", find_weights(str(weights_folder)), tmp_path / "staged")


def test_pack_replaces_a_staging_and_no_other_folder(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    done = command("pack", "--user", "ada", "--out", tmp_path / "out")
    assert done.returncode == 2 and "holds something else" in done.stderr
    assert (tmp_path / "out" / "thesis.tex").exists()


# What Kaggle's command line reads


@pytest.mark.parametrize("name", notebooks.TEXTS)
def test_kernel_metadata(name):
    metadata = read(KERNELS / name / "kernel-metadata.json")
    assert set(metadata) <= KERNEL_FIELDS
    assert metadata["id"] == f"{PLACEHOLDER}/{slug(metadata['title'])}", "Kaggle derives the slug from the title"
    assert (KERNELS / name / metadata["code_file"]).is_file()
    assert (metadata["language"], metadata["kernel_type"], metadata["is_private"]) == ("python", "notebook", True)
    assert metadata["enable_internet"] == (name == "wheels") and metadata["enable_gpu"]
    assert callable(getattr(start, name))


def test_dataset_metadata_is_within_kaggles_limits(staged):
    for path in staged[0].glob("*/dataset-metadata.json"):
        metadata = read(path)
        low, high = SLUG_LENGTH
        assert low <= len(metadata["title"]) <= high and low <= len(metadata["id"].split("/")[1]) <= high
        assert slug(metadata["title"]) == metadata["id"].split("/")[1] and len(metadata["licenses"]) == 1


def test_the_notebooks_are_in_step_with_their_source(tmp_path):
    assert command("notebooks", "--check").returncode == 0
    assert len(notebooks.stale(tmp_path)) == 3
    written = notebooks.write(tmp_path)
    assert notebooks.stale(tmp_path) == []
    written[0].write_text(written[0].read_text().replace("start.", "stop."))
    assert notebooks.stale(tmp_path) == written[:1]


# Attached folders and wheels


def test_a_folder_under_two_paths_is_one(tmp_path):
    (tmp_path / "datasets" / "ada" / "w").mkdir(parents=True)
    (tmp_path / "datasets" / "ada" / "w" / WEIGHTS_MARK).write_text("{}")
    (tmp_path / "w").symlink_to(tmp_path / "datasets" / "ada" / "w")
    (tmp_path / "datasets" / "loop").symlink_to(tmp_path)
    assert len(folders_with(tmp_path, WEIGHTS_MARK)) == 1


def wheel(folder, name="arc_probe", version="1.0", requirement=None):
    """A wheel of one module that knows its version."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + (f"Requires-Dist: {requirement}\n" if requirement else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"]))
    return path


@pytest.fixture
def house(tmp_path):
    """A wheelhouse of two wheels, at a place of its own."""
    folder = tmp_path / "input" / "wheels"
    folder.mkdir(parents=True)
    sums = [f"{hashlib.sha256(w.read_bytes()).hexdigest()}  {w.name}\n" for w in (wheel(folder), wheel(folder, "torch", "99"))]
    (folder / "SHA256SUMS").write_text("".join(sums))
    return folder


def test_wheels_are_put_in_front_of_the_image_but_for_torch(house, tmp_path):
    every = overlay.verified_wheels(house)
    lacking = overlay.lacking(every)
    assert [w.name for w in every] == ["arc_probe-1.0-py3-none-any.whl", "torch-99-py3-none-any.whl"]
    assert lacking == every[:1]
    overlay.install(lacking, tmp_path / "packages")
    environment = overlay.environment(PROJECT, tmp_path / "packages")
    told = subprocess.run(
        [sys.executable, "-c", "import arc_probe; print(arc_probe.version)"], env=environment, capture_output=True
    )
    assert told.stdout == b"1.0\n" and overlay.installed_version("arc_probe") is None
    assert environment["HF_HUB_OFFLINE"] == environment["UNSLOTH_DISABLE_STATISTICS"] == "1"


def test_what_the_image_has_in_that_version_is_not_installed(house):
    same = wheel(house, "packaging", overlay.installed_version("packaging"))
    assert overlay.lacking([same]) == []


@pytest.mark.parametrize(
    "damage, fault", [("change", "does not have the sha256"), ("add", "not listed"), ("remove", "not there")]
)
def test_wheels_that_are_not_as_listed_are_refused(house, damage, fault):
    path = house / "arc_probe-1.0-py3-none-any.whl"
    if damage == "change":
        path.write_bytes(path.read_bytes() + b"x")
    elif damage == "add":
        wheel(house, "stowaway")
    else:
        path.unlink()
    with pytest.raises(overlay.OverlayError, match=fault):
        overlay.verified_wheels(house)


def test_the_wheelhouse_is_what_pip_would_install_without_the_images_own(tmp_path, monkeypatch):
    index = tmp_path / "index"
    index.mkdir()
    for name, version, requirement in (
        ("unsloth", "2.0", "xformers"), ("unsloth", "3.0", None), ("unsloth_zoo", "2.0", "arc_probe"),
        ("arc_probe", "1.0", "torch"), ("torch", "99", None),
    ):  # fmt: skip
        wheel(index, name, version, requirement)
    (tmp_path / "requirements.txt").write_text("unsloth==2.0  # pinned\ntorch==99\n")
    monkeypatch.setattr(wheels.pinned, "__defaults__", (tmp_path / "requirements.txt",))
    for key in [key for key in os.environ if key.startswith("PIP_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    built = wheels.build(tmp_path / "out", ("unsloth",))
    assert [w.name.split("-py3")[0] for w in built] == ["arc_probe-1.0", "unsloth-2.0", "unsloth_zoo-2.0"]
    assert overlay.verified_wheels(tmp_path / "out") == built
    with pytest.raises(wheels.WheelsError, match="does not list trl"):
        wheels.build(tmp_path / "other", ("trl",))


# A run and its faults


@pytest.fixture
def place(house, tmp_path, monkeypatch):
    """Kaggle's folders with tasks and wheels, and a driver that does what `behaviour` says: a list of exit codes."""
    for name in ("working", "temp", "input/competition"):
        (tmp_path / name).mkdir()
    (tmp_path / "input" / "competition" / "arc-agi_test_challenges.json").write_text(json.dumps(TASKS))
    monkeypatch.setattr(start, "tried", lambda place, scratch, packages: overlay.environment(PROJECT, packages))
    monkeypatch.setattr(start, "packed", lambda: {})
    monkeypatch.delenv(start.ARGUMENTS, raising=False)

    def make(rerun):
        return Place(tmp_path / "input", tmp_path / "working", tmp_path / "temp", rerun)

    return make


@pytest.fixture
def driver(monkeypatch):
    """In place of the driver: each start takes the next (exit code, jobs done); the commands it was started with."""
    started = []

    def behave(*steps):
        waiting = list(steps)

        def run(self, command, environment, folder, seconds=None):
            code, jobs = waiting.pop(0)
            started.append(command)
            with open(self.working / "submission.run" / "journal.jsonl", "a") as journal:
                journal.write("{}\n" * jobs)
            return code

        monkeypatch.setattr(Place, "run", run)
        return started

    return behave


def test_an_ordinary_run(place, driver, tmp_path, capfd):
    started = driver((0, 3))
    start.submit(place(rerun=False))
    told = (tmp_path / "working" / "notebook.log").read_text()
    assert told == capfd.readouterr().out and "1 installed: arc-probe 1.0" in told
    assert validate_submission(tmp_path / "working" / "submission.json", {"aa000000": 1}) == []
    assert len(started) == 1 and float(started[0][-1].rstrip("s")) <= 15 * 60, "a rehearsal, not 11 hours of GPU quota"
    assert list((tmp_path / "temp").iterdir()) == [] and os.listdir(tmp_path / "working" / "submission.run") == ["journal.jsonl"]


def test_options_come_from_the_packing_and_then_the_environment(place, driver, monkeypatch, weights_folder, tmp_path):
    (tmp_path / "input" / "weights").symlink_to(weights_folder)
    monkeypatch.setattr(start, "packed", lambda: {"submit": ["--seed", "1", "--budget", "9h"]})
    monkeypatch.setenv(start.ARGUMENTS, "--seed 2 --budget 2h")
    started = driver((0, 1))
    start.submit(place(rerun=True))
    options = started[0][2:]
    assert options[:4] == ["--seed", "1", "--seed", "2"] and 6000 < float(options[-1].rstrip("s")) <= 7200
    assert options[options.index("--weights") + 1] == str(tmp_path / "input" / "weights")


@pytest.mark.parametrize("asked, expected", [
    ("--input='{}/my tasks.json' --weights=arc-llama-s --seed=3", ["--seed=3"]),
    ("--seed 3 --weights arc-llama-s --input '{}/my tasks.json'", ["--seed", "3"]),
])  # fmt: skip
def test_options_count_in_every_form_that_argparse_reads(place, driver, monkeypatch, tmp_path, weights_folder, asked, expected):
    (tmp_path / "input" / "weights").symlink_to(weights_folder)
    (tmp_path / "my tasks.json").write_text(json.dumps({"mine": TASKS["aa000000"]}))
    monkeypatch.setenv(start.ARGUMENTS, asked.format(tmp_path))
    started = driver((0, 1))
    start.submit(place(rerun=True))
    options = driver_parser().parse_args(started[0][2:])
    assert options.input == str(tmp_path / "my tasks.json") and options.weights == "arc-llama-s" and options.seed == 3
    assert started[0][2 : 2 + len(expected)] == expected
    assert validate_submission(tmp_path / "working" / "submission.json", {"mine": 1}) == []


def test_paths_are_the_notebooks_and_a_rehearsal_stays_short(place, driver, monkeypatch, tmp_path, weights_folder):
    (tmp_path / "input" / "weights").symlink_to(weights_folder)
    (tmp_path / "mine.json").write_text(json.dumps({"mine": TASKS["aa000000"]}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(start.ARGUMENTS, "--input mine.json --solutions mine.json --output working/submission.json")
    started = driver((0, 1))
    start.submit(place(rerun=False))
    options = driver_parser().parse_args(started[0][2:])
    assert options.input == options.solutions == str(tmp_path / "mine.json") and options.budget <= 15 * 60


@pytest.mark.parametrize("asked, fault", [
    ("--budget 13h", "--budget 13h00m is more than a Kaggle session leaves"),
    ("--seed -1", "-1 is not"),
    ("--input=", "is empty"),
    ("--inp x", "--inp"),
    ("--input 'x", "ARC_ARGUMENTS.*No closing quotation"),
    ("--output s.json", "Kaggle takes submission.json"),
    ("--help", "--help is nothing"),
])  # fmt: skip
def test_what_the_driver_would_refuse_is_told_before_anything_is_installed(place, driver, monkeypatch, tmp_path, asked, fault):
    monkeypatch.setenv(start.ARGUMENTS, asked)
    started = driver((0, 1))
    with pytest.raises(StartError, match=fault) as raised:
        start.submit(place(rerun=False))
    assert not started and "\n" not in str(raised.value)
    start.submit(place(rerun=True))
    budget = float(started[0][-1].rstrip("s"))
    assert budget <= start.SESSION_LEAVES and started[0][started[0].index("--output") + 1].startswith(str(tmp_path))
    assert (budget > parse_duration("11h30m")) == ("13h" in asked)


def test_answers_that_are_there_are_not_replaced_by_placeholders(place, driver, tmp_path):
    answers = json.dumps({"aa000000": [{"attempt_1": [[5]], "attempt_2": [[6]]}]})
    (tmp_path / "working" / "submission.json").write_text(answers)
    driver((0, 1))
    start.submit(place(rerun=True))
    assert (tmp_path / "working" / "submission.json").read_text() == answers


def no_wheels(root):
    for path in (root / "input" / "wheels").iterdir():
        path.unlink()


def bad_wheel(root):
    (root / "input" / "wheels" / "arc_probe-1.0-py3-none-any.whl").write_bytes(b"cut short")


def wheel_that_does_not_install(root):
    folder = root / "input" / "wheels"
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(b'cut short').hexdigest()}  arc_probe-1.0-py3-none-any.whl\n")
    (folder / "torch-99-py3-none-any.whl").unlink()
    bad_wheel(root)


def two_codes(root):
    path = root / "input" / "other" / CODE_MARK
    path.parent.mkdir(parents=True)
    path.write_text("")


def two_weights(root):
    for name in "ab":
        (root / "input" / name).mkdir()
        (root / "input" / name / WEIGHTS_MARK).write_text("{}")


@pytest.mark.parametrize(
    "damage, fault",
    [
        (no_wheels, "no wheels are attached"),
        (bad_wheel, "does not have the sha256"),
        (wheel_that_does_not_install, "cannot be installed"),
        (two_codes, "two code datasets are attached"),
        (two_weights, "two weights folders are attached"),
    ],
)
def test_a_fault_stops_an_ordinary_run_and_not_the_rerun(damage, fault, place, driver, tmp_path):
    damage(tmp_path)
    started = driver((0, 1))
    with pytest.raises(StartError, match=fault) as raised:
        start.submit(place(rerun=False))
    assert "\n" not in str(raised.value) and not started
    start.submit(place(rerun=True))
    told = [line for line in (tmp_path / "working" / "notebook.log").read_text().splitlines() if fault in line]
    assert len(started) == 1 and len(told) == 1 and "going on with" in told[0]
    assert validate_submission(tmp_path / "working" / "submission.json", {"aa000000": 1}) == []


def test_missing_tasks_stop_both(place, driver, tmp_path):
    (tmp_path / "input" / "competition" / "arc-agi_test_challenges.json").unlink()
    driver(*[(2, 0)] * 4)
    for rerun in (False, True):
        with pytest.raises(StartError, match="no such file|there is none"):
            start.submit(place(rerun))


def test_a_driver_that_fails_stops_an_ordinary_run(place, driver):
    started = driver((1, 0))
    with pytest.raises(StartError, match="exit code 1"):
        start.submit(place(rerun=False))
    assert len(started) == 1


def test_the_rerun_resumes_a_driver_that_crashes_after_work(place, driver):
    started = driver((-9, 3), (-11, 2), (0, 1))
    start.submit(place(rerun=True))
    assert len(started) == 3 and started[0][:-1] == started[1][:-1] == started[2][:-1]


def test_a_fresh_start_is_fresh_once(place, driver, monkeypatch):
    monkeypatch.setenv(start.ARGUMENTS, "--fresh --seed 1")
    started = driver((-9, 3), (0, 1))
    start.submit(place(rerun=True))
    assert ["--fresh" in command for command in started] == [True, False] and "--seed" in started[1]


def test_the_rerun_asks_for_less_where_the_driver_refuses(place, driver, monkeypatch):
    monkeypatch.setenv(start.ARGUMENTS, "--preset paper")
    started = driver((2, 0), (2, 0), (0, 1))
    start.submit(place(rerun=True))
    options = [command[2:] for command in started]
    assert "paper" in options[0] and "paper" in options[1] and "paper" not in options[2]
    assert "transformers" not in options[0] and "transformers" in options[1] and "transformers" in options[2]


def test_the_rerun_keeps_answers_rather_than_begin_with_less(place, driver, tmp_path, monkeypatch):
    monkeypatch.setattr(start, "PAUSE", 0.0)
    started = driver((-9, 3), *[(-9, 0)] * start.FRUITLESS)
    start.submit(place(rerun=True))
    assert len(started) == 1 + start.FRUITLESS and "the submission stays" in (tmp_path / "working" / "notebook.log").read_text()


def test_options_that_cannot_be_read_stop_an_ordinary_run_and_not_the_rerun(place, driver, monkeypatch):
    monkeypatch.setenv(start.ARGUMENTS, "--budget soon")
    started = driver((0, 1))
    with pytest.raises(StartError, match="'soon' is not a duration"):
        start.submit(place(rerun=False))
    start.submit(place(rerun=True))
    assert 40500 < float(started[0][-1].rstrip("s")) <= 41400  # less the age of this process, of which 10 minutes count


@pytest.mark.parametrize("code, kept", [(0, True), (NO_UNSLOTH, True), (UNUSABLE, False)])
def test_packages_that_cannot_be_imported_are_left_out_of_the_rerun(code, kept, place, monkeypatch, tmp_path):
    monkeypatch.undo()  # the real trial
    monkeypatch.setattr(start, "imports", lambda environment, scratch: (code, "what it said"))
    if code:
        with pytest.raises(StartError, match="what it said"):
            start.prepare(place(rerun=False), tmp_path / "ordinary")
    environment = start.prepare(place(rerun=True), tmp_path / "rerun")
    assert (str(tmp_path / "rerun" / "packages") in environment["PYTHONPATH"].split(os.pathsep)) == kept
    assert "what it said" in (tmp_path / "working" / "notebook.log").read_text()


def test_the_trial_names_the_package_that_cannot_be_imported(tmp_path):
    (tmp_path / "safetensors.py").write_text("raise ImportError('half\\ninstalled')")
    code, told = start.imports(overlay.environment(PROJECT, tmp_path), tmp_path)
    assert (code, told) == (UNUSABLE, "safetensors cannot be used: ImportError: half installed")


def test_fine_tuning_leaves_a_weights_folder_to_attach(place, monkeypatch, weights_folder, tmp_path):
    def run(self, command, environment, folder, seconds=None):
        assert command[2:-2] == ["solution.finetune", "launch", "--preset", "s"]
        out = Path(command[-1])
        shutil.copytree(weights_folder, out / "weights")
        (out / "checkpoint-1").mkdir()
        return 0

    monkeypatch.setattr(Place, "run", run)
    monkeypatch.setattr(start, "packed", lambda: {"user": "ada", "finetune": ["--preset", "s"]})
    start.finetune(place(rerun=False))
    working = tmp_path / "working"
    assert {p.name for p in working.iterdir()} == {"weights", "notebook.log"}
    assert read(working / "weights" / "dataset-metadata.json")["id"] == "ada/arc-weights-mine"
    assert folders_with(working, WEIGHTS_MARK) == [working / "weights"]


def test_fine_tuning_that_fails_is_seen(place, monkeypatch):
    monkeypatch.setattr(Place, "run", lambda *_: 2)
    with pytest.raises(StartError, match="ended with exit code 2"):
        start.finetune(place(rerun=False))


# Running a command


def test_lines_reach_the_notebook_and_the_log_whatever_they_hold(place, tmp_path, monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    odd = os.fsdecode(b"/n\xff\n\xf0\x9f\x98\x80")
    place(True).say(odd)
    told = [sys.executable, "-c", "import sys; sys.stdout.buffer.write('\U0001f600'.encode())"]
    assert place(True).run(told, dict(os.environ), tmp_path) == 0
    assert shown.buffer.getvalue() == rb"/n\udcff\n\U0001f600" + b"\n" + rb"\U0001f600"
    assert (tmp_path / "working" / "notebook.log").read_bytes() == b"/n\\udcff\\n\xf0\x9f\x98\x80\n\xf0\x9f\x98\x80"
    (tmp_path / "working" / "notebook.log").unlink()
    (tmp_path / "working" / "notebook.log").symlink_to("/dev/full")
    place(True).say("the disk is full")
    assert shown.buffer.getvalue().endswith(b"the disk is full\n")


def test_output_goes_to_the_notebook_and_the_log_as_it_comes(place, tmp_path, capfd):
    code = place(False).run([sys.executable, "-c", "print('one'); import sys; sys.exit(5)"], dict(os.environ), tmp_path)
    assert code == 5 and capfd.readouterr().out == (tmp_path / "working" / "notebook.log").read_text() == "one\n"


def test_a_process_left_behind_holds_nothing_up(place, tmp_path):
    left = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep({2 * HANGS})']).pid)"
    assert place(False).run([sys.executable, "-c", left], dict(os.environ), tmp_path) == 0
    pid = int((tmp_path / "working" / "notebook.log").read_text())
    wait_until(lambda: not is_running(pid))


def test_an_overdue_command_is_killed(place, tmp_path):
    assert place(False).run([sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ), tmp_path, seconds=1) == -9
