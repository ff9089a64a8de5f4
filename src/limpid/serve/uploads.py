"""Uploads in pieces: each byte is written once, where the file stays; what arrived is durable before it is said.

An upload lies under a hidden name until it is whole, in a folder of its own (or of its batch), so that it can never be
written over anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limpid.bounded import one_line, quoted
from limpid.durable.files import NAME_BYTES, bytes_text, discard, fsync_path, hidden_name, open_own, rename_new
from limpid.run.places import SIDECAR_SUFFIX
from limpid.serve.config import ServeConfig
from limpid.serve.database import Database, Transaction
from limpid.serve.jobs import new_id
from limpid.serve.listing import kind_of_name
from limpid.serve.models import UploadBody
from limpid.serve.refusals import Refusal
from limpid.types import OutputError

_FULL = 507
_ROOM = NAME_BYTES - len(SIDECAR_SUFFIX) - 40
"""Bytes of a name that leave room for those of the result and of what lies beside it."""
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


def checked_name(name: str, field: str) -> str:
    """The name of a file or folder that can be made anywhere. Raises Refusal."""
    plain = one_line(name) == name and not _FORBIDDEN.search(name) and not name.startswith(".") and name.strip() == name
    if not plain or name.endswith(".") or len(name.encode()) > _ROOM:
        raise Refusal(422, "input", f"{quoted(name)} cannot be the name of a file here; rename it", field=field)
    return name


@dataclass
class Uploads:
    """The uploads of a server; only one piece of each is received at a time."""

    config: ServeConfig
    database: Database
    busy: set[str] = field(default_factory=set)

    def begin(self, work: Transaction, body: UploadBody) -> dict[str, Any]:
        """Note a new upload. Raises Refusal for names, sizes and counts that are not taken."""
        name = checked_name(body.name, "name")
        if kind_of_name(Path(name)) is None:
            raise Refusal(422, "input", f"{quoted(name)} has the name of neither a video nor an image", field="name")
        folder = checked_name(body.folder, "folder") if body.folder is not None else None
        if (folder is None) != (body.batch is None):
            raise Refusal(422, "input", "folder and batch belong together; send both or none", field="batch")
        self._check_limits(work, body.size)
        upload = new_id()
        place = Path(upload if body.batch is None else f"batch-{body.batch}") / (folder or "") / name
        if work.row("SELECT 1 FROM uploads WHERE place = ?", str(place)) or os.path.lexists(
            self.config.uploads / place
        ):
            raise Refusal(409, "exists", f"{quoted(name)} is in this batch already", field="name")
        work.do(
            "INSERT INTO uploads (id, name, size, received, place, folder, state, created_at) "
            "VALUES (?, ?, ?, 0, ?, ?, 'open', ?)",
            *(upload, name, body.size, str(place), folder, time.time()),
        )
        return self.view(self.find(work, upload))

    def _check_limits(self, work: Transaction, size: int) -> None:
        limits = self.config.limits
        if size > limits.upload_bytes:
            most = bytes_text(limits.upload_bytes)
            raise Refusal(413, "too_large", f"the file has {bytes_text(size)}; at most {most} are taken", field="size")
        if work.number("SELECT COUNT(*) FROM uploads WHERE state = 'open'") >= limits.open_uploads:
            raise Refusal(429, "too_many", f"{limits.open_uploads} uploads are open; finish or delete one")
        if work.number("SELECT COUNT(*) FROM uploads") >= limits.uploads:
            raise Refusal(429, "too_many", f"there are {limits.uploads} uploads; delete some")
        self.check_space(size + work.number("SELECT SUM(size - received) FROM uploads WHERE state = 'open'"))

    def check_space(self, needed: int) -> None:
        """Raises Refusal when the disk has not that much left, besides what is to stay free."""
        free = shutil.disk_usage(self.config.uploads).free - self.config.limits.reserve_bytes
        if needed > free:
            says = f"{bytes_text(needed)} are needed for uploads, and {bytes_text(max(free, 0))} can be used"
            raise Refusal(_FULL, "disk", f"{says}; free some disk space")

    def find(self, work: Transaction, upload: str) -> sqlite3.Row:
        row = work.row("SELECT * FROM uploads WHERE id = ?", upload)
        if row is None:
            raise Refusal(404, "not_found", "there is no such upload (any more)")
        return row

    def view(self, row: sqlite3.Row) -> dict[str, Any]:
        path = self.config.uploads.resolve() / row["place"] if row["state"] == "complete" else None
        plain = {name: row[name] for name in ("id", "name", "size", "received", "state", "created_at")}
        folder = str(path.parent) if path is not None and row["folder"] is not None else None
        return {**plain, "path": None if path is None else str(path), "folder_path": folder}

    def list_all(self, work: Transaction) -> list[dict[str, Any]]:
        return [self.view(row) for row in work.rows("SELECT * FROM uploads ORDER BY seq DESC")]

    def _received(self, work: Transaction, upload: str, received: int, is_whole: bool) -> dict[str, Any]:
        state = "complete" if is_whole else "open"
        work.do("UPDATE uploads SET received = ?, state = ? WHERE id = ?", received, state, upload)
        return self.view(self.find(work, upload))

    # ------------------------------------------------------------------------------------------------- pieces

    async def receive(self, upload: str, offset: int, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        """Write what comes at ``offset``; what has arrived when the client goes away is kept. Raises Refusal."""
        if upload in self.busy:
            raise Refusal(409, "busy", "another piece of this upload is being received")
        self.busy.add(upload)
        try:
            row = await self._as_it_lies(await self.database.read(self.find, upload))
            if row["state"] == "complete":
                raise self._misplaced(row, "this upload is complete")
            if offset != row["received"]:
                raise self._misplaced(row, f"{row['received']} bytes have arrived; go on there, not at {offset}")
            return await self._append(row, pieces)
        finally:
            self.busy.discard(upload)

    async def _as_it_lies(self, row: sqlite3.Row) -> sqlite3.Row:
        """What is known of an upload, put right where a crash or somebody else changed what lies on the disk."""
        if row["state"] == "complete" or not row["size"]:
            return row
        lies = await asyncio.to_thread(_received_by, self.part_of(row), self.config.uploads / row["place"], row["size"])
        if lies >= row["received"] and not (lies == row["size"] and not self.part_of(row).exists()):
            return row
        is_whole = lies == row["size"]
        await self.database.write_surely(self._received, row["id"], lies, is_whole)
        return await self.database.read(self.find, row["id"])

    def _misplaced(self, row: sqlite3.Row, message: str) -> Refusal:
        return Refusal(409, "offset", message, field="offset", upload=self.view(row))

    async def _append(self, row: sqlite3.Row, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        part, received = self.part_of(row), int(row["received"])
        try:
            file = await asyncio.to_thread(_open_at, part, received)
        except OSError as error:
            raise _disk_refusal(error) from error
        try:
            async for piece in pieces:
                if received + len(piece) > row["size"]:
                    raise Refusal(
                        413, "too_large", f"more came than the {row['size']} bytes of this file", field="size"
                    )
                await asyncio.to_thread(_write_all, file, piece)
                received += len(piece)
        except OSError as error:
            raise _disk_refusal(error) from error
        finally:
            answer = await asyncio.shield(self._put_down(row, file, received))
        return answer

    async def _put_down(self, row: sqlite3.Row, file: int, received: int) -> dict[str, Any]:
        """Make what arrived durable, and give the file its name when it is whole."""
        try:
            await asyncio.to_thread(_sync, file)
            is_whole = received == row["size"]
            if is_whole:
                await asyncio.to_thread(_finish, self.part_of(row), self.config.uploads / row["place"])
        except OutputError as error:
            raise Refusal(409, "exists", str(error)) from error
        except OSError as error:
            raise _disk_refusal(error) from error
        return await self.database.write_surely(self._received, row["id"], received, is_whole)

    async def finish_empty(self, upload: str) -> dict[str, Any]:
        """A file without a byte needs no piece."""

        return await self.receive(upload, 0, _nothing())

    def part_of(self, row: sqlite3.Row) -> Path:
        return hidden_name(self.config.uploads / row["place"], f"{row['id']}.part")

    def forget(self, work: Transaction, upload: str) -> sqlite3.Row:
        row = self.find(work, upload)
        if upload in self.busy:
            raise Refusal(409, "busy", "a piece of this upload is being received; end that first")
        work.do("DELETE FROM uploads WHERE id = ?", upload)
        work.do("DELETE FROM idempotency WHERE purpose = 'upload' AND ref = ?", upload)
        return row

    def remove(self, row: sqlite3.Row) -> None:
        """Delete the file of an upload, and its folder when nothing else is in it: results beside it stay."""
        path = self.config.uploads / row["place"]
        for each in (self.part_of(row), path):
            discard(each)
        with contextlib.suppress(OSError):
            for folder in path.relative_to(self.config.uploads).parents[:-1]:
                (self.config.uploads / folder).rmdir()


async def _nothing() -> AsyncIterator[bytes]:
    for piece in list[bytes]():
        yield piece


def _received_by(part: Path, path: Path, size: int) -> int:
    """How many bytes of an upload lie on the disk: in its unfinished file, or under its name."""
    for each in (part, path):
        if each.is_file() and (each == part or each.stat().st_size == size):
            return min(each.stat().st_size, size)
    return 0


def _open_at(part: Path, received: int) -> int:
    """The unfinished file, cut to what is known to have arrived."""
    part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = open_own(part)
    os.ftruncate(file, received)
    os.lseek(file, received, os.SEEK_SET)
    return file


def _write_all(file: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(file, view) :]


def _sync(file: int) -> None:
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _finish(part: Path, path: Path) -> None:
    """Give a whole upload its name, unless something has it already; a crash in between is finished the next time."""
    if path.exists() and not part.exists():
        return
    rename_new(part, path)
    fsync_path(path.parent)


def _disk_refusal(error: OSError) -> Refusal:
    return Refusal(_FULL, "disk", f"the upload cannot be written: {error.strerror or error}; what arrived is kept")
