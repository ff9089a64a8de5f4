"""Where a run reads and writes, checked before any work is done."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from os.path import isdir  # unlike that of Path it is False for impossible names
from pathlib import Path
from typing import Literal

from limpid.durable.files import existing_parent
from limpid.settings import Settings
from limpid.types import Clip, OutputError

SIDECAR_SUFFIX = ".limpid.json"
CONTAINER_OF = {".mp4": ".mp4", ".m4v": ".mp4", ".mov": ".mov", ".mkv": ".mkv", ".webm": ".mkv"}
"""Container of the result by that of the source; others become .mkv, which takes every kind of sound and subtitles."""
CONTAINER_FOR = {"ffv1": ".mkv", "prores": ".mov", "images": ""}


@dataclass(frozen=True, kw_only=True)
class Places:
    """Absolute paths of one run."""

    source: Path
    output: Path
    work: Path

    @property
    def sidecar(self) -> Path:
        return self.output.with_name(self.output.name + SIDECAR_SUFFIX)


Kind = Literal["film", "folder", "still"]
"""Of an input: a film, a folder of images, one image."""
STILL_OF = {".jpg": ".jpg", ".jpeg": ".jpg", ".webp": ".webp", ".tif": ".tif", ".tiff": ".tif", ".avif": ".avif"}
"""Kind of the result of one image by that of the source; others become .png."""


def kind_of(source: Path) -> Kind:
    """What an input is, by its name and without opening it."""
    from limpid.video import is_still_name  # loads OpenCV

    return "folder" if isdir(source) else "still" if is_still_name(source) else "film"  # noqa: PTH112


def default_output(source: Path, settings: Settings, *, kind: Kind) -> Path:
    """``film.mp4`` -> ``film_x4.mp4`` beside it; ``film_1080p.mp4`` by height; ``film_x4_preview.mp4`` of a preview.

    ``pic.jpg`` -> ``pic_x4.jpg``; ``frames/`` -> ``frames_x4/``.
    """
    label = f"{settings.height}p" if settings.height else f"x{settings.scale or 4:g}"
    images = kind == "folder"
    stem = source.name if images else source.stem
    name = f"{stem}_{label}{'_preview' if settings.preview else ''}"
    if kind == "still" and settings.codec in (None, "images"):
        return source.with_name(name + STILL_OF.get(source.suffix.lower(), ".png"))
    if settings.codec in CONTAINER_FOR:
        return source.with_name(name + CONTAINER_FOR[settings.codec])
    if images:
        return source.with_name(name + (".mp4" if settings.codec else ""))
    return source.with_name(name + CONTAINER_OF.get(source.suffix.lower(), ".mkv"))


def choose_places(clip: Clip, output: str | Path | None, settings: Settings, work_dir: str | Path | None) -> Places:
    """Resolve the paths of a run. Without ``work_dir`` finished segments lie in a hidden folder beside the output."""
    source = Path(clip.path).absolute()
    if output is None:
        target = default_output(source.resolve(), settings, kind=kind_of(source))
    else:
        target = Path(output).expanduser().absolute()
    if not target.name:
        raise OutputError(f"{target} is no name for an output")
    if work_dir is None:
        work = target.with_name(f".{target.name}.limpid")
    else:
        # Outputs of the same name in different folders must not share a work folder.
        mark = hashlib.sha256(os.fsencode(target)).hexdigest()[:8]
        work = Path(work_dir).expanduser().absolute() / f"{target.name}.{mark}.limpid"
    return Places(source=source, output=target, work=work)


def check_output(places: Places, *, overwrite: bool) -> None:
    """Refuse what would fail after hours of work. Raises OutputError."""
    output = places.output
    if output.exists() and places.source.exists() and output.samefile(places.source):
        raise OutputError(f"{output} is the input itself; choose another output")
    if exists(output) and not overwrite:
        raise OutputError(f"{output} exists; choose another name or say --overwrite")
    if output.is_dir() and output.suffix.lower() in CONTAINER_OF:
        raise OutputError(f"{output} is a folder, and its name asks for a video file; choose another output")
    for folder in (output.parent, places.work.parent):
        check_folder(folder)


def exists(output: Path) -> bool:
    """Whether something would be written over; an empty folder would not."""
    if output.is_dir():
        return any(output.iterdir())
    return output.exists() or output.is_symlink()


def check_folder(folder: Path) -> None:
    """Raises OutputError when files cannot be made in ``folder``, or the folder itself cannot be made."""
    parent = existing_parent(folder)
    first_missing = next((p for p in (folder, *folder.parents) if p.exists() and not p.is_dir()), None)
    if first_missing is not None:
        raise OutputError(f"{first_missing} is a file, so nothing can be written into it; choose another output")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write into {parent}; choose another output or --work-dir")
