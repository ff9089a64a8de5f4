"""Text subtitles between the forms that Matroska (SubRip) and MP4 (3GPP timed text) hold."""

from __future__ import annotations

import re
from typing import Any

import av

TEXT_CODECS = frozenset({"subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "subviewer", "sami"})
_OVERRIDE = re.compile(r"\{\\[^}]*\}")
_ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\n\r\n[V4+ Styles]\r\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, "
    b"Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, "
    b"MarginV, Encoding\r\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\r\n"
    b"\r\n[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


def plain_text(dialogue: str) -> str:
    """The text of an ASS event: fields before it and style overrides removed, line breaks kept.

    FFmpeg's decoders give ``ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text``.
    """
    text = dialogue.split(",", 8)[-1] if dialogue.count(",") >= 8 else dialogue
    text = _OVERRIDE.sub("", text)
    return text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ").strip()


class SubtitleConverter:
    """Packets of a text subtitle stream -> packets of ``mov_text`` or ``subrip``; looks (fonts, places) are lost."""

    def __init__(self, source: Any, container: Any, target: str) -> None:
        self._source, self._target = source, target
        if target == "mov_text":
            self.stream = container.add_stream("mov_text")
            self.stream.codec_context.subtitle_header = _ASS_HEADER
        else:
            self.stream = container.add_mux_stream(target)

    def convert(self, packet: Any) -> list[Any]:
        """One source packet -> no packet (nothing to show) or one, with the same time and duration."""
        try:
            events = self._source.codec_context.decode(packet)
        except av.error.FFmpegError:
            return []
        text = "\n".join(plain_text(self._dialogue(event)) for event in events).strip()
        if not text:
            return []
        data = text.encode("utf-8")
        if self._target == "mov_text":
            data = data[:65535]
            data = len(data).to_bytes(2, "big") + data
        result = av.Packet(data)
        result.pts, result.dts, result.duration = packet.pts, packet.pts, packet.duration
        result.time_base = packet.time_base
        result.is_keyframe = True
        result.stream = self.stream
        return [result]

    @staticmethod
    def _dialogue(event: Any) -> str:
        raw = getattr(event, "ass", b"") or getattr(event, "text", b"")
        return bytes(raw).decode("utf-8", "replace")
