"""Which devices there are, how many workers each gets, and by which backend. In: the options. Out: worker device names.

Imported before transformers, because Unsloth has to be. Not here: what runs on the devices (`worker`).
"""

import torch

from ..arc.load import InputError
from ..models.limits import cores
from ..preset import Preset
from .device_names import AUTO, worker_names


def worker_devices(text: str, rerun: bool = False) -> tuple[list[str], list[str]]:
    """Names such as "cpu:0", "cpu:1", "cuda:0", one per worker, and lines on what cannot be used.

    "auto": every CUDA device, else one CPU worker a core: two workers of one thread each did more work than one worker of two
    threads under other load (docs/experiments/02-cpu-threads.md). "cpu": one worker; "cpu:2": two.
    Raises `InputError` for a device that is not there, or is there and runs nothing: too old for this torch, or taken by
    others. In the competition rerun (`rerun`) whatever works is used instead.
    """
    names = _asked_for(text)
    faults = {name: fault for name in names if name.startswith("cuda") and (fault := _fault(int(name[5:])))}
    if faults and not rerun:
        name, fault = next(iter(faults.items()))
        raise InputError(f"{name} cannot be used ({fault}): choose another accelerator, or --devices without it")
    usable = [name for name in names if name not in faults] or _cpu_workers()
    return usable, [f"{name} cannot be used ({fault}): going on with {', '.join(usable)}" for name, fault in faults.items()]


def _cpu_workers() -> list[str]:
    return [f"cpu:{i}" for i in range(cores())]


def _asked_for(text: str) -> list[str]:
    count = torch.cuda.device_count()
    if text == AUTO:
        return [f"cuda:{i}" for i in range(count)] or _cpu_workers()
    try:
        names = worker_names(text)
    except ValueError as error:
        raise InputError(f"--devices: {error}") from None
    missing = [name for name in names if name.startswith("cuda") and int(name[5:]) >= count]
    if missing:
        raise InputError(f"--devices: there is no {missing[0]} here ({count} CUDA devices)")
    return names


def search_workers(names: list[str]) -> list[str]:
    """Workers that only search for programs: one on each core that neither a GPU's thread nor the main one needs; none where CPU
    workers, which search too, have the cores already."""
    if any(name.startswith("cpu") for name in names):
        return []
    return [f"search:{i}" for i in range(max(1, cores() - len(names) - 1))]


def torch_device(name: str) -> torch.device:
    """The torch device of a worker's device name: CPU workers share one."""
    return torch.device("cpu" if name.startswith("cpu") else name)


def threads_per_worker(names: list[str]) -> int:
    """CPU threads of each worker: the CPU workers share the cores; a GPU's worker needs one."""
    cpu_workers = sum(name.startswith("cpu") for name in names)
    return max(1, min(cores(), torch.get_num_threads()) // cpu_workers) if cpu_workers else 1


def choose_backend(wanted: str, names: list[str], preset: Preset) -> tuple[str, str | None]:
    """The backend to load models by, and why it is not Unsloth where that was to be expected (else None).

    "auto" is Unsloth where a worker has a GPU and the package can be imported, else transformers + peft. Unsloth trains a head
    whole where a preset wants an adapter for it (2026.10.9, `get_peft_model`): such presets are not for it.
    """
    if "lm_head" in preset.lora.targets and (wanted == "unsloth" or any(name.startswith("cuda") for name in names)):
        if wanted == "unsloth":
            raise InputError(f"--backend unsloth: cannot train an adapter of the head, as preset {preset.name} wants")
        return "transformers", f"preset {preset.name} has an adapter for the head: transformers + peft instead of unsloth"
    if wanted == "transformers" or (wanted == "auto" and not any(name.startswith("cuda") for name in names)):
        return "transformers", None
    try:
        from ..models import unsloth_backend  # noqa: F401 - patches transformers, so before anything else imports it
    except Exception as error:  # it raises whatever it likes where it does not find its GPU
        if wanted == "unsloth":
            raise InputError(f"--backend unsloth: cannot be imported here ({error})") from error
        return "transformers", f"unsloth cannot be used ({error}): going on with transformers + peft"
    return "unsloth", None


def _fault(index: int) -> str | None:
    """Why no kernel runs on a CUDA device, or None where one does: a device too old for this torch build is listed but fails
    (docs/kaggle.md, "GPUs")."""
    try:
        if torch.ones(8, device=f"cuda:{index}").sum().item() == 8:
            return None
        return "it computes wrongly"
    except RuntimeError as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        try:
            major, minor = torch.cuda.get_device_capability(index)
            return f"{torch.cuda.get_device_name(index)}, capability {major}.{minor}: {first}"
        except RuntimeError:
            return first
