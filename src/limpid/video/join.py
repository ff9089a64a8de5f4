"""Segments -> one stream of packets with timestamps rebuilt over the whole video, nothing re-encoded.

The packets' own times only say in which order a segment's frames are shown; the timeline says when. Decoding times are
the sorted showing times delayed by the encoder's reorder depth, which keeps ``dts <= pts`` and both increasing for any
pattern of frame durations, since every segment is a sequence of closed GOPs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np

from limpid.types import OutputError, OutputSpec
from limpid.video.encode import FrameEncoder, reorder_depth
from limpid.video.opening import open_input, read_packets
from limpid.video.segments import main_video_stream


@dataclass(frozen=True, kw_only=True)
class Clock:
    """When each frame of the output is shown: ``pts`` increasing in ``time_base``, and how long the last one is."""

    pts: tuple[int, ...]
    time_base: Fraction
    last_duration: int

    def duration(self, index: int) -> int:
        if index + 1 < len(self.pts):
            return self.pts[index + 1] - self.pts[index]
        return max(1, self.last_duration)

    def decode_time(self, order: int, depth: int) -> int:
        """The dts of packet number ``order`` in decoding order."""
        if order >= depth:
            return self.pts[order - depth]
        return self.pts[0] - (depth - order) * self._shortest

    def stored_duration(self, index: int, order: int, depth: int) -> int:
        """The duration of a packet: that of its frame, but the last one decoded makes up the length of the whole.

        MP4 stores distances of decoding times, so its length is the last decoding time plus the last stored duration.
        """
        if order < len(self.pts) - 1 or not depth:
            return self.duration(index)
        end = self.pts[-1] + self.duration(len(self.pts) - 1)
        return end - self.pts[0] + self.decode_time(0, depth) - self.decode_time(order, depth)

    @cached_property
    def _shortest(self) -> int:
        return min(self.duration(i) for i in range(len(self.pts)))


@dataclass
class _Count:
    packets: int = 0
    frames: int = 0


def joined_packets(segments: Sequence[Path], spec: OutputSpec, clock: Clock, stream: Any) -> Iterator[Any]:
    """The packets of all segments in decoding order, for ``stream``, whose encoder was opened with the same ``spec``.

    Raises OutputError where a segment's headers differ from the stream's byte for byte, or its frames do not belong to
    the clock. Holds one packet at a time.
    """
    count = _Count()
    expected = bytes(stream.codec_context.extradata or b"")
    for path in segments:
        with _open_segment(path) as container:
            source = main_video_stream(container)
            if bytes(source.codec_context.extradata or b"") != expected:
                raise OutputError(f"{path}: its encoder headers differ from those of the output; it cannot be joined")
            yield from _segment_packets(container, source, path, spec, clock, stream, count)
    if count.frames != len(clock.pts):
        raise OutputError(f"{len(clock.pts)} frames were due, the segments hold {count.frames}")


def _open_segment(path: Path) -> Any:
    try:
        return open_input(path, container_options={"probesize": "1000000"})
    except av.error.FFmpegError as error:
        raise OutputError(f"{path}: the segment cannot be read back: {error}") from error


def _segment_packets(
    container: Any, source: Any, path: Path, spec: OutputSpec, clock: Clock, stream: Any, count: _Count
) -> Iterator[Any]:
    depth = reorder_depth(spec)
    start, shift, seen = count.frames, 0, 0
    ratio = Fraction(source.time_base) / clock.time_base
    for packet in read_packets(container, source):
        if not packet.size:
            continue
        shown = round(packet.pts * ratio)
        if not seen:
            if not packet.is_keyframe:
                raise OutputError(f"{path}: the segment does not start with a key frame")
            if start >= len(clock.pts):
                raise OutputError(f"{path}: {len(clock.pts)} frames were due, the segments hold more")
            shift = clock.pts[start] - shown
        index = bisect_left(clock.pts, shown + shift)
        if index >= len(clock.pts) or clock.pts[index] != shown + shift:
            raise OutputError(f"{path}: holds a frame that is not on the timeline")
        _stamp(packet, index, count.packets, depth, clock, stream)
        count.packets += 1
        seen += 1
        yield packet
    count.frames += seen


def _stamp(packet: Any, index: int, order: int, depth: int, clock: Clock, stream: Any) -> None:
    in_mp4 = stream.container.format.name in ("mp4", "mov")
    packet.stream = stream
    packet.time_base = clock.time_base
    packet.pts, packet.dts = clock.pts[index], clock.decode_time(order, depth)
    packet.duration = clock.stored_duration(index, order, depth) if in_mp4 else clock.duration(index)
    if packet.dts > packet.pts:
        raise OutputError(f"frame {index} would have to be decoded after it is shown; the segments cannot be joined")


def encoded_packets(segments: Sequence[Path], spec: OutputSpec, clock: Clock, stream: Any) -> Iterator[Any]:
    """The frames of lossless segments, encoded once from end to end, as packets for ``stream``."""
    encoder = FrameEncoder(stream, spec)
    depth = reorder_depth(spec)
    count = _Count()
    for path in segments:
        with _open_segment(path) as container:
            for frame in container.decode(main_video_stream(container)):
                count.frames += 1
                if count.frames > len(clock.pts):
                    raise OutputError(f"{path}: holds more frames than the timeline")
                yield from _stamped(encoder.encode([_pixels(frame, encoder.depth)]), depth, clock, stream, count)
    yield from _stamped(encoder.finish(), depth, clock, stream, count)
    if not count.frames == count.packets == len(clock.pts):
        raise OutputError(f"{len(clock.pts)} frames were due, {count.frames} were found, {count.packets} encoded")


def _stamped(packets: Iterator[Any], depth: int, clock: Clock, stream: Any, count: _Count) -> Iterator[Any]:
    for packet in packets:
        _stamp(packet, packet.pts, count.packets, depth, clock, stream)
        count.packets += 1
        yield packet


def _pixels(frame: av.VideoFrame, depth: int) -> np.ndarray:
    """A decoded FFV1 RGB frame as ``h w c``, without any conversion of values."""
    name = frame.format.name
    if name in ("bgr0", "bgra"):
        packed = frame.to_ndarray(format="bgra") if name == "bgra" else _plane(frame, 0, np.uint8, 4)
        order = (2, 1, 0, 3) if name == "bgra" else (2, 1, 0)
        return np.ascontiguousarray(packed[..., list(order)])
    if not name.startswith("gbr") or depth != 16 or "16" not in name:
        raise OutputError(f"lossless segments of pixel format {name} cannot be encoded at {depth} bits")
    order = (2, 0, 1, 3) if name.startswith("gbrap") else (2, 0, 1)
    return np.stack([_plane(frame, i, np.uint16, 1)[..., 0] for i in order], axis=-1)


def _plane(frame: av.VideoFrame, index: int, dtype: Any, channels: int) -> np.ndarray:
    plane: Any = frame.planes[index]
    row = plane.line_size // np.dtype(dtype).itemsize
    pixels = np.frombuffer(plane, dtype).reshape(-1, row)[: frame.height, : frame.width * channels]
    return pixels.reshape(frame.height, frame.width, channels)


def is_lossless_stand_in(segment: Path, spec: OutputSpec) -> bool:
    """True where the segments are FFV1 though the output is not: they are then encoded once, at the end."""
    if spec.codec == "ffv1":
        return False
    with _open_segment(segment) as container:
        return bool(main_video_stream(container).codec_context.name == "ffv1")
