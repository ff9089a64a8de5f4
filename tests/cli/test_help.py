"""What ``--help`` prints; that docs/reference/commands.md has it is for tests/test_documentation.py."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.cli.main import COMMANDS

CALLS = [["--help"], *([command, "--help"] for command in COMMANDS)]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_help_is_code_0_and_fits_a_narrow_terminal(
    cli: Callable[..., Any], call: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    ran = cli(*call)
    assert ran.code == 0 and not ran.err
    assert max(map(len, ran.out.splitlines())) <= 100


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_help_follows_the_width_of_the_terminal(
    cli: Callable[..., Any], call: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    narrow = cli(*call).out
    assert max(map(len, narrow.splitlines())) <= 60
    monkeypatch.setenv("COLUMNS", "200")
    assert narrow.split() == cli(*call).out.split(), "the same words, whatever the width"


def test_the_documentation_names_every_option_and_exit_code(repository: Path, cli: Callable[..., Any]) -> None:
    text = (repository / "docs" / "cli.md").read_text()
    options = {word.strip(",;") for word in cli("upscale", "--help").out.split() if word.startswith("--")}
    assert not {option for option in options if option not in text}
    for code in (0, 2, 3, 4, 5, 70, 130):
        assert f"| {code} " in text


def test_the_installed_command_answers(repository: Path) -> None:
    """A process of its own, as a user starts it; the bound is generous, a loaded machine must not fail the suite."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "limpid", "upscale", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
    )
    assert done.returncode == 0 and "limpid upscale INPUT" in done.stdout
    assert time.perf_counter() - start < 30


def test_a_closed_pipe_is_no_error(repository: Path) -> None:
    script = f"{sys.executable} -m limpid upscale --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(repository / "src")},
    )
    assert done.returncode in (0, 141) and not done.stderr
