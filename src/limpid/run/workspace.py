"""The work folder of a run: locked while the run works, gone when it succeeded or left nothing worth keeping."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpid.durable.lock import locked
from limpid.run.journal import Journal


@dataclass
class Workspace:
    """``folder`` is None for dry runs, which write nothing."""

    folder: Path | None
    journal: Journal | None = None
    """The one that is written to, closed at the end."""
    done: bool = False


@contextlib.contextmanager
def workspace(folder: Path, *, dry_run: bool = False, keep: bool = False) -> Iterator[Workspace]:
    """Lock a work folder, and remove it afterwards unless finished segments in it are still of use.

    Raises OutputError when another run holds it.
    """
    if dry_run:
        yield Workspace(None)
        return
    space = Workspace(folder)
    with locked(folder):
        try:
            yield space
        finally:
            if space.journal is not None:
                if space.done and keep:
                    space.journal.add_assembled()
                space.journal.close()
            useless = space.done or not _holds_segments(folder)
            if useless and not keep:
                _remove(folder)
    if useless and not keep and os.name == "nt":
        shutil.rmtree(folder, ignore_errors=True)


def _holds_segments(folder: Path) -> bool:
    journal = Journal.load(folder)
    return journal is not None and bool(journal.finished)


def _remove(folder: Path) -> None:
    """The journal first: a crash between the lines must not leave one that names deleted files."""
    with contextlib.suppress(OSError):
        (folder / "journal.jsonl").unlink(missing_ok=True)
        # While the lock is held nobody else is in here. On Windows the lock file can only go after it is closed.
        shutil.rmtree(folder, ignore_errors=os.name == "nt")
