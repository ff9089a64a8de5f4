"""The files that are compared: opened, checked against each other, and read frame by frame side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from limpid.types import Clip, InputError, SettingsError, Timeline, Window
from limpid.video import FrameReader, probe, scan

Role = Literal["reference", "output", "input"]
LOSSLESS = frozenset(
    {"ffv1", "huffyuv", "ffvhuff", "utvideo", "magicyuv", "rawvideo", "v210", "v410", "r210", "qtrle", "png", "tiff"}
    | {"bmp", "ppm"}
)
LOSSY_IMAGES = (".jpg", ".jpeg", ".webp")
UNEVEN = 1.9
"""Longest over shortest time between frames; coarse clocks of containers round to 1.5."""
_ASPECT_TOLERANCE = 0.02
"""Sizes are rounded to even numbers, which bends the aspect of small pictures a little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedFile:
    """One file of the comparison. ``input`` is the low-resolution video, enlarged for display only."""

    label: str
    role: Role
    clip: Clip
    timeline: Timeline

    @property
    def name(self) -> str:
        """The path as text that any page can hold; bytes that are not UTF-8 are escaped."""
        return readable(self.clip.path)

    @property
    def lossy(self) -> str | None:
        """The codec that has lost something, as a rule; None where frames are kept exactly."""
        if self.clip.kind == "images":
            lossy = [path for path in self.clip.image_paths if path.lower().endswith(LOSSY_IMAGES)]
            return Path(lossy[0]).suffix[1:].lower() if lossy else None
        return None if self.clip.codec in LOSSLESS else self.clip.codec


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What is compared, in order; number 0 is the base that differences and PSNR are taken to.

    ``start`` and ``stop``: the frames that all files have and that are shown, half open. ``notes``: what a reader must
    know, in sentences.
    """

    items: tuple[ComparedFile, ...]
    start: int
    stop: int
    notes: tuple[str, ...]

    @property
    def width(self) -> int:
        return self.items[0].clip.width

    @property
    def height(self) -> int:
        return self.items[0].clip.height

    @property
    def outputs(self) -> list[int]:
        """Numbers of the sources whose differences matter for choosing crops: results, else all but the LR input."""
        results = [n for n, item in enumerate(self.items) if item.role == "output"]
        full = [n for n, item in enumerate(self.items) if item.role != "input"]
        return results if len(results) > 1 else full

    def frames(
        self, numbers: Sequence[int] | None = None, *, of: Sequence[ComparedFile] | None = None
    ) -> Iterator[list[np.ndarray]]:
        """The pictures of all sources for each frame: RGB uint8 ``height width 3``, the LR input enlarged.

        ``numbers``: frames counted from ``start``, increasing; all by default. ``of``: these sources only.
        """
        wanted = range(self.stop - self.start) if numbers is None else numbers
        with ExitStack() as stack:
            items = self.items if of is None else of
            readers = [stack.enter_context(FrameReader(item.clip, item.timeline)) for item in items]
            for number in wanted:
                window = Window(start=self.start + number, stop=self.start + number + 1)
                yield [self._fitted(reader.read(window)[0].pixels) for reader in readers]

    def _fitted(self, pixels: np.ndarray) -> np.ndarray:
        rgb = eight_bits(pixels)
        if rgb.shape[:2] != (self.height, self.width):
            import cv2

            rgb = np.asarray(cv2.resize(rgb, (self.width, self.height), interpolation=cv2.INTER_CUBIC))
        return np.ascontiguousarray(rgb)


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """RGB of a delivered frame as uint8; alpha is left out."""
    rgb = pixels[:, :, :3]
    return np.rint(rgb / 257.0).astype(np.uint8) if rgb.dtype == np.uint16 else rgb


def counted(frames: int) -> str:
    return f"{frames} frame{'' if frames == 1 else 's'}"


def readable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def open_sources(
    paths: Sequence[str],
    *,
    reference: str | None = None,
    lr: str | None = None,
    labels: Sequence[str] = (),
    frames: tuple[int, int | None] = (0, None),
    most_frames: int = 250,
) -> Sources:
    """Open and check the files. ``labels``: names of ``paths`` on the page, or none.

    Raises `InputError` for a file that is no video or whose size differs, `SettingsError` for wrong numbers.
    """
    if len(paths) + (reference is not None) + (lr is not None) < 2:
        raise SettingsError("nothing to compare with: name at least two files, --ref and --lr among them")
    if labels and len(labels) != len(paths):
        raise SettingsError(f"--labels has {len(labels)} names for {len(paths)} files; give one for each")
    items = _open_all(paths, labels or default_labels(paths), reference, lr)
    _check_sizes(items)
    start, stop, notes = _common(items, frames, most_frames)
    return Sources(items=items, start=start, stop=stop, notes=(*notes, *_other_notes(items)))


def default_labels(paths: Sequence[str]) -> list[str]:
    """The stems of the names; where two are alike, the names, or at last the whole paths."""
    for part in (lambda p: Path(p).stem, lambda p: Path(p).name, str):
        labels = [readable(part(path)) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{number}: {readable(path)}" for number, path in enumerate(paths, 1)]


def _open_all(
    paths: Sequence[str], labels: Sequence[str], reference: str | None, lr: str | None
) -> tuple[ComparedFile, ...]:
    items = [_open(path, label, "output") for path, label in zip(paths, labels, strict=True)]
    if reference is not None:
        items.insert(0, _open(reference, "reference", "reference"))
    if lr is not None:
        items.append(_open(lr, "input", "input"))
    if items[0].role == "input":
        raise SettingsError("--lr alone cannot be the base of a comparison; name a result too")
    return tuple(items)


def _open(path: str, label: str, role: Role) -> ComparedFile:
    clip = probe(path)
    return ComparedFile(label=label, role=role, clip=clip, timeline=scan(clip, detect_cuts=False))


def _check_sizes(items: Sequence[ComparedFile]) -> None:
    base = items[0].clip
    for item in items[1:]:
        clip = item.clip
        if item.role != "input" and (clip.width, clip.height) != (base.width, base.height):
            raise InputError(
                f"{item.name} is {clip.width}x{clip.height}, {items[0].name} is {base.width}x{base.height}: only "
                "pictures of one size can be compared (the low-resolution input goes to --lr, which is enlarged)"
            )
        bent = abs(clip.width * base.height / (clip.height * base.width) - 1)
        if item.role == "input" and bent > _ASPECT_TOLERANCE:
            raise InputError(
                f"{item.name} (--lr) is {clip.width}x{clip.height}, which is another shape than "
                f"{base.width}x{base.height}: it cannot be laid over the results"
            )


def _common(
    items: Sequence[ComparedFile], frames: tuple[int, int | None], most: int
) -> tuple[int, int, tuple[str, ...]]:
    """The frames that are compared, and what is to be said of their number."""
    counts = [item.timeline.num_frames for item in items]
    start, wished = frames
    end = min(counts) if wished is None else min(wished, *counts)
    if not 0 <= start < end:
        raise SettingsError(f"--frames {start}:{'' if wished is None else wished} holds no frame of {min(counts)}")
    notes = []
    if len(set(counts)) > 1:
        said = ", ".join(f"{item.label} {count}" for item, count in zip(items, counts, strict=True))
        notes.append(f"The frame counts differ ({said}); frames are paired from the first one, the rest is left out.")
    if wished is None and end - start > most:
        end = start + most
        notes.append(f"Only frames {start} to {end - 1} are shown of {min(counts)}; --frames chooses others.")
    return start, end, tuple(notes)


def _other_notes(items: Sequence[ComparedFile]) -> Iterator[str]:
    base = items[0].clip
    lossy = ", ".join(f"{item.label} ({item.lossy})" for item in items if item.lossy)
    if lossy:
        yield f"Lossy files: {lossy}. What their codecs lost is part of every number and picture here."
    for item in items:
        clip = item.clip
        if clip.fps != base.fps:
            yield f"{item.label} has {float(clip.fps):.4g} frames/s, {items[0].label} {float(base.fps):.4g}."
        if item.role == "input" and (clip.width, clip.height) != (base.width, base.height):
            size = f"{clip.width}x{clip.height}"
            yield f"{item.label} is {size}; it is enlarged to {base.width}x{base.height} by bicubic interpolation."
        if clip.sample_aspect != 1:
            yield f"{item.label} has pixels of aspect {clip.sample_aspect}; they are shown square."
        steps = np.diff(item.timeline.pts)
        if len(steps) and steps.max() > UNEVEN * max(1, int(steps.min())):
            yield f"{item.label} has an uneven frame rate; the player shows every frame for the same time."
        if clip.bit_depth > 8:
            yield f"{item.label} has {clip.bit_depth} bits per channel; it is compared at 8."
