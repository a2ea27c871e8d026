"""Several processes that train one model, a card each: which one this is, sums and agreements over all of them.

In:  the environment of `torchrun` or `accelerate launch` (RANK, LOCAL_RANK, WORLD_SIZE). Out: torch's own process group.
Without such an environment there is one process, and every function here does nothing.
Not here: which batches a process takes (`streams`), whose gradients are summed (`stacked`).
"""

import ctypes
import os
import signal
import sys

import torch
import torch.distributed as dist

PR_SET_PDEATHSIG = 1


def wanted() -> int:
    """How many processes were launched."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def start(device: torch.device) -> None:
    """Join the others, each with the card of its own number. Raises `ValueError` where there is none, and what torch raises where
    they do not meet."""
    if wanted() < 2 or dist.is_initialized():
        return
    end_with_parent()
    if device.type == "cuda":
        card, cards = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if device.index is not None or card >= cards:
            raise ValueError(f"several processes take a GPU each: --device cuda, and at most {cards} processes on this machine")
        torch.cuda.set_device(card)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")


def end_with_parent() -> None:
    """On Linux: be killed when the launcher is. It starts each process in a session of its own, which a kill of its own does not
    reach."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def end() -> None:
    """Wait for the others, then leave them."""
    if active():
        dist.barrier()
        dist.destroy_process_group()


def active() -> bool:
    return dist.is_available() and dist.is_initialized()


def rank() -> int:
    return dist.get_rank() if active() else 0


def size() -> int:
    return dist.get_world_size() if active() else 1


def sum_up(tensor: torch.Tensor) -> None:
    """The sum over all processes, in place."""
    if active():
        dist.all_reduce(tensor)


def of_the_first(value: float, device: torch.device) -> float:
    """The first process's value, for all. Waits for the device where there are several."""
    if not active():
        return value
    told = torch.tensor(value, dtype=torch.float64, device=device)
    dist.broadcast(told, 0)
    return float(told)


def gather(part: torch.Tensor) -> torch.Tensor:
    """The parts of all processes, of equal shapes, one below the other."""
    part = part.contiguous()
    parts = [torch.empty_like(part) for _ in range(size())]
    dist.all_gather(parts, part)
    return torch.cat(parts)
