"""Cores and memory as a process has them, against faked /proc and /sys trees; the lock where there are no locks."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from solution.driver import lock
from solution.models import limits
from solution.models.manifest import PROJECT
from solution.models.memory import GIB, LIBRARIES, UNKNOWN, device_memory

NONE_V1 = 9223372036854771712
V2_MOUNT = "31 23 0:28 {shown} {at} rw,relatime shared:4 - cgroup2 cgroup2 rw"
V1_MOUNT = "35 31 0:32 {shown} {at} rw,relatime - cgroup cgroup rw,{controllers}"


@pytest.fixture(autouse=True)
def many_cores(monkeypatch):
    """64 cores, none forbidden, whatever runs these tests."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)


def machine(root: Path, files: dict[str, object], total: int = 64, free: int = 50) -> Path:
    """A root with so many GiB and these files."""
    memory = f"MemTotal: {total * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {free * 2**20} kB\nHugePages_Total: 0\n"
    status = "Name:\tpython\nVmSize:\t 3145728 kB\nVmRSS:\t 1048576 kB\nRssAnon:\t 524288 kB\nVmData:\t 2097152 kB\n"
    for name, text in ({"proc/meminfo": memory, "proc/self/status": status} | files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def test_without_groups_the_machine_is_the_limit(tmp_path):
    root = machine(tmp_path, {})
    assert (limits.memory(root), limits.free_memory(root), limits.cores(root)) == (64 * GIB, 50 * GIB, 64)


V2_LIMITS = {
    "its own group's": {"a/b/c/memory.max": 3 * GIB},
    "the group above's": {"a/b/c/memory.max": "max", "a/b/memory.max": 3 * GIB, "a/memory.max": 5 * GIB},
    "the topmost's": {"a/b/c/memory.max": 7 * GIB, "a/memory.max": 3 * GIB},
    "memory.high": {"a/b/c/memory.max": 7 * GIB, "a/b/memory.high": 3 * GIB},
}


@pytest.mark.parametrize("name", V2_LIMITS)
@pytest.mark.parametrize("at", ["sys/fs/cgroup", "sys/fs/cgroup/unified", "run/my groups"])
def test_the_smallest_limit_of_all_groups_above_holds_in_version_2(tmp_path, name, at):
    files = {
        "proc/self/cgroup": "0::/a/b/c",
        "proc/self/mountinfo": V2_MOUNT.format(shown="/", at="/" + at.replace(" ", "\\040")),
    }
    root = machine(tmp_path, files | {f"{at}/{path}": value for path, value in V2_LIMITS[name].items()})
    assert limits.memory(root) == 3 * GIB


V1_LIMITS = {
    "its own group's": {"a/b/memory.limit_in_bytes": 3 * GIB},
    "the group above's": {"a/b/memory.limit_in_bytes": NONE_V1, "a/memory.limit_in_bytes": 3 * GIB},
    "that of groups out of sight": {"a/b/memory.stat": f"cache 1\nhierarchical_memory_limit {3 * GIB}"},
}


@pytest.mark.parametrize("name", V1_LIMITS)
def test_the_smallest_limit_of_all_groups_above_holds_in_version_1(tmp_path, name):
    files = {"proc/self/cgroup": "9:name=systemd:/x\n4:cpu,cpuacct:/elsewhere\n3:memory:/a/b\n0::/"}
    files |= {"sys/fs/cgroup/memory/memory.limit_in_bytes": NONE_V1}
    root = machine(tmp_path, files | {f"sys/fs/cgroup/memory/{path}": value for path, value in V1_LIMITS[name].items()})
    assert limits.memory(root) == 3 * GIB


PATHS = {
    "a namespace: the path is cut off": ("0::/", "/"),
    "a namespace: the group is outside": ("0::/../../job", "/"),
    "a container: a part is mounted": ("0::/docker/abc", "/docker/abc"),
    "a group that is not to be seen": ("0::/not/here", "/"),
    "no word of groups": ("", "/"),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_path_that_the_mount_does_not_show_falls_back_to_what_it_shows(tmp_path, name):
    line, shown = PATHS[name]
    files = {"proc/self/cgroup": line, "proc/self/mountinfo": V2_MOUNT.format(shown=shown, at="/sys/fs/cgroup")}
    root = machine(tmp_path, files | {"sys/fs/cgroup/memory.max": 3 * GIB, "sys/fs/cgroup/cpu.max": "400000 100000"})
    assert (limits.memory(root), limits.cores(root)) == (3 * GIB, 4)


def test_a_part_of_a_tree_is_followed_down_from_where_it_is_mounted(tmp_path):
    mount = V1_MOUNT.format(shown="/docker/abc", at="/groups/mem", controllers="memory")
    files = {"proc/self/cgroup": "3:memory:/docker/abc/job", "proc/self/mountinfo": mount}
    root = machine(tmp_path, files | {"groups/mem/job/memory.limit_in_bytes": 3 * GIB, "groups/mem/docker/memory.max": GIB})
    assert limits.memory(root) == 3 * GIB


@pytest.mark.parametrize(
    "held,cached,own_plan", [(0.5, 0, 4), (2.5, 0, 2), (3.1, 1, 2.25), (2.5, 2, 4), (9, 0, 0)]
)  # 0.5 GiB are this process's own
def test_what_others_in_the_group_hold_is_not_planned_with(tmp_path, held, cached, own_plan):
    stat = f"anon 5\ninactive_file {int(cached * GIB) // 2}\nactive_file {int(cached * GIB) // 2}"
    v2 = machine(tmp_path / "2", {
        "proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/memory.max": 4 * GIB, "sys/fs/cgroup/a/memory.current": int(held * GIB),
        "sys/fs/cgroup/a/memory.stat": stat, "sys/fs/cgroup/a/b/memory.max": 8 * GIB,
    })  # fmt: skip
    v1 = machine(tmp_path / "1", {
        "proc/self/cgroup": "3:memory:/a", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": 4 * GIB,
        "sys/fs/cgroup/memory/a/memory.usage_in_bytes": int(held * GIB),
        "sys/fs/cgroup/memory/a/memory.stat": "inactive_file 7\nactive_file 7\n" + stat.replace("\n", "\ntotal_"),
    })  # fmt: skip
    for root in (v1, v2):
        assert limits.memory(root) == own_plan * GIB
        assert limits.free_memory(root) == pytest.approx(max(0, 4 + cached - held) * GIB, abs=2)


QUOTAS = {
    "none": ({"sys/fs/cgroup/a/cpu.max": "max 100000"}, 64),
    "whole cores": ({"sys/fs/cgroup/a/b/cpu.max": "800000 100000"}, 8),
    "one and a half": ({"sys/fs/cgroup/a/b/cpu.max": "150000 100000"}, 1),
    "a part of one": ({"sys/fs/cgroup/a/b/cpu.max": "20000 100000"}, 1),
    "of the group above": ({"sys/fs/cgroup/a/b/cpu.max": "800000 100000", "sys/fs/cgroup/a/cpu.max": "300000 100000"}, 3),
    "version 1, none": ({"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": -1, "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": 100000}, 64),
    "version 1": ({"sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": 250000, "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": 100000}, 2),
    "version 1, above": ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": 250000, "sys/fs/cgroup/cpu/cpu.cfs_period_us": 50000}, 5),
    "version 1, mounted together": ({"sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us": 200000,
                                     "sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us": 100000}, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTAS)
def test_a_cpu_quota_limits_the_cores(tmp_path, name):
    files, cores = QUOTAS[name]
    together = V1_MOUNT.format(shown="/", at="/sys/fs/cgroup/cpu,cpuacct", controllers="cpu,cpuacct")
    root = machine(tmp_path, files | {"proc/self/cgroup": "4:cpu,cpuacct:/x\n0::/a/b", "proc/self/mountinfo": together})
    assert limits.cores(root) == cores


def test_affinity_and_platforms_without_it(tmp_path, monkeypatch):
    quota = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "1600000 100000"}
    root = machine(tmp_path, quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7})
    assert limits.cores(root) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert limits.cores(root) == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert limits.cores(root) == 1


@pytest.mark.parametrize("name,whole,room", [("RLIMIT_AS", 6, 5), ("RLIMIT_DATA", 7, 6)])  # 3 GiB mapped, 2 of data, 1 resident
def test_ulimit_leaves_what_is_not_mapped_yet(tmp_path, monkeypatch, name, whole, room):
    import resource

    set_to = {getattr(resource, name): 8 * GIB}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (set_to.get(kind, resource.RLIM_INFINITY), resource.RLIM_INFINITY))
    root = machine(tmp_path, {})
    assert (limits.memory(root), limits.free_memory(root)) == (whole * GIB, room * GIB)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_a_real_ulimit_is_seen():
    code = "import resource; from solution.models import limits; limit = limits.memory(); print(limit)"
    command = ["bash", "-c", f"ulimit -v {6 * 2**20}; exec {sys.executable} -c '{code}'"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    assert 0 < int(found.stdout) <= 6 * GIB, found.stderr


def test_a_platform_that_tells_nothing_goes_on_with_a_line(tmp_path, monkeypatch, caplog):
    """No /proc, and a sysconf that knows no such name (macOS: SC_AVPHYS_PAGES) or is not there (Windows)."""
    root = tmp_path / "empty"
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.delattr(os, "sysconf")
    assert limits.memory(root) is limits.free_memory(root) is None

    def sysconf(name):
        if name == "SC_AVPHYS_PAGES":
            raise ValueError("unrecognized configuration name")
        return {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": GIB // 1024}[name]

    monkeypatch.setattr(os, "sysconf", sysconf, raising=False)
    assert limits.memory(root) == 4 * GIB and limits.free_memory(root) is None
    monkeypatch.setattr(limits, "memory", lambda: None)
    assert device_memory(torch.device("cpu")) == UNKNOWN - LIBRARIES
    assert "does not say how much memory it has: planned with 8 GiB" in caplog.text


def test_unreadable_lines_are_no_limit(tmp_path):
    files = {"proc/self/cgroup": "nonsense\n0::/a\n:", "proc/self/mountinfo": "1 2\n - \n1 2 3 4 5 - cgroup2"}
    files |= {"sys/fs/cgroup/a/memory.max": "", "sys/fs/cgroup/a/cpu.max": "x y", "sys/fs/cgroup/cpu.max": "5"}
    files |= {"sys/fs/cgroup/a/memory.stat": "odd\n"}
    root = machine(tmp_path, files)
    assert (limits.memory(root), limits.cores(root)) == (64 * GIB, 64)


def test_a_lock_is_held_until_it_is_closed(tmp_path):
    held = lock.take(tmp_path / "a.lock")
    with pytest.raises(BlockingIOError):
        lock.take(tmp_path / "a.lock")
    held.close()
    lock.take(tmp_path / "a.lock").close()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_is_written_to_with_a_line(tmp_path, monkeypatch, caplog, code):
    def flock(file, how):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    lock.take(tmp_path / "a.lock").close()
    (record,) = caplog.records
    assert "no locks here" in record.getMessage() and os.strerror(code) in record.getMessage()


def test_a_platform_without_locks_goes_on_and_a_broken_disk_does_not(tmp_path, monkeypatch, caplog):
    def flock(file, how):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with pytest.raises(OSError, match="input/output"):
        lock.take(tmp_path / "a.lock")
    monkeypatch.setattr(lock, "fcntl", None)
    lock.take(tmp_path / "a.lock").close()
    assert "the platform has none" in caplog.text
