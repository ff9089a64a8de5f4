"""`compare_videos`: two passes over the files, and the page is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from limpid.bench.compare.catalogued import alignment_notes, measured_charts
from limpid.bench.compare.crops import Crop, choose_crops, place_crops, usual_size
from limpid.bench.compare.film import ComparisonVideo, encode_comparison, plan_layout
from limpid.bench.compare.measures import Measures, measure_frames
from limpid.bench.compare.page import Page, write_page
from limpid.bench.compare.profiles import ProfileLine, choose_line, profile, slice_of
from limpid.bench.compare.sources import Sources, counted, open_sources
from limpid.metrics.catalogue import resolve
from limpid.types import OutputError, SettingsError


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """Options of a comparison; the defaults are those of the command line.

    ``crops``: x, y, width, height in pixels of the results; empty means that ``num_crops`` are chosen where the
    outputs differ most. ``line``: ``("row" | "column", number)`` of the temporal profile, number None for the middle of
    the first crop. ``frames``: half open. ``crf`` and ``max_mb``: quality and largest size of the embedded video.
    ``metrics``: names of `limpid.metrics.METRICS` to add.
    """

    crops: tuple[tuple[int, int, int, int], ...] = ()
    num_crops: int = 3
    line: tuple[Literal["row", "column"], int | None] = ("column", None)
    frames: tuple[int, int | None] = (0, None)
    crf: int = 16
    max_mb: float = 40.0
    metrics: tuple[str, ...] = ()
    overwrite: bool = False


@dataclass(slots=True)
class TakenPictures:
    """What the second pass collects: ``crops[c][s]`` and ``slices[s]`` for source ``s``, as RGB uint8."""

    crops: list[list[np.ndarray]] = field(default_factory=list)
    slices: list[list[np.ndarray]] = field(default_factory=list)


def compare_videos(
    paths: Sequence[str],
    out: str | Path,
    *,
    reference: str | None = None,
    lr: str | None = None,
    labels: Sequence[str] = (),
    wishes: Wishes | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Path:
    """Write the page that compares videos (or folders of images) of one size; returns its path.

    ``reference`` or else the first of ``paths`` is the base of differences and PSNR; ``lr`` is shown enlarged. ``tell``
    is told what is going on. Raises `InputError` for unreadable files and sizes that differ, `OutputError` where the
    page cannot be written, `SettingsError` for wishes that cannot be met.
    """
    wishes = wishes or Wishes()
    out = Path(out)
    resolve(wishes.metrics)
    _check_output(out, wishes)
    sources = open_sources(paths, reference=reference, lr=lr, labels=labels, frames=wishes.frames)
    unaligned = list(alignment_notes(sources))
    for note in (*unaligned, *sources.notes):
        tell(note)
    tell(f"measuring {counted(sources.stop - sources.start)}")
    measures = measure_frames(sources.frames(), sources.outputs)
    more = measured_charts(sources, wishes.metrics)
    crops = _crops(measures, sources, wishes)
    line = _line(crops[0], sources, wishes)
    tell("encoding")
    film, looked = _second_pass(sources, crops, line, wishes)
    pictures = [profile(slices, line) for slices in looked.slices]
    page = Page(
        sources, measures, film, tuple(crops), tuple(looked.crops), line, tuple(pictures), tuple(more), tuple(unaligned)
    )
    write_page(page, out, overwrite=wishes.overwrite)
    return out


def _check_output(out: Path, wishes: Wishes) -> None:
    """Before any work is done."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"{out}: the page needs a name that ends in .html")
    if not out.parent.is_dir():
        raise OutputError(f"{out}: the folder {out.parent} does not exist; create it first")
    if out.exists() and not wishes.overwrite:
        raise OutputError(f"{out} exists already: choose another name or pass --overwrite")
    if not 0 <= wishes.crf <= 51:
        raise SettingsError(f"--crf {wishes.crf} is out of range: use 0 (best) to 51")
    if not 0 < wishes.max_mb <= 500:
        raise SettingsError(f"--max-mb {wishes.max_mb:g} is out of range: above 0, at most 500, what browsers open")


def _crops(measures: Measures, sources: Sources, wishes: Wishes) -> list[Crop]:
    picture = (sources.width, sources.height)
    if wishes.crops:
        return place_crops(wishes.crops, measures.disagreement, picture)
    return choose_crops(measures.disagreement, usual_size(*picture), picture, wishes.num_crops)


def _line(crop: Crop, sources: Sources, wishes: Wishes) -> ProfileLine:
    kind, at = wishes.line
    picture = (sources.width, sources.height)
    most = picture[0 if kind == "column" else 1]
    if at is not None and not 0 <= at < most:
        raise SettingsError(f"--profile {kind}:{at} lies outside the picture: 0 to {most - 1}")
    return choose_line(crop, picture, kind, at)


def _second_pass(
    sources: Sources, crops: Sequence[Crop], line: ProfileLine, wishes: Wishes
) -> tuple[ComparisonVideo, TakenPictures]:
    """Encode the video, and take crops and profiles from the same frames on their way."""
    looked = TakenPictures()

    def frames() -> Iterator[list[np.ndarray]]:
        looked.crops = [[] for _ in crops]
        looked.slices = [[] for _ in sources.items]
        for number, pictures in enumerate(sources.frames()):
            for kept, crop in zip(looked.crops, crops, strict=True):
                if crop.frame == number:
                    kept += [_cut(picture, crop) for picture in pictures]
            for slices, picture in zip(looked.slices, pictures, strict=True):
                slices.append(slice_of(picture, line))
            yield pictures

    layout = plan_layout(len(sources.items), sources.width, sources.height)
    fps = sources.items[0].clip.fps
    film = encode_comparison(frames, layout, fps=fps, crf=wishes.crf, most_bytes=int(wishes.max_mb * 1e6))
    return film, looked


def _cut(picture: np.ndarray, crop: Crop) -> np.ndarray:
    return picture[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width].copy()
