"""Everything of the source but its pictures: sound, subtitles, cover, attachments, chapters, metadata."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

import av

from limpid.video.audio import AudioTranscoder, PcmCutter
from limpid.video.opening import read_packets
from limpid.video.sounds import is_self_framed
from limpid.video.subtitles import TEXT_CODECS, SubtitleConverter
from limpid.video.tracks import Range, SideStreams, Track

_FORMATS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}
_MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts"})
_MOV_AUDIO = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
_MOV_PCM = frozenset({"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le"})
_MOVIE_SUBTITLES = frozenset({"mov_text", "dvd_subtitle"})
_STALE_TAGS = (
    "duration",
    "number_of_",
    "bps",
    "_statistics",
    "encoder",
    "rotate",
    "timecode",
    "handler_name",
    "vendor_id",
)
_MOV_LANGUAGES = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "swe": "sve"}
_FILE_TAGS = ("major_brand", "minor_version", "compatible_brands", "encoder", "duration")


def codec_name(stream: Any) -> str:
    """FFmpeg's name of a stream's codec (not of the decoder at hand), or ``unknown``."""
    context = stream.codec_context
    if context is None:
        return str(getattr(stream, "name", None) or "unknown")
    return str(context.codec.canonical_name)


def can_copy(stream: Any, container: str) -> bool:
    """True where ``container`` (mp4, mov, mkv) holds this stream's codec as players expect it, by a trial header."""
    name = codec_name(stream)
    if stream.type == "audio" and container != "mkv":
        allowed = _MP4_AUDIO if container == "mp4" else _MOV_AUDIO | _MOV_PCM
        if name not in allowed:
            return False
    if stream.type == "subtitle" and (container == "mkv") == (name in _MOVIE_SUBTITLES - {"dvd_subtitle"}):
        return False
    if stream.type == "subtitle" and container != "mkv" and name not in _MOVIE_SUBTITLES:
        return False
    return _header_accepts(stream, _FORMATS[container])


def _header_accepts(stream: Any, format_name: str) -> bool:
    trial = av.open(io.BytesIO(), "w", format=format_name)
    try:
        trial.add_stream_from_template(stream, opaque=True)
        trial.start_encoding()
        trial.close()
    except (av.error.FFmpegError, ValueError, AttributeError):
        return False
    return True


def add_side_streams(side: SideStreams, out: Any, container: str) -> None:
    """Adds an output stream for every stream of the source that can be carried, but those that are left out."""
    source, video = side.container, side.video
    for stream in source.streams:
        if stream.index in side.without:
            continue
        if stream.type == "audio":
            _add_audio(side, stream, out, container)
        elif stream.type == "subtitle":
            _add_subtitle(side, stream, out, container)
        elif stream.type == "attachment":
            _add_attachment(side, stream, out, container)
        elif stream.type == "video" and stream.index != video.index:
            _add_other_video(side, stream, out, container)
        elif stream.type != "video" and not _holds_chapters(stream, source) and "timecode" not in stream.metadata:
            side.notes.append(f"stream {stream.index} ({stream.type}, {codec_name(stream)}) is not carried over")


def _holds_chapters(stream: Any, source: Any) -> bool:
    """QuickTime keeps the names of chapters in a track, which FFmpeg has read as chapters already."""
    return codec_name(stream) == "bin_data" and stream.discard == av.stream.Discard.all and bool(source.chapters())


def _copy_tags(stream: Any, target: Any) -> None:
    target.metadata.update({k: v for k, v in stream.metadata.items() if not k.lower().startswith(_STALE_TAGS)})
    language = stream.metadata.get("language", "")
    if (
        language and target.container.format.name == "mov"
    ):  # QuickTime numbers its languages and knows these by their other code
        target.metadata["language"] = _MOV_LANGUAGES.get(language, language)
    if "handler_name" in stream.metadata:
        target.metadata["handler_name"] = stream.metadata["handler_name"]
    target.disposition = int(stream.disposition)


def _copying(target: Any) -> Callable[[Any], Iterator[Any]]:
    def convert(packet: Any) -> Iterator[Any]:
        packet.stream = target
        yield packet

    return convert


def _name(stream: Any) -> str:
    return f"{stream.type} stream {stream.index}"


def _add_copy(side: SideStreams, stream: Any, out: Any) -> None:
    target = out.add_stream_from_template(stream, opaque=True)
    _copy_tags(stream, target)
    track = Track(stream, target, _copying(target), name=_name(stream))
    if track.is_pcm:
        cutter = PcmCutter(target)
        track.convert, track.flush = cutter.convert, cutter.flush
    side.tracks[stream.index] = track


