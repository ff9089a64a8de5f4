"""Opening media files with errors that a person can act on, and choosing the stream that is the video."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from limpid.types import InputError, SettingsError
from limpid.video.headers import MAX_PIXELS, check_size
from limpid.video.names import is_still_name

_TEXT_ART = frozenset({"tty", "bin", "xbin", "adf", "idf"})
"""FFmpeg demuxers that take any text or binary file with their ending for a film of characters."""


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder; False too where that cannot be found out, `check_readable` then says why."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_readable(path: Path) -> None:
    """Raise `InputError` for what cannot be read as a file at all."""
    try:
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
        if not path.is_file():
            raise InputError(f"{path}: is neither a file nor a folder but a device or a pipe; copy it to a file first")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty (0 bytes)")
        with path.open("rb") as file:
            file.read(1)
    except PermissionError as error:
        raise InputError(f"{path}: no permission to read it; check the owner and the mode of the file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def open_input(path: Path | str, **options: Any) -> Any:
    """`av.open` of a file for reading. Every path of a user goes through here or `open_output`: FFmpeg would take a
    name such as ``concat:a.mp4`` or ``rec:01.ts`` for a protocol and open something else, or nothing."""
    return av.open(_local(path), "r", metadata_errors="replace", **options)


def open_output(path: Path | str, format_name: str, **options: Any) -> Any:
    """`av.open` of a file for writing, whatever its name."""
    return av.open(_local(path), "w", format=format_name, **options)


def read_packets(container: Any, *streams: Any) -> Iterator[Any]:
    """All packets of ``streams``, the empty ones with which PyAV ends each of them included.

    At the end PyAV stumbles over streams that appeared on the way only (MPEG-TS, FLV, damaged headers); nothing of the
    asked ones is lost by that.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


def _local(path: Path | str) -> str:
    return f"file:{path}"


def open_container(path: Path) -> Any:
    """Open a file with FFmpeg. Raises `InputError` when it is not media."""
    check_readable(path)
    try:
        container = open_input(path)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(_why_not_opened(path, error)) from error
    if container.format.name in _TEXT_ART:
        container.close()
        raise InputError(f"{path}: is not a video (it looks like text or data)")
    return container


def _why_not_opened(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        head = file.read(16)
    if is_still_name(path):
        return f"{path}: the image cannot be decoded; it is damaged, cut off or of a kind that FFmpeg does not read"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return (
            f"{path}: the index of this mp4/mov file (its 'moov' part) is missing or damaged: the file was cut off "
            "or its recording never finished; get a complete copy or repair it first"
        )
    reason = getattr(error, "strerror", None) or str(error)
    return f"{path}: is not a video that FFmpeg can read ({reason})"


def choose_video(container: Any, path: Path, index: int | None = None) -> Any:
    """Stream number ``index``, or the stream that FFmpeg takes for the best one, cover pictures aside.

    Raises `InputError` when there is none, `SettingsError` when ``index`` is not a video stream.
    """
    films = [stream for stream in container.streams.video if not is_cover(stream)]
    if not films:
        what = "only a cover picture" if container.streams.video else "no picture stream"
        others = sorted({stream.type or "unknown" for stream in container.streams if stream.type != "video"})
        beside = f"; it holds {', '.join(others)}" if others else ""
        raise InputError(f"{path}: has no video ({what}{beside})")
    known = [film for film in films if film.codec_context is not None]
    if not known:
        raise InputError(f"{path}: no decoder for its video is part of this FFmpeg")
    if index is not None:
        asked = next((film for film in known if film.index == index), None)
        if asked is None:
            numbers = ", ".join(str(film.index) for film in known)
            raise SettingsError(f"--video-stream {index}: {path} has no such video stream; there is {numbers}")
        return bounded_stream(asked, path)
    best = container.streams.best("video")
    return bounded_stream(best if best in known else max(known, key=lambda film: film.width * film.height), path)


def bounded_stream(stream: Any, path: Path) -> Any:
    """The stream, if its pictures can be handled. Pictures may change their size on the way, and headers need not tell
    the truth: so FFmpeg is told the limit for every frame."""
    check_size(path, stream.width, stream.height)
    stream.codec_context.options = {**stream.codec_context.options, "max_pixels": str(MAX_PIXELS)}
    return stream


def is_cover(stream: Any) -> bool:
    """Attached pictures and preview thumbnails are not the film."""
    return bool(int(stream.disposition) & int(Disposition.attached_pic | Disposition.timed_thumbnails))
