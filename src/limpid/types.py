"""The nouns of Limpid: small frozen dataclasses that validate themselves, and the errors users see.

This module imports neither torch nor PyAV, so that planning, the command line and the journal stay light.
Conventions: frames are float32 RGB in [0, 1], ``t c h w``; latents are ``b c t h w``; frame ranges are half open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

ColorFix = Literal["wavelet", "adain", "none"]
"""How the colours of finished frames are held to those of the input."""
Offload = Literal["none", "model", "group"]
"""Everything stays on the device; one network (text encoder, denoiser, autoencoder) at a time; layers in turn."""
LUMA_BT601 = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601), for whatever looks at brightness: flow, edges, detail."""


# ---------------------------------------------------------------------------------------------- errors


class LimpidError(Exception):
    """A problem that is explained to the user in one sentence; ``exit_code`` is what the command returns."""

    exit_code = 1


class SettingsError(LimpidError, ValueError):
    """An option is unknown, out of range, or has no effect with the chosen method."""

    exit_code = 2


class InputError(LimpidError):
    """The input cannot be used: missing, not readable, not a video, nothing decodable in it."""

    exit_code = 3


class OutputError(LimpidError):
    """The output cannot be written: it exists, no permission, disk full, codec and container do not go together."""

    exit_code = 4


class ResourceError(LimpidError):
    """Too little memory or disk space, also after every fallback."""

    exit_code = 5


class WeightsError(LimpidError):
    """Weights of a method are missing, incomplete, not what they claim to be, or refused because they could do harm."""

    exit_code = 6


class Interrupted(LimpidError):  # noqa: N818  (not an error of anyone)
    """Stopped by the user; finished segments are kept and the same command goes on."""

    exit_code = 130


# ----------------------------------------------------------------------------------------------- video


@dataclass(frozen=True, kw_only=True, slots=True)
class ColorTags:
    """Colour description by ITU-T H.273 code points (2 = unspecified)."""

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False


class Extras(NamedTuple):
    """What a film says of itself besides pixels and colours, as far as it can be passed on."""

    mastering: str | None = None
    """The mastering display, ``G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`` in units of 1/50000 and 1/10000 cd/m2."""
    light_level: tuple[int, int] | None = None
    """Brightest pixel and brightest average of a frame (MaxCLL, MaxFALL), cd/m2."""
    stereo: str | None = None
    """How two views lie in the picture, by Matroska's names: ``left_right``."""
    timecode: str | None = None
    """Time code of the first frame, ``01:00:00:00``."""


class HiddenEdges(NamedTuple):
    """Columns and rows of stored pictures that a container says are not to be shown."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


NO_EXTRAS, NO_HIDDEN_EDGES = Extras(), HiddenEdges()


@dataclass(frozen=True, kw_only=True, slots=True)
class SideStream:
    """A stream that is carried over untouched: audio, subtitle, attachment or data."""

    index: int
    kind: Literal["audio", "subtitle", "attachment", "data", "video"]
    codec: str
    language: str | None = None
    title: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """What is known of an input before any frame is decoded.

    ``width`` and ``height`` are those of the frames as they are delivered: upright, after rotation, square or not
    (``sample_aspect`` is kept, not applied). ``fps`` is the nominal rate, exact; ``time_base`` the unit of timestamps.
    """

    path: str
    kind: Literal["video", "images"]
    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    codec: str
    pix_fmt: str
    bit_depth: int
    container: str = ""
    sample_aspect: Fraction = Fraction(1)
    rotation: int = 0
    """Degrees clockwise that the file asks players to turn the picture; already applied to width, height and frames."""
    mirrored: bool = False
    """The file asks players to mirror the picture left to right before turning it; already applied to frames."""
    crop: HiddenEdges = NO_HIDDEN_EDGES
    """What the container hides of the stored picture; already applied to width, height and frames."""
    color: ColorTags = ColorTags()
    has_alpha: bool = False
    field_order: Literal["progressive", "tt", "bb", "tb", "bt", "unknown"] = "unknown"
    duration_s: float | None = None
    num_frames: int | None = None
    """As the header says, a hint only; `Timeline` has the truth."""
    size_bytes: int = 0
    side_streams: tuple[SideStream, ...] = ()
    image_paths: tuple[str, ...] = ()
    extras: Extras = NO_EXTRAS
    fps_assumed: bool = False
    """Images without a rate that anyone named: it matters where they become a film."""
    stream_index: int | None = None
    """Number of the video stream in the file; None takes the one that `limpid.video.probe` would choose."""
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    """What was assumed or cannot be kept, in sentences; `Timeline.warnings` repeats them."""

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise InputError(f"{self.path}: the picture size {self.width}x{self.height} cannot be used")


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """Every frame that is shown, found by decoding the input once from end to end.

    ``pts`` are strictly increasing presentation times in ``time_base``; ``cuts`` holds the first frame of each shot and
    starts with 0. ``warnings`` says in sentences what was damaged, missing or assumed.
    """

    pts: tuple[int, ...]
    time_base: Fraction
    cuts: tuple[int, ...]
    last_duration: int
    """How long the last frame is shown, in ``time_base``."""
    interlaced: bool = False
    seekable: bool = False
    """True when decoding from an earlier key frame was seen to be sound for this kind of file."""
    damaged: bool = False
    """True when parts could not be decoded cleanly; decoding then runs on one thread, so that it is repeatable."""
    clock_shifts: tuple[int, ...] = ()
    """Joined recordings: what was added to the file's own times after the first, second ... restart of its clock, in
    ``time_base``; sound and subtitles are moved by the same."""
    changing_sound: tuple[int, ...] = ()
    """Sound streams, by number, whose codec or configuration changes on the way: packets cannot be copied."""
    closed_captions: bool = False
    """Whether pictures have captions (CEA-608/708) inside."""
    warnings: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        return len(self.pts)

    def shots(self) -> list[tuple[int, int]]:
        """Half-open frame ranges of the shots, in order."""
        ends = [*self.cuts[1:], self.num_frames]
        return list(zip(self.cuts, ends, strict=True))


class VideoFrame(NamedTuple):
    """One picture: ``pixels`` is ``h w 3`` (RGB) or ``h w 4`` (RGBA), uint8 or full-scale uint16."""

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs on a frame
    pixels: np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSpec:
    """How frames are encoded. Sizes are those of the encoded picture (even where 4:2:0 asks for it)."""

    codec: Literal["h264", "h265", "av1", "ffv1", "prores", "images"]
    container: Literal["mp4", "mkv", "mov", "images"]
    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    crf: int = 16
    bit_depth: int = 8
    preset: str | None = None
    sample_aspect: Fraction = Fraction(1)
    color: ColorTags = ColorTags()
    alpha: bool = False
    threads: int = 2
    image_format: str = "png"
    extras: Extras = NO_EXTRAS
    """What of the source's is written, too."""
    encoder: str = "software"
    """Or one of the graphics processor's, see `limpid.video.hardware`."""


