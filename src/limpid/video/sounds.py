"""Sound that changes its codec or configuration in mid-stream, as in joined recordings: which streams do.

FFmpeg gives a stream the codec and the configuration that it begins with, and so does every container that its packets
are copied into. In broadcasts each packet says by its own header what it is; other files announce a new configuration
beside a packet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_SELF_FRAMED = frozenset({"aac", "aac_latm", "mp1", "mp2", "mp3", "ac3", "eac3", "dts", "truehd"})
_SELF_FRAMED_FILES = frozenset({"mpegts", "mpeg"})
"""Formats whose packets begin with the headers of these codecs."""
_STEADY_PACKETS = 3
"""Packets in a row that make a change; fewer are damage, or frames that belong together (E-AC-3 beside its AC-3)."""
_HEADER_BYTES = 8

Framing = tuple[str, int]
"""A codec by FFmpeg's name, and what containers keep of its configuration outside of the packets, 0 for nothing."""


def framing_of(data: bytes) -> Framing | None:
    """What a packet is by its first 8 bytes; None where they are no header that is known here.

    Sync words: ISO 13818-7 and 11172-3 (ADTS, MPEG audio), ISO 14496-3 (LATM), ETSI TS 102 366 (AC-3, where a
    ``bsid`` over 10 is E-AC-3), ETSI TS 102 114 (DTS and its extension). Of ADTS, profile, rate and channels count.
    """
    if len(data) < _HEADER_BYTES:
        return None
    word = int.from_bytes(data[:2])
    if word == 0x0B77:
        return ("ac3" if data[5] >> 3 <= 10 else "eac3"), 0
    if data[:4] in (b"\x7f\xfe\x80\x01", b"\x64\x58\x20\x25"):
        return "dts", 0
    if data[4:8] == b"\xf8\x72\x6f\xba":
        return "truehd", 0
    if word & 0xFFF6 == 0xFFF0:
        return "aac", 1 + (int.from_bytes(data[2:4]) & 0b1111_1101_1100_0000)
    if word & 0xFFE0 == 0x56E0:
        return "aac_latm", 0
    layer = 4 - (word >> 1 & 3)
    return (f"mp{layer}", 0) if word & 0xFFE0 == 0xFFE0 and layer < 4 else None


@dataclass
class _Heard:
    """What one stream was so far."""

    is_self_framed: bool
    extradata: bytes | None
    framing: Framing | None = None
    latest: Framing | None = None
    in_a_row: int = 0
    changes: bool = False

    def see(self, packet: Any) -> None:
        if self.is_self_framed:
            self._see_framing(framing_of(bytes(memoryview(packet)[:_HEADER_BYTES])))
        elif packet.has_sidedata("new_extradata"):
            told = bytes(packet.get_sidedata("new_extradata"))
            self.changes = self.changes or (self.extradata is not None and told != self.extradata)
            self.extradata = told

    def _see_framing(self, framing: Framing | None) -> None:
        if framing is None:
            return
        self.in_a_row = self.in_a_row + 1 if framing == self.latest else 1
        self.latest = framing
        if self.in_a_row == _STEADY_PACKETS:
            self.changes = self.changes or self.framing not in (None, framing)
            self.framing = framing


def is_self_framed(stream: Any) -> bool:
    """Whether each packet of a sound stream says by its own header what it is."""
    context = stream.codec_context
    known = context is not None and context.codec.canonical_name in _SELF_FRAMED
    return known and stream.container.format.name in _SELF_FRAMED_FILES


class SoundWatch:
    """Is shown the packets of a file in order, and knows which of its sound streams change on the way."""

    def __init__(self) -> None:
        self._heard: dict[int, _Heard] = {}

    def see(self, packet: Any) -> None:
        """Packets of other streams and empty ones are passed over."""
        stream = packet.stream
        if stream.type != "audio" or not packet.size or stream.codec_context is None:
            return
        heard = self._heard.get(stream.index)
        if heard is None:
            extradata = stream.codec_context.extradata or None
            heard = self._heard[stream.index] = _Heard(is_self_framed(stream), extradata)
        heard.see(packet)

    @property
    def changing(self) -> tuple[int, ...]:
        """Numbers of the streams that change, ascending."""
        return tuple(sorted(index for index, heard in self._heard.items() if heard.changes))
