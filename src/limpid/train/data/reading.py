"""Pixels of sources, in one process: decoded when they are asked for, kept as far as a bounded memory goes."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from limpid.train.data.sources import SOURCE_SUFFIXES, ClipSource
from limpid.train.data.tars import read_member
from limpid.types import Clip, InputError, Timeline, Window
from limpid.video import FrameReader, list_images, probe, scan
from limpid.video.images import load_image, mixed_sizes
from limpid.video.names import IMAGE_SUFFIXES

CACHE_BYTES = 1 << 30
"""Decoded pixels that a process keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbedFilm:
    """A video or a folder of frames. ``shots`` are half-open ranges of frames without a cut inside."""

    height: int
    width: int
    shots: tuple[tuple[int, int], ...]
    compressed: bool
    clip: Clip | None = None
    timeline: Timeline | None = None
    images: tuple[Path, ...] = ()

    @property
    def num_frames(self) -> int:
        return self.shots[-1][1]


class Pixels:
    """Reads sources. One per process; results do not depend on what is kept."""

    def __init__(self, *, num_films: int, cache_bytes: int = CACHE_BYTES) -> None:
        self._most_per_film = cache_bytes // 2 // max(1, num_films)
        self._photo_bytes = cache_bytes // 2
        self._photos: OrderedDict[str, np.ndarray] = OrderedDict()
        self._films: dict[str, ProbedFilm] = {}
        self._decoded: dict[str, list[np.ndarray]] = {}

    def photo(self, source: ClipSource) -> np.ndarray:
        """RGB uint8 ``h w 3``. Raises `InputError` when it cannot be decoded."""
        pixels = self._photos.pop(source.name, None)
        if pixels is None:
            with file_of(source, IMAGE_SUFFIXES) as path:
                pixels = _image(path, source.name)
        self._photos[source.name] = pixels
        while sum(each.nbytes for each in self._photos.values()) > self._photo_bytes and len(self._photos) > 1:
            self._photos.popitem(last=False)
        return pixels

    def film(self, source: ClipSource) -> ProbedFilm:
        """Decodes a video once from end to end, to know its frames and cuts. Raises `InputError`."""
        if source.name not in self._films:
            self._films[source.name] = _folder(source) if source.kind == "frames" else _video(source)
        return self._films[source.name]

    def frames(self, source: ClipSource, numbers: Sequence[int]) -> list[np.ndarray]:
        """Frames by number, in ascending order: RGB uint8 ``h w 3``, not to be written to. Raises `InputError`."""
        film = self.film(source)
        if film.num_frames * film.height * film.width * 3 > self._most_per_film:
            return _decode(source, film, numbers)
        if source.name not in self._decoded:
            self._decoded[source.name] = _decode(source, film, range(film.num_frames))
        return [self._decoded[source.name][number] for number in numbers]


@contextmanager
def file_of(source: ClipSource, suffixes: frozenset[str]) -> Iterator[Path]:
    """The file of a source; for that of a shard, a copy that exists inside of the block."""
    member = next((each for each in source.members if each.suffix in suffixes), None)
    if member is None:
        yield source.path
        return
    with tempfile.NamedTemporaryFile(prefix="limpid-", suffix=member.suffix) as copy:
        copy.write(read_member(source.path, member))
        copy.flush()
        yield Path(copy.name)


def probe_source(source: ClipSource) -> tuple[int, int]:
    """Height and width of a video, from its header and first frame. Raises `InputError`."""
    with file_of(source, SOURCE_SUFFIXES) as path:
        clip = _named(source, path, probe)
    return clip.height, clip.width


def _named(source: ClipSource, path: Path, act: object) -> Clip:
    try:
        return act(path)  # type: ignore[operator, no-any-return]
    except InputError as error:
        raise InputError(str(error).replace(str(path), source.name)) from error


def _image(path: Path, name: str) -> np.ndarray:
    pixels = load_image(path, alpha=False, deep=False)
    if pixels is None:
        raise InputError(f"{name}: the picture cannot be decoded")
    return pixels


def _folder(source: ClipSource) -> ProbedFilm:
    images = tuple(list_images(source.path))
    height, width = _image(images[0], f"{source.name}/{images[0].name}").shape[:2]
    return ProbedFilm(height=height, width=width, shots=((0, len(images)),), compressed=False, images=images)


def _video(source: ClipSource) -> ProbedFilm:
    with file_of(source, SOURCE_SUFFIXES) as path:
        clip = _named(source, path, probe)
        timeline = scan(clip)
    ends = [*timeline.cuts[1:], timeline.num_frames]
    shots = tuple(zip(timeline.cuts, ends, strict=True))
    return ProbedFilm(height=clip.height, width=clip.width, shots=shots, compressed=True, clip=clip, timeline=timeline)


def _decode(source: ClipSource, film: ProbedFilm, numbers: Sequence[int]) -> list[np.ndarray]:
    if film.clip is None or film.timeline is None:
        return [_same_size(source, film, film.images[number]) for number in numbers]
    with file_of(source, SOURCE_SUFFIXES) as path, FrameReader(_at(film.clip, path), film.timeline) as reader:
        return [_eight_bits(reader.read(Window(start=number, stop=number + 1))[0].pixels) for number in numbers]


def _same_size(source: ClipSource, film: ProbedFilm, path: Path) -> np.ndarray:
    pixels = _image(path, f"{source.name}/{path.name}")
    if pixels.shape[:2] != (film.height, film.width):
        size = (film.width, film.height)
        raise mixed_sizes(source.name, film.images[0], size, path, (pixels.shape[1], pixels.shape[0]))
    return pixels


def _eight_bits(pixels: np.ndarray) -> np.ndarray:
    pixels = pixels[..., :3]
    return np.rint(pixels / 257.0).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _at(clip: Clip, path: Path) -> Clip:
    """A clip in another file: copies of a shard's member come and go."""
    return replace(clip, path=str(path))
