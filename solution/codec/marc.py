"""The MIT authors' text format, for ekinakyurek/marc-8B-finetuned-llama3 and models fine-tuned as it was.

In:  a folder with a Llama 3 `tokenizer.json`; tasks. Out: prompts; from generated ids a grid.
A prompt is three chat messages. System: two sentences, then a line `INPUT -> OUTPUT#` a demonstration. User: `INPUT ->`.
Assistant: `OUTPUT#`. A grid is what numpy prints: `[[0 1]` newline ` [2 3]]`. Sources, of `--new_format`:
  BY571/ARC-TTT (a copy of ekinakyurek/marc), arclib/messagers.py `GPTTextMessageRepresenterV2` (sentences, lines, messages)
  and arclib/representers.py `PythonListGridRepresenter` (`str` of a numpy array), `TextExampleRepresenter`;
  ekinakyurek/torchtune, torchtune/models/llama3/_tokenizer.py `tokenize_message`: header, "\\n\\n", *stripped* content,
  `<|eot_id|>`, each tokenized by itself, behind one `<|begin_of_text|>`. Hence no newline after the last demonstration.
Inference there builds the same text with Llama 3's chat template and drops its second beginning of text (marc,
inference/preprocess.py and engine.py), so training and inference tokens are equal; the constructor checks that.
Not here: the diff and BARC formats of the same code; training, voting.
"""

from pathlib import Path

import numpy as np

from ..arc.task import MAX_SIDE, Grid, Pair, Task, as_grid
from .prompt import Decoded, Prompt
from .published import join, read_tokenizer, special_id, token_id, vocabulary_size

INSTRUCTION = (
    "Figure out the underlying transformation in the following examples and apply it to the test case. Here are some "
    "examples from this transformation, your answer must follow the format.\n"
    "The input-output grids are provided as python arrays:\n"
)
BEGIN, START_HEADER, END_HEADER, END = "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"
DIGITS = "0123456789"
BYTE_LEVEL = str.maketrans({"Ġ": " ", "Ċ": "\n"})  # how tokenizer.json spells the two bytes that print as nothing


def grid_text(grid: Grid) -> str:
    """What `str` of a numpy array gives: 30 cells of one digit fit its line of 75 characters, 900 its threshold of 1000."""
    return "[" + "\n ".join("[" + " ".join(map(str, row)) + "]" for row in grid.tolist()) + "]"


