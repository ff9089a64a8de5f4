"""What rows and trainings would take on one GPU, estimated from what one call of each network took on a processor.

No GPU was at hand. `CALLS` are the measured parts of docs/performance.md (float32, one thread). MGLD Table 6 says what
an A100 takes for one of the four methods, in 50 steps of windows of 5 frames without overlap; the same parts on our
thread take 631 times as long, and that factor is taken for all. So a number here is right to a factor of two or so at
best: another method may use a GPU better or worse, and metrics, reading and writing are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limpid.bench.papers.kinds import PaperRow
from limpid.bench.worker import RECONSTRUCT


@dataclass(frozen=True, kw_only=True)
class NetworkCall:
    """One measured call of a network: processor seconds for ``frames`` of ``lr_px`` pixels of the input each."""

    seconds: float
    frames: int
    lr_px: int

    @property
    def per_pixel(self) -> float:
        """Seconds for one pixel of one frame of the input."""
        return self.seconds / (self.frames * self.lr_px)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a method works through a clip."""

    denoise: NetworkCall
    decode: NetworkCall | None
    """None: not measured, and left out."""
    steps: int
    calls: int
    """Network calls of a step, guidance included."""
    window: tuple[int, int]
    """Frames of a window, and from one window to the next."""
    tile: tuple[int, int] | None = None
    """LR pixels of a tile's edge, and from one tile to the next; None: whole pictures."""
    decode_chunk: tuple[int, int] = (8, 6)


CALLS = {
    "sd-x4-upscaler": NetworkCall(seconds=27.2, frames=8, lr_px=64 * 64),
    "upscale-a-video": NetworkCall(seconds=45.0, frames=8, lr_px=64 * 64),
    "diffvsr": NetworkCall(seconds=47.0, frames=8, lr_px=64 * 64),
    "mgld-vsr": NetworkCall(seconds=63.0, frames=5, lr_px=128 * 128),
    "dc-vsr": NetworkCall(seconds=296.0, frames=14, lr_px=128 * 128),
    "image decoder": NetworkCall(seconds=14.3, frames=8, lr_px=32 * 32),
    "upscale-a-video decoder": NetworkCall(seconds=32.2, frames=8, lr_px=32 * 32),
    "diffvsr decoder": NetworkCall(seconds=43.3, frames=8, lr_px=32 * 32),
    "mgld-vsr decoder": NetworkCall(seconds=20.4, frames=2, lr_px=48 * 48),
}
"""docs/performance.md, "one call ..." of each section."""

_A100_SECONDS = 1.113
"""MGLD Table 6: MGLD-VSR, per frame of 128x128 made 512x512, 50 steps, an A100."""
GPU_FACTOR = (50 * CALLS["mgld-vsr"].per_pixel + CALLS["mgld-vsr decoder"].per_pixel) * 128 * 128 / _A100_SECONDS
"""Seconds of our thread that an A100 does in one."""

SAMPLING = {
    "sd-x4-upscaler": Sampling(
        denoise=CALLS["sd-x4-upscaler"], decode=CALLS["image decoder"], steps=30, calls=2, window=(8, 6)
    ),
    "upscale-a-video": Sampling(
        denoise=CALLS["upscale-a-video"], decode=CALLS["upscale-a-video decoder"], steps=30, calls=2, window=(8, 6)
    ),
    "diffvsr": Sampling(
        denoise=CALLS["diffvsr"],
        decode=CALLS["diffvsr decoder"],
        steps=50,
        calls=2,
        window=(8, 4),
        decode_chunk=(6, 4),
    ),
    "mgld-vsr": Sampling(
        denoise=CALLS["mgld-vsr"],
        decode=CALLS["mgld-vsr decoder"],
        steps=50,
        calls=1,
        window=(5, 3),
        tile=(128, 64),
        decode_chunk=(5, 3),
    ),
    "dc-vsr": Sampling(denoise=CALLS["dc-vsr"], decode=None, steps=25, calls=2, window=(14, 7), tile=(128, 64)),
}

