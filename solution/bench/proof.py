"""Whether a device computes what it should: the embedded weights on it against the plain path on the CPU in float32.

In:  a device. Out: a row a check, with the differences found and what is tolerated; a failing check leaves the others alone.
References: `AdaptedModel.plain_logits`, `decode.reference.greedy_one`, a training that nothing interrupted, one worker.
Not here: speed (`speed`), the unit tests of the same code on a CPU (`tests`).
"""

import gc
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ..arc.task import Pair, Task
from ..arc.view import View
from ..decode.greedy import greedy
from ..decode.reference import greedy_one
from ..decode.settings import DecodeConfig
from ..decode.views import answer_limit, view_prompt
from ..finetune.generators import FAMILIES
from ..models.adapted import AdaptedModel
from ..models.dense import DenseLlama
from ..models.load import load
from ..models.manifest import find_weights
from ..models.precision import FP16_SCALE
from ..models.settings import LoraShape
from ..ttt.data import build, encode_item
from ..ttt.settings import DataConfig, TrainConfig
from ..ttt.train import collate, train
from .context import Context, Note, Result

WEIGHTS = "arc-llama-s"
LORA = LoraShape(rank=8, alpha=8)
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
STEPS = 3
ADAPTER_DEVIATION = 0.02
"""Standard deviation of a random adapter's numbers: enough to change every logit."""
REPEATED = 0.02
"""Relative difference of losses that is tolerated where the same training differs from itself on this device."""
TRAININGS = ("training", "reset", "parked")
CHECKS = ("prefill", "merged_prefill", "decode", "loss_and_gradients", *TRAININGS)
ONCE = ("out_of_memory", "two_workers")
ROOM, TOO_MANY_TOKENS = 2**30, 2**21
"""Bytes above what is taken that the out-of-memory check leaves; tokens of a batch whose training takes more."""


@dataclass(frozen=True)
class Tolerance:
    """Relative differences to the CPU in float32, of norms: logits, loss, gradients, losses of training steps. `margin`: how much
    likelier, in nats, the reference's token may be than another that the device chose."""

    logits: float
    loss: float
    gradients: float
    steps: float
    margin: float


TOLERANCES = {
    "bf16": Tolerance(logits=0.03, loss=0.02, gradients=0.3, steps=0.05, margin=0.5),
    "fp16": Tolerance(logits=0.005, loss=0.004, gradients=0.1, steps=0.02, margin=0.1),
    "fp32": Tolerance(logits=1e-5, loss=1e-5, gradients=1e-3, steps=1e-3, margin=1e-3),
}
"""Above what a CPU differs from its own float32 (bf16: logits 0.006, loss 0.004, gradients 0.06 to 0.18; fp16: 0.0008,
0.0007, 0.012; the lean path in fp32: 3e-7, 3e-7, 1e-5)."""
Check = Callable[[], tuple[bool | None, str, dict]]
"""Gives: whether it holds (None: cannot be checked here), a line, numbers."""