class Marc:
    """Encodes tasks and decodes answers; a `Codec`.

    Llama 3 splits text before it merges: a digit, the space between two cells, "]\\n" with " [", and the brackets at a
    grid's ends never merge with each other, so a grid's tokens are put together from theirs without tokenizing anew.
    Raises `ValueError`, one line, for a tokenizer of which that is not true.
    """

    position_scheme = "sequential"

    def __init__(self, folder: Path | str):
        folder = Path(folder)
        tokenizer = read_tokenizer(folder)

        def ids(text: str) -> np.ndarray:
            return np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)

        def header(role: str) -> np.ndarray:
            return np.concatenate([[start_header], ids(role), [end_header], ids("\n\n")])

        begin, start_header, end_header = (token_id(folder, tokenizer, t) for t in (BEGIN, START_HEADER, END_HEADER))
        self.vocabulary_size = vocabulary_size(folder, tokenizer)
        self.end_id = token_id(folder, tokenizer, END)
        pad_id = special_id(folder, tokenizer, "pad")
        self.pad_id = self.end_id if pad_id is None else pad_id
        self._end = np.array([self.end_id])
        self._system = np.concatenate([[begin], header("system"), ids(INSTRUCTION)])
        self._system_alone = np.concatenate([[begin], header("system"), ids(INSTRUCTION.strip())])
        self._user = np.concatenate([self._end, header("user")])
        self._assistant = np.concatenate([self._end, header("assistant")])
        self._digits, self._space, self._turn = ids(" ".join(DIGITS))[::2], ids(" "), ids("]\n [")
        self._open, self._close, self._arrow = ids("[["), ids("]]"), ids(" ->")
        self._open_output, self._close_line, self._close_output = ids(" [["), ids("]]#\n"), ids("]]#")
        self._text = {
            i: token.translate(BYTE_LEVEL)
            for token, i in tokenizer.get_vocab().items()
            if set(token.translate(BYTE_LEVEL)) <= set("[]# \n" + DIGITS)
        }
        self._check_tokenizer(folder, ids)
        self.max_answer_tokens = self.num_tokens(np.zeros((MAX_SIDE, MAX_SIDE), np.uint8)) + 1

    def num_tokens(self, grid: Grid) -> int:
        """Tokens of an answer's text, `end_id` not counted."""
        return len(self._open) + self._body_tokens(grid) + len(self._close_output)

    def task_tokens(self, train: tuple[Pair, ...], test: Pair, answer_tokens: int = 0) -> int:
        """Tokens of the prompt of these demonstrations and this test input, and of an answer of `answer_tokens`."""
        frame = len(self._open) + len(self._close) + len(self._arrow)
        pairs = sum(
            frame + self._body_tokens(p.input) + len(self._open_output) + self._body_tokens(p.output) + len(self._close_line)
            for p in train
        )
        pairs += len(self._close_output) - len(self._close_line) if train else 0
        head = len(self._system if train else self._system_alone) + len(self._user) + len(self._assistant)
        return head + pairs + frame + self._body_tokens(test.input) + answer_tokens

    def encode(
        self, task: Task, test_index: int = 0, answer: bool = False, first_pair: int = 0, prefix: range = range(0)
    ) -> Prompt:
        """The prompt for one test input; with `answer`, its known output and `end_id` follow (training, scoring).

        A demonstration's span is what follows its " ->" up to the token of "#" or "#\\n", as the original unmasks it
        (ekinakyurek/torchtune, torchtune/models/llama3/_tokenizer.py, `ARC_SEP_TOKENS`, `ARC_END_TOKENS`); the answer's
        is the assistant's content and `end_id`. The original also has loss on the assistant's header, which is never
        generated, and a masked `<|end_of_text|>` at the very end; here there is neither.
        `prefix`: rows of the learned prefix table, as ids from `vocabulary_size` on, before everything else.
        `first_pair` is ignored: positions are sequential. Raises `ValueError` where `answer` is asked for and not known.
        """
        test = task.test[test_index]
        if answer and test.output is None:
            raise ValueError(f"task {task.id}: test input {test_index} has no output to encode")
        segments = [(self.vocabulary_size + np.array(prefix, np.int64), False)]
        segments.append((self._system if task.train else self._system_alone, False))
        for index, pair in enumerate(task.train, start=1):
            close = self._close_line if index < len(task.train) else self._close_output
            segments.append((self._input(pair.input), False))
            segments.append((np.concatenate([self._open_output, self._body(pair.output), close]), True))
        segments += [(self._user, False), (self._input(test.input), False), (self._assistant, False)]
        if answer:
            segments.append((self.answer_ids(test.output), True))
        return join(segments)

    def next_positions(self, ids, positions):
        """Positions of the tokens that follow (`ids`, `positions`); elementwise on torch tensors or numpy arrays."""
        return positions + 1

    def answer_ids(self, grid: Grid) -> np.ndarray:
        """The tokens that a model must generate to answer `grid`, `end_id` included."""
        return np.concatenate([self._open, self._body(grid), self._close_output, self._end])

    def decode(self, ids) -> Decoded:
        """Read a grid from the text of generated ids up to the first `end_id`; any fault gives no grid and its name.

        Any tokens that spell the text will do, not only those of `answer_ids`. Where the original's reader strips all
        brackets and guesses the shape (`parse_numpy_from_str`), this one takes only what numpy prints, followed by "#".
        """
        ids = np.asarray(ids, np.int64)
        ends = np.flatnonzero(ids == self.end_id)
        if not len(ends):
            return Decoded(None, "unfinished")
        tokens = ids[: ends[0]].tolist()
        if not all(token in self._text for token in tokens):
            return Decoded(None, "foreign token")
        text = "".join(self._text[token] for token in tokens)
        if text in ("", "[[]]#"):
            return Decoded(None, "empty")
        if not (text.startswith("[[") and text.endswith("]]#")):
            return Decoded(None, "ragged")
        rows = [row.split(" ") for row in text[2:-3].split("]\n [")]
        if any(len(row) != len(rows[0]) or not all(len(cell) == 1 and cell in DIGITS for cell in row) for row in rows):
            return Decoded(None, "ragged")
        if len(rows) > MAX_SIDE or len(rows[0]) > MAX_SIDE:
            return Decoded(None, "oversized")
        return Decoded(as_grid([[int(cell) for cell in row] for row in rows]))

    def answer_check(self, rows: int) -> "AnswerCheck":
        """What tells hopeless answers of a batch of so many rows early."""
        return AnswerCheck(rows, self._text, self.end_id)

    def _input(self, grid: Grid) -> np.ndarray:
        return np.concatenate([self._open, self._body(grid), self._close, self._arrow])

    def _body(self, grid: Grid) -> np.ndarray:
        """Ids between a grid's opening and closing brackets."""
        height, width = grid.shape
        row = np.concatenate([np.tile(np.append(0, self._space), width)[: width * 2 - 1], self._turn])
        ids = np.tile(row, (height, 1))
        ids[:, : width * 2 : 2] = self._digits[grid]
        return ids.ravel()[: self._body_tokens(grid)]

    def _body_tokens(self, grid: Grid) -> int:
        height, width = grid.shape
        return height * (width * 2 - 1) + (height - 1) * len(self._turn)

    def _check_tokenizer(self, folder: Path, ids) -> None:
        """Compare a prompt put together here with the tokens of its text, by message (training) and whole (inference)."""
        fault = ValueError(f"{folder / 'tokenizer.json'}: does not split grids as Llama 3's tokenizer does")
        if len(self._digits) != len(set(self._digits.tolist())) or len(self._digits) != 10 or len(self._space) != 1:
            raise fault
        grids = [as_grid(np.arange(12).reshape(3, 4) % 10), as_grid([[7]]), as_grid([[0, 0], [0, 1]])]
        pairs = [Pair(a, b) for a in grids for b in grids]
        test = pairs[2]
        for train in ((), tuple(pairs[:1]), tuple(pairs)):
            lines = "".join(f"{grid_text(p.input)} -> {grid_text(p.output)}#\n" for p in train)
            contents = (INSTRUCTION + lines).strip(), f"{grid_text(test.input)} ->", f"{grid_text(test.output)}#"
            text, tokens = BEGIN, [ids(BEGIN)]
            for role, content in zip(("system", "user", "assistant"), contents):
                header = f"{START_HEADER}{role}{END_HEADER}\n\n"
                text += header + content + END
                tokens += [ids(header), ids(content), ids(END)]
            ours = self.encode(Task("probe", train, (test,)), answer=True).ids
            if not (np.array_equal(ours, np.concatenate(tokens)) and np.array_equal(ours, ids(text))):
                raise fault


