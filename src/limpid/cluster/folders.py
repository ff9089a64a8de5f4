"""Folders of processes that may be killed: each holds a lock in its own, and deletes those whose locks nobody holds."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO

from limpid.durable.files import discard
from limpid.durable.lock import acquire
from limpid.types import OutputError


def make_folder(base: Path, prefix: str) -> tuple[Path, IO[str]]:
    """A new folder and its lock, held as long as the file is open; what killed processes left is deleted first."""
    sweep(base, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
    return folder, acquire(folder)


def sweep(base: Path, prefix: str) -> None:
    """Delete the folders of that prefix that are ours and that nobody holds."""
    for folder in base.glob(f"{prefix}*"):
        with contextlib.suppress(OutputError, OSError):
            if folder.is_symlink() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
                continue
            lock = acquire(folder)
            discard(folder)
            lock.close()
