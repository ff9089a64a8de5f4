"""One decoder for scan and read: the frames that are shown, in order, with nothing lost at either end.

What an edit list hides is marked by FFmpeg's demuxer and dropped by its decoder, so that frames here are those that
`ffmpeg` shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import av

from limpid.types import LimpidError
from limpid.video.codec_changes import CodecChanges
from limpid.video.deinterlace import Deinterlacer, FieldMode
from limpid.video.headers import MAX_PIXELS
from limpid.video.opening import choose_video, open_container, read_packets
from limpid.video.sounds import SoundWatch

_MAX_READ_ERRORS = 50
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own VP8 and VP9 decoders leave the alpha of WebM out."""


_MAX_ASPECTS = 4
_STEPS_BACK_S = (0, 1, 5, 20)


class Shown(NamedTuple):
    """A decoded frame with its times as the file has them, in the stream's time base."""

    frame: av.VideoFrame
    pts: int | None
    dts: int | None
    duration: int


class _Times(NamedTuple):
    pts: int | None
    dts: int | None
    duration: int


@dataclass(slots=True)
class DecodeStats:
    """Counted while decoding."""

    packets: int = 0
    lost_packets: int = 0
    """Packets that gave an error instead of a frame."""
    read_errors: int = 0
    corrupt_frames: int = 0
    key_pts: list[int] = field(default_factory=list)
    end_s: float = 0.0
    """The latest end of a packet of any stream."""
    video_end_s: float = 0.0
    end_byte: int = 0
    """Where in the file the last packet of any stream ends, about."""
    hole_bytes: int = 0
    """The longest part of the file between two packets that belongs to no known stream."""
    aspects: list[Fraction] = field(default_factory=list)
    """The shapes of pixels that the stream asked for, one after the other."""

    @property
    def damaged(self) -> bool:
        return bool(self.lost_packets or self.read_errors or self.corrupt_frames)


