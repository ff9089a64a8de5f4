"""What changes a job: each function is one whole change for `limpid.serve.database`, and tells of it in one stroke."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from limpid.serve.database import Transaction, set_meta
from limpid.serve.jobs import JobState, Wanted, find, new_id, queue_of, view
from limpid.serve.refusals import Refusal
from limpid.settings import Settings

MOST_KILLED = 3
"""How often in a row a process may be killed by others before its job fails."""
_LONG_QUEUE = 300


def tell_job(work: Transaction, job: str) -> dict[str, Any]:
    """Let listeners know what has become of a job; returns it."""
    found = view(work, job)
    work.tell("job", found, job)
    return found


def tell_queue(work: Transaction) -> None:
    """Let listeners know of the queue; the order of a very long one they ask for themselves."""
    found = queue_of(work)
    if len(found["order"]) > _LONG_QUEUE:
        found["order"] = None
    work.tell("queue", found)


def create(work: Transaction, wanted: Wanted, most: int) -> dict[str, Any]:
    """Put a job at the end of the queue. Raises Refusal when another one makes the same output."""
    refuse_same_output(work, wanted.output, None)
    if work.number("SELECT COUNT(*) FROM jobs") >= most:
        raise Refusal(429, "too_many", f"there are {most} jobs already; delete some of those that are done")
    job = new_id()
    words = f"{wanted.input}\n{wanted.output}\n{wanted.settings.get('method', Settings().method)}".casefold()
    work.do(
        "INSERT INTO jobs (id, kind, state, input, output, settings, preset, overwrite, watch, rank, created_at, "
        "words) VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(job, wanted.kind, str(wanted.input), str(wanted.output), json.dumps(wanted.settings), wanted.preset),
        *(int(wanted.overwrite), wanted.watch, _last_rank(work) + 1, time.time(), words),
    )
    return tell_job(work, job)


def refuse_same_output(work: Transaction, output: Path, but: str | None) -> None:
    """Raises Refusal when a job that is not over makes the same output."""
    row = work.row(
        "SELECT id, input FROM jobs WHERE output = ? AND state IN ('queued', 'running', 'paused') AND id IS NOT ?",
        *(str(output), but),
    )
    if row is not None:
        message = f"{output} is what another job makes, from {row['input']}; choose another output"
        raise Refusal(409, "exists", message, field="output", job=row["id"])


def _last_rank(work: Transaction) -> float:
    row = work.row("SELECT MAX(rank) FROM jobs")
    return float(row[0] or 0.0) if row is not None else 0.0


def change(work: Transaction, job: str, wanted: Wanted) -> dict[str, Any]:
    """Other settings or another output for a job that does not run."""
    row = find(work, job)
    _need_state(row, "changed", "queued", "paused", "failed", "cancelled")
    refuse_same_output(work, wanted.output, job)
    sql = "UPDATE jobs SET output = ?, settings = ?, preset = ?, overwrite = ? WHERE id = ?"
    work.do(sql, str(wanted.output), json.dumps(wanted.settings), wanted.preset, int(wanted.overwrite), job)
    return tell_job(work, job)


def act(work: Transaction, job: str, action: Literal["pause", "resume", "cancel", "retry"]) -> dict[str, Any]:
    """Pause, resume, cancel or retry. A running job is marked; whoever attends it stops its process."""
    row = find(work, job)
    if action in ("pause", "cancel"):
        goal = "paused" if action == "pause" else "cancelled"
        _need_state(row, goal, "queued", "running", *(["paused"] if action == "cancel" else []))
        if row["state"] == "running":
            work.do("UPDATE jobs SET stopping = ? WHERE id = ?", goal, job)
        else:
            _set_state(work, job, goal)
    elif action == "resume":
        _need_state(row, "resumed", "paused")
        _set_state(work, job, "queued")
    else:
        _need_state(row, "tried again", "failed", "cancelled")
        refuse_same_output(work, Path(row["output"]), job)
        work.do("UPDATE jobs SET rank = ?, killed = 0 WHERE id = ?", _last_rank(work) + 1, job)
        _set_state(work, job, "queued")
    tell_queue(work)
    return tell_job(work, job)


def _set_state(work: Transaction, job: str, state: str) -> None:
    ended = time.time() if state == "cancelled" else None
    sql = "UPDATE jobs SET state = ?, stopping = NULL, error = NULL, exit_code = NULL, ended_at = ? WHERE id = ?"
    work.do(sql, state, ended, job)


def _need_state(row: sqlite3.Row, goal: str, *allowed: str) -> None:
    if row["state"] not in allowed:
        says = f"a job that is {row['state']} cannot be {goal}; one that is {' or '.join(allowed)} can"
        raise Refusal(409, "state", says)


def forget(work: Transaction, job: str) -> sqlite3.Row:
    """Remove a job that does not run; its result stays. Returns what it was."""
    row = find(work, job)
    if row["state"] == "running":
        raise Refusal(409, "state", "a job that is running cannot be deleted; cancel it first")
    work.do("DELETE FROM jobs WHERE id = ?", job)
    work.do("DELETE FROM idempotency WHERE purpose = 'job' AND ref = ?", job)
    work.tell("removed", {"id": job}, job)
    return row


def reorder(work: Transaction, order: Sequence[str]) -> dict[str, Any]:
    """Put these jobs first, in this order; others follow as they were. Ids of jobs that do not wait are left out."""
    waiting = queue_of(work)["order"]
    first = [job for job in dict.fromkeys(order) if job in set(waiting)]
    for rank, job in enumerate([*first, *(job for job in waiting if job not in set(first))], 1):
        work.do("UPDATE jobs SET rank = ? WHERE id = ?", float(rank), job)
    tell_queue(work)
    return queue_of(work)


def set_queue(work: Transaction, at_once: int | None, paused: bool | None) -> dict[str, Any]:
    for name, value in (("at_once", at_once), ("paused", paused)):
        if value is not None:
            set_meta(work, name, value)
    tell_queue(work)
    return queue_of(work)


# ------------------------------------------------------------------------------------------- while it runs


def begin(work: Transaction, job: str) -> sqlite3.Row | None:
    """Mark a queued job as running; None when somebody was faster."""
    sql = "UPDATE jobs SET state = 'running', stopping = NULL, attempt = attempt + 1, told = 0, facts = '{}', "
    sql += "started_at = coalesce(started_at, ?), error = NULL, exit_code = NULL WHERE id = ? AND state = 'queued'"
    if not work.do(sql, time.time(), job):
        return None
    tell_job(work, job)
    tell_queue(work)
    return find(work, job)


def remember(
    work: Transaction, job: str, told: int, facts: Mapping[str, Any], segments: Sequence[dict[str, Any]], changed: bool
) -> str | None:
    """Keep what a process told, and how far it was read; returns whether the job is to stop, and as what."""
    work.do("UPDATE jobs SET told = ?, facts = ? WHERE id = ?", told, json.dumps(facts), job)
    for segment in segments:
        work.tell("segment", {"id": job, **segment}, job)
    if segments:
        work.do("UPDATE jobs SET killed = 0 WHERE id = ?", job)
    if changed:
        tell_job(work, job)
    return stopping_of(work, job)


def stopping_of(work: Transaction, job: str) -> str | None:
    row = find(work, job)
    return None if row["stopping"] is None else str(row["stopping"])


def end(work: Transaction, job: str, state: JobState, error: str | None, exit_code: int | None) -> dict[str, Any]:
    """What became of a running job."""
    ended = time.time() if state in ("done", "failed", "cancelled") else None
    sql = "UPDATE jobs SET state = ?, stopping = NULL, ended_at = ?, error = ?, exit_code = ? WHERE id = ?"
    work.do(sql, state, ended, error, exit_code, job)
    tell_queue(work)
    return tell_job(work, job)


def again(work: Transaction, job: str, *, was_killed: bool) -> bool:
    """Queue a job again whose process was ended by others, at its place; False when that happened too often."""
    killed = find(work, job)["killed"] + int(was_killed)
    if killed >= MOST_KILLED:
        return False
    work.do("UPDATE jobs SET state = 'queued', stopping = NULL, killed = ? WHERE id = ?", killed, job)
    tell_queue(work)
    tell_job(work, job)
    return True
