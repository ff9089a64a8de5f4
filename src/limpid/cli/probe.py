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


def command(arguments: list[str]) -> int:
    """Print the facts of each file; raises InputError for one that is no video."""
    parser = Parser("limpid probe", usage="limpid probe FILE... [--json]", description=DESCRIPTION)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a video or a folder of images")
    parser.add_argument("--json", action="store_true", help="one JSON object per file and line")
    options = parse(parser, arguments)

    from limpid.video import probe

    for file in options.files:
        clip = probe(file)
        print(json.dumps(clip_facts(clip)) if options.json else clip_text(clip))
    return 0


def clip_facts(clip: Clip) -> dict[str, Any]:
    """A `Clip` as JSON values; rational numbers as ``"30000/1001"``."""
    values = dataclasses.asdict(clip)
    return {name: str(value) if isinstance(value, Fraction) else value for name, value in values.items()}


def clip_text(clip: Clip) -> str:
    """A few lines for a person."""
    rows = {
        "picture": _picture(clip),
        "rate": f"{clip.fps} ({float(clip.fps):.6g} frames/s)",
        "length": _length(clip),
        "stream": f"{clip.codec}, {clip.pix_fmt}, {clip.bit_depth} bit, in {clip.container or clip.kind}",
        "colour": _color(clip),
        **{f"{stream.kind} {stream.index}": _stream(stream) for stream in clip.side_streams},
    }
    return "\n".join([shown(clip.path), *(f"  {name:<13} {value}" for name, value in rows.items())])


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
    return f"primaries {tags.primaries}, transfer {tags.transfer}, matrix {tags.matrix} (H.273), {extent} range"


def _stream(stream: SideStream) -> str:
    return ", ".join(part for part in (stream.codec, stream.language, stream.title and shown(stream.title)) if part)
