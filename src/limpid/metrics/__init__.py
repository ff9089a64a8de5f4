"""Measures of quality and stability; `limpid.metrics.catalogue` lists them all. Names are loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limpid.lazy import names_of

if TYPE_CHECKING:
    from limpid.metrics.catalogue import METRICS as METRICS
    from limpid.metrics.catalogue import measure as measure
    from limpid.metrics.detail import DetailStability as DetailStability
    from limpid.metrics.detail import detail_stability as detail_stability
    from limpid.metrics.detail import input_flows as input_flows
    from limpid.metrics.fidelity import psnr as psnr
    from limpid.metrics.kinds import Clips as Clips
    from limpid.metrics.kinds import Measured as Measured
    from limpid.metrics.kinds import Metric as Metric
    from limpid.metrics.persistence import LongRange as LongRange
    from limpid.metrics.persistence import long_range as long_range
    from limpid.metrics.seams import SegmentSeam as SegmentSeam
    from limpid.metrics.seams import TileJump as TileJump
    from limpid.metrics.seams import segment_seam as segment_seam
    from limpid.metrics.seams import tile_jump as tile_jump

_HOME = {
    "METRICS": ".catalogue",
    "measure": ".catalogue",
    "Clips": ".kinds",
    "Measured": ".kinds",
    "Metric": ".kinds",
    "psnr": ".fidelity",
    "DetailStability": ".detail",
    "detail_stability": ".detail",
    "input_flows": ".detail",
    "LongRange": ".persistence",
    "long_range": ".persistence",
    "SegmentSeam": ".seams",
    "TileJump": ".seams",
    "segment_seam": ".seams",
    "tile_jump": ".seams",
}

__all__ = list(_HOME)

__getattr__ = names_of(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(_HOME)
