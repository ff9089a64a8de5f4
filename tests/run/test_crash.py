"""Killed with SIGKILL at random moments and resumed: the bytes of an uninterrupted run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_killed_and_resumed_runs_give_the_same_bytes(clip: Path, repository: Path) -> None:
    """The full bar is the same script with ``--kills 20``."""
    script = repository / "benchmarks" / "crash.py"
    command = [sys.executable, str(script), str(clip), "--kills", "4", "--segment-frames", "20", "--ways", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kills: byte-identical, nothing left over" in done.stdout
