"""What decoders attach to a frame besides its pixels: display matrix, captions, mastering display, profiles."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import av
from av.filter import Graph
from av.sidedata.sidedata import Type

_KINDS_TO_COME = 16
"""How many kinds FFmpeg may know beyond those that PyAV can name."""


def side_data_of(frame: av.VideoFrame) -> dict[Type, bytes]:
    """All side data of a frame that PyAV can name (the last one of each kind).

    PyAV gives up on the whole frame where FFmpeg attaches a kind that it has no name for, such as the EXIF block of
    Motion JPEG and TIFF (kind 31 of FFmpeg 8); those are taken off a copy of the frame first.
    """
    try:
        return _by_type(frame)
    except ValueError:
        pass
    try:
        return _by_type(_with_known_kinds_only(frame))
    except (av.FFmpegError, ValueError):
        return {}


def kinds_of(frame: av.VideoFrame) -> Iterable[Type]:
    """Kinds of side data of one frame; quick, for every frame of a film."""
    try:
        sides: Any = frame.side_data
    except ValueError:  # a kind that PyAV has no name for
        return side_data_of(frame)
    _let_go(frame)
    return [side.type for side in sides] if len(sides) else ()


def _by_type(frame: av.VideoFrame) -> dict[Type, bytes]:
    sides: Any = frame.side_data
    _let_go(frame)
    return {side.type: bytes(side) for side in sides}


_MOST_WAITING_BYTES = 128 << 20
_waiting_bytes = 0


def _let_go(frame: av.VideoFrame) -> None:
    """Has old frames collected when many bytes of them may wait.

    A frame and its side data hold each other, so that only the garbage collector frees them, and it counts objects, not
    bytes: sixty frames of 4K took 780 MiB instead of 213.
    """
    global _waiting_bytes
    _waiting_bytes += 2 * frame.width * frame.height
    if _waiting_bytes > _MOST_WAITING_BYTES:
        _waiting_bytes = 0
        gc.collect()


def _numbers() -> list[int]:
    kinds: Any = Type
    return [int(kind.value) for kind in kinds]


def _with_known_kinds_only(frame: av.VideoFrame) -> av.VideoFrame:
    graph = Graph()
    nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)]
    last = max(_numbers())
    for kind in range(last + 1, last + 1 + _KINDS_TO_COME):
        nodes.append(graph.add("sidedata", f"mode=delete:type={kind}"))
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()
