"""The codecs of published checkpoints: their text to the token, exact spans, no trust in answers, decoding as the reference.

Their weights and tokenizers cannot be fetched, so both tokenizers are built here: the ARChitects' shrunk one exactly, Llama 3's
with its own splitting rule and merges learnt from grids. Where the package llama-models is installed, its real vocabulary too.
"""

import base64
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import get_peft_model
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import LlamaConfig, LlamaForCausalLM

from solution.arc.task import Pair, Task, as_grid, grid_key
from solution.codec.architects import Architects
from solution.codec.marc import INSTRUCTION, Marc, grid_text
from solution.decode.greedy import answer_log_probs, greedy
from solution.decode.reference import greedy_one
from solution.models.adapted import AdaptedModel
from solution.models.dense import DenseLlama
from solution.models.load import peft_config
from solution.models.settings import LoraShape

from .conftest import give_prefix
from .test_codec import random_grid, random_task

SINGLE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!?.:,;*+/-="  # what the ARChitects keep
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>"]
LLAMA3_SPECIAL += [
    "<|finetune_right_pad_id|>",
    "<|step_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
]
REAL = importlib.util.find_spec("llama_models")


def finish(tokenizer, special, folder, split=LLAMA3_SPLIT, **settings):
    """Llama 3's splitting, byte-level text and post-processor around a model; saved with settings files."""
    folder.mkdir(parents=True, exist_ok=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), "isolated"), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    begin = (special[0], tokenizer.token_to_id(special[0]))
    template = processors.TemplateProcessing(single=f"{special[0]} $A", special_tokens=[begin])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in settings.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def shrunk(folder, special=("<|begin_of_text|>", "<|eot_id|>", "<|finetune_right_pad_id|>"), keep=SINGLE, **settings):
    """The tokenizer that da-fr/arc-prize-2024's model_tools.py leaves: characters, newline as Ċ, no merges, 77 tokens in all."""
    settings = settings or {"tokenizer_config": {"eos_token": special[1], "pad_token": special[2]}}
    model = BPE({token: i for i, token in enumerate([*keep, "Ċ"])}, [], ignore_merges=True)
    return finish(Tokenizer(model), list(special), folder, config={"vocab_size": 77}, **settings)


def learnt_llama3(folder, split=LLAMA3_SPLIT):
    """A small vocabulary with merges learnt from grids: "]]#\\n", " [[", ... become tokens as they are in Llama 3's."""
    rng = np.random.default_rng(0)
    texts = [f"{grid_text(random_grid(rng))} -> {grid_text(random_grid(rng))}#\n" for _ in range(200)]
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=500, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator([INSTRUCTION * 20, "system user assistant\n\n" * 20, *texts], trainer)
    assert all(len(tokenizer.encode(piece).ids) == 1 for piece in ("]\n", " [", " [[", " ->")) or split != LLAMA3_SPLIT
    return finish(tokenizer, LLAMA3_SPECIAL, folder, split, config={"pad_token_id": tokenizer.get_vocab_size() + 4})


def real_llama3(folder):
    """The real vocabulary: tiktoken ranks to a byte-level BPE; a pair may merge where its union has a rank."""
    path = Path(REAL.submodule_search_locations[0]) / "llama3" / "tokenizer.model"
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, path.read_bytes().splitlines())}
    printed = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    spelling = {b: chr(b) for b in printed} | {b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in printed)}
    names = {token: "".join(spelling[b] for b in token) for token in ranks}
    merges = []
    for token in ranks:
        halves = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ranks and token[i:] in ranks]
        merges += [(names[a], names[b]) for a, b in sorted(halves, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))]
    model = BPE({names[token]: rank for token, rank in ranks.items()}, merges, ignore_merges=True)
    return finish(
        Tokenizer(model), LLAMA3_SPECIAL + [f"<|reserved_{i}|>" for i in range(246)], folder, config={"vocab_size": 128256}
    )


real = pytest.param("real", marks=pytest.mark.skipif(REAL is None, reason="package llama-models is not installed"))
FORMATS = ["architects", "nemo", "learnt", real]
MARC = ["learnt", real]
_built = {}