def _add_audio(side: SideStreams, stream: Any, out: Any, container: str) -> None:
    name = codec_name(stream)
    silent = stream.codec_context is None or not stream.codec_context.sample_rate
    changes, can_hold = stream.index in side.changing, not silent and can_copy(stream, container)
    if can_hold and not changes:
        _add_copy(side, stream, out)
        return
    if silent and not is_self_framed(stream):
        side.notes.append(f"audio stream {stream.index} ({name}) cannot be read and is not carried over")
        return
    coder = AudioTranscoder(stream, out, changes=changes or silent)
    _copy_tags(stream, coder.stream)
    before, after = coder.channels.count, coder.channels_out
    fewer = f", and {before} channels become {after}" if before != after and not silent else ""
    reason = "it changes on the way (joined recordings)" if can_hold else f"{container} cannot hold {name}"
    reason = "it begins late" if silent else reason
    side.notes.append(f"audio stream {stream.index} is re-encoded from {name} to AAC, since {reason}{fewer}")
    side.tracks[stream.index] = Track(
        stream,
        coder.stream,
        coder.encode,
        lambda: coder.encode(None),
        name=_name(stream),
        told=partial(_fewer_later, _name(stream), coder, 0 if silent else before),
    )


def _fewer_later(name: str, coder: AudioTranscoder, at_first: int) -> list[str]:
    """A sentence on channels that the sound has only on the way, and the result has not."""
    most, kept = coder.most_channels, coder.channels_out
    return [f"{name} has {most} channels on the way, which become {kept}"] if most > max(at_first, kept) else []


def _add_subtitle(side: SideStreams, stream: Any, out: Any, container: str) -> None:
    if can_copy(stream, container):
        _add_copy(side, stream, out)
        return
    name = codec_name(stream)
    if name not in TEXT_CODECS or stream.codec_context is None:
        side.notes.append(f"subtitle stream {stream.index} ({name}) is not carried over: {container} cannot hold it")
        return
    target = "subrip" if container == "mkv" else "mov_text"
    converter = SubtitleConverter(stream, out, target)
    _copy_tags(stream, converter.stream)
    side.notes.append(f"subtitle stream {stream.index} is converted from {name} to {target}, as {container} needs it")
    side.tracks[stream.index] = Track(
        stream, converter.stream, lambda packet: iter(converter.convert(packet)), name=_name(stream)
    )


def _add_attachment(side: SideStreams, stream: Any, out: Any, container: str) -> None:
    name = stream.metadata.get("filename", f"attachment-{stream.index}")
    if container != "mkv":
        side.notes.append(f"attachment {name} is not carried over: only mkv holds attachments")
        return
    added = out.add_attachment(name, stream.metadata.get("mimetype", "application/octet-stream"), stream.data)
    added.metadata.update({k: v for k, v in stream.metadata.items() if k not in ("filename", "mimetype")})


def _add_other_video(side: SideStreams, stream: Any, out: Any, container: str) -> None:
    if not stream.disposition & av.stream.Disposition.attached_pic:
        side.notes.append(f"video stream {stream.index} is not carried over: only the main video is restored")
        return
    packet = next((p for p in read_packets(side.container, stream) if p.size), None)
    side.container.seek(0)
    if packet is None:
        return
    if container == "mkv":
        kind = "png" if codec_name(stream) == "png" else "jpeg"
        name = stream.metadata.get("filename", f"cover.{'png' if kind == 'png' else 'jpg'}")
        out.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), bytes(packet))
    elif _header_accepts(stream, _FORMATS[container]):
        target = out.add_stream_from_template(stream, opaque=True)
        target.disposition = int(stream.disposition)
        packet.stream = target
        side.covers.append((target, packet))
    else:
        side.notes.append(f"the cover picture (stream {stream.index}) is not carried over: {container} cannot hold it")


def copy_file_tags(source: Any, out: Any) -> None:
    """The title, artist, date and so on of the source file."""
    kept = {k: v for k, v in source.metadata.items() if k.lower() not in _FILE_TAGS}
    if kept.get("creation_time", "").startswith("1970-01-01T00:00:00"):
        del kept["creation_time"]  # how a file says that it does not know
    out.metadata.update(kept)


def copy_chapters(source: Any, out: Any, part: Range) -> None:
    """Chapters, moved with the pictures and cut to the part that is shown."""
    chapters = []
    for chapter in source.chapters():
        unit = Fraction(chapter["time_base"])
        start, stop = chapter["start"] * unit - part.shift, chapter["end"] * unit - part.shift
        if part.stop is not None:
            if start >= part.stop - part.shift:
                continue
            stop = min(stop, part.stop - part.shift)
        if stop <= 0 and start < 0:
            continue  # before the first picture
        start = max(start, Fraction(0))
        chapters.append({**chapter, "start": round(start / unit), "end": round(stop / unit)})
    out.set_chapters(chapters)
