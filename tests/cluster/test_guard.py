"""A process that is killed leaves neither its folder nor what it had started, whoever would have cleared that up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from limpid.cluster import guard as guards
from limpid.cluster.guard import GUARD_MARK, guard

pytestmark = pytest.mark.skipif(os.name != "posix", reason="guards are there for POSIX systems")

GUARDED = """
import subprocess, sys
from pathlib import Path
from limpid.cluster.guard import GUARD_MARK, guard
folder = Path(sys.argv[1])
watch = guard(folder)
(folder / "spool").write_text("frames")
below = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]
started = subprocess.Popen(below, env={GUARD_MARK: str(folder)}, stdout=subprocess.PIPE)
started.stdout.readline()
print(started.pid, flush=True)
sys.stdin.read()
watch.close()
print("closed", flush=True)
"""


def start(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """A guarded process, and the number of one that it has started."""
    folder.mkdir()
    command = [sys.executable, "-c", GUARDED, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def wait_until_gone(pid: int) -> None:
    """As long as it takes; a test that waits for ever has failed."""
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
        threading.Event().wait(0.02)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")
def test_what_a_killed_process_had_started_ends_and_its_folder_goes(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    process, below = start(folder)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until_gone(below)
    while folder.exists():
        threading.Event().wait(0.02)


def test_a_process_that_ends_waits_for_its_guard(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    process, _ = start(folder)
    said, _ = process.communicate("")
    assert said == "closed\n"
    assert not folder.exists()


def test_where_no_guard_can_be_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*words: object, **more: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", fail)
    guard(tmp_path).close()
    assert tmp_path.exists()


def test_processes_of_other_folders_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards.Path, "glob", lambda self, words: iter(()))
    assert guards._started_in(str(tmp_path)) == []
    monkeypatch.undo()
    place = tmp_path / "7"
    (place / "fd").mkdir(parents=True)
    (place / "fd" / "3").symlink_to("/tmp/work/session/log")
    (place / "environ").write_bytes(f"A=1\0{GUARD_MARK}=/tmp/work\0".encode())
    (place / "cmdline").write_bytes(b"python\0")
    assert guards._belongs(place, "/tmp/work")
    assert not guards._belongs(place, "/tmp/wor")
    (place / "environ").write_bytes(b"")
    assert not guards._belongs(place, "/tmp/work")
    (place / "cmdline").write_bytes(b"ray::DashboardAgent")
    assert guards._belongs(place, "/tmp/work")
    assert not guards._belongs(place, "/tmp/other")
