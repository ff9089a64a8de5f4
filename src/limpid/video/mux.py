"""Segments and the source's other streams -> one finished file, which appears under its name complete or not at all."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import floor, gcd
from pathlib import Path
from typing import Any, Protocol

import av

from limpid.durable.files import clear_temporary, discard, exists_error, is_disk_error, publish, temporary_name
from limpid.types import Clip, InputError, OutputError, OutputSpec, Timeline, Window
from limpid.video.closed_captions import CAPTION_CODECS, CaptionSource, captioned
from limpid.video.encode import add_video_stream
from limpid.video.extras import TIMECODE_RATES
from limpid.video.files import writing
from limpid.video.image_results import assemble_pictures, lost_of_pictures, without_place
from limpid.video.join import Clock, encoded_packets, is_lossless_stand_in, joined_packets
from limpid.video.matroska import reserve, set_aspect
from limpid.video.opening import choose_video, open_input, open_output, read_packets
from limpid.video.refusals import CHAPTERS, RefusedError, Without, suspects_of, without_refused
from limpid.video.segments import main_video_stream
from limpid.video.side import add_side_streams, copy_chapters, copy_file_tags
from limpid.video.stills import Growing, check_replaceable, is_single
from limpid.video.tracks import Range, SideStreams, side_packets


class OnWhole(Protocol):
    """Told of a result that is whole and has no name yet; see `assemble`."""

    def __call__(self, part: Path, *, notes: tuple[str, ...]) -> None: ...


MUXERS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}
_LATE_START_S = 10
"""A file that starts later than this keeps a running clock (broadcast, camera); the output then starts at 0."""


def check_spec(
    output: Path | str, clip: Clip, spec: OutputSpec, *, overwrite: bool = False, temporary: Path | None = None
) -> None:
    """Raises OutputError, before any work is done, where ``output`` could not be written at the end."""
    output = Path(output)
    if output.exists() and Path(clip.path).exists() and output.samefile(clip.path):
        raise OutputError(f"{output} is the input itself: choose another name for the output")
    if not output.parent.is_dir():
        raise OutputError(f"{output}: the folder {output.parent} does not exist; create it first")
    if spec.codec == "images" and not is_single(output, spec):
        check_replaceable(output, overwrite=overwrite)
    elif output.is_dir():
        raise OutputError(f"{output} is a folder; give the name of a file")
    elif output.exists() and not overwrite:
        raise exists_error(output)
    probe_file = temporary or temporary_name(output)
    with writing(output):
        clear_temporary(probe_file)
        probe_file.touch(exist_ok=False)
    discard(probe_file)


def assemble(
    segments: Sequence[Path],
    output: Path | str,
    spec: OutputSpec,
    clip: Clip,
    timeline: Timeline,
    *,
    frames: Window | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int], None] | None = None,
    temporary: Path | None = None,
    on_whole: OnWhole | None = None,
) -> tuple[str, ...]:
    """Joins ``segments`` in order into ``output`` with the sound and the rest of ``clip``; returns notes for the user.

    Nothing is re-encoded except what the container cannot hold and, where `segment_spec` said so, FFV1 stand-ins.
    ``frames``: the part of the timeline that the segments hold (a preview): other streams are cut to it and the output
    starts at 0. Without it the times of the source are kept, unless they are negative or those of a running clock.
    The number of frames and every timestamp are read back and compared before the file gets its name; it is synced and
    renamed atomically. Raises OutputError; nothing is then left under ``output`` that was not there before.
    ``temporary``: where the result grows, on the same disk. ``on_whole`` is called with it and the notes when it is
    whole and checked, just before it gets its name.
    """
    output = Path(output)
    check_spec(output, clip, spec, overwrite=overwrite, temporary=temporary)
    part = frames or Window(start=0, stop=timeline.num_frames)
    if not segments or part.stop > timeline.num_frames:
        raise OutputError(f"{output}: no segments for frames {part.start} to {part.stop} of {timeline.num_frames}")
    if spec.codec == "images":
        notes = without_place(clip, spec)
        told = None if on_whole is None else partial(on_whole, notes=notes)
        place = Growing(temporary or temporary_name(output), told, overwrite)
        assemble_pictures(segments, output, spec, clip, timeline, part, place, on_progress)
        return notes
    temporary = temporary or temporary_name(output)
    try:
        with writing(output):
            clear_temporary(temporary)
            film = _Film(
                segments=segments,
                spec=spec,
                clip=clip,
                timeline=timeline,
                part=part,
                preview=frames is not None,
                on_progress=on_progress,
            )
            notes = without_refused(partial(_write, film, temporary))
            if on_whole is not None:
                on_whole(temporary, notes=notes)
            publish(temporary, output, overwrite=overwrite)
    except BaseException:
        discard(temporary)
        raise
    return notes


@dataclass(frozen=True, kw_only=True)
class _Film:
    """What `assemble` makes a file of."""

    segments: Sequence[Path]
    spec: OutputSpec
    clip: Clip
    timeline: Timeline
    part: Window
    preview: bool
    on_progress: Callable[[int], None] | None


def _write(film: _Film, path: Path, without: Without) -> tuple[str, ...]:
    """Raises `RefusedError` where leaving out something of the source may help."""
    spec, clip = film.spec, film.clip
    with contextlib.ExitStack() as stack:
        source = _open_source(clip, stack)
        changing = film.timeline.changing_sound
        main = None if source is None else _main_of(source, clip)
        side = None if source is None else SideStreams(source, main, without=without, changing=changing)
        span = _range(film.timeline, film.part, film.preview, source)
        clock = _clock(film.timeline, film.part, span.shift)
        out = open_output(path, MUXERS[spec.container], container_options=_container_options(spec, clock, source))
        with filling(out, side):
            _fill(out, film, clock, side, span)
        if _needs_aspect(spec):
            set_aspect(path, _view_aspect(spec))
        notes = side.sentences() if side else []
        if span.shift and not film.preview:
            notes.insert(0, f"the source's times start at {float(span.shift):.3f} s; the output starts at 0")
        notes += lost_of_pictures(clip, spec)
        wanted_tags = dict(out.metadata)
    notes += verify_file(path, spec, clock, wanted_tags)
    return tuple(notes)


def _main_of(source: Any, clip: Clip) -> Any:
    """Stream of the film, chosen as on the way in."""
    return choose_video(source, Path(clip.path), clip.stream_index)


@contextlib.contextmanager
def filling(out: Any, side: SideStreams | None) -> Iterator[None]:
    """Closes ``out`` at the end. What a muxer refuses becomes a `RefusedError` that names what may be the reason."""
    try:
        yield
        out.close()
    except BaseException as error:
        with contextlib.suppress(Exception):
            out.close()
        if side is None or not isinstance(error, av.error.FFmpegError) or is_disk_error(error):
            raise
        raise RefusedError(suspects_of(side), error) from error


def _open_source(clip: Clip, stack: contextlib.ExitStack) -> Any:
    if clip.kind == "images":
        return None
    try:
        return stack.enter_context(open_input(clip.path))
    except (av.error.FFmpegError, OSError) as error:
        raise InputError(f"{clip.path}: cannot be opened again for its sound: {error}") from error


def _fill(out: Any, film: _Film, clock: Clock, side: SideStreams | None, span: Range) -> None:
    spec = film.spec
    video = add_video_stream(out, replace(spec, time_base=clock.time_base))
    others: Iterator[tuple[Fraction, Any]] = iter(())
    if side is not None:
        video.metadata.update({k: v for k, v in side.video.metadata.items() if k in ("language", "title")})
        copy_side(side, out, spec.container, span)
        others = side_packets(side, span)
        _tag_extras(video, spec, span)
    if _needs_aspect(spec):
        video.metadata["title"] = reserve(video.metadata.get("title", ""))
    out.start_encoding()
    for target, packet in side.covers if side else ():
        packet.stream, packet.pts, packet.dts = target, 0, 0
        out.mux(packet)
    make = encoded_packets if is_lossless_stand_in(film.segments[0], spec) else joined_packets
    packets = make(film.segments, spec, clock, video)
    if film.timeline.closed_captions and spec.codec in CAPTION_CODECS:
        captions = CaptionSource(film.clip, film.timeline, film.part)
        packets = captioned(packets, captions, spec.codec, clock.pts, video)
    pictures = _timed(packets, film.on_progress)
    for _, packet in heapq.merge(pictures, others, key=lambda item: item[0]):
        mux_packet(out, packet, side)


def copy_side(side: SideStreams, out: Any, container: str, span: Range) -> None:
    """Everything of the source but its pictures and packets: streams, tags, chapters."""
    add_side_streams(side, out, container)
    if CHAPTERS not in side.without:
        copy_file_tags(side.container, out)
        copy_chapters(side.container, out, span)


def _tag_extras(video: Any, spec: OutputSpec, span: Range) -> None:
    """Stereo layout and time code, as tags from which FFmpeg makes what the container has for them."""
    if spec.extras.stereo:
        video.metadata["stereo_mode"] = spec.extras.stereo
    if spec.extras.timecode and span.start is None and spec.fps in TIMECODE_RATES:
        video.metadata["timecode"] = spec.extras.timecode


def mux_packet(out: Any, packet: Any, side: SideStreams | None) -> None:
    """Write one packet; what the container refuses of a carried stream is left out, and ends no other stream."""
    tracks = side.tracks.values() if side is not None else ()
    track = next((track for track in tracks if track.target.index == packet.stream_index), None)
    if side is not None and track is not None:
        side.last = track.source.index
    try:
        out.mux(packet)
    except av.error.FFmpegError as error:
        if track is None or side is None or is_disk_error(error):
            raise
        side.refuse(track, packet, error)
    else:
        if track is not None:
            track.in_a_row = 0


def _needs_aspect(spec: OutputSpec) -> bool:
    return spec.container == "mkv" and spec.sample_aspect != 1


def _view_aspect(spec: OutputSpec) -> Fraction:
    """Width over height of what is seen: of one view, where two lie in the picture."""
    whole = spec.sample_aspect * spec.width / spec.height
    layout = spec.extras.stereo or ""
    if layout in ("left_right", "right_left") or layout.startswith("col_interleaved"):
        return whole / 2
    return whole * 2 if layout in ("top_bottom", "bottom_top") or layout.startswith("row_interleaved") else whole


def _timed(packets: Iterator[Any], on_progress: Callable[[int], None] | None) -> Iterator[tuple[Fraction, Any]]:
    for done, packet in enumerate(packets, start=1):
        yield packet.dts * Fraction(packet.time_base), packet
        if on_progress is not None:
            on_progress(done)


def _range(timeline: Timeline, part: Window, preview: bool, source: Any) -> Range:
    """Which time of the source becomes 0, a whole number of the video's ticks."""
    unit = timeline.time_base
    first = timeline.pts[part.start]
    restarts = tuple(shift * unit for shift in timeline.clock_shifts)
    if preview:
        last = part.stop - 1
        ends = (
            timeline.pts[part.stop] if part.stop < timeline.num_frames else timeline.pts[last] + timeline.last_duration
        )
        return Range(shift=first * unit, start=first * unit, stop=ends * unit, restarts=restarts)
    if first < 0:
        return Range(shift=first * unit, restarts=restarts)
    start = min([first * unit, *_starts(source)])
    running = source is not None and bool(source.format.flags & av.format.Flags.ts_discont.value)
    late = start > 0 and (running or start > _LATE_START_S)
    return Range(shift=floor(start / unit) * unit if late else Fraction(0), restarts=restarts)


