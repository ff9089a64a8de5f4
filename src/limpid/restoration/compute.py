"""Decoded pictures in, finished frames out, transparency included: what the executor calls for every chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from limpid.plan.segments import Rung
from limpid.restoration.restorer import Restorer, resize
from limpid.types import Segment, VideoFrame
from limpid.video import alpha_of, to_tensor


@dataclass(frozen=True, kw_only=True)
class FrameCompute:
    """See `limpid.run.executor.Compute`."""

    restorer: Restorer
    alpha: bool = False
    """Whether the output holds transparency; it is upscaled by itself, bicubically."""

    def __call__(
        self,
        frames: Sequence[VideoFrame],
        chunk: Segment,
        rung: Rung,
        *,
        on_step: Callable[[int, int], None] | None = None,
        carry_in: Mapping[str, Tensor] | None = None,
        carry_out: dict[str, Tensor] | None = None,
    ) -> Tensor:
        lr = to_tensor(frames)
        result = self.restorer(lr, chunk, rung, on_step=on_step, carry_in=carry_in, carry_out=carry_out)
        return torch.cat([result, self._alpha(frames, chunk)], dim=1) if self.alpha else result

    def _alpha(self, frames: Sequence[VideoFrame], chunk: Segment) -> Tensor:
        first = chunk.core.start - chunk.halo.start
        core = frames[first : first + len(chunk.core)]
        alpha = alpha_of(core)
        height, width = self.restorer.height, self.restorer.width
        return torch.ones(len(core), 1, height, width) if alpha is None else resize(alpha, height, width)
