"""Parts of finished segments become files in the work folder, and whole segments become durable there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from limpid.bounded import quoted
from limpid.cluster.orders import SentPart
from limpid.durable.files import discard, fsync_path, output_error, remove, replace_by
from limpid.run.journal import Finished, Journal, carry_name
from limpid.run.sink import explain_full_disk

_NAME = re.compile(r"\d{6,}(\.\w{1,8})?|\d{6,}\.carry\.safetensors")
_IN_FOLDER = re.compile(r"\d{1,12}\.\w{1,8}")
"""An image of a segment that is a folder."""
SYNCED_AT_ONCE = 8


class WrongPartError(Exception):
    """A worker sent what it should not have sent."""


@dataclass
class Receiver:
    """Puts together what workers send, and enters whole segments in the journal."""

    journal: Journal
    _begun: dict[int, dict[str, int]] = field(default_factory=dict)
    """Segment -> file -> bytes of it that are there."""
    _whole: dict[int, Finished] = field(default_factory=dict)
    """All of it is there, and was compared."""
    _syncing: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(SYNCED_AT_ONCE))

    def take(self, part: SentPart, kind: str | None = None) -> None:
        """Keep a part; a segment that is whole with it waits for `commit`. ``kind``: of the machine, for the journal.

        Parts of a segment that is there already are dropped. Raises WrongPartError for what cannot be, OutputError
        when the disk is full.
        """
        if part.index in self.journal.finished or part.index in self._whole:
            return
        with self._explained():
            self._write(part)
            if part.done is not None:
                self._check_whole(part.done)
                self._whole[part.index] = replace(part.done, kind=kind)

    def commit(self) -> list[Finished]:
        """Make all whole segments durable: together, because a disk takes about as long for many as for one."""
        if not self._whole:
            return []
        with self._explained():
            paths = [self._partial(name) for index in self._whole for name in self._begun[index]]
            if len(paths) == 1:
                fsync_path(paths[0])
            else:
                list(self._syncing.map(fsync_path, paths))
            for done in self._whole.values():
                self._begun.pop(done.index)
                replace_by(self._partial(done.file), self.journal.folder / done.file)
            fsync_path(self.journal.folder)
            committed = list(self._whole.values())
            self.journal.add_all_finished(committed)
        self._whole.clear()
        return committed

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            explained = explain_full_disk(error, self.journal.folder)
            raise (explained if explained is not error else output_error(self.journal.folder, error)) from error

    def forget(self, index: int) -> None:
        """Delete what there is of a segment that is not whole; its worker is gone."""
        for name in self._begun.pop(index, {}):
            remove(self._partial(name).parent if "/" in name else self._partial(name))

    def close(self) -> None:
        self._syncing.shutdown()
        for index in list(self._begun):
            for name in self._begun.pop(index):
                discard(self._partial(name).parent if "/" in name else self._partial(name))

    def _partial(self, name: str) -> Path:
        return self.journal.folder / f"partial-{name}" if not _is_carry(name) else self.journal.folder / name

    def _write(self, part: SentPart) -> None:
        self._check(part)
        path, sizes = self._partial(part.name), self._begun.setdefault(part.index, {})
        if part.offset == 0:
            path.parent.mkdir(exist_ok=True)
        if part.offset != sizes.get(part.name, 0):
            raise WrongPartError(f"{quoted(part.name)} came from byte {part.offset}")
        with path.open("ab" if part.offset else "wb") as file:
            file.write(part.data)
        sizes[part.name] = part.offset + len(part.data)

    def _check(self, part: SentPart) -> None:
        """Names of files come from outside: only those of the segment itself are written."""
        folder, _, name = part.name.rpartition("/")
        outer = folder or name
        inside = not folder or _IN_FOLDER.fullmatch(name) is not None
        if not (inside and _NAME.fullmatch(outer) and int(outer.partition(".")[0]) == part.index):
            raise WrongPartError(f"{quoted(part.name)} is no file of segment {part.index}")
        if not 0 <= part.index < len(self.journal.plan.segments):
            raise WrongPartError(f"there is no segment {part.index}")

    def _check_whole(self, done: Finished) -> None:
        made = Finished.of(done.index, self._partial(done.file), done.frames, self._carry(done))
        if (made.size, made.sha256, made.carry_sha256) != (done.size, done.sha256, done.carry_sha256):
            raise WrongPartError(f"segment {done.index} is not what its worker made")
        done.check(self.journal.plan)

    def _carry(self, done: Finished) -> Path | None:
        return None if done.carry is None else self.journal.folder / carry_name(done.index)


def _is_carry(name: str) -> bool:
    return name.endswith(".carry.safetensors")


def read_carry(journal: Journal, index: int) -> bytes | None:
    """What a segment handed on, None where it is nothing."""
    try:
        return (journal.folder / carry_name(index)).read_bytes()
    except FileNotFoundError:
        return None
