"""Degrading a video or a folder of images: frame by frame, stored without loss, all parameters beside the result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from limpid import __version__
from limpid.bounded import cut, json_object, read_json
from limpid.degrade.applying import apply
from limpid.degrade.drawing import Drawn, Pipeline, draw
from limpid.durable.apart import check_apart
from limpid.durable.files import write_atomic
from limpid.types import Clip, InputError, SettingsError, Timeline, Window
from limpid.video import FrameReader, probe, scan
from limpid.video.files import writing
from limpid.video.lossless import LosslessWriter, check_lossless_output

RECORD_SUFFIX = ".degraded.json"
MAX_RECORD_BYTES = 256 << 20
"""Size of a record, at most: that of a film of hours, with values for each frame."""
_LIBRARIES = ("numpy", "opencv-python-headless", "opencv-python", "av")

OnFrames = Callable[[int, int], None]
"""A listener that is told how many frames are done, and of how many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Degraded:
    """A finished degradation. ``sha256`` is of all pixels in order, whatever they are stored in."""

    output: Path
    record: Path
    drawn: Drawn
    sha256: str
    cropped: bool
    """Whether the ground truth was cut to a multiple of the scale, at the right and bottom."""


def record_of(output: Path) -> Path:
    """The path of the parameters of a degraded clip."""
    return output.with_name(output.name + RECORD_SUFFIX)


def degrade_file(
    source: Path,
    output: Path,
    how: Pipeline | Drawn,
    *,
    seed: int = 0,
    scale: int | None = None,
    max_frames: int | None = None,
    fps: Fraction | None = None,
    overwrite: bool = False,
    on_progress: OnFrames | None = None,
) -> Degraded:
    """Degrade a clip with a pipeline, or again with the parameters of another run.

    Memory does not grow with the length of the clip. Sound is left out. A size that does not divide by the scale is cut
    at the right and bottom.

    Args:
        source: a video, an image, or a folder of images; transparency is left out, deep colour rounded to 8 bits.
        output: see `LosslessWriter`.
        how: `Drawn` brings its own seed, scale and number of frames.
        max_frames: only so many from the start.
        fps: of a folder of images.

    Raises:
        InputError: the source cannot be read, or is too small, or does not fit ``how``.
        OutputError: the output exists or cannot be written.
        SettingsError: a number that cannot be.
    """
    check_apart(output, source)
    check_lossless_output(output, overwrite=overwrite)
    clip = probe(source, fps=fps)
    check_apart(output, source, map(Path, clip.image_paths))
    timeline = scan(clip, detect_cuts=False)
    drawn = how if isinstance(how, Drawn) else _draw(clip, timeline, how, seed, scale, max_frames)
    _check_fit(clip, timeline, drawn)
    digest = hashlib.sha256()
    with FrameReader(clip, timeline) as reader, _writer(clip, timeline, output, overwrite) as writer:
        for number, frame in enumerate(_applied(clip, reader, drawn)):
            writer.write(frame, timeline.pts[number] - timeline.pts[0])
            digest.update(frame.tobytes())
            if on_progress is not None:
                on_progress(number + 1, drawn.num_frames)
    cropped = drawn.source != (clip.height, clip.width)
    done = Degraded(output=output, record=record_of(output), drawn=drawn, sha256=digest.hexdigest(), cropped=cropped)
    _write_record(done, source)
    return done


def _applied(clip: Clip, reader: FrameReader, drawn: Drawn) -> Iterator[np.ndarray]:
    """The degraded frames; parameters of a record that do not go together become one sentence."""
    try:
        yield from apply(_frames(reader, drawn), drawn)
    except (ValueError, ArithmeticError, cv2.error) as error:
        says = cut(" ".join(str(error).split()), 200)
        raise InputError(f"{clip.path}: the parameters cannot be applied to it: {says}") from error


def _writer(clip: Clip, timeline: Timeline, output: Path, overwrite: bool) -> LosslessWriter:
    return LosslessWriter(output, fps=clip.fps, time_base=timeline.time_base, overwrite=overwrite)


def read_record(path: Path) -> Drawn:
    """The parameters in a ``.degraded.json``. Raises `InputError` for a file that is none."""
    try:
        values = json_object(read_json(path, MAX_RECORD_BYTES), ("degradation",))
        return Drawn.from_json(json_object(values["degradation"]))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        kind = f"the record of a degradation ({RECORD_SUFFIX}) of this version"
        raise InputError(f"{path}: is not {kind}: {cut(str(error), 120)}") from error


def _draw(
    clip: Clip, timeline: Timeline, pipeline: Pipeline, seed: int, scale: int | None, max_frames: int | None
) -> Drawn:
    if max_frames is not None and max_frames < 1:
        raise SettingsError(f"--frames {max_frames} is too few: use 1 or more")
    if seed < 0:
        raise SettingsError(f"--seed {seed} is negative: use 0 or more")
    if scale is not None and not 1 <= scale <= 16:
        raise SettingsError(f"--scale {scale} is out of range: use 1 to 16")
    by = scale or pipeline.scale
    count = min(timeline.num_frames, max_frames or timeline.num_frames)
    height, width = clip.height // by * by, clip.width // by * by
    try:
        return draw(pipeline, num_frames=count, height=height, width=width, seed=seed, scale=by)
    except ValueError as error:
        raise InputError(f"{clip.path}: {error}") from error


def _check_fit(clip: Clip, timeline: Timeline, drawn: Drawn) -> None:
    height, width = drawn.source
    if (
        drawn.num_frames > timeline.num_frames
        or (clip.height // drawn.scale, clip.width // drawn.scale) != drawn.target
    ):
        raise InputError(
            f"{clip.path}: has {timeline.num_frames} frames of {clip.width}x{clip.height}, the parameters are for "
            f"{drawn.num_frames} of {width}x{height}; draw new ones with --pipeline"
        )


def _frames(reader: FrameReader, drawn: Drawn) -> Iterator[np.ndarray]:
    height, width = drawn.source
    for number in range(drawn.num_frames):
        pixels = reader.read(Window(start=number, stop=number + 1))[0].pixels[:height, :width, :3]
        yield np.rint(pixels / 257.0).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _write_record(done: Degraded, source: Path) -> None:
    values = {
        "limpid": __version__,
        "input": source.name,
        "cropped": done.cropped,
        "pixels_sha256": done.sha256,
        "libraries": _libraries(),
        "degradation": done.drawn.to_json(),
    }
    with writing(done.record):
        write_atomic(done.record, json.dumps(values) + "\n")


def _libraries() -> dict[str, Any]:
    """Versions of what the pixels depend on."""
    found: dict[str, Any] = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
