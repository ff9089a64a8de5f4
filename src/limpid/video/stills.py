"""Image folders as output: one file per frame, named by its absolute number, 8 digits."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from limpid.durable.files import clear_temporary, discard, exists_error, fsync_path, temporary_name
from limpid.types import OutputError, OutputSpec
from limpid.video.files import writing
from limpid.video.picture import quantise

if TYPE_CHECKING:
    from torch import Tensor

ALPHA_FORMATS = ("png", "tif", "webp")
DEEP_FORMATS = ("png", "tif")
IMAGE_FORMATS = ("png", "jpg", "tif", "webp")
_PARAMETERS = {
    "png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    "jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    "tif": [],
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100: lossless
}


def image_files(folder: Path) -> list[Path]:
    """The numbered images of a folder that Limpid wrote, in order."""
    found = (p for p in folder.iterdir() if p.suffix[1:] in IMAGE_FORMATS and p.stem.isdigit() and len(p.stem) >= 8)
    return sorted(found, key=lambda p: int(p.stem))


class StillsWriter:
    """Writes frames as ``00000000.png`` and so on into a folder of its own; every file is made durable."""

    def __init__(self, folder: Path, spec: OutputSpec, first_frame: int) -> None:
        self._folder, self._spec, self._next = folder, spec, first_frame
        self._first = first_frame
        folder.mkdir()

    def write(self, frames: Tensor, pts: Sequence[int]) -> None:
        depth = 16 if self._spec.bit_depth > 8 else 8
        for picture in quantise(frames, depth, self._spec.height, self._spec.width):
            self._write_one(picture)
            self._next += 1

    def _write_one(self, picture: np.ndarray) -> None:
        keep_alpha = self._spec.alpha and picture.shape[-1] == 4
        code = cv2.COLOR_RGBA2BGRA if keep_alpha else cv2.COLOR_RGB2BGR
        kind = self._spec.image_format
        bgr = cv2.cvtColor(picture if keep_alpha else np.ascontiguousarray(picture[..., :3]), code)
        done, data = cv2.imencode(f".{kind}", bgr, _PARAMETERS[kind])
        if not done:
            raise OutputError(f"{self._folder}: frame {self._next} could not be encoded as {kind}")
        with (self._folder / f"{self._next:08d}.{kind}").open("wb") as file:
            file.write(data.tobytes())
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        if self._next == self._first:
            raise ValueError("a segment needs at least one frame")
        fsync_path(self._folder)
        fsync_path(self._folder.parent)

    def abort(self) -> None:
        discard(self._folder)


def check_replaceable(output: Path, *, overwrite: bool) -> None:
    """Raises OutputError unless ``output`` is free, empty, or (with ``overwrite``) a folder that Limpid wrote."""
    if not output.exists():
        return
    if not output.is_dir():
        raise OutputError(f"{output} is a file; the images need a folder: choose another name")
    images = set(image_files(output))
    strangers = [p.name for p in output.iterdir() if p not in images]
    if not strangers and not images:
        return
    if not overwrite:
        raise exists_error(output)
    if strangers:
        raise OutputError(f"{output} holds other files too ({strangers[0]}); it is not replaced: choose another folder")


def assemble_images(
    segments: Sequence[Path],
    output: Path,
    *,
    first_frame: int,
    expected: int,
    overwrite: bool,
    on_progress: Callable[[int], None] | None = None,
    temporary: Path | None = None,
    on_whole: Callable[[Path], None] | None = None,
) -> None:
    """Collects the segments' images, numbered on from ``first_frame``, and gives the folder its name at once.

    ``temporary`` and ``on_whole``: as for `limpid.video.assemble`.
    """
    check_replaceable(output, overwrite=overwrite)
    temporary = temporary or temporary_name(output)
    try:
        with writing(output):
            clear_temporary(temporary)
            temporary.mkdir()
            count = _collect(segments, temporary, first_frame, on_progress)
            if count != expected:
                raise OutputError(f"{output}: {expected} frames were due, the segments hold {count}")
            fsync_path(temporary)
            if on_whole is not None:
                on_whole(temporary)
            replace_folder(temporary, output, overwrite=overwrite)
    except BaseException:
        discard(temporary)
        raise


def _collect(
    segments: Sequence[Path], folder: Path, first_frame: int, on_progress: Callable[[int], None] | None
) -> int:
    count = 0
    for segment in segments:
        for file in image_files(segment):
            target = folder / f"{first_frame + count:08d}{file.suffix}"
            try:
                os.link(file, target)  # the segment must stay whole until all is done: link, do not move
            except OSError:
                shutil.copyfile(file, target)
                fsync_path(target)
            count += 1
        if on_progress is not None:
            on_progress(count)
    return count


def replace_folder(temporary: Path, output: Path, *, overwrite: bool = True) -> None:
    """Gives the finished folder its name; what was there is removed afterwards, or kept and an error unless asked."""
    if overwrite and output.exists() and any(output.iterdir()):
        old = temporary.with_name(f"{temporary.name}-old")
        clear_temporary(old)
        output.rename(old)
        temporary.rename(output)
        discard(old)
    else:
        _rename_onto_empty(temporary, output)
    fsync_path(output.parent)


def _rename_onto_empty(temporary: Path, output: Path) -> None:
    """The system itself refuses to rename a folder over one that holds something, or over a file."""
    try:
        temporary.rename(output)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise exists_error(output) from error
        raise
