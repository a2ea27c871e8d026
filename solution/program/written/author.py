"""A Llama that writes programs for a task: the checkpoint, the prompt, the sampling, and the code in what it says.

In:  a folder with a Llama in safetensors and its tokenizer, or a .gguf file; tasks. Out: Python source texts.
The prompt is in the manner of BARC's induction models (Li et al. 2024): grids as rows of colour words, a request for a function
`transform`; the words are ours. Files are read from the disk alone, no code of the checkpoint is run.
Light to import: torch and transformers come with the checkpoint. Not here: running what is written (`sandbox`, `written`).
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ...arc.task import Grid, Task
from ..settings import WrittenConfig

COLOURS = ("Black", "Blue", "Red", "Green", "Yellow", "Gray", "Pink", "Orange", "Purple", "Brown")
ROLE = "You solve grid puzzles by finding the rule behind the examples and writing it down as a Python program."
REQUEST = """\
Each example below is a pair of grids that follow one and the same rule. A grid is written as rows of colour words.

{examples}
The rule is also to be applied to:

{tests}
The program sees a grid as a numpy array of integers: {numbers}.
Find the rule. Then write a Python function `transform(input_grid: np.ndarray) -> np.ndarray` that turns every input into its
output. Put the whole program into one code block; import nothing but numpy, scipy.ndimage and the standard library."""
FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n?```|\Z)", re.DOTALL)
LEAST_NEW_TOKENS = 64
"""Room that a prompt has to leave; demonstrations are left out, the last first, where it does not."""
DATE = "26 Jul 2024"
"""What the templates of Llama 3 put into every prompt; today's date would give other programs tomorrow."""
SMALL_FILE = 2**20
"""Bytes up to which a checkpoint's file is compared by its content."""


LIBRARY = "common"
"""A module that BARC's programs import: its source is taken from the file of that name with .py beside the checkpoint, if any."""


class AuthorError(ValueError):
    """A checkpoint cannot be used as an author; the message is one line that names the folder and the fault."""


def find_author(name: str) -> str:
    """Look whether a Llama's folder or .gguf file is whole, without loading it; -> a hash that tells it from others.

    Of large files, names and sizes are compared. Raises `AuthorError`.
    """
    path = Path(name)
    if path.suffix == ".gguf" and path.is_file():
        return _hash([path])
    if not path.is_dir():
        raise AuthorError(f"--author {name}: neither a folder nor a .gguf file")
    try:
        kind = json.loads((path / "config.json").read_text()).get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        raise AuthorError(f"--author {name}: config.json cannot be read ({error})") from error
    if kind != "llama":
        raise AuthorError(f"--author {name}: its model type is {kind!r}, not 'llama'")
    if not list(path.glob("*.safetensors")):
        raise AuthorError(f"--author {name}: no .safetensors file in it")
    if not any((path / file).exists() for file in ("tokenizer.json", "tokenizer.model")):
        raise AuthorError(f"--author {name}: no tokenizer in it")
    return _hash(sorted(p for p in path.iterdir() if p.is_file()))


def _hash(files: list[Path]) -> str:
    content = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        content.update(f"{file.name} {size} ".encode() + (file.read_bytes() if size <= SMALL_FILE else b""))
    return content.hexdigest()


def libraries_of(name: str) -> dict[str, str]:
    """Sources of the modules that come with a checkpoint, for the sandbox: they are run nowhere else. Raises `AuthorError`."""
    path = Path(name)
    file = (path if path.is_dir() else path.parent) / f"{LIBRARY}.py"
    try:
        return {LIBRARY: file.read_text(encoding="utf-8").replace("\0", "")} if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise AuthorError(f"--author {name}: {file.name} cannot be read ({error})") from error


def text_of(grid: Grid) -> str:
    """The grid as rows of colour words."""
    return "\n".join(" ".join(COLOURS[v] for v in row) for row in grid.tolist())


def request(task: Task, demonstrations: int) -> str:
    """What the model is asked, with so many of the task's demonstrations."""
    examples = "".join(
        f"Example {number}\nInput:\n{text_of(pair.input)}\nOutput:\n{text_of(pair.output)}\n\n"
        for number, pair in enumerate(task.train[:demonstrations], 1)
    )
    tests = "".join(f"Input:\n{text_of(pair.input)}\n\n" for pair in task.test)
    numbers = ", ".join(f"{colour} is {number}" for number, colour in enumerate(COLOURS))
    return REQUEST.format(examples=examples, tests=tests, numbers=numbers)