class AnswerCheck:
    """Reads answers character by character and gives up exactly those that can no longer become a grid's text.

    Plain reference: `Marc.decode` on the whole answer. A row's state is (what may come next, x, y, width): cells read in
    this row, rows closed, and the width of the first one or 0.
    """

    def __init__(self, rows: int, text: dict[int, str], end_id: int):
        self._text, self._end_id = text, end_id
        self._states: list[tuple[str, int, int, int] | None] = [("open", 0, 0, 0)] * rows

    def hopeless(self, rows: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Take token `ids[i]` of answer `rows[i]`; True where that answer can no longer become a grid."""
        return np.array([self._take(row, token) for row, token in zip(rows.tolist(), ids.tolist())], bool)

    def _take(self, row: int, token: int) -> bool:
        state = self._states[row]
        if token == self._end_id:
            return state is None or state[0] != "end"
        text = self._text.get(token)
        if text is None:
            state = None
        else:
            for character in text:
                state = state and _after(state, character)
        self._states[row] = state
        return state is None


ONLY = {  # places where a single character may come next, and the place after it
    "open": ("[", "first row"),
    "first row": ("[", "cell"),
    "indent": (" ", "next row"),
    "next row": ("[", "cell"),
    "#": ("#", "end"),
}


def _after(state: tuple[str, int, int, int], character: str) -> tuple[str, int, int, int] | None:
    """The state after one more character, or None where no grid's text goes on so."""
    place, x, y, width = state
    if place in ONLY:
        expected, following = ONLY[place]
        return (following, 0, y, width) if character == expected else None
    if place == "cell" and character in DIGITS:
        return "after cell", x + 1, y, width
    if place == "after cell":
        if character == " " and x < (width or MAX_SIDE):
            return "cell", x, y, width
        if character == "]" and x == (width or x):
            return "after row", 0, y + 1, x
    if place == "after row":
        if character == "\n" and y < MAX_SIDE:
            return "indent", 0, y, width
        if character == "]":
            return "#", 0, y, width
    return None
