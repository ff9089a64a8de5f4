"""What networks are told of the codec's blocks while they learn (`limpid.priors.cleaned` says what it is good for).

Where the blocks lie is not always known in what people have: a film may have been cropped or resized since it was
coded. So for some clips a network is told nothing, and for some what is wrong.
"""

from __future__ import annotations

import torch
from torch import Tensor

from limpid.priors.cleaned import CODEC_BLOCK_PX
from limpid.train.learner import ClipRandom
from limpid.train.stage import Stage
from limpid.types import SettingsError

_NOT_TOLD, _TOLD_WRONG = 0.2, 0.1
"""Shares of clips."""


def told_places(true: Tensor, frames: int, random: ClipRandom) -> Tensor:
    """What is added to the first layer for each frame, ``(b t) c h w``: the truth, or zeros, or the truth moved.

    Args:
        true: what is known of the places of a picture with a block in its top left corner, ``1 c h w``.
        frames: of each clip.
    """
    which = random.uniform("what is told of the blocks").tolist()
    moved = random.integers("where the blocks are said to lie", 1, CODEC_BLOCK_PX**2).tolist()

    def of_clip(which: float, moved: int) -> Tensor:
        if which < _NOT_TOLD:
            return torch.zeros_like(true)
        return true.roll(divmod(moved, CODEC_BLOCK_PX), (2, 3)) if which < _NOT_TOLD + _TOLD_WRONG else true

    each = [of_clip(*drawn) for drawn in zip(which, moved, strict=True)]
    return torch.cat(each).repeat_interleave(frames, 0)


def refuse_unaligned(stage: Stage, grid_px: int) -> None:
    """Raises SettingsError for clips that begin anywhere, where a network is told of blocks of this side."""
    if grid_px and stage.clips.lr_align_px % grid_px:
        raise SettingsError(
            f"stage {stage.name}: its network is told where blocks of {grid_px} pixels lie, "
            f"so its clips have to begin at one (ClipSpec.lr_align_px)"
        )
