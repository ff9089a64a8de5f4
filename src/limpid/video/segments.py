"""Segments: short, durable, self-contained pieces of the output, and counting what a file holds."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import av

from limpid.durable.files import discard, fsync_path
from limpid.types import InputError, OutputSpec
from limpid.video.encode import FrameEncoder, add_video_stream, reorder_depth
from limpid.video.files import writing
from limpid.video.opening import open_input, read_packets
from limpid.video.picture import quantise
from limpid.video.stills import StillsWriter, image_files

if TYPE_CHECKING:
    from torch import Tensor

BITEXACT = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
"""Container options: no dates, versions or random identifiers in the file, and timestamps as given."""


class _Writer(Protocol):
    def write(self, frames: Tensor, pts: Sequence[int]) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class SegmentWriter:
    """Writes one segment: a file (one closed GOP or several, the first frame an IDR), or a folder of images.

    Use as a context manager; leaving it normally makes the segment durable, leaving it by an exception leaves nothing
    under ``path``. Video goes into NUT, which keeps any clock exactly (ProRes into MOV, which NUT does not know).
    ``first_frame`` is the absolute number of the first frame; images are named by it. Timestamps start from 0 where the
    first one is negative, since the container has no negative ones; `assemble` takes them relative to the first.
    """

    def __init__(self, path: Path | str, spec: OutputSpec, *, first_frame: int = 0) -> None:
        self._path = Path(path)
        with writing(self._path):
            self._writer: _Writer = (
                StillsWriter(self._path, spec, first_frame)
                if spec.codec == "images"
                else _VideoWriter(self._path, spec)
            )

    def __enter__(self) -> SegmentWriter:
        return self

    def write(self, frames: Tensor, pts: Sequence[int]) -> None:
        """Appends frames ``t 3|4 H W``, float32 RGB(A) in [0, 1], shown at ``pts`` (``spec.time_base``, increasing).

        They may be quantised already: ``t H W 3|4`` uint8 or uint16 of the depth that `picture_depth` says.

        Alpha that the codec cannot hold is left out; `resolve_output` has said so. Raises ValueError for frames that do
        not fit the spec, OutputError when the disk is full.
        """
        if len(pts) != len(frames):
            raise ValueError(f"{len(frames)} frames came with {len(pts)} timestamps")
        with writing(self._path):
            self._writer.write(frames, pts)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self._writer.abort()
            return
        try:
            with writing(self._path):
                self._writer.close()
        except BaseException:
            self._writer.abort()
            raise


class _VideoWriter:
    def __init__(self, path: Path, spec: OutputSpec) -> None:
        self._path, self._spec = path, spec
        self._pts: list[int] = []
        self._muxed = 0
        self._file = path.open("wb")
        try:
            name = "mov" if spec.codec == "prores" else "nut"
            self._container = av.open(self._file, "w", format=name, container_options=dict(BITEXACT))
            self._stream: Any = add_video_stream(self._container, spec)
            self._encoder = FrameEncoder(self._stream, spec)
        except BaseException:
            self.abort()
            raise

    def write(self, frames: Tensor, pts: Sequence[int]) -> None:
        for value in pts:
            if self._pts and value <= self._pts[-1]:
                raise ValueError(f"timestamp {value} does not come after {self._pts[-1]}")
            self._pts.append(int(value))
        pictures = quantise(frames, self._encoder.depth, self._spec.height, self._spec.width)
        self._mux(self._encoder.encode(match_channels(pictures, self._spec.alpha)))

    def _mux(self, packets: Iterable[Any]) -> None:
        depth = reorder_depth(self._spec)
        shift = -min(0, self._pts[0]) if self._pts else 0
        step = max(1, round(1 / (self._spec.fps * self._spec.time_base)))
        for packet in packets:
            lag = self._muxed - depth
            decode_time = self._pts[lag] if lag >= 0 else self._pts[0] + lag
            packet.stream, packet.time_base = self._stream, self._spec.time_base
            packet.pts, packet.dts = self._pts[packet.pts] + shift, decode_time + shift
            packet.duration = step
            self._muxed += 1
            self._container.mux(packet)

    def close(self) -> None:
        if not self._pts:
            raise ValueError("a segment needs at least one frame")
        self._mux(self._encoder.finish())
        if self._muxed != len(self._pts):
            raise RuntimeError(f"{self._path}: {len(self._pts)} frames went in, {self._muxed} packets came out")
        self._container.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        fsync_path(self._path.parent)

    def abort(self) -> None:
        with contextlib.suppress(Exception):
            self._container.close()
        with contextlib.suppress(OSError):
            self._file.close()
        discard(self._path)


def match_channels(pictures: Any, alpha: bool) -> Any:
    """``t h w c`` with three or four channels as the encoder needs them; a missing alpha is opaque."""
    import numpy as np

    if not alpha:
        return pictures[..., :3]
    if pictures.shape[-1] == 4:
        return pictures
    opaque = np.full((*pictures.shape[:-1], 1), np.iinfo(pictures.dtype).max, pictures.dtype)
    return np.concatenate([pictures, opaque], axis=-1)


def main_video_stream(container: Any) -> Any:
    """The first video stream that is not a cover picture; raises InputError where there is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    raise InputError(f"{container.name}: holds no video")


def _packet_times(path: Path) -> tuple[list[int], Fraction]:
    try:
        with open_input(path) as container:
            stream = main_video_stream(container)
            packets = [p for p in read_packets(container, stream) if p.size and not p.is_discard]
            if any(p.pts is None for p in packets):
                raise InputError(f"{path}: holds frames without timestamps")
            return sorted(p.pts for p in packets if p.pts is not None), Fraction(stream.time_base)
    except av.error.FFmpegError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def count_frames(path: Path | str) -> int:
    """How many frames a video file or image folder holds, by its packets (nothing is decoded)."""
    path = Path(path)
    return len(image_files(path)) if path.is_dir() else len(_packet_times(path)[0])


def frame_pts(path: Path | str, time_base: Fraction | None = None) -> list[int]:
    """When the frames of a file are shown, ascending, in the file's own unit or, rounded, in ``time_base``.

    For an image folder: the numbers in the names.
    """
    path = Path(path)
    if path.is_dir():
        return [int(file.stem) for file in image_files(path)]
    times, unit = _packet_times(path)
    return times if time_base is None else [round(t * unit / time_base) for t in times]
