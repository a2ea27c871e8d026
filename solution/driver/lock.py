"""A file that one process holds at a time.

In:  its path. Out: the open file; closing it, or the end of the process, gives it up. Not here: what the lock is for.
"""

import errno
import logging
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

log = logging.getLogger("solution")

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What network file systems answer that know no locks, or whose lock service is not there."""


def take(path: Path) -> TextIO:
    """Hold `path` against other processes. Raises `BlockingIOError` where another one holds it; where there are no locks, goes on
    and says so."""
    file = open(path, "w")
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "the platform has none")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            file.close()
            raise
        log.warning("%s: no locks here (%s): see to it that no second run writes into this folder", path, error.strerror)
    return file
