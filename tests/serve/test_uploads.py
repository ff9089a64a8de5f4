"""Uploads: pieces, going on after anything went wrong, limits, and nothing is ever written over."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
import serving
from serving import Client

DATA = json.dumps({"segments": 2, "padding": "x" * 3000}).encode()


def begin(client: Client, name: str = "a.mp4", size: int = len(DATA), **more: object) -> str:
    answer = client.post("/uploads", {"name": name, "size": size, **more})
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


def test_an_upload_in_pieces_becomes_an_input(client: Client) -> None:
    upload = begin(client)
    first = client.put(f"/uploads/{upload}?offset=0", DATA[:1000])
    assert (first.json["received"], first.json["state"], first.json["path"]) == (1000, "open", None)
    again = client.put(f"/uploads/{upload}?offset=0", DATA[:1000])
    assert (again.status, again.code, again.json["upload"]["received"]) == (409, "offset", 1000)
    whole = client.put(f"/uploads/{upload}?offset=1000", DATA[1000:]).json
    assert whole["state"] == "complete"
    assert Path(whole["path"]).read_bytes() == DATA
    job = client.post("/jobs", {"input": whole["path"]}).json["id"]
    assert Path(client.wait(job)["output"]).parent == Path(whole["path"]).parent
    assert client.put(f"/uploads/{upload}?offset={len(DATA)}", b"x").code == "offset"
    assert client.delete(f"/uploads/{upload}").status == 204
    assert not Path(whole["path"]).exists()
    assert Path(client.get(f"/jobs/{job}").json["output"]).exists()


def test_what_came_before_the_client_went_away_is_kept(client: Client) -> None:
    upload = begin(client)
    plug = socket.socket(socket.AF_UNIX)
    plug.connect(str(client.path.relative_to(Path.cwd())))
    head = f"PUT /api/v1/uploads/{upload}?offset=0 HTTP/1.1\r\nHost: {serving.HOST}\r\nContent-Length: {len(DATA)}\r\n"
    plug.sendall((head + "Content-Type: application/octet-stream\r\n\r\n").encode() + DATA[:700])
    folder = client.path.parent / "uploads" / upload
    serving.until(lambda: [part for part in folder.glob(".*.part") if part.stat().st_size == 700])
    assert client.put(f"/uploads/{upload}?offset=0", b"").code == "busy"
    plug.close()
    serving.until(lambda: client.get(f"/uploads/{upload}").json["received"] == 700)
    assert client.put(f"/uploads/{upload}?offset=700", DATA[700:]).json["state"] == "complete"


def test_uploads_go_on_after_the_server_was_started_again(tmp_path: Path, films: Path) -> None:
    config = serving.fake_config(tmp_path / "state", films)
    with serving.running_server(config) as client:
        upload = begin(client)
        client.put(f"/uploads/{upload}?offset=0", DATA[:10])
    part = next((config.state / "uploads" / upload).glob(".*.part"))
    with part.open("ab") as file:
        file.write(b"torn by a crash")
    with serving.running_server(config) as client:
        whole = client.put(f"/uploads/{upload}?offset=10", DATA[10:]).json
        assert Path(whole["path"]).read_bytes() == DATA


def test_a_crash_between_the_last_byte_and_the_note_of_it(client: Client) -> None:
    upload = begin(client)
    client.put(f"/uploads/{upload}?offset=0", DATA[:10])
    folder = client.path.parent / "uploads" / upload
    next(folder.glob(".*.part")).unlink()
    (folder / "a.mp4").write_bytes(DATA)
    answer = client.put(f"/uploads/{upload}?offset=10", DATA[10:])
    assert (answer.status, answer.json["upload"]["state"]) == (409, "complete")
    assert (folder / "a.mp4").read_bytes() == DATA


def test_an_upload_whose_file_was_deleted_begins_anew(client: Client) -> None:
    upload = begin(client)
    client.put(f"/uploads/{upload}?offset=0", DATA[:10])
    next((client.path.parent / "uploads" / upload).glob(".*.part")).unlink()
    answer = client.put(f"/uploads/{upload}?offset=10", DATA[10:])
    assert (answer.status, answer.json["upload"]["received"]) == (409, 0)
    whole = client.put(f"/uploads/{upload}?offset=0", DATA).json
    assert Path(whole["path"]).read_bytes() == DATA


def test_a_folder_of_images_is_one_batch(client: Client) -> None:
    for name in ("1.png", "2.png"):
        upload = begin(client, name, 3, batch="batch-0001", folder="frames")
        found = client.put(f"/uploads/{upload}?offset=0", b"abc").json
        assert Path(found["folder_path"]).name == "frames"
    taken = client.post("/uploads", {"name": "1.png", "size": 3, "batch": "batch-0001", "folder": "frames"})
    assert (taken.status, taken.code) == (409, "exists")
    assert sorted(path.name for path in Path(found["folder_path"]).iterdir()) == ["1.png", "2.png"]


def test_an_upload_is_begun_once_for_a_key_and_may_be_empty(client: Client) -> None:
    body = {"name": "a.mp4", "size": 0}
    first = client.post("/uploads", body, Idempotency_Key="k")
    again = client.post("/uploads", body, Idempotency_Key="k")
    assert (first.status, first.json["state"]) == (201, "complete")
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert len(client.get("/uploads").json["uploads"]) == 1


ELSEWHERE = [
    *("../a.mp4", "/etc/a.mp4", "a/b.mp4", "a\\b.mp4", ".a.mp4", "a.mp4 ", "a" * 250 + ".mp4"),
    *("a\nb.mp4", "a\x00.mp4", "\u202e.mp4"),
]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_that_lead_elsewhere_are_refused(client: Client, name: str) -> None:
    answer = client.post("/uploads", {"name": name, "size": 3})
    assert answer.status in (400, 422), answer.body
    assert answer.message


def test_what_is_no_film_is_refused(client: Client) -> None:
    for name in ("page.html", "a.mp4.exe", "a.svg", "a"):
        assert client.post("/uploads", {"name": name, "size": 3}).code == "input"


def test_sizes_and_counts_are_limited(tmp_path: Path, films: Path) -> None:
    limits = {"upload_bytes": 1000, "piece_bytes": 100, "open_uploads": 2}
    with serving.running_server(serving.fake_config(tmp_path / "state", films, limits=limits)) as client:
        assert client.post("/uploads", {"name": "a.mp4", "size": 1001}).code == "too_large"
        upload = begin(client, size=150)
        assert client.put(f"/uploads/{upload}?offset=0", b"x" * 101).status == 413
        client.put(f"/uploads/{upload}?offset=0", b"x" * 100)
        assert client.put(f"/uploads/{upload}?offset=100", b"x" * 51).status == 413
        begin(client, "b.mp4", size=10)
        assert client.post("/uploads", {"name": "c.mp4", "size": 1}).status == 429


def test_a_full_disk_is_told_before_and_while_it_fills(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    upload = begin(client)
    monkeypatch.setattr("limpid.serve.uploads.shutil.disk_usage", lambda path: usage._replace(free=100))
    refused = client.post("/uploads", {"name": "b.mp4", "size": 1000})
    assert (refused.status, refused.code) == (507, "disk")
    assert "free some disk space" in refused.message

    def full(file: int, piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("limpid.serve.uploads._write_all", full)
        assert client.put(f"/uploads/{upload}?offset=0", DATA).status == 507
    assert client.get(f"/uploads/{upload}").json["received"] == 0
    assert client.put(f"/uploads/{upload}?offset=0", DATA).json["state"] == "complete"
