"""Programs by somebody else: the vocabulary's as text, a Llama's from prompt to program, what is kept, and the driver."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from solution.arc.load import public_training
from solution.arc.task import Pair, Task, as_grid, grid_key
from solution.driver.searcher import Searcher
from solution.finetune.pretrained import SMOLLM2, find_base
from solution.models.manifest import WeightsError
from solution.preset import DEFAULT
from solution.program.operations import OPERATIONS
from solution.program.settings import ProgramConfig, WrittenConfig
from solution.program.vocabulary import IMAGE, Image, operation, steps
from solution.program.written.author import ROLE, AuthorError, LlamaAuthor, code_in, find_author, libraries_of, request, text_of
from solution.program.written.rendered import CannotRender, VocabularyAuthor, render
from solution.program.written.sandbox import Limits, Sandbox
from solution.program.written.solve import BITS_PER_OPERATION, solve_by_writing
from solution.schedule.allocate import exhausted, next_job
from solution.schedule.cost import CostModel
from solution.schedule.job import Job, Progress, Record, TaskSize

from .test_driver import ROOM, go, job_lines, write_input

FLIP = "67a3c6ac"  # its outputs are its inputs mirrored
FORMS = [op for op in OPERATIONS if op.name in ("turn", "crop", "half", "tile", "scale")]


@pytest.fixture(scope="module")
def sandbox():
    found = Sandbox(Limits(100.0))
    yield found
    found.close()


@pytest.fixture
def hasty(sandbox, monkeypatch):
    """The sandbox, for programs that the clock has to end; the others take hundredths of its seconds."""
    monkeypatch.setattr(sandbox, "limits", Limits(3.0))
    return sandbox


@pytest.fixture(scope="module")
def task():
    return public_training()[0].tasks[FLIP]


def never():
    return False


class Fixed:
    """Writes the same texts for every task."""

    def __init__(self, *texts):
        self.texts = texts

    def write(self, task, count, seed, out_of_time):
        yield from (self.texts * count)[:count]


def test_a_rendered_program_does_what_the_vocabulary_does(sandbox):
    """Every step from image to image that can be written as text, on pictures with figures, symmetry and separators."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 3, (7, 9)) * (generator.random((7, 9)) < 0.4)
    grids = [as_grid(noise), as_grid(np.tile([[0, 1, 2], [1, 2, 0]], (3, 2)))]
    rendered, without = 0, set()
    for step in steps(OPERATIONS, [2]):
        if step.operation.takes is not IMAGE or step.operation.gives is not IMAGE:
            continue
        try:
            source = render([step])
        except CannotRender:
            without.add(step.operation.name)
            continue
        rendered += 1
        for grid in grids:
            expected, run = step(Image(grid)), sandbox.run(source, [grid])
            if expected is None:
                assert run.fault == "raised an exception", step
            else:
                assert run.fault is None and grid_key(run.grids[0]) == grid_key(expected.cells), step
    assert rendered > 100 and len(without) < len(OPERATIONS) / 4


def test_pipelines_through_lists_are_rendered(sandbox):
    grid = as_grid([[1, 0, 2, 2], [1, 0, 0, 0], [0, 0, 3, 0]])
    checked = 0
    author = VocabularyAuthor(OPERATIONS, longest=3)
    for source in author.write(Task("t", (Pair(grid, grid),), (Pair(grid),)), 40, 0, never):
        assert source.count("    value = ") >= 2
        checked += sandbox.run(source, [grid]).fault is None
    assert checked > 5


def test_what_cannot_be_written_as_text_is_not_written():
    outside = object()

    @operation(IMAGE, gives=IMAGE, meaning="")
    def inner(image):
        return outside and image

    with pytest.raises(CannotRender, match="inside another function"):
        render(list(steps([inner], [])))


