"""One run at a time in a work folder, also after crashes: the lock is the system's and dies with the process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from limpid.durable.files import open_own
from limpid.types import OutputError


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder/lock`` for as long as the block runs. Raises OutputError when another process holds it."""
    file = acquire(folder)
    try:
        yield
    finally:
        file.close()


def acquire(folder: Path) -> IO[str]:
    """Open and lock ``folder/lock``, with the number of this process in it; held until the last process that has the
    file open closes it or ends. Raises OutputError when another process holds it.
    """
    path = folder / "lock"
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            file = os.fdopen(open_own(path), "r+", encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue  # another run finished between the two lines and took its folder away
        if not _try_lock(file):
            holder = _holder(file)
            file.close()
            raise OutputError(f"another run{holder} is working on this output; wait for it or stop it (lock: {path})")
        if _is_current(file, path):
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n")
            file.flush()
            return file
        file.close()  # the folder was removed while we waited: lock the new one


def _holder(file: IO[str]) -> str:
    try:
        file.seek(0)
        text = file.read(32).strip()
    except OSError:
        return ""
    return f" (process {text})" if text.isdigit() else ""


def _is_current(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    LOCKED_BYTE = 1 << 20
    """Far behind the text, which others must be able to read."""

    def _try_lock(file: IO[str]) -> bool:
        file.seek(LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import errno
    import fcntl

    def _try_lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # Some network file systems have no locks; working there without one is better than not at all.
            return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
        return True
