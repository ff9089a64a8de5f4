"""One method made ready for one picture size: LR frames of a chunk in, finished frames of the asked size out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.color import apply_color_
from limpid.method import ColorFix, Method, Prior, View
from limpid.plan.device import Machine
from limpid.plan.segments import ALIGN_PX, Rung
from limpid.restoration.loop import sample_segment
from limpid.settings import Settings
from limpid.types import Offload, Segment, SettingsError, Step

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

    @cached_property
    def prior(self) -> Prior:
        return self.method.load(self.machine.placement(offload=self.offload, compile=self.settings.compile))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return self.method.make_schedule(num_steps(self.method, self.settings))

    @property
    def color(self) -> ColorFix:
        return self.settings.color or self.method.color

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
        lr = lr.to(self.machine.torch_device)
        if self.method.local:
            frames = self._in_tiles(lr, chunk, rung, on_step)
        else:
            sizes = {"tile_px": rung.tile_px, "decode_tile_px": rung.decode_tile_px}
            rest = {"color": self.color, "carry_in": carry_in, "carry_out": carry_out}
            frames = self._sample(lr, chunk, rung, on_step=on_step, **sizes, **rest)
        return resize(frames, self.height, self.width).to("cpu", torch.float32)

    def _in_tiles(self, lr: Tensor, chunk: Segment, rung: Rung, on_step: Callable[[int, int], None] | None) -> Tensor:
        """A local method: each tile is computed from beginning to end, so that only finished frames are held whole."""
        height, width = lr.shape[-2:]
        scale, halo = self.method.scale, self.method.halo_px(len(self.steps))
        out = torch.empty(len(chunk.core), 3, height * scale, width * scale, device=lr.device)
        for rows in tile_spans(height, rung.tile_px, halo):
            for columns in tile_spans(width, rung.tile_px, halo):
                part = lr[..., rows.halo_start : rows.halo_stop, columns.halo_start : columns.halo_stop]
                view = View(height=height, width=width, top=rows.halo_start, left=columns.halo_start)
                whole = part.shape == lr.shape
                done = self._sample(part, chunk, rung, on_step=on_step, color="none", view=None if whole else view)
                out[..., rows.core(scale), columns.core(scale)] = done[..., rows.kept(scale), columns.kept(scale)]
                del done
        return self._colored(out, lr[chunk.core.start - chunk.halo.start :])

    def _colored(self, frames: Tensor, lr: Tensor) -> Tensor:
        for start in range(0, len(frames), RESIZE_FRAMES):
            part = frames[start : start + RESIZE_FRAMES]
            apply_color_(self.color, part, lr[start : start + len(part)]).clamp_(0.0, 1.0)
        return frames

    def _sample(self, lr: Tensor, chunk: Segment, rung: Rung, **options: Any) -> Tensor:
        return sample_segment(
            with_guidance_in_batch(self.method, rung.batched_guidance),
            self.prior,
            lr,
            chunk,
            steps=self.steps,
            seed=self.settings.seed,
            strength=self.settings.strength,
            window_frames=rung.window_frames,
            **options,
        )


def with_guidance_in_batch(method: Method, batched: bool) -> Method:
    """The method with both guidance calls in one batch, where its guidance can do that."""
    if not batched or not hasattr(method.guidance, "batched"):
        return method
    return replace(method, guidance=replace(method.guidance, batched=True))  # type: ignore[type-var]


@dataclass(frozen=True, kw_only=True)
class TileSpan:
    """Rows or columns of a tile, in LR pixels: what is kept, and what is read around it."""

    start: int
    stop: int
    halo_start: int
    halo_stop: int

    def core(self, scale: int) -> slice:
        """Where the kept part goes in the output."""
        return slice(self.start * scale, self.stop * scale)

    def kept(self, scale: int) -> slice:
        """Where the kept part is in what was computed."""
        return slice((self.start - self.halo_start) * scale, (self.stop - self.halo_start) * scale)


def tile_spans(length: int, tile_px: int | None, halo_px: int) -> list[TileSpan]:
    """Cut one axis of ``length`` LR pixels into tiles of about ``tile_px``, each with its halo inside the picture."""
    tile = length if tile_px is None else _up(tile_px)
    spans = []
    for start in range(0, length, tile):
        stop = min(start + tile, length)
        before, after = max(start - _up(halo_px), 0), min(stop + _up(halo_px), length)
        spans.append(TileSpan(start=start, stop=stop, halo_start=before, halo_stop=after))
    return spans


def _up(value: int) -> int:
    return -(-value // ALIGN_PX) * ALIGN_PX


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
