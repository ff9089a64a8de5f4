"""``limpid compare``: one page that shows results side by side."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Literal

from limpid.cli.parser import Parser, parse
from limpid.cli.words import shown
from limpid.types import SettingsError

if TYPE_CHECKING:
    from limpid.bench.compare import Wishes

USAGE = "limpid compare FILE FILE... --out PAGE.html [--ref FILE] [--lr FILE] [options]"

DESCRIPTION = """Write one HTML file that compares videos (or folders of images) of one size: players in step with a
wipe, crops where the results differ most, profiles and curves over time, maps of differences.

The page holds everything, videos included; it opens from disk and loads nothing from anywhere.
Differences and PSNR are taken to --ref, or else to the first file.
"""


def command(arguments: list[str]) -> int:
    """Write the page and print its name."""
    options = parse(make_parser(), arguments)
    wishes = _wishes(options)
    labels = options.labels.split(",") if options.labels else ()

    from limpid.bench.compare import compare_videos

    def tell(sentence: str) -> None:
        if not options.quiet:
            print(shown(sentence), file=sys.stderr)

    page = compare_videos(
        options.files, options.out, reference=options.ref, lr=options.lr, labels=labels, wishes=wishes, tell=tell
    )
    print(shown(page))
    return 0


def make_parser() -> Parser:
    parser = Parser("limpid compare", usage=USAGE, description=DESCRIPTION)
    parser.add_argument("files", nargs="+", metavar="FILE", help="a video or a folder of images, all of one size")
    parser.add_argument("-o", "--out", metavar="PAGE", required=True, help="the page, a name that ends in .html")
    parser.add_argument("--ref", metavar="FILE", help="the true pictures; differences and PSNR are taken to them")
    parser.add_argument("--lr", metavar="FILE", help="the low-resolution input; enlarged bicubically and labelled so")
    parser.add_argument("--labels", metavar="A,B,...", help="names of the files on the page (default: their names)")
    parser.add_argument("--frames", metavar="A:B", default="0:", help="frames A to B-1 (default: all, at most 250)")
    parser.add_argument(
        "--crop",
        metavar="X,Y,W,H",
        action="append",
        default=[],
        help="a crop by hand; may be repeated",
    )
    parser.add_argument("--crops", metavar="N", type=int, default=3, help="how many crops are chosen (default: 3)")
    parser.add_argument(
        "--profile", metavar="LINE", default="column", help="column, row, column:X or row:Y (default: through crop 1)"
    )
    parser.add_argument(
        "--metrics", metavar="A,B,...", help="add metrics by name, as psnr-y,ssim,tof (see docs/cli.md)"
    )
    parser.add_argument("--crf", metavar="N", type=int, default=16, help="quality of the page's video (default: 16)")
    parser.add_argument(
        "--max-mb", metavar="N", type=float, default=40.0, help="its largest size; quality gives way (default: 40)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a page that exists")
    parser.add_argument("-q", "--quiet", action="store_true", help="only errors")
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
    return parser


def _wishes(options: argparse.Namespace) -> Wishes:
    crops, frames, line = [_box(text) for text in options.crop], _frames(options.frames), _line(options.profile)
    if not 1 <= options.crops <= 12:
        raise SettingsError(f"--crops {options.crops} is out of range: 1 to 12")

    from limpid.bench.compare import Wishes

    return Wishes(
        crops=tuple(crops),
        num_crops=options.crops,
        line=line,
        frames=frames,
        crf=options.crf,
        max_mb=options.max_mb,
        metrics=tuple(options.metrics.split(",")) if options.metrics else (),
        overwrite=options.overwrite,
    )


def _box(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise SettingsError(f"--crop {text!r} must be four whole numbers X,Y,W,H, as in --crop 64,32,160,120") from None
    return x, y, width, height


def _frames(text: str) -> tuple[int, int | None]:
    start, colon, stop = text.partition(":")
    try:
        if not colon:
            raise ValueError
        return int(start or 0), int(stop) if stop else None
    except ValueError:
        raise SettingsError(f"--frames {text!r} must be A:B, as in --frames 0:48 (48 frames) or --frames 24:") from None


def _line(text: str) -> tuple[Literal["row", "column"], int | None]:
    kind, colon, number = text.partition(":")
    if kind not in ("row", "column") or (colon and not number.isdecimal()):
        raise SettingsError(f"--profile {text!r} must be row, column, row:Y or column:X, as in --profile column:120")
    return "row" if kind == "row" else "column", int(number) if colon else None
