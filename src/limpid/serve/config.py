"""What a server is told when it starts, as plain data: where it listens, what it may touch, and its limits."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from limpid.machine_options import PLACES, WAIT_S

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
PORT = 8765


@dataclass(frozen=True, kw_only=True)
class ServeLimits:
    """Sizes in bytes, counts and times that nobody who asks can exceed."""

    json_bytes: int = 256 << 10
    upload_bytes: int = 100 << 30
    piece_bytes: int = 8 << 20
    open_uploads: int = 64
    uploads: int = 10_000
    jobs: int = 10_000
    streams: int = 100
    presets: int = 200
    watches: int = 20
    listed: int = 2000
    """Entries of a folder that are shown."""
    events: int = 10_000
    """Numbered events that are kept for those who come back."""
    body_s: float = 60.0
    """How long a client may send nothing in the middle of a body, and how long a JSON body may take as a whole."""
    wrong_tokens: int = 10
    """In a minute, before further tries are refused."""
    reserve_bytes: int = 1 << 30
    """Disk space that uploads leave free."""
    previews: int = 20


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """One server. ``roots`` are absolute and resolved; what lies outside of them does not exist for those who ask."""

    state: Path
    roots: tuple[Path, ...] = ()
    host: str = "127.0.0.1"
    port: int = PORT
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    """Further names under which the server may be asked for."""
    certfile: Path | None = None
    keyfile: Path | None = None
    at_once: int | None = None
    """Jobs that run at the same time; None: one per device."""
    workers: str | None = None
    """``--workers`` of every job."""
    cluster: str | None = None
    """``--cluster`` of every job."""
    mixed: bool = False
    """``--mixed`` of every job."""
    wait_s: int = WAIT_S
    """``--wait-s`` of every job."""
    command: tuple[str, ...] = (sys.executable, "-m", "limpid")
    """What runs ``limpid``; tests put something smaller here."""
    advisor: tuple[str, ...] = (sys.executable, "-m", "limpid.serve.advisor")
    """What is asked before a job is queued; empty: nobody."""
    limits: ServeLimits = field(default_factory=ServeLimits)
    tick_s: float = 0.25
    """How often the output of running jobs is read."""
    settle_s: float = 10.0
    """How long a video in a watch folder must not have grown."""
    grace_s: float = 20.0
    """How long a process may take to stop before it is killed."""

    @property
    def places(self) -> dict[str, Any]:
        """The options of every job that say which machines compute it."""
        return {name: getattr(self, name) for name in PLACES}

    @property
    def divides(self) -> bool:
        """Whether each job is divided among workers, so that it has all devices."""
        return self.workers is not None or self.cluster is not None

    @property
    def scheme(self) -> str:
        return "https" if self.certfile else "http"

    @property
    def uploads(self) -> Path:
        return self.state / "uploads"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)

    @property
    def address(self) -> str:
        """What to open in a browser on this machine."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}/"


def is_loopback(host: str) -> bool:
    """Whether an address or name can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def default_state() -> Path:
    """The folder of a user for what a program remembers: ``~/.local/state/limpid`` on Linux."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "limpid" / "serve"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "limpid" / "serve"
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "limpid" / "serve"
