"""Showing a folder on the screen of the server's own machine: only for who sits there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from starlette.requests import Request

from limpid.serve.config import is_loopback
from limpid.serve.guard import client_address
from limpid.serve.processes import own_group


def can_show_folder(request: Request) -> bool:
    """Whether the client is on this machine and this machine has a screen."""
    return is_loopback(client_address(request.scope)) and _opener() is not None


def show_folder(folder: Path) -> None:
    """Open a folder in the system's file manager."""
    opener = _opener()
    if opener is not None:
        subprocess.Popen([opener, str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **own_group())


def _opener() -> str | None:
    if sys.platform == "darwin":
        return shutil.which("open")
    if os.name == "nt":
        return shutil.which("explorer")
    has_screen = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return shutil.which("xdg-open") if has_screen else None
