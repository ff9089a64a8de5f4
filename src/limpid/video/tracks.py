"""The packets of carried streams on their way: moved to the output's clock, cut to its part, in order, one by one.

A fault in one stream ends that stream, with a note, and none of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import Any

import av

from limpid.video.files import reason_of
from limpid.video.opening import read_packets

_MAX_READ_ERRORS = 50
_MOST_REFUSED_IN_A_ROW = 50
"""Packets that a container does not take, before a stream is given up; a second of sound, about."""
_LONGEST_LEAD_IN = 4
"""Packets before the first one that is heard which a decoder may need to warm up (AAC: two or three)."""
_RESTART_S = 0.1
"""A clock that goes back by more than this starts again."""
LONGEST_GAP_S = 10
"""Broadcast clocks that go on later than this belong to another recording (FFmpeg's own threshold)."""


@dataclass
class Track:
    """One carried stream: how a source packet becomes packets of the output."""

    source: Any
    target: Any
    convert: Callable[[Any], Iterator[Any]]
    flush: Callable[[], Iterator[Any]] = lambda: iter(())
    name: str = "stream"
    told: Callable[[], list[str]] = list
    """Sentences on what its packets turned out to be."""
    epoch: int = 0
    """Which of several joined recordings its packets belong to now."""
    last_time: float | None = None
    """Time of the last packet, as the source has it, in seconds."""
    last_dts: int | None = None
    """DTS of the last packet, as the output has it, in the unit of ``target``."""
    next_pts: int | None = None
    end: Fraction = Fraction(0)
    """End of the last packet, in the output, in seconds."""
    heard: bool = False
    ended: bool = False
    refused: int = 0
    """Packets that the container did not take."""
    in_a_row: int = 0
    first_refused: Fraction = Fraction(0)
    """When the first of them would have begun, in the output, in seconds."""

    @property
    def is_pcm(self) -> bool:
        context = self.source.codec_context
        return context is not None and str(context.name).startswith("pcm_")

    def overlaps(self, start: Fraction, duration: Fraction) -> bool:
        """After the joint of two recordings: whether most of the packet lies where the former one still sounds."""
        return self.epoch > 0 and self.source.type == "audio" and start + duration / 2 < self.end

    def took(self, packet: Any, unit: Fraction) -> None:
        """Remember what was carried so far."""
        self.heard = self.heard or not packet.is_discard
        self.end = max(self.end, (packet.pts + (packet.duration or 0)) * unit)


@dataclass(frozen=True)
class Range:
    """The part of the source that is carried: times in seconds, ``shift`` is what becomes 0 in the output.

    ``restarts``: what is added to the source's times after each restart of its clock.
    """

    shift: Fraction = Fraction(0)
    start: Fraction | None = None
    stop: Fraction | None = None
    restarts: tuple[Fraction, ...] = ()


@dataclass
class SideStreams:
    """The tracks of one source, with sentences about whatever could not be carried as it is.

    ``without``: what is left out from the beginning, by number, each with a sentence; see `limpid.video.refusals`.
    """

    container: Any
    video: Any = None
    tracks: dict[int, Track] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    covers: list[tuple[Any, Any]] = field(default_factory=list)
    without: Mapping[int, str] = field(default_factory=dict)
    changing: Sequence[int] = ()
    """Sound streams, by number, that cannot be copied since they change on the way."""
    last: int | None = None
    """The stream of the source whose packet was written last."""

    def __post_init__(self) -> None:
        self.notes.extend(self.without.values())

    def refuse(self, track: Track, packet: Any, error: Exception) -> None:
        """Go on without a packet that the container did not take, or without the track when it takes none any more."""
        if not track.refused:
            track.first_refused = max(Fraction(0), packet.dts * Fraction(packet.time_base))
        track.refused, track.in_a_row = track.refused + 1, track.in_a_row + 1
        if track.in_a_row > _MOST_REFUSED_IN_A_ROW:
            self.end(track, error)

    def told(self) -> list[str]:
        """All notes but those about single packets."""
        return [*self.notes, *chain.from_iterable(track.told() for track in self.tracks.values())]

    def sentences(self) -> list[str]:
        """All notes, those about single packets too."""
        broken = [track for track in self.tracks.values() if track.refused and not track.ended]
        return [*self.told(), *map(_pieces_left_out, broken)]

    def end(self, track: Track, error: Exception) -> None:
        """Go on without ``track``."""
        if not track.ended:
            track.ended = True
            where = f" after {float(track.end):.1f} s" if track.heard else ""
            self.notes.append(f"{track.name} is left out{where}: {reason_of(error)}")


def _pieces_left_out(track: Track) -> str:
    pieces = "1 damaged piece" if track.refused == 1 else f"{track.refused} damaged pieces"
    return f"{track.name} goes on without {pieces}, the first at {float(track.first_refused):.1f} s"


def side_packets(
    side: SideStreams, part: Range, packets: Iterable[Any] | None = None
) -> Iterator[tuple[Fraction, Any]]:
    """(time in seconds, packet) of all carried tracks, ready to mux, in the order the source holds them.

    ``packets``: those to take instead of all of the source.

    `SideStreams.end` may be called for the track of a packet that the container refused.
    """
    if side.tracks:
        clock = _SourceClock(part.restarts)
        for packet in packets if packets is not None else _read(side, with_video=bool(part.restarts)):
            track = side.tracks.get(packet.stream_index)
            if track is None:
                clock.see_video(packet)
            elif not track.ended and _place(packet, track, part, clock):
                yield from _delivered(side, track, partial(track.convert, packet))
    for track in side.tracks.values():
        if not track.ended:
            yield from _delivered(side, track, track.flush)


def _read(side: SideStreams, *, with_video: bool) -> Iterator[Any]:
    """All packets of the tracks; reading goes on after an error, as it does for the pictures."""
    streams = [track.source for track in side.tracks.values()]
    streams += [side.video] if with_video and side.video is not None else []
    for _ in range(_MAX_READ_ERRORS):
        try:
            for packet in read_packets(side.container, *streams):
                if packet.size:  # PyAV ends each stream with an empty packet
                    yield packet
            return
        except av.error.FFmpegError as error:
            note = f"the sound and subtitles of the source could only be read in part: {error}"
            if note not in side.notes:
                side.notes.append(note)


def _delivered(side: SideStreams, track: Track, make: Callable[[], Iterator[Any]]) -> Iterator[tuple[Fraction, Any]]:
    try:
        for packet in make():
            _put_in_order(packet, track)
            yield packet.dts * Fraction(packet.time_base), packet
    except (av.error.FFmpegError, ValueError) as error:
        side.end(track, error)


class _SourceClock:
    """Follows the pictures of a file of joined recordings, to tell which of them a packet belongs to."""

    def __init__(self, restarts: tuple[Fraction, ...]) -> None:
        self._shifts = (Fraction(0), *restarts)
        self._epoch = 0
        self._now: float | None = None
        self._before: float | None = None

    def see_video(self, packet: Any) -> None:
        time = _seconds(packet)
        if time is None:
            return
        if self._now is not None and self._is_restart(time - self._now) and self._epoch + 1 < len(self._shifts):
            self._epoch, self._before = self._epoch + 1, self._now
        self._now = time

    def shift(self, track: Track, packet: Any) -> Fraction:
        """What is added to the time of a packet, in seconds."""
        if len(self._shifts) > 1:
            time = _seconds(packet)
            if time is not None:
                track.epoch, track.last_time = self._epoch_of(track, time), time
        return self._shifts[track.epoch]

    def _epoch_of(self, track: Track, time: float) -> int:
        if track.last_time is None:
            return self._epoch
        if self._is_restart(time - track.last_time):
            return min(max(track.epoch + 1, self._epoch), len(self._shifts) - 1)
        if self._epoch > track.epoch and self._now is not None and self._before is not None:
            # The pictures have gone on to the next recording; this packet may still be one of the last of the former.
            return self._epoch if abs(time - self._now) < abs(time - self._before) else track.epoch
        return track.epoch

    def _is_restart(self, jump: float) -> bool:
        return jump < -_RESTART_S or jump > LONGEST_GAP_S


def _seconds(packet: Any) -> float | None:
    time = packet.dts if packet.dts is not None else packet.pts
    return float(time * packet.time_base) if time is not None else None


def _place(packet: Any, track: Track, part: Range, clock: _SourceClock) -> bool:
    """Gives the packet its time in the output; False where it lies outside the carried part or is not to be heard."""
    unit = Fraction(packet.time_base)
    if packet.pts is None:
        packet.pts = packet.dts if packet.dts is not None else track.next_pts or 0
    duration = packet.duration or 0
    track.next_pts = packet.pts + duration
    if packet.is_discard and not _warms_up(packet, track):
        return False
    move = round((clock.shift(track, packet) - part.shift) / unit)
    start = packet.pts + move
    first, last = (None if time is None else (time - part.shift) / unit for time in (part.start, part.stop))
    if last is not None and start >= last:
        return False
    if track.source.type == "subtitle" and start < (first or 0):
        begin = round(first or 0)
        if start + duration <= begin:
            return False
        packet.duration = start + duration - begin
        packet.pts = packet.dts = begin
    elif (first is not None and start < first) or track.overlaps(start * unit, duration * unit):
        return False
    else:
        packet.pts, packet.dts = start, start if packet.dts is None else packet.dts + move
    track.took(packet, unit)
    return True


def _warms_up(packet: Any, track: Track) -> bool:
    """Whether a packet that an edit list hides is one of the last before the first that is heard: decoders need those.

    All others would be heard, since containers but MP4 have no way to hide them again.
    """
    lead_in = packet.pts > -_LONGEST_LEAD_IN * (packet.duration or 0)
    return lead_in and not track.heard and not track.is_pcm


def _put_in_order(packet: Any, track: Track) -> None:
    """Times in the target's unit, increasing there: muxers refuse what stands still, and flawed sources are common.

    Matroska allows that they stand still.
    """
    unit = Fraction(track.target.time_base)
    ratio = Fraction(packet.time_base) / unit
    dts, pts = round(packet.dts * ratio), round(packet.pts * ratio)
    if track.last_dts is not None:
        dts = max(dts, track.last_dts + (track.target.container.format.name != "matroska"))
    packet.dts, packet.pts, packet.duration = dts, max(pts, dts), round((packet.duration or 0) * ratio)
    packet.time_base = unit
    track.last_dts = dts
