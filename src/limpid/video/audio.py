"""Sound that the output's container cannot hold, re-encoded as AAC with its timestamps kept."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.filter import Graph

AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}
_BITS_PER_CHANNEL = 96_000


def aac_rate(rate: int) -> int:
    """The sampling rate AAC knows that is nearest, not lower where that is possible."""
    higher = [r for r in AAC_RATES if r >= rate]
    return min(higher) if higher else max(AAC_RATES)


class AudioTranscoder:
    """Packets of one source stream -> AAC packets. Gaps and overlaps of the source are filled or trimmed, so that the
    sound stays where its timestamps put it."""

    def __init__(self, source: Any, container: Any) -> None:
        self._source = source
        context = source.codec_context
        channels = context.channels
        layout = _AAC_LAYOUTS.get(channels, "stereo")
        self.stream = container.add_stream("aac", rate=aac_rate(context.sample_rate))
        encoder = self.stream.codec_context
        encoder.layout = layout
        encoder.bit_rate = _BITS_PER_CHANNEL * encoder.layout.nb_channels
        encoder.flags |= 1 << 23  # bit exact: no version string in the stream
        encoder.open()
        self._encoder = encoder
        self._graph: Any = None
        self._next = 0

    def _build(self, frame: Any) -> Any:
        graph = Graph()
        rate, layout = self._encoder.sample_rate, self._encoder.layout.name
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=Fraction(1, frame.sample_rate),
        )
        resample = graph.add("aresample", f"async=1:min_hard_comp=0.05:osr={rate}:ochl={layout}")
        shape = graph.add("aformat", f"sample_fmts=fltp:sample_rates={rate}:channel_layouts={layout}")
        chunk = graph.add("asetnsamples", f"n={self._encoder.frame_size}:p=0")
        sink = graph.add("abuffersink")
        for left, right in ((source, resample), (resample, shape), (shape, chunk), (chunk, sink)):
            left.link_to(right)
        graph.configure()
        return graph

    def encode(self, packet: Any) -> Iterator[Any]:
        """The AAC packets that one source packet completes; None ends the stream."""
        frames = self._decode(packet)
        for frame in frames:
            if self._graph is None:
                self._graph = self._build(frame)
            unit = Fraction(1, frame.sample_rate)
            if frame.pts is not None:
                self._next = round(frame.pts * Fraction(frame.time_base) / unit)
            frame.pts, frame.time_base = self._next, unit  # decoders stamp the first frame of a packet only
            self._next += frame.samples
            self._graph.push(frame)
            yield from self._pull()
        if packet is None and self._graph is not None:
            self._graph.push(None)
            yield from self._pull()
            yield from self._stamp(self._encoder.encode(None))

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return list(self._source.codec_context.decode(packet))
        except av.error.InvalidDataError:
            return []  # a damaged packet: the gap is filled with silence

    def _pull(self) -> Iterator[Any]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield from self._stamp(self._encoder.encode(frame))

    def _stamp(self, packets: list[Any]) -> Iterator[Any]:
        for packet in packets:
            packet.stream = self.stream
            yield packet
