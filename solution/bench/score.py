"""The driver on the public evaluation tasks: what the weights are worth, within minutes.

In:  weights, the public tasks of a pack. Out: the score of test-time training alone and, given time, with programs beside it;
RUN.tar.xz with submission, journal and logs, from which `solution.report` and `solution.tune` work later.
A small model leaves a GPU idle between its kernels: several drivers share it, each with a share of the tasks and of the cores.
Not here: solving anything (`driver`).
"""

import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import torch

from ..arc.load import Challenges, Solutions, load_challenges, load_solutions
from ..arc.score import Score, bootstrap_interval, solved_tests
from ..codec.codec import Codec
from ..driver.devices import cores
from ..driver.journal import Result as Done
from ..driver.journal import read_lines
from ..driver.setup import task_size
from ..driver.startup import longest_sequence
from ..models.load import keeps_4_bits, read_codec, read_config
from ..models.manifest import ENTRY_FILE, PROJECT, WeightSet
from ..models.memory import FRAGMENTATION, Sizes, device_memory, plan
from ..preset import PRESETS, Preset
from ..report.methods import interval, method_rows
from ..report.outcome import Run, read_run, stage_rows
from ..weights.pack import as_it_is
from .context import Context, Note, Result
from .public import write_public

SOLVERS = ("ttt", "ttt,program")
SECOND_RUN = 360.0
"""Seconds from which on there is a run with programs as well."""
CLOSING_SHARE, CLOSING_LEAST = 0.02, 8.0
"""What is kept of a run's time to merge and score it: a share of it, and seconds at the least."""
GRACE = 5.0
"""Seconds after the end of its budget at which a driver is killed."""
NOTE_EVERY = 30.0
MOST_PROCESSES, CORES_EACH = 8, 2
TOY_TASKS = 3


def run(context: Context, note: Note) -> Result:
    """Run the drivers, scored so far twice a minute. Raises `RuntimeError` where none of them starts."""
    until = time.monotonic() + context.seconds
    weights = as_it_is(context.weights[0])
    with tempfile.TemporaryDirectory(prefix="bench-score-") as scratch:
        tasks = Tasks(context, read_codec(weights), Path(scratch))
        runs = SOLVERS if context.seconds >= SECOND_RUN else SOLVERS[:1]
        result = Result({"weights": str(context.weights[0]), "runs": {}}, [])
        for number, solvers in enumerate(runs):
            seconds = (until - time.monotonic()) / (len(runs) - number)
            fleet = Fleet(context, tasks, weights, solvers, seconds)
            before = result.lines
            for values in fleet.watch():
                values["runs"] = result.values["runs"] | {solvers: values.pop("run")}
                result = Result(result.values | values, before + describe(solvers, values["runs"][solvers]))
                note(result)
    return result


class Tasks:
    """The tasks to solve, as files for the drivers: `challenges`, `solutions` and where they lie."""

    def __init__(self, context: Context, codec: Codec, folder: Path):
        self.folder = folder
        asked, answers = write_public(context.pack, folder)
        self.challenges: Challenges = load_challenges(asked)
        self.solutions: Solutions = load_solutions(answers, self.challenges.tasks)
        chosen = sorted(self.challenges.tasks, key=lambda name: hashlib.sha256(name.encode()).digest())
        if context.toy:
            sizes = {name: task_size(self.challenges.tasks[name], codec) for name in chosen}
            chosen = sorted(chosen, key=lambda name: sizes[name].prompt_tokens)[:TOY_TASKS]
        self.chosen = chosen
        self.solutions = {name: self.solutions[name] for name in chosen}


