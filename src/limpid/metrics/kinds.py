"""Metrics as plain values: what one is, what it is given and what it answers. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    from limpid.metrics.flows import FlowPair

MetricKind = Literal["full_reference", "no_reference", "temporal", "input"]
Better = Literal["higher", "lower"]
Need = Literal["gt", "lr", "borders", "tiles"]
FlowPairs = Sequence["FlowPair"]


class NotMeasurableError(Exception):
    """A metric cannot be computed for these clips; the message is the reason that a table shows."""


@dataclass(frozen=True, eq=False)
class Clips:
    """One restored clip with what it is compared with: uint8 RGB, ``t h w 3``.

    ``sr``: restored; ``gt``: the truth, of the same size; ``lr``: the input, four times smaller. ``borders``: numbers
    of the frames that start a new segment; ``tile_columns``, ``tile_rows``: first column (row) of the tile behind each
    seam, in restored pixels. ``weights``: a folder to look for learned weights in.
    """

    sr: np.ndarray
    gt: np.ndarray | None = None
    lr: np.ndarray | None = None
    borders: tuple[int, ...] = ()
    tile_columns: tuple[int, ...] = ()
    tile_rows: tuple[int, ...] = ()
    weights: Path | None = None
    kept: dict[object, Any] = field(default_factory=dict, repr=False)
    """What several metrics share and is costly, by what it is."""

    @property
    def truth(self) -> np.ndarray:
        """The truth; NotMeasurableError where it is missing, or not of the same frames and pixels as the result."""
        if self.gt is None:
            raise NotMeasurableError("needs the truth (GT)")
        if self.misaligned is not None:
            raise NotMeasurableError(self.misaligned)
        return self.gt

    @property
    def small(self) -> np.ndarray:
        """The input; NotMeasurableError where it is missing, or the result is not four times as large."""
        if self.lr is None:
            raise NotMeasurableError("needs the input (LR)")
        (t, h, w), (frames, height, width) = self.lr.shape[:3], self.sr.shape[:3]
        if frames != t:
            raise NotMeasurableError(f"the output has {frames} frames, the input {t}")
        if (height, width) != (4 * h, 4 * w):
            raise NotMeasurableError(f"the output is {width}x{height}, not four times the input of {w}x{h}")
        return self.lr

    @cached_property
    def misaligned(self) -> str | None:
        """The mistake in frame count, size or position of the result against the truth; None if there is none."""
        from limpid.metrics.alignment import misalignment

        return None if self.gt is None else misalignment(self.sr, self.gt)

    @cached_property
    def flows(self) -> FlowPairs:
        """Flow of the enlarged input and where it is trusted, for each pair of neighbours."""
        from limpid.metrics.detail import input_flows

        if len(self.small) < 2:
            raise NotMeasurableError("needs at least two frames")
        return input_flows(list(self.small))

    @cached_property
    def energies(self) -> list[tuple[float, float] | None]:
        """Coherent and incoherent energy of detail for each pair of neighbours (`limpid.metrics.detail`)."""
        from limpid.metrics.detail import detail_energies

        return detail_energies(list(self.sr), self.flows)

    @cached_property
    def truth_flows(self) -> FlowPairs:
        """Flow of the truth and where it is trusted, for each pair of neighbours."""
        from limpid.metrics.warping import flows_of

        if len(self.truth) < 2:
            raise NotMeasurableError("needs at least two frames")
        return flows_of(self.truth)


@dataclass(frozen=True, slots=True)
class Measured:
    """An answer: ``value`` of the clip, or None with the ``reason``; ``per_frame`` where frames have values.

    ``note``: what a table says beside the number, such as the network whose flow it rests on.
    """

    value: float | None
    per_frame: tuple[float, ...] | None = None
    reason: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a metric without a value needs a reason")

    def __str__(self) -> str:
        return f"n/a: {self.reason}" if self.value is None else f"{self.value:.4g}"


def mean_of(values: Sequence[float]) -> Measured:
    """The mean over frames, with the frames' values."""
    if not values:
        raise NotMeasurableError("the clip has too few frames")
    numbers = tuple(float(v) for v in values)
    return Measured(sum(numbers) / len(numbers), numbers)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One entry of the catalogue. ``measure`` raises NotMeasurableError, or ValueError, where it has no value."""

    name: str
    label: str
    kind: MetricKind
    better: Better
    definition: str
    source: str
    licence: str
    measure: Callable[[Clips], Measured]
    needs: tuple[Need, ...] = ()
    unit: str = ""
    ranked: bool = True
    """False: the number says how sure another one is, not who is better."""
