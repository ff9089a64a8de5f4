"""Metrics of `limpid.metrics` for the sources of a page, and whether the outputs lie where the reference does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from limpid.bench.compare.charts import Chart
from limpid.bench.compare.measures import Curve
from limpid.bench.compare.sources import Sources, eight_bits
from limpid.metrics import METRICS, Clips, Measured, Metric, measure
from limpid.types import ResourceError, Window
from limpid.video import FrameReader

MOST_BYTES = 3e9
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

    All frames are held in memory at once; raises `ResourceError` where that is too much, `SettingsError` for an unknown
    name.
    """
    if not names:
        return []
    count = sources.stop - sources.start
    if len(sources.items) * count * sources.width * sources.height * 3 > MOST_BYTES:
        raise ResourceError(f"--metrics holds all {count} frames in memory, more than 3 GB; show fewer --frames")
    columns = [np.stack(column) for column in zip(*sources.frames(), strict=True)]
    small = _input_frames(sources)
    truth = columns[0] if sources.items[0].role == "reference" else None
    found = [measure(names, Clips(sr=column, gt=truth, lr=small)) for column in columns]
    return [_chart(METRICS[name], [values[name] for values in found], count, truth is not None) for name in names]


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
