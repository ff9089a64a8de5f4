"""Downloads go on where they stopped, and nothing wrong is kept. The server is on this machine."""

from __future__ import annotations

import _socket
import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from limpid.checkpoints.fetch import fetch, fetch_file
from limpid.checkpoints.manifest import ENTRIES, Entry, File
from limpid.types import WeightsError

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """A server that may break off after some bytes, ignore ranges, or have another version of the file."""

    address: str = ""
    stop_after: int | None = None
    ranges: bool = True
    tag: str = '"v1"'
    content: bytes = CONTENT
    asked: list[str | None] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        if handler.path.endswith("missing"):
            handler.send_error(404)
            return
        valid = self.ranges and wanted is not None and handler.headers.get("If-Range") == self.tag
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if valid and wanted else 0
        if start >= len(self.content):
            handler.send_error(416)
            return
        handler.send_response(206 if valid else 200)
        handler.send_header("Content-Length", str(len(self.content) - start))
        handler.send_header("ETag", self.tag)
        handler.end_headers()
        handler.wfile.write(self.content[start : self.stop_after])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, *_: Any) -> None:
            return None

    def connect(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1"
        return _socket.socket.connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


def wanted(site: Site, **changes: Any) -> File:
    facts = {"name": "sub/w.pt", "role": "denoiser", "url": f"{site.address}/w.pt", "size": 10240, "sha256": SHA256}
    return File(**{**facts, **changes})


def test_a_download_with_progress(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    path = fetch_file(wanted(site), tmp_path, lambda *event: seen.append(event))
    assert path == tmp_path / "sub" / "w.pt" and path.read_bytes() == CONTENT
    assert seen[-1] == ("sub/w.pt", 10240, 10240)
    assert [file.name for file in path.parent.iterdir()] == ["w.pt"]
    fetch_file(wanted(site), tmp_path)
    assert len(site.asked) == 1, "a file that is here is not fetched again"


def test_it_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.stop_after = 4000
    with pytest.raises(WeightsError, match="4000 of 10240"):
        fetch_file(wanted(site), tmp_path)
    assert not (tmp_path / "sub" / "w.pt").exists()
    site.stop_after = None
    assert fetch_file(wanted(site), tmp_path).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=4000-"]


@pytest.mark.parametrize("change", ["no ranges", "another version"])
def test_it_begins_anew_when_it_must(site: Site, tmp_path: Path, change: str) -> None:
    site.stop_after, site.content = 4000, b"x" * 10240
    with pytest.raises(WeightsError):
        fetch_file(wanted(site, sha256=None), tmp_path)
    site.stop_after, site.content = None, CONTENT
    site.ranges = change != "no ranges"
    site.tag = '"v2"'
    assert fetch_file(wanted(site), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_fetched_again(site: Site, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "w.pt.part").write_bytes(CONTENT)
    (tmp_path / "sub" / "w.pt.part.tag").write_text(site.tag)
    assert fetch_file(wanted(site), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"sha256": "00ff"}, "sha256"), ({"size": 3}, "bytes instead of 3")],
)
def test_a_wrong_file_is_not_kept(site: Site, tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(WeightsError, match=words):
        fetch_file(wanted(site, **changes), tmp_path)
    assert not list(tmp_path.rglob("*.p*"))


def test_a_web_page_is_not_a_checkpoint(site: Site, tmp_path: Path) -> None:
    site.content = b"<!DOCTYPE html><title>Sign in</title>"
    with pytest.raises(WeightsError, match="web page"):
        fetch_file(wanted(site, size=None, sha256=None), tmp_path)


def test_addresses_that_do_not_work(site: Site, tmp_path: Path) -> None:
    for url, words in {
        f"{site.address}/missing": "404",
        (tmp_path / "nothing").as_uri(): "No such file",
        "ftp://127.0.0.1/x": "not an address",
        None: "no address",
    }.items():
        with pytest.raises(WeightsError, match=words):
            fetch_file(wanted(site, url=url), tmp_path)


def test_what_serves_as_well_and_what_is_not_needed(site: Site, tmp_path: Path) -> None:
    def entry(**changes: Any) -> Entry:
        file = File(name="a/missing", role="x", url=f"{site.address}/a/missing", **changes)
        return Entry(name="x", title="x", page="x", licence="x", files=(file,))

    assert fetch(entry(instead="a/w.bin"), tmp_path) == [tmp_path / "a" / "w.bin"]
    assert fetch(entry(needed=False), tmp_path) == []
    with pytest.raises(WeightsError, match="404"):
        fetch(entry(), tmp_path)


def test_files_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(CONTENT)
    file = File(name="w.pt", role="x", url=(tmp_path / "there").as_uri(), sha256=SHA256[:8])
    entry = Entry(name="x", title="x", page="x", licence="x", files=(file,))
    assert [path.read_bytes() for path in fetch(entry, tmp_path / "to")] == [CONTENT]


def test_what_is_fetched_by_hand_says_how() -> None:
    with pytest.raises(WeightsError, match=r"drive\.google|browser"):
        fetch(ENTRIES["upscale-a-video"], Path("nowhere"))
