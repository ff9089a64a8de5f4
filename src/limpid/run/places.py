"""Where a run reads and writes, checked before any work is done."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from os.path import isdir  # unlike that of Path it is False for impossible names
from pathlib import Path
from typing import Literal

from limpid.durable.apart import check_apart
from limpid.durable.files import NAME_BYTES, existing_parent, hidden_name, planted_error
from limpid.run.sidecar import is_sidecar, made_from
from limpid.settings import Settings
from limpid.types import Clip, OutputError
from limpid.video.names import is_still_name

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
    """Journal and segments."""

    @property
    def sidecar(self) -> Path:
        return sidecar_of(self.output)

    @property
    def home(self) -> Path:
        """Lock and unfinished result, beside the output whatever `work` is."""
        return home_of(self.output)

    @property
    def sidecar_draft(self) -> Path:
        """The sidecar, until the output has its name."""
        return self.home / "sidecar.json"

    @property
    def unfinished(self) -> Path:
        """Where the result grows."""
        return self.home / f"part{self.output.suffix if self.output.suffix.isascii() else ''}"


def sidecar_of(output: Path) -> Path:
    return output.with_name(output.name + SIDECAR_SUFFIX)


def home_of(output: Path) -> Path:
    """The hidden folder of the run that makes an output."""
    return hidden_name(output, "limpid")


def done_name(home: Path) -> Path:
    """What a home is called while it is deleted after success."""
    return hidden_name(home.with_name(home.name.removeprefix(".")), "done")


def is_result(output: Path) -> bool:
    """Whether Limpid made ``output`` or is about to: its sidecar or the folder of its run lies beside it."""
    output = output.absolute()
    return bool(output.name) and (os.path.lexists(sidecar_of(output)) or is_unfinished(output))


Kind = Literal["film", "folder", "still"]
"""Kind of an input: a film, a folder of images, one image."""
STILL_OF = {".jpg": ".jpg", ".jpeg": ".jpg", ".webp": ".webp", ".tif": ".tif", ".tiff": ".tif", ".avif": ".avif"}
"""Kind of the result of one image by that of the source; others become .png."""


def kind_of(source: Path) -> Kind:
    """What an input is, by its name and without opening it."""
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
    if not target.name or target.name == "..":
        raise OutputError(f"{target} is no name for an output")
    if work_dir is None:
        work = home_of(target)
    else:
        # Outputs of the same name in different folders must not share a work folder.
        mark = hashlib.sha256(os.fsencode(target)).hexdigest()[:8]
        work = Path(work_dir).expanduser().absolute() / f"{target.name[:40]}.{mark}.limpid"
    return Places(source=source, output=target, work=work)


def check_output(places: Places, clip: Clip, *, overwrite: bool) -> None:
    """Refuse what would fail after hours of work, or harm something. Raises OutputError."""
    output = places.output
    check_name(places.sidecar)
    check_apart(output, Path(clip.path), map(Path, clip.image_paths))
    for path in (output, places.sidecar):
        check_kind(path)
    refuse_taken(places, overwrite=overwrite)
    if places.sidecar.exists() and not is_sidecar(places.sidecar):
        raise OutputError(f"{places.sidecar} is where the record of the output goes, and it is something else; move it")
    if output.is_dir() and output.suffix.lower() in CONTAINER_OF:
        raise OutputError(f"{output} is a folder, and its name asks for a video file; choose another output")
    for folder in (output.parent, places.work.parent):
        check_folder(folder)


def refuse_taken(places: Places, *, overwrite: bool) -> None:
    """Raises OutputError when something lies where the output goes and is neither ours to finish nor to be replaced."""
    output = places.output
    if exists(output) and not overwrite and not (is_unfinished(output) or os.path.lexists(places.work)):
        raise OutputError(f"{output} exists{_whose(places)}; choose another name or say --overwrite")


def _whose(places: Places) -> str:
    """In the sentence that says that an output exists: who made it, if that is known."""
    source = made_from(places.sidecar)
    return "" if source is None else f" already, Limpid made it from {source}"


def is_unfinished(output: Path) -> bool:
    """Whether a former run left folders behind; what it had made of the output is then looked at before any work."""
    home = home_of(output.absolute()) if output.absolute().name else None
    return home is not None and any(map(os.path.lexists, (home, done_name(home))))


def check_name(sidecar: Path) -> None:
    """Raises OutputError for names that leave no room for that of the sidecar."""
    length = len(os.fsencode(sidecar.name))
    if length > NAME_BYTES:
        most = NAME_BYTES - len(SIDECAR_SUFFIX)
        raise OutputError(
            f"{sidecar.name.removesuffix(SIDECAR_SUFFIX)} is {length - len(SIDECAR_SUFFIX)} bytes long; the name of an "
            f"output has at most {most}, choose a shorter one"
        )


def check_kind(path: Path) -> None:
    """Raises OutputError for links, pipes and devices where a file or folder is to be written or replaced."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if stat.S_ISLNK(mode):
        raise OutputError(f"{path} is a link; remove it, or name the file that it leads to")
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OutputError(f"{path} is a device or a pipe; choose another name")
    if path.name.endswith(SIDECAR_SUFFIX) and stat.S_ISDIR(mode):
        raise planted_error(path)


def exists(output: Path) -> bool:
    """Whether something would be written over; an empty folder would not."""
    if output.is_dir() and not output.is_symlink():
        return any(output.iterdir())
    return os.path.lexists(output)


def check_folder(folder: Path) -> None:
    """Raises OutputError when files cannot be made in ``folder``, or the folder itself cannot be made."""
    parent = existing_parent(folder)
    first_missing = next((p for p in (folder, *folder.parents) if p.exists() and not p.is_dir()), None)
    if first_missing is not None:
        raise OutputError(f"{first_missing} is a file, so nothing can be written into it; choose another output")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write into {parent}; choose another output or --work-dir")
