"""Colour correction towards the input, per frame, in such a way that no cut can be seen in it.

`apply_color_` works on whole frames. Parts of frames get the same bits when they are read with as much around them as
`color_reach` says (wavelet), or with the statistics of the whole frame (`adain_by_`).
"""

from __future__ import annotations

from torch import Tensor

from limpid.color.adain import Sums, adain, adain_, adain_by_, total
from limpid.color.steady import steady_levels
from limpid.color.wavelet import low_pass_error, wavelet, wavelet_, wavelet_reach
from limpid.types import ColorFix

__all__ = [
    "Sums",
    "adain",
    "adain_by_",
    "apply_color_",
    "color_reach",
    "low_pass_error",
    "steady_levels",
    "total",
    "wavelet",
]


def apply_color_(kind: ColorFix, frames: Tensor, reference: Tensor) -> Tensor:
    """Colour correction by its name: changes ``frames`` in place and returns them, not clipped.

    ``frames``: ``t 3 H W``; ``reference``: the LR frames ``t 3 h w``; both float32, nominally in [0, 1].
    """
    if kind == "none":
        return frames
    return adain_(frames, reference) if kind == "adain" else wavelet_(frames, reference)


def color_reach(kind: ColorFix, scale: int) -> int:
    """LR pixels beyond an LR pixel on which its colours depend, for frames ``scale`` times as large."""
    return wavelet_reach(scale) if kind == "wavelet" else 0
