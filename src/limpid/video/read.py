"""Reading windows of frames: forward where possible, the same pixels for any order of calls."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple, Self

import av
import numpy as np

from limpid.types import Clip, InputError, Timeline, VideoFrame, Window
from limpid.video.decode import Decoder
from limpid.video.deinterlace import wanted
from limpid.video.images import load_image
from limpid.video.pixels import PixelConverter

_WARM_UP_FRAMES = 3
"""Frames after a seek that a deinterlacer may have made from too few neighbours."""


class _LostError(Exception):
    """After a seek the frames were not those of the timeline."""


class _Numbered(NamedTuple):
    number: int
    frame: av.VideoFrame


class FrameReader:
    """Frames of a clip by number. Use as a context manager; not for use by two threads at once.

    Frames are decoded in order. The last window that was asked for stays in memory, so that what overlaps it is not
    decoded twice; earlier frames are decoded again. Jumps of more than ``seek_after`` frames go to a key frame where
    `Timeline.seekable` says that this is sound, else the frames between are decoded and dropped.
    """

    def __init__(self, clip: Clip, timeline: Timeline, *, deinterlace: str = "auto", seek_after: int = 240) -> None:
        self._clip, self._timeline = clip, timeline
        self._deinterlace = wanted(deinterlace, timeline)
        self._seek_after = seek_after
        self._may_seek = timeline.seekable
        self._convert = PixelConverter(clip)
        self._decoder: Decoder | None = None
        self._source: Iterator[_Numbered] = iter(())
        self._next = -1
        self._sought = False
        self._cache: dict[int, VideoFrame] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the decoder and the frames; calling it again does no harm."""
        self._stop()
        self._cache = {}

    def read(self, window: Window) -> list[VideoFrame]:
        """The frames of ``window``, upright RGB or RGBA; their arrays are read-only, as the next window may share them.

        Raises ValueError beyond the end, `InputError` when the file has changed since it was scanned.
        """
        if window.stop > self._timeline.num_frames:
            raise ValueError(f"window {window} goes beyond the last of {self._timeline.num_frames} frames")
        missing = [index for index in range(window.start, window.stop) if index not in self._cache]
        kept = {index: frame for index, frame in self._cache.items() if window.start <= index < window.stop}
        self._cache = kept
        if missing:
            kept.update(self._images(missing) if self._clip.kind == "images" else self._decode(missing))
        return [kept[index] for index in range(window.start, window.stop)]

    def _images(self, missing: list[int]) -> dict[int, VideoFrame]:
        return {index: VideoFrame(index, self._image(index)) for index in missing}

    def _image(self, index: int) -> np.ndarray:
        path = self._clip.image_paths[self._timeline.pts[index]]
        pixels = load_image(path, alpha=self._clip.has_alpha, deep=self._clip.bit_depth > 8)
        if pixels is None or pixels.shape[:2] != (self._clip.height, self._clip.width):
            raise InputError(f"{path}: the image has changed since it was first read; start again")
        pixels.flags.writeable = False
        return pixels

    def _decode(self, missing: list[int]) -> dict[int, VideoFrame]:
        self._go_to(missing[0])
        try:
            return self._collect(missing)
        except _LostError:
            self._may_seek = False
            self._restart()
            return self._collect(missing)

    def _collect(self, missing: list[int]) -> dict[int, VideoFrame]:
        """Decode up to the last missing frame; only those that are asked for are converted."""
        need, found = set(missing), {}
        while self._next <= missing[-1]:
            numbered = next(self._source, None)
            if numbered is None and self._sought:
                raise _LostError
            if numbered is None:
                raise InputError(
                    f"{self._clip.path}: frame {self._next} could not be read again; has the file changed meanwhile?"
                )
            self._next = numbered.number + 1
            if numbered.number in need:
                found[numbered.number] = VideoFrame(numbered.number, self._convert(numbered.frame))
        if len(found) != len(need):
            raise _LostError
        return found

    def _go_to(self, index: int) -> None:
        behind = self._decoder is None or self._next > index
        far = index - (0 if behind else self._next) > self._seek_after
        if far and self._may_seek and self._seek(index):
            return
        if behind:
            self._restart()

    def _open(self) -> Decoder:
        return Decoder(
            self._clip.path,
            threads=int(self._timeline.damaged),
            deinterlace=self._deinterlace,
            stream_index=self._clip.stream_index,
        )

    def _restart(self) -> None:
        """From the first frame; a fresh decoder, because a used one may order frames by what it has seen before."""
        self._stop()
        self._decoder = self._open()
        frames = self._decoder.frames()
        self._source = (_Numbered(number, shown.frame) for number, shown in enumerate(frames))
        self._next = 0

    def _seek(self, index: int) -> bool:
        """Jump to where ``index`` can be reached from; False, and nothing has changed, where that is not sound."""
        decoder = self._open()
        trusted = decoder.seek_before(self._timeline.pts[max(0, index - _WARM_UP_FRAMES)])
        source = self._after_seek(decoder, trusted) if trusted is not None else iter(())
        try:
            first = next(source, None)
        except _LostError:
            first = None
        if first is None or first.number > index:
            decoder.close()
            return False
        self._stop()
        self._decoder, self._source = decoder, _chain(first, source)
        self._next, self._sought = first.number, True
        return True

    def _after_seek(self, decoder: Decoder, trusted: int) -> Iterator[_Numbered]:
        """Frames with their numbers, found by time; raises `_LostError` when one is missing or unknown."""
        pts, expected = self._timeline.pts, None
        warm_up = _WARM_UP_FRAMES if self._deinterlace else 0
        for count, shown in enumerate(decoder.frames()):
            if shown.pts is None:
                raise _LostError
            if shown.pts < trusted or count < warm_up:
                continue
            number = bisect_left(pts, shown.pts)
            if number >= len(pts) or pts[number] != shown.pts or expected not in (None, number):
                raise _LostError
            expected = number + 1
            yield _Numbered(number, shown.frame)

    def _stop(self) -> None:
        self._source, self._next, self._sought = iter(()), -1, False
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None


def _chain(first: _Numbered, rest: Iterator[_Numbered]) -> Iterator[_Numbered]:
    yield first
    yield from rest
