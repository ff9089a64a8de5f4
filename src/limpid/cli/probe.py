"""``limpid probe``: what the header of a file says."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from typing import Any

from limpid.cli.parser import Parser, parse
from limpid.cli.words import clock_time, shown, size_text
from limpid.types import Clip, SideStream

DESCRIPTION = """Show what is known of a video or a folder of images before any frame is decoded.
Whether all frames can be decoded is found by limpid upscale --dry-run."""


PRIMARIES = {1: "BT.709", 2: "unknown", 4: "BT.470M", 5: "BT.601 (625)", 6: "BT.601 (525)", 9: "BT.2020"} | {
    11: "DCI-P3",
    12: "Display P3",
}
TRANSFERS = {1: "BT.709", 2: "unknown", 4: "gamma 2.2", 5: "gamma 2.8", 6: "BT.601", 8: "linear", 13: "sRGB"} | {
    14: "BT.2020 (10 bit)",
    15: "BT.2020 (12 bit)",
    16: "PQ",
    18: "HLG",
}
MATRICES = {0: "RGB", 1: "BT.709", 2: "unknown", 4: "FCC", 5: "BT.601 (625)", 6: "BT.601 (525)", 7: "SMPTE 240M"} | {
    8: "YCgCo",
    9: "BT.2020",
}
"""Names for ITU-T H.273's code points."""
HDR = {16: "HDR (PQ)", 18: "HDR (HLG)"}


def make_parser() -> Parser:
    parser = Parser("limpid probe", usage="limpid probe FILE... [--json]", description=DESCRIPTION)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a video or a folder of images")
    parser.add_argument("--json", action="store_true", help="one JSON object per file and line")
    return parser


def command(arguments: list[str]) -> int:
    """Print the facts of each file; raises InputError for one that is no video."""
    options = parse(make_parser(), arguments)

    from limpid.video import probe, rate_varies

    for file in options.files:
        clip = probe(file)
        varies = rate_varies(clip)
        print(json.dumps({**clip_facts(clip), "variable_rate": varies}) if options.json else clip_text(clip, varies))
    return 0


def clip_facts(clip: Clip) -> dict[str, Any]:
    """A `Clip` as JSON values; rational numbers as ``"30000/1001"``."""
    values = dataclasses.asdict(clip)
    return {name: str(value) if isinstance(value, Fraction) else value for name, value in values.items()}


def clip_text(clip: Clip, varies: bool = False) -> str:
    """A few lines for a person. ``varies``: whether the distance of frames does."""
    rows = {
        "picture": _picture(clip),
        "rate": f"{clip.fps} ({float(clip.fps):.6g} frames/s{', variable' if varies else ''})",
        "length": _length(clip),
        "stream": f"{clip.codec}, {clip.pix_fmt}, {clip.bit_depth} bit, in {clip.container or clip.kind}",
        "colour": _color(clip),
        **_extras(clip),
        **{f"{stream.kind} {stream.index}": _stream(stream) for stream in clip.side_streams},
    }
    told = [*rows.items(), *(("note", shown(warning)) for warning in clip.warnings)]
    return "\n".join([shown(clip.path), *(f"  {name:<13} {value}" for name, value in told)])


def _picture(clip: Clip) -> str:
    parts = [f"{clip.width}x{clip.height}"]
    if clip.sample_aspect != 1:
        parts.append(f"pixel aspect {clip.sample_aspect}")
    if clip.rotation:
        parts.append(f"turned by {clip.rotation} degrees")
    if clip.has_alpha:
        parts.append("with alpha")
    if clip.field_order not in ("progressive", "unknown"):
        parts.append(f"interlaced ({clip.field_order})")
    return ", ".join(parts)


def _length(clip: Clip) -> str:
    duration = clock_time(clip.duration_s) if clip.duration_s is not None else "unknown"
    frames = f", about {clip.num_frames} frames" if clip.num_frames else ""
    return f"{duration}{frames}, {size_text(clip.size_bytes)}"


def _color(clip: Clip) -> str:
    tags = clip.color
    extent = "full" if tags.full_range else "limited"
    parts = [
        f"primaries {_named(PRIMARIES, tags.primaries)}",
        f"transfer {_named(TRANSFERS, tags.transfer)}",
        f"matrix {_named(MATRICES, tags.matrix)}",
        f"{extent} range",
    ]
    hdr = HDR.get(tags.transfer)
    return f"{hdr}: {', '.join(parts)}" if hdr else ", ".join(parts)


def _named(names: dict[int, str], code: int) -> str:
    return names.get(code, f"{code} (H.273)")


def _extras(clip: Clip) -> dict[str, str]:
    """What a film says of itself besides: rows that most films lack."""
    rows = {}
    extras = clip.extras
    if extras.mastering or extras.light_level:
        level = extras.light_level
        brightest = f"MaxCLL {level[0]}, MaxFALL {level[1]} cd/m2" if level else "no light level"
        rows["HDR10"] = f"{brightest}, mastering display {extras.mastering or 'unknown'}"
    if extras.stereo:
        rows["stereo"] = extras.stereo.replace("_", " ")
    if extras.timecode:
        rows["time code"] = extras.timecode
    if any(clip.crop):
        rows["hidden"] = ", ".join(f"{edge} {count}" for edge, count in clip.crop._asdict().items() if count)
    return rows


def _stream(stream: SideStream) -> str:
    return ", ".join(part for part in (stream.codec, stream.language, stream.title and shown(stream.title)) if part)
