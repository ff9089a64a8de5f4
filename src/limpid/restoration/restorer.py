"""One method made ready for one picture size: a chunk of LR frames in, finished frames of the asked size out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.color import apply_color_
from limpid.method import Method, Prior, View
from limpid.plan.device import Machine
from limpid.plan.segments import Rung
from limpid.restoration.chunk import Chunk
from limpid.restoration.loop import sample_segment
from limpid.settings import Settings
from limpid.tiling.plan import AxisSpan
from limpid.types import ColorFix, Offload, SettingsError, Step

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
    offload: Offload = "none"
    alpha: bool = False
    """Whether the output holds transparency; it is upscaled by itself, bicubically."""

    @cached_property
    def prior(self) -> Prior:
        return self.method.load(self.machine.placement(offload=self.offload, compile=self.settings.compile))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return self.method.make_schedule(self.method.num_steps(self.settings))

    @property
    def color(self) -> ColorFix:
        return self.settings.color or self.method.color

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the prior has to say; nothing before it is loaded."""
        return self.prior.warnings if "prior" in self.__dict__ else ()

    @torch.no_grad()
    def __call__(self, chunk: Chunk) -> Tensor:
        """The frames of the chunk's core on the CPU, ``t 3|4 H W`` in [0, 1]."""
        lr = chunk.lr().to(self.machine.torch_device)
        pictures = self.method.cuts.pictures(lr.shape[-2], lr.shape[-1], chunk.rung, len(self.steps))
        if pictures:
            frames = self._put_together(chunk, lr, pictures)
        else:
            frames = self._sample(replace(chunk, frames=lr), self.color)
        finished = resize(frames, self.height, self.width).to("cpu", torch.float32)
        return torch.cat([finished, self._alpha(chunk)], dim=1) if self.alpha else finished

    def _put_together(self, chunk: Chunk, lr: Tensor, pictures: list[tuple[AxisSpan, AxisSpan]]) -> Tensor:
        """Each picture is computed from beginning to end, so that only finished frames are held whole."""
        height, width = lr.shape[-2:]
        scale = self.method.scale
        out = torch.empty(len(chunk.core), 3, height * scale, width * scale, device=lr.device)
        for rows, columns in pictures:
            part = lr[..., rows.start : rows.stop, columns.start : columns.stop]
            view = View(height=height, width=width, top=rows.start, left=columns.start)
            whole = part.shape == lr.shape
            done = self._sample(replace(chunk, frames=part, view=None if whole else view), "none")
            out[..., _core(rows, scale), _core(columns, scale)] = done[..., _kept(rows, scale), _kept(columns, scale)]
            del done
        return self._colored(out, lr[chunk.core.start :])

    def _colored(self, frames: Tensor, lr: Tensor) -> Tensor:
        for start in range(0, len(frames), RESIZE_FRAMES):
            part = frames[start : start + RESIZE_FRAMES]
            apply_color_(self.color, part, lr[start : start + len(part)]).clamp_(0.0, 1.0)
        return frames

    def _sample(self, chunk: Chunk, color: ColorFix) -> Tensor:
        return sample_segment(
            with_guidance_in_batch(self.method, chunk.rung),
            self.prior,
            chunk,
            steps=self.steps,
            seed=self.settings.seed,
            strength=self.settings.strength,
            color=color,
        )

    def _alpha(self, chunk: Chunk) -> Tensor:
        alpha = chunk.alpha()
        if alpha is None:
            return torch.ones(len(chunk.core), 1, self.height, self.width)
        return resize(alpha, self.height, self.width)


def with_guidance_in_batch(method: Method, rung: Rung) -> Method:
    """The method with both guidance calls in one batch, where its guidance can do that."""
    if not rung.batched_guidance or method.guidance is None:
        return method
    return replace(method, guidance=method.guidance.in_one_batch())


def _core(span: AxisSpan, scale: int) -> slice:
    """Where the kept part goes in the output."""
    return slice(span.keep_start * scale, span.keep_stop * scale)


def _kept(span: AxisSpan, scale: int) -> slice:
    """Where the kept part is in what was computed."""
    return slice((span.keep_start - span.start) * scale, (span.keep_stop - span.start) * scale)


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
