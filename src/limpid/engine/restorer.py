"""One method made ready for one picture size: LR frames of a chunk in, finished frames of the asked size out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.engine.device import Machine
from limpid.engine.loop import sample_segment
from limpid.engine.plan import Rung
from limpid.settings import Settings
from limpid.types import Method, Prior, Segment, SettingsError, Step

RESIZE_FRAMES = 4
"""Frames that are resized at once; more would only cost memory."""


@dataclass(frozen=True, kw_only=True)
class Restorer:
    """Everything that is the same for all chunks of a run. Weights are loaded when the first frame is computed."""

    method: Method
    settings: Settings
    machine: Machine
    width: int
    """Of the output."""
    height: int

    @cached_property
    def prior(self) -> Prior:
        return self.method.load(self.machine.torch_device, self.machine.torch_dtype)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return self.method.make_schedule(num_steps(self.method, self.settings))

    @torch.no_grad()
    def __call__(
        self,
        lr: Tensor,
        chunk: Segment,
        rung: Rung,
        *,
        on_step: Callable[[int, int], None] | None = None,
        carry_in: Mapping[str, Tensor] | None = None,
        carry_out: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Frames of ``chunk.halo``, ``t 3 h w`` -> those of ``chunk.core`` on the CPU, ``t 3 H W``; both in [0, 1]."""
        frames = sample_segment(
            self.method,
            self.prior,
            lr.to(self.machine.torch_device),
            chunk,
            steps=self.steps,
            seed=self.settings.seed,
            strength=self.settings.strength,
            tile_px=rung.tile_px,
            window_frames=rung.window_frames,
            color=self.settings.color,
            on_step=on_step,
            carry_in=carry_in,
            carry_out=carry_out,
        )
        return resize(frames, self.height, self.width).to("cpu", torch.float32)


def num_steps(method: Method, settings: Settings) -> int:
    return settings.steps or method.steps


def resize(frames: Tensor, height: int, width: int) -> Tensor:
    """Antialiased bicubic resize of ``t c h w``, clipped to [0, 1]; the frames themselves where the size is right."""
    if tuple(frames.shape[-2:]) == (height, width):
        return frames
    out = frames.new_empty(*frames.shape[:2], height, width)
    for start in range(0, len(frames), RESIZE_FRAMES):
        part = slice(start, start + RESIZE_FRAMES)
        out[part] = F.interpolate(frames[part], (height, width), mode="bicubic", antialias=True, align_corners=False)
    return out.clamp_(0, 1)


def target_size(width: int, height: int, method_scale: int, settings: Settings) -> tuple[int, int]:
    """Width and height of the output for an input size. Raises SettingsError when that is no picture size."""
    if settings.height is not None:
        size = (max(round(width * settings.height / height), 1), settings.height)
    else:
        scale = settings.scale if settings.scale is not None else method_scale
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
    if min(size) < 16 or max(size) > 16384:
        raise SettingsError(f"the output would be {size[0]}x{size[1]}; each side must be 16 to 16384 pixels")
    return size
