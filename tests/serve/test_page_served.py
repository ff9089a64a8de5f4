"""The page over HTTP: its files with their kinds, the player's modules, and nothing that is no file of the page."""

from __future__ import annotations

import re
from pathlib import Path

import serving


def test_the_page_and_every_file_that_it_names_are_there(client: serving.Client) -> None:
    page = client.get("/")
    assert page.status == 200 and page.headers["content-type"].startswith("text/html")
    names = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.body.decode())
    kinds = {name: client.get(name).headers["content-type"].split(";")[0] for name in names}
    assert {kinds[name] for name in names if name.endswith(".js")} == {"text/javascript"}
    assert {kinds[name] for name in names if name.endswith(".css")} == {"text/css"}


def test_the_player_is_handed_out_without_its_python(client: serving.Client) -> None:
    assert client.get("/static/viewer/player.js").status == 200
    assert client.get("/static/viewer/__init__.py").status == 404
    assert client.get("/static/../app.py").status == 404


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(client: serving.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


def test_a_file_without_a_picture_has_none_which_is_no_error(client: serving.Client, films: Path) -> None:
    (films / "empty.mp4").write_bytes(b"")
    for name in ("empty.mp4", "gone.mp4"):
        assert client.get(f"/files/picture?path={films / name}").status == 204
    assert client.get("/files/picture?path=/etc/passwd").status == 403
