"""What a film says of itself besides its pixels: mastering display, light level, stereo, time code, captions and so on.

Some of it is passed on where codec or container can hold it (`Extras`); for every other kind there is a sentence.
"""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from typing import Any

import av
from av.sidedata.sidedata import Type

from limpid.types import Clip, Extras, OutputSpec
from limpid.video.side_data import side_data_of

LOST = {
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata is not carried over, since it was made for the pictures as they were",
    Type.DOVI_METADATA: "Dolby Vision metadata is not carried over; only its base layer is restored",
    Type.DOVI_RPU_BUFFER: "Dolby Vision metadata is not carried over; only its base layer is restored",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata is not carried over",
    Type.AMBIENT_VIEWING_ENVIRONMENT: "the ambient viewing environment (HDR) is not carried over",
    Type.SPHERICAL: "spherical (360 degree) metadata is not carried over; players will show the picture flat",
    Type.S12M_TIMECODE: "the time codes of single frames (SMPTE 12M) are not carried over",
    Type.ICC_PROFILE: "the ICC profile of the pictures is not carried over and not applied",
}
"""What is attached to frames and lost, whatever the output."""
_STEREO = {1: ("left_right", "right_left"), 2: ("top_bottom", "bottom_top"), 3: ("block_lr", "block_rl")} | {
    4: ("checkerboard_lr", "checkerboard_rl"),
    6: ("row_interleaved_lr", "row_interleaved_rl"),
    7: ("col_interleaved_lr", "col_interleaved_rl"),
}
"""Matroska's names for FFmpeg's kinds of stereo pictures, left eye first and right eye first."""
TIMECODE_RATES = frozenset(
    Fraction(*rate) for rate in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60, 1))
) | {Fraction(60000, 1001)}
"""Rates at which time codes count frames."""
_HDR_CODECS = ("h264", "h265", "av1")
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


def extras_of(frame: av.VideoFrame, container: Any, stream: Any) -> Extras:
    """What the first frame and the headers say that can be passed on."""
    data = side_data_of(frame)
    light = data.get(Type.CONTENT_LIGHT_LEVEL, b"")
    sources = (container, stream, *container.streams)
    codes = [value for source in sources for key, value in source.metadata.items() if key.lower() == "timecode"]
    return Extras(
        mastering=_mastering(data.get(Type.MASTERING_DISPLAY_METADATA, b"")),
        light_level=struct.unpack("2I", light[:8]) if len(light) >= 8 else None,
        stereo=_stereo(data.get(Type.STEREO3D, b"")),
        timecode=next((code for code in codes if code), None),
    )


def _mastering(data: bytes) -> str | None:
    """FFmpeg's AVMasteringDisplayMetadata (22 numbers) as x264 and x265 write it, in 1/50000 and 1/10000 cd/m2."""
    if len(data) < 88:
        return None
    values = struct.unpack("22i", data[:88])
    if not (values[20] and values[21]):
        return None
    pairs = [values[i] / values[i + 1] if values[i + 1] else 0.0 for i in range(0, 20, 2)]
    red, green, blue, white = (
        (round(50000 * x), round(50000 * y)) for x, y in zip(pairs[0:8:2], pairs[1:8:2], strict=True)
    )
    low, high = (round(10000 * level) for level in pairs[8:10])
    points = "".join(
        f"{name}({x},{y})" for name, (x, y) in zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
    )
    return f"{points}L({high},{low})"


def _stereo(data: bytes) -> str | None:
    if len(data) < 8:
        return None
    kind, flags = struct.unpack("2i", data[:8])
    names = _STEREO.get(kind)
    return names[flags & 1] if names else None


def carried(clip: Clip, codec: str, container: str) -> tuple[Extras, list[str]]:
    """What of the clip's extras goes into such an output, and sentences on the rest."""
    extras, notes = clip.extras, []
    static = codec in _HDR_CODECS
    if (extras.mastering or extras.light_level) and not static:
        notes.append(f"mastering display and light level (HDR10) are not carried over: {codec} has no place for them")
    if clip.color.transfer in _HDR_TRANSFERS and container == "images":
        curve = _HDR_TRANSFERS[clip.color.transfer]
        notes.append(
            f"the pictures are HDR ({curve}); images are written with these values and without a tag that says so"
        )
    if extras.stereo and container != "mkv":
        notes.append(f"the stereo layout ({extras.stereo}) is not carried over: only mkv has a place for it here")
    counts = clip.fps in TIMECODE_RATES and container != "images"
    if extras.timecode and not counts:
        why = "images have no place for it" if container == "images" else f"none counts at {clip.fps} frames/s"
        notes.append(f"the time code {extras.timecode} is not carried over: {why}")
    kept = Extras(
        mastering=extras.mastering if static else None,
        light_level=extras.light_level if static else None,
        stereo=extras.stereo if container == "mkv" else None,
        timecode=extras.timecode if counts else None,
    )
    return kept, notes


def x26x_params(spec: OutputSpec, mastering: str, light: str) -> str:
    """The part of ``x264-params`` or ``x265-params`` that says so, under the encoder's own names."""
    extras, parts = spec.extras, []
    if extras.mastering:
        parts.append(f":{mastering}={extras.mastering}")
    if extras.light_level:
        parts.append(f":{light}={extras.light_level[0]},{extras.light_level[1]}")
    return "".join(parts)


def av1_params(spec: OutputSpec) -> str:
    """The part of ``svtav1-params`` with mastering display and light levels, in plain numbers."""
    extras, parts = spec.extras, []
    if extras.mastering:
        numbers = [int(number) for number in re.findall(r"\d+", extras.mastering)]
        values = [number / 50000 for number in numbers[:8]] + [number / 10000 for number in numbers[8:]]
        names = ("G", "B", "R", "WP", "L")
        points = "".join(f"{n}({values[2 * i]:.5f},{values[2 * i + 1]:.5f})" for i, n in enumerate(names))
        parts.append(f":mastering-display={points}")
    if extras.light_level:
        parts.append(f":content-light={extras.light_level[0]},{extras.light_level[1]}")
    return "".join(parts)
