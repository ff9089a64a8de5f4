"""Who may ask, looked at before anything else: Host, Origin, token, size of the body; and the headers of every answer.

Host is checked because a page of somebody else can make its own name lead to this machine (DNS rebinding); Origin and
Sec-Fetch-Site because it can send requests here without being able to read the answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limpid.bounded import cut, quoted
from limpid.serve.config import LOOPBACK_NAMES, ServeConfig
from limpid.serve.refusals import Refusal, refusal_response
from limpid.serve.tokens import Tokens

OPEN_PATHS = frozenset({"/api/v1/health", "/api/v1/session"})
"""What can be asked for without a token, besides the page's own files, which hold nothing of anyone."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_logger = logging.getLogger("limpid.serve")


def client_address(scope: Scope) -> str:
    """The address a request came from."""
    return str((scope.get("client") or ("",))[0])


def is_api(path: str) -> bool:
    return path.startswith("/api/") or path == "/api"


class Guard:
    """The outermost layer of the server. Refuses what must not be answered, and never lets an error out."""

    def __init__(self, app: ASGIApp, config: ServeConfig, tokens: Tokens) -> None:
        self.app, self.config, self.tokens = app, config, tokens
        self.hosts = _names_of(config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        answer = _Answer(send, DATA_POLICY if is_api(scope["path"]) else PAGE_POLICY)
        try:
            self._check(scope)
            await self.app(scope, _Bounded(receive, self._most_bytes(scope), self.config.limits.body_s), answer)
        except Refusal as refusal:
            await refusal.response()(scope, receive, answer)
        except Exception as error:  # noqa: BLE001  whoever asked gets an answer, whatever happens
            await self._defect(error, scope, receive, answer)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._check_host(headers)
        self._check_origin(headers, scope["path"])
        scope["limpid.authenticated"] = self.tokens.allow(headers, client_address(scope))
        if is_api(scope["path"]) and scope["path"] not in OPEN_PATHS and not scope["limpid.authenticated"]:
            raise Refusal(401, "token", "a token is needed: send Authorization: Bearer TOKEN, or log in on the page")
        self._check_kind(headers, scope)
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()):
            raise Refusal(400, "bad_request", "Content-Length is no number")
        if int(length[:20]) > self._most_bytes(scope):
            raise _too_large(self._most_bytes(scope))

    def _check_host(self, headers: Headers) -> None:
        given = headers.getlist("host")
        name = host_name(given[0]) if len(given) == 1 else None
        if name is None or not self._is_ours(name):
            raise Refusal(421, "host", f"{quoted(', '.join(given))} is not a name of this server (see --allow-host)")

    def _is_ours(self, name: str) -> bool:
        """A bare address cannot be rebound, so any is right where the server listens on all of them."""
        return name in self.hosts or (self.config.host in ("0.0.0.0", "::") and _is_address(name))

    def _check_origin(self, headers: Headers, path: str) -> None:
        origin = headers.get("origin")
        if origin is not None and origin not in self._origins(headers["host"]):
            raise Refusal(403, "origin", f"requests of pages from {quoted(origin)} are not answered")
        if is_api(path) and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refusal(403, "origin", "requests of pages from elsewhere are not answered")

    def _origins(self, host: str) -> set[str]:
        """Where the server's own pages come from; names that were allowed may lead here through a proxy with https."""
        schemes = {self.config.scheme, *(["https"] if host_name(host) in self.config.hosts else [])}
        return {f"{scheme}://{host}" for scheme in schemes}

    def _check_kind(self, headers: Headers, scope: Scope) -> None:
        """A form of another page can send only a few kinds of bodies without asking first; ours are none of those."""
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        if not (has_body and is_api(scope["path"])):
            return
        wanted = "application/octet-stream" if _is_piece(scope) else "application/json"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
            raise Refusal(415, "media_type", f"the body must be {wanted}; say so in Content-Type")

    def _most_bytes(self, scope: Scope) -> int:
        limits = self.config.limits
        return limits.piece_bytes if _is_piece(scope) else limits.json_bytes

    async def _defect(self, error: Exception, scope: Scope, receive: Receive, answer: _Answer) -> None:
        _logger.error("%s %s: %s", scope["method"], quoted(scope["path"]), cut(repr(error), 500), exc_info=error)
        if not answer.started:
            message = "this is a defect in Limpid; what the server printed shows where"
            with contextlib.suppress(Exception):
                await refusal_response(500, "defect", message)(scope, receive, answer)


class _Answer:
    """Sends what the application answers, with the headers that all answers have."""

    def __init__(self, send: Send, policy: str) -> None:
        self.send, self.policy, self.started = send, policy, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("content-security-policy", self.policy)
            headers.setdefault("cache-control", "no-store")
        await self.send(message)


class _Bounded:
    """Reads the body of a request, which ends after so many bytes and seconds or is refused."""

    def __init__(self, receive: Receive, most_bytes: int, most_s: float) -> None:
        self.receive, self.most_bytes, self.most_s = receive, most_bytes, most_s
        self.seen, self.whole = 0, False

    async def __call__(self) -> Message:
        if self.whole:  # what comes now is that the client went away
            return await self.receive()
        try:
            message = await asyncio.wait_for(self.receive(), self.most_s)
        except TimeoutError:
            raise Refusal(408, "slow", f"nothing came for {self.most_s:g} s in the middle of the body") from None
        if message["type"] == "http.request":
            self.seen += len(message.get("body", b""))
            self.whole = not message.get("more_body", False)
            if self.seen > self.most_bytes:
                raise _too_large(self.most_bytes)
        return message


def _is_piece(scope: Scope) -> bool:
    return bool(scope["method"] == "PUT" and scope["path"].startswith("/api/v1/uploads/"))


def _too_large(most: int) -> Refusal:
    return Refusal(413, "too_large", f"the body is larger than the {most} bytes that are taken")


def host_name(host: str) -> str | None:
    """``localhost`` of ``localhost:8765``, ``::1`` of ``[::1]:8765``, in small letters; None for what is no host."""
    try:
        parts = urlsplit(f"//{host}")
        plain = parts.netloc == host and parts.username is None and (parts.port is None or parts.port >= 0)
        return parts.hostname if plain else None
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _names_of(config: ServeConfig) -> frozenset[str]:
    names: Iterable[str] = {*LOOPBACK_NAMES, config.host, *config.hosts}
    if not config.is_local:
        names = {*names, socket.gethostname()}
    return frozenset(name.lower() for name in names if name)