class Decoder:
    """Decodes the main video stream of a file. Use as a context manager.

    ``threads``: 0 lets FFmpeg choose; 1 makes damaged streams decode the same way every time. ``all_streams`` reads the
    other streams' packets too, only to learn how long they are.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int = 0,
        deinterlace: FieldMode | None = None,
        all_streams: bool = False,
        stream_index: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.stats = DecodeStats()
        self.container = open_container(self.path)
        try:
            self.stream = choose_video(self.container, self.path, stream_index)
        except LimpidError:
            self.container.close()
            raise
        self.sounds = SoundWatch()
        self.codecs = CodecChanges(self.container, self.stream)
        self._threads = threads
        self._context = self._make_context()
        self._streams = () if all_streams else (self.stream,)
        self._filter: Deinterlacer[_Times] | None = Deinterlacer(deinterlace) if deinterlace else None
        self._pending: Iterator[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the file and the decoder; calling it again does no harm."""
        self._pending = None
        self.container.close()

    def _make_context(self) -> Any:
        context = self.stream.codec_context
        wanted = _ALPHA_DECODERS.get(context.name) if self.stream.metadata.get("alpha_mode") == "1" else None
        if wanted in av.codecs_available:
            context = av.CodecContext.create(wanted, "r")
            context.extradata = self.stream.codec_context.extradata
        return self._threaded(context)

    def _threaded(self, context: Any) -> Any:
        kind = "NONE" if self._threads == 1 else "AUTO"
        context.thread_type, context.thread_count = kind, self._threads
        return context

    def frames(self) -> Iterator[Shown]:
        """All shown frames from the current position to the end."""
        for shown in self._decoded():
            if self._filter is None:
                yield shown
            else:
                yield from self._filtered(self._filter.push(shown.frame, _Times(*shown[1:])))
        if self._filter is not None:
            yield from self._filtered(self._filter.flush())

    @staticmethod
    def _filtered(done: list[tuple[av.VideoFrame, _Times]]) -> Iterator[Shown]:
        return (Shown(frame, *times) for frame, times in done)

    def _decoded(self) -> Iterator[Shown]:
        for packet in self._pending or self._packets():
            yield from self._stepped(self.codecs.steps(packet))
        yield from self._stepped(self.codecs.finish())
        yield from map(self._shown, self._decode(None))

    def _stepped(self, steps: Iterator[Any]) -> Iterator[Shown]:
        for step in steps:
            if not isinstance(step, str):
                yield from map(self._shown, self._decode(step))
                continue
            yield from map(self._shown, self._decode(None))
            self._context = self._threaded(av.CodecContext.create(step, "r"))
            self._context.options = {"max_pixels": str(MAX_PIXELS)}

    def _shown(self, frame: av.VideoFrame) -> Shown:
        self.stats.corrupt_frames += frame.is_corrupt
        frame.time_base = self.stream.time_base
        return Shown(frame, frame.pts, frame.dts, frame.duration or 0)

    def _decode(self, packet: Any) -> list[av.VideoFrame]:
        try:
            frames: list[av.VideoFrame] = self._context.decode(packet)
        except av.EOFError:
            return []
        except av.FFmpegError:
            self.stats.lost_packets += 1
            return []
        if frames:
            self._note_aspect(self._context.sample_aspect_ratio)
        return frames

    def _note_aspect(self, aspect: Fraction | None) -> None:
        known = self.stats.aspects
        if aspect and len(known) < _MAX_ASPECTS and (not known or known[-1] != aspect):
            known.append(Fraction(aspect))

    def _packets(self) -> Iterator[Any]:
        """Packets of the video; reading goes on after an error, as `ffmpeg` does."""
        while self.stats.read_errors < _MAX_READ_ERRORS:
            try:
                for packet in read_packets(self.container, *self._streams):
                    if packet.size == 0 and packet.dts is None:
                        continue  # PyAV's flush packets; flushing is ours
                    self._note_end(packet)
                    if packet.stream_index == self.stream.index:
                        self._count(packet)
                        yield packet
                    else:
                        self.sounds.see(packet)
                return
            except av.FFmpegError:
                self.stats.read_errors += 1

    def _count(self, packet: Any) -> None:
        self.stats.packets += 1
        if packet.is_keyframe and packet.pts is not None:
            self.stats.key_pts.append(packet.pts)

    def _note_end(self, packet: Any) -> None:
        if packet.pos is not None:
            self.stats.hole_bytes = max(self.stats.hole_bytes, packet.pos - self.stats.end_byte)
            self.stats.end_byte = max(self.stats.end_byte, packet.pos + packet.size)
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None and packet.time_base:
            end = float((time + (packet.duration or 0)) * packet.time_base)
            self.stats.end_s = max(self.stats.end_s, end)
            if packet.stream_index == self.stream.index:
                self.stats.video_end_s = max(self.stats.video_end_s, end)

    def seek_before(self, pts: int) -> int | None:
        """Go to a key frame that has another key frame between itself and ``pts``; give the time of that second one.

        From the second key frame on, pictures are the same as when decoding from the start: what open GOPs and periodic
        intra refresh borrow from before it has been decoded too. None when the file does not allow it.
        """
        second = self._key_up_to(pts)
        if second is None or self._key_up_to(second.pts - 1) is None:
            return None
        return int(second.pts)

    def _key_up_to(self, pts: int) -> Any:
        """Go to a key frame shown at ``pts`` or before; formats without an index may need tries from further back."""
        for back_s in _STEPS_BACK_S:
            packet = self._first_key_from(pts - round(back_s / self.stream.time_base))
            if packet is not None and packet.pts <= pts:
                return packet
        return None

    def _first_key_from(self, time: int) -> Any:
        """Seek to the key frame at or before ``time`` and keep the stream of packets that starts with it."""
        try:
            self.container.seek(time, stream=self.stream, backward=True)
        except av.FFmpegError:
            return None
        self._context.flush_buffers()
        packets = self._packets()
        for packet in packets:
            if packet.is_keyframe and packet.pts is not None:
                self._pending = _chain(packet, packets)
                return packet
        return None


def field_of(decoder: Decoder) -> Fraction | None:
    """Half a frame in ticks of a raw MPEG-2 stream, whose pictures say for how many fields they are shown."""
    rate = decoder.stream.guessed_rate
    if decoder.stream.codec_context.codec.canonical_name != "mpeg2video" or not rate:
        return None
    return 1 / (2 * Fraction(rate) * Fraction(decoder.stream.time_base))


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest
