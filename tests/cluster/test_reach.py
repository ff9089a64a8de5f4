"""What listens at an address is found out in seconds: a Ray cluster, something else, or something that says nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from limpid.cluster import reach
from limpid.types import ResourceError

Listen = Callable[[Callable[[socket.socket], None]], str]
SETTINGS = bytes((0, 0, 6, 4, 0, 0, 0, 0, 0)) + bytes(6)


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Makes an address at which something does this with whoever comes; no network is touched."""
    threads: list[threading.Thread] = []

    def listen(answer: Callable[[socket.socket], None]) -> str:
        here, there = socket.socketpair()

        def serve() -> None:
            with there, contextlib.suppress(ConnectionError):
                answer(there)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        monkeypatch.setattr(socket, "create_connection", lambda place, seconds: here)
        return "head:6379"

    yield listen
    for thread in threads:
        thread.join()


def test_what_speaks_as_ray_does_is_let_through(listening: Listen) -> None:
    heard: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        heard.append(connection.recv(64))  # first: what is sent to an end that closes is not heard by it
        for part in (SETTINGS[:4], SETTINGS[4:]):
            connection.sendall(part)

    reach.check_address(listening(answer))
    assert b"".join(heard).startswith(b"PRI * HTTP/2.0")


def test_what_says_nothing_is_waited_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch, listening: Listen) -> None:
    def say_nothing(connection: socket.socket) -> None:
        while connection.recv(64):
            pass

    monkeypatch.setattr(reach, "LET_IN_S", 0.1)
    with pytest.raises(ResourceError, match=r"no Ray cluster answers at .* \(it says nothing within 0 s\)"):
        reach.check_address(listening(say_nothing))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak as Ray does"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak as Ray does"),
        (b"", "it closes the connection"),
        (bytes((21, 3, 1, 0, 2, 2, 70)), "it wants TLS: set RAY_USE_TLS=1"),
    ],
)
def test_what_is_something_else_is_named(said: bytes, sentence: str, listening: Listen) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(said)

    with pytest.raises(ResourceError, match=sentence):
        reach.check_address(listening(answer))


@pytest.mark.parametrize(
    ("address", "place"),
    [("10.0.0.1:6379", ("10.0.0.1", 6379)), ("[::1]:10001", ("::1", 10001)), ("ray://head:10001", ("head", 10001))],
)
def test_addresses(monkeypatch: pytest.MonkeyPatch, address: str, place: tuple[str, int]) -> None:
    asked = []
    monkeypatch.setattr(reach, "_greet", lambda host, port: asked.append((host, port)))
    reach.check_address(address)
    assert asked == [place]


@pytest.mark.parametrize("address", ["auto", "head", "head:", "head:99999", ":6379"])
def test_what_is_no_host_and_port_is_left_to_ray(address: str) -> None:
    reach.check_address(address)


def test_tls_without_certificates_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listening: Listen) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_TLS_CA_CERT", str(tmp_path / "none.crt"))
    with pytest.raises(ResourceError, match=r"RAY_USE_TLS is set, but RAY_TLS_CA_CERT names no file"):
        reach.check_address(listening(lambda connection: None))
