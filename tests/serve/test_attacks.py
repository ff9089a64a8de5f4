"""Attacks: each is refused with a status and a sentence, and nothing happens."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from urllib.parse import quote

import pytest
import serving
from serving import HOST, Client, film

TOKEN = "a-token-of-enough-characters"


# ------------------------------------------------------------------------------------------------ traversal


OUTSIDE = [
    *("/etc/passwd", "/etc", "/dev", "/proc/self/root/etc", "relative", "~"),
    *("{root}/../secret", "{root}/sub/../../secret", "{root}/..\\secret", "{root}/a\x00b"),
    *("{root}/link/secret.mp4", "{root}/link", "{root}/.hidden"),
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_outside_of_the_roots_do_not_exist(client: Client, films: Path, path: str) -> None:
    secret = films.parent / "secret"
    secret.mkdir()
    film(secret / "secret.mp4")
    film(films / ".hidden" / "a.mp4")
    (films / "sub").mkdir()
    (films / "link").symlink_to(secret)
    named = path.replace("{root}", str(films))
    for answer in (
        client.get(f"/files?path={quote(named)}"),
        client.get(f"/files/picture?path={quote(named)}"),
        client.post("/jobs", {"input": named}),
        client.post("/jobs", {"input": film(films / "a.mp4"), "output": named + "/out.mp4"}),
        client.post("/watches", {"folder": named, "output_folder": named}),
    ):
        assert answer.status in (400, 403, 404), answer.body
        assert answer.message


def test_encoded_dots_lead_nowhere_else(client: Client, films: Path) -> None:
    film(films.parent / "secret" / "a.mp4")
    for dots in ("%2e%2e", "..", "%2E.", "%252e%252e"):
        answer = client.get(f"/files?path={films}/{dots}/secret")
        assert answer.status in (403, 404), answer.body


def test_devices_and_pipes_are_no_inputs(client: Client, films: Path) -> None:
    os.mkfifo(films / "pipe.mp4")
    answer = client.post("/jobs", {"input": str(films / "pipe.mp4")})
    assert (answer.status, answer.code) == (403, "outside")
    assert client.get(f"/files?path={films}").json["entries"] == []


def test_files_among_the_settings_must_lie_inside(client: Client, films: Path) -> None:
    source = film(films / "a.mp4")
    for settings in (
        {"weights": "/etc/passwd"},
        {"prompts": "/etc/passwd"},
        {"caption_model": "../../x"},
        {"weights": "x"},
    ):
        assert client.post("/check", {"input": source, "settings": settings}).code == "outside"


def test_a_result_that_became_a_link_is_not_sent(client: Client, films: Path) -> None:
    job = client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"]
    client.wait(job)
    (films / "a_x4.mp4").unlink()
    (films / "a_x4.mp4").symlink_to("/etc/passwd")
    assert client.get(f"/jobs/{job}/result").code == "outside"


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"]
)
def test_the_page_has_no_way_out_of_its_folder(client: Client, path: str) -> None:
    assert client.get(f"/static/{path}").status in (400, 404)


def test_pictures_have_plain_names(client: Client, films: Path) -> None:
    job = client.post("/jobs", {"input": film(films / "a.mp4")}).json["id"]
    for name in ("about.json", "..%2flog.txt", "%2e%2e", "../lock"):
        assert client.get(f"/jobs/{job}/comparison/{name}").status == 404
    client.wait(job)


# ----------------------------------------------------------------------------------------- Host, Origin, token


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost@evil", "", None]
)
def test_other_names_of_the_server_are_refused(client: Client, host: str | None) -> None:
    answer = client.get("/health", Host=host)
    assert answer.status in (400, 421), answer.body


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8765", "http://127.0.0.1:9999"])
def test_pages_from_elsewhere_are_refused(client: Client, films: Path, origin: str) -> None:
    answer = client.post("/jobs", {"input": film(films / "a.mp4")}, Origin=origin)
    assert (answer.status, answer.code) == (403, "origin")
    assert client.get("/jobs", Origin=origin).code == "origin"
    assert client.get("/jobs", Sec_Fetch_Site="cross-site").code == "origin"
    assert client.get("/jobs").json["total"] == 0
    assert client.get("/health", Origin=f"http://{HOST}").status == 200
    assert "access-control-allow-origin" not in client.get("/health").headers


def test_forms_of_other_pages_cannot_post(client: Client, films: Path) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
        answer = client.post("/jobs", {"input": film(films / "a.mp4")}, Content_Type=kind)
        assert (answer.status, answer.code) == (415, "media_type")


def test_a_token_is_needed_and_is_not_guessed(tmp_path: Path, films: Path) -> None:
    config = serving.fake_config(tmp_path / "state", films, token=TOKEN)
    with serving.running_server(config) as client:
        assert client.get("/health").json["authenticated"] is False
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": TOKEN},
            {"Cookie": "limpid_session=x"},
        ):
            answer = client.get("/jobs", **headers)
            assert (answer.status, answer.code) == (401, "token")
        assert client.get("/jobs", Authorization=f"Bearer {TOKEN}").status == 200
        assert client.get("/").status == 200
        logged_in = client.post("/session", {"token": TOKEN})
        cookie = logged_in.headers["set-cookie"]
        assert logged_in.status == 204
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        assert client.get("/jobs", Cookie=cookie.split(";")[0]).status == 200
        found = [client.post("/session", {"token": f"guess {n}"}).status for n in range(12)]
        assert found[0] == 401
        assert found[-1] == 429
        assert client.get("/jobs", Cookie=cookie.split(";")[0]).status == 200


# --------------------------------------------------------------------------------------------- bodies, floods


def test_bodies_that_are_too_large_are_not_read(client: Client) -> None:
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n".encode()
    declared = client.raw(head + b"Content-Length: 99999999999\r\n\r\n")
    assert declared.startswith(b"HTTP/1.1 413")
    for number in (b"-1", b"1e3", b"\xb2", b"9" * 5000):
        assert client.raw(head + b"Content-Length: " + number + b"\r\n\r\n")[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 413")


def test_endless_bodies_end(tmp_path: Path, films: Path) -> None:
    limits = {"json_bytes": 1000, "body_s": 0.3}
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    with serving.running_server(serving.fake_config(tmp_path / "state", films, limits=limits)) as client:
        chunked = (head + "Transfer-Encoding: chunked\r\n\r\n").encode() + b"100\r\n" + b"x" * 256 + b"\r\n"
        assert client.raw(chunked + (b"100\r\n" + b"x" * 256 + b"\r\n") * 8).startswith(b"HTTP/1.1 413")
        assert client.raw((head + "Content-Length: 100\r\n\r\n{").encode()).startswith(b"HTTP/1.1 408")


NO_REQUESTS = [
    *(b"[" * 100_000, b'{"input": ' + b"9" * 50_000 + b"}", b'{"input": "\\ud800"}'),
    *(b"\xff", b"NaN", b'{"settings": {"crf": NaN}}'),
]


@pytest.mark.parametrize("body", NO_REQUESTS)
def test_bodies_that_are_no_request_are_refused(client: Client, body: bytes) -> None:
    answer = client.call("POST", "/jobs", body, {"Content-Type": "application/json"})
    assert answer.status == 400, answer.body
    assert answer.message


def test_open_streams_are_limited(tmp_path: Path, films: Path) -> None:
    with serving.running_server(serving.fake_config(tmp_path / "state", films, limits={"streams": 2})) as client:
        with client.events() as one, client.events() as two:
            assert (one.next()[0], two.next()[0]) == ("hello", "hello")
            third = client.get("/events")
            assert (third.status, third.code, third.headers["retry-after"]) == (503, "busy", "5")
        serving.until(lambda: "limpid_event_streams 0" in client.get("/metrics").body.decode())
        with client.events() as again:
            assert again.next()[0] == "hello"


def test_jobs_are_limited(tmp_path: Path, films: Path) -> None:
    with serving.running_server(serving.fake_config(tmp_path / "state", films, limits={"jobs": 1})) as client:
        client.patch("/queue", {"paused": True})
        assert client.post("/jobs", {"input": film(films / "a.mp4")}).status == 201
        assert client.post("/jobs", {"input": film(films / "b.mp4")}).status == 429


# -------------------------------------------------------------------------------------- names, headers, logs

NASTY = '<img src=x onerror="alert(1)">\'%0d%0a.mp4'


def test_names_with_markup_and_headers_stay_names(client: Client, films: Path) -> None:
    source = film(films / NASTY)
    job = client.post("/jobs", {"input": source}).json["id"]
    client.wait(job)
    sent = client.get(f"/jobs/{job}/result?download=true")
    assert sent.status == 200
    assert "<" not in sent.headers["content-disposition"]
    assert sent.headers["content-type"] == "video/mp4"
    for answer in (sent, client.get(f"/jobs/{job}"), client.get("/")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert client.get(f"/jobs/{job}").headers["content-type"] == "application/json"


def test_line_breaks_in_names_do_not_become_headers_or_lines(
    client: Client, films: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = "a\r\nSet-Cookie: x=1\r\n\x1b[31m.mp4"
    job = client.post("/jobs", {"input": film(films / name, fail="broken\nlimpid: all is well")}).json["id"]
    failed = client.wait(job, "failed")
    assert "\n" not in failed["error"]["message"]
    done = client.post("/jobs", {"input": film(films / ("b" + name))}).json["id"]
    client.wait(done)
    sent = client.get(f"/jobs/{done}/result?download=true")
    assert "set-cookie" not in sent.headers
    with caplog.at_level(logging.DEBUG):
        client.raw(b"GET /api/v1/jobs/x%0d%0aforged HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n\r\n")
        client.raw(b"GET /api/v1/jobs HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nX: a\r\n forged\r\n\r\n")
    assert not [record for record in caplog.records if "\n" in record.getMessage() and "forged" in record.getMessage()]


def test_results_of_other_kinds_are_not_run_by_browsers() -> None:
    from limpid.serve.views import media_type

    for name in ("a.html", "a.svg", "a.js", "a.pdf", "a"):
        assert media_type(Path(name)) == "application/octet-stream"


def test_no_shell_anywhere() -> None:
    import limpid.serve

    for path in Path(limpid.serve.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert "shell=True" not in text
        assert "os.system" not in text


def test_errors_are_sentences_and_show_nothing_of_the_inside(client: Client) -> None:
    for method, path in [
        ("GET", "/nix"),
        ("PUT", "/jobs"),
        ("GET", "/jobs/nix"),
        ("POST", "/jobs/nix/cancel"),
        ("BREW", "/jobs"),
    ]:
        answer = client.call(method, path)
        assert answer.status in (404, 405), answer.body
        assert "Traceback" not in answer.message
