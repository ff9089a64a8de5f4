"""Noise that depends on (seed, stream, frame, step) and on nothing else: not on segments, tiles, workers or order.

It is drawn on the CPU in float32 for the whole canvas of one frame, and sliced where a tile is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import torch
from torch import Tensor

from limpid.types import Step

NoiseStream = Literal["init", "ancestral", "lr", "encode"]


def noise_key(seed: int, stream: NoiseStream, frame: int, step: int) -> int:
    """The seed of one frame's noise: 63 bits of a hash, so that neighbouring frames, steps and seeds share nothing."""
    digest = hashlib.blake2b(f"{seed}/{stream}/{frame}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def noise(seed: int, stream: NoiseStream, frame: int, step: int, channels: int, height: int, width: int) -> Tensor:
    """Standard normal ``c h w`` of one absolute frame, float32 on the CPU."""
    return noise_clip(seed, stream, [frame], step, channels, height, width)[0, :, 0]


def noise_clip(
    seed: int, stream: NoiseStream, frames: Sequence[int], step: int, channels: int, height: int, width: int
) -> Tensor:
    """Standard normal ``1 c t h w`` for absolute ``frames``; a frame listed twice has the same noise twice.

    Frames lie one after the other in memory, so that each is drawn where it stays.
    """
    clip = torch.empty(len(frames), channels, height, width)

    def draw(picture: Tensor, frame: int) -> None:
        generator = torch.Generator().manual_seed(noise_key(seed, stream, frame, step))
        torch.randn(channels, height, width, generator=generator, out=picture)

    # one generator keeps one processor busy; frames share nothing, so they are drawn side by side
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        list(pool.map(draw, clip, frames))
    return clip.transpose(0, 1)[None]


def start_scale(step: Step) -> float:
    """Standard deviation of pure noise at the first step: 1 for variance preserving levels, sigma for EDM."""
    return step.sigma if step.alpha == 1.0 else (step.alpha**2 + step.sigma**2) ** 0.5


def add_noise(x0: Tensor, noise_like: Tensor, step: Step) -> Tensor:
    """The forward process to the start of ``step``: ``alpha x0 + sigma noise`` (Ho et al. 2020, DDPM Eq. 4)."""
    return step.alpha * x0 + step.sigma * noise_like
