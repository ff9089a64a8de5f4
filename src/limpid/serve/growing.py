"""Videos in a folder that have stopped growing: seen twice with the same size and time, some seconds apart."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from limpid.durable.files import rename_new
from limpid.run.places import is_result
from limpid.types import LimpidError
from limpid.video import VIDEO_SUFFIXES, natural_key

FAILED = "failed"
"""The folder in a watched one to which videos are moved that could not be made larger."""
_MOST_TRIES = 1000
Stamp = tuple[int, int]
"""Size and time of change of a file."""


@dataclass
class GrowingFiles:
    """Remembers what was seen of a folder; clocks that are set do not matter."""

    folder: Path
    settle_s: float
    clock: Callable[[], float] = time.monotonic
    seen: dict[Path, tuple[Stamp, float]] = field(default_factory=dict)

    def settled(self) -> list[tuple[Path, Stamp]]:
        """The videos that have not changed for a while, in natural order. Raises OSError for a folder that is gone."""
        now, found = self.clock(), dict(_videos(self.folder))
        self.seen = {
            path: before if (before := self.seen.get(path, (stamp, now)))[0] == stamp else (stamp, now)
            for path, stamp in found.items()
        }
        still = [path for path, (_, since) in self.seen.items() if now - since >= self.settle_s]
        return [(path, found[path]) for path in sorted(still, key=natural_key)]

    @property
    def waiting(self) -> int:
        """Videos that may still be growing."""
        now = self.clock()
        return sum(now - since < self.settle_s for _, since in self.seen.values())


def _videos(folder: Path) -> Iterator[tuple[Path, Stamp]]:
    for entry in os.scandir(folder):
        path = Path(entry.path)
        usable = path.suffix.lower() in VIDEO_SUFFIXES and not entry.name.startswith(".")
        if not usable or entry.is_symlink() or not entry.is_file() or is_result(path):
            continue
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if found.st_size:
            yield path, (found.st_size, found.st_mtime_ns)


def set_apart(path: Path, sentence: str) -> Path:
    """Move a video that failed into the folder for those, with a text file that says why; nothing is written over."""
    folder = path.parent / FAILED
    folder.mkdir(exist_ok=True)
    for number in range(_MOST_TRIES):
        name = path.name if number == 0 else f"{path.stem}-{number}{path.suffix}"
        try:
            rename_new(path, folder / name)
        except LimpidError:
            continue
        (folder / f"{name}.txt").write_text(sentence + "\n", encoding="utf-8", errors="backslashreplace")
        return folder / name
    raise FileExistsError(f"{folder} is full of files that are named like {path.name}")
