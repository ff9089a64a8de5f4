"""Sound that the output's container cannot hold, re-encoded as AAC with its timestamps kept."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph

from limpid.video.channels import aac_layout, plain_channels
from limpid.video.sounds import framing_of

AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_BITS_PER_CHANNEL = 96_000
_USUAL_RATE = 48_000
"""Samples per second where the header does not say: sound that begins late."""
_BITEXACT = 1 << 23
_ONE_DECODER = frozenset({"ac3", "eac3"})
"""E-AC-3 lies beside its AC-3 in one stream, and FFmpeg's decoders of both know both."""


def aac_rate(rate: int) -> int:
    """The sampling rate AAC knows that is nearest, not lower where that is possible."""
    higher = [r for r in AAC_RATES if r >= rate]
    return min(higher) if higher else max(AAC_RATES)


class AudioTranscoder:
    """Packets of one source stream -> AAC packets. Gaps and overlaps of the source are filled or trimmed, so that the
    sound stays where its timestamps put it; rate, format and channels of the source may change on the way.

    ``changes``: the codec may change too, see `limpid.video.sounds`.
    """

    def __init__(self, source: Any, container: Any, *, changes: bool = False) -> None:
        self._decoder = _Decoder(source, changes=changes)
        self.channels = plain_channels(source)
        rate = source.codec_context.sample_rate or _USUAL_RATE
        self.stream = container.add_stream("aac", rate=aac_rate(rate))
        encoder = self.stream.codec_context
        encoder.layout = aac_layout(self.channels)
        encoder.bit_rate = _BITS_PER_CHANNEL * encoder.layout.nb_channels
        encoder.flags |= _BITEXACT  # no version string in the stream
        encoder.open()
        self.channels_out = int(encoder.layout.nb_channels)
        self.most_channels = 0
        """The highest number of channels of all that was decoded so far."""
        self._encoder = encoder
        self._shape: tuple[int, str, str] | None = None
        self._convert: Any = None
        self._chunk: Any = None
        self._next = Fraction(0)

    def encode(self, packet: Any) -> Iterator[Any]:
        """The AAC packets that one source packet completes; None ends the stream."""
        for frame in self._decoder.decode(packet):
            yield from self._push(frame)
        if packet is None and self._convert is not None:
            yield from self._end_conversion()
            self._chunk.push(None)
            yield from self._encoded()
            yield from self._stamp(self._encoder.encode(None))

    def _push(self, frame: Any) -> Iterator[Any]:
        self.most_channels = max(self.most_channels, int(frame.layout.nb_channels))
        shape = (frame.sample_rate, frame.format.name, frame.layout.name)
        if shape != self._shape:
            yield from self._end_conversion()
            self._convert, self._shape = self._conversion(frame), shape
        unit = Fraction(1, frame.sample_rate)
        if frame.pts is not None:
            self._next = frame.pts * Fraction(frame.time_base)
        frame.pts, frame.time_base = round(self._next / unit), unit  # decoders stamp the first frame of a packet only
        self._next += frame.samples * unit
        self._convert.push(frame)
        yield from self._converted()

    def _conversion(self, frame: Any) -> Any:
        """From what the decoder gives now to the encoder's rate, channels and numbers."""
        rate, layout = self._encoder.sample_rate, self._encoder.layout.name
        graph = Graph()
        unit = Fraction(1, frame.sample_rate)
        source = graph.add(
            "abuffer",
            f"sample_rate={frame.sample_rate}:sample_fmt={frame.format.name}:time_base={unit}"
            f":channel_layout={frame.layout.name}",
        )
        nodes = [source]
        if self.channels.order and self.channels.count == frame.layout.nb_channels:
            order = "|".join(map(str, self.channels.order))
            nodes.append(graph.add("channelmap", f"map={order}:channel_layout={self.channels.layout}"))
        nodes += [
            graph.add("aresample", f"osr={rate}:ochl={layout}"),
            graph.add("aformat", f"sample_fmts=fltp:sample_rates={rate}:channel_layouts={layout}"),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph

    def _chunking(self) -> Any:
        """One for the whole stream: fills gaps, trims overlaps, and cuts what the encoder takes at a time."""
        rate, layout = self._encoder.sample_rate, self._encoder.layout.name
        graph = Graph()
        graph.link_nodes(
            graph.add("abuffer", f"sample_rate={rate}:sample_fmt=fltp:time_base=1/{rate}:channel_layout={layout}"),
            graph.add("aresample", "async=1:min_hard_comp=0.05"),
            graph.add("asetnsamples", f"n={self._encoder.frame_size}:p=0"),
            graph.add("abuffersink"),
        ).configure()
        return graph

    def _end_conversion(self) -> Iterator[Any]:
        if self._convert is not None:
            self._convert.push(None)
            yield from self._converted()

    def _converted(self) -> Iterator[Any]:
        if self._chunk is None:
            self._chunk = self._chunking()
        for frame in _pulled(self._convert):
            self._chunk.push(frame)
            yield from self._encoded()

    def _encoded(self) -> Iterator[Any]:
        for frame in _pulled(self._chunk):
            yield from self._stamp(self._encoder.encode(frame))

    def _stamp(self, packets: list[Any]) -> Iterator[Any]:
        for packet in packets:
            packet.stream = self.stream
            yield packet


class _Decoder:
    """The decoder of a stream; where the codec changes, one after the other."""

    def __init__(self, source: Any, *, changes: bool) -> None:
        self._context, self._changes = source.codec_context, changes

    def decode(self, packet: Any) -> list[Any]:
        """Frames of one packet; None ends the stream."""
        codec = self._other_codec(packet)
        if codec is None:
            return self._frames(packet)
        rest = self._frames(None)
        self._context = av.CodecContext.create(codec, "r")
        return [*rest, *self._frames(packet)]

    def _other_codec(self, packet: Any) -> str | None:
        """The codec that another decoder is needed for."""
        if packet is None or not self._changes:
            return None
        framing, now = framing_of(bytes(memoryview(packet)[:8])), self._context.codec.canonical_name
        if framing is None or framing[0] == now or {framing[0], now} <= _ONE_DECODER:
            return None
        return framing[0]

    def _frames(self, packet: Any) -> list[Any]:
        try:
            return list(self._context.decode(packet))
        except (av.error.InvalidDataError, av.error.EOFError):
            return []  # a damaged packet: the gap is filled with silence


def _pulled(graph: Any) -> Iterator[Any]:
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


class PcmCutter:
    """Copies packets of uncompressed sound, each cut where the next one begins: a list of edits may end in a packet.

    QuickTime files store such sound without times of its own, so what is too long would make all that follows late.
    """

    def __init__(self, target: Any) -> None:
        self._target = target
        self._held: Any = None

    def convert(self, packet: Any) -> Iterator[Any]:
        """The packet before, once it is known where this one begins."""
        held, self._held = self._held, packet
        if held is not None:
            yield self._cut(held, packet)

    def flush(self) -> Iterator[Any]:
        if self._held is not None:
            yield self._cut(self._held, None)

    def _cut(self, packet: Any, after: Any) -> Any:
        if after is not None and packet.duration and packet.size % packet.duration == 0:
            samples = after.pts - packet.pts
            if 0 < samples < packet.duration:
                packet = _first_samples(packet, samples)
        packet.stream = self._target
        return packet


def _first_samples(packet: Any, samples: int) -> Any:
    """A packet of which each tick is one sample, shortened."""
    short = av.Packet(bytes(packet)[: packet.size // packet.duration * samples])
    short.pts, short.dts, short.time_base = packet.pts, packet.dts, packet.time_base
    short.duration, short.is_keyframe = samples, True
    return short
