"""A small process that clears up after one that may be killed: it ends what was started there and deletes a folder.

Two of Ray's own processes outlive a killed driver by a minute, and a killed worker leaves its files; a guard is told by
a pipe that closes, however the process at its other end went. Run as a program it loads nothing but the standard
library: it is there for the whole run, and must be small.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

GUARD_MARK = "LIMPID_GUARDED"
"""Variable of processes that end with the guarded one; its value is the folder."""
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class FolderGuard:
    """A guard that was started, as the guarded process sees it."""

    process: subprocess.Popen[bytes] | None
    """None where none can be: the clearing up is then done by the next command."""

    def close(self) -> None:
        """Have it clear up now, and wait until it has."""
        if self.process is None or self.process.stdin is None or self.process.stdout is None:
            return
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with self.process.stdout as end:  # closes with the guard
            end.read()


def guard(folder: Path) -> FolderGuard:
    """Have a folder deleted when this process ends, and processes that have it as their `GUARD_MARK` ended."""
    if os.name != "posix":
        return FolderGuard(None)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
    except OSError:
        return FolderGuard(None)
    process.wait()  # the guard itself is its child, which nobody ends together with ours
    return FolderGuard(process)


def parents_end(poll_s: float = 1.0) -> None:
    """Returns when the process that started this one is gone."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(poll_s)


def _started_in(folder: str) -> list[int]:
    """Processes that belong to a folder; none on systems that do not tell."""
    places = [place for place in Path("/proc").glob("[0-9]*") if int(place.name) != os.getpid()]
    return [int(place.name) for place in places if _belongs(place, folder)]


def _belongs(place: Path, folder: str) -> bool:
    """By its mark; Ray's own overwrite theirs with their names, and have their logs open in the folder."""
    with contextlib.suppress(OSError):
        if f"{GUARD_MARK}={folder}\0".encode() in (place / "environ").read_bytes():
            return True
        if (place / "cmdline").read_bytes().startswith(b"ray::"):
            return any(str(fd.readlink()).startswith(f"{folder}/") for fd in (place / "fd").iterdir())
    return False


def _end_all(folder: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while (found := _started_in(folder)) and time.monotonic() < until:
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _main(folder: str) -> None:
    """Wait for the end of standard input, then clear up."""
    if os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    _end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _main(sys.argv[1])