def _starts(source: Any) -> list[Fraction]:
    if source is None:
        return []
    sound = [s for s in source.streams if s.type == "audio" and s.start_time is not None]
    return [s.start_time * Fraction(s.time_base) for s in sound]


def _clock(timeline: Timeline, part: Window, shift: Fraction) -> Clock:
    ticks = int(shift / timeline.time_base)
    pts = tuple(p - ticks for p in timeline.pts[part.start : part.stop])
    after = part.stop < timeline.num_frames
    last = timeline.pts[part.stop] - timeline.pts[part.stop - 1] if after else timeline.last_duration
    return Clock(pts=pts, time_base=timeline.time_base, last_duration=last)


def _container_options(spec: OutputSpec, clock: Clock, source: Any) -> dict[str, str]:
    options = {"avoid_negative_ts": "disabled"}
    if spec.container == "mkv":
        return {**options, "fflags": "+bitexact"}  # no random identifiers: the same command gives the same bytes
    # Edit lists count in the movie's time scale; with FFmpeg's 1000 they would round away parts of frames.
    scale = clock.time_base.denominator
    for stream in source.streams.audio if source is not None else ():
        rate = stream.codec_context.sample_rate or 1 if stream.codec_context is not None else 1
        scale = scale * rate // gcd(scale, rate) if scale * rate // gcd(scale, rate) < 2**31 else scale
    return {
        **options,
        "movflags": "+faststart",
        "movie_timescale": str(scale),
        "video_track_timescale": str(clock.time_base.denominator),
    }


