"""Where the data sets of the papers keep their files: what should be there, and what is.

Counts and folders are those of the publishers; ``unsure`` says what we have not seen with our own eyes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from limpid.types import InputError, SettingsError
from limpid.video.names import IMAGE_SUFFIXES

_SHOWN = 5
"""Names that are listed before "and so many more"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Files of one kind. Each entry of ``patterns`` (`Path.glob`) may hold some; the first that matches counts."""

    what: str
    patterns: tuple[str, ...]
    count: int | None = None
    """How many there should be; None: any number."""
    names: tuple[str, ...] = ()
    """Which ones there should be, where that is known."""
    frames: int | None = None
    """Images in each, where the parts are folders."""
    needed: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetLayout:
    """A data set."""

    name: str
    summary: str
    where: str
    licence: str
    parts: tuple[Part, ...]
    keep_out: tuple[str, ...] = ()
    """What is kept for tests by those who train on it (``--keep-out``)."""
    unsure: str = ""


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"{number:03d}" for number in range(count))


_ALL: Final = (
    DatasetLayout(
        name="REDS",
        summary="270 clips of 100 frames, 1280x720 PNG, hand-held; 266 train MGLD-VSR and DC-VSR (all but REDS4)",
        where="https://seungjunnah.github.io/Datasets/reds (train_sharp.zip, val_sharp.zip)",
        licence="CC BY 4.0",
        parts=(
            Part(
                what="training clips",
                patterns=("train/train_sharp/*", "train_sharp/*"),
                count=240,
                names=_numbered(240),
                frames=100,
            ),
            Part(
                what="validation clips",
                patterns=("val/val_sharp/*", "val_sharp/*"),
                count=30,
                names=_numbered(30),
                frames=100,
                needed=False,
            ),
        ),
        keep_out=("train/train_sharp/000", "train/train_sharp/011", "train/train_sharp/015", "train/train_sharp/020"),
    ),
    DatasetLayout(
        name="YouHQ",
        summary="YouHQ-Train: 38,576 clips of about 32 frames, 1920x1080, without captions",
        where="the README of Upscale-A-Video (Google Drive)",
        licence="none stated for the videos, which are from YouTube: see to it that you may use them",
        parts=(Part(what="clips", patterns=("**/*.mp4", "*/*/", "*/"), count=38_576),),
        unsure="whether the archive holds videos or folders of frames: both are found",
    ),
    DatasetLayout(
        name="WebVid",
        summary="10.7 million captioned videos, about 596x336; Upscale-A-Video takes 335,000, DiffVSR 2.5 million",
        where="https://m-bain.github.io/webvid-dataset (lists of addresses; withdrawn, many copies are gone)",
        licence="none: the videos belong to Shutterstock, and carry its mark",
        parts=(
            Part(what="videos", patterns=("*/*_*/*.mp4", "*_*/*.mp4", "**/*.mp4")),
            Part(what="shards", patterns=("*.tar", "*/*.tar"), needed=False),
            Part(what="captions", patterns=("results_*.csv", "captions.csv"), needed=False),
        ),
        unsure="how many of the videos can still be had",
    ),
    DatasetLayout(
        name="OpenVid",
        summary="OpenVid-1M: 1,019,957 captioned videos of 512x512 and more",
        where="https://huggingface.co/datasets/nkp37/OpenVid-1M",
        licence="CC BY 4.0 for the collection; the videos keep those of their sources",
        parts=(
            Part(what="videos", patterns=("*.mp4", "**/*.mp4"), count=1_019_957, needed=False),
            Part(what="shards", patterns=("*.tar", "train/*.tar"), needed=False),
            Part(
                what="captions", patterns=("OpenVid-1M.csv", "captions.csv", "data/train/OpenVid-1M.csv"), needed=False
            ),
        ),
    ),
)

LAYOUTS = MappingProxyType({layout.name.lower(): layout for layout in _ALL})
"""By name, in small letters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What was found. ``lines`` are for people; ``complete`` is whether nothing that is needed is missing."""

    lines: tuple[str, ...]
    complete: bool


def check_layout(folder: Path, name: str) -> Checked:
    """Compare a folder with a layout. Raises `SettingsError` for an unknown name, `InputError` without a folder."""
    if name.lower() not in LAYOUTS:
        raise SettingsError(f"there is no layout {name!r}: use one of {', '.join(each.name for each in _ALL)}")
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    layout = LAYOUTS[name.lower()]
    lines = [f"{layout.name}: {layout.summary}", f"from {layout.where}; licence: {layout.licence}"]
    if layout.unsure:
        lines.append(f"not known: {layout.unsure}")
    missing, anything = False, False
    for part in layout.parts:
        entries = _entries(folder, part)
        faults = list(_faults(part, entries))
        missing |= part.needed and bool(faults)
        anything |= bool(entries)
        lines.append(f"{part.what}: {len(entries)} found{_of(part)}" + "".join(f"; {fault}" for fault in faults))
    if not anything:
        looked = ", ".join(pattern for part in layout.parts for pattern in part.patterns)
        lines.append(f"nothing of it is in {folder}: looked for {looked}")
    if layout.keep_out and anything:
        lines.append(f"kept for tests by the papers: --keep-out {' '.join(layout.keep_out)}")
    return Checked(lines=tuple(lines), complete=anything and not missing)


def _of(part: Part) -> str:
    return "" if part.count is None else f" of {part.count}"


def _entries(folder: Path, part: Part) -> list[Path]:
    for pattern in part.patterns:
        found = sorted(
            path for path in folder.glob(pattern) if not path.name.startswith(".") and _is_one(path, pattern)
        )
        if found:
            return found
    return []


def _is_one(path: Path, pattern: str) -> bool:
    """Files where the pattern has a suffix, folders elsewhere; ``*/`` only those with images."""
    if "." in pattern.rpartition("/")[2]:
        return path.is_file()
    return path.is_dir() and (
        not pattern.endswith("/") or any(p.suffix.lower() in IMAGE_SUFFIXES for p in path.iterdir())
    )


def _faults(part: Part, entries: list[Path]) -> Iterator[str]:
    if not entries:
        yield "missing" if part.needed else "none"
        return
    absent = sorted(set(part.names) - {path.name for path in entries})
    if absent:
        yield f"missing: {_few(absent)}"
    elif part.count is not None and len(entries) < part.count:
        yield f"{part.count - len(entries)} are missing"
    if part.frames is not None:
        short = [f"{path.name} ({count})" for path in entries if (count := _images(path)) < part.frames]
        if short:
            yield f"fewer than {part.frames} frames in {_few(short)}"


def _images(folder: Path) -> int:
    return sum(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir())


def _few(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
