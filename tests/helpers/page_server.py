"""``limpid serve`` as a process on loopback for tests in a browser, which can be killed and started again.

As a program (``python page_server.py STATE ROOT PORT [TOKEN]``) it is a server with `fake_limpid` for its engine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


class PageServer:
    """The real command with the real engine, or a fake one; the port stays the same when it starts again."""

    def __init__(self, folder: Path, *, fake: bool = False, token: str | None = None) -> None:
        self.folder, self.films, self.fake, self.token = folder, folder / "films", fake, token
        self.films.mkdir(parents=True)
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        state, port = str(self.folder / "state"), str(self.port)
        fake = [__file__, state, str(self.films), port, *([self.token] if self.token else [])]
        real = ["-m", "limpid", "serve", "--no-browser", "--port", port, "--root", str(self.films), "--state", state]
        self.process = subprocess.Popen(
            [sys.executable, *(fake if self.fake else real)],
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


def _serve_fake(state: Path, root: Path, port: int, token: str | None) -> None:
    import serving

    from limpid.serve.running import serve

    serve(serving.fake_config(state, root, port=port, token=token, limits={"piece_bytes": 1 << 16}), open_browser=False)


if __name__ == "__main__":
    _serve_fake(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
