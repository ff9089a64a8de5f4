"""Video that changes its codec in mid-stream, as joined recordings of broadcasts: read on with another decoder.

FFmpeg gives a stream the codec that it begins with, and cuts all that follows into packets by that codec's rules. What
comes after a change is therefore put together again and cut by its own.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

import av

_FILES = frozenset({"mpegts", "mpeg"})
"""Formats in which every key frame brings all the headers of its codec along."""
_AGAIN = b"\0\0\0?\1"
_BEGINNINGS = {
    "h264": (b"\0\0\1\x09", re.compile(rb"[\x10\x30\x50\x70\x90\xb0\xd0\xf0]" + _AGAIN + rb"[\x27\x47\x67]")),
    "hevc": (b"\0\0\1\x46\x01", re.compile(rb"[\x10\x30\x50]" + _AGAIN + rb"\x40\x01")),
    "mpeg2video": (b"\0\0\1\xb3", re.compile(rb"(?s:.{8}(?:.{64}){0,2})\x00\x00\x01[\x00\xb2\xb5\xb8]")),
}
"""How a key frame begins, a part that is quickly found and what must follow: a delimiter and the first set of
parameters (ISO 14496-10, 7.4.1.2.3; 23008-2, 7.4.2.4.4), or a sequence header and what may come after it (13818-2,
6.2.2). In streams of the other two codecs no such bytes can be."""


class CodecChanges:
    """Is shown the packets of a video in order, and says what is to be done with each."""

    def __init__(self, container: Any, stream: Any) -> None:
        name = stream.codec_context.codec.canonical_name
        self.names: list[str] = [name]
        """Codecs of the stream, one after the other."""
        self._watched = container.format.name in _FILES and name in _BEGINNINGS
        self._framing: _Framing | None = None

    def steps(self, packet: Any) -> Iterator[Any]:
        """Packets for the decoder, and names of codecs where it is to be another one from there on."""
        found = self._change(packet) if self._watched else None
        if found is None:
            yield from [packet] if self._framing is None else self._framing.push(packet)
            return
        name, at = found
        data = bytes(packet)
        if at:
            yield from self._rest(packet, data[:at])
        yield from self.finish()
        yield name
        self.names.append(name)
        self._framing = _Framing(name)
        yield from self._framing.push(packet if not at else _part_of(packet, data[at:], timed=False))

    def finish(self) -> Iterator[Any]:
        """The packet that waited for its end."""
        if self._framing is not None:
            yield from self._framing.finish()

    def _rest(self, packet: Any, data: bytes) -> Iterator[Any]:
        part = _part_of(packet, data, timed=True)
        yield from [part] if self._framing is None else self._framing.push(part)

    def _change(self, packet: Any) -> tuple[str, int] | None:
        """The other codec that a packet goes on with, and where in it."""
        data = bytes(packet)
        for name, (mark, follows) in _BEGINNINGS.items():
            at = data.find(mark) if name != self.names[-1] else -1
            while at >= 0:
                if follows.match(data, at + len(mark)):
                    return name, at - (at > 0 and data[at - 1] == 0)
                at = data.find(mark, at + 1)
        return None


class _Framing:
    """Pieces of a stream in, its pictures out, each with the times of the piece in which it begins."""

    def __init__(self, codec: str) -> None:
        self._parser = av.CodecContext.create(codec, "r")
        self._taken = self._given = 0
        self._times: deque[tuple[int, Any]] = deque()

    def push(self, piece: Any) -> Iterator[Any]:
        self._times.append((self._taken, piece))
        self._taken += piece.size
        yield from self._timed(self._parser.parse(bytes(piece)))

    def finish(self) -> Iterator[Any]:
        yield from self._timed(self._parser.parse(b""))

    def _timed(self, pictures: list[Any]) -> Iterator[Any]:
        for picture in pictures:
            piece = None
            while self._times and self._times[0][0] <= self._given:
                piece = self._times.popleft()[1]
            self._given += picture.size
            if piece is not None:
                picture.pts, picture.dts, picture.duration = piece.pts, piece.dts, piece.duration
                picture.time_base = piece.time_base
            yield picture


def _part_of(packet: Any, data: bytes, *, timed: bool) -> Any:
    part = av.Packet(data)
    part.time_base = packet.time_base
    if timed:
        part.pts, part.dts, part.duration = packet.pts, packet.dts, packet.duration
    return part
