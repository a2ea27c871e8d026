"""The same work by others: our loops on transformers and on Unsloth's kernels, and each library used as its own examples do.

In:  a device, a task. Out: tokens a second of training and of decoding by way, for the shapes that are quickly written to disk.
Importing Unsloth patches transformers, so each way has a process of its own; they stand by and measure in turn, `ROUNDS` times.
Not here: our own speed over all shapes (`speed`).
    python -m solution.bench.rivals WAY FOLDER DEVICE TOKENS    # one way's process: a line in, a line of JSON out
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

WAYS = ("ours", "ours on unsloth", "unsloth", "transformers + peft")
SHAPES, TOYS = ("s", "m", "135M", "1B"), ("tiny",)
ROUNDS, STEPS, ROWS = 3, 4, 8
LEAST_SECONDS = 20.0
"""Time below which no shape is begun."""


def compare(context, task, seconds: float, ways: tuple[str, ...] = WAYS) -> Iterator:
    """Yields a `Result` after every shape, until the time is over. A way that fails is named with its last line."""
    from ..codec.arc16 import Arc16
    from .context import Result
    from .shapes import random_folder

    until, values, lines = time.monotonic() + seconds, {}, []
    length = min(2048, Arc16("sequential").task_tokens(task.train, task.test[0]))
    for name in TOYS if context.toy else SHAPES:
        if time.monotonic() > until - LEAST_SECONDS:
            return
        with tempfile.TemporaryDirectory() as folder:
            entry = random_folder(name, Path(folder))
            (Path(folder) / "manifest_entry.json").write_text(json.dumps(entry))
            values[name] = interleaved(ways, folder, context.device, length)
        for way, found in values[name].items():
            said = found.get("fault") or ", ".join(f"{what} {speed:.0f} tok/s" for what, speed in found.items())
            lines.append(f"{name} NF4, {ROWS} x {length} tokens, {way}: {said}")
        yield Result(values, list(lines))


def interleaved(ways: tuple[str, ...], folder: str, device: str, length: int) -> dict[str, dict]:
    """Medians by way, or its fault; each is asked in turn, its process idle between."""
    standing = [Way(name, folder, device, length) for name in ways]
    try:
        for _ in range(ROUNDS):
            for way in standing:
                way.measure()
    finally:
        for way in standing:
            way.end()
    return {way.name: way.medians() for way in standing}


class Way:
    """One way's process, and what it has measured."""

    def __init__(self, name: str, folder: str, device: str, length: int):
        self.name, self.rows, self.fault = name, [], None
        self.said = tempfile.TemporaryFile()
        command = [sys.executable, "-m", __name__, name, folder, device, str(length)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True, bufsize=1
        )

    def measure(self) -> None:
        """Once more; nothing where the process is gone."""
        if self.fault:
            return
        try:
            self.process.stdin.write("go\n")
            self.rows.append(json.loads(next(line for line in self.process.stdout if line.startswith("{"))))  # others greet
        except (OSError, StopIteration):
            self.said.seek(0)
            self.fault = (self.said.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1][-200:]

    def medians(self) -> dict:
        if not self.rows:
            return {"fault": self.fault}
        return {what: statistics.median(row[what] for row in self.rows) for what in self.rows[0]}

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            self.process.stdin.close()
        self.process.stdout.close()
        self.said.close()


def main(way: str, folder: str, device_name: str, length: int) -> None:
    """The process of one way: load, warm up, then measure once for every line that comes in."""
    if "unsloth" in way:
        import solution.models.unsloth_backend  # noqa: F401 - before anything imports transformers
    import torch

    from ..codec.arc16 import END
    from .speed import one_worker, wait

    device = torch.device(device_name)
    one_worker(device)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 10, (ROWS, length), generator=generator).to(device)
    new = 64 if length > 256 else 8
    training, decoding = (of_ours if "ours" in way else of_theirs)(way, Path(folder), device, ids, new, END)
    for step in (training, decoding):
        step()
    for _ in sys.stdin:
        found = {}
        for what, step, tokens in (("training", training, STEPS * ids.numel()), ("decoding", decoding, ROWS * new)):
            wait(device)
            begin = time.perf_counter()
            step()
            wait(device)
            found[what] = tokens / (time.perf_counter() - begin)
        print(json.dumps(found), flush=True)


def of_ours(way: str, folder: Path, device, ids, new: int, end: int):
    """Our model, with the loss where answers stand (here: everywhere), and our decoder."""
    import torch

    from ..decode.greedy import greedy
    from ..models.dense import DenseLlama
    from ..models.load import load
    from ..models.manifest import find_weights
    from ..preset import DEFAULT
    from .speed import Endless, some_prompts

    backend = "unsloth" if "unsloth" in way else "transformers"
    model = load(find_weights(str(folder)), device, DEFAULT.lora, backend, in_4_bits=True, longest=ids.shape[1] + new)
    positions = torch.arange(ids.shape[1], device=device).expand_as(ids).contiguous()
    where = torch.ones_like(ids, dtype=torch.bool)
    where[:, -1] = False
    masters = [p.detach().float().clone() for p in model.trainable]
    optimizer = torch.optim.AdamW(masters, lr=1e-4, foreach=True)

    def training():
        for _ in range(STEPS):
            model.loss(ids, positions, where, ids[:, 1:].flatten()).backward()
            with torch.no_grad():
                for master, parameter in zip(masters, model.trainable):
                    master.grad, parameter.grad = parameter.grad.float(), None
                torch.nn.utils.clip_grad_norm_(masters, 1.0)
                optimizer.step()
                torch._foreach_copy_(model.trainable, masters)

    def decoding():
        greedy(DenseLlama(model), Endless(model.codec), some_prompts(ids), [new] * len(ids))

    return training, decoding


def of_theirs(way: str, folder: Path, device, ids, new: int, end: int):
    """A library as its examples use it: labels in, loss out; `generate`."""
    import torch

    from ..models.precision import compute_dtype
    from ..preset import DEFAULT

    lora, dtype = DEFAULT.lora, compute_dtype(device)
    packed = device.type == "cuda"
    if way == "unsloth":
        from unsloth import FastLanguageModel

        lm, _ = FastLanguageModel.from_pretrained(
            str(folder), max_seq_length=ids.shape[1] + new, dtype=dtype, load_in_4bit=packed, device_map={"": device.index or 0},
            local_files_only=True,
        )  # fmt: skip
        model = FastLanguageModel.get_peft_model(lm, r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets),
                                                 lora_dropout=0, bias="none", use_gradient_checkpointing=False)  # fmt: skip
        for_training, for_inference = FastLanguageModel.for_training, FastLanguageModel.for_inference
    else:
        from peft import get_peft_model

        from ..models.load import peft_config, read_llama, read_llama_4bit

        read = (lambda: read_llama_4bit(folder, device, dtype, "sequential")) if packed else (
            lambda: read_llama(folder, dtype, "sequential").to(device))  # fmt: skip
        model = get_peft_model(read(), peft_config(lora))
        for_training, for_inference = (lambda m: m.train()), (lambda m: m.eval())
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)

    def training():
        for_training(model)
        for _ in range(STEPS):
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()

    def decoding():
        for_inference(model)
        with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=new,
                           max_new_tokens=new, pad_token_id=end)  # fmt: skip

    return training, decoding


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
