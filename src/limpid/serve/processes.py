"""The processes of jobs as the server sees them: started in groups of their own, stopped, found after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import limpid
from limpid.bounded import json_object, read_json, read_regular, whole_number
from limpid.durable.lock import acquire
from limpid.serve.runner import EVENTS, EXIT, LOG_NAME
from limpid.types import OutputError

_LOOK_S = 0.1
LONGEST_LOG = 64 << 10


def environment() -> dict[str, str]:
    """What processes of ours are started with: they import this very Limpid, installed or not."""
    here = str(Path(limpid.__file__).parent.parent)
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def own_group() -> dict[str, Any]:
    """Arguments of a process that Ctrl-C in the server's terminal does not reach."""
    return {"start_new_session": True} if os.name != "nt" else {"creationflags": 0x200}  # CREATE_NEW_PROCESS_GROUP


class JobProcess:
    """One attempt at a job: its runner, and the files it writes."""

    def __init__(self, folder: Path, attempt: int, process: asyncio.subprocess.Process) -> None:
        self.folder, self.attempt, self.process = folder, attempt, process

    @classmethod
    async def start(cls, folder: Path, attempt: int, command: Sequence[str], grace_s: float) -> JobProcess:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        words = [sys.executable, "-m", "limpid.serve.runner", str(folder), str(attempt), f"{grace_s:g}", "--", *command]
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
            **own_group(),
        )
        return cls(folder, attempt, process)

    def stop(self) -> None:
        """Ask the job to stop and keep what is finished."""
        if self.process.stdin is not None:
            self.process.stdin.close()

    def is_alive(self) -> bool:
        return self.process.returncode is None

    async def wait(self, most_s: float) -> bool:
        """Whether it ended in that time."""
        try:
            await asyncio.wait_for(self.process.wait(), most_s)
        except TimeoutError:
            return False
        return True


def events_path(folder: Path, attempt: int) -> Path:
    return folder / EVENTS.format(attempt)


def exit_code_of(folder: Path, attempt: int) -> int | None:
    """How a job ended, as its runner wrote down; None when that did not come to it."""
    try:
        values = json_object(read_json(folder / EXIT.format(attempt), 1000), ("code",))
        return whole_number(values["code"], least=-(2**31), most=2**31)
    except (OSError, ValueError):
        return None


def log_of(folder: Path) -> str:
    """The end of what a job said on stderr."""
    try:
        with (folder / LOG_NAME).open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - LONGEST_LOG, 0))
            return file.read(LONGEST_LOG).decode(errors="replace")
    except OSError:
        return ""


async def end_leftovers(folder: Path, grace_s: float) -> None:
    """Return when no process works on a job any more: what a server that was killed left is ended.

    Whoever holds the lock of the folder is in the group whose number is in it, and no other group can have that number
    as long as it lives.
    """
    if not folder.is_dir():
        return
    waited = 0.0
    while not is_free(folder):
        if waited == 0.0:
            _signal_group(folder, signal.SIGTERM)
        elif waited >= grace_s:
            _signal_group(folder, signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        await asyncio.sleep(_LOOK_S)
        waited += _LOOK_S


def is_free(folder: Path) -> bool:
    """Whether nobody holds the lock of a job."""
    kept = _group_in(folder)
    try:
        lock = acquire(folder)
    except OutputError:
        return False
    except OSError:
        return True
    if kept is not None:  # a process that is about to begin must not find the server's own number
        with contextlib.suppress(OSError):
            lock.seek(0)
            lock.truncate()
    lock.close()
    return True


def _group_in(folder: Path) -> int | None:
    try:
        return whole_number(read_regular(folder / "lock", 100).decode().strip(), least=2, most=2**31)
    except (OSError, ValueError):
        return None


def _signal_group(folder: Path, number: signal.Signals) -> None:
    group = _group_in(folder)
    if group is None or os.name == "nt" or group == os.getpgrp():
        return
    with contextlib.suppress(OSError):
        os.killpg(group, number)


@contextlib.asynccontextmanager
async def process_of(words: Sequence[str], stdin: int = subprocess.DEVNULL) -> AsyncIterator[Process]:
    """A process that does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        **own_group(),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