class Fleet:
    """Drivers at work beside each other on one device, each on its share of the tasks, in `seconds` all together."""

    def __init__(self, context: Context, tasks: Tasks, weights: WeightSet, solvers: str, seconds: float):
        self.tasks, self.solvers = tasks, solvers
        self.archive = context.out / "score" / f"{solvers.replace(',', '-')}.tar.xz"
        self.archive.parent.mkdir(parents=True, exist_ok=True)
        preset = PRESETS["test" if context.toy else weights.entry.get("preset", "default")]
        count = min(num_processes(context.device, weights, preset, tasks), len(tasks.chosen))
        self.shares = [tasks.chosen[k::count] for k in range(count)]
        self.folder = tasks.folder / solvers
        self.folder.mkdir()
        self.outputs = [self.folder / f"share-{k}.json" for k in range(count)]
        self.budget = max(1, int(seconds - max(CLOSING_LEAST, CLOSING_SHARE * seconds)))
        device = context.device if context.device != "cpu" else "cpu" if context.toy else f"cpu:{cores()}"
        self.command = [
            sys.executable, "submission.py", "--input", str(tasks.folder / "challenges.json"),
            "--solutions", str(tasks.folder / "solutions.json"), "--budget", f"{self.budget}s", "--solvers", solvers,
            "--devices", device, "--preset", preset.name, "--fresh",
            "--weights", str(weights.folder.resolve()) if (weights.folder / ENTRY_FILE).is_file() else weights.name,
        ]  # fmt: skip

    def watch(self):
        """Start the drivers; what they have so far, now and then, as values, and at the end all of it."""
        start, found = time.monotonic(), sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        with ExitStack() as stack:
            drivers = []
            for k, (share, output) in enumerate(zip(self.shares, self.outputs)):
                said = stack.enter_context(open(output.with_suffix(".said"), "wb"))
                command = [*self.command, "--tasks", ",".join(share), "--output", str(output)]
                drivers.append(subprocess.Popen(command, stdout=said, stderr=said, cwd=PROJECT))
                if len(self.shares) > 1 and found:  # each starts as many searches as it sees cores
                    os.sched_setaffinity(drivers[-1].pid, found[k :: len(self.shares)] or found)
            try:
                due = start + NOTE_EVERY
                while any(driver.poll() is None for driver in drivers) and time.monotonic() < start + self.budget + GRACE:
                    time.sleep(0.1)
                    if time.monotonic() > due:
                        yield self._values(time.monotonic() - start, [])
                        due = time.monotonic() + NOTE_EVERY
            finally:
                for driver in drivers:
                    driver.kill()
                    driver.wait()
        failed = [self._last_words(k) for k, driver in enumerate(drivers) if driver.returncode > 0]
        if len(failed) == len(drivers):
            raise RuntimeError(f"no driver could run: {failed[0]}")
        yield self._values(time.monotonic() - start, failed)

    def _last_words(self, share: int) -> str:
        said = self.outputs[share].with_suffix(".said").read_text(errors="replace").strip()
        return f"share {share}: {said[-500:]}"

    def _values(self, seconds: float, failed: list[str]) -> dict:
        journal = self.folder / "journal.jsonl"
        answers = {}
        for share, output in zip(self.shares, self.outputs):
            if output.is_file():
                written = json.loads(output.read_text())
                answers |= {name: written[name] for name in share}
        merge_journals([output.with_suffix(".run") / "journal.jsonl" for output in self.outputs], journal)
        values = {"budget": self.budget, "seconds": round(seconds, 1), "processes": len(self.shares), "failed": failed}
        if journal.is_file():
            done = read_run(journal, self.tasks.challenges)
            values |= measured(done, answers, self.tasks.solutions, set(self.tasks.chosen))
        self._pack(answers)
        return {"run": values, "archives": sorted(p.name for p in self.archive.parent.glob("*.tar.xz"))}

    def _pack(self, answers: dict) -> None:
        """Everything that a report needs, in one file; an earlier one is replaced whole."""
        aside = self.archive.with_suffix(".new")
        with tarfile.open(aside, "w:xz", preset=2) as tar:
            content = json.dumps(answers, separators=(",", ":")).encode()
            info = tarfile.TarInfo("submission.json")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            kept = [(self.folder / "journal.jsonl", "submission.run/journal.jsonl")]
            kept += [(self.tasks.folder / name, name) for name in ("challenges.json", "solutions.json")]
            kept += [(p, p.name) for output in self.outputs for p in (output.with_suffix(".log"), output.with_suffix(".said"))]
            for path, name in kept:
                if path.is_file():
                    tar.add(path, name)
        aside.replace(self.archive)


