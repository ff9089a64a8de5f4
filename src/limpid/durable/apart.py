"""An output never is, contains, or lies in the input: replacing it would delete what it is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from limpid.types import OutputError


def check_apart(output: Path, source: Path, parts: Iterable[Path] = ()) -> None:
    """Raises OutputError when the output is the source, lies in it, or holds a part of it.

    ``parts``: the files of a source that is a folder, which may be links to somewhere else.
    """
    source, parts = source.absolute(), list(parts)
    if output.exists() and source.exists() and output.samefile(source):
        raise OutputError(f"{output} is the input itself; choose another output")
    if source.is_dir() and _is_inside(output, source):
        raise OutputError(f"{output} lies in the folder that is the input; choose an output beside it")
    if output.is_dir() and any(_is_inside(folder, output) for folder in _folders([source, *parts])):
        raise OutputError(f"{output} is a folder that holds the input; choose an output beside it")


def _folders(files: Iterable[Path]) -> set[Path]:
    """The folders in which files lie, and those of what they are links to."""
    found = set()
    for file in files:
        found.add(file.parent.resolve())
        if file.is_symlink():
            found.add(file.resolve().parent)
    return found


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether ``path`` is ``folder`` or lies in it, by what the file system says and not by names."""
    try:
        there = folder.stat()
    except OSError:
        return False
    return any(os.path.samestat(found, there) for found in _stats(path.resolve()))


def _stats(path: Path) -> Iterator[os.stat_result]:
    for part in (path, *path.parents):
        try:
            yield part.stat()
        except OSError:
            continue
