"""The token of a server: compared in constant time, turned into a cookie, guessed at only slowly."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from starlette.datastructures import Headers

from limpid.bounded import read_regular
from limpid.durable.files import open_own
from limpid.serve.refusals import Refusal

COOKIE = "limpid_session"
LEAST_CHARACTERS = 16
_WINDOW_S = 60.0
_MOST_ADDRESSES = 10_000


class Tokens:
    """Knows who may ask. Without a token everybody who reaches the server may."""

    def __init__(self, token: str | None, wrong_in_a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.token, self.most, self.clock = token, wrong_in_a_minute, clock
        self.wrong: dict[str, deque[float]] = {}
        """When an address sent wrong tokens."""

    def allow(self, headers: Headers, address: str) -> bool:
        """Whether a request from that address shows the token or the cookie; a wrong token counts as a guess."""
        if self.token is None:
            return True
        scheme, _, value = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.check(value.strip(), address)
        cookie = _cookie(headers.get("cookie", ""))
        return cookie is not None and _same(cookie, self.session())

    def check(self, value: str, address: str) -> bool:
        """Whether this is the token. Raises Refusal after too many wrong ones from the same address."""
        if self.token is None:
            return True
        now = self.clock()
        if len(self._recent(address, now)) >= self.most:
            raise Refusal(429, "too_many", "too many wrong tokens; wait a minute")
        if _same(value, self.token):
            return True
        if len(self.wrong) >= _MOST_ADDRESSES:
            self.wrong.clear()
        self.wrong.setdefault(address, deque()).append(now)
        return False

    def _recent(self, address: str, now: float) -> deque[float]:
        times = self.wrong.get(address, deque())
        while times and now - times[0] > _WINDOW_S:
            times.popleft()
        return times

    def session(self) -> str:
        """The value of the cookie: not the token, but as good as long as that stays the same."""
        return hmac.new((self.token or "").encode(), b"limpid serve session 1", hashlib.sha256).hexdigest()


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), right.encode(errors="replace"))


def _cookie(text: str) -> str | None:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return None
    return found.value if found is not None else None


def kept_token(state: Path) -> str:
    """The token that the server made for itself: the same after a restart, readable by its user only."""
    path = state / "token"
    try:
        found = read_regular(path, 1000).decode().strip()
    except (OSError, ValueError):
        found = ""
    if len(found) < LEAST_CHARACTERS:
        found = secrets.token_urlsafe(24)
        with os.fdopen(open_own(path), "w", encoding="utf-8") as file:
            file.truncate()
            file.write(found + "\n")
    return found