@pytest.fixture
def built(request, tmp_path_factory):
    """(codec, its tokenizer), built once for each format."""
    kind = request.param
    if kind not in _built:
        folder = tmp_path_factory.mktemp(kind)
        if kind == "architects":
            codec = Architects(shrunk(folder))
        elif kind == "nemo":  # other names, and settings where an added token is an object
            tokens = {"eos_token": {"content": "</s>"}, "pad_token": {"content": "<pad>"}}
            codec = Architects(str(shrunk(folder, ("<s>", "</s>", "<pad>"), special_tokens_map=tokens)))
        else:
            codec = Marc(learnt_llama3(folder) if kind == "learnt" else real_llama3(folder))
        _built[kind] = codec, Tokenizer.from_file(str(folder / "tokenizer.json"))
    return _built[kind]


def naive_text(codec, tokenizer, task, answer):
    """The whole prompt as text, written as plainly as it can be, and each output's text within it."""
    end = tokenizer.id_to_token(codec.end_id)
    pairs = [*task.train, task.test[0]]
    if isinstance(codec, Architects):
        text, outputs = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjklmnpqrstuvwxyz", []
        for index, pair in enumerate(pairs):
            text += "I" + "\n".join("".join(map(str, row)) for row in pair.input) + "\n+/-=O"
            if index < len(task.train) or answer:
                outputs.append("\n".join("".join(map(str, row)) for row in pair.output) + "\n" + end)
                text += outputs[-1]
        return text, outputs
    outputs = [f" {np.array(p.output)}#\n" for p in task.train]
    system = INSTRUCTION + "".join(f"{np.array(p.input)} ->{output}" for p, output in zip(task.train, outputs))
    text = f"<|start_header_id|>system<|end_header_id|>\n\n{system.strip()}<|eot_id|>"
    text += f"<|start_header_id|>user<|end_header_id|>\n\n{np.array(pairs[-1].input)} -><|eot_id|>"
    text += "<|start_header_id|>assistant<|end_header_id|>\n\n"
    if outputs:
        outputs[-1] = outputs[-1].strip("\n")
    if answer:
        outputs.append(f"{np.array(pairs[-1].output)}#<|eot_id|>")
        text += outputs[-1]
    return text, outputs


@pytest.mark.parametrize("built", FORMATS, indirect=True)
def test_ids_and_spans_are_those_of_the_plain_text(built):
    codec, tokenizer = built
    rng = np.random.default_rng(1)
    for trial in range(25):
        task = random_task(rng, trial % 6, 30 if trial % 3 == 0 else 6)
        for answer in (False, True):
            prompt = codec.encode(task, answer=answer)
            text, outputs = naive_text(codec, tokenizer, task, answer)
            assert prompt.ids.tolist() == tokenizer.encode(text).ids
            spelt = [tokenizer.decode(prompt.ids[a:b].tolist(), skip_special_tokens=False) for a, b in prompt.spans]
            assert spelt == outputs and len(outputs) == len(task.train) + answer
            test = task.test[0]
            assert len(prompt) == codec.task_tokens(task.train, test, answer * (codec.num_tokens(test.output) + 1))
        start, stop = prompt.spans[-1]
        assert np.array_equal(prompt.ids[start:stop], codec.answer_ids(test.output))
        assert stop - start == codec.num_tokens(test.output) + 1 <= codec.max_answer_tokens


@pytest.mark.parametrize("built", FORMATS, indirect=True)
def test_open_prompt_is_the_prefix_of_the_answered_one_behind_prefix_rows(built):
    codec, _ = built
    rng = np.random.default_rng(2)
    for _ in range(10):
        task = random_task(rng)
        answered, prompt = codec.encode(task, answer=True), codec.encode(task.without_answers(), first_pair=3)
        n = len(prompt)
        assert np.array_equal(answered.ids[:n], prompt.ids) and answered.spans[:-1] == prompt.spans
        assert answered.spans[-1] == (n, len(answered)) and np.array_equal(answered.positions, np.arange(len(answered)))
        assert codec.next_positions(prompt.ids[-1:], prompt.positions[-1:])[0] == answered.positions[n]
        behind = codec.encode(task, answer=True, prefix=range(3, 8))
        assert behind.ids[:5].tolist() == [codec.vocabulary_size + i for i in range(3, 8)]
        assert np.array_equal(behind.ids[5:], answered.ids) and behind.spans == tuple((a + 5, b + 5) for a, b in answered.spans)
    with pytest.raises(ValueError, match="has no output to encode"):
        codec.encode(task.without_answers(), answer=True)


