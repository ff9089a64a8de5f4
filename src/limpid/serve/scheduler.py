"""The queue at work: starts what may start, as many as may run at once, and takes up what a restart interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path

from limpid.serve import jobs
from limpid.serve.attending import Attendant
from limpid.serve.database import Database, meta, set_meta
from limpid.serve.processes import environment

_IDLE_S = 5.0
_COUNT = (
    "import torch; n = torch.cuda.device_count() if torch.cuda.is_available() else 0; "
    "print(' '.join(f'cuda:{i}' for i in range(n)))"
)
_logger = logging.getLogger("limpid.serve")


@dataclass
class Scheduler:
    """Keeps jobs running. Previews have one place of their own, so that nobody waits for them behind a film."""

    attendant: Attendant
    database: Database
    at_once: int | None = None
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    previews: set[str] = field(default_factory=set)
    devices: tuple[str, ...] = ()
    """Names of the devices when there are several; a job then runs on one that is free."""
    used: dict[str, str] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Something may start, or is to stop."""
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled; what runs then is stopped and left as running, for the next start."""
        await self._begin()
        try:
            while True:
                self._changed.clear()
                try:
                    await self._start_what_may()
                except Exception as error:
                    _logger.error("the queue", exc_info=error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), _IDLE_S)
        finally:
            self.attendant.closing = True
            if self.tasks:
                await asyncio.wait(self.tasks.values())

    async def _begin(self) -> None:
        left = await self.database.read(jobs.running_jobs)
        for job in left:
            self._attend(job, self.attendant.recover(job))
        several = may_have_several_devices() and not self.attendant.config.divides
        self.devices = await find_devices() if several else ()
        kept = await self.database.read(meta, "at_once", None)
        if self.at_once is not None or kept is None:
            await self.database.write_surely(set_meta, "at_once", self.at_once or max(len(self.devices), 1))

    async def _start_what_may(self) -> None:
        queue = await self.database.read(jobs.queue_of)
        while not queue["paused"] and len(self.tasks.keys() - self.previews) < queue["at_once"]:
            job = await self.database.read(jobs.next_queued, "upscale")
            if job is None or job in self.tasks:
                break
            self._attend(job, self.attendant.attend(job, self._free_device(job)))
            await self._until_begun(job)
        if not self.previews:
            preview = await self.database.read(jobs.next_queued, "preview")
            if preview is not None and preview not in self.tasks:
                self.previews.add(preview)
                self._attend(preview, self.attendant.attend(preview))

    async def _until_begun(self, job: str) -> None:
        """Wait until a job is no longer the next one in the queue."""
        while job in self.tasks and not self.tasks[job].done():
            if await self.database.read(jobs.next_queued, "upscale") != job:
                return
            await asyncio.sleep(0.01)

    def _attend(self, job: str, work: object) -> None:
        self.tasks[job] = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self.tasks[job].add_done_callback(lambda task: self._ended(job, task))

    def _ended(self, job: str, task: asyncio.Task[None]) -> None:
        self.tasks.pop(job, None)
        self.previews.discard(job)
        self.used.pop(job, None)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("job %s", job, exc_info=task.exception())
        self.wake()

    def _free_device(self, job: str) -> str | None:
        """The device that the fewest jobs are on; None where there is no choice."""
        if len(self.devices) < 2:
            return None
        busy = list(self.used.values())
        self.used[job] = min(self.devices, key=busy.count)
        return self.used[job]


def may_have_several_devices() -> bool:
    """Whether it is worth to look for accelerators; most machines have none, which is seen without loading PyTorch."""
    return sys.platform == "win32" or any(Path("/dev").glob("nvidia[0-9]*"))


async def find_devices() -> tuple[str, ...]:
    """The accelerators of this machine by their names, asked in a process of its own because that loads PyTorch."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _COUNT),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(),
            cwd=Path.home(),
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
    except (OSError, TimeoutError):
        return ()
    return tuple(said.decode(errors="replace").split())
