"""One method made ready for one picture size: a chunk of LR frames in, finished frames of the asked size out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache, cached_property

import torch
from torch import Tensor

from limpid.color import Sums, adain_by_, apply_color_, total
from limpid.method import Direct, DirectPrior, Method, Prior, View
from limpid.plan.device import Machine
from limpid.plan.segments import Rung
from limpid.restoration.chunk import Chunk
from limpid.restoration.direct import corrected, direct_frames, is_direct
from limpid.restoration.finished import FrameFormat
from limpid.restoration.loop import sample_segment
from limpid.restoration.reach import finish_reach
from limpid.restoration.resize import owned, resize_part
from limpid.restoration.shares import parts_of
from limpid.restoration.times import Times
from limpid.settings import Settings
from limpid.tiling.plan import AxisSpan
from limpid.types import ColorFix, Offload, SettingsError, Step
from limpid.video import alpha_of

LEAST_SIDE, MOST_SIDE = 16, 16384
"""Pixels along a side of the output."""
Piece = tuple[AxisSpan, AxisSpan]
"""Rows and columns, in LR pixels; see `limpid.cuts.base.Cuts.pictures`."""


@dataclass(frozen=True, kw_only=True)
class Restorer:
    """Everything that is the same for all chunks of a run. Weights are loaded when the first frame is computed."""

    method: Method
    settings: Settings
    machine: Machine
    width: int
    """Width of the output, in pixels."""
    height: int
    offload: Offload = "none"
    alpha: bool = False
    """Whether the output holds transparency; it is upscaled by itself, bicubically."""
    depth: int | None = None
    """Bits per value of the finished frames; None: float32. See `limpid.restoration.finished`."""
    times: Times = field(default_factory=Times)
    """Counts ``compute``, all of a call, and ``network``, the part of it that the loop or the way past it takes."""

    @cached_property
    def prior(self) -> Prior:
        return self.method.load(self.machine.placement(offload=self.offload, compile=self.settings.compile))

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return self.method.make_schedule(self.method.num_steps(self.settings))

    @cached_property
    def _direct(self) -> Direct:
        assert isinstance(self.prior, DirectPrior)
        return self.prior.direct(self.steps[0])

    @property
    def color(self) -> ColorFix:
        return self.settings.color or self.method.color

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the prior has to say; nothing before it is loaded."""
        return self.prior.warnings if "prior" in self.__dict__ else ()

    @property
    def format(self) -> FrameFormat:
        return FrameFormat(height=self.height, width=self.width, alpha=self.alpha, depth=self.depth)

    @torch.no_grad()
    def __call__(self, chunk: Chunk) -> Tensor:
        """The frames of the chunk's core on the CPU, as `limpid.restoration.finished` holds them."""
        with self.times.measure("compute"):
            return self._computed(chunk)

    def _computed(self, chunk: Chunk) -> Tensor:
        height, width = chunk.size
        pieces = self.pieces(chunk.size, chunk.rung)
        chunk = chunk.with_neighbours(self.method.cuts.neighbours, kept=len(pieces) > 1)
        out = self.format.empty(len(chunk.core))
        if pieces and is_direct(self.method, self.settings):
            self._put_directly(chunk, pieces, out)
        elif pieces:
            self._put_together(chunk, pieces, out)
        else:
            frames = self._sample(replace(chunk, frames=chunk.lr().to(self.machine.torch_device)), self.color)
            self._place(chunk, (_whole(height), _whole(width)), frames, out)
        return out

    def pieces(self, size: tuple[int, int], rung: Rung) -> list[Piece]:
        """What LR frames of ``size`` (height and width) are divided into; nothing for methods that need them whole."""
        margin = finish_reach(self.method.scale, size, self.format, self.color)
        return self.method.cuts.pictures(*size, rung, len(self.steps), margin)

    def of_part(self, size: tuple[int, int], part: tuple[int, int]) -> Restorer:
        """What restores a part of LR frames of ``size`` by itself, as if it were the whole; its sides are even."""
        targets = (self.height, self.width)
        axes = zip(targets, part, size, strict=True)
        height, width = (max(round(target * mine / whole) // 2 * 2, LEAST_SIDE) for target, mine, whole in axes)
        return replace(self, height=height, width=width)

    def _put_together(self, chunk: Chunk, pieces: Sequence[Piece], out: Tensor) -> None:
        """Each piece is computed from noise to finished pixels, so that nothing larger is held whole."""
        passes = 2 if self.color == "adain" and len(pieces) > 1 else 1
        shares = parts_of(chunk.on_share, passes * len(pieces))

        def make(piece: Piece) -> tuple[Tensor, Tensor]:
            return self._restored(replace(chunk, on_share=next(shares)), piece)

        if len(pieces) == 1:
            make = cache(make)  # what is measured and what is written are then computed once
        sums = self._sums(make, pieces) if self.color == "adain" else None
        for piece in pieces:
            frames, lr = make(piece)
            self._color_(frames, lr, sums)
            self._place(chunk, piece, frames, out)
            del frames, lr

    def _put_directly(self, chunk: Chunk, pieces: Sequence[Piece], out: Tensor) -> None:
        """Each piece frame by frame, without latents; see `limpid.restoration.direct`."""
        direct, shares = self._direct, parts_of(chunk.on_share, len(pieces) * len(chunk.core))
        chunk.on_share(0.0)
        for piece in pieces:
            rows, columns = piece
            part = chunk.part(slice(rows.start, rows.stop), slice(columns.start, columns.stop))
            for index, lr, frame in direct_frames(direct, part, self.machine.torch_device, self.times):
                correction = corrected(frame, lr, self.color, self.method.scale)
                if self._keeps_pixels(chunk.size):
                    self.format.put_rounded(
                        out[index], *_kept_planes(frame.rounded(correction), piece, self.method.scale)
                    )
                else:
                    self._place_one(chunk, piece, index, frame.picture(correction), out)
                next(shares)(1.0)

    def _keeps_pixels(self, size: tuple[int, int]) -> bool:
        """Whether what the method makes of frames of ``size`` is written as it is, in 8 bits."""
        whole = (size[0] * self.method.scale, size[1] * self.method.scale) == (self.height, self.width)
        return whole and self.depth == 8 and not self.alpha

    def _restored(self, chunk: Chunk, piece: Piece) -> tuple[Tensor, Tensor]:
        """Frames of the core as far as a piece reads them, colours not yet corrected, and their LR frames."""
        rows, columns = piece
        height, width = chunk.size
        part = chunk.part(slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        lr = part.lr().to(self.machine.torch_device)
        whole = part.size == chunk.size
        view = None if whole else View(height=height, width=width, top=rows.start, left=columns.start)
        frames = self._sample(replace(part, frames=lr, view=view), "none")
        return frames, lr[chunk.core.start : chunk.core.stop]

    def _sums(self, make: Callable[[Piece], tuple[Tensor, Tensor]], pieces: Sequence[Piece]) -> tuple[Sums, Sums]:
        """Sums of whole frames and of their LR frames, for colours that are matched by statistics of whole frames."""
        found, wanted = [], []
        for piece in pieces:
            frames, lr = make(piece)
            found.append(Sums.of(_kept(frames, piece, self.method.scale)))
            wanted.append(Sums.of(_kept(lr, piece, 1)))
            del frames, lr
        return total(found), total(wanted)

    def _color_(self, frames: Tensor, lr: Tensor, sums: tuple[Sums, Sums] | None) -> None:
        """In place, frame by frame: more at once would only cost memory."""
        if sums is not None:
            adain_by_(frames, *sums).clamp_(0.0, 1.0)
            return
        for frame, wanted in zip(frames, lr, strict=True):
            apply_color_(self.color, frame[None], wanted[None]).clamp_(0.0, 1.0)

    def _place(self, chunk: Chunk, piece: Piece, frames: Tensor, out: Tensor) -> None:
        """Resizes what a piece keeps to its part of the output, and writes it there in the output's format."""
        for index, frame in enumerate(frames):
            self._place_one(chunk, piece, index, frame, out)

    def _place_one(self, chunk: Chunk, piece: Piece, index: int, frame: Tensor, out: Tensor) -> None:
        scale, spans, sizes = self.method.scale, piece, chunk.size
        targets = self.height, self.width
        axes = zip(spans, sizes, targets, strict=True)
        wanted = [owned(span.keep_start, span.keep_stop, size, target) for span, size, target in axes]
        if not all(wanted):
            return  # smaller than a pixel of the output
        pixels = resize_part(frame, sizes, targets, spans, wanted, scale)
        if self.alpha:
            alpha = self._opacity(chunk, piece, index)
            given = None if alpha is None else resize_part(alpha.to(pixels), sizes, targets, spans, wanted, 1)
            pixels = torch.cat([pixels, torch.ones_like(pixels[:1]) if given is None else given])
        self.format.put(out[index], pixels, *wanted)

    def _opacity(self, chunk: Chunk, piece: Piece, index: int) -> Tensor | None:
        """Transparency of one frame of the core as far as a piece reads it, ``1 h w``; None where there is none."""
        if isinstance(chunk.frames, Tensor):
            return None
        rows, columns = piece
        frame = chunk.frames[chunk.core.start + index]
        part = frame._replace(pixels=frame.pixels[rows.start : rows.stop, columns.start : columns.stop])
        alpha = alpha_of([part])
        return None if alpha is None else alpha[0]

    def _sample(self, chunk: Chunk, color: ColorFix) -> Tensor:
        prior = self.prior  # loading it is not the network's time
        with self.times.measure("network"):
            return sample_segment(
                with_guidance_in_batch(self.method, chunk.rung),
                prior,
                chunk,
                steps=self.steps,
                seed=self.settings.seed,
                strength=self.settings.strength,
                color=color,
            )


def with_guidance_in_batch(method: Method, rung: Rung) -> Method:
    """The method with both guidance calls in one batch, where its guidance can do that."""
    if not rung.batched_guidance or method.guidance is None:
        return method
    return replace(method, guidance=method.guidance.in_one_batch())


def _whole(length: int) -> AxisSpan:
    return AxisSpan(start=0, stop=length, keep_start=0, keep_stop=length)


def _kept_planes(planes: Tensor, piece: Piece, scale: int) -> tuple[Tensor, range, range]:
    """What a piece keeps of a picture that was computed for it, and which rows and columns of the output these are."""
    rows, columns = (range(span.keep_start * scale, span.keep_stop * scale) for span in piece)
    return _kept(planes, piece, scale), rows, columns


def _kept(frames: Tensor, piece: Piece, scale: int) -> Tensor:
    """What a piece keeps of the frames that were computed for it, ``scale`` times its size."""
    rows, columns = (slice((s.keep_start - s.start) * scale, (s.keep_stop - s.start) * scale) for s in piece)
    return frames[..., rows, columns]


def target_size(width: int, height: int, method_scale: int, settings: Settings) -> tuple[int, int]:
    """Width and height of the output for an input size. Raises SettingsError when that is no picture size."""
    if settings.height is not None:
        size = (max(round(width * settings.height / height), 1), settings.height)
    else:
        scale = settings.scale if settings.scale is not None else method_scale
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
    if min(size) < LEAST_SIDE or max(size) > MOST_SIDE:
        raise SettingsError(
            f"the output would be {size[0]}x{size[1]}; each side must be {LEAST_SIDE} to {MOST_SIDE} pixels"
            f"{_what_fits(width, height, size)}"
        )
    return size


def _what_fits(width: int, height: int, size: tuple[int, int]) -> str:
    """Which options lead to a picture that is as near to ``size`` as the limits allow."""
    too_large = max(size) > MOST_SIDE
    scale = Fraction(MOST_SIDE, max(width, height)) if too_large else Fraction(LEAST_SIDE, min(width, height))
    nearest, wrong = (math.floor, max) if too_large else (math.ceil, min)
    percent, rows = nearest(scale * 100), nearest(scale * height)
    if max(width, height) * percent > MOST_SIDE * 100 or min(width, height) * percent < LEAST_SIDE * 100:
        return ""  # so long and narrow that nothing fits
    return (
        f": --scale {percent / 100:g} or --height {rows} is the {'largest' if wrong is max else 'smallest'} that fits"
    )
