"""What a method costs in memory, and what a plan is made for: plain values, without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from limpid.choices import AskedOffload
from limpid.plan.memory import Budget


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Memory that a method takes, measured, in float32; per LR pixel and frame where the name says ``per_px``."""

    work_bytes_per_px: int = 0
    """Peak memory of one network call; 0: unknown."""
    decode_bytes_per_px: int = 0
    """Peak memory of one decoder call; 0: as much as of a network call."""
    direct_bytes_per_px: int = 0
    """Peak memory of the way without latents (`limpid.method.Direct`), per LR pixel of a tile and for any number of
    frames; 0: the prior has no such way."""
    flow_bytes_per_px: int = 0
    """Optical flow that is kept of each frame of a chunk, see `limpid.flow.aligned`."""
    moving_bytes_per_px: int = 0
    """What moving neighbours onto one frame takes, per LR pixel of the whole picture."""
    latent_bytes_per_px: int = 16
    """The latent of one frame."""
    kept_bytes: Callable[[int, int, int, int | None], int] | None = None
    """What attention propagation keeps between network calls: from width and height of the input, the frames of a
    window and the side of a tile (None: the whole frame) to bytes. None: nothing."""
    kept_device_bytes: int | None = None
    """How much of that may lie on the device, the rest being on the host; None: all."""


@dataclass(frozen=True, kw_only=True)
class EncoderBytes:
    """Memory of an encoder that looks ahead: what it has been given waits first, then some of it is kept as coded."""

    fixed: int = 0
    """Whatever it has been given: its tables, the one frame that is converted."""
    waiting: int = 0
    """A frame that waits."""
    most_waiting: int = 0
    """How many frames wait before the first one is coded."""
    coded: int = 0
    """A coded frame that others refer to."""
    most_coded: int = 0

    def after(self, frames: int) -> int:
        """Bytes after so many frames have been given."""
        coded = min(max(frames - self.most_waiting, 0), self.most_coded)
        return self.fixed + self.waiting * min(frames, self.most_waiting) + self.coded * coded

    def at_end(self, frames: int) -> int:
        """Bytes at most, once those that wait are coded too; of few frames, not all refer to others."""
        coded = min((frames + 1) // 2, self.most_coded)
        return max(self.after(frames), self.fixed + self.waiting * min(frames, self.most_waiting) + self.coded * coded)


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a run holds besides the network's work; a plan that is not told counts with float32 frames."""

    lr_frame_bytes: int
    """Size of one input frame as it waits."""
    finished_frame_bytes: int
    """Size of one output frame as it waits to be written."""
    resized: bool = False
    """Whether frames of the method's size get another size."""
    margin_px: int = 0
    """LR pixels around a tile that its finished pixels depend on, beyond what the network sees."""
    canvas_bytes: int = 0
    """Size of the whole picture's noise, where a tile draws all of it."""
    waiting_lr_frames: int = 0
    """Input frames that are read ahead."""
    waiting_finished_frames: int = 0
    """Output frames that wait to be encoded."""
    shot_frames: int | None = None
    """The longest shot; None: unknown."""
    codec_bytes: int = 0
    """Memory of the decoder, and what a run takes whatever its pictures."""
    encoder: EncoderBytes = field(default_factory=EncoderBytes)
    encoded_frames: int = 0
    """How many frames the encoder is given in all."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a plan is made for: the input, what the user asks for, the method's figures, the memory that is free."""

    width: int
    """Width of the input, in pixels."""
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
    """Size of one value in the number format that the networks run in."""
    tile_px: int | None = None
    window_frames: int | None = None
    segment_frames: int | None = None
    whole_shots: bool = False
    """Whether segments are to be as long as memory allows, whole shots where that can be, unless the user says."""
    offload: AskedOffload = "auto"
    held: Held | None = None
    direct: bool = False
    """Whether frames go through one by one, without latents; see `limpid.method.Direct`."""
