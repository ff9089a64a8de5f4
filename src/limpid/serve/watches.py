"""Watch folders of a server: a video that has stopped growing becomes a job, once, also over restarts."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from limpid.bounded import cut
from limpid.serve import changes
from limpid.serve.asking import settings_of, wanted_job
from limpid.serve.config import ServeConfig
from limpid.serve.database import Database, Transaction
from limpid.serve.growing import GrowingFiles, Stamp, set_apart
from limpid.serve.idempotency import once
from limpid.serve.jobs import new_id
from limpid.serve.refusals import Refusal
from limpid.serve.roots import Roots
from limpid.serve.scheduler import Scheduler

LOOK_S = 2.0
_logger = logging.getLogger("limpid.serve")
_COUNTED = "SELECT state, COUNT(*) FROM jobs WHERE watch = ? GROUP BY state"


@dataclass
class Watches:
    """Looks at the folders; what it has seen of each is in memory, which videos were taken is in the database."""

    config: ServeConfig
    database: Database
    roots: Roots
    scheduler: Scheduler
    growing: dict[str, GrowingFiles] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Look at all folders, again and again."""
        while True:
            try:
                for row in await self.database.read(list_rows):
                    if not row["paused"]:
                        await self._look(row)
                await self._set_failures_apart()
            except Exception as error:
                _logger.error("watch folders", exc_info=error)
            await asyncio.sleep(min(LOOK_S, max(self.config.tick_s, self.config.settle_s / 2)))

    async def _look(self, row: sqlite3.Row) -> None:
        watch = str(row["id"])
        growing = self.growing.setdefault(watch, GrowingFiles(Path(row["folder"]), self.config.settle_s))
        try:
            settled = await run_in_threadpool(growing.settled)
            self.errors.pop(watch, None)
        except OSError as error:
            self.errors[watch] = f"{row['folder']}: {error.strerror or error}"
            return
        for path, stamp in settled:
            await self._take(row, path, stamp)

    async def _take(self, row: sqlite3.Row, path: Path, stamp: Stamp) -> None:
        """Make a job of a video, unless there was one for it as it is now."""
        key = f"{row['id']} {path} {stamp[0]} {stamp[1]}"
        if await self.database.read(_is_taken, key):
            return
        try:
            await self.database.write_surely(self._create, row, path, key)
        except Refusal as refusal:
            if refusal.status_code == 409:  # another job makes that output now
                return
            await self._refused(row, path, key, str(refusal.detail))
        self.scheduler.wake()

    def _create(self, work: Transaction, row: sqlite3.Row, path: Path, key: str) -> None:
        settings = settings_of(self.roots, json.loads(row["settings"]), row["preset"])
        output = str(Path(row["output_folder"])) + "/"
        wanted = wanted_job(self.roots, str(path), output, settings, preset=row["preset"], watch=row["id"])
        once(work, "watch", key, {}, lambda: changes.create(work, wanted, self.config.limits.jobs))
        changes.tell_queue(work)

    async def _refused(self, row: sqlite3.Row, path: Path, key: str, sentence: str) -> None:
        """A video for which there can be no job is set apart as one whose job failed."""
        await self.database.write_surely(_note_taken, key)
        await self._move(str(row["id"]), path, sentence)

    async def _set_failures_apart(self) -> None:
        for row in await self.database.read(_failures):
            path = Path(row["input"])
            if path.is_file() and path.parent.name != "failed":
                await self._move(str(row["watch"]), path, str(row["error"]))
            await self.database.write_surely(_note_apart, row["id"])

    async def _move(self, watch: str, path: Path, sentence: str) -> None:
        try:
            await run_in_threadpool(set_apart, path, sentence)
        except OSError as error:
            self.errors[watch] = cut(f"{path} could not be set apart: {error.strerror or error}", 500)

    def view(self, work: Transaction, row: sqlite3.Row) -> dict[str, Any]:
        """A watch folder as clients see it."""
        counts = {found["state"]: found[1] for found in work.rows(_COUNTED, row["id"])}
        growing = self.growing.get(row["id"])
        plain = {name: row[name] for name in ("id", "folder", "output_folder", "preset")}
        return {
            **plain,
            "settings": json.loads(row["settings"]),
            "paused": bool(row["paused"]),
            "error": self.errors.get(row["id"]),
            "waiting": 0 if growing is None else growing.waiting,
            "made": counts.get("done", 0),
            "failed": counts.get("failed", 0),
        }

    def list_all(self, work: Transaction) -> list[dict[str, Any]]:
        return [self.view(work, row) for row in list_rows(work)]

    def add(
        self, work: Transaction, folder: Path, output: Path, settings: dict[str, Any], preset: str | None
    ) -> dict[str, Any]:
        """Watch a folder. Raises Refusal."""
        if output == folder or output.is_relative_to(folder):
            message = f"{output} lies in {folder}; results in a watched folder would be taken as new videos"
            raise Refusal(422, "output", message, field="output_folder")
        if work.row("SELECT 1 FROM watches WHERE folder = ?", str(folder)):
            raise Refusal(409, "exists", f"{folder} is watched already", field="folder")
        if work.number("SELECT COUNT(*) FROM watches") >= self.config.limits.watches:
            raise Refusal(429, "too_many", f"{self.config.limits.watches} folders are watched; stop with one")
        watch = new_id()
        work.do(
            "INSERT INTO watches (id, folder, output_folder, settings, preset, paused) VALUES (?, ?, ?, ?, ?, 0)",
            *(watch, str(folder), str(output), json.dumps(settings), preset),
        )
        work.tell("watches", {})
        return self.view(work, find_watch(work, watch))

    def pause(self, work: Transaction, watch: str, paused: bool) -> dict[str, Any]:
        find_watch(work, watch)
        work.do("UPDATE watches SET paused = ? WHERE id = ?", int(paused), watch)
        work.tell("watches", {})
        return self.view(work, find_watch(work, watch))


def find_watch(work: Transaction, watch: str) -> sqlite3.Row:
    row = work.row("SELECT * FROM watches WHERE id = ?", watch)
    if row is None:
        raise Refusal(404, "not_found", "there is no such watch folder (any more)")
    return row


def list_rows(work: Transaction) -> list[sqlite3.Row]:
    return work.rows("SELECT * FROM watches ORDER BY seq")


def remove_watch(work: Transaction, watch: str) -> None:
    """Watch a folder no longer; its jobs stay."""
    find_watch(work, watch)
    work.do("DELETE FROM watches WHERE id = ?", watch)
    work.tell("watches", {})


def _is_taken(work: Transaction, key: str) -> bool:
    return work.row("SELECT 1 FROM idempotency WHERE purpose = 'watch' AND key = ?", key) is not None


def _note_taken(work: Transaction, key: str) -> None:
    once(work, "watch", key, {}, lambda: {"id": ""})
    work.tell("watches", {})


def _failures(work: Transaction) -> list[sqlite3.Row]:
    """Jobs of watch folders that failed, and whose videos are still where they were."""
    return work.rows(
        "SELECT id, watch, input, error FROM jobs WHERE watch IS NOT NULL AND state = 'failed' "
        "AND NOT EXISTS (SELECT 1 FROM idempotency WHERE purpose = 'apart' AND key = jobs.id)"
    )


def _note_apart(work: Transaction, job: str) -> None:
    once(work, "apart", job, {}, lambda: {"id": job})
    work.tell("watches", {})