def test_the_stand_in_solves_a_task_and_repeats_itself(sandbox, task):
    author = VocabularyAuthor(FORMS)
    first, again, other = (list(author.write(task, 50, seed, never)) for seed in (0, 0, 1))
    assert first == again != other and len(first) == 50
    found = solve_by_writing(task, author, sandbox, 200, 0)
    assert found.programs == 200 and 0 < found.fitting < 100 and sum(found.faults.values()) == 200 - found.fitting
    ((grid, cost), *_) = found.answers[0]
    assert grid_key(grid) == grid_key(public_training()[1][FLIP][0])
    assert cost <= np.log2(200 / found.fitting) / BITS_PER_OPERATION + 1e-9 or len(found.answers[0]) > 1
    assert list(author.write(task, 50, 0, lambda: True)) == []


def test_answers_are_ranked_by_how_many_texts_give_them(hasty):
    same, other = as_grid([[1, 2], [3, 4]]), as_grid([[5, 6], [7, 8]])
    task = Task("t", (Pair(same, same),), (Pair(other), Pair(same)))
    keeps, turns = "def transform(g):\n    return g", "def transform(g):\n    return g if g[0, 0] == 1 else g[::-1]"
    wrong, hangs = "def transform(g):\n    return g * 0", "while True: pass"
    found = solve_by_writing(task, Fixed(turns, keeps, keeps + " ", wrong, hangs, wrong, "?", keeps), hasty, 8, 0)
    assert (found.programs, found.fitting, found.cut) == (8, 4, False)
    assert found.faults == {"does not fit": 2, "took too long": 1, "has no transform that can be called": 1}
    ((first, a), (second, b)), ((third, c),) = found.answers
    assert [g.tolist() for g in (first, second, third)] == [other.tolist(), other[::-1].tolist(), same.tolist()]
    assert [cost * BITS_PER_OPERATION for cost in (a, b, c)] == pytest.approx([np.log2(8 / 3), 3, 1])


def test_an_author_who_means_harm_costs_no_answer(hasty, task):
    good = "def transform(grid):\n    return grid[:, ::-1]"
    harm = ("import os\nos.kill(0, 9)", "import os\nos._exit(0)", "import os\nos.write(3, b'x' * 10**7)", "while True: pass")
    found = solve_by_writing(task, Fixed(*harm, good), hasty, 5, 0)
    assert found.fitting == 1 and grid_key(found.answers[0][0][0]) == grid_key(public_training()[1][FLIP][0])


def test_the_clock_ends_the_writing(sandbox, task):
    calls = iter([False] * 3 + [True] * 10)
    found = solve_by_writing(task, VocabularyAuthor(FORMS), sandbox, 10**6, 0, lambda: next(calls))
    assert found.cut and found.programs <= 3 and len(found.answers) == len(task.test)


# A Llama as the author


