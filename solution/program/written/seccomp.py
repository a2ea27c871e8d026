"""A system-call filter that this process can never take off again: a short allow list, everything else is denied.

In:  the one file descriptor that may still be written to. Out: nothing; the calling process, and whatever it might start, can
compute, take memory and write there. It cannot open, read, start, signal, connect or load anything, as root or not.
Linux on x86-64 and aarch64, through prctl(PR_SET_SECCOMP) with a BPF program (Linux, Documentation/userspace-api/
seccomp_filter.rst); needs no privilege and no namespace. Not here: limits of time and memory (`jail`).
"""

import ctypes
import errno
import os
import platform
import struct

NUMBERS = {
    "x86_64": {
        "write": 1, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25,
        "madvise": 28, "getpid": 39, "exit": 60, "gettimeofday": 96, "gettid": 186, "time": 201, "futex": 202,
        "clock_gettime": 228, "clock_getres": 229, "exit_group": 231,
    },
    "aarch64": {
        "write": 64, "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigreturn": 139, "sched_yield": 124,
        "mremap": 216, "madvise": 233, "getpid": 172, "exit": 93, "gettimeofday": 169, "gettid": 178, "futex": 98,
        "clock_gettime": 113, "clock_getres": 114, "exit_group": 94,
    },
}  # fmt: skip
"""Every call that is allowed: memory, time, locks, the end, and `write` to one descriptor."""
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_CALLS = 0x40000000
"""x86-64 numbers from here on are those of another calling convention, with numbers of its own."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF: ld [k], jeq, jge, jset, ret
ALLOW, DENY, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are 8 bytes each, the low half first
PROT_EXEC, MAP_ANONYMOUS = 4, 0x20
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def filter_program(machine: str, descriptor: int) -> bytes:
    """The filter as BPF instructions, 8 bytes each. Raises `OSError` for a machine whose calls are not known.

    Memory can be neither executable, so that no machine code can be brought in, nor a file's.
    """
    if machine not in NUMBERS:
        raise OSError(errno.ENOSYS, f"no system-call filter is known for {machine}")
    numbers = dict(NUMBERS[machine])
    code = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, AUDIT[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":
        code += [(AT_LEAST, 0, 1, X32_CALLS), (RETURN, 0, 0, KILL)]

    def low(argument: int) -> tuple:
        return LOAD, 0, 0, ARGUMENTS + 8 * argument

    def when(name: str, block: list[tuple]) -> list[tuple]:  # blocks end by returning
        return [(EQUAL, 0, len(block), numbers.pop(name)), *block]

    allow, deny = (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, DENY)
    code += when("write", [low(0), (EQUAL, 0, 1, descriptor), allow, deny])
    code += when("mmap", [low(2), (ANY_BIT, 2, 0, PROT_EXEC), low(3), (ANY_BIT, 1, 0, MAP_ANONYMOUS), deny, allow])
    code += when("mprotect", [low(2), (ANY_BIT, 1, 0, PROT_EXEC), allow, deny])
    for number in numbers.values():
        code += [(EQUAL, 0, 1, number), allow]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in [*code, deny])


def prctl(option: int, *arguments) -> None:
    """prctl(2) with numbers or pointers. Raises `OSError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(ctypes.c_int(option), *given):
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def install(descriptor: int) -> None:
    """Put the filter on the calling thread, for good. Raises `OSError` where that is not possible."""
    code = filter_program(platform.machine(), descriptor)
    program = _Program(len(code) // 8, code)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))
