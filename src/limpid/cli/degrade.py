"""``limpid degrade``: makes low-quality clips from good ones."""

from __future__ import annotations

import argparse
import json
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from limpid.bounded import cut, fraction
from limpid.cli.parser import EXIT_CODES, Parser, parse
from limpid.cli.words import shown
from limpid.types import InputError, SettingsError

if TYPE_CHECKING:
    from limpid.degrade.files import Degraded

USAGE = """limpid degrade INPUT OUTPUT [--pipeline NAME] [--seed N] [options]
       limpid degrade INPUT OUTPUT --from FILE.degraded.json [options]"""

DESCRIPTION = """Make a low-quality clip from a good one, to test or train restoration.

The same seed gives the same result. OUTPUT is stored without loss: .mkv (FFV1), .mp4 or .mov
(H.264 in RGB), or without a suffix a folder of PNG images. Everything that was drawn is written
beside it, as OUTPUT.degraded.json. Sound is left out.

pipelines: bicubic, blur-downsample, blur-downsample-corner, blur-bicubic, simple, light, realbasicvsr-first,
worn, streamed, mixed, realbasicvsr, realbasicvsr-area, mgld, dove, real-esrgan, stablesr
"""


def command(arguments: list[str]) -> int:
    """Degrade one clip; returns 0."""
    options = parse(make_parser(), arguments)
    source = Path(options.input)
    if not source.exists():  # before the libraries are loaded
        raise InputError(f"{shown(source)}: there is no such file or folder")
    done = _degrade(source, options)
    if options.json:
        drawn = done.drawn
        values = {"pipeline": drawn.pipeline, "seed": drawn.seed, "frames": drawn.num_frames, "sha256": done.sha256}
        print(json.dumps({"output": str(done.output), "record": str(done.record), "cropped": done.cropped, **values}))
        return 0
    if done.cropped:
        height, width = done.drawn.source
        says = f"the input was cut to {width}x{height}, a multiple of {done.drawn.scale}: cut a ground truth alike"
        print(f"note: {says}", file=sys.stderr)
    print(shown(done.output))
    return 0


def make_parser() -> Parser:
    parser = Parser("limpid degrade", usage=USAGE, description=DESCRIPTION, epilog=EXIT_CODES)
    parser.add_argument("input", metavar="INPUT", help="a video or a folder of images")
    parser.add_argument("output", metavar="OUTPUT", help="a video file, or a folder for images")
    parser.add_argument("--pipeline", metavar="NAME", help="what is done to the clip (default: realbasicvsr)")
    parser.add_argument("--seed", type=int, metavar="N", help="of all that is drawn (default: 0)")
    parser.add_argument("--scale", type=int, metavar="N", help="input pixels per output pixel (default: 4)")
    parser.add_argument("--frames", type=int, metavar="N", help="only the first N frames")
    parser.add_argument("--fps", metavar="RATE", help="of a folder of images")
    parser.add_argument("--from", dest="record", metavar="FILE", help="apply again what this .degraded.json says")
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument("--json", action="store_true", help="the result as one JSON object")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
    return parser


def _degrade(source: Path, options: argparse.Namespace) -> Degraded:
    from limpid.degrade import PIPELINES
    from limpid.degrade.files import degrade_file, read_record

    name = options.pipeline or "realbasicvsr"
    if name not in PIPELINES:
        raise SettingsError(f"--pipeline {name} is unknown: use one of {', '.join(PIPELINES)}")
    drawing = {"--pipeline": options.pipeline, "--seed": options.seed, "--scale": options.scale}
    drawing["--frames"] = options.frames
    given = [name for name, value in drawing.items() if value is not None]
    if options.record and given:
        raise SettingsError(f"{given[0]} has no effect with --from, which has everything drawn already; leave it out")
    return degrade_file(
        source,
        Path(options.output),
        read_record(Path(options.record)) if options.record else PIPELINES[name],
        seed=options.seed or 0,
        scale=options.scale,
        max_frames=options.frames,
        fps=_rate(options.fps),
        overwrite=options.overwrite,
        on_progress=None if options.quiet or options.json else _Progress(),
    )


def _rate(text: str | None) -> Fraction | None:
    try:
        rate = fraction(text) if text is not None else None
    except ValueError:
        rate = Fraction(0)
    if rate is not None and not 0 < rate <= 1000:
        raise SettingsError(f"--fps {cut(str(text))} is no frame rate: use a number like 25 or 30000/1001, up to 1000")
    return rate


class _Progress:
    """A line on stderr now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._told >= 5:
            self._told = time.monotonic()
            print(f"{done}/{total} frames", file=sys.stderr)