@pytest.mark.parametrize("built", FORMATS, indirect=True)
def test_answers_decode_to_their_grids_and_no_longer_than_the_maximum(built):
    codec, _ = built
    rng = np.random.default_rng(3)
    for _ in range(30):
        grid = random_grid(rng)
        ids = codec.answer_ids(grid)
        assert grid_key(codec.decode(ids).grid) == grid_key(grid)
        assert grid_key(codec.decode([*ids, 5, codec.end_id]).grid) == grid_key(grid)
    assert len(codec.answer_ids(as_grid(np.zeros((30, 30), int)))) == codec.max_answer_tokens


@pytest.mark.parametrize(
    "rows, fault",
    [
        (None, "unfinished"),
        ([], "empty"),
        ([""], "empty"),
        (["12", "3"], "ragged"),
        (["1" * 31], "oversized"),
        (["1"] * 31, "oversized"),
        (["1?"], "foreign token"),
    ],
)
@pytest.mark.parametrize("built", FORMATS, indirect=True)
def test_faulty_answers_give_no_grid(built, rows, fault):
    codec, tokenizer = built
    if isinstance(codec, Architects):
        text = "".join(f"{row}\n" for row in rows or [])
    else:
        text = "[" + "\n ".join(f"[{' '.join(row)}]" for row in rows) + "]#" if rows else ""
    ids = tokenizer.encode(text, add_special_tokens=False).ids + [codec.end_id] * (rows is not None)
    assert codec.decode(ids).grid is None and codec.decode(ids).fault == fault
    check = codec.answer_check(1)
    given_up = [bool(check.hopeless(np.array([0]), np.array([token]))[0]) for token in ids]
    assert any(given_up) == (fault != "unfinished")
    assert fault != "oversized" or any(given_up[:-2])  # as soon as it is too large, not at its end


@pytest.mark.parametrize("built", FORMATS, indirect=True)
@pytest.mark.parametrize("foreign", [-1, 10**6, "prefix row", "pad"])
def test_ids_from_outside_are_foreign(built, foreign):
    codec, _ = built
    if foreign == "pad" and codec.pad_id == codec.end_id:
        return
    ids = codec.answer_ids(as_grid([[1, 2]])).copy()
    ids[1] = {"prefix row": codec.vocabulary_size, "pad": codec.pad_id}.get(foreign, foreign)
    assert codec.decode(ids).fault == "foreign token"
    check = codec.answer_check(2)
    rows = np.array([1])
    assert not check.hopeless(rows, ids[:1])[0] and check.hopeless(rows, ids[1:2])[0]


@pytest.mark.parametrize("built", MARC, indirect=True)
@pytest.mark.parametrize(
    "text", ["[[1 2]\n [3 4]]", "[[1 2]\n[3 4]]#", "[[1  2]]#", "[[1 2 ]]#", "[[12 3]]#", "1 2#", "[[1]]##", "[[1]]#\n"]
)
def test_text_that_numpy_does_not_print_is_ragged(built, text):
    codec, tokenizer = built
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert codec.decode([*ids, codec.end_id]).fault == "ragged"


@pytest.mark.parametrize("built", MARC, indirect=True)
def test_any_tokens_that_spell_a_grid_are_read(built):
    codec, tokenizer = built
    ids = [tokenizer.token_to_id(c.replace(" ", "Ġ").replace("\n", "Ċ")) for c in "[[1 2]\n [3 4]]#"]
    check = codec.answer_check(1)
    assert not any(check.hopeless(np.array([0]), np.array([token]))[0] for token in [*ids, codec.end_id])
    assert np.array_equal(codec.decode([*ids, codec.end_id]).grid, [[1, 2], [3, 4]])


