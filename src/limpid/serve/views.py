"""What lies where a result went, and under which type it is sent."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from limpid.run.places import sidecar_of
from limpid.serve.listing import kind_of_name

_MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}


def result_of(output: Path) -> dict[str, Any]:
    """What lies where a result went."""
    try:
        size = None if output.is_dir() else output.stat().st_size
    except OSError:
        return {"exists": False, "kind": None, "size_bytes": None, "media_type": None, "has_sidecar": False}
    kind = "folder" if size is None else kind_of_name(output)
    has_sidecar = sidecar_of(output).is_file()
    about = {"exists": True, "kind": kind, "size_bytes": size, "has_sidecar": has_sidecar}
    return {**about, "media_type": None if size is None else media_type(output)}


def media_type(path: Path) -> str:
    """The type under which a film or an image is sent; never one that a browser would run."""
    guessed = _MEDIA_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or ""
    return guessed if guessed.startswith(("video/", "image/")) and "svg" not in guessed else "application/octet-stream"
