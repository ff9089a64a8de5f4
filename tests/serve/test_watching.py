"""Watch folders: with a server, and from the command line without one."""

from __future__ import annotations

from pathlib import Path

import bad_files
import pytest
import serving
from serving import Client, film

from limpid.cli.main import main
from limpid.serve.growing import GrowingFiles, set_apart


def test_only_files_that_stopped_growing_are_taken(tmp_path: Path) -> None:
    now = [0.0]
    growing = GrowingFiles(tmp_path, 10.0, clock=lambda: now[0])
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / ".b.mp4").write_bytes(b"x")
    (tmp_path / "c.txt").write_bytes(b"x")
    (tmp_path / "empty.mp4").touch()
    assert growing.settled() == []
    assert growing.waiting == 1
    now[0] = 9.0
    (tmp_path / "a.mp4").write_bytes(b"xy")
    assert growing.settled() == []
    now[0] = 18.0
    assert growing.settled() == []
    now[0] = 19.0
    assert [path.name for path, _ in growing.settled()] == ["a.mp4"]
    assert growing.waiting == 0


def test_what_failed_is_set_apart_and_nothing_is_written_over(tmp_path: Path) -> None:
    for content in ("one", "two"):
        (tmp_path / "a.mp4").write_text(content)
        set_apart(tmp_path / "a.mp4", f"no film: {content}")
    assert (tmp_path / "failed" / "a.mp4").read_text() == "one"
    assert (tmp_path / "failed" / "a-1.mp4").read_text() == "two"
    assert (tmp_path / "failed" / "a-1.mp4.txt").read_text() == "no film: two\n"


def test_a_server_watches(client: Client, films: Path) -> None:
    source, target = films / "in", films / "out"
    source.mkdir()
    target.mkdir()
    body = {"folder": str(source), "output_folder": str(target), "settings": {"scale": 2}}
    watch = client.post("/watches", body)
    assert watch.status == 201, watch.body
    assert client.post("/watches", body).code == "exists"
    film(source / "good.mp4")
    film(source / "bad.mp4", fail="no frames")
    serving.until(lambda: (target / "good_x2.mp4").exists() and (source / "failed" / "bad.mp4.txt").exists())
    assert (source / "failed" / "bad.mp4.txt").read_text() == "no frames\n"
    found = serving.until(lambda: (w := client.get("/watches").json["watches"][0])["made"] and w)
    assert (found["made"], found["failed"], found["error"]) == (1, 1, None)
    assert (target / "good_x2.mp4.made").read_text() == "made\n"
    assert client.patch(f"/watches/{watch.json['id']}", {"paused": True}).json["paused"]
    assert client.delete(f"/watches/{watch.json['id']}").status == 204
    assert client.get("/watches").json["watches"] == []


def test_a_watched_folder_does_not_hold_its_results(client: Client, films: Path) -> None:
    (films / "out").mkdir()
    answer = client.post("/watches", {"folder": str(films), "output_folder": str(films / "out")})
    assert (answer.status, answer.code) == (422, "output")


def test_the_command_line_watches_without_a_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    bad_files.video(source / "a.mp4", frames=2)
    (source / "b.mp4").write_bytes(b"no film at all")
    words = [str(source), str(target), "--once", "--settle=0", "--scale=1", "-q"]
    assert main(["watch", *words]) == 0
    assert (target / "a_x1.mp4").is_file()
    assert (source / "a.mp4").is_file()
    assert (source / "failed" / "b.mp4").is_file()
    assert "failed" in capsys.readouterr().err
    assert main(["watch", *words]) == 0


@pytest.mark.parametrize("words", [[], ["in"], ["nix", "out"], ["in", "in/out"], ["in", "out", "--settle=-1"]])
def test_folders_that_cannot_be_watched(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    assert main(["watch", *words]) in (2, 3)
    assert capsys.readouterr().err.startswith("limpid: ")
