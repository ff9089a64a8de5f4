"""The trial before the work: the source's other streams, their first seconds and their last, muxed into the target.

What cannot be carried is known in the first seconds then, and not after hours of work. Nothing is written to a disk.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np

from limpid.types import Clip, OutputSpec
from limpid.video.encode import FrameEncoder, add_video_stream
from limpid.video.files import writing
from limpid.video.image_results import lost_of_pictures, without_place
from limpid.video.mux import MUXERS, copy_side, filling, lost_tags, mux_packet
from limpid.video.opening import choose_video, open_container, read_packets
from limpid.video.refusals import Without, without_refused
from limpid.video.sounds import SoundWatch
from limpid.video.tracks import Range, SideStreams, side_packets

_HEAD_S = 2.0
_TAIL_S = 2.0
_MOST_PACKETS = 2000
"""Packets of the head and of the tail each, at most: the trial must not take longer than a person waits."""
_SIDE_PX = 64


def rehearse(clip: Clip, output: Path, spec: OutputSpec) -> tuple[str, ...]:
    """Notes on what of ``clip`` will not be as it was in ``output``. Raises `OutputError` when the target refuses all.

    ``spec`` as `resolve_output` gives it; only its codec, container and rate matter.
    """
    if spec.codec == "images" or clip.kind == "images":
        return without_place(clip, spec)
    with writing(output):
        return without_refused(partial(_try, clip, spec))


def _try(clip: Clip, spec: OutputSpec, without: Without) -> tuple[str, ...]:
    data = io.BytesIO()
    with open_container(Path(clip.path)) as source:
        changing = _changing(source)
    with open_container(Path(clip.path)) as source:  # again: reading tells FFmpeg more than the header of a result says
        main = choose_video(source, Path(clip.path), clip.stream_index)
        side = SideStreams(source, main, without=without, changing=changing)
        options = {"avoid_negative_ts": "disabled"}
        out: Any = av.open(data, "w", format=MUXERS[spec.container], container_options=options)
        with filling(out, side):
            _mux(side, out, spec)
        tags = dict(out.metadata)
    data.seek(0)
    with av.open(data, "r", metadata_errors="replace") as written:
        lost = lost_tags(spec, tags, written)
    return (*side.told(), *lost, *lost_of_pictures(clip, spec))  # how many pieces are damaged is known at the end


def _changing(source: Any) -> tuple[int, ...]:
    """Sound streams that are something else at the end than they are at the beginning."""
    watch = SoundWatch()
    for packet in _some(source, list(source.streams.audio)):
        watch.see(packet)
    return watch.changing


def _mux(side: SideStreams, out: Any, spec: OutputSpec) -> None:
    source = side.container
    small = replace(
        spec,
        width=_SIDE_PX,
        height=_SIDE_PX,
        time_base=Fraction(1, 1000),
        threads=1,
        sample_aspect=Fraction(1),
        encoder="software",
    )
    video = add_video_stream(out, small)
    copy_side(side, out, spec.container, Range())
    out.start_encoding()
    for target, packet in side.covers:
        packet.stream, packet.pts, packet.dts = target, 0, 0
        out.mux(packet)
    _one_picture(out, video, small)
    tracks = [track.source for track in side.tracks.values()]
    for _, packet in side_packets(side, Range(), _some(source, tracks)):
        mux_packet(out, packet, side)


def _one_picture(out: Any, video: Any, spec: OutputSpec) -> None:
    encoder = FrameEncoder(video, spec)
    black = np.zeros((_SIDE_PX, _SIDE_PX, 4 if spec.alpha else 3), np.uint8 if encoder.depth == 8 else np.uint16)
    for packet in chain(encoder.encode([black]), encoder.finish()):
        packet.stream, packet.time_base, packet.pts, packet.dts = video, spec.time_base, 0, 0
        packet.duration = 40
        out.mux(packet)


def _some(source: Any, tracks: list[Any]) -> Iterator[Any]:
    """Packets of the first seconds, and of the last ones with times that follow on: no encoder fills the middle."""
    if not tracks:
        return
    last = 0.0
    source.seek(source.start_time or 0)  # looking for a cover picture may have read on
    for packet in _up_to(_packets(source, tracks), _HEAD_S):
        last = max(last, _end_s(packet))
        yield packet
    if source.duration is None or source.duration / av.time_base < _HEAD_S + 2 * _TAIL_S:
        return
    try:
        source.seek((source.start_time or 0) + source.duration - int(_TAIL_S * av.time_base))
    except av.FFmpegError:
        return
    back: float | None = None
    for packet in _up_to(_packets(source, tracks), 10 * _TAIL_S):
        back = _start_s(packet) - last if back is None else back
        ticks = round(back / float(packet.time_base))
        packet.pts = None if packet.pts is None else packet.pts - ticks
        packet.dts = None if packet.dts is None else packet.dts - ticks
        yield packet


def _packets(source: Any, tracks: list[Any]) -> Iterator[Any]:
    try:
        for packet in read_packets(source, *tracks):
            if packet.size:
                yield packet
    except av.FFmpegError:
        return  # the scan will say what is damaged


def _up_to(packets: Iterator[Any], seconds: float) -> Iterator[Any]:
    first: float | None = None
    for count, packet in enumerate(packets):
        first = _start_s(packet) if first is None else first
        if count >= _MOST_PACKETS or _start_s(packet) > first + seconds:
            return
        yield packet


def _start_s(packet: Any) -> float:
    time = packet.pts if packet.pts is not None else packet.dts
    return float(time * packet.time_base) if time is not None else 0.0


def _end_s(packet: Any) -> float:
    return _start_s(packet) + float((packet.duration or 0) * packet.time_base)
