"""A process that makes what a browser can show of films: input and result as tiles of one video, stills, crops.

``python -m limpid.serve.pictures`` reads one `PicturesAsked` as JSON from stdin and writes files into a folder,
`ABOUT` last. Parts and measures are those of `limpid.bench.compare`. It does not load PyTorch.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from limpid.bench.compare.crops import Crop, choose_crops, usual_size
from limpid.bench.compare.film import TileLayout, encode_comparison, plan_layout
from limpid.bench.compare.measures import disagreement
from limpid.bench.compare.sources import eight_bits
from limpid.bounded import json_object, parse_json, read_json
from limpid.durable.files import write_atomic
from limpid.run.early import probe_for
from limpid.run.timelines import MAX_SCAN_BYTES, SCAN_NAME, timeline_from_dict, timeline_to_dict
from limpid.serve.pictures_asked import ABOUT, PicturesAsked
from limpid.settings import Settings
from limpid.types import Clip, InputError, LimpidError, Timeline, Window
from limpid.video import FrameReader, probe, scan

_MOST_FRAMES = 300
_CRF, _MOST_BYTES, _MOST_CROPS, _LARGEST_STILL = 16, 80_000_000, 3, 3840
_NICE = 10
_Pair = list[np.ndarray]
"""The input, enlarged, and the result: RGB uint8 ``h w 3`` of one size."""


def _main() -> int:
    if hasattr(os, "nice"):
        os.nice(_NICE)  # films are being made at the same time
    asked = PicturesAsked(**json_object(parse_json(sys.stdin.read())))
    try:
        about = small_picture(asked) if asked.width else comparison(asked)
    except LimpidError as error:
        about = {"error": str(error)}
    write_atomic(Path(asked.folder) / ABOUT, json.dumps(about))
    return 0


def small_picture(asked: PicturesAsked) -> dict[str, Any]:
    """The first frame as a small JPEG."""
    clip = probe(asked.input)
    one_frame = Timeline(pts=(0,), time_base=clip.time_base, cuts=(0,), last_duration=1)
    with FrameReader(clip, one_frame) as reader:
        rgb = eight_bits(reader.read(Window(start=0, stop=1))[0].pixels)
    height = max(1, round(rgb.shape[0] * asked.width / rgb.shape[1]))
    small = cv2.resize(rgb, (asked.width, min(height, 4 * asked.width)), interpolation=cv2.INTER_AREA)
    _write(Path(asked.folder) / "small.jpg", np.asarray(small))
    return {}


def comparison(asked: PicturesAsked) -> dict[str, Any]:
    """Everything of a comparison; returns what docs/serve-api.md says of it, with names of files for addresses."""
    settings = Settings.from_dict(asked.settings)
    source, result = probe_for(asked.input, settings), probe(asked.result)
    known = timeline_of(source, settings, Path(asked.known_scan) if asked.known_scan else None, Path(asked.folder))
    made = scan(result, detect_cuts=False)
    numbers = _shown(made, result, asked)
    pairs = _Pairs(source, known, settings, result, made, asked.first)
    maps = [disagreement([_gray(picture) for picture in pair]) for pair in pairs.read(numbers)]
    size = (result.width, result.height)
    crops = choose_crops(np.stack(maps), usual_size(*size), size, _MOST_CROPS)
    still = int(np.argmax([each.mean() for each in maps]))
    takers = _takers(Path(asked.folder), crops, still)
    video = _encoded(asked, pairs, numbers, takers, result)
    return {
        **asked.more,
        "fps": float(result.fps),
        "frames": len(numbers),
        "first_frame": numbers[0],
        "start_s": float((made.pts[numbers[0]] - made.pts[0]) * made.time_base),
        "whole": len(numbers) == made.num_frames,
        "width": size[0],
        "height": size[1],
        "video": video,
        "stills": {"frame": still, "before": "before.png", "after": "after.png"},
        "crops": [_about_crop(number, crop) for number, crop in enumerate(crops)],
    }


def timeline_of(source: Clip, settings: Settings, known: Path | None, folder: Path) -> Timeline:
    """The timeline of an input: as the engine left it in its work folder, as it was left here, or found now."""
    stamp = _stamp(Path(source.path))
    if (found := _recalled(known, None) or _recalled(folder.parent, stamp)) is not None:
        return found
    timeline = scan(source, deinterlace=settings.deinterlace, detect_cuts=False)
    write_atomic(folder.parent / SCAN_NAME, json.dumps({"stamp": stamp, "timeline": timeline_to_dict(timeline)}))
    return timeline


def _recalled(place: Path | None, stamp: list[int] | None) -> Timeline | None:
    """What was left in a folder, if it is of the file as it is now; the engine's own is, while it works."""
    if place is None:
        return None
    try:
        values = json_object(read_json(place / SCAN_NAME, MAX_SCAN_BYTES), ("timeline",))
        return timeline_from_dict(values["timeline"]) if stamp in (None, values.get("stamp")) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def _shown(made: Timeline, result: Clip, asked: PicturesAsked) -> range:
    """The frames of the result that are shown."""
    first = made.pts[0]
    times = [float((pts - first) * made.time_base) for pts in made.pts]
    inside = [n for n, time_s in enumerate(times) if asked.start_s - 1e-6 <= time_s < asked.start_s + asked.seconds]
    if not inside:
        raise InputError(f"the result ends before {asked.start_s:g} s")
    return range(inside[0], min(inside[-1] + 1, inside[0] + _MOST_FRAMES))


