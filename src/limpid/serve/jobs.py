"""Jobs in the database, and questions about them; `limpid.serve.changes` has what changes them.

A job is ``queued``, ``running``, ``paused``, ``done``, ``failed`` or ``cancelled``. One that is being stopped is
running, and ``stopping`` says what it will be. Order in the queue is a number, ``rank``; times are told to people and
decide nothing.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limpid.serve.arguments import command_line, upscale_words
from limpid.serve.database import Transaction, meta
from limpid.serve.refusals import Refusal
from limpid.serve.views import result_of
from limpid.settings import Settings

JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
STATES: tuple[JobState, ...] = ("queued", "running", "paused", "done", "failed", "cancelled")
JobKind = Literal["upscale", "preview"]
_SEGMENT_FACTS = {"done": 0, "of": None}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A job that was asked for and found to be possible."""

    input: Path
    output: Path
    settings: dict[str, Any]
    preset: str | None = None
    overwrite: bool = False
    kind: JobKind = "upscale"
    watch: str | None = None


def new_id() -> str:
    return secrets.token_hex(6)


def find(work: Transaction, job: str) -> sqlite3.Row:
    """The row of a job. Raises Refusal."""
    row = work.row("SELECT * FROM jobs WHERE id = ?", job)
    if row is None:
        raise Refusal(404, "not_found", "there is no such job (any more)")
    return row


def view(work: Transaction, job: str) -> dict[str, Any]:
    """A job as clients see it, but for its progress and whether its result is still there."""
    return as_view(work, find(work, job))


def as_view(work: Transaction, row: sqlite3.Row) -> dict[str, Any]:
    settings, facts = json.loads(row["settings"]), json.loads(row["facts"])
    words = upscale_words(row["input"], row["output"], Settings.from_dict(settings), overwrite=bool(row["overwrite"]))
    plain = ("id", "kind", "state", "stopping", "input", "output", "preset", "watch")
    times = ("created_at", "started_at", "ended_at", "attempt")
    error = None if row["error"] is None else {"message": row["error"], "exit_code": row["exit_code"]}
    return {
        **{name: row[name] for name in plain},
        "name": Path(row["input"]).name,
        "settings": settings,
        "overwrite": bool(row["overwrite"]),
        "command": command_line(words),
        "position": _position(work, row),
        **{name: row[name] for name in times},
        "progress": None,
        "segments": facts.get("segments") or _SEGMENT_FACTS,
        **{name: facts.get(name) for name in ("clip", "plan", "estimate")},
        "notes": facts.get("notes", []),
        "warnings": facts.get("warnings", []),
        "error": error,
        "result": _report(row, facts),
    }


def _position(work: Transaction, row: sqlite3.Row) -> int | None:
    if row["state"] not in ("queued", "paused") or row["kind"] != "upscale":
        return None
    sql = "SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'paused') AND kind = 'upscale' AND rank < ?"
    return work.number(sql, row["rank"])


def _report(row: sqlite3.Row, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["state"] != "done":
        return None
    done = facts.get("done") or {}
    return {name: done.get(name) for name in ("frames", "seconds", "fps")} | result_of(Path(row["output"]))


def list_jobs(
    work: Transaction, states: Sequence[str], kind: str | None, search: str, before: int | None, limit: int
) -> tuple[list[dict[str, Any]], int | None, int]:
    """Jobs, the newest first; where the next page begins, and how many there are in all."""
    where, values = ["1"], list[Any]()
    if states:
        where.append(f"state IN ({','.join('?' * len(states))})")
        values += states
    if kind is not None:
        where.append("kind = ?")
        values.append(kind)
    for word in search.casefold().split()[:10]:
        where.append("(instr(words, ?) > 0 OR instr(lower(coalesce(error, '')), ?) > 0)")
        values += [word, word]
    total = work.number(f"SELECT COUNT(*) FROM jobs WHERE {' AND '.join(where)}", *values)
    if before is not None:
        where.append("seq < ?")
        values.append(before)
    sql = f"SELECT * FROM jobs WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?"
    rows = work.rows(sql, *values, limit + 1)
    more = rows[limit - 1]["seq"] if len(rows) > limit else None
    return [as_view(work, row) for row in rows[:limit]], more, total


def queue_of(work: Transaction) -> dict[str, Any]:
    """The order of what waits, what runs, and how many may."""
    waiting = work.rows("SELECT id FROM jobs WHERE state IN ('queued', 'paused') AND kind = 'upscale' ORDER BY rank")
    running = work.rows("SELECT id FROM jobs WHERE state = 'running' ORDER BY started_at")
    at_once, paused = meta(work, "at_once", 1), meta(work, "paused", False)
    order, now = [row["id"] for row in waiting], [row["id"] for row in running]
    return {"order": order, "running": now, "at_once": at_once, "paused": paused}


def next_queued(work: Transaction, kind: JobKind) -> str | None:
    row = work.row("SELECT id FROM jobs WHERE state = 'queued' AND kind = ? ORDER BY rank LIMIT 1", kind)
    return None if row is None else str(row["id"])


def running_jobs(work: Transaction) -> list[str]:
    return [row["id"] for row in work.rows("SELECT id FROM jobs WHERE state = 'running' ORDER BY rank")]


def counts_by_state(work: Transaction) -> dict[str, int]:
    found = {row["state"]: row[1] for row in work.rows("SELECT state, COUNT(*) FROM jobs GROUP BY state")}
    return {state: found.get(state, 0) for state in STATES}
