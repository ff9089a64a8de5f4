"""Prepared pairs of HR and LR frames in tar shards, as `limpid train prepare` writes them.

A key has ``.hr.png`` and ``.lr.png`` (frames one below the other in one picture, without loss), or ``.hr.npy`` and
``.lr.npy`` (uint8 ``t h w 3``); the same with ``.teacher`` where a teacher enlarged the LR frames; ``.json`` with
facts; ``.txt`` with a caption where there is one.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple

import cv2
import numpy as np

from limpid.bounded import cut
from limpid.train.data.sources import ClipSource, json_facts
from limpid.train.data.tars import read_member
from limpid.train.stage import ClipSpec
from limpid.types import InputError, SettingsError
from limpid.video.headers import check_picture

FACTS = "prepared.json"
HOW_TO_TEACH = "make pairs with limpid train prepare --teacher MODEL"


class Pair(NamedTuple):
    """A part of a prepared pair: RGB uint8 ``t h w 3`` each, a key for messages, and how it was degraded, if known."""

    hr: np.ndarray
    lr: np.ndarray
    teacher: np.ndarray | None
    key: str
    damage: str


def pair_facts(folder: Path) -> dict[str, Any]:
    """What `limpid train prepare` wrote about a folder; empty where there is nothing. Raises `InputError`."""
    path = folder / FACTS
    try:
        return dict(json.loads(path.read_text())) if path.is_file() else {}
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); prepare the folder again") from error


def check_facts(folder: Path, spec: ClipSpec, pairs: int) -> list[str]:
    """Notes on a prepared folder, or on one that holds several. Raise `SettingsError` when ``spec`` wants it otherwise.

    Pairs of several folders are a mixture of their own, so they may have been degraded in any way.
    """
    facts, parts = pair_facts(folder), [path.parent for path in sorted(folder.glob(f"[!.]*/{FACTS}"))]
    if not facts:
        for part in parts:
            _check_made(part, pair_facts(part), spec)
        names = ", ".join(f"{part.name} ({pair_facts(part).get('degradation')})" for part in parts)
        return [
            f"the pairs are of {names}" if names else f"there is no {FACTS}: nobody knows how the pairs were degraded"
        ]
    if (was := facts.get("degradation")) != spec.degradation:
        raise SettingsError(f"{folder}: was prepared with degradation {was}, not {spec.degradation}: prepare it again")
    _check_made(folder, facts, spec)
    missing = facts.get("count", pairs) - pairs
    return [f"{missing} of {facts['count']} pairs are missing: limpid train prepare goes on"] if missing > 0 else []


def _check_made(folder: Path, facts: Mapping[str, Any], spec: ClipSpec) -> None:
    """Raises SettingsError when parts that ``spec`` wants cannot be cut from pairs of these facts."""
    if (was := facts.get("scale")) != spec.scale:
        raise SettingsError(f"{folder}: was prepared with scale {was}, not {spec.scale}: prepare it again")
    if spec.teacher and not facts.get("teacher"):
        raise SettingsError(f"{folder}: was prepared without a teacher: {HOW_TO_TEACH}")
    for name, least in (("frames", spec.frames), ("crop", spec.crop_px)):
        if facts.get(name, least) < least:
            raise SettingsError(
                f"{folder}: was prepared with {name} {facts[name]}, {least} is needed: prepare it again"
            )


def read_pair(source: ClipSource, spec: ClipSpec, random: np.random.Generator) -> Pair:
    """A random part of a pair. Raises `InputError` when the pair is odd."""
    hr, lr = (_frames(source, which) for which in ("hr", "lr"))
    teacher = _frames(source, "teacher") if spec.teacher else None
    if teacher is not None and teacher.shape != hr.shape:
        raise InputError(f"{source.name}: the teacher's frames {_size(teacher)} are not as large as HR {_size(hr)}")
    scale, crop = spec.scale, spec.crop_px
    if len(hr) != len(lr) or hr.shape[1:3] != (lr.shape[1] * scale, lr.shape[2] * scale):
        raise InputError(f"{source.name}: HR {_size(hr)} and LR {_size(lr)} do not go together at scale {scale}")
    strides = [each for each in range(spec.strides[0], spec.strides[1] + 1) if (spec.frames - 1) * each < len(hr)]
    if not strides or min(hr.shape[1:3]) < crop:
        raise InputError(f"{source.name}: {_size(hr)} is less than {spec.frames} frames of {crop} px")
    stride = int(random.choice(strides))
    start = int(random.integers(len(hr) - (spec.frames - 1) * stride))
    step = spec.lr_align_px
    y, x = (step * int(random.integers((side - crop // scale) // step + 1)) for side in lr.shape[1:3])
    when = slice(start, start + (spec.frames - 1) * stride + 1, stride)
    high = (when, slice(y * scale, y * scale + crop), slice(x * scale, x * scale + crop))
    return Pair(
        hr=hr[high],
        lr=lr[when, y : y + crop // scale, x : x + crop // scale],
        teacher=None if teacher is None else teacher[high],
        key=f"{source.name} frame {start} step {stride}, {crop}x{crop} at {x * scale},{y * scale}",
        damage=cut(str(json_facts(source).get("damage", ""))),
    )


def _size(frames: np.ndarray) -> str:
    return f"{len(frames)} x {frames.shape[2]}x{frames.shape[1]}"


def _frames(source: ClipSource, which: str) -> np.ndarray:
    """RGB uint8 ``t h w 3`` of one side of a pair."""
    member = next((each for each in source.members if each.suffix.startswith(f".{which}.")), None)
    if member is None:
        raise InputError(f"{source.name}: has no {which} frames; {HOW_TO_TEACH}")
    data = read_member(source.path, member)
    try:
        frames = _from_npy(data) if member.suffix.endswith(".npy") else _from_png(data)
    except (ValueError, EOFError, OverflowError, cv2.error) as error:
        says = cut(str(error), 200)
        raise InputError(f"{source.name}{member.suffix}: cannot be read ({says})") from error
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise InputError(f"{source.name}{member.suffix}: holds {frames.dtype} {frames.shape}, not uint8 t h w 3")
    return frames


def _from_npy(data: bytes) -> np.ndarray:
    """An array of bytes whose header promises as many as there are; nothing is allocated on the word of a header."""
    file = io.BytesIO(data)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in read:
        raise ValueError(f"it is of version {version[0]}.{version[1]}")
    try:
        shape, turned, dtype = read[version](file)
    except (TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:  # Python's parser read it
        raise ValueError(f"its header is no description of an array ({type(error).__name__})") from error
    sound = dtype == np.uint8 and all(type(length) is int and length > 0 for length in shape)
    if not sound or math.prod(shape) != len(data) - file.tell():
        raise ValueError(f"its header says {dtype} {cut(str(shape))}, and {len(data) - file.tell()} bytes follow")
    values = np.frombuffer(data, np.uint8, offset=file.tell())
    return values.reshape(shape, order="F" if turned else "C").copy()


def _from_png(data: bytes) -> np.ndarray:
    if not check_picture(Path("picture"), data):
        raise ValueError("it is no PNG")
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None or picture.shape[0] % picture.shape[1]:
        raise ValueError("it is no picture of square frames one below the other")
    side = picture.shape[1]
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).reshape(-1, side, side, 3)