@pytest.mark.parametrize("built", FORMATS, indirect=True)
def test_answer_check_gives_up_exactly_the_answers_that_decode_refuses(built):
    codec, _ = built
    rng = np.random.default_rng(4)
    seen = {True: 0, False: 0}
    for trial in range(400):
        ids = codec.answer_ids(random_grid(rng, 31 if trial % 8 == 0 else 4)).copy()
        pieces = np.append(np.unique(ids), codec.pad_id)
        for _ in range(int(rng.integers(0, 3))):
            ids[rng.integers(len(ids))] = rng.choice(pieces)
        if trial % 5 == 0:
            ids = np.insert(ids, int(rng.integers(len(ids))), rng.choice(pieces))
        check, hopeless = codec.answer_check(3), False
        for token in ids:
            hopeless |= bool(check.hopeless(np.array([2]), np.array([token]))[0])
            if hopeless or token == codec.end_id:
                break
        if codec.end_id in ids:
            assert hopeless == (codec.decode(ids).grid is None)
            seen[hopeless] += 1
        elif not hopeless:
            assert codec.decode(ids).fault == "unfinished"
    assert min(seen.values()) > 50


@pytest.mark.parametrize("built", MARC, indirect=True)
def test_what_can_still_become_a_grid_is_never_given_up(built):
    """Random text grown by characters that the check allows always ends as a grid."""
    codec, tokenizer = built
    rng = np.random.default_rng(5)
    characters = {c: tokenizer.token_to_id(c.replace(" ", "Ġ").replace("\n", "Ċ")) for c in "[]# \n0123456789"}
    for _ in range(20):
        written, row = [], np.array([0])
        while codec.decode([*written, codec.end_id]).grid is None:
            allowed = []
            for token in characters.values():
                check = codec.answer_check(1)
                if not any(check.hopeless(row, np.array([t]))[0] for t in [*written, token]):
                    allowed.append(token)
            stops = [t for t in allowed if t == characters["]"]] if rng.random() < 0.4 else []
            written.append(int(rng.choice(stops or allowed)))


@pytest.mark.parametrize("built", [real], indirect=True)
def test_real_vocabulary_gives_the_original_masks_and_lengths(built):
    """Separator and closing ids are constants of ekinakyurek/torchtune's llama3/_tokenizer.py; the lengths are in a public log
    of its runs on marc-8B-finetuned-llama3 (avocadoali/marc) and count one `<|end_of_text|>` more."""
    codec, _ = built
    prompt = codec.encode(random_task(np.random.default_rng(6), 5), answer=True)
    ids = prompt.ids[: prompt.spans[-1][0]].tolist()
    separators = [i for i, token in enumerate(ids) if token == 1492][:-1]
    assert [a for a, _ in prompt.spans[:-1]] == [i + 1 for i in separators]
    assert [b for _, b in prompt.spans[:-1]] == [
        next(j for j in range(i, len(ids)) if ids[j] in (2, 5062)) + 1 for i in separators
    ]
    for shape, larger, logged in (((4, 4), (12, 12), 397), ((4, 2), (12, 6), 237), ((2, 2), (6, 6), 149), ((2, 4), (6, 12), 229)):
        pair = Pair(as_grid(np.ones(shape, int)), as_grid(np.ones(larger, int)))
        assert len(codec.encode(Task("t", (), (pair,)), answer=True)) + 1 == logged


def test_other_tokenizers_are_refused_in_one_line(tmp_path):
    def refuses(codec, folder, words):
        with pytest.raises(ValueError, match=words) as caught:
            codec(folder)
        assert "\n" not in str(caught.value)

    refuses(Architects, tmp_path / "none", "missing")
    refuses(Architects, shrunk(tmp_path / "no I", keep=SINGLE.replace("I", "")), "'I' is not one token")
    refuses(Architects, shrunk(tmp_path / "no eos", generation_config={}), "no file names the eos token")
    refuses(Architects, shrunk(tmp_path / "eos", tokenizer_config={"eos_token": "</s>"}), "no token '</s>'")
    refuses(Architects, shrunk(tmp_path / "json", tokenizer_config=[1]), "not a JSON object")
    refuses(Architects, learnt_llama3(tmp_path / "unshrunk"), "do not stay one token each")
    refuses(Marc, shrunk(tmp_path / "shrunk"), "no token")
    refuses(Marc, learnt_llama3(tmp_path / "merging", r"[^\n]+|\n+"), "does not split grids")
    (shrunk(tmp_path / "small") / "config.json").write_text('{"vocab_size": 70}')
    refuses(Architects, tmp_path / "small", "less than the tokenizer's 77")


