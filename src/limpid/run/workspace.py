"""The folders of a run: locked while it works, gone when it succeeded or left nothing worth keeping.

*Home* lies beside the output, always, and holds the lock: one run per output, wherever its segments are. It is also
where the result grows until it gets its name. *Work* holds journal and segments, and is the home unless ``--work-dir``
says otherwise. Neither is ever a link, and only names that Limpid makes are deleted in them.

After success the home is renamed before it is deleted, so that a kill in between leaves a name that says "finished".
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from limpid.durable.files import discard, planted_error
from limpid.durable.lock import locked
from limpid.run.journal import NAME as JOURNAL
from limpid.run.journal import Journal, is_our_name
from limpid.run.places import Places, done_name

_IMAGE = re.compile(r".*\.(png|jpg|tif|webp|avif)")
"""Numbered in segments; in results they may have the names of those that they were made from."""
_PART = re.compile(r"part(\.\w+)?")
"""The result: has two names for a moment while it gets its own, and is only ever removed, never written into."""
_LAST = ("lock", JOURNAL)
"""What is deleted last: while the journal is there, a run that is killed in its cleaning up can be gone on with."""


@dataclass
class Workspace:
    """``folder`` is None for dry runs, which write nothing."""

    folder: Path | None
    journal: Journal | None = None
    """The one that is written to, closed at the end."""
    done: bool = False
    was_done: bool = False
    """A former run had finished this output, and was killed while it cleaned up."""


@contextlib.contextmanager
def workspace(places: Places, *, dry_run: bool = False, keep: bool = False) -> Iterator[Workspace]:
    """Lock the folders of a run, and remove them afterwards unless finished segments in them are still of use.

    Raises OutputError when another run holds them, or something else than Limpid's lies in their place.
    """
    if dry_run:
        yield Workspace(None)
        return
    folders = list(dict.fromkeys((places.home, places.work)))
    with contextlib.ExitStack() as stack:
        for folder in folders:
            check_own(folder)
            stack.enter_context(locked(folder))
            check_own(folder)
        space = Workspace(places.work, was_done=_sweep(places.home))
        try:
            yield space
        finally:
            _leave(space, places, folders, keep=keep)
    if os.name == "nt" and not any(map(_is_worth_keeping, folders)):  # a locked file can only go after it is closed
        for folder in folders:
            empty(folder)


def _leave(space: Workspace, places: Places, folders: list[Path], *, keep: bool) -> None:
    if space.journal is not None:
        if space.done and keep:
            space.journal.add_assembled()
        space.journal.close()
    if keep:
        _leave_home(space, places)
    elif space.done:
        _remove_done(folders)
    elif _is_worth_keeping(places.work):
        _leave_home(space, places)
    else:
        for folder in reversed(folders):
            empty(folder)


def _leave_home(space: Workspace, places: Places) -> None:
    """Remove the home of a run whose segments stay elsewhere; not when the result may have its name and its sidecar
    only lies here."""
    if places.work != places.home and (space.done or not places.sidecar_draft.exists()):
        empty(places.home)


def _is_worth_keeping(work: Path) -> bool:
    journal = Journal.load(work)
    return journal is not None and bool(journal.finished)


def _remove_done(folders: list[Path]) -> None:
    """Delete the folders of a finished run, home first under another name; see the top of this file."""
    home = folders[0]
    for folder in folders:
        _empty(folder, but=_LAST)
    gone = done_name(home)
    with contextlib.suppress(OSError):
        if all(is_our_name(path.name) for path in home.iterdir()):
            home.rename(gone)
    for folder in (*folders[1:], home, gone):
        empty(folder)


def _sweep(home: Path) -> bool:
    """Finish the cleaning of a former run; whether there was any to finish."""
    gone = done_name(home)
    if not os.path.lexists(gone):
        return False
    check_own(gone)
    empty(gone)
    return True


# -------------------------------------------------------------------------------------------------- safety


def check_own(folder: Path) -> None:
    """Raises OutputError unless ``folder`` is absent or a folder of ours with nothing planted in it."""
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or not _is_owner(folder, found.st_uid):
        raise planted_error(folder)
    for entry in os.scandir(folder):
        if is_our_name(entry.name):
            _check_entry(entry)


def _is_owner(folder: Path, owner: int) -> bool:
    """Ours, root's, or of whom all around it belongs to, as on disks that have one owner for everything."""
    if not hasattr(os, "geteuid"):
        return True
    return owner in (os.geteuid(), 0, folder.parent.stat().st_uid)


def _check_entry(entry: os.DirEntry[str]) -> None:
    found = entry.stat(follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        if "." in entry.name or entry.name == "lock":
            raise planted_error(Path(entry.path))
        for inner in os.scandir(entry.path) if entry.name != "part-old" else ():
            if not stat.S_ISREG(inner.stat(follow_symlinks=False).st_mode) or not _IMAGE.fullmatch(inner.name):
                raise planted_error(Path(inner.path))
    elif not stat.S_ISREG(found.st_mode) or (found.st_nlink > 1 and _PART.fullmatch(entry.name) is None):
        raise planted_error(Path(entry.path))


def empty(folder: Path) -> None:
    """Delete what Limpid made in a folder of its own, and the folder when nothing else is in it; never raises."""
    if folder.is_symlink() or not folder.is_dir():
        return
    _empty(folder, but=_LAST)
    for name in _LAST[::-1]:
        discard(folder / name)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _empty(folder: Path, *, but: tuple[str, ...]) -> None:
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            if path.name not in but and is_our_name(path.name):
                discard(path)
