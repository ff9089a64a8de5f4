"""The one loop: every method, local or blended, with any strategy, runs through `sample_segment`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from limpid.types import ColorFix, Method, Prior, Segment, Step


def sample_segment(
    method: Method,
    prior: Prior,
    lr: Tensor,
    segment: Segment,
    *,
    steps: tuple[Step, ...],
    seed: int,
    strength: float = 1.0,
    tile_px: int | None = None,
    window_frames: int | None = None,
    color: ColorFix | None = None,
    on_step: Callable[[int, int], None] | None = None,
    carry_in: Mapping[str, Tensor] | None = None,
    carry_out: dict[str, Tensor] | None = None,
) -> Tensor:
    """Restores one segment.

    ``lr``: the frames of ``segment.halo``, ``t 3 h w`` float32 in [0, 1], on the device to work on. ``steps``: the
    whole schedule, ``method.make_schedule(n)``; ``strength`` in (0, 1] is applied here. ``tile_px`` (LR pixels, with
    the overlap of blended methods, without the halo of local ones) and ``window_frames`` override the method's.
    ``on_step(done, total)`` is called after each step and may raise to stop. Returns the frames of ``segment.core``,
    ``t 3 H W`` float32 in [0, 1] with ``H = h * method.scale``.
    """
    raise NotImplementedError
