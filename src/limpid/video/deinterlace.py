"""Deinterlacing with FFmpeg's bwdif: one frame out for each frame in, or two, one for each field."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, Literal, TypeVar, get_args

import av
from av.filter import Graph

from limpid.types import SettingsError, Timeline

Mode = Literal["auto", "on", "off", "double"]
FieldMode = Literal["all", "interlaced", "fields"]
"""Every frame, those that are marked, or every frame as two."""
Tag = TypeVar("Tag")
_MIN_SIZE = 16
_COLOURS = ("colorspace", "color_range", "color_primaries", "color_trc")


def check_mode(mode: str) -> None:
    """Raise `SettingsError` for anything but auto, on, off and double."""
    if mode not in get_args(Mode):
        raise SettingsError(f"--deinterlace {mode}: must be auto, on, off or double")


def wanted(mode: str, timeline: Timeline) -> FieldMode | None:
    """Which frames to deinterlace: all, those that the stream marks, or none."""
    check_mode(mode)
    if mode == "double":
        return "fields"
    if mode == "on":
        return "all"
    return "interlaced" if mode == "auto" and timeline.interlaced else None


class Deinterlacer(Generic[Tag]):
    """FieldMode in, frames out in the same order and number (twice as many of "fields"); each carries its input's tag.

    ``frames``: "all" or only the "interlaced" ones, the others pass unchanged. So do frames of fewer than 16 lines or
    columns, whose chroma may be too small for the filter.
    """

    def __init__(self, frames: FieldMode) -> None:
        self._frames = frames
        self._copies = 2 if frames == "fields" else 1
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._tags: deque[tuple[Tag, tuple[int, ...]]] = deque()

    def push(self, frame: av.VideoFrame, tag: Tag) -> list[tuple[av.VideoFrame, Tag]]:
        """Hand in one frame; get those that are finished."""
        shape = (frame.width, frame.height, frame.format.name)
        done: list[tuple[av.VideoFrame, Tag]] = []
        if shape != self._shape:
            done = self.flush()
            self._graph, self._shape = self._build(frame), shape
        if self._graph is None:
            return [*done, *[(frame, tag)] * self._copies]
        frame.pts = None
        self._tags.extend([(tag, tuple(getattr(frame, name) for name in _COLOURS))] * self._copies)
        self._graph.vpush(frame)
        return done + self._pull()

    def flush(self) -> list[tuple[av.VideoFrame, Tag]]:
        """The frames that are still inside; the filter starts anew after that."""
        if self._graph is None:
            return []
        self._graph.vpush(None)
        done = self._pull()
        self._graph, self._shape = None, None
        return done

    def _build(self, frame: av.VideoFrame) -> Graph | None:
        if min(frame.height, frame.width) < _MIN_SIZE:
            return None
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        fields = self._frames == "fields"
        mode: Any = {
            "mode": "send_field" if fields else "send_frame",
            "parity": "auto",
            "deint": "all" if fields else self._frames,
        }
        try:
            graph.link_nodes(source, graph.add("bwdif", **mode), graph.add("buffersink")).configure()
        except av.FFmpegError as error:
            name = frame.format.name
            raise SettingsError(f"pictures of format {name} cannot be deinterlaced; use --deinterlace off") from error
        return graph

    def _pull(self) -> list[tuple[av.VideoFrame, Tag]]:
        done = []
        while self._graph is not None:
            try:
                frame = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                break
            tag, colours = self._tags.popleft()
            for name, value in zip(_COLOURS, colours, strict=True):  # a filter knows those of its first frame only
                setattr(frame, name, value)
            done.append((frame, tag))
        return done
