"""A client of a running server, for ``limpid queue``: needs nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from limpid.bounded import cut, json_object, parse_json, quoted
from limpid.serve.config import PORT
from limpid.types import LimpidError, SettingsError

_PATIENCE_S = 120.0
_MOST_BYTES = 64 << 20


class ServerError(LimpidError):
    """A server that cannot be reached, or that refused."""


@dataclass(frozen=True)
class ServerClient:
    """Talks to the server at an address such as ``http://127.0.0.1:8765``."""

    address: str = f"http://127.0.0.1:{PORT}"
    token: str | None = None

    @classmethod
    def from_environment(cls, address: str | None, token: str | None) -> ServerClient:
        """What was said, else ``$LIMPID_SERVER`` and ``$LIMPID_TOKEN``, else the server of this machine."""
        named = address or os.environ.get("LIMPID_SERVER") or cls.address
        return cls(named.rstrip("/"), token or os.environ.get("LIMPID_TOKEN"))

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of an answer, None where it has none. Raises ServerError with the server's sentence."""
        connection = self._connection()
        try:
            sent = {"Accept": "application/json", **headers}
            if self.token:
                sent["Authorization"] = f"Bearer {self.token}"
            if body is not None:
                sent["Content-Type"] = "application/json"
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, f"/api/v1{quote(path, safe='/?=&,%')}", data, sent)
            answer = connection.getresponse()
            return _told(answer.status, answer.read(_MOST_BYTES))
        except (OSError, http.client.HTTPException) as error:
            hint = "is limpid serve running there?"
            raise ServerError(f"the server at {self.address} does not answer ({error}); {hint}") from None
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        try:
            parts = urlsplit(self.address)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if host is None or parts.scheme not in ("http", "https") or parts.path:
            raise SettingsError(f"{quoted(self.address)} is no address of a server; write http://127.0.0.1:{PORT}")
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=_PATIENCE_S, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=_PATIENCE_S)


def _told(status: int, data: bytes) -> Any:
    try:
        value = parse_json(data) if data else None
        message = None if status < 400 else str(json_object(value)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        raise ServerError(f"what answers there is no limpid serve (status {status})") from None
    if message is not None:
        raise ServerError(cut(message, 2000))
    return value
