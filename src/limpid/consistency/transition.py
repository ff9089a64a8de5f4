"""Noise rescheduling and interweaved latent transition (DiffVSR section 3.4): two strategies that go together.

Overlapping windows of a shot are denoised each with latents of their own, from the same few noise frames in changing
order, and what neighbours made of their common frames is blended once, after the last step. Each half also works
without the other; `limpid.consistency.combine` puts them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import torch
from torch import Tensor

from limpid.method import Lane, Strategy
from limpid.tiling.plan import overlapping_spans
from limpid.types import Segment, SettingsError, Window

COMPAT_LEAST = 0.2
"""The released code leaves each neighbour at least this share of every common frame."""


def fuse_latents(left: Tensor, right: Tensor, weights: Tensor) -> Tensor:
    """DiffVSR Eq. 4: the common frames of two windows as one, ``alpha_j left + (1 - alpha_j) right``.

    ``left`` and ``right``: ``b c p h w``; ``weights``: ``p``, the share ``alpha_j`` of ``left`` in each frame.
    """
    alpha = weights.to(left).reshape(-1, 1, 1)
    return alpha * left + (1 - alpha) * right


def linear_weights(count: int) -> Tensor:
    """The weights of DiffVSR Eq. 4, ``alpha_j = 1 - j / (P - 1)``: from all of the left window to all of the right one.

    A single common frame is half of each.
    """
    return torch.linspace(1.0, 0.0, count) if count > 1 else torch.full((1,), 0.5)


def compat_weights(count: int) -> Tensor:
    """The released code's weights of common frames, 0.8 to 0.2: `linear_weights`, but never all of one neighbour."""
    return COMPAT_LEAST + (1 - 2 * COMPAT_LEAST) * linear_weights(count)


def reschedule(
    frame_in_shot: int,
    shot: int,
    seed: int,
    window: int = 8,
    overlap: int = 4,
    given: Sequence[Sequence[int]] = (),
) -> int:
    """The frame of the shot, one of the first ``window`` (N_test), whose noise a frame takes (DiffVSR section 3.4).

    Each group of ``overlap`` frames takes the noise of the group ``window`` frames earlier, in an order drawn from
    (seed, shot, group). So all windows that begin at a multiple of ``overlap`` hold the same noise frames, each once.
    ``given`` has source frames for the first groups after the first window, in place of drawn ones. Raises
    SettingsError unless ``window`` is a multiple of ``overlap``.
    """
    check_groups(window, overlap)
    # from group to earlier group, until one of eps_1 ... eps_N_test is reached
    while frame_in_shot >= window:
        group, place = divmod(frame_in_shot, overlap)
        listed = group - window // overlap
        if listed < len(given):
            frame_in_shot = given[listed][place]
        else:
            frame_in_shot = group * overlap - window + group_order(overlap, shot, seed, group)[place]
    return frame_in_shot


@lru_cache(maxsize=4096)
def group_order(count: int, shot: int, seed: int, group: int) -> tuple[int, ...]:
    """A permutation of ``range(count)`` that is the same for every Python version and machine."""

    def draw(place: int) -> bytes:
        return blake2b(f"reschedule/{seed}/{shot}/{group}/{place}".encode(), digest_size=8).digest()

    return tuple(sorted(range(count), key=draw))


def check_groups(window: int, overlap: int) -> None:
    if not 0 < overlap < window or window % overlap:
        raise SettingsError(
            f"windows of {window} frames that overlap by {overlap} have no whole groups of noise frames; "
            "the window must be a multiple of the overlap, and longer"
        )


@dataclass(frozen=True, kw_only=True)
class NoiseRescheduling(Strategy):
    """Noise rescheduling: all windows of a shot start from the same noise frames in changing order (`reschedule`)."""

    window_frames: int = 8
    overlap_frames: int = 4
    permutation_compat: tuple[tuple[int, ...], ...] = ()
    """Source frames (numbers in the shot) for the groups after the first window, as a run of the released code drew."""

    def __post_init__(self) -> None:
        check_groups(self.window_frames, self.overlap_frames)
        for i, sources in enumerate(self.permutation_compat):
            group = self.window_frames + i * self.overlap_frames
            if len(sources) != self.overlap_frames or not all(0 <= source < group for source in sources):
                raise SettingsError(f"frames {group} and on take the noise of {sources}: earlier frames are needed")

    def noise_frames(self, frames: Sequence[int], segment: Segment, seed: int) -> Sequence[int]:
        first, lengths = segment.shot_start, (self.window_frames, self.overlap_frames)
        given = self.permutation_compat
        return [first + reschedule(frame - first, segment.shot, seed, *lengths, given) for frame in frames]


@dataclass(frozen=True, kw_only=True)
class LatentTransition(Strategy):
    """Interweaved latent transition: windows are denoised to the end, then neighbours are blended once (DiffVSR Eq. 4).

    Windows lie on a grid counted from the shot's first frame, so that the method's segments should start on it
    (``segment_grid_frames`` = window less overlap); the last window of a shot is shifted back to full length, and a
    shot that is shorter than a window is one.
    """

    window_frames: int = 8
    overlap_frames: int = 4
    fusion_compat: bool = False
    """Whether common frames have the weights of the released code, see `compat_weights`."""
    padding_compat: bool = False
    """The released code's last window: the shot is continued by reflection to a multiple of the window, and the window
    not shifted back."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap_frames < self.window_frames:
            raise SettingsError(
                f"windows of {self.window_frames} frames cannot overlap by {self.overlap_frames}; "
                f"the overlap must be 0 to {self.window_frames - 1}"
            )

    def lanes(self, segment: Segment) -> tuple[Lane, ...]:
        # L_0, L_1, ... L_N: windows on the grid of the shot, over the segment with its halo
        halo = segment.halo
        padding = -(segment.shot_stop - segment.shot_start) % self.window_frames
        padding = padding if self.padding_compat and halo.stop == segment.shot_stop else 0
        offset = halo.start - segment.shot_start
        spans = overlapping_spans(len(halo) + padding, self.window_frames, self.overlap_frames, offset)
        lanes: list[Lane] = []
        for start, stop in ((halo.start + span.start, halo.start + span.stop) for span in spans):
            end = min(stop, halo.stop)
            lanes.append(Lane(window=Window(start=start, stop=end), padding=stop - end))
        return tuple(lanes)

    def merge(self, left: Tensor, right: Tensor) -> Tensor:
        weights = compat_weights if self.fusion_compat else linear_weights
        return fuse_latents(left, right, weights(left.shape[2]))
