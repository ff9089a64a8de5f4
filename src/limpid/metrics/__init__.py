"""Measures of quality and stability."""

from limpid.metrics.detail import DetailStability, detail_stability, input_flows
from limpid.metrics.long_range import LongRange, long_range
from limpid.metrics.psnr import psnr
from limpid.metrics.seams import SegmentSeam, TileJump, segment_seam, tile_jump

__all__ = [
    "DetailStability",
    "LongRange",
    "SegmentSeam",
    "TileJump",
    "detail_stability",
    "input_flows",
    "long_range",
    "psnr",
    "segment_seam",
    "tile_jump",
]
