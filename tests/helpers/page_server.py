"""``limpid serve`` as a process on loopback for tests in a browser, which can be killed and started again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


class PageServer:
    """The real command with the real engine; the port stays the same when it starts again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.films = folder, folder / "films"
        self.films.mkdir(parents=True)
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        words = [*("--no-browser", "--port", str(self.port)), "--root", str(self.films)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "limpid", "serve", *words, "--state", str(self.folder / "state")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.folder,
            env={**os.environ, "LIMPID_PRESETS": str(self.folder / "presets"), "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + self.process.stdout.read()
        self.port = int(found[1])

    def kill(self) -> None:
        """As the power would: the process gets no chance to put anything in order."""
        assert self.process is not None
        self.process.kill()
        self._over()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self._over()

    def _over(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        self.process.wait(30)
        self.process.stdout.close()