@dataclass
class _Pairs:
    """Reads input and result side by side."""

    source: Clip
    known: Timeline
    settings: Settings
    result: Clip
    made: Timeline
    first: int

    def read(self, numbers: Sequence[int]) -> Iterator[_Pair]:
        with (
            FrameReader(self.source, self.known, deinterlace=self.settings.deinterlace) as before,
            FrameReader(self.result, self.made) as after,
        ):
            for number in numbers:
                yield [self._large(before, self.first + number), _picture(after, number)]

    def _large(self, reader: FrameReader, number: int) -> np.ndarray:
        small = _picture(reader, min(number, self.known.num_frames - 1))
        size = (self.result.width, self.result.height)
        return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC))


def _picture(reader: FrameReader, number: int) -> np.ndarray:
    return np.ascontiguousarray(eight_bits(reader.read(Window(start=number, stop=number + 1))[0].pixels))


def _gray(rgb: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))


_Taker = Callable[[int, _Pair], None]


def _takers(folder: Path, crops: Sequence[Crop], still: int) -> list[_Taker]:
    """What writes the pictures of frames, numbered from the first shown, as they come by."""

    def take_still(number: int, pair: _Pair) -> None:
        if number == still:
            for name, picture in zip(("before", "after"), pair, strict=True):
                _write(folder / f"{name}.png", _at_most(picture, _LARGEST_STILL))

    def take_crops(number: int, pair: _Pair) -> None:
        for index, crop in enumerate(crops):
            if crop.frame == number:
                for name, picture in zip(("before", "after"), pair, strict=True):
                    rows, columns = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
                    _write(folder / f"crop-{index}-{name}.png", picture[rows, columns])

    return [take_still, take_crops]


def _encoded(
    asked: PicturesAsked, pairs: _Pairs, numbers: Sequence[int], takers: Sequence[_Taker], result: Clip
) -> dict[str, Any] | None:
    """Write the video of both tiles, if it is wanted, and let the takers see each frame once."""

    def frames() -> Iterator[_Pair]:
        for number, pair in enumerate(pairs.read(numbers)):
            for take in takers:
                take(number, pair)
            yield pair

    if not asked.video:
        for _ in frames():
            pass
        return None
    layout = plan_layout(2, result.width, result.height)
    video = encode_comparison(frames, layout, fps=result.fps, crf=_CRF, most_bytes=_MOST_BYTES)
    (Path(asked.folder) / "video.mp4").write_bytes(video.data)
    return {"url": "video.mp4", **_about_layout(layout)}


def _about_layout(layout: TileLayout) -> dict[str, Any]:
    return {**dataclasses.asdict(layout), "tile": list(layout.tile)}


def _about_crop(number: int, crop: Crop) -> dict[str, Any]:
    return {**crop._asdict(), **{side: f"crop-{number}-{side}.png" for side in ("before", "after")}}


def _at_most(picture: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _write(path: Path, rgb: np.ndarray) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2BGR)):
        raise InputError(f"{path} could not be written")


if __name__ == "__main__":
    sys.exit(_main())
