"""Paths that clients name: absolute, links resolved, inside the roots, not hidden, no devices; or refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from limpid.bounded import quoted
from limpid.serve.refusals import Refusal

_LONGEST = 4096


class Roots:
    """The folders that may be used. A path stays as it was named; what counts is what it leads to."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    def existing(self, name: str, field: str = "path") -> Path:
        """A file or folder that is there. Raises Refusal."""
        path = self.inside(name, field)
        try:
            mode = path.stat().st_mode
        except OSError:
            raise Refusal(404, "not_found", f"{quoted(name)}: there is no such file or folder", field=field) from None
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise Refusal(403, "outside", f"{quoted(name)} is a device or a pipe", field=field)
        return path

    def folder(self, name: str, field: str = "path") -> Path:
        """A folder that is there. Raises Refusal."""
        path = self.existing(name, field)
        if not path.is_dir():
            raise Refusal(404, "not_found", f"{quoted(name)} is no folder", field=field)
        return path

    def inside(self, name: str, field: str = "path") -> Path:
        """A path that may not exist yet, links and ``..`` resolved. Raises Refusal where it leads out of the roots."""
        if not name or len(name) > _LONGEST or "\0" in name or not _is_text(name):
            raise Refusal(400, "bad_request", f"{quoted(name)} is no path", field=field)
        path = Path(name)
        if not path.is_absolute():
            raise Refusal(403, "outside", f"{quoted(name)} is no absolute path", field=field)
        try:
            found = Path(os.path.realpath(path))
        except (OSError, ValueError):
            raise Refusal(403, "outside", f"{quoted(name)} cannot be followed", field=field) from None
        if not self.allows(found):
            raise Refusal(403, "outside", f"{quoted(name)} is not inside the folders that may be used", field=field)
        return found

    def allows(self, path: Path) -> bool:
        """Whether a resolved path lies in a root, and no name below that is hidden."""
        return any(_is_below(path, root) for root in self.folders)

    def root_of(self, path: Path) -> Path | None:
        """The innermost root that a path lies in."""
        around = [root for root in self.folders if path.is_relative_to(root)]
        return max(around, key=lambda root: len(root.parts), default=None)


def _is_below(path: Path, root: Path) -> bool:
    return path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)


def _is_text(name: str) -> bool:
    """Whether a name can be told to a client again: no half characters, as names that are not UTF-8 have."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
