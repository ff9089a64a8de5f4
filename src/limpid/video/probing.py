"""What a file or a folder of images is, before it is decoded."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal

import av
from av.format import Flags as FormatFlags

from limpid.types import Clip, HiddenEdges, InputError, SettingsError, SideStream
from limpid.video.cropping import hidden_edges
from limpid.video.decode import Decoder, Shown
from limpid.video.edits import odd_edits
from limpid.video.extras import extras_of
from limpid.video.heif import read_heif
from limpid.video.images import probe_folder, probe_image, why_no_picture
from limpid.video.names import is_image_name, is_still_name
from limpid.video.opening import check_readable, is_cover, is_folder, read_packets
from limpid.video.pixels import bit_depth, has_alpha, resolve_color, turn_of

_FieldOrder = Literal["progressive", "tt", "bb", "tb", "bt", "unknown"]
_FIELD_ORDERS: tuple[_FieldOrder, ...] = ("unknown", "progressive", "tt", "bb", "tb", "bt")
"""Indexed by AVFieldOrder."""
_KINDS: dict[str, Literal["audio", "subtitle", "attachment", "data", "video"]] = {
    "audio": "audio",
    "subtitle": "subtitle",
    "attachment": "attachment",
    "video": "video",
}
_MAX_FPS = 1000
_RATE_PACKETS, _RATE_REORDER = 300, 8


def probe(path: str | Path, *, fps: Fraction | None = None, video_stream: int | None = None) -> Clip:
    """Describe a video file, an image, or a folder of images (natural order of the names).

    ``fps`` is the frame rate of what has none: image folders and raw streams; elsewhere it only gives a warning. One
    frame is decoded, because size, rotation and colour may be written in the stream alone. ``video_stream``: number of
    the stream to take where a file has several; None takes the best. Raises `InputError` with one
    sentence for anything that is not a readable video, `SettingsError` for an impossible rate.
    """
    if fps is not None and not 0 < fps <= _MAX_FPS:
        raise SettingsError(f"--fps {fps}: must be above 0 and at most {_MAX_FPS}")
    path = Path(path)
    if is_folder(path):
        return probe_folder(path, fps)
    check_readable(path)
    still = probe_image(path, fps)
    return still if still is not None else _probe_video(path, fps, video_stream)


def _probe_video(path: Path, fps: Fraction | None, video_stream: int | None) -> Clip:
    with Decoder(path, stream_index=video_stream) as decoder:
        _refuse_tiles(decoder, path)
        if is_image_name(path) and decoder.container.format.name.endswith(("_pipe", "image2")):
            raise InputError(why_no_picture(path))
        first = _first_frame(decoder)
        return _describe(path, decoder, first, fps, asked=video_stream is not None)


def _refuse_tiles(decoder: Decoder, path: Path) -> None:
    """HEIC and AVIF pictures of several tiles, of which FFmpeg's decoder gives one at a time."""
    if decoder.stream.disposition & av.stream.Disposition.dependent and "mov" in decoder.container.format.name:
        raise InputError(
            f"{path}: the picture is made of {len(decoder.container.streams.video)} tiles (a grid of HEIC or AVIF), "
            "which cannot be put together here; convert it to PNG first"
        )


def _first_frame(decoder: Decoder) -> Shown:
    for shown in decoder.frames():
        return shown
    raise InputError(
        f"{decoder.path}: not one frame of its video ({decoder.stream.codec_context.name}) can be decoded; "
        "the file is damaged, cut off or encrypted"
    )


def _describe(path: Path, decoder: Decoder, first: Shown, fps: Fraction | None, *, asked: bool) -> Clip:
    stream, container, frame = decoder.stream, decoder.container, first.frame
    color, color_notes = resolve_color(frame, stream.codec_context.name)
    turn, turn_notes = turn_of(frame)
    rate, time_base, rate_notes = _rate(container, stream, fps)
    sideways = turn.degrees in (90, 270)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    hidden = hidden_edges(container, stream, path)
    crop, width, height = HiddenEdges(), frame.width, frame.height
    if hidden is not None and hidden.fits(width, height):
        crop, aspect = hidden.crop, hidden.aspect or aspect
        width, height = width - crop.left - crop.right, height - crop.top - crop.bottom
    return Clip(
        path=str(path),
        kind="video",
        width=height if sideways else width,
        height=width if sideways else height,
        crop=crop,
        extras=extras_of(frame, container, stream),
        fps=rate,
        time_base=time_base,
        codec=stream.codec_context.codec.canonical_name,
        pix_fmt=frame.format.name,
        bit_depth=bit_depth(frame.format),
        container=container.format.name,
        sample_aspect=1 / aspect if sideways else aspect,
        rotation=turn.degrees,
        mirrored=turn.mirrored,
        color=color,
        has_alpha=has_alpha(frame.format),
        field_order=_FIELD_ORDERS[stream.codec_context.field_order],
        duration_s=_duration(container, stream),
        num_frames=_header_frames(stream),
        size_bytes=path.stat().st_size,
        side_streams=_side_streams(container, stream),
        metadata=dict(container.metadata),
        warnings=(*rate_notes, *color_notes, *turn_notes, *_stream_notes(container, decoder, frame, asked)),
        stream_index=stream.index,
    )