def verify_file(path: Path, spec: OutputSpec, clock: Clock, tags: dict[str, str]) -> list[str]:
    """Reads the finished file back: number of frames, order and time of each. Raises OutputError if anything is off.

    Returns a note on metadata that the container did not keep.
    """
    with open_input(path) as container:
        stream = main_video_stream(container)
        lost = lost_tags(spec, tags, container)
        unit, shown, last_dts = Fraction(stream.time_base), [], None
        for packet in read_packets(container, stream):
            if not packet.size or packet.is_discard:
                continue
            if packet.dts is not None and last_dts is not None and packet.dts <= last_dts:
                raise OutputError(f"{path}: decoding times are not increasing at frame {len(shown)}")
            last_dts = packet.dts if packet.dts is not None else last_dts
            shown.append(packet.pts)
    if len(shown) != len(clock.pts):
        raise OutputError(f"{path}: {len(clock.pts)} frames were written, {len(shown)} are in the file")
    for index, (found, due) in enumerate(zip(sorted(shown), clock.pts, strict=True)):
        if found * unit != due * clock.time_base and abs(found * unit - due * clock.time_base) > _tolerance(spec, unit):
            raise OutputError(f"{path}: frame {index} is shown at {found * unit} s, not at {due * clock.time_base} s")
    return lost


def lost_tags(spec: OutputSpec, tags: dict[str, str], written: Any) -> list[str]:
    """A note on metadata that a container did not keep."""
    kept = {tag.lower() for tag in written.metadata} | ({"timecode"} if spec.extras.timecode else set())
    lost = sorted(key for key in tags if key.lower() not in kept)
    return [f"{spec.container} has no place for these tags of the source: {', '.join(lost)}"] if lost else []


def _tolerance(spec: OutputSpec, unit: Fraction) -> Fraction:
    """Matroska counts in milliseconds, nothing finer; the other containers are exact."""
    return unit / 2 if spec.container == "mkv" else Fraction(0)