# ------------------------------------------------------------------------------------------------ plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A half-open range of frames that the network sees at once."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"window [{self.start}, {self.stop}) is empty or negative")

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A rectangle of the latent canvas, half open: rows ``top:bottom``, columns ``left:right``."""

    top: int
    bottom: int
    left: int
    right: int

    def __post_init__(self) -> None:
        if not (0 <= self.top < self.bottom and 0 <= self.left < self.right):
            raise ValueError(f"tile rows [{self.top}, {self.bottom}), columns [{self.left}, {self.right}) is empty")

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """The unit of work and of durability: ``core`` frames are produced, ``halo`` (which contains core) are read.

    Both are absolute frame numbers of the input, inside one shot: ``shot_start <= halo.start <= core.start``.
    """

    index: int
    shot: int
    shot_start: int
    shot_stop: int
    core: Window
    halo: Window

    def __post_init__(self) -> None:
        inside = self.shot_start <= self.halo.start <= self.core.start
        if not (inside and self.core.stop <= self.halo.stop <= self.shot_stop):
            raise ValueError(f"segment {self.index}: core {self.core} must lie in halo {self.halo} inside its shot")


# ------------------------------------------------------------------------------------------- diffusion


class Prediction(NamedTuple):
    """What a denoiser says of a noisy latent ``z = alpha x0 + sigma eps``; both ``b c t h w``."""

    x0: Tensor
    eps: Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of a schedule from ``(alpha, sigma)`` to ``(alpha_next, sigma_next)``; ``z = alpha x0 + sigma eps``.

    Variance preserving schedules have alpha^2 + sigma^2 = 1, EDM has alpha = 1. ``t`` is what the network was trained
    to be told: a timestep index, or ``ln(sigma) / 4`` for EDM.
    """

    index: int
    count: int
    t: float
    alpha: float
    sigma: float
    alpha_next: float
    sigma_next: float
    noise_range: tuple[float, float] | None = None
    """`noise` of the first and of the last step of the whole schedule, which a run of less strength only ends with."""

    @property
    def noise(self) -> float:
        """Noise per signal, ``sigma / alpha``: what EDM calls sigma, whatever the schedule."""
        return self.sigma / self.alpha if self.alpha else math.inf

    @property
    def is_last(self) -> bool:
        return self.index == self.count - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Which frames a prior is shown: what its noise and its prompt depend on besides their pixels."""

    seed: int
    frames: range
    """Absolute frame numbers."""
    shot: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a prior runs and in which number format, and what of it stays on the device between calls."""

    device: torch.device
    dtype: torch.dtype
    offload: Offload = "none"
    compile: bool = False
    """Whether the denoiser is compiled by ``torch.compile``: slower to start, faster afterwards."""
    runtime: str = "torch"
    """What the network runs in: torch or ncnn."""
    threads: int = 1
    """Processor threads of a runtime that is not told by PyTorch."""
    vulkan: int | None = None
    """Number of the Vulkan device that ncnn computes on; None: the processor."""


Progress = Callable[[dict[str, Any]], None]
"""Receives events: ``{"event": "segment", ...}``; see `limpid.run.events`."""

Frames = Sequence[VideoFrame]
