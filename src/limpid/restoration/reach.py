"""How far finishing a frame reaches: colour correction and resizing look at pixels around a pixel."""

from __future__ import annotations

from limpid.color import color_reach
from limpid.restoration.finished import FrameFormat
from limpid.restoration.resize import resize_reach
from limpid.types import ColorFix


def finish_reach(scale: int, size: tuple[int, int], target: FrameFormat, color: ColorFix) -> int:
    """LR pixels around a pixel that its finished pixels depend on, beyond what the network has seen.

    ``size``: height and width of the LR frames, which are restored at ``scale`` times that.
    """
    targets = (target.height, target.width)
    resizing = max(resize_reach(length, scale, wanted) for length, wanted in zip(size, targets, strict=True))
    alpha = max(resize_reach(length, 1, wanted) for length, wanted in zip(size, targets, strict=True))
    return max(color_reach(color, scale) + resizing, alpha if target.alpha else 0)