def make_author(folder, text="", **changes):
    """A random Llama whose tokenizer knows `text` well, as a folder."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = BpeTrainer(vocab_size=700, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([text or "def transform(grid):\n"], trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(0)
    values = {
        "vocab_size": tokenizer.get_vocab_size(), "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 8192,
        "tie_word_embeddings": True, "bos_token_id": None, "eos_token_id": 0, "pad_token_id": None,
    }  # fmt: skip
    LlamaForCausalLM(LlamaConfig(**values | changes)).save_pretrained(folder)
    return folder


def configured(folder, **changes) -> WrittenConfig:
    return replace(WrittenConfig(str(folder), samples=6, batch=3, new_tokens=12, seconds=100.0), **changes)


def test_the_request_shows_the_task_in_words(task):
    text = request(task, 2)
    assert text.count("Example ") == 2 and text.count("Input:") == 2 + len(task.test)
    assert text_of(as_grid([[0, 1], [9, 5]])) == "Black Blue\nBrown Gray" and text_of(task.test[0].input) in text
    assert text_of(task.train[1].output) in text and text_of(task.train[2].output) not in text
    assert "7 is" not in text and "Orange is 7" in text and "transform(input_grid: np.ndarray)" in text


@pytest.mark.parametrize(
    "answer, code",
    [
        ("Think.\n```python\ndef transform(g):\n    return g\n```\nDone.", "def transform(g):\n    return g"),
        ("```\nx = 1\n```\n```py\ndef transform(g): return g\n```\n```\nprint(1)\n```", "def transform(g): return g"),
        ("```python\ndef transform(g):\n    return", "def transform(g):\n    return"),  # cut off
        ("```python\nx = 1\n```", "x = 1"),
        ("def transform(g): return g", "def transform(g): return g"),
        ("", ""),
    ],
)
def test_the_code_in_an_answer(answer, code):
    assert code_in(answer) == code


def test_a_llama_of_random_weights_runs_from_end_to_end(tmp_path, sandbox, task):
    author = LlamaAuthor(configured(make_author(tmp_path)))
    first, again, other = (list(author.write(task, 6, seed, never)) for seed in (0, 0, 1))
    assert len(first) == 6 == len(set(first)) and first == again != other
    assert list(author.write(task, 2, 0, never)) != first[:2] or len(first) == 6  # two at once are other samples than three
    found = solve_by_writing(task, author, sandbox, 5, 0)
    assert found.programs == 5 and found.fitting == 0 and sum(found.faults.values()) == 5
    assert list(author.write(task, 6, 0, lambda: True)) == []
    times = iter([False] * 4 + [True] * 99)  # cut inside the first batch: what there is comes out, no second batch begins
    assert len(list(author.write(task, 6, 0, lambda: next(times)))) == 3


def test_a_prompt_that_is_too_long_loses_demonstrations_then_the_task(tmp_path, task):
    whole = LlamaAuthor(configured(make_author(tmp_path / "a"))).prompt(task)
    fewer = LlamaAuthor(configured(make_author(tmp_path / "b", max_position_embeddings=len(whole))))
    kept = fewer.prompt(task)
    assert len(kept) + 64 <= len(whole)
    assert fewer.tokenizer.decode(kept).count("Input:") == len(task.train) - 1 + len(task.test)
    short = LlamaAuthor(configured(make_author(tmp_path / "c", max_position_embeddings=100)))
    assert short.prompt(task) is None and list(short.write(task, 6, 0, never)) == []


def test_a_chat_template_is_used(tmp_path, task):
    folder = make_author(tmp_path)
    author = LlamaAuthor(configured(folder))
    assert author.tokenizer.decode(author.prompt(task)).startswith(ROLE + "\n\nEach example")
    author.tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[{{ date_string }}] "
    author.tokenizer.save_pretrained(folder)
    text = (author := LlamaAuthor(configured(folder))).tokenizer.decode(author.prompt(task))
    assert text.startswith(f"[system] {ROLE}\n[user] Each example") and text.endswith("[26 Jul 2024] ")


ANSWER = "Every row is mirrored.\n```python\ndef transform(input_grid):\n    return input_grid[:, ::-1]\n```\n"


@pytest.fixture(scope="module")
def learnt(tmp_path_factory, task):
    """A Llama that has learnt to answer the request of one task: what random weights cannot show is a right program."""
    prompt = f"{ROLE}\n\n{request(task, len(task.train))}\n\n"
    folder = make_author(tmp_path_factory.mktemp("learnt"), prompt + ANSWER, max_position_embeddings=1500)
    author = LlamaAuthor(configured(folder))
    shown = author.prompt(task)
    ids = torch.tensor([shown + author.tokenizer(ANSWER)["input_ids"] + author.ends])
    labels = ids.clone()
    labels[:, : len(shown)] = -100
    lm = author.lm.float().train()
    optimizer = torch.optim.Adam(lm.parameters(), 5e-3)
    for _ in range(150):
        loss = lm(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss < 0.01:
            break
    lm.eval().save_pretrained(folder)
    return folder


def test_a_llama_that_has_learnt_the_answer_solves_the_task(learnt, sandbox, task):
    found = solve_by_writing(task, LlamaAuthor(configured(learnt, new_tokens=80)), sandbox, 6, 0)
    assert found.fitting >= 1, found.faults
    assert grid_key(found.answers[0][0][0]) == grid_key(public_training()[1][FLIP][0])


def test_a_library_beside_the_checkpoint_reaches_the_programs(tmp_path, task):
    folder = make_author(tmp_path / "author")
    before = find_author(str(folder))
    assert libraries_of(str(folder)) == {}
    (folder / "common.py").write_text("def flipped(grid):\n    return grid[:, ::-1]\n")
    assert find_author(str(folder)) != before
    sandbox = Sandbox(Limits(100.0), libraries_of(str(folder)))
    source = "from common import *\ndef transform(grid):\n    return flipped(grid)"
    assert solve_by_writing(task, Fixed(source), sandbox, 1, 0).fitting == 1
    sandbox.close()
    (folder / "common.py").write_bytes(b"\xff")
    with pytest.raises(AuthorError, match="common.py cannot be read"):
        libraries_of(str(folder))


def test_checkpoints_that_cannot_be_authors_are_refused_in_one_line(tmp_path):
    def refused(name) -> str:
        with pytest.raises(AuthorError) as raised:
            find_author(str(name))
        assert "\n" not in str(raised.value) and str(name) in str(raised.value)
        return str(raised.value)

    assert "neither a folder nor a .gguf file" in refused(tmp_path / "nothing")
    assert "config.json cannot be read" in refused(tmp_path)
    whole = make_author(tmp_path / "whole")
    assert find_author(str(whole)) == find_author(str(shutil.copytree(whole, tmp_path / "copy")))
    other = shutil.copytree(whole, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-5}))
    assert find_author(str(other)) != find_author(str(whole))
    (other / "config.json").write_text(json.dumps(config | {"model_type": "qwen2"}))
    assert "model type is 'qwen2', not 'llama'" in refused(other)
    (other / "config.json").write_text(json.dumps(config))
    (other / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    assert "no tokenizer in it" in refused(other)
    (other / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    assert "no .safetensors file in it" in refused(other)
    damaged = shutil.copytree(whole, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes((whole / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(AuthorError, match="--author .*damaged: "):
        LlamaAuthor(configured(damaged))


@pytest.mark.slow
def test_smollm2_writes_python(sandbox, task):
    """Prints what a small public model, which never saw a puzzle, makes of the request."""
    try:
        base = find_base(SMOLLM2)
    except WeightsError as error:
        pytest.skip(str(error))
    author = LlamaAuthor(configured(base.folder / base.file, batch=6, new_tokens=60))
    texts = list(author.write(task, 6, 0, never))
    print(*texts, sep="\n---\n")
    assert any("def " in text for text in texts)
    print(solve_by_writing(task, Fixed(*texts), sandbox, 6, 0))


# In the driver


@pytest.fixture
def worker(task):
    made = []

    def make(config):
        made.append(Searcher("search:0", {FLIP: task}, replace(DEFAULT, written=config, program=ProgramConfig((500,))), 0))
        return made[0]

    yield make
    made[0].close()


def test_a_written_job_in_the_search_process(worker, task, sandbox):
    worker = worker(WrittenConfig(samples=40, seconds=100.0))
    result = worker(Job("written", (FLIP,), 0, 0), lambda: 0.0, never)
    expected = solve_by_writing(task, VocabularyAuthor(OPERATIONS), sandbox, 40, 0)
    assert result.tokens == {"programs": 40} and result.record.ok and not result.record.cut
    assert result.record.explained == (expected.fitting > 0)
    (candidates,) = result.candidates[FLIP]
    assert [(grid_key(c.grid), -c.log_prob) for c in candidates] == [(grid_key(g), cost) for g, cost in expected.answers[0]]
    assert worker(Job("program", (FLIP,), 0, 0), lambda: 0.0, never).tokens["behaviours"] > 1  # the same process searches too
    cut = worker(Job("written", (FLIP,), 0, 0), lambda: 0.0, lambda: True)
    assert cut.record.cut and cut.tokens["programs"] < 40


def test_an_author_that_cannot_be_loaded_is_told_once_and_costs_no_worker(worker, tmp_path, caplog):
    worker = worker(configured(make_author(tmp_path)))
    (tmp_path / "model.safetensors").write_bytes(b"no tensors")
    for _ in range(3):
        result = worker(Job("written", (FLIP,), 0, 0), lambda: 0.0, never)
        assert result.record.ok and not result.record.explained and result.candidates == {FLIP: [[]]}
    assert sum("no programs are written: --author" in line for line in caplog.text.splitlines()) == 1


def test_only_one_worker_has_programs_written_and_only_where_none_is_found():
    preset = replace(DEFAULT, written=WrittenConfig(samples=10**4), ttt=False, program=None)
    sizes = {name: TaskSize(500, 50, 300, 1, 3) for name in ("a", "b")}
    progress, cost = Progress(), CostModel(sizes, preset)

    def jobs(device, running=()):
        return next_job(progress, cost, preset, set(running), device, 1e9)

    progress.answered |= set(sizes)
    a, b = (Job("written", (name,), 0, 0) for name in ("a", "b"))
    for device in ("cpu:0", "search:0"):
        assert jobs(device) == a and jobs(device, [a]) == b and jobs(device, [a, b]) is None
    assert all(jobs(device) is None for device in ("cpu:1", "search:1", "cuda:0"))
    assert cost.seconds(a, "cpu:0") == 10**4  # the prior, until one was measured
    cost.observe(a, "cpu:0", 20.0)
    assert cost.seconds(b, "search:0") == pytest.approx(20.0) and cost.speed("cpu:0", "ttt") == cost.guess
    progress.add(Record(a, "cpu:0", 1.0))
    assert jobs("cpu:0") == b and not exhausted(progress, sizes, preset)
    progress.add(Record(Job("program", ("b",), 0, 0), "cpu:1", 1.0, explained=True))
    assert jobs("cpu:0") is None and exhausted(progress, sizes, preset)


def test_written_programs_in_a_whole_run_and_again_after_a_kill(learnt, tmp_path):
    challenges, solutions = public_training()
    names = (FLIP, "d511f180")
    write_input(tmp_path, {name: challenges.tasks[name] for name in names}, {name: solutions[name] for name in names})
    options = ("--budget", ROOM, "--preset", "test", "--devices", "cpu:2", "--solvers", "written", "--author", str(learnt),
               "--author-samples", "6", "--solutions", str(tmp_path / "solutions.json"))  # fmt: skip
    done = go(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    lines = job_lines(tmp_path)
    written = [line["record"] for line in lines if line["record"]["job"]["stage"] == "written"]
    assert {line["record"]["job"]["stage"] for line in lines} == {"base", "written"}
    assert {(*record["job"]["tasks"], record["device"], record["explained"]) for record in written} == {
        (FLIP, "cpu:0", True), ("d511f180", "cpu:0", False)
    }  # fmt: skip
    assert "score, submission: strict 1 of 2" in done.stderr and "written programs (texts)" in done.stderr
    first = (tmp_path / "submission.json").read_bytes()
    journal = tmp_path / "submission.run" / "journal.jsonl"
    kept = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(kept[:-2]))  # as a kill would have left it: the last job and the closing line are missing
    again = go(tmp_path, *options)
    assert again.returncode == 0 and f"going on from {len(lines) - 1} earlier jobs" in again.stderr
    assert (tmp_path / "submission.json").read_bytes() == first and len(job_lines(tmp_path)) == len(lines)


@pytest.mark.parametrize(
    "options, line",
    [
        (("--solvers", "ttt,written"), "--solvers written and --author PATH need each other"),
        (("--author", "vocabulary"), "--solvers written and --author PATH need each other"),
        (("--solvers", "written", "--author", "/nowhere"), "--author /nowhere: neither a folder nor a .gguf file"),
        (("--solvers", "written", "--author", "vocabulary", "--author-device", "tpu"), "--author-device: 'tpu' is not auto, cpu"),
        (("--solvers", "written", "--author", "vocabulary", "--author-samples", "0"), "--author-samples: 0 is not a positive"),
    ],
)
def test_wrong_options_get_one_line(tmp_path, options, line):
    write_input(tmp_path, {FLIP: public_training()[0].tasks[FLIP]})
    done = go(tmp_path, "--devices", "cpu", *options)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and line in done.stderr
