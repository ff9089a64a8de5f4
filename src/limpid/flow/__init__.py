"""Optical flow: estimators, warping, which pixels are seen in both frames."""

from limpid.flow.dis import dis_flow, visible_in_both, warp_image

__all__ = ["dis_flow", "visible_in_both", "warp_image"]
