"""Closed captions (CEA-608, 708) inside the pictures: from frames of the source into packets of H.264 and H.265.

They are text that belongs to a moment, so they are as right for a restored picture as for its source. PyAV attaches
nothing to frames, so the encoder never sees them: they are put between the pictures' parts when segments are joined, as
supplemental enhancement information of the form that ATSC A/53 part 4, 6.2.3 gives them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import av
from av.sidedata.sidedata import Type

from limpid.types import Clip, Timeline, Window
from limpid.video.decode import Decoder
from limpid.video.side_data import side_data_of

CAPTION_CODECS = ("h264", "h265")
"""Codecs of results that closed captions are put into."""
_START = re.compile(rb"\x00?\x00\x00\x01(?s:(.))")
_SEI_HEADER = {"h264": b"\x06", "h265": b"\x4e\x01"}
_MOST_TRIPLETS = 31


def caption_unit(codec: str, triplets: bytes) -> bytes:
    """The NAL unit, start code included, that holds so many triples of caption bytes (A/53 part 4, table 6.7)."""
    triplets = triplets[: 3 * _MOST_TRIPLETS]
    count = 0x40 | len(triplets) // 3
    body = b"\xb5\x00\x31GA94\x03" + bytes([count, 0xFF]) + triplets + b"\xff"
    message = b"\x04" + bytes([len(body)]) + body + b"\x80"
    # No start code may lie inside (ISO 14496-10, 7.4.1.1).
    return b"\x00\x00\x00\x01" + _SEI_HEADER[codec] + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", message)


def with_unit(data: bytes, unit: bytes, codec: str) -> bytes:
    """A coded picture, its parts between start codes, with one more unit before the first part that holds pixels."""
    for found in _START.finditer(data):
        kind = found[1][0] & 31 if codec == "h264" else found[1][0] >> 1 & 63
        if 1 <= kind <= 5 if codec == "h264" else kind < 32:
            return data[: found.start()] + unit + data[found.start() :]
    return data


class CaptionSource:
    """The captions of a source by the number of the frame in the output; the source is decoded along with them."""

    def __init__(self, clip: Clip, timeline: Timeline, part: Window) -> None:
        self._decoder = Decoder(clip.path, threads=int(timeline.damaged), stream_index=clip.stream_index)
        self._frames = self._decoder.frames()
        self._first, self._next = part.start, 0
        self._step = 2 if timeline.time_base * 2 == clip.time_base else 1
        """Two frames of the output for one of the source, where fields become frames: the first one has them."""
        self._found: dict[int, bytes] = {}

    def at(self, index: int) -> bytes:
        """Those of frame ``index``, once; empty where there are none. Asked in decoding order."""
        number = self._first + index
        while self._next <= number:
            shown = next(self._frames, None)
            if shown is None:
                break
            data = side_data_of(shown.frame).get(Type.A53_CC)
            if data and self._next >= self._first:
                self._found[self._next] = data
            self._next += self._step
        return self._found.pop(number, b"")

    def close(self) -> None:
        self._decoder.close()


def captioned(
    packets: Iterator[Any], source: CaptionSource, codec: str, pts: tuple[int, ...], stream: Any
) -> Iterator[Any]:
    """The packets of the output in decoding order, with the captions of their frames. ``pts``: of all frames."""
    try:
        for packet in packets:
            triplets = source.at(bisect_left(pts, packet.pts))
            yield _captioned(packet, caption_unit(codec, triplets), codec, stream) if triplets else packet
    finally:
        source.close()


def _captioned(packet: Any, unit: bytes, codec: str, stream: Any) -> Any:
    result = av.Packet(with_unit(bytes(packet), unit, codec))
    result.pts, result.dts, result.duration = packet.pts, packet.dts, packet.duration
    result.time_base, result.is_keyframe, result.stream = packet.time_base, packet.is_keyframe, stream
    return result
