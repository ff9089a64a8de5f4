"""Images as output: one file per frame in a folder, under the names of the source or by number, or a single file."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from limpid.durable.files import clear_temporary, discard, exists_error, fsync_path, publish
from limpid.types import OutputError, OutputSpec
from limpid.video.encode import picture_depth
from limpid.video.files import writing
from limpid.video.image_tags import ImageTags, with_tags
from limpid.video.picture import quantise

if TYPE_CHECKING:
    from torch import Tensor

ALPHA_FORMATS = ("png", "tif", "webp", "avif")
DEEP_FORMATS = ("png", "tif")
IMAGE_FORMATS = ("png", "jpg", "tif", "webp", "avif")
FORMAT_OF = {
    ".png": "png",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".tif": "tif",
    ".tiff": "tif",
    ".webp": "webp",
    ".avif": "avif",
}
"""Names of single images that can be written."""
SIDECAR = ".limpid.json"
"""Beside a folder that Limpid wrote."""
_PARAMETERS = {
    "png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    "jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    "tif": [],
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100: lossless
    "avif": [getattr(cv2, "IMWRITE_AVIF_QUALITY", 512), 95],
}


def is_single(output: Path, spec: OutputSpec) -> bool:
    """Whether the output is one image and not a folder of images."""
    return spec.codec == "images" and output.suffix.lower() in FORMAT_OF and not output.is_dir()


def can_write(image_format: str) -> bool:
    """Whether this OpenCV encodes such images: AVIF is a part of some builds only."""
    return bool(cv2.haveImageWriter(f"x.{image_format}"))


def image_files(folder: Path) -> list[Path]:
    """The numbered images of a folder that Limpid wrote, in order."""
    found = (p for p in folder.iterdir() if p.suffix[1:] in IMAGE_FORMATS and p.stem.isdecimal() and len(p.stem) >= 8)
    return sorted(found, key=lambda p: int(p.stem))


class StillsWriter:
    """Writes frames as ``00000000.png`` and so on into a folder of its own; every file is made durable."""

    def __init__(self, folder: Path, spec: OutputSpec, first_frame: int) -> None:
        self._folder, self._spec, self._next = folder, spec, first_frame
        self._first = first_frame
        folder.mkdir()

    def write(self, frames: Tensor, pts: Sequence[int]) -> None:
        for picture in quantise(frames, picture_depth(self._spec), self._spec.height, self._spec.width):
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
    entries = list(output.iterdir())
    if not entries:
        return
    if not overwrite:
        raise exists_error(output)
    ours = set(image_files(output))
    if output.with_name(output.name + SIDECAR).exists():  # named like the images that they were made from
        ours |= {path for path in entries if path.suffix[1:] in IMAGE_FORMATS and path.is_file()}
    strangers = sorted(path.name for path in entries if path not in ours)
    if strangers:
        raise OutputError(f"{output} holds other files too ({strangers[0]}); it is not replaced: choose another folder")


def kept_names(sources: Sequence[str], image_format: str) -> list[str] | None:
    """Names of results like those of the sources (``f1.jpg`` gives ``f1.png``); None where two would be the same."""
    names = [f"{Path(source).stem}.{image_format}" for source in sources]
    return names if len({name.casefold() for name in names}) == len(names) else None


@dataclass(frozen=True)
class Growing:
    """Where a result grows, and how it gets its name.

    ``on_whole`` is called with ``path`` when it is whole, just before; what exists is replaced if ``overwrite``.
    """

    path: Path
    on_whole: Callable[[Path], None] | None = None
    overwrite: bool = False

    def tell_whole(self) -> None:
        fsync_path(self.path)
        if self.on_whole is not None:
            self.on_whole(self.path)


def assemble_images(
    segments: Sequence[Path],
    output: Path,
    *,
    first_frame: int,
    expected: int,
    place: Growing,
    names: Sequence[str] | None = None,
    tags: Callable[[int], ImageTags] = lambda _: ImageTags(),
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Collects the segments' images, numbered on from ``first_frame``, and gives the folder its name at once.

    ``names``: one for each image, instead of numbers. ``tags``: for the frame of a number counted from 0.
    """
    check_replaceable(output, overwrite=place.overwrite)
    try:
        with writing(output):
            clear_temporary(place.path)
            place.path.mkdir()
            count = _collect(segments, place.path, first_frame, names, tags, on_progress)
            if count != expected:
                raise OutputError(f"{output}: {expected} frames were due, the segments hold {count}")
            place.tell_whole()
            replace_folder(place.path, output, overwrite=place.overwrite)
    except BaseException:
        discard(place.path)
        raise


def _collect(
    segments: Sequence[Path],
    folder: Path,
    first_frame: int,
    names: Sequence[str] | None,
    tags: Callable[[int], ImageTags],
    on_progress: Callable[[int], None] | None,
) -> int:
    count = 0
    for segment in segments:
        for file in image_files(segment):
            name = (
                names[count] if names is not None and count < len(names) else f"{first_frame + count:08d}{file.suffix}"
            )
            _place(file, folder / name, tags(count))
            count += 1
        if on_progress is not None:
            on_progress(count)
    return count


def _place(file: Path, target: Path, tags: ImageTags) -> None:
    if tags != ImageTags():
        target.write_bytes(_tagged(file, tags))
        fsync_path(target)
        return
    try:
        os.link(file, target)  # the segment must stay whole until all is done: link, do not move
    except OSError:
        shutil.copyfile(file, target)
        fsync_path(target)


def _tagged(file: Path, tags: ImageTags) -> bytes:
    kind, data = file.suffix[1:], file.read_bytes()
    if kind != "avif":
        return with_tags(data, kind, tags)
    encode: Any = getattr(cv2, "imencodeWithMetadata", None)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if encode is None or picture is None:
        return data
    names: Any = cv2
    blocks = {names.IMAGE_METADATA_EXIF: tags.exif, names.IMAGE_METADATA_ICCP: tags.icc}
    blocks[names.IMAGE_METADATA_XMP] = tags.xmp
    used = {number: np.frombuffer(block, np.uint8) for number, block in blocks.items() if block}
    done, encoded = encode(".avif", picture, list(used), list(used.values()), _PARAMETERS["avif"])
    return bytes(encoded.tobytes()) if done else data


def assemble_image(segment: Path, output: Path, *, tags: ImageTags, place: Growing) -> None:
    """The one image of a segment under its name, atomically and durably."""
    files = image_files(segment)
    if len(files) != 1:
        raise OutputError(f"{output} is one image, and there are {len(files)} frames: give the name of a folder")
    try:
        with writing(output):
            clear_temporary(place.path)
            _place(files[0], place.path, tags)
            place.tell_whole()
            publish(place.path, output, overwrite=place.overwrite)
    except BaseException:
        discard(place.path)
        raise


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
