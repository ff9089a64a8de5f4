"""What reaches the terminal (kind I), and how commands end that are stopped (kind L)."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limpid.bounded import one_line, printable
from limpid.cli.main import complain, explain
from limpid.cli.terminal import EscapedStream, below, escaping
from limpid.types import InputError

BAD = ["\x1b]0;title\x07", "\x1b[2J", "\x9b31m", "\r", "\x08", "\x00", "\x7f", "\u202egnp.exe", "\u2066", "\u2028"]


@pytest.mark.parametrize("text", BAD)
def test_control_characters_are_escaped_once(text: str) -> None:
    stream = io.StringIO()
    EscapedStream(stream).write(f"a{text}b\n")
    said = stream.getvalue()
    assert said.endswith("b\n") and text not in said and said == printable(said)
    assert said == f"{one_line(f'a{text}b')}\n"


def test_lines_tabs_and_letters_stay() -> None:
    assert printable("a\n\tb \u00e9\u65e5 \U0001f600") == "a\n\tb \u00e9\u65e5 \U0001f600"
    assert one_line("a\nb") == "a\\nb"


def test_everything_printed_in_a_command_goes_through(capsys: pytest.CaptureFixture[str]) -> None:
    with escaping():
        print("out \x1b[2J")
        print("err \x1b[2J", file=sys.stderr)
        complain("one\n\x1btwo", 3)
        assert below(sys.stderr) is not sys.stderr
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert err.splitlines() == ["err \\x1b[2J", "limpid: one\\n\\x1btwo"]


def test_errors_are_one_line_that_is_not_endless() -> None:
    sentence, code = explain(InputError("x" * 100_000))
    assert len(sentence) <= 2000 and code == 3


@pytest.mark.parametrize("number", ["EFBIG", "ENOENT", "ENOTDIR", "ELOOP", "EDQUOT", "EROFS", "ESTALE", "EBUSY"])
def test_what_a_system_refuses_is_no_defect(number: str) -> None:
    import errno

    code = getattr(errno, number)
    assert explain(OSError(code, os.strerror(code), "/some/file"))[1] == 4


def test_names_of_files_are_escaped(cli: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("\x1b[2J.mp4", "a\nb.mp4", "\u202e.mp4"):
        ran = cli("probe", tmp_path / name)
        assert ran.code == 3 and "\x1b" not in ran.err and ran.err.count("\n") == 1


def test_events_as_json_are_right(cli: Callable[..., Any], fake: Any, film: Path) -> None:
    ran = cli("upscale", film, "--json")
    assert all(json.loads(line) for line in ran.out.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_the_work_begins_ends_like_any_other(number: signal.Signals) -> None:
    code = f"""
import os, signal, sys
import limpid.cli.main as main
def early(arguments):
    os.kill(os.getpid(), {int(number)})
    os.kill(os.getpid(), {int(number)})
    return 0
main._dispatch = early
sys.argv = ["limpid", "probe"]
main.run()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130 and "stopped" in done.stderr


def test_a_package_that_is_missing_is_named() -> None:
    from limpid.cli.main import explain

    sentence, code = explain(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert (
        code == 2 and sentence.startswith("torch.nn is not installed here: ") and "pip install limpid-video" in sentence
    )
    assert explain(ModuleNotFoundError("no", name="limpid.nothing"))[1] == 70
