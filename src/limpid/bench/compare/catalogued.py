"""Metrics of `limpid.metrics` for the sources of a page, and whether the outputs lie where the reference does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from limpid.bench.compare.charts import Chart
from limpid.bench.compare.measures import Curve
from limpid.bench.compare.sources import Sources, eight_bits
from limpid.metrics import METRICS, Clips, Measured, Metric, measure
from limpid.types import ResourceError, Window
from limpid.video import FrameReader

ALIGNMENT_FRAMES = 9


def alignment_notes(sources: Sources) -> Iterator[str]:
    """A sentence for each output that is shifted or late against an explicit reference, by the first nine frames."""
    if sources.items[0].role != "reference":
        return
    from limpid.metrics.alignment import misalignment

    columns = list(zip(*islice(sources.frames(), ALIGNMENT_FRAMES), strict=True))
    for item, column in zip(sources.items, columns, strict=True):
        found = misalignment(np.stack(column), np.stack(columns[0])) if item.role == "output" else None
        if found is not None:
            yield f"{item.label} and the reference are not aligned ({found}): PSNR and differences mean little."


def measured_charts(sources: Sources, names: Sequence[str]) -> list[Chart]:
    """One chart per metric. The truth is the explicit reference; sources it cannot measure have the reason.

    Frames lie in files of a temporary folder, one source and the truth at a time, and are read from there as they are
    needed. Raises `ResourceError` where the disk has no room for them, `SettingsError` for an unknown name.
    """
    if not names:
        return []
    count, has_truth = sources.stop - sources.start, sources.items[0].role == "reference"
    with TemporaryDirectory(prefix="limpid-compare-") as folder:
        _check_room(Path(folder), sources)
        small, truth = _input_frames(sources), _stored(sources, 0, Path(folder)) if has_truth else None
        found = []
        for number in range(len(sources.items)):
            column = truth if truth is not None and number == 0 else _stored(sources, number, Path(folder))
            found.append(measure(names, Clips(sr=column, gt=truth, lr=small)))
            if column is not truth:
                del column  # a file that is mapped cannot be removed on every system
                _file(Path(folder), number).unlink()
        del truth
    return [_chart(METRICS[name], [values[name] for values in found], count, has_truth) for name in names]


def _check_room(folder: Path, sources: Sources) -> None:
    wanted, free = 2 * _bytes(sources), shutil.disk_usage(folder).free
    if wanted > free:
        raise ResourceError(
            f"--metrics stores frames of {wanted / 1e9:.1f} GB in {folder.parent}, which has {free / 1e9:.1f} GB left; "
            "show fewer --frames, or choose another folder with TMPDIR"
        )


def _bytes(sources: Sources) -> int:
    return (sources.stop - sources.start) * sources.height * sources.width * 3


def _stored(sources: Sources, number: int, folder: Path) -> np.ndarray:
    """The frames of one source, RGB uint8 ``t h w 3``, as a file that is read where it is looked at."""
    shape = (sources.stop - sources.start, sources.height, sources.width, 3)
    stored = np.memmap(_file(folder, number), np.uint8, "w+", shape=shape)
    for place, (frame,) in zip(stored, sources.frames(of=sources.items[number : number + 1]), strict=True):
        place[:] = frame
    return stored


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number}.rgb"


def _input_frames(sources: Sources) -> np.ndarray | None:
    """The low-resolution frames in their own size."""
    item = sources.items[-1]
    if item.role != "input":
        return None
    with FrameReader(item.clip, item.timeline) as reader:
        frames = reader.read(Window(start=sources.start, stop=sources.stop))
    return np.stack([eight_bits(frame.pixels) for frame in frames])


def _chart(metric: Metric, found: Sequence[Measured], count: int, has_truth: bool) -> Chart:
    """The truth against itself is left out: its perfect line would flatten the others."""
    itself = has_truth and metric.kind == "full_reference"
    curves = [_curve(answer, count) for answer in found]
    means = [str(answer) for answer in found]
    if itself:
        curves[0], means[0] = None, "–"
    return Chart(
        title=metric.label,
        unit=f"{metric.unit}, {metric.better} is better".lstrip(", "),
        note=metric.definition,
        curves=tuple(curves),
        means=tuple(means),
    )


def _curve(answer: Measured, count: int) -> Curve | None:
    """Values between neighbours stand at the later frame."""
    values = answer.per_frame
    if values is None or not 0 <= count - len(values) <= 1:
        return None
    return (*[None] * (count - len(values)), *values)
