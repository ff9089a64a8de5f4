"""Colour correction towards the input, per frame and on whole frames, so that no cut can be seen in it."""

from __future__ import annotations

from torch import Tensor

from limpid.color.adain import adain, adain_
from limpid.color.steady import steady_levels
from limpid.color.wavelet import wavelet, wavelet_
from limpid.types import ColorFix

__all__ = ["adain", "apply_color_", "steady_levels", "wavelet"]


def apply_color_(kind: ColorFix, frames: Tensor, reference: Tensor) -> Tensor:
    """Colour correction by its name: changes ``frames`` in place and returns them, not clipped.

    ``frames``: ``t 3 H W``; ``reference``: the LR frames ``t 3 h w``; both float32, nominally in [0, 1].
    """
    if kind == "none":
        return frames
    return adain_(frames, reference) if kind == "adain" else wavelet_(frames, reference)
