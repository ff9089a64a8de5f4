"""``limpid serve`` and ``limpid queue`` from the command line."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import HOST, Client, film

from limpid.cli.main import main
from limpid.serve.attending import Attendant
from limpid.serve.config import ServeConfig, is_loopback
from limpid.serve.running import make_config, page_address
from limpid.types import SettingsError


def config(tmp_path: Path, **changes: object) -> ServeConfig:
    plain = {"host": "127.0.0.1", "port": 1, "roots": [str(tmp_path)], "state": tmp_path / "state", "token": None}
    return make_config(**(plain | changes))  # type: ignore[arg-type]


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("limpid.cli.serve.find_spec", lambda name: None)
    assert main(["serve"]) == 2
    assert (
        capsys.readouterr().err == "limpid: limpid serve needs fastapi and uvicorn: pip install 'limpid-video[serve]'\n"
    )


def test_only_loopback_needs_no_token(tmp_path: Path) -> None:
    assert config(tmp_path).token is None
    made = config(tmp_path, host="0.0.0.0")
    assert made.token is not None
    assert len(made.token) >= 24
    assert page_address(made).endswith(f"#token={made.token}")
    assert config(tmp_path, host="0.0.0.0").token == made.token  # the same after a restart
    assert (tmp_path / "state" / "token").stat().st_mode & 0o077 == 0
    assert [is_loopback(host) for host in ("localhost", "127.0.0.9", "::1", "0.0.0.0", "example.org")] == [True] * 3 + [
        False
    ] * 2


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"token": "short"}, "--token"),
        ({"port": 70000}, "--port"),
        ({"roots": ["/nix/nowhere"]}, "--root"),
        ({"at_once": 0}, "--at-once"),
        ({"keyfile": "x"}, "--certfile"),
        ({"certfile": "/nix"}, "--certfile"),
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, object], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        config(tmp_path, **changes)


@pytest.fixture
def queue(client: Client, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``limpid queue``, whose connections lead to the server of the test."""

    def connect(self: http.client.HTTPConnection) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(os.path.relpath(client.path))

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect)
    return lambda *words: main(["queue", *words, "--server", f"http://{HOST}"])


def test_the_queue_from_the_command_line(
    queue, client: Client, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # type: ignore[no-untyped-def]
    client.patch("/queue", {"paused": True})
    source = film(films / "a.mp4")
    assert queue("add", source, str(films / "b.mp4"), "--crf", "30", "--json") == 0
    (job,) = json.loads(capsys.readouterr().out)
    assert (job["settings"], job["output"]) == ({"crf": 30}, str(films / "b.mp4"))
    assert queue("list") == 0
    assert capsys.readouterr().out == f"{job['id']}  queued     {source} -> {films}/b.mp4\n"
    assert queue("cancel", job["id"]) == 0
    assert client.state(job["id"]) == "cancelled"
    assert queue("list") == 0
    assert "cancelled" in capsys.readouterr().out
    assert queue("retry", job["id"]) == 0
    for words in (["cancel", "nix"], ["add", "/etc/passwd"], ["add"], ["brew"], ["cancel"]):
        assert queue(*words) in (1, 2)
        assert capsys.readouterr().err.startswith("limpid: ")


def test_no_server_is_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: http.client.HTTPConnection) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(http.client.HTTPConnection, "connect", refuse)
    assert main(["queue", "list"]) == 1
    assert "is limpid serve running there?" in capsys.readouterr().err


def test_the_server_loads_neither_torch_nor_codecs() -> None:
    heavy = ["torch", "av", "cv2", "numpy", "rich"]
    code = f"import sys, limpid.serve.running\nsys.exit([n for n in {heavy!r} if n in sys.modules] or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_line_loads_no_server() -> None:
    code = "import sys\nfrom limpid.cli.main import main\nmain(['serve', '--help'])\nsys.exit('fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_every_job_is_divided_where_the_owner_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks cannot choose it: tests/serve/test_jobs.py."""
    asked: list[str | None] = []
    monkeypatch.setattr("limpid.serve.running.check_cluster", asked.append)
    assert not config(tmp_path).divides
    made = config(tmp_path, workers="2", cluster="head:6379", mixed=True, wait_s=600)
    assert (made.workers, made.cluster, made.divides, asked) == ("2", "head:6379", True, ["head:6379"])
    row: Any = {"settings": '{"crf": 30}', "input": "/a.mp4", "output": "/b.mp4", "overwrite": 0, "kind": "upscale"}
    attendant = Attendant(config=made, database=None, hub=None)  # type: ignore[arg-type]
    words = attendant._command(row, None)
    assert {"--workers=2", "--cluster=head:6379", "--mixed", "--wait-s=600", "--crf=30", "--json"} <= set(words)
    with pytest.raises(SettingsError, match="workers"):
        config(tmp_path, workers="-1")
    with pytest.raises(SettingsError, match="mixed has no effect without workers"):
        config(tmp_path, mixed=True)
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *more: None)
    with pytest.raises(SettingsError, match=r"pip install 'limpid-video\[ray\]'"):
        config(tmp_path, workers="2")