def code_in(answer: str) -> str:
    """The last code block of an answer that defines `transform`, else the last one, else the whole answer."""
    blocks = FENCE.findall(answer)
    defining = [block for block in blocks if "def transform" in block]
    return (defining or blocks or [answer])[-1]


class LlamaAuthor:
    """The checkpoint, loaded. Samples at `config.temperature`, `config.batch` programs at once."""

    def __init__(self, config: WrittenConfig):
        """Raises `AuthorError` where it cannot be loaded on `config.device`."""
        import torch
        from transformers import AutoTokenizer, LlamaForCausalLM
        from transformers.utils.logging import disable_progress_bar

        from ...models.precision import compute_dtype

        self.config, path = config, Path(config.author)
        device = torch.device(config.device)
        options = {"local_files_only": True}
        folder, options = (path.parent, options | {"gguf_file": path.name}) if path.is_file() else (path, options)
        placed = {"device_map": {"": device}} if device.type == "cuda" else {}  # bitsandbytes' matrices are packed on the way
        disable_progress_bar()
        try:
            if device.type == "cuda":
                torch.cuda.set_device(device)
            self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **options)
            self.lm, found = LlamaForCausalLM.from_pretrained(
                folder, dtype=compute_dtype(device), output_loading_info=True, use_safetensors=True, **placed, **options
            )
            if found["missing_keys"]:
                raise ValueError(f"tensor {sorted(found['missing_keys'])[0]} is missing")
        except Exception as error:  # safetensors, tokenizers and bitsandbytes raise what they like
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise AuthorError(f"--author {config.author}: {reason}") from error
        self.lm.eval()
        ends = self.lm.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self.ends = [e for e in dict.fromkeys([*ends, self.tokenizer.eos_token_id]) if e is not None]

    def prompt(self, task: Task) -> list[int] | None:
        """The tokens of the request, with as many demonstrations as leave room for a program; None where not even one does."""
        for demonstrations in range(len(task.train), 0, -1):
            text = request(task, demonstrations)
            if self.tokenizer.chat_template:
                turns = [{"role": "system", "content": ROLE}, {"role": "user", "content": text}]
                text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, date_string=DATE)
                ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            else:
                ids = self.tokenizer(f"{ROLE}\n\n{text}\n\n")["input_ids"]
            if len(ids) + LEAST_NEW_TOKENS <= self.lm.config.max_position_embeddings:
                return ids
        return None

    def write(self, task: Task, count: int, seed: int, out_of_time: Callable[[], bool]) -> Iterator[str]:
        """`count` texts, fewer where `out_of_time` says so or the task is too long to be shown. The same for the same seed on the
        same device."""
        import torch
        from transformers import GenerationConfig, StoppingCriteriaList

        ids = self.prompt(task)
        if ids is None:
            return
        prompt = torch.tensor([ids], device=self.lm.device)
        room = min(self.config.new_tokens, self.lm.config.max_position_embeddings - len(ids))
        digest = hashlib.sha256(f"{seed} {task.id}".encode("utf-8", "surrogatepass")).digest()
        torch.manual_seed(int.from_bytes(digest[:8], "big") >> 1)

        def stop(tokens, scores, **_):
            return torch.full((len(tokens),), out_of_time(), dtype=torch.bool, device=tokens.device)

        stopping = StoppingCriteriaList([stop])
        for first in range(0, count, self.config.batch):
            if out_of_time():
                return
            settings = GenerationConfig(
                do_sample=True, temperature=self.config.temperature, top_p=self.config.top_p, top_k=0, max_new_tokens=room,
                num_return_sequences=min(self.config.batch, count - first), eos_token_id=self.ends,
                pad_token_id=self.ends[0] if self.ends else 0,
            )  # fmt: skip
            seen = torch.ones_like(prompt)
            with torch.inference_mode():
                found = self.lm.generate(prompt, attention_mask=seen, generation_config=settings, stopping_criteria=stopping)
            yield from (code_in(text) for text in self.tokenizer.batch_decode(found[:, len(ids) :], skip_special_tokens=True))