def num_processes(device: str, weights: WeightSet, preset: Preset, tasks: Tasks) -> int:
    """Drivers that share the device: as many as have two cores each, and memory for what each plans to take of it."""
    if not device.startswith("cuda"):
        return 1
    where = torch.device(device)
    config, memory = read_config(weights), device_memory(where)
    longest = longest_sequence(tasks.challenges.tasks.values(), preset, read_codec(weights))
    planned = plan(Sizes(config, preset.lora, keeps_4_bits(config, where)), memory, longest,
                   max(preset.train.batch_tokens, longest), preset.decode.batch_tokens)  # fmt: skip
    spared = memory * FRAGMENTATION  # each plan leaves it, as if alone
    fitting = int((memory - spared) / (max(planned.train, planned.decode) - spared))
    return max(1, min(MOST_PROCESSES, cores() // CORES_EACH, fitting))


def merge_journals(paths: list[Path], target: Path) -> None:
    """The jobs of all journals in one, under the first one's identity; each line of a job says which share it is from. Forecasts
    are of a share alone and stay behind."""
    lines = []
    for share, path in enumerate(paths):
        found = read_lines(path)[0] if path.is_file() else []
        lines += found[:1] if not lines else []
        lines += [line | {"share": share} for line in found if line.get("kind") == "job"]
    if lines:
        target.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def measured(done: Run, answers: dict, solutions: Solutions, chosen: set[str]) -> dict:
    """Score by method, tasks reached, seconds a task, out of journal and submission."""
    total = Score({
        name: solved_tests([tuple(t[f"attempt_{k}"] for k in (1, 2)) for t in answers[name]] if name in answers
                           else [()] * len(outputs), outputs)
        for name, outputs in solutions.items()
    })  # fmt: skip
    rows, decoded = method_rows(done, solutions)
    on_device = [r for r in done.results if not r.record.device.startswith("search")]
    by_task = done.by_task()
    answered = {name for name in chosen for r in by_task.get(name, {}).values() if all(r.candidates.get(name, [()]))}
    return {
        "strict": total.strict, "tasks": total.tasks, "strict 95%": interval([all(f) for f in total.solved.values()]),
        "partial": total.outputs_solved, "outputs": total.outputs,
        "partial 95%": bootstrap_interval(list(total.solved.values())),
        "methods": {row.name: [row.score.strict, row.score.outputs_solved, *row.strict] for row in rows},
        "answered": len(answered), "trained": sum("ttt" in {stage for stage, _ in by_task.get(n, {})} for n in chosen),
        "decoded by the trained model": decoded,
        "device-seconds": round(sum(r.record.seconds for r in on_device), 1),
        "failed jobs": sum(not r.record.ok for r in done.results),
        "stages": [list(row) for row in stage_rows(done.results) if row[1]],
        "seconds a task": seconds_a_task(done.results),
    }  # fmt: skip


def seconds_a_task(results: list[Done]) -> dict:
    """Medians over the tasks trained to the end. A task's last slice trains and decodes: its training is taken to be as fast a
    step as the task's earlier slices, which only train."""
    slices, views = defaultdict(list), defaultdict(float)
    for result in results:
        record = result.record
        if record.ok and not record.cut and record.job.stage == "ttt":
            slices[record.job.tasks[0]].append(result)
        if record.ok and record.job.stage == "views":
            views[record.job.tasks[0]] += record.seconds
    training, decoding, steps = [], [], []
    for mine in slices.values():
        mine = sorted(mine, key=lambda r: r.record.job.first_step)
        last = mine[-1]
        if last.record.parked:
            continue
        whole = sum(r.record.seconds for r in mine)
        done = last.ttt["steps"]
        earlier = max((r.ttt["steps"] for r in mine[:-1]), default=0)
        before = sum(r.record.seconds for r in mine[:-1])
        steps.append(done)
        if earlier:
            training.append(min(whole, before * done / earlier))
            decoding.append(whole - training[-1])
    seconds = {"training": training, "decoding first views": decoding, "decoding more views": list(views.values())}
    medians = {name: round(statistics.median(values), 3) for name, values in seconds.items() if values}
    return medians | ({"steps": statistics.median(steps), "tasks": len(steps)} if steps else {})


def describe(solvers: str, values: dict) -> list[str]:
    """The lines of one run that a person reads."""
    if "strict" not in values:
        return [f"{solvers}: nothing yet after {values['seconds']:.0f}s"]
    low, high = values["strict 95%"]
    each = values["seconds a task"]
    methods = sorted(values["methods"].items(), key=lambda item: -item[1][0])
    lines = [
        f"{solvers}: strict {values['strict']} of {values['tasks']} ({values['strict'] / values['tasks']:.2%}, 95% {low:.2%} to "
        f"{high:.2%}), partial {values['partial']} of {values['outputs']}, in {values['seconds']:.0f}s by {values['processes']} "
        f"processes",
        f"  answered {values['answered']}, trained {values['trained']}, device-seconds {values['device-seconds']:.0f}; a task: "
        + ", ".join(f"{name} {value:g}" for name, value in each.items()),
        "  strict by method: " + ", ".join(f"{name} {row[0]}" for name, row in methods),
    ]
    return lines + [f"  failed: {words}" for words in values["failed"]]
