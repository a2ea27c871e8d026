"""The ARChitects' format, for da-fr/Llama-3.2-3B-ARChitects-ReArc-bnb-4bit and their NeMo-Minitron 8B: one token a cell.

In:  a folder with their `tokenizer.json`; tasks. Out: prompts; from generated ids a grid.
A prompt reads: what the post-processor puts in front (beginning of text), 48 letters once, then for each pair `I`, the
input's rows, `+/-=O`, the output's rows and the end token; every row ends with a newline. Source: da-fr/arc-prize-2024,
training_code/arc_loader.py (`fmt_input`, `fmt_output`, `fmt_train`) and the `fmt_opts` of its run_*.py: their separator
between rows and the newline that opens `\\n+/-=O` and closes the output are together our newline after each row.
An answer is therefore `arc16`'s under other ids, and so are reading and checking it. Not here: training, voting.
"""

from pathlib import Path

import numpy as np

from ..arc.task import Grid, Pair, Task
from . import arc16
from .prompt import Decoded, Prompt
from .published import join, read_tokenizer, special_id, vocabulary_size

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjklmnpqrstuvwxyz"
INPUT, OUTPUT = "I", "+/-=O"
CELLS = "0123456789\n"  # in the order of arc16's ids: the colours, then ROW


class Architects:
    """Encodes tasks and decodes answers; a `Codec`.

    Their vocabulary keeps single characters and special tokens only, with no merges (training_code/model_tools.py,
    `shrink_tokenizer_vocab`), so that a character is a token wherever it stands. `end_id` is the tokenizer's eos token
    (`fmt_opts["reply_end"]`), for Llama-3.2-Instruct `<|eot_id|>`. Raises `ValueError`, one line, for other tokenizers.
    """

    position_scheme = "sequential"
    max_answer_tokens = arc16.MAX_ANSWER_TOKENS
    num_tokens = staticmethod(arc16.num_tokens)

    def __init__(self, folder: Path | str):
        folder = Path(folder)
        tokenizer = read_tokenizer(folder)
        path = folder / "tokenizer.json"
        needed = LETTERS + INPUT + OUTPUT + CELLS
        for character in sorted(set(needed)):
            if len(tokenizer.encode(character, add_special_tokens=False).ids) != 1:
                raise ValueError(f"{path}: {character!r} is not one token")
        ids = tokenizer.encode(needed, add_special_tokens=False).ids
        if len(ids) != len(needed) or len(set(ids)) != len(set(needed)):
            raise ValueError(f"{path}: characters do not stay one token each; this is not the ARChitects' vocabulary")
        whole = tokenizer.encode(needed).ids
        self._beginning = np.array(whole[: len(whole) - len(ids)] + ids[: len(LETTERS)], np.int64)
        if whole[len(whole) - len(ids) :] != ids:
            raise ValueError(f"{path}: the post-processor adds tokens after the text")
        rest = ids[len(LETTERS) :]
        self._input, self._output, cells = np.array(rest[:1]), np.array(rest[1:6]), rest[6:]
        end_id = special_id(folder, tokenizer, "eos")
        if end_id is None:
            raise ValueError(f"{folder}: no file names the eos token")
        pad_id = special_id(folder, tokenizer, "pad")
        self.vocabulary_size = vocabulary_size(folder, tokenizer)
        self.end_id = end_id
        self.pad_id = end_id if pad_id is None else pad_id
        self._ids = np.array(cells, np.int64)  # ours of arc16's 0-9 and ROW
        self._arc16 = np.full(self.vocabulary_size, arc16.PAD)  # arc16's of ours; PAD, which no answer holds, of all others
        self._arc16[[*cells, end_id]] = [*range(len(cells)), arc16.END]

    def task_tokens(self, train: tuple[Pair, ...], test: Pair, answer_tokens: int = 0) -> int:
        """Tokens of the prompt of these demonstrations and this test input, and of an answer of `answer_tokens`."""
        marks = len(self._input) + len(self._output)
        pairs = sum(self.num_tokens(p.input) + self.num_tokens(p.output) + marks + 1 for p in train)
        return len(self._beginning) + pairs + self.num_tokens(test.input) + marks + answer_tokens

    def encode(
        self, task: Task, test_index: int = 0, answer: bool = False, first_pair: int = 0, prefix: range = range(0)
    ) -> Prompt:
        """The prompt for one test input; with `answer`, its known output and the end token follow (training, scoring).

        A span runs from the output's first cell to its end token: what their collator leaves unmasked between
        `response_template` and the next `instruction_template` (training_code/model_tools.py, `InputMaskingDataCollator`).
        `prefix`: rows of the learned prefix table, as ids from `vocabulary_size` on, before everything else.
        `first_pair` is ignored: positions are sequential. Raises `ValueError` where `answer` is asked for and not known.
        """
        test = task.test[test_index]
        if answer and test.output is None:
            raise ValueError(f"task {task.id}: test input {test_index} has no output to encode")
        segments = [(self.vocabulary_size + np.array(prefix, np.int64), False), (self._beginning, False)]
        for index, pair in enumerate((*task.train, test)):
            segments += [(self._input, False), (self._rows(pair.input), False), (self._output, False)]
            if index < len(task.train) or answer:
                segments.append((self.answer_ids(pair.output), True))
        return join(segments)

    def next_positions(self, ids, positions):
        """Positions of the tokens that follow (`ids`, `positions`); elementwise on torch tensors or numpy arrays."""
        return positions + 1

    def answer_ids(self, grid: Grid) -> np.ndarray:
        """The tokens that a model must generate to answer `grid`, the end token included."""
        return np.append(self._rows(grid), self.end_id)

    def decode(self, ids) -> Decoded:
        """Read a grid from generated ids up to the first `end_id`; any fault gives no grid and its name (`Arc16.decode`)."""
        return arc16.Arc16(self.position_scheme).decode(self._as_arc16(np.asarray(ids, np.int64)))

    def answer_check(self, rows: int) -> "AnswerCheck":
        """What tells hopeless answers of a batch of so many rows early."""
        return AnswerCheck(rows, self._as_arc16)

    def _rows(self, grid: Grid) -> np.ndarray:
        """Ids of a grid's cells and row ends, (height * (width + 1),)."""
        ids = np.full((grid.shape[0], grid.shape[1] + 1), arc16.ROW)
        ids[:, :-1] = grid
        return self._ids[ids.ravel()]

    def _as_arc16(self, ids: np.ndarray) -> np.ndarray:
        known = (ids >= 0) & (ids < self.vocabulary_size)
        return np.where(known, self._arc16[np.where(known, ids, 0)], arc16.PAD)


class AnswerCheck:
    """`arc16.AnswerCheck` behind a translation of the ids."""

    def __init__(self, rows: int, translate):
        self._check = arc16.AnswerCheck(rows)
        self._translate = translate

    def hopeless(self, rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Take token `ids[i]` of answer `rows[i]`; True where that answer can no longer become a grid."""
        return self._check.hopeless(rows, self._translate(ids))
