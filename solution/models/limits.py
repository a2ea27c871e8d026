"""What this process may use of the machine: cores by affinity and CPU quota, memory by control groups and `ulimit`.

In:  /proc and /sys below `root`. Out: a number of cores, bytes. Control groups limit from any level of their tree, in version 1
and 2 (kernel documentation: admin-guide/cgroup-v1/memory.rst, admin-guide/cgroup-v2.rst, scheduler/sched-bwc.rst), so that the
smallest limit of a group and all above it holds. What a platform does not tell is no limit.
Not here: GPUs, what is planned with it (`memory`).
"""

import os
from pathlib import Path

ROOT = Path("/")
STEP = 2**28
"""What others in a group hold is counted in these steps up, so that a run that is resumed plans as it did."""
V2 = ""
"""The controller's name in lines of version 2, which has one tree for all of them."""


def cores(root: Path = ROOT) -> int:
    """Cores that this process may keep busy, at least 1: those it may run on, and no more than a quota's whole ones."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([allowed, *_quotas(root)])))


def memory(root: Path = ROOT) -> int | None:
    """Bytes that this process may hold in all: of the machine, of each of its groups what other processes do not hold, and what
    its address space and data may grow to. None where nothing tells."""
    own = _kib(root / "proc/self/status")
    total = _kib(root / "proc/meminfo").get("MemTotal") or _pages("SC_PHYS_PAGES")
    found = [total] if total is not None else []
    for limit, held in _groups_memory(root):
        others = max(0, held - own.get("RssAnon", 0))
        found.append(max(0, limit - -(-others // STEP) * STEP))
    found += [room + own.get("VmRSS", 0) for room in _rooms(own)]
    return min(found, default=None)


def free_memory(root: Path = ROOT) -> int | None:
    """Bytes that this process may still take now. None where nothing tells."""
    available = _kib(root / "proc/meminfo").get("MemAvailable") or _pages("SC_AVPHYS_PAGES")
    found = [available] if available is not None else []
    found += [max(0, limit - held) for limit, held in _groups_memory(root)]
    return min([*found, *_rooms(_kib(root / "proc/self/status"))], default=None)


def _quotas(root: Path) -> list[float]:
    """Cores that the process's groups may keep busy."""
    found = []
    for group in _groups("cpu", root):
        quota, period = (_text(group / "cpu.max").split() + ["", ""])[:2]  # "max 100000" or microseconds, twice
        if not quota:
            quota, period = _text(group / "cpu.cfs_quota_us").strip(), _text(group / "cpu.cfs_period_us").strip()  # -1: none
        if quota.isdigit() and period.isdigit() and int(period):
            found.append(int(quota) / int(period))
    return found


def _groups_memory(root: Path) -> list[tuple[int, int]]:
    """Of each of the process's groups with a limit: the limit and the bytes held in it that the kernel cannot drop."""
    found = []
    for group in _groups("memory", root):
        stat = dict(line.split(" ", 1) for line in _text(group / "memory.stat").splitlines() if " " in line)
        limits = [_text(group / name).strip() for name in ("memory.max", "memory.high", "memory.limit_in_bytes")]
        limits.append(stat.get("hierarchical_memory_limit", ""))  # of version 1: groups above that cannot be seen included
        known = [int(limit) for limit in limits if limit.isdigit()]
        if not known:
            continue
        held = next((int(t) for n in ("memory.current", "memory.usage_in_bytes") if (t := _text(group / n).strip()).isdigit()), 0)
        version = "total_" if "total_inactive_file" in stat else ""  # version 1 counts groups below apart
        cached = sum(int(t) for kind in ("inactive", "active") if (t := stat.get(f"{version}{kind}_file", "0").strip()).isdigit())
        found.append((min(known), max(0, held - cached)))
    return found


def _groups(controller: str, root: Path) -> list[Path]:
    """Folders of the process's groups with that controller, its own and those above, as far as they can be seen.

    A path of /proc/self/cgroup is below the root of its tree, of which a mount may show a part (a container's), or which may
    be cut off above (a namespace: "/", or "/.." for groups outside it).
    """
    found: dict[Path, None] = {}
    lines = _text(root / "proc/self/cgroup").splitlines() or ["0::/", f"1:{controller}:/"]
    for line in lines:
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if controllers and controller not in controllers.split(","):
            continue
        for folder, shown in _mounts(controller if controllers else V2, root):
            inside = path.removeprefix(shown) if f"{path}/".startswith(f"{shown.rstrip('/')}/") else path
            parts = [part for part in inside.split("/") if part not in ("", "..")]
            groups = [folder.joinpath(*parts[:n]) for n in range(len(parts), -1, -1)]
            found |= dict.fromkeys(group for group in groups if group.is_dir())
    return list(found)


def _mounts(controller: str, root: Path) -> list[tuple[Path, str]]:
    """Where a controller's tree is mounted, and from which of its groups on it is shown there."""
    usual = ["sys/fs/cgroup", "sys/fs/cgroup/unified"] if controller == V2 else [f"sys/fs/cgroup/{controller}"]
    found = [(root / place, "/") for place in usual]
    for line in _text(root / "proc/self/mountinfo").splitlines():
        about, _, kind = line.partition(" - ")
        about, kind = about.split(), kind.split()
        if len(about) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2" and controller == V2 or kind[0] == "cgroup" and controller in kind[2].split(","):
            found.append((root / about[4].replace("\\040", " ").lstrip("/"), about[3]))
    return found


def _rooms(own: dict[str, int]) -> list[int]:
    """Bytes that `ulimit -v` and `ulimit -d` leave. `own`: /proc/self/status."""
    try:
        import resource
    except ImportError:  # not on Windows
        return []
    found = []
    for name, used in (("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")):
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY:
            found.append(max(0, limit - own.get(used, 0)))
    return found


def _kib(path: Path) -> dict[str, int]:
    """Bytes by name, of the lines "Name:   123 kB" of a file; none where it is not there."""
    lines = (line.split() for line in _text(path).splitlines() if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) == 3 and words[1].isdigit()}


def _pages(name: str) -> int | None:
    """Bytes of a number of pages that the system knows by name; None where it does not."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf(name)
    except (AttributeError, ValueError, OSError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