def run(context: Context, note: Note) -> Result:
    """All checks, those of the device's own precision first."""
    begin, device = time.monotonic(), torch.device(context.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.set_num_threads(min(4, torch.get_num_threads()) if device.type == "cuda" else 1)
    rows: list[dict] = []

    def check(name: str, kind: str, how: Check) -> None:
        start, row = time.monotonic(), {"check": name, "dtype": kind}
        if start - begin > context.seconds:
            row |= {"holds": None, "line": "no time left"}
        else:
            try:
                holds, line, numbers = how()
                row |= {"holds": holds, "line": line, "numbers": numbers}
            except Exception as error:
                traceback.print_exc()
                row |= {"holds": False, "line": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        rows.append(row | {"seconds": round(time.monotonic() - start, 2)})
        note(report(rows))

    reference = Reference(context.toy)
    for kind in first_the_own(device):
        proof = Proof(reference, kind, device)
        for name in ("load", *CHECKS, *(ONCE if kind == first_the_own(device)[0] else ())):
            if name in TRAININGS and context.toy and kind == "fp16" and device.type == "cpu":
                check(name, kind, lambda: (None, "left out: CPUs take seconds a step in float16", {}))
            elif name == "load" or proof.model is not None:
                check(name, kind, getattr(proof, name))
        del proof
        gc.collect()
    return report(rows)


def first_the_own(device: torch.device) -> list[str]:
    """Precisions, that which a run would choose on the device first."""
    if device.type == "cpu":
        return ["fp32", "bf16", "fp16"]
    return ["bf16", "fp16", "fp32"] if torch.cuda.get_device_capability(device)[0] >= 8 else ["fp16", "fp32"]


def small_tasks(count: int, max_tokens: int) -> list[Task]:
    """Tasks of our own generators, the same ones everywhere: no files, no packages are needed."""
    rng, found = np.random.default_rng(0), []
    while len(found) < count:
        family = FAMILIES[rng.integers(len(FAMILIES))]
        pairs = family.sample(rng, 4, max_tokens)
        if pairs is not None:
            found.append(Task(family.name, pairs[:-1], (Pair(pairs[-1].input),)))
    return found


def random_adapter(model: AdaptedModel) -> None:
    """The same random adapter on every device; rounded to the model's type."""
    generator = torch.Generator().manual_seed(1)
    tensors = model.adapter()
    model.load_adapter(
        {n: (torch.randn(t.shape, generator=generator) * ADAPTER_DEVIATION).to(t.dtype) for n, t in tensors.items()}
    )


def loaded_model(device: torch.device, dtype: torch.dtype) -> AdaptedModel:
    return load(find_weights(WEIGHTS), device, LORA, dtype=dtype)


class Reference:
    """What the plain path gives on the CPU in float32; the tasks that it was given."""

    def __init__(self, toy: bool):
        self.model = loaded_model(torch.device("cpu"), torch.float32)
        self.model._lean = False  # Hugging Face's own forward pass
        model, codec = self.model, self.model.codec
        self.training = TrainConfig(steps=STEPS, batch_size=1 if toy else 4, flat_window=0)
        self.tasks = small_tasks(2, 100) if toy else small_tasks(4, 500)
        self.new_tokens = 24 if toy else 60
        self.prompts = [view_prompt(t, 0, View(), 0, DecodeConfig(), codec) for t in self.tasks]
        self.limits = [min(self.new_tokens, answer_limit(t, 0, codec)) for t in self.tasks]
        self.generations = [greedy_one(model, *both).ids.tolist() for both in zip(self.prompts, self.limits)]
        self.items = {t.id: build(t, DataConfig(), codec, 0)[:24] for t in self.tasks}
        self.batch = [item for items in self.items.values() for item in items[: self.training.batch_size]]
        self.losses = train(model, self.items[self.tasks[0].id], DataConfig(), self.training, seed=0).losses
        random_adapter(model)
        self.logits = self.prefill(model, model.plain_logits)
        self.loss, self.gradients = self.gradients_of(model)

    def rows(self, device: torch.device):
        """ids, positions (rows, length), and where real tokens stand."""
        ids, positions, _ = collate(self.prompts, [()] * len(self.prompts), self.model.codec, device)
        lengths = [len(p) for p in self.prompts]
        real = torch.arange(ids.shape[1], device=device) < torch.tensor(lengths, device=device)[:, None]
        return ids, positions, real, lengths

    @torch.no_grad()
    def prefill(self, model: AdaptedModel, logits) -> torch.Tensor:
        ids, positions, real, _ = self.rows(model.device)
        return logits(ids, positions, real).cpu()

    def gradients_of(self, model: AdaptedModel) -> tuple[float, torch.Tensor]:
        """Loss and the gradient of the whole adapter, float32 on the CPU; scaled as training scales it."""
        prompts, spans = zip(*(encode_item(item, DataConfig(), model.codec) for item in self.batch))
        ids, positions, targets = collate(prompts, spans, model.codec, model.device)
        scale = FP16_SCALE if model.dtype == torch.float16 else 1.0
        loss = model.loss(ids, positions, targets.roll(-1, dims=1), ids[targets])
        gradients = torch.autograd.grad(loss * scale, model.trainable)
        return float(loss.detach()), torch.cat([g.flatten().float().cpu() / scale for g in gradients])


class Proof:
    """One model on the device in one precision, held against the reference."""

    def __init__(self, reference: Reference, kind: str, device: torch.device):
        self.reference, self.kind, self.device = reference, kind, device
        self.tolerance = TOLERANCES[kind]
        self.model = self.first = self.whole = None

    def load(self):
        self.model = loaded_model(self.device, DTYPES[self.kind])
        self.first = self.model.adapter()
        return True, f"in {DTYPES[self.kind]} on {self.device}", {}

    @property
    def items(self) -> list[Task]:
        return self.reference.items[self.reference.tasks[0].id]

    def train(self, model: AdaptedModel | None = None, items: list[Task] | None = None, **given):
        return train(model or self.model, items or self.items, DataConfig(), self.reference.training, seed=0, **given)

    def prefill(self):
        random_adapter(self.model)
        logits = self.reference.prefill(self.model, self.model.logits)
        return within(relative(logits, self.reference.logits), self.tolerance.logits)

    def merged_prefill(self):
        """The decoder's forward pass, adapter merged."""
        random_adapter(self.model)
        ids, positions, real, lengths = self.reference.rows(self.device)
        llama = DenseLlama(self.model)
        logits = llama.logits(llama.prefill(ids, positions, lengths)[real]).cpu()
        return within(relative(logits, self.reference.logits), self.tolerance.logits)

    def decode(self):
        self.model.reset()
        found = self.tokens(self.model, range(len(self.reference.tasks)))
        equal, worst, told = 0, 0.0, []
        for index, (mine, plain) in enumerate(zip(found, self.reference.generations)):
            common = min(len(mine), len(plain))  # ours ends early where no grid can come any more
            place = next((i for i in range(common) if mine[i] != plain[i]), None)
            if place is None:
                equal += 1
                continue
            margin = self.margin(index, plain[:place], plain[place], mine[place])
            worst = max(worst, margin)
            told.append(f"task {index} from token {place + 1} of {common} on ({margin:.3g} nats apart)")
        total = len(self.reference.generations)
        tokens = sum(map(len, self.reference.generations))
        line = f"{equal} of {total} answers ({tokens} tokens) equal" + (f", others differ: {'; '.join(told)}" if told else "")
        numbers = {"equal": equal, "of": total, "margin": worst}
        return worst <= self.tolerance.margin, f"{line}; tolerated {self.tolerance.margin:g} nats", numbers

    def tokens(self, model: AdaptedModel, which) -> list[list[int]]:
        prompts, limits = ([values[i] for i in which] for values in (self.reference.prompts, self.reference.limits))
        return [g.ids.tolist() for g in greedy(DenseLlama(model), model.codec, prompts, limits)]

    @torch.no_grad()
    def margin(self, index: int, written: list[int], plain: int, other: int) -> float:
        """How much likelier, in nats, the reference makes its own token than another, after what both had written."""
        model, prompt = self.reference.model, self.reference.prompts[index]
        adapter = model.adapter()
        model.reset()
        ids, positions = torch.from_numpy(prompt.ids)[None], torch.from_numpy(prompt.positions)[None]
        for token in written:
            place = model.codec.next_positions(torch.tensor([ids[0, -1]]), positions[:, -1])
            ids, positions = torch.cat([ids, torch.tensor([[token]])], 1), torch.cat([positions, place[:, None]], 1)
        last = torch.arange(ids.shape[1])[None] == ids.shape[1] - 1
        logits = model.plain_logits(ids, positions, last)[0]
        model.load_adapter(adapter)
        return float(logits[plain] - logits[other])

    def loss_and_gradients(self):
        random_adapter(self.model)
        loss, gradients = self.reference.gradients_of(self.model)
        of_loss = abs(loss - self.reference.loss) / abs(self.reference.loss)
        of_gradients = relative(gradients, self.reference.gradients)
        return (
            of_loss <= self.tolerance.loss and of_gradients <= self.tolerance.gradients,
            f"loss {of_loss:.2e} (tolerated {self.tolerance.loss:g}), gradients {of_gradients:.2e} (tolerated "
            f"{self.tolerance.gradients:g})",
            {"loss": of_loss, "gradients": of_gradients},
        )

    def training(self):
        """Three steps of test-time training."""
        self.whole = self.train()
        mine, plain = torch.tensor(self.whole.losses), torch.tensor(self.reference.losses)
        worst = float(((mine - plain).abs() / plain).max())
        told = ", ".join(f"{a:.4f} ({b:.4f})" for a, b in zip(mine.tolist(), plain.tolist()))
        holds, line, numbers = within(worst, self.tolerance.steps)
        return holds, f"losses {told}: {line}", numbers | {"losses": self.whole.losses}

    def reset(self):
        """The adapter is the first one again, and the same training gives the same."""
        if self.whole is None:
            return None, "there was no training", {}
        self.model.reset()
        same = all(torch.equal(tensor, self.first[name]) for name, tensor in self.model.adapter().items())
        noise = apart(self.train().losses, self.whole.losses)
        line = f"adapter {'as it was' if same else 'NOT as it was'}; trained anew, losses {told_apart(noise)}"
        return same and noise <= REPEATED, line, {"apart": noise}

    def parked(self):
        """A training parked after its first step, another one, and the first resumed."""
        if self.whole is None:
            return None, "there was no training", {}
        state = self.train(park_at=1).parked
        random_adapter(self.model)
        difference = apart(self.train(parked=state).losses, self.whole.losses)
        noise = apart(self.train().losses, self.whole.losses)
        line = f"losses {told_apart(difference)}; uninterrupted and repeated: {told_apart(noise)}"
        return difference <= (REPEATED if noise else 0.0), line, {"apart": difference, "noise": noise}

    def out_of_memory(self):
        """A job that is too large for a cap on memory ends in `OutOfMemoryError`, and the next one is not affected."""
        if self.device.type != "cuda":
            return None, "needs CUDA", {}
        before = self.train().losses
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(self.device).total_memory
        cap = torch.cuda.memory_reserved(self.device) + ROOM
        torch.cuda.set_per_process_memory_fraction(min(1.0, cap / total), self.device)
        raised = False
        try:
            try:
                ids, positions, *_ = self.reference.rows(self.device)
                ids, positions = (t.repeat(TOO_MANY_TOKENS // ids.numel(), 1) for t in (ids, positions))
                where = torch.ones_like(ids, dtype=torch.bool)
                self.model.loss(ids, positions, where, ids[where]).backward()
            except torch.OutOfMemoryError:
                raised = True
            ids = positions = where = None
            gc.collect()
            torch.cuda.empty_cache()
            for parameter in self.model.trainable:
                parameter.grad = None
            after = self.train().losses
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, self.device)
        difference = apart(after, before)
        line = f"capped at {cap / 2**30:.1f} GiB: {'OutOfMemoryError' if raised else 'NO error'}; next job's losses "
        return raised and difference <= REPEATED, line + told_apart(difference), {"raised": raised, "apart": difference}

    def two_workers(self):
        """Two models in two threads on the device against one after the other: losses and tokens."""
        models = [self.model, loaded_model(self.device, self.model.dtype)]
        found: dict[str, tuple] = {}
        faults: list[Exception] = []
        threads_before = torch.get_num_threads()

        def work(model: AdaptedModel, which: list[int]) -> None:
            try:
                if self.device.type == "cuda":
                    torch.cuda.set_device(self.device)
                torch.set_num_threads(1)
                for index in which:
                    task = self.reference.tasks[index]
                    losses = self.train(model, self.reference.items[task.id]).losses
                    found[task.id] = losses, self.tokens(model, [index])[0]
            except Exception as error:
                faults.append(error)

        def together(pairs) -> dict:
            found.clear()
            threads = [threading.Thread(target=work, args=pair) for pair in pairs]
            begin = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if faults:
                raise faults[0]
            return dict(found) | {"seconds": time.monotonic() - begin}

        def compare(some: dict, other: dict) -> tuple[float, int]:
            ids = [task.id for task in self.reference.tasks]
            return max(apart(some[i][0], other[i][0]) for i in ids), sum(some[i][1] != other[i][1] for i in ids)

        shares = [list(range(len(self.reference.tasks)))[i::2] for i in range(2)]
        everything = sorted(sum(shares, []))
        try:
            together([(models[0], everything)])  # kernels are compiled, the allocator is warm
            alone, again = (together([(models[0], everything)]) for _ in range(2))
            both = together(zip(models, shares))
        finally:
            torch.set_num_threads(threads_before)
        noise, flips = compare(alone, again)
        difference, different = compare(alone, both)
        exact = not noise and not flips
        holds = difference == 0 and different == 0 if exact else difference <= REPEATED
        ratio = alone["seconds"] / both["seconds"]
        line = (
            f"losses {told_apart(difference)}, {different} of {len(everything)} answers differ; alone twice: "
            f"{told_apart(noise)}, {flips} differ; {ratio:.2f} times as fast as one"
        )
        return holds, line, {"apart": difference, "answers": different, "noise": noise, "flips": flips, "ratio": ratio}


def relative(mine: torch.Tensor, plain: torch.Tensor) -> float:
    """Norm of the difference over the norm; infinite for NaN."""
    value = float((mine.double() - plain.double()).norm() / plain.double().norm())
    return value if value == value else float("inf")


def within(value: float, tolerance: float) -> tuple[bool, str, dict]:
    return value <= tolerance, f"relative difference {value:.2e} (tolerated {tolerance:g})", {"relative": value}


def apart(some: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The largest relative difference of two lists of losses; infinite where they are not of one length."""
    if len(some) != len(other):
        return float("inf")
    return max((abs(a - b) / abs(b) for a, b in zip(some, other)), default=0.0)


def told_apart(value: float) -> str:
    return "equal" if value == 0 else f"up to {value:.1e} apart"


def report(rows: list[dict]) -> Result:
    failed = [f"{row['dtype']} {row['check']}" for row in rows if row["holds"] is False]
    unchecked = sum(row["holds"] is None for row in rows)
    done = len(rows) - unchecked
    head = f"FAILED {len(failed)} of {done} checks: {', '.join(failed)}" if failed else f"{done} checks, all hold"
    head += f"; {unchecked} not made" if unchecked else ""
    words = {True: "ok", False: "FAILED", None: "-"}
    worst_first = sorted(rows, key=lambda row: row["holds"] is not False)
    lines = [f"{row['dtype']} {row['check'].replace('_', ' ')}: {words[row['holds']]}, {row['line']}" for row in worst_first]
    return Result({"failed": failed, "checks": rows}, [head, *lines])