def test_config_names_the_end_where_no_tokenizer_file_does(tmp_path):
    folder = shrunk(tmp_path, generation_config={})
    (folder / "config.json").write_text(json.dumps({"vocab_size": 77, "eos_token_id": [75, 74], "pad_token_id": None}))
    codec = Architects(folder)
    assert codec.end_id == codec.pad_id == 75 == Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("<|eot_id|>")


def small_llama(codec, spread: float) -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=codec.vocabulary_size, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=4096, tie_word_embeddings=False, pad_token_id=codec.pad_id,
        eos_token_id=codec.end_id, bos_token_id=None, initializer_range=spread,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def adapted(lm, codec) -> AdaptedModel:
    wrapped = get_peft_model(lm, peft_config(LoraShape(rank=4, alpha=4)), autocast_adapter_dtype=False)
    return AdaptedModel(wrapped, codec, torch.device("cpu"), torch.float32)


class NeverGivesUp:
    def hopeless(self, rows, ids):
        return np.zeros(len(rows), bool)


@pytest.mark.parametrize("built", FORMATS, indirect=True)
def test_batched_decoding_equals_the_reference_token_for_token(built, monkeypatch):
    codec, _ = built
    monkeypatch.setattr(codec, "answer_check", lambda rows: NeverGivesUp(), raising=False)
    model = adapted(small_llama(codec, 0.3), codec)
    with torch.no_grad():
        for parameter in model.trainable:
            parameter.normal_(0, 0.1)
    give_prefix(model, 2)
    rng = np.random.default_rng(7)
    tasks = [random_task(rng, int(rng.integers(1, 3)), 4).without_answers() for _ in range(5)]
    prompts = [codec.encode(task, prefix=range(2)) for task in tasks]
    for prompt, generation in zip(prompts, greedy(DenseLlama(model), codec, prompts, [24] * len(prompts))):
        expected = greedy_one(model, prompt, 24)
        assert np.array_equal(generation.ids, expected.ids)
        assert generation.log_prob == pytest.approx(expected.log_prob, abs=1e-3)
        assert len(set(generation.ids.tolist())) > 3  # not one token over and over


@pytest.mark.parametrize("built", ["architects", "learnt"], indirect=True)
def test_a_model_that_memorised_an_answer_decodes_exactly_that_grid(built):
    codec, _ = built
    task = Task("t", (Pair(as_grid([[1, 2]]), as_grid([[2, 1]])),), (Pair(as_grid([[3, 4]]), as_grid([[4, 3, 9], [0, 7, 7]])),))
    answered, prompt = codec.encode(task, answer=True), codec.encode(task.without_answers())
    lm, (start, stop) = small_llama(codec, 0.02), answered.spans[-1]
    ids = torch.from_numpy(answered.ids)[None]
    optimiser = torch.optim.Adam(lm.parameters(), lr=3e-3)
    for _ in range(60):
        logits = lm(input_ids=ids).logits[0, start - 1 : stop - 1]
        loss = torch.nn.functional.cross_entropy(logits, ids[0, start:stop])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    llama = DenseLlama(adapted(lm.requires_grad_(False), codec))
    (generation,) = greedy(llama, codec, [prompt], [codec.max_answer_tokens])
    assert grid_key(generation.decoded.grid) == grid_key(task.test[0].output)
    assert np.array_equal(generation.ids, codec.answer_ids(task.test[0].output))
    assert answer_log_probs(llama, [answered])[0] == pytest.approx(generation.log_prob, abs=1e-3)
