"""The interface of autoencoders to the engine, and the checks and layouts that are the same for all."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

LOGVAR_RANGE = (-30.0, 20.0)


class Autoencoder(Protocol):
    """An autoencoder: frames to latents and back.

    Frames and latents are folded: ``(b t)`` with all frames of a clip in order.
    """

    config: Any
    """``scaling_factor``: what a mean is multiplied with to become the latent that is denoised; `decode` expects it
    to be divided out again. ``lr_condition``: whether `decode` needs the LR frames."""

    def encode(self, frames: Tensor, num_frames: int = 1) -> tuple[Tensor, Tensor]:
        """``(b t) 3 H W`` in [-1, 1] to mean and log variance, ``(b t) z h w`` each; the mean is not scaled."""
        ...

    def decode(self, z: Tensor, num_frames: int = 1, lr: Tensor | None = None, lr_weight: float = 1.0) -> Tensor:
        """``(b t) z h w`` to ``(b t) 3 H W``, about [-1, 1], not clamped.

        ``lr``: ``(b t) 3 h w`` in [-1, 1], the LR frames, which only some autoencoders look at; ``lr_weight``: how
        strongly, 0 to 1. Memory is least and the calls are fastest without autograd.
        """
        ...


def split_moments(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance of latents ``n 2z h w``, the latter clamped so that its exponential stays finite."""
    mean, logvar = moments.chunk(2, dim=1)
    return mean, logvar.clamp(*LOGVAR_RANGE)


def checked_frames(frames: Tensor, num_frames: int, channels: int, multiple: int) -> Tensor:
    """Frames or latents in channels_last memory. Raises ValueError when they cannot be worked on as they are."""
    if frames.ndim != 4 or frames.shape[1] != channels:
        raise ValueError(f"expected frames folded into the batch, (b t) {channels} h w, not {tuple(frames.shape)}")
    if num_frames < 1 or frames.shape[0] % num_frames:
        raise ValueError(f"{frames.shape[0]} frames are not whole clips of {num_frames}")
    if frames.shape[2] % multiple or frames.shape[3] % multiple:
        raise ValueError(f"height and width must be multiples of {multiple}, not {tuple(frames.shape[2:])}")
    return frames.contiguous(memory_format=torch.channels_last)


def checked_lr(lr: Tensor | None, z: Tensor, channels: int, per_latent: int = 1) -> Tensor:
    """LR frames in channels_last memory. ``per_latent``: LR pixels per latent pixel, along one axis.

    Raises ValueError when LR frames are needed and do not fit the latents ``z``.
    """
    if lr is None:
        raise ValueError("this decoder is conditioned on the LR frames; give lr, or where it may lr_weight 0")
    wanted = (z.shape[0], channels, *(per_latent * edge for edge in z.shape[2:]))
    if tuple(lr.shape) != wanted:
        size = f"{per_latent} times the size of the latents"
        raise ValueError(f"lr must have the frames and {size}, {wanted}, not {tuple(lr.shape)}")
    return lr.to(z.dtype).contiguous(memory_format=torch.channels_last)
