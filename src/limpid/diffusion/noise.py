"""Noise that depends on (seed, stream, frame, step) and on nothing else: not on segments, tiles, workers or order.

It is drawn on the CPU in float32 for the whole canvas of one frame, and sliced where a tile is needed. A canvas too
large to be drawn again for every tile consists of blocks with generators of their own, and a tile draws those that it
touches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from limpid.types import Step

NoiseStream = Literal["init", "ancestral", "lr", "encode"]


MOST_WHOLE_VALUES = 1 << 26
"""Values of one frame's canvas that are drawn at once, at most; a larger one is drawn block by block."""
BLOCK_PX = 32
"""Edge of a block, in latent pixels."""


def noise_key(seed: int, stream: NoiseStream, frame: int, step: int, block: tuple[int, int] | None = None) -> int:
    """63 bits out of a hash, so that neighbouring frames, steps, seeds and blocks share nothing."""
    place = "" if block is None else f"/{block[0]}/{block[1]}"
    digest = hashlib.blake2b(f"{seed}/{stream}/{frame}/{step}{place}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def noise(seed: int, stream: NoiseStream, frame: int, step: int, channels: int, height: int, width: int) -> Tensor:
    """Standard normal ``c h w`` of one absolute frame, float32 on the CPU."""
    return noise_clip(seed, stream, [frame], step, channels, height, width)[0, :, 0]


def noise_clip(
    seed: int,
    stream: NoiseStream,
    frames: Sequence[int],
    step: int,
    channels: int,
    height: int,
    width: int,
    *,
    rows: range | None = None,
    columns: range | None = None,
) -> Tensor:
    """Standard normal ``1 c t h w`` for absolute ``frames``; a frame listed twice has the same noise twice.

    Args:
        height, width: of the whole canvas, which decide the values.
        rows, columns: the part of the canvas that is wanted; None: all of it.

    Frames lie one after the other in memory, so that each is drawn where it stays.
    """
    rows, columns = rows or range(height), columns or range(width)
    clip = torch.empty(len(frames), channels, len(rows), len(columns))
    whole = (len(rows), len(columns)) == (height, width)

    def draw(picture: Tensor, frame: int) -> None:
        if channels * height * width > MOST_WHOLE_VALUES:
            _draw_blocks(picture, partial(noise_key, seed, stream, frame, step), rows, columns)
            return
        generator = torch.Generator().manual_seed(noise_key(seed, stream, frame, step))
        if whole:
            torch.randn(channels, height, width, generator=generator, out=picture)
        else:
            canvas = torch.randn(channels, height, width, generator=generator)
            picture.copy_(canvas[:, rows.start : rows.stop, columns.start : columns.stop])

    # One generator keeps one processor busy; frames share nothing, so they are drawn side by side. Where each takes a
    # whole canvas to draw a part, that is one at a time.
    with ThreadPoolExecutor(max_workers=torch.get_num_threads() if whole else 1) as pool:
        list(pool.map(draw, clip, frames))
    return clip.transpose(0, 1)[None]


def _draw_blocks(picture: Tensor, key: Callable[[tuple[int, int]], int], rows: range, columns: range) -> None:
    """Fills ``c h w`` with the part of a canvas that lies under ``rows`` and ``columns``."""
    for down in range(rows.start // BLOCK_PX, -(-rows.stop // BLOCK_PX)):
        for right in range(columns.start // BLOCK_PX, -(-columns.stop // BLOCK_PX)):
            generator = torch.Generator().manual_seed(key((down, right)))
            block = torch.randn(len(picture), BLOCK_PX, BLOCK_PX, generator=generator)
            (there, here), (there_x, here_x) = _shared(down, rows), _shared(right, columns)
            picture[:, there, there_x] = block[:, here, here_x]


def _shared(block: int, wanted: range) -> tuple[slice, slice]:
    """What a block and a part of an axis have in common, counted from the beginning of the part and of the block."""
    origin = block * BLOCK_PX
    start, stop = max(origin, wanted.start), min(origin + BLOCK_PX, wanted.stop)
    return slice(start - wanted.start, stop - wanted.start), slice(start - origin, stop - origin)


def start_scale(step: Step) -> float:
    """Standard deviation of pure noise at the first step: 1 for variance preserving levels, sigma for EDM."""
    return step.sigma if step.alpha == 1.0 else (step.alpha**2 + step.sigma**2) ** 0.5


def add_noise(x0: Tensor, noise_like: Tensor, step: Step) -> Tensor:
    """The forward process to the start of ``step``: ``alpha x0 + sigma noise`` (Ho et al. 2020, DDPM Eq. 4)."""
    return step.alpha * x0 + step.sigma * noise_like
