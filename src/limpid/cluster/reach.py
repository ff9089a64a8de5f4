"""Whether a Ray cluster may be at an address: found out in seconds, because Ray itself would ask for minutes."""

from __future__ import annotations

import os
import socket
import ssl
import time

from limpid.bounded import quoted
from limpid.cluster.ray_import import check_ray
from limpid.types import ResourceError

LET_IN_S = 10.0
"""How long a machine of a cluster may take to let us in and to say the first word."""
NO_ANSWER = "no Ray cluster answers at {} ({}); start one with: ray start --head"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a client of HTTP/2 begins, with a SETTINGS frame that asks for nothing (RFC 9113, 3.4)."""
_HEADER_BYTES, _SETTINGS, _TLS_ALERT = 9, 4, 21


def cluster_address(cluster: str | None) -> str | None:
    """Address of a cluster that runs already, by what ``--cluster`` says; None: one is started on this machine."""
    address = cluster or os.environ.get("RAY_ADDRESS")
    return None if address == "local" else address


def check_cluster(cluster: str | None) -> None:
    """Raises SettingsError without Ray, ResourceError where no cluster answers that is to do the work."""
    check_ray()
    if (address := cluster_address(cluster)) is not None:
        check_address(address)


def place_of(address: str) -> tuple[str, int] | None:
    """Host and port of an address; None for forms that only Ray understands."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdigit() and int(port) < 1 << 16 else None


def check_address(address: str) -> None:
    """Raises ResourceError unless what listens at ``HOST:PORT`` speaks as Ray does, all within `LET_IN_S`.

    Other forms, ``auto`` for instance, are left to Ray, which looks on this machine for what they stand for.
    """
    place = place_of(address)
    if place is None:
        return
    try:
        trouble = _greet(*place)
    except TimeoutError:
        trouble = f"it says nothing within {LET_IN_S:.0f} s"
    except ssl.SSLError as error:
        trouble = f"it refuses the certificates of RAY_TLS_SERVER_CERT and RAY_TLS_CA_CERT: {error.reason}"
    except OSError as error:
        trouble = error.strerror or str(error)
    if trouble is not None:
        raise ResourceError(NO_ANSWER.format(quoted(address), trouble))


def _greet(host: str, port: int) -> str | None:
    """Begin to talk as a client of gRPC; what is wrong with the answer. Raises OSError."""
    until = time.monotonic() + LET_IN_S
    with socket.create_connection((host, port), LET_IN_S) as plain, _secured(plain) as connection:
        connection.sendall(_PREFACE)
        said = b""
        while len(said) < _HEADER_BYTES:
            connection.settimeout(max(until - time.monotonic(), 0.01))
            more = connection.recv(_HEADER_BYTES - len(said))
            if not more:
                break
            said += more
    return _trouble(said)


def _trouble(said: bytes) -> str | None:
    """The first frame of a server of gRPC is SETTINGS, of stream 0."""
    if len(said) == _HEADER_BYTES and said[3] == _SETTINGS and not any(said[5:]):
        return None
    if said[:1] == bytes((_TLS_ALERT,)):
        return "it wants TLS: set RAY_USE_TLS=1 and its certificates, see docs/cluster.md"
    return "what listens there does not speak as Ray does" if said else "it closes the connection"


def uses_tls() -> bool:
    """Whether Ray is told to use TLS, in its own words."""
    return os.environ.get("RAY_USE_TLS", "").lower() in ("1", "true")


def _secured(plain: socket.socket) -> socket.socket:
    """The connection as Ray makes it: with certificates for both sides where it is told to."""
    if not uses_tls():
        return plain
    authority, certificate, key = map(_certificate, ("CA_CERT", "SERVER_CERT", "SERVER_KEY"))
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False  # neither does Ray, whose nodes have no names
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(certificate, key)
    return context.wrap_socket(plain)


def _certificate(name: str) -> str:
    """A file that Ray is told to use. Raises ResourceError where there is none."""
    path = os.environ.get(f"RAY_TLS_{name}", "")
    if not os.path.isfile(path):  # noqa: PTH113  (a name that cannot be is no file)
        raise ResourceError(f"RAY_USE_TLS is set, but RAY_TLS_{name} names no file ({quoted(path)})")
    return path
