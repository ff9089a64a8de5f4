"""Parts of the server by themselves: words of a command line, what processes tell, hosts, pairs of pictures."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import media
import numpy as np
import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st
from serving import HOST

from limpid.cli.options import given_settings
from limpid.cli.parser import parse
from limpid.cli.upscale import make_parser
from limpid.serve.arguments import chosen, command_line, upscale_words
from limpid.serve.config import ServeConfig
from limpid.serve.guard import Guard, host_name
from limpid.serve.tokens import Tokens
from limpid.serve.told import Tail, Told
from limpid.settings import Settings

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "scale": st.floats(0.01, 16),
    "crf": st.integers(0, 51),
    "seed": st.integers(0, 2**63 - 1),
    "strength": st.floats(0.01, 1),
    "prompt": st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20),
    "method": st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=9),
    "fps": st.fractions(min_value=1, max_value=900, max_denominator=1001).map(str),
    "detect_cuts": st.booleans(),
    "compile": st.booleans(),
    "dtype": st.sampled_from(["auto", "float32", "bfloat16"]),
    "preview": st.just("0-2"),
}
some_settings = st.fixed_dictionaries({}, optional=VALUES).map(Settings.from_dict)


@given(some_settings)
def test_the_words_shown_give_the_same_settings(settings: Settings) -> None:
    words = upscale_words("/in/a.mp4", "/out/b.mp4", settings, overwrite=True)
    options = parse(make_parser(), words[1:])
    assert Settings().replace(**given_settings(options)) == settings
    assert (options.names, options.overwrite) == (["/in/a.mp4", "/out/b.mp4"], True)


@given(some_settings)
def test_what_is_kept_of_settings_gives_them_again(settings: Settings) -> None:
    assert Settings.from_dict(json.loads(json.dumps(chosen(settings)))) == settings


def test_a_shell_reads_the_line_as_it_was_meant() -> None:
    line = command_line(["upscale", "/a b/$(rm -rf x)'.mp4"])
    said = subprocess.run(["sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["limpid", "upscale", "/a b/$(rm -rf x)'.mp4"]


def test_a_tail_reads_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    path.write_bytes(b'{"a": 1}\nno json\n[1]\n{"b"')
    assert tail.read() == [{"a": 1}]
    assert tail.read() == []
    with path.open("ab") as file:
        file.write(b": 2}\n")
    assert tail.read() == [{"b": 2}]
    assert tail.is_at_end()


def test_a_line_without_end_does_not_stop_the_reading(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * (3 << 20) + b'\n{"a": 1}\n')
    tail, found = Tail(tmp_path / "x"), []
    for _ in range(6):
        found += tail.read()
    assert found == [{"a": 1}]


@given(
    st.dictionaries(st.text(max_size=9), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
)
def test_whatever_is_told_is_taken(event: dict[str, Any]) -> None:
    for name in ("stage", "progress", "clip", "plan", "segment", "resume", "note", "error", "done", "nix"):
        told = Told({})
        told.take({**event, "event": name})
        json.dumps(told.facts)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("LocalHost:8765", "localhost"),
        ("[::1]:1", "::1"),
        ("a.b", "a.b"),
        ("a@b", None),
        ("a/b", None),
        ("a:x", None),
        ("", None),
    ],
)
def test_names_in_host_headers(host: str, name: str | None) -> None:
    assert host_name(host) == name


def test_who_listens_everywhere_answers_to_addresses_and_own_names_only(tmp_path: Path) -> None:
    async def nothing(*_: Any) -> None: ...

    config = ServeConfig(state=tmp_path, host="0.0.0.0", token="x" * 20, hosts=frozenset({"films.lan"}))
    guard = Guard(nothing, config, Tokens("x" * 20, 10))
    assert all(map(guard._is_ours, ("192.168.1.5", "films.lan", "localhost", socket.gethostname().lower())))
    assert not guard._is_ours("evil.example")
    assert guard._origins("films.lan") == {"http://films.lan", "https://films.lan"}  # behind a proxy
    assert guard._origins("192.168.1.5:8765") == {"http://192.168.1.5:8765"}


def test_https(tmp_path: Path, films: Path) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    try:
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    files = {"certfile": tmp_path / "cert.pem", "keyfile": tmp_path / "key.pem", "token": "t" * 20}
    with serving.running_server(serving.fake_config(tmp_path / "state", films, **files)) as client:
        context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        context.check_hostname = False
        plug = socket.socket(socket.AF_UNIX)
        plug.connect(str(client.path.relative_to(Path.cwd())))
        with context.wrap_socket(plug) as safe:
            body = b'{"token": "' + b"t" * 20 + b'"}'
            head = f"POST /api/v1/session HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://{HOST}\r\nConnection: close\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            safe.sendall(head.encode() + body)
            said = safe.recv(65536).decode().lower()
    assert said.startswith("http/1.1 204")
    assert "; secure" in said


def test_input_and_result_are_paired_frame_by_frame(tmp_path: Path) -> None:
    """A result that begins with frame 5 of the input, twice as large; each frame has a shade of its own."""
    from limpid.serve.pictures import comparison
    from limpid.serve.pictures_asked import PicturesAsked

    def shade(index: int, width: int) -> np.ndarray:
        return np.full((width * 3 // 4, width, 3), 10 + 20 * index, np.uint8)

    source = media.make_video(tmp_path / "a.mkv", width=64, height=48, frames=10, draw=lambda n: shade(n, 64))
    result = media.make_video(tmp_path / "b.mkv", width=128, height=96, frames=4, draw=lambda n: shade(n + 5, 128))
    folder = tmp_path / "job" / "new"
    folder.mkdir(parents=True)
    asked = PicturesAsked(folder=str(folder), input=str(source), result=str(result), first=5, start_s=0.04)
    about = comparison(asked)
    assert (about["frames"], about["first_frame"], about["width"], about["whole"]) == (3, 1, 128, False)
    import cv2

    before, after = (cv2.imread(str(folder / f"{name}.png")) for name in ("before", "after"))
    assert before.shape == after.shape == (96, 128, 3)
    assert abs(before.mean() - after.mean()) < 4
    assert abs(after.mean() - (10 + 20 * (about["stills"]["frame"] + 6))) < 6
    assert (folder / "video.mp4").stat().st_size > 500
    assert (tmp_path / "job" / "scan.json").is_file()
