"""What the name of a file says: a video, an image, and where it stands among others. Loads nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    """.264 .265 .3g2 .3gp .asf .av1 .avi .dv .flv .gif .h264 .h265 .hevc .ivf .m2t .m2ts .m2v .m4v .mjpeg .mkv .mov
    .mp4 .mpeg .mpg .mts .mxf .nut .obu .ogm .ogv .rm .rmvb .ts .vob .webm .wmv .y4m""".split()  # noqa: SIM905
)
"""Names of films."""
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif"})
"""What OpenCV reads, alone or as a folder."""
STILL_SUFFIXES = IMAGE_SUFFIXES | frozenset(
    """.exr .tga .heic .heif .hif .dpx .jp2 .j2k .jxl .ppm .pgm .pbm .pnm .pam .sgi .pcx .qoi .hdr .cin .psd""".split()  # noqa: SIM905
)
"""Names of single pictures; those beyond `IMAGE_SUFFIXES` are read by FFmpeg."""


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts frame_2 before frame_10."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def missing_numbers(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Neighbours between which numbers are missing, where most of the files follow each other by one.

    ``paths`` in natural order. None where the names differ in more than their last number.
    """
    found = [re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem) for path in paths]
    names = [(match[1], int(match[2]), match[3]) for match in found if match is not None]
    if len(names) < len(paths) or len({(before, after) for before, _, after in names}) != 1:
        return []
    numbers = [number for _, number, _ in names]
    holes = [at for at in range(len(numbers) - 1) if numbers[at + 1] - numbers[at] > 1]
    return [(paths[at], paths[at + 1]) for at in holes] if 2 * len(holes) < len(numbers) - 1 else []


def is_image_name(path: Path) -> bool:
    """Whether the name has the ending of an image that OpenCV reads."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_still_name(path: Path) -> bool:
    """Whether the name has the ending of a single picture of any kind."""
    return path.suffix.lower() in STILL_SUFFIXES
