"""The server's end of `limpid.serve.advisor`: one process, started when it is asked, ended when nobody asks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Sequence
from typing import Any

from limpid.bounded import json_object, parse_json
from limpid.serve.jobs import Wanted
from limpid.serve.processes import environment, own_group
from limpid.serve.refusals import ENGINE_CODES, Refusal

IDLE_S = 120.0
ANSWER_S = 60.0
_LONGEST_LINE = 1 << 20


class Advice:
    """Asks whether a run would be refused. When nobody answers, a job is queued, and refused when its turn comes."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def ask(self, wanted: Wanted) -> list[str]:
        """Notes on the result. Raises Refusal with the sentence of the command line."""
        asked = {"input": str(wanted.input), "output": str(wanted.output), "settings": wanted.settings}
        told = await self._answer({**asked, "overwrite": wanted.overwrite}) if self.command else {}
        if "error" in told:
            code = ENGINE_CODES.get(int(told.get("exit_code", 0)), "settings")
            field = code if code in ("settings", "input", "output") else None
            raise Refusal(422, code, str(told["error"]), field=field)
        return [str(note) for note in told.get("notes", [])]

    async def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        async with self._turn:
            try:
                return await asyncio.wait_for(self._exchange(json.dumps(asked)), ANSWER_S)
            except (OSError, ValueError, TimeoutError):
                self.close()
                return {}
            except asyncio.CancelledError:  # half an exchange must not answer the next question
                self.close()
                raise

    async def _exchange(self, line: str) -> dict[str, Any]:
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line.encode() + b"\n")
        await process.stdin.drain()
        return json_object(parse_json(await process.stdout.readline()))

    async def _running(self) -> asyncio.subprocess.Process:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self.close)
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                limit=_LONGEST_LINE,
                env=environment(),
                **own_group(),
            )
        return self._process

    def close(self) -> None:
        """End the process; the next question starts another."""
        process, self._process = self._process, None
        if self._idle is not None:
            self._idle.cancel()
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def end(self) -> None:
        """`close`, and wait until the process is gone."""
        process = self._process
        self.close()
        if process is not None:
            await process.wait()
