"""A server on a socket of the file system, with `fake_limpid` behind it, and a client that speaks plain HTTP to it.

No test connects to an address of the network. As a program (``python serving.py SOCKET STATE ROOT [JSON]``) it is a
server that can be killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from limpid.serve.config import ServeConfig, ServeLimits

HERE = Path(__file__).parent
FAKE = (sys.executable, str(HERE / "fake_limpid.py"))
HOST = "127.0.0.1:8765"
PATIENCE_S = 30.0
"""After this a test fails; nothing waits that long when all is well."""


def fake_config(state: Path, root: Path, **changes: Any) -> ServeConfig:
    state.mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    limits = ServeLimits(reserve_bytes=0, **changes.pop("limits", {}))
    plain = {"command": FAKE, "advisor": (), "tick_s": 0.02, "grace_s": 5.0, "settle_s": 0.0, "at_once": 1}
    return ServeConfig(state=state.resolve(), roots=(root.resolve(),), limits=limits, **(plain | changes))


def film(path: Path, **told: Any) -> str:
    """An input of the fake engine; see there what can be told to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))
    return str(path.resolve())


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(os.path.relpath(self.path))  # names of sockets are short


class Client:
    """Calls paths of the interface; each request is a connection of its own."""

    def __init__(self, path: Path, headers: dict[str, str] | None = None) -> None:
        self.path, self.headers = path, headers or {}

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str | None] | None = None) -> Answer:
        sent: dict[str, str | None] = {"Host": HOST, **self.headers}
        if isinstance(body, bytes):
            data, sent["Content-Type"] = body, "application/octet-stream"
        elif body is not None:
            data, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        else:
            data = None
        sent |= headers or {}
        connection = _Connection(self.path)
        try:
            target = (
                path if path.startswith(("/api", "/static", "/docs", "/openapi")) or path == "/" else f"/api/v1{path}"
            )
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            found = connection.getresponse()
            return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.call("GET", path, headers=_header_names(headers))

    def post(self, path: str, body: Any = None, **headers: str | None) -> Answer:
        return self.call("POST", path, body, _header_names(headers))

    def put(self, path: str, body: Any = None, **headers: str | None) -> Answer:
        return self.call("PUT", path, body, _header_names(headers))

    def patch(self, path: str, body: Any) -> Answer:
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)

    def raw(self, data: bytes, *, read_s: float = PATIENCE_S) -> bytes:
        """What comes back for exactly these bytes, until the server closes or has answered once."""
        plug = socket.socket(socket.AF_UNIX)
        plug.settimeout(read_s)
        with contextlib.closing(plug):
            plug.connect(os.path.relpath(self.path))
            plug.sendall(data)
            found = b""
            while b"\r\n\r\n" not in found and (part := plug.recv(65536)):
                found += part
            return found

    def state(self, job: str) -> str:
        return str(self.get(f"/jobs/{job}").json["state"])

    def wait(self, job: str, *states: str) -> dict[str, Any]:
        """The job, once it is in one of these states."""
        return until(lambda: (found := self.get(f"/jobs/{job}").json)["state"] in (states or ("done",)) and found)

    @contextlib.contextmanager
    def events(self, path: str = "/events", **headers: str) -> Iterator[Events]:
        connection = _Connection(self.path)
        connection.putrequest("GET", f"/api/v1{path}", skip_host=True)
        for name, value in {"Host": HOST, **self.headers, **_header_names(headers)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        try:
            yield Events(answer)
        finally:
            connection.close()
            answer.close()


class Events:
    """Reads a stream of server-sent events."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer

    def next(self) -> tuple[str, Any, int | None]:
        """Name, data and number of the next event."""
        name, data, number = "", None, None
        while line := self.answer.readline().decode().rstrip("\n"):
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif field == "id":
                number = int(value)
        return name, data, number

    def until(self, wanted: Callable[[str, Any], bool]) -> list[tuple[str, Any, int | None]]:
        """All events up to the first that is wanted."""
        found = [self.next()]
        while not wanted(found[-1][0], found[-1][1]):
            found.append(self.next())
        return found


def _header_names(headers: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def until(ask: Callable[[], Any]) -> Any:
    """What ``ask`` answers, once that is true; fails the test when it never is."""
    end = time.monotonic() + PATIENCE_S
    while not (found := ask()):
        assert time.monotonic() < end, "it never came to this"
        time.sleep(0.02)
    return found


def bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(path))
    listener.listen(256)
    return listener


@contextlib.contextmanager
def running_server(config: ServeConfig, headers: dict[str, str] | None = None) -> Iterator[Client]:
    """A server in a thread of this process."""
    from limpid.serve.running import make_server

    place = config.state / "socket"
    server = make_server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound(place)]}, daemon=True)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        yield Client(place, headers)
    finally:
        server.handle_exit(signal.SIGTERM, None)
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


class Killable:
    """A server in a process of its own, which can be killed and started again on the same state."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder, self.changes = folder, changes
        self.state, self.root = folder / "state", folder / "films"
        for each in (self.state, self.root):
            each.mkdir(parents=True, exist_ok=True)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.state / "socket"

    def start(self) -> Client:
        self.socket.unlink(missing_ok=True)
        words = [str(self.socket), str(self.state), str(self.root), json.dumps(self.changes)]
        log = (self.folder / "server.txt").open("ab")
        self.process = subprocess.Popen([sys.executable, __file__, *words], cwd=self.folder, stdout=log, stderr=log)
        client = Client(self.socket)
        until(lambda: self._answers(client))
        return client

    def _answers(self, client: Client) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.txt").read_text()
        try:
            return client.get("/health").status == 200
        except OSError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


def _serve(arguments: list[str]) -> None:
    from limpid.durable.lock import locked
    from limpid.serve.running import make_server

    place, state, root = map(Path, arguments[:3])
    config = fake_config(state, root, **json.loads(arguments[3]))
    with locked(state):
        make_server(config).run(sockets=[bound(place)])


if __name__ == "__main__":
    _serve(sys.argv[1:])
