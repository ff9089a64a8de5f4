"""From options and a file name to an `OutputSpec`: what goes, what does not, and why, in sentences."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np

from limpid.types import Clip, ColorTags, OutputError, OutputSpec, SettingsError, Timeline
from limpid.video.closed_captions import CAPTION_CODECS
from limpid.video.encode import FrameEncoder, add_video_stream, check_preset
from limpid.video.extras import carried
from limpid.video.picture import encodable_color
from limpid.video.stills import ALPHA_FORMATS, DEEP_FORMATS, FORMAT_OF, IMAGE_FORMATS, can_write

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mkv": "mkv", ".mov": "mov"}
CODECS = {
    "mp4": ("h264", "h265", "av1"),
    "mov": ("h264", "h265", "prores"),
    "mkv": ("h264", "h265", "av1", "ffv1", "prores"),
}
ALIASES = {
    "avc": "h264",
    "x264": "h264",
    "libx264": "h264",
    "hevc": "h265",
    "x265": "h265",
    "libx265": "h265",
    "svtav1": "av1",
    "libsvtav1": "av1",
    "prores_ks": "prores",
    "jpeg": "jpg",
    "tiff": "tif",
    "images": "png",
}
VIDEO_CODECS = ("h264", "h265", "av1", "ffv1", "prores")
_MAX_SIDE_PX = {"h264": 16384, "h265": 16384, "av1": 16384, "images": 65535}
LEAST_H265_PX = 64
"""x265 writes beyond its buffers for some narrower pictures (48x32 and 40x24, seen with PyAV 16)."""
_Codec = Literal["h264", "h265", "av1", "ffv1", "prores", "images"]
_Container = Literal["mp4", "mkv", "mov", "images"]


@dataclass(frozen=True, kw_only=True)
class _Target:
    codec: str
    container: str
    image_format: str = "png"


def resolve_output(
    clip: Clip,
    timeline: Timeline,
    output: Path | str,
    *,
    width: int,
    height: int,
    codec: str | None,
    crf: int,
    bit_depth: int | None,
    threads: int,
    preset: str | None = None,
) -> tuple[OutputSpec, tuple[str, ...]]:
    """How ``output`` will be encoded, and notes for the user on whatever differs from source or wish.

    ``width`` and ``height``: pixels wanted; rounded up to even where chroma subsampling needs it. ``codec``: a name or
    None for the usual one of the container (h264; h265 for 10-bit sources; PNG for a folder). ``bit_depth``: 8, 10,
    16 (PNG and TIFF) or None for that of the source, up to 10. ``crf``: 0 (best) to 51, on x264's scale.
    Raises SettingsError for options that cannot be, OutputError for names and pairs that do not go together.
    """
    notes: list[str] = []
    depth = _wanted_depth(clip, bit_depth)
    target = _target(Path(output), codec, depth, clip.has_alpha, notes)
    _check_count(Path(output), target, clip, timeline)
    if clip.fps_assumed and target.codec != "images":
        notes.append(f"the images have no frame rate; {clip.fps} frames/s is assumed, --fps sets another")
    if not 0 <= crf <= 51:
        raise SettingsError(f"--crf {crf} is out of range: use 0 (best) to 51, 16 is the default")
    if threads < 1:
        raise SettingsError(f"threads must be at least 1, not {threads}")
    depth = _possible_depth(target, depth, bit_depth, notes)
    alpha = clip.has_alpha and _holds_alpha(target)
    if clip.has_alpha and not alpha:
        kind = target.image_format if target.codec == "images" else target.codec
        notes.append(f"the transparency of the source is left out: {kind} has none (ffv1, prores and png do)")
    extras, lost = carried(clip, target.codec, target.container)
    notes.extend(lost)
    if timeline.closed_captions and target.codec not in CAPTION_CODECS:
        notes.append(f"closed captions (CEA-608/708) inside the pictures are not carried over into {target.codec}")
    wide, high = _even_size(target.codec, width, height, alpha, notes)
    _check_size(target.codec, wide, high)
    _check_clock(target, timeline)
    spec = OutputSpec(
        codec=cast(_Codec, target.codec),
        container=cast(_Container, target.container),
        width=wide,
        height=high,
        fps=clip.fps,
        time_base=timeline.time_base,
        crf=crf,
        bit_depth=depth,
        preset=check_preset(target.codec, preset),
        sample_aspect=clip.sample_aspect,
        color=_colors(clip.color, target, high),
        alpha=alpha,
        threads=threads,
        image_format=target.image_format,
        extras=extras,
    )
    return spec, tuple(notes)


def _wanted_depth(clip: Clip, bit_depth: int | None) -> int:
    if bit_depth is None:
        return 10 if clip.bit_depth > 8 else 8
    if bit_depth not in (8, 10, 16):
        raise SettingsError(f"--bit-depth {bit_depth} is not possible: use 8 or 10 (16 for png and tif)")
    return bit_depth


def _target(output: Path, codec: str | None, depth: int, alpha: bool, notes: list[str]) -> _Target:
    name = codec.lower() if codec is not None else None
    name = ALIASES.get(name, name) if name is not None else None
    if name is not None and name not in VIDEO_CODECS + IMAGE_FORMATS:
        raise SettingsError(
            f"unknown codec {codec!r}: use {', '.join(VIDEO_CODECS)}, or {', '.join(IMAGE_FORMATS)} for images"
        )
    suffix = output.suffix.lower()
    if suffix == "" or output.is_dir():
        return _folder_target(output, name)
    if suffix in FORMAT_OF:
        return _image_target(output, name)
    if suffix not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise OutputError(
            f"{output}: {suffix} is not a kind of file that can be written: use {known}, or a folder for images"
        )
    container = CONTAINERS[suffix]
    if name in IMAGE_FORMATS:
        raise OutputError(f"{output}: {name} images go into a folder: give a name without {suffix}")
    if name is None and alpha and container == "mov":
        name = "prores"
        notes.append("encoded as prores (4444), which keeps the transparency of the source (--codec changes that)")
    if name is None:
        name = "h265" if depth > 8 else "h264"
        if depth > 8:
            notes.append(
                "encoded as h265, since few players know 10-bit h264 (--codec h264 or --bit-depth 8 change that)"
            )
    if name not in CODECS[container]:
        homes = " or ".join(f".{c}" for c, names in CODECS.items() if name in names)
        choice = ", ".join(CODECS[container])
        raise OutputError(f"{output}: {name} does not go into {container}: use {homes}, or a codec of {choice}")
    return _Target(codec=name, container=container)


def _image_target(output: Path, name: str | None) -> _Target:
    """One image, of the kind that its name says."""
    kind = FORMAT_OF[output.suffix.lower()]
    if name not in (None, kind, "png"):
        raise OutputError(f"{output}: the name asks for {kind}, --codec for {name}; leave --codec out")
    if not can_write(kind):
        raise OutputError(f"{output}: this build of OpenCV cannot write {kind}; use png")
    return _Target(codec="images", container="images", image_format=kind)


def _check_count(output: Path, target: _Target, clip: Clip, timeline: Timeline) -> None:
    """One image holds one frame."""
    frames = max(timeline.num_frames, len(clip.image_paths), clip.num_frames or 0 if clip.kind == "video" else 0)
    if target.codec == "images" and output.suffix.lower() in FORMAT_OF and not output.is_dir() and frames > 1:
        raise OutputError(f"{output} is one image, and the input has {frames} frames: give a folder, or a film's name")


def _folder_target(output: Path, name: str | None) -> _Target:
    if name in VIDEO_CODECS:
        raise OutputError(f"{output}: {name} needs a file: give a name that ends in {', '.join(CONTAINERS)}")
    return _Target(codec="images", container="images", image_format=name or "png")


def _possible_depth(target: _Target, depth: int, asked: int | None, notes: list[str]) -> int:
    if target.codec == "images":
        deep = target.image_format in DEEP_FORMATS
        if depth > 8 and not deep:
            if asked is not None:
                raise SettingsError(f"{target.image_format} has 8 bits, not {asked}: use png or tif, or --bit-depth 8")
            notes.append(f"the source has more than 8 bits, {target.image_format} holds 8: use png or tif to keep them")
        return 16 if depth > 8 and deep else 8
    if depth == 16:
        raise SettingsError(f"--bit-depth 16 is for png and tif: use 8 or 10 with {target.codec}")
    if target.codec == "prores":
        if asked == 8:
            raise SettingsError("prores always has 10 bits: leave --bit-depth out or use 10")
        return 10
    return depth


def _holds_alpha(target: _Target) -> bool:
    if target.codec == "images":
        return target.image_format in ALPHA_FORMATS
    return target.codec in ("ffv1", "prores")


def _even_size(codec: str, width: int, height: int, alpha: bool, notes: list[str]) -> tuple[int, int]:
    even_width = codec in ("h264", "h265", "av1") or (codec == "prores" and not alpha)
    even_height = codec in ("h264", "h265", "av1")
    wide = width + width % 2 if even_width else width
    high = height + height % 2 if even_height else height
    if (wide, high) != (width, height):
        notes.append(f"{width}x{height} becomes {wide}x{high}: {codec} needs even sizes; the edge is repeated")
    return wide, high


def _check_size(codec: str, width: int, height: int) -> None:
    limit = _MAX_SIDE_PX.get(codec, 32767)
    if codec == "h265" and width < LEAST_H265_PX:
        raise SettingsError(
            f"{width}x{height} cannot be encoded as h265: at least {LEAST_H265_PX} wide; use --codec h264"
        )
    if not 16 <= min(width, height) <= max(width, height) <= limit:
        raise SettingsError(f"{width}x{height} cannot be encoded as {codec}: sides of 16 to {limit} pixels go")


def _check_clock(target: _Target, timeline: Timeline) -> None:
    """Matroska counts in milliseconds: frames closer together than that would fall on one another."""
    if target.container != "mkv":
        return
    stamps = [floor(p * timeline.time_base * 1000 + Fraction(1, 2)) for p in timeline.pts]
    if any(b <= a for a, b in pairwise(stamps)):
        raise OutputError("mkv counts in milliseconds and this video has frames closer together: use .mp4 or .mov")


def _colors(color: ColorTags, target: _Target, height: int) -> ColorTags:
    """Tags as in the source; a matrix that is unknown or cannot be encoded becomes the usual one of the size."""
    if target.codec in ("ffv1", "images"):
        return replace(color, matrix=0, full_range=True)
    if color.matrix == 0:
        color = replace(color, full_range=False)  # of RGB; players and encoders expect YUV to be limited
    if target.codec == "prores":
        color = replace(color, full_range=False)  # its files have no place to say otherwise
    return encodable_color(color, height)


def segment_spec(spec: OutputSpec, timeline: Timeline) -> tuple[OutputSpec, str | None]:
    """What segments are encoded as: ``spec`` itself, or FFV1 with the reason why they could not be joined.

    Decided by encoding two short different clips at the real size and comparing the encoder's headers byte for byte.
    """
    if spec.codec in ("images", "ffv1", "prores"):
        return spec, None
    if len(_trial_headers(_at_own_rate(spec))) == 1:
        return spec, None
    reason = f"the {spec.codec} encoder changes its headers from segment to segment"
    depth = 8 if spec.bit_depth == 8 else 16
    return replace(spec, codec="ffv1", bit_depth=depth, crf=0, preset=None, encoder="software"), reason


def header_digest(spec: OutputSpec) -> str:
    """SHA-256 of the encoder's headers. Those of hardware follow its driver, which may change between two runs."""
    return hashlib.sha256(b"".join(sorted(_trial_headers(_at_own_rate(spec))))).hexdigest()


def _at_own_rate(spec: OutputSpec) -> OutputSpec:
    return replace(spec, time_base=1 / spec.fps.limit_denominator(2**30))


@lru_cache(maxsize=16)
def _trial_headers(spec: OutputSpec) -> frozenset[bytes]:
    """The different headers of two short clips."""
    random = np.random.default_rng(0)
    return frozenset(_trial_header(spec, random.integers(0, 256, (n, 1, 1, 3)), n) for n in (1, 3))


def _trial_header(spec: OutputSpec, shades: np.ndarray, count: int) -> bytes:
    with av.open(io.BytesIO(), "w", format="nut") as container:
        stream = add_video_stream(container, spec)
        encoder = FrameEncoder(stream, spec)
        dtype = np.uint8 if encoder.depth == 8 else np.uint16
        scale = 1 if encoder.depth == 8 else 257
        pictures = [np.full((spec.height, spec.width, 3), shades[i] * scale).astype(dtype) for i in range(count)]
        packets = [*encoder.encode(pictures), *encoder.finish()]
        if not packets or not packets[0].is_keyframe or min(p.pts for p in packets) != packets[0].pts:
            return b"not closed " + bytes([count])
        return bytes(stream.codec_context.extradata or b"")
