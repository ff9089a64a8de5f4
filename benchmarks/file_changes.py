"""Every change that this process makes to the file system below a folder, before it happens: to count it or to fail it.

Python tells of changes through audit hooks; FFmpeg's own writes are not among them, `small_files` is for those. Used by
the benchmarks that kill runs and spoil disks, and by the tests of the same things.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.ENOENT, errno.EIO)
"""What a disk may answer: full, quota used up, read-only, too large, folder gone, broken."""
STAYING_FAULTS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""Those that later changes meet as well."""
_CHANGES = frozenset(("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.truncate"))
_GROWING = frozenset(("open", "os.mkdir", "os.link", "os.rename"))
"""What a full disk refuses; deleting always works there."""

OnChange = Callable[[int, str, str], None]
"""Told the number of a change, counted from 1, the audit event and the path. What it raises, the change raises."""
_watchers: list[_Watcher] = []
_hooked: list[bool] = []


class _Watcher:
    def __init__(self, folder: Path, on_change: OnChange) -> None:
        self._folder, self._on_change = f"{folder}{os.sep}", on_change
        self._seen, self._busy = 0, False

    def see(self, event: str, path: str) -> None:
        """Changes that ``on_change`` makes itself are not counted."""
        if self._busy or not path.startswith(self._folder):
            return
        self._seen, self._busy = self._seen + 1, True
        try:
            self._on_change(self._seen, event, path)
        finally:
            self._busy = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watchers and _is_change(event, arguments):
        for watcher in tuple(_watchers):
            watcher.see(event, str(arguments[0]))


def _is_change(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return isinstance(arguments[0], str) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return event in _CHANGES


@contextlib.contextmanager
def watching(folder: Path, on_change: OnChange) -> Iterator[None]:
    """``on_change`` is told of every change below ``folder`` inside the block."""
    forever(folder, on_change)
    watcher = _watchers[-1]
    try:
        yield
    finally:
        _watchers.remove(watcher)


def forever(folder: Path, on_change: OnChange) -> None:
    """`watching` until this process ends, for one that was forked for it."""
    if not _hooked:  # a hook cannot be taken off again
        sys.addaudithook(_hook)
        _hooked.append(True)
    _watchers.append(_Watcher(folder, on_change))


def failing_at(number: int, code: int) -> OnChange:
    """The change of this number fails; those after it as well, for what stays so."""

    def on_change(seen: int, event: str, path: str) -> None:
        later = code in STAYING_FAULTS and seen > number and (event in _GROWING or code == errno.EROFS)
        if seen == number or later:
            raise OSError(code, os.strerror(code), path)

    return on_change


def removing_at(number: int, folder: Path) -> OnChange:
    """``folder`` is deleted, by somebody else, just before the change of this number."""

    def on_change(seen: int, event: str, path: str) -> None:
        if seen == number:
            shutil.rmtree(folder)

    return on_change


def limit_files(limit_bytes: int) -> None:
    """No file of this process grows beyond this: writing fails wherever it is done, also inside FFmpeg."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))


@contextlib.contextmanager
def small_files(limit_bytes: int) -> Iterator[None]:
    """`limit_files` inside the block."""
    before, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit_files(limit_bytes)
    try:
        yield
    finally:
        limit_files(before)
