"""What a method costs in memory, and what a plan is made for: plain values, without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from limpid.plan.memory import Budget
from limpid.settings import AskedOffload


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Memory that a method takes, measured, in float32; per LR pixel and frame where the name says ``per_px``."""

    work_bytes_per_px: int = 0
    """Peak memory of one network call; 0: unknown."""
    decode_bytes_per_px: int = 0
    """Peak memory of one decoder call; 0: as much as of a network call."""
    latent_bytes_per_px: int = 16
    """The latent of one frame."""
    kept_bytes: Callable[[int, int, int, int | None], int] | None = None
    """What attention propagation keeps between network calls: from width and height of the input, the frames of a
    window and the side of a tile (None: the whole frame) to bytes. None: nothing."""
    kept_device_bytes: int | None = None
    """How much of that may lie on the device, the rest being on the host; None: all."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a plan is made for: the input, what the user asks for, the method's figures, the memory that is free."""

    width: int
    """Of the input, in pixels."""
    height: int
    fps: Fraction
    scale: int
    """Output pixels of the method per input pixel."""
    num_steps: int
    around: tuple[int, int]
    """Frames that a segment needs before and after its core, see `Cuts.around`."""
    cost: Cost
    budget: Budget
    weights_bytes: Mapping[str, int] = field(default_factory=dict)
    """In float32, per network."""
    bytes_per_value: int = 4
    """Of the number format that the networks run in."""
    tile_px: int | None = None
    window_frames: int | None = None
    segment_frames: int | None = None
    offload: AskedOffload = "auto"
