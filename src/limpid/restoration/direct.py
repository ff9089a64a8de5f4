"""One step without a latent: frames of a chunk go straight from LR to finished pixels, for methods that can.

The slow twin is the loop: `limpid.restoration.loop.sample_segment` with one step, from the mean of its noise.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from limpid.color import low_pass_error
from limpid.method import Direct, DirectFrame, Method, Strategy
from limpid.restoration.chunk import Chunk
from limpid.restoration.times import Times
from limpid.settings import Settings
from limpid.types import ColorFix


def is_direct(method: Method, settings: Settings) -> bool:
    """Whether a run goes without latents: one step from pure noise, and nothing that looks at latents."""
    one_step = method.num_steps(settings) == 1 and settings.strength == 1.0 and method.start == "noise"
    plain = type(method.strategy) is Strategy and method.guidance is None and method.attention is None
    # Statistics of whole frames are taken of frames as they are, in a pass of their own.
    simple = (settings.color or method.color) != "adain" and settings.window_frames is None
    return method.cost.direct_bytes_per_px > 0 and one_step and plain and simple


def without_noise(method: Method, settings: Settings) -> list[str]:
    """A sentence where a seed was given to a run that draws nothing."""
    draws_nothing = "steps" not in method.options
    if settings.seed == 0 or not (draws_nothing or is_direct(method, settings)):
        return []
    why = "draws nothing" if draws_nothing else "in one step starts from the mean of the noise"
    return [f"seed {settings.seed} has no effect: {method.name} {why}"]


def direct_frames(
    direct: Direct, part: Chunk, device: torch.device, times: Times
) -> Iterator[tuple[int, Tensor, DirectFrame]]:
    """Number among the core's frames, LR frame ``3 h w`` and result of each frame of the core, in order."""
    waiting: list[Tensor] = []

    def noted() -> Iterator[Tensor]:
        for index in range(len(part.frames)):
            frame = part.frame(index).to(device)
            waiting.append(frame)
            yield part.told(index, frame)

    frames = direct(noted())
    for index in range(part.core.stop):
        with times.measure("network"):
            frame = next(frames)
        own = waiting.pop(0)
        if index in part.core:
            yield index - part.core.start, own, frame


def corrected(frame: DirectFrame, lr: Tensor, color: ColorFix, scale: int) -> Tensor | None:
    """What has to be added to the LR frame, so that the result gets its low frequencies; None: nothing."""
    return low_pass_error(lr, frame.shrunk(), scale) if color == "wavelet" else None