def rate_varies(clip: Clip) -> bool:
    """Whether the first frames of a video have different distances, by their packets; nothing is decoded."""
    if clip.kind == "images":
        return False
    with Decoder(clip.path, stream_index=clip.stream_index) as decoder:
        if not has_timestamps(decoder.container):
            return False
        packets = islice(read_packets(decoder.container, decoder.stream), _RATE_PACKETS)
        times = sorted({packet.pts for packet in packets if packet.pts is not None and not packet.is_discard})
        unit = float(decoder.stream.time_base)
    steps = [(b - a) * unit for a, b in pairwise(times[: -_RATE_REORDER or None])]
    # Containers count in milliseconds or coarser ticks: distances within two of them are the same.
    return bool(steps) and max(steps) - min(steps) > max(2.1 * unit, 0.1 * min(steps))


def has_timestamps(container: Any) -> bool:
    """False for raw streams, whose frames have an order but no times."""
    flags: Any = FormatFlags.no_timestamps
    return not int(container.format.flags) & int(flags.value)


def _rate(container: Any, stream: Any, fps: Fraction | None) -> tuple[Fraction, Fraction, tuple[str, ...]]:
    """Nominal rate, unit of time, and what was assumed. Raw streams count time in frames."""
    rates = (stream.guessed_rate, stream.average_rate, stream.base_rate)
    rate = next((rate for rate in rates if rate and 0 < rate <= _MAX_FPS), None)
    if not has_timestamps(container):
        used = fps or rate or Fraction(25)
        notes = () if fps else (f"the stream has no timestamps; {used} frames/s is assumed, --fps sets another",)
        in_fields = stream.codec_context.codec.canonical_name == "mpeg2video"
        return used, 1 / used / (2 if in_fields else 1), notes
    time_base = stream.time_base or Fraction(1, 90000)
    notes = () if rate else ("the file names no usable frame rate; 25 frames/s is assumed where times are missing",)
    if fps is not None and fps != rate:
        notes = (*notes, f"--fps {fps} has no effect: the frames have timestamps of their own")
    return rate or Fraction(25), time_base, notes


def _duration(container: Any, stream: Any) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration is not None else None


def _header_frames(stream: Any) -> int | None:
    if stream.frames:
        return int(stream.frames)
    counted = next((value for key, value in stream.metadata.items() if key.startswith("NUMBER_OF_FRAMES")), "")
    return int(counted) if counted.isdecimal() and int(counted) > 0 else None


def _side_streams(container: Any, video: Any) -> tuple[SideStream, ...]:
    return tuple(
        SideStream(
            index=stream.index,
            kind=_KINDS.get(stream.type or "", "data"),
            codec=_codec_name(stream),
            language=stream.metadata.get("language"),
            title=stream.metadata.get("title"),
        )
        for stream in container.streams
        if stream.index != video.index
    )


def _codec_name(stream: Any) -> str:
    if stream.codec_context is not None:
        return str(stream.codec_context.codec.canonical_name)
    return getattr(stream, "mimetype", None) or "unknown"


def _stream_notes(container: Any, decoder: Decoder, frame: av.VideoFrame, asked: bool) -> tuple[str, ...]:
    notes = []
    films = [stream for stream in container.streams.video if not is_cover(stream)]
    if len(films) > 1 and not asked:
        chosen = decoder.stream
        notes.append(
            f"the file has {len(films)} video streams; number {chosen.index} ({frame.width}x{frame.height}) is taken, "
            "--video-stream takes another"
        )
    if "mov" in container.format.name:
        notes += odd_edits(decoder.path)
    if decoder.stream.metadata.get("alpha_mode") == "1" and not has_alpha(frame.format):
        notes.append("the video has alpha, which this FFmpeg cannot decode; it is left out")
    if is_still_name(decoder.path) and read_heif(decoder.path).has_alpha:
        notes.append("the transparency of the picture lies in a picture of its own (HEIC), and is left out")
    return tuple(notes)
