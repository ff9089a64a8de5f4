"""From a VIDEO of ComfyUI to a file that Limpid can read, so that its frames are never in memory as a whole."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import Input

from limpid.types import InputError
from limpid.video import probe


def source_of(video: Input.Video | None, path: str) -> tuple[str, dict[str, Any]]:
    """The file to restore, and what has to be said to Limpid with it. Raises InputError unless there is exactly one."""
    named = path_of(path)
    if (video is None) == (named is None):
        raise InputError("connect a video, or write the path of one: one of the two, and not both")
    return (str(named), {}) if video is None else (file_of(video), part_of(video))


def path_of(text: str | None) -> Path | None:
    """The file that somebody typed, in quotes or not: a whole path or a name in the input folder; None for nothing."""
    typed = (text or "").strip().strip('"')
    return Path(folder_paths.get_annotated_filepath(typed)) if typed else None


def file_of(video: Input.Video) -> str:
    """The file behind a VIDEO. One that is in memory, or cropped, goes through a file that ComfyUI writes."""
    source = video.get_stream_source()
    if not isinstance(source, str):
        return str(_in_temp(source))
    clip = probe(source)
    if {clip.width, clip.height} == set(video.get_dimensions()):
        return source
    cropped = Path(folder_paths.get_temp_directory()) / f"limpid_{hashlib.sha256(source.encode()).hexdigest()[:16]}.mp4"
    video.save_to(str(cropped))
    return str(cropped)


def part_of(video: Input.Video) -> dict[str, Any]:
    """The part of the file that a trimmed VIDEO is, as Limpid's option; nothing for all of it."""
    start_s, length_s = video.get_active_trim_window()
    if not start_s and not length_s:
        return {}
    return {"preview": f"{start_s:.6f}-{start_s + (length_s or video.get_duration()):.6f}"}


def _in_temp(source: Any) -> Path:
    """A file in memory, written under a name made of its content, so that a run that was stopped can go on."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"limpid_{hashlib.sha256(source.getbuffer()).hexdigest()[:16]}.mp4"
    if not path.exists():
        draft = path.with_suffix(".part")
        with draft.open("wb") as file:
            shutil.copyfileobj(source, file)
        draft.rename(path)
    return path
