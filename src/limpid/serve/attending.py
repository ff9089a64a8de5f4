"""One job from start to end: what its process tells is kept, it is stopped when asked, and its end is judged."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from limpid.run.places import is_unfinished, sidecar_of
from limpid.serve import changes, jobs
from limpid.serve.arguments import upscale_words
from limpid.serve.config import ServeConfig
from limpid.serve.database import Database
from limpid.serve.hub import Hub
from limpid.serve.processes import JobProcess, end_leftovers, events_path, exit_code_of, log_of
from limpid.serve.told import Tail, Told
from limpid.settings import Settings
from limpid.types import Interrupted


@dataclass
class Attendant:
    """Runs jobs, one call of `attend` each. ``on_preview`` is told of each preview that is done."""

    config: ServeConfig
    database: Database
    hub: Hub
    on_preview: Callable[[sqlite3.Row], None] = lambda row: None
    closing: bool = False

    def folder(self, job: str) -> Path:
        """Where what is known of a job lies besides the database."""
        return self.config.state / "jobs" / job

    async def attend(self, job: str, device: str | None = None) -> None:
        """Start a queued job and stay with it; nothing is raised for what goes wrong in it."""
        folder = self.folder(job)
        await end_leftovers(folder, self.config.grace_s)
        row = await self.database.write_surely(changes.begin, job)
        if row is None:
            return
        try:
            process = await JobProcess.start(folder, row["attempt"], self._command(row, device), self.config.grace_s)
        except OSError as error:
            message = f"a process could not be started: {error.strerror or error}"
            await self.database.write_surely(changes.end, job, "failed", message, 1)
            return
        try:
            await self._follow(job, process)
        finally:
            process.stop()

    def _command(self, row: sqlite3.Row, device: str | None) -> list[str]:
        settings = Settings.from_dict(json.loads(row["settings"]))
        settings = settings.replace(**self.config.places)
        if device is not None and settings.device == "auto":
            settings = settings.replace(device=device)
        is_preview = row["kind"] == "preview"
        words = upscale_words(row["input"], row["output"], settings, overwrite=bool(row["overwrite"]) or is_preview)
        return [*self.config.command, *words, "--json"]

    async def recover(self, job: str) -> None:
        """After a restart: end what is left of a running job's process, then see what had become of it."""
        folder = self.folder(job)
        await end_leftovers(folder, self.config.grace_s)
        row = await self.database.read(jobs.find, job)
        tail, told = Tail(events_path(folder, row["attempt"]), row["told"]), Told(json.loads(row["facts"]))
        while not tail.is_at_end():
            await self._keep(job, tail, told)
        await self._judge(job, row["attempt"], told, was_left=True)

    async def _follow(self, job: str, process: JobProcess) -> None:
        """Read what the process tells until it has ended and everything is read."""
        tail, told = Tail(events_path(process.folder, process.attempt)), Told({})
        is_asked = False
        while True:
            is_alive = not await process.wait(self.config.tick_s)
            stopping = await self._keep(job, tail, told)
            if (stopping or self.closing) and is_alive and not is_asked:
                process.stop()
                is_asked = True
            if not is_alive and tail.is_at_end():
                break
        await end_leftovers(process.folder, self.config.grace_s)  # a runner may have been killed without its job
        if self.closing and not stopping:
            return  # at the next start it is found as running, and goes on
        await self._judge(job, process.attempt, told, was_left=False)

    async def _keep(self, job: str, tail: Tail, told: Told) -> str | None:
        """Read on and remember; returns as what the job is to stop, if it is."""
        before = tail.position
        for event in tail.read():
            told.take(event)
        if told.progress is not None and tail.position > before:
            self.hub.tell_progress(job, told.progress)
        if tail.position == before:
            return await self.database.read(changes.stopping_of, job)
        segments, changed = told.segments, told.changed
        told.segments, told.changed = [], False
        return await self.database.write_surely(changes.remember, job, tail.position, told.facts, segments, changed)

    async def _judge(self, job: str, attempt: int, told: Told, *, was_left: bool) -> None:
        """What became of a job, by its exit code, by what it told, and by what lies on the disk."""
        self.hub.forget_progress(job)
        row = await self.database.read(jobs.find, job)
        code = exit_code_of(self.folder(job), attempt)
        if code is None:
            code = (told.facts.get("error") or {}).get("exit_code")
        is_done = "done" in told.facts or _was_published(row, told)
        if is_done:
            state, error, code = "done", None, None
        elif row["stopping"] is not None:
            state, error, code = row["stopping"], None, None
        else:
            if _was_stopped(code) and await self.database.write_surely(
                lambda work: changes.again(work, job, was_killed=not was_left)
            ):
                return
            state, error = "failed", _sentence(told, code, log_of(self.folder(job)))
        await self.database.write_surely(changes.end, job, state, error, code)
        if state == "done" and row["kind"] == "preview":
            self.on_preview(await self.database.read(jobs.find, job))


def _was_published(row: sqlite3.Row, told: Told) -> bool:
    """A process that was killed between giving the result its name and saying so."""
    output = Path(row["output"])
    finishing = told.facts.get("stage") == "finish" and os.path.lexists(output) and sidecar_of(output).is_file()
    return finishing and not is_unfinished(output)


def _was_stopped(code: int | None) -> bool:
    """Whether a process ended because somebody else ended it: a signal, or no trace of how."""
    return code is None or code < 0 or code == Interrupted.exit_code


def _sentence(told: Told, code: int | None, log: str) -> str:
    """Why a job failed, in the words that the command line has for it."""
    said = told.facts.get("error")
    if said is not None and said.get("message"):
        return str(said["message"])
    if code is None or code < 0:
        name = _signal_name(code)
        hint = ", most likely for lack of memory" if name == "SIGKILL" else ""
        return f"the process was killed {changes.MOST_KILLED} times in a row by {name}{hint}"
    lines = [line.removeprefix("limpid: ") for line in log.strip().splitlines() if line.strip()]
    return lines[-1] if lines else f"the process ended with code {code} and said nothing"


def _signal_name(code: int | None) -> str:
    try:
        return "SIGKILL" if code is None else signal.Signals(-code).name
    except ValueError:
        return f"signal {-(code or 0)}"
