"""The state of a server in SQLite: one thread writes, another reads, and what happened is numbered in the same stroke.

A change and the events that tell of it are one transaction: whoever reads events misses no change, and no event tells
of a change that was lost. Write-ahead logging lets readers go on while somebody else holds the lock for writing.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from limpid.serve.refusals import Refusal

_NAME = "queue.sqlite3"
_T = TypeVar("_T")
_LOCK_WAIT_S = 5.0
_PRUNE_EVERY = 200
_TABLES = """
CREATE TABLE IF NOT EXISTS jobs ( seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
state TEXT NOT NULL, stopping TEXT, input TEXT NOT NULL, output TEXT NOT NULL, settings TEXT NOT NULL, preset TEXT,
overwrite INTEGER NOT NULL, watch TEXT, rank REAL NOT NULL, created_at REAL NOT NULL, started_at REAL, ended_at REAL,
attempt INTEGER NOT NULL DEFAULT 0, killed INTEGER NOT NULL DEFAULT 0, told INTEGER NOT NULL DEFAULT 0, facts TEXT NOT
NULL DEFAULT '{}', error TEXT, exit_code INTEGER, words TEXT NOT NULL ); CREATE INDEX IF NOT EXISTS
jobs_by_state ON jobs (state, rank); CREATE TABLE IF NOT EXISTS events ( seq INTEGER PRIMARY KEY AUTOINCREMENT, name
TEXT NOT NULL, job TEXT, data TEXT NOT NULL ); CREATE TABLE IF NOT EXISTS idempotency ( purpose TEXT NOT NULL, key
TEXT NOT NULL, digest TEXT NOT NULL, ref TEXT NOT NULL, PRIMARY KEY (purpose, key) ); CREATE TABLE IF NOT EXISTS
uploads ( seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, size INTEGER NOT NULL,
received INTEGER NOT NULL, place TEXT NOT NULL, folder TEXT, state TEXT NOT NULL, created_at REAL NOT NULL ); CREATE
TABLE IF NOT EXISTS watches ( seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, folder TEXT NOT NULL
UNIQUE, output_folder TEXT NOT NULL, settings TEXT NOT NULL, preset TEXT, paused INTEGER NOT NULL ); CREATE TABLE IF
NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class NumberedEvent(NamedTuple):
    """Something that happened: ``job`` is the id of the job it is about, ``data`` a JSON text."""

    seq: int
    name: str
    job: str | None
    data: str


@dataclass
class Transaction:
    """What a function that reads or writes is given; `tell` adds a numbered event."""

    connection: sqlite3.Connection
    events: list[NumberedEvent] = field(default_factory=list)

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        found = self.connection.execute(sql, values).fetchone()
        assert found is None or isinstance(found, sqlite3.Row)
        return found

    def number(self, sql: str, *values: Any) -> int:
        """The first column of the first row."""
        found = self.row(sql, *values)
        return int(found[0] or 0) if found is not None else 0

    def do(self, sql: str, *values: Any) -> int:
        """Change something; the number of rows that were."""
        return self.connection.execute(sql, values).rowcount

    def tell(self, name: str, data: dict[str, Any], job: str | None = None) -> None:
        text = json.dumps(data, separators=(",", ":"))
        done = self.connection.execute("INSERT INTO events (name, job, data) VALUES (?, ?, ?)", (name, job, text))
        self.events.append(NumberedEvent(int(done.lastrowid or 0), name, job, text))


class Database:
    """Runs functions over a `Transaction`, each whole or not at all. ``on_events`` is called on the loop, in order."""

    def __init__(self, folder: Path, keep_events: int, on_events: Callable[[Sequence[NumberedEvent]], None]) -> None:
        self.path, self.keep_events, self.on_events = folder / _NAME, keep_events, on_events
        self._writer, self._reader = (
            ThreadPoolExecutor(1, thread_name_prefix=f"limpid-{n}") for n in ("write", "read")
        )
        self._write_to = _connect(self.path)
        self._write_to.executescript(_TABLES)
        self._read_from = _connect(self.path)
        self._since_prune = 0

    async def read(self, ask: Callable[..., _T], *values: Any) -> _T:
        """The answer of a function that only looks."""
        return cast(_T, await self._run(self._reader, self._ask, ask, values))

    async def write(self, change: Callable[..., _T], *values: Any) -> _T:
        """The answer of a function that changes things, once that is durable and listeners are about to be told."""
        loop = asyncio.get_running_loop()
        return cast(_T, await self._run(self._writer, self._change, change, values, loop))

    async def write_surely(self, change: Callable[..., _T], *values: Any) -> _T:
        """`write`, again and again while the file is locked or the disk full: for what has happened already."""
        while True:
            try:
                return await self.write(change, *values)
            except Refusal as refusal:
                if refusal.status_code not in (503, 507):
                    raise
                await asyncio.sleep(1.0)

    async def _run(self, threads: ThreadPoolExecutor, work: Callable[..., Any], *values: Any) -> Any:
        future = asyncio.get_running_loop().run_in_executor(threads, work, *values)
        try:
            return await asyncio.shield(future)
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise Refusal(507, "disk", "the disk on which the queue is kept is full; free some space") from error
            raise Refusal(503, "busy", f"the queue is in use by another program ({error}); try again") from error

    def _ask(self, ask: Callable[..., Any], values: Iterable[Any]) -> Any:
        connection = self._read_from
        connection.execute("BEGIN")
        try:
            return ask(Transaction(connection), *values)
        finally:
            connection.rollback()

    def _change(self, change: Callable[..., Any], values: Iterable[Any], loop: asyncio.AbstractEventLoop) -> Any:
        connection = self._write_to
        connection.execute("BEGIN IMMEDIATE")
        work = Transaction(connection)
        try:
            answer = change(work, *values)
            self._prune(work)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        if work.events:
            loop.call_soon_threadsafe(self.on_events, work.events)
        return answer

    def _prune(self, work: Transaction) -> None:
        self._since_prune += len(work.events)
        if self._since_prune >= _PRUNE_EVERY:
            self._since_prune = 0
            work.do("DELETE FROM events WHERE seq <= (SELECT MAX(seq) FROM events) - ?", self.keep_events)

    def close(self) -> None:
        for threads, connection in ((self._writer, self._write_to), (self._reader, self._read_from)):
            threads.shutdown(wait=True)
            connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -4000")
    return connection


def last_number(work: Transaction) -> int:
    """The number of the newest event there ever was; numbers are not used again after old events are forgotten."""
    return work.number("SELECT seq FROM sqlite_sequence WHERE name = 'events'")


def events_after(work: Transaction, seq: int, most: int) -> list[NumberedEvent]:
    rows = work.rows("SELECT seq, name, job, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?", seq, most)
    return [NumberedEvent(*row) for row in rows]


def meta(work: Transaction, name: str, default: Any) -> Any:
    """A remembered JSON value of the server as a whole."""
    found = work.row("SELECT value FROM meta WHERE name = ?", name)
    return json.loads(found["value"]) if found is not None else default


def set_meta(work: Transaction, name: str, value: Any) -> None:
    work.do("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", name, json.dumps(value))
