"""Measures of quality and stability."""

from limpid.metrics.detail import DetailStability, detail_stability, input_flows
from limpid.metrics.psnr import psnr

__all__ = ["DetailStability", "detail_stability", "input_flows", "psnr"]
