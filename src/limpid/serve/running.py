"""Starting a server: options become a `ServeConfig`, the port is opened, the address printed, the browser shown."""

from __future__ import annotations

import dataclasses
import os
import socket
import ssl
import sys
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any

import uvicorn

from limpid.cluster.reach import check_cluster
from limpid.durable.files import output_error
from limpid.durable.lock import acquire
from limpid.machine_options import WAIT_S
from limpid.serve.app import close_streams, make_app
from limpid.serve.config import ServeConfig, default_state, is_loopback
from limpid.serve.tokens import LEAST_CHARACTERS, kept_token
from limpid.settings import Settings
from limpid.types import OutputError, SettingsError


def make_config(
    *,
    host: str,
    port: int,
    roots: Sequence[str] | None,
    state: Path | None,
    token: str | None,
    hosts: Sequence[str] = (),
    certfile: str | None = None,
    keyfile: str | None = None,
    at_once: int | None = None,
    workers: str | None = None,
    cluster: str | None = None,
    mixed: bool = False,
    wait_s: int = WAIT_S,
) -> ServeConfig:
    """What the options mean. Raises SettingsError for those that cannot be; makes the state's folder."""
    places: dict[str, Any] = {"workers": workers, "cluster": cluster, "mixed": mixed, "wait_s": wait_s}
    _check_places(places)
    folder = _state_folder(state or default_state())
    if not 0 <= port <= 65535:
        raise SettingsError(f"--port is {port}; it must be 0 or more and at most 65535")
    if at_once is not None and not 1 <= at_once <= 64:
        raise SettingsError(f"--at-once is {at_once}; it must be 1 or more and at most 64")
    if token is not None and not (LEAST_CHARACTERS <= len(token) <= 500 and token.isascii() and token.isprintable()):
        raise SettingsError(
            f"--token needs {LEAST_CHARACTERS} or more printable ASCII characters; leave it out to get one"
        )
    if token is None and not is_loopback(host):
        token = kept_token(folder)
    certificate, key = _tls(certfile, keyfile)
    return ServeConfig(
        state=folder,
        roots=tuple(dict.fromkeys(_root(root) for root in roots or [str(Path.home())])),
        host=host,
        port=port,
        token=token,
        hosts=frozenset(hosts),
        certfile=certificate,
        keyfile=key,
        at_once=at_once,
        **places,
    )


def _check_places(places: Mapping[str, Any]) -> None:
    """Raises SettingsError or ResourceError for workers that no job could have."""
    settings = Settings().replace(**places)
    settings.check_places()
    if settings.workers is not None or settings.cluster is not None:
        check_cluster(settings.cluster)


def _state_folder(state: Path) -> Path:
    state = state.expanduser().absolute()
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(state, error) from error
    return state.resolve()


def _root(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if not path.is_dir():
        raise SettingsError(f"--root {name}: there is no such folder")
    return path.resolve()


def _tls(certfile: str | None, keyfile: str | None) -> tuple[Path | None, Path | None]:
    if certfile is None and keyfile is None:
        return None, None
    if certfile is None:
        raise SettingsError("--keyfile has no effect without --certfile; name both")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certfile, keyfile)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"--certfile {certfile}: no certificate with its key ({error})") from None
    return Path(certfile).absolute(), Path(keyfile).absolute() if keyfile else None


def serve(config: ServeConfig, *, open_browser: bool) -> int:
    """Answer requests and work off the queue until Ctrl-C or termination; returns 0."""
    with _alone(config.state), _listening(config) as listener:
        config = dataclasses.replace(config, port=listener.getsockname()[1])
        _tell(config)
        if open_browser:
            threading.Timer(0.5, webbrowser.open, [page_address(config)]).start()
        make_server(config).run(sockets=[listener])
    return 0


def _alone(state: Path) -> IO[str]:
    """The lock of a state, held as long as the file is open. Raises OutputError when another server has it."""
    try:
        return acquire(state)
    except OutputError:
        raise OutputError(f"another limpid serve works with {state}; stop it, or choose another --state") from None


class _Server(uvicorn.Server):
    """Ends at the first signal by putting everything in order, at the second at once."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        close_streams(self.config.app)  # type: ignore[arg-type]


def make_server(config: ServeConfig) -> uvicorn.Server:
    """The HTTP server for a configuration, not started yet."""
    return _Server(
        uvicorn.Config(
            make_app(config),
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a client could name any address as its own
            http="h11",
            ws="none",
            loop="asyncio",
            h11_max_incomplete_event_size=64 << 10,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=5,
            ssl_certfile=config.certfile,
            ssl_keyfile=config.keyfile,
        )
    )


def _listening(config: ServeConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise OutputError(
            f"cannot listen on {config.host}:{config.port}: {error.strerror}; choose another --port"
        ) from None
    return listener


def page_address(config: ServeConfig) -> str:
    """The address of the page with the token in the part that browsers keep to themselves."""
    return config.address + (f"#token={config.token}" if config.token else "")


def _tell(config: ServeConfig) -> None:
    lines = [
        f"Limpid is at {page_address(config)}",
        f"queue: {config.state}",
        "Ctrl-C ends it; what runs goes on at the next start",
    ]
    if not config.is_local and config.certfile is None:
        lines.append("others can listen in: there is no --certfile")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
