"""Inside the box: python -m tests.kaggle_box.inside ROOT, in new mount and network namespaces (`box.run`).

In:  ROOT/kaggle, ROOT/submit.ipynb, ROOT/jupyter. Out: ROOT/executed.ipynb, ROOT/result.json. Every folder of the machine is
where it was, /kaggle is ROOT/kaggle with its input read-only, the project's package is hidden (the notebook has to use the
dataset's), and the network is a loopback device. Not here: laying out ROOT, judging what came out (`box`).
"""

import fcntl
import json
import os
import resource
import socket
import struct
import subprocess
import sys
from pathlib import Path

CPUS, MEMORY = 4, 31 * 2**30
"""What a T4 x2 session has."""
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
PROJECT = Path(__file__).resolve().parents[2]


def main(root: Path) -> None:
    loopback()
    enter(root)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CPUS])
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    result = {"network": network_fault(), "input": write_fault(), "project": (PROJECT / "solution" / "kaggle").exists()}
    result["error"] = execute(root)
    (root / "result.json").write_text(json.dumps(result))


def loopback() -> None:
    """Bring the new namespace's one network device up: notebooks talk to their kernel over it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def enter(root: Path) -> None:
    """Make a root of the machine's own folders and ROOT/kaggle, and go there."""
    new = root / "newroot"
    new.mkdir()
    mount("-t", "tmpfs", "box", new)
    for entry in sorted(Path("/").iterdir()):
        if entry.name == "kaggle":
            continue
        if entry.is_symlink():
            (new / entry.name).symlink_to(os.readlink(entry))
        elif entry.is_dir():
            (new / entry.name).mkdir()
            mount("--rbind", entry, new / entry.name)
    (new / "kaggle").mkdir()
    mount("--bind", root / "kaggle", new / "kaggle")
    attached = new / "kaggle" / "input"
    mount("--bind", attached, attached)
    mount("-o", f"remount,bind,ro{held_options(attached)}", attached)
    mount("-t", "tmpfs", "hidden", f"{new}{PROJECT / 'solution'}")
    os.chroot(new)
    os.chdir("/kaggle/working")


def held_options(path: Path) -> str:
    """The mount's restrictions, which a remount in a user namespace has to repeat."""
    flags, known = os.statvfs(path).f_flag, {"nosuid": os.ST_NOSUID, "nodev": os.ST_NODEV, "noexec": os.ST_NOEXEC}
    return "".join(f",{name}" for name, bit in known.items() if flags & bit)


def network_fault() -> str | None:
    """Why nothing outside can be reached; None where it can."""
    try:
        socket.create_connection(("192.0.2.1", 53), timeout=5).close()  # an address set aside for documentation (RFC 5737)
    except TimeoutError:
        return None
    except OSError as error:
        return error.strerror
    return None


def write_fault() -> str | None:
    """Why the input cannot be written; None where it can."""
    try:
        Path("/kaggle/input/written").write_text("")
    except OSError as error:
        return error.strerror
    return None


def execute(root: Path) -> str | None:
    """Run the notebook as it is; the error that ended it, or None."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    notebook = nbformat.read(root / "submit.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": "/kaggle/working"}})
    try:
        client.execute()
        return None
    except (CellExecutionError, DeadKernelError) as error:
        return str(error)[-2000:]
    finally:
        nbformat.write(notebook, root / "executed.ipynb")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