SET_SIZES = {
    "reds4": (4, 100, 320, 180),
    "reds30": (30, 100, 320, 180),
    "udm10": (10, 32, 318, 180),
    "spmcs": (30, 31, 240, 135),
    "youhq40": (40, 32, 480, 270),
    "videolq": (50, 100, 640, 360),
}
"""Clips, frames of each, width and height of the input. VideoLQ's clips vary: the most it can be. MVSR4x: not known."""


def row_hours(row: PaperRow, dataset: str) -> float | None:
    """GPU hours of a row on a data set; None where it is not known, 0 for what takes no GPU."""
    if dataset not in SET_SIZES:
        return None
    clips, frames, width, height = SET_SIZES[dataset]
    seconds = clip_seconds(row.method, row.changes, frames, width, height)
    return None if seconds is None else clips * seconds / GPU_FACTOR / 3600


def clip_seconds(method: str, changes: Mapping[str, Any], frames: int, width: int, height: int) -> float | None:
    """Seconds of our thread for one clip."""
    if method == "bicubic":
        return 0.0
    if method == RECONSTRUCT:
        return frames * width * height * CALLS["diffvsr decoder"].per_pixel
    if method not in SAMPLING:
        return None
    how = SAMPLING[method]
    pixels = _covered(width, how.tile) * _covered(height, how.tile)
    calls = how.steps * how.calls * _more_calls(method, changes)
    denoising = calls * _covered(frames, how.window) * pixels * how.denoise.per_pixel
    decoder = CALLS["image decoder"] if changes.get("autoencoder") == "image" else how.decode
    decoding = _covered(frames, how.decode_chunk) * width * height * (decoder.per_pixel if decoder else 0.0)
    return denoising + decoding


def _more_calls(method: str, changes: Mapping[str, Any]) -> float:
    """SAG and PAG make three calls of two; SAP, in every second step, runs all tiles twice (DC-VSR section 3)."""
    guidance = 1.5 if changes.get("guidance") in ("sag", "pag") else 1.0
    attention = changes.get("attention", "sap+tap" if method == "dc-vsr" else "none")
    return guidance * (1.5 if "sap" in attention else 1.0)


def _covered(size: int, piece: tuple[int, int] | None) -> int:
    """What pieces of a length and stride compute of a size, overlaps counted as often as they are."""
    if piece is None or size <= piece[0]:
        return size
    length, stride = piece
    return (1 + -(-(size - length) // stride)) * length


@dataclass(frozen=True, kw_only=True)
class TrainingStage:
    """What counts for the time of one stage of a training."""

    steps: int
    batch: int
    frames: int
    crop_px: int
    """Edge of the HR crop."""


_BACKWARD = 4
"""Forward calls that a step is worth: one, the same again for checkpointed gradients, and twice for going back."""


def training_hours(network: str, stages: list[TrainingStage]) -> float | None:
    """GPU hours of a training of a network in `CALLS`; the critic, LPIPS and making clips are not in it."""
    if network not in CALLS:
        return None
    lr_pixels = sum(stage.steps * stage.batch * stage.frames * (stage.crop_px // 4) ** 2 for stage in stages)
    return _BACKWARD * lr_pixels * CALLS[network].per_pixel / GPU_FACTOR / 3600


def network_of(recipe: str) -> str:
    """The key of `CALLS` that a recipe trains."""
    method, _, what = recipe.partition("/")
    return f"{method} decoder" if what.startswith("vae") else method


def hours_text(hours: float | None) -> str:
    """``2.9 h``, ``14 min``, ``40 days``."""
    if hours is None:
        return "not known"
    if hours >= 72:
        return f"{hours / 24:.0f} days"
    if hours >= 1:
        return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"
    return f"{hours * 60:.0f} min" if hours * 60 >= 1 else "none"
