"""Endless training clips from a folder: clip number ``n`` is a pure function of the folder, the spec and the seed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from limpid.degrade import drawn_damage
from limpid.train.data.captions import caption_of, read_table
from limpid.train.data.degrading import degraded_clip, pipeline_of
from limpid.train.data.flips import ClipFlip, draw_flip
from limpid.train.data.pairs import HOW_TO_TEACH, check_facts, read_pair
from limpid.train.data.photo_camera import film_photo
from limpid.train.data.reading import Pixels, probe_source
from limpid.train.data.sources import ClipSource, Found, find_sources
from limpid.train.stage import ClipSpec
from limpid.types import InputError, SettingsError

PHOTO_SHARE = 0.6
"""Share of photos among all clips, where a folder has photos and films; and a photo comes at most `PHOTO_WEIGHT` times
as often as a film, so that a few photos among thousands of films do not make up most of the training."""
PHOTO_WEIGHT = 4
LEAST_REDUCTION = 0.5
"""Photos and compressed videos with more than `SHARP_PX` on their longer side are reduced by a random factor from here
to 1: their single pixels are rarely sharp. Frames in folders are taken as they are."""
SHARP_PX = 720
LOOKED_INTO = 400
"""Videos, and photos, that are opened when a folder is; what is wrong with others is found when they are drawn."""
ATTEMPTS = 20


@dataclass(frozen=True, kw_only=True)
class ClipSample:
    """A training clip on the CPU. RGB uint8; flows float32 ``t-1 2 H W`` as in `limpid.train.learner.ClipBatch`."""

    hr: np.ndarray
    """``t H W 3``"""
    lr: np.ndarray
    """``t H/scale W/scale 3``"""
    caption: str
    key: str
    """Source, first frame, step and crop, for messages."""
    flow_forward: np.ndarray | None = None
    flow_backward: np.ndarray | None = None
    teacher: np.ndarray | None = None
    """``t H W 3``: what a teacher made of ``lr``."""
    damage: str = ""
    """As in `limpid.train.learner.ClipBatch`."""
    notes: tuple[str, ...] = ()
    """Sources that were drawn before and could not be used, and why."""


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """Frames from a source, not yet turned."""

    frames: np.ndarray
    key: str
    forward: np.ndarray | None = None
    backward: np.ndarray | None = None


class TrainingClips:
    """Clips by number; made by `open_clips`. It can be sent to other processes, where it decodes for itself."""

    def __init__(self, found: Found, spec: ClipSpec, *, seed: int, captions: dict[str, str]) -> None:
        self.spec, self.seed = spec, seed
        self.fingerprint = found.fingerprint()
        """Changes when files of the folder come, go or change their size."""
        self._found, self._captions = found, captions
        self._pairs, self._films, self._photos = found.of("pair"), found.of("video", "frames"), found.of("photo")
        self._pipeline = pipeline_of(spec)
        self._pixels: Pixels | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_pixels": None}

    def sample(self, number: int) -> ClipSample:
        """Clip ``number``, 0 or more; the same on every machine and in any order of calls.

        Raises `InputError` when `ATTEMPTS` sources one after another are unusable.
        """
        if number < 0:
            raise ValueError(f"clips are numbered from 0, not {number}")
        if self._pairs:
            return self._pair(number)
        notes: list[str] = []
        for attempt in range(ATTEMPTS):
            random = np.random.default_rng([self.seed, number, attempt])
            source = self._choose(random)
            try:
                return replace(self._made(source, random), notes=tuple(notes))
            except InputError as error:
                notes.append(str(error))
        raise InputError(f"clip {number}: {ATTEMPTS} sources cannot be used; the last: {notes[-1]}")

    def describe(self) -> str:
        """What the clips come from, in a sentence or more: how many of what, and what was left out and why."""
        parts = [(len(self._pairs), "prepared pair"), (len(self._found.of("video")), "video")]
        parts += [(len(self._found.of("frames")), "frame folder"), (len(self._photos), "photo")]
        says = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in parts if count)
        if self._found.shards:
            says += f", {self._found.shards} tar shard{'' if self._found.shards == 1 else 's'} read"
        if self._photos and self._films:
            says += f"; {self.photo_share:.0%} of the clips are from photos"
        return ". ".join([says, *self._found.notes]) + "."

    @property
    def num_pairs(self) -> int:
        """Prepared pairs; clip numbers below this are all of them, each once."""
        return len(self._pairs)

    def source_names(self) -> list[str]:
        """What clips may come from, below the folder."""
        return [source.name for source in self._found.sources]

    @property
    def photo_share(self) -> float:
        """Probability that a clip is from a photo."""
        weighted = PHOTO_WEIGHT * len(self._photos)
        share = weighted / max(1, weighted + len(self._films))
        return min(PHOTO_SHARE, share) if self._films else 1.0

    def _choose(self, random: np.random.Generator) -> ClipSource:
        group = self._photos if random.random() < self.photo_share else self._films
        return group[int(random.integers(len(group)))]

    def _made(self, source: ClipSource, random: np.random.Generator) -> ClipSample:
        cut = self._filmed(source, random) if source.kind == "photo" else self._cut(source, random)
        turn = draw_flip(random) if self.spec.flips else ClipFlip()
        hr = turn.frames(cut.frames)
        flows: tuple[np.ndarray | None, np.ndarray | None] = (None, None)
        if cut.forward is not None and cut.backward is not None:
            flows = turn.flows(cut.forward, cut.backward)
        seed = int(random.integers(1 << 31))
        return ClipSample(
            hr=hr,
            lr=degraded_clip(hr, self.spec, self._pipeline, seed),
            caption=self._caption(source),
            key=cut.key,
            flow_forward=flows[0],
            flow_backward=flows[1],
            damage=drawn_damage(self._pipeline, seed),
        )

    def _caption(self, source: ClipSource) -> str:
        return caption_of(source, self._captions) if self.spec.captions else ""

    def _filmed(self, source: ClipSource, random: np.random.Generator) -> _Cut:
        crop, photo = self.spec.crop_px, self._read().photo(source)
        height, width = photo.shape[:2]
        _check_size(source, height, width, crop)
        factor = _reduction(random, height, width, crop)
        size = (max(crop, round(width * factor)), max(crop, round(height * factor)))
        if factor < 1:
            photo = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))
        stride = int(random.integers(self.spec.strides[0], self.spec.strides[1] + 1))
        made = film_photo(photo, random, num_frames=self.spec.frames, stride=stride, crop=crop)
        key = f"{source.name} reduced to {photo.shape[1]}x{photo.shape[0]}, filmed with step {stride}"
        return _Cut(frames=made.frames, key=key, forward=made.forward, backward=made.backward)

    def _cut(self, source: ClipSource, random: np.random.Generator) -> _Cut:
        crop, shown = self.spec.crop_px, self._read().film(source)
        _check_size(source, shown.height, shown.width, crop)
        stride, start = self._when(source, shown.shots, random)
        factor = _reduction(random, shown.height, shown.width, crop) if shown.compressed else 1.0
        side = min(round(crop / factor), shown.height, shown.width)
        y, x = (int(random.integers(0, length - side + 1)) for length in (shown.height, shown.width))
        frames = self._read().frames(source, range(start, start + (self.spec.frames - 1) * stride + 1, stride))
        cut = [frame[y : y + side, x : x + side] for frame in frames]
        if side > crop:
            cut = [np.asarray(cv2.resize(each, (crop, crop), interpolation=cv2.INTER_AREA)) for each in cut]
        key = f"{source.name} frame {start} step {stride}, {side}x{side} at {x},{y}"
        return _Cut(frames=np.stack(cut), key=key)

    def _when(
        self, source: ClipSource, shots: tuple[tuple[int, int], ...], random: np.random.Generator
    ) -> tuple[int, int]:
        """Stride and first frame: inside one shot, every place in the source as likely as any other."""
        least, most = self.spec.strides
        drawn = int(random.integers(least, most + 1))
        for stride in range(drawn, least - 1, -1):
            length = (self.spec.frames - 1) * stride + 1
            places = [max(0, stop - start - length + 1) for start, stop in shots]
            if sum(places):
                place = int(random.integers(sum(places)))
                for (start, _), count in zip(shots, places, strict=True):
                    if place < count:
                        return stride, start + place
                    place -= count
        longest = max(stop - start for start, stop in shots)
        need = (self.spec.frames - 1) * least + 1
        raise InputError(f"{source.name}: its longest shot has {longest} frames, {need} are needed")

    def _pair(self, number: int) -> ClipSample:
        """Prepared pairs come in an order that is shuffled anew for every round."""
        round_number, place = divmod(number, len(self._pairs))
        source = self._pairs[int(_shuffled(self.seed, round_number, len(self._pairs))[place])]
        random = np.random.default_rng([self.seed, number])
        pair = read_pair(source, self.spec, random)
        turn = draw_flip(random) if self.spec.flips else ClipFlip()
        return ClipSample(
            hr=turn.frames(pair.hr),
            lr=turn.frames(pair.lr),
            teacher=None if pair.teacher is None else turn.frames(pair.teacher),
            caption=self._caption(source),
            key=pair.key,
            damage=pair.damage,
        )

    def _read(self) -> Pixels:
        if self._pixels is None:
            self._pixels = Pixels(num_films=len(self._films))
        return self._pixels


@lru_cache(maxsize=4)
def _shuffled(seed: int, round_number: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, round_number, count]).permutation(count)


def _check_size(source: ClipSource, height: int, width: int, crop: int) -> None:
    if min(height, width) < crop:
        raise InputError(f"{source.name}: {width}x{height} is smaller than the crop of {crop} px")


def _reduction(random: np.random.Generator, height: int, width: int, crop: int) -> float:
    if max(height, width) <= SHARP_PX:
        return 1.0
    return random.uniform(max(LEAST_REDUCTION, crop / min(height, width)), 1.0)


def open_clips(folder: Path, spec: ClipSpec, *, seed: int, keep_out: Collection[str] = ()) -> TrainingClips:
    """The clips of a folder: videos, frame folders, photos, or tar shards with videos, photos or prepared pairs.

    Where there are prepared pairs, only they are used.

    Args:
        folder: all below it is looked through; ``captions.csv`` in it is used when ``spec.captions``.
        seed: of everything that is drawn.
        keep_out: names of sources that are not used (`find_sources`).

    Raises:
        InputError: nothing in the folder can be used.
        SettingsError: an unknown degradation, a crop that cannot be degraded, pairs made otherwise than ``spec`` says.
    """
    pipeline_of(spec)
    found = find_sources(Path(folder), keep_out=keep_out)
    pairs = found.of("pair")
    if pairs:
        found.notes += check_facts(Path(folder), spec, len(pairs))
        if len(pairs) < len(found.sources):
            found.notes.append(f"{len(found.sources) - len(pairs)} other sources are left out beside prepared pairs")
        found.sources = pairs
    elif spec.teacher:
        raise SettingsError(f"{folder}: a teacher's frames are needed; {HOW_TO_TEACH}")
    else:
        _look(found, spec)
    return TrainingClips(found, spec, seed=seed, captions=read_table(Path(folder)) if spec.captions else {})


def _look(found: Found, spec: ClipSpec) -> None:
    """Open the first of each kind, and leave out what cannot be used."""
    pixels, bad = Pixels(num_films=1), dict[str, str]()
    for kind in ("photo", "video", "frames"):
        sources = found.of(kind)
        for source in sources[:LOOKED_INTO]:
            try:
                _check_size(source, *_size(source, pixels), spec.crop_px)
            except InputError as error:
                bad[source.name] = str(error)
        if len(sources) > LOOKED_INTO:
            more = f"only the first {LOOKED_INTO} were looked into, and others are replaced if they cannot be used"
            found.notes.append(f"of {len(sources)} sources of the kind {kind}, {more}")
    found.sources = [source for source in found.sources if source.name not in bad]
    found.notes += [f"left out: {why}" for why in bad.values()]
    if not found.sources:
        raise InputError(f"none of {len(bad)} sources can be used: {'; '.join(list(bad.values())[:3])}")


def _size(source: ClipSource, pixels: Pixels) -> tuple[int, int]:
    if source.kind == "video":
        return probe_source(source)
    if source.kind == "frames":
        film_of = pixels.film(source)
        return film_of.height, film_of.width
    height, width = pixels.photo(source).shape[:2]
    return height, width
