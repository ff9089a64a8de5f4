"""What propagation does at the steps of Upscale-A-Video's authors, and at all late ones, to texture that is made up."""

from __future__ import annotations

from limpid.consistency.propagation import AUTHORS_STEPS, LatentPropagation
from limpid.metrics.detail import DetailStability, detail_stability

from .bars import make_clip
from .hallucination import Hallucinating, method, run, to_arrays

STEPS = 10
LATE = tuple(range(STEPS // 2, STEPS))


def measured(speed: int, steps: tuple[int | float, ...]) -> DetailStability:
    """M2 and M3 of a scene of 24 frames that moves by ``speed`` quarters of a latent pixel per frame."""
    given, prior = make_clip(24, 32, 48, speed=speed), Hallucinating(speed=speed)
    m = method(prior, LatentPropagation(steps=steps), steps=STEPS, window_overlap_frames=2, segment_grid_frames=6)
    return detail_stability(to_arrays(run(m, prior, given.lr)), given.flows)


def test_detail_is_more_coherent_by_the_authors_steps_and_more_so_by_all_late_ones() -> None:
    for speed in (0, 4):
        plain, authors, late = (measured(speed, steps) for steps in ((), AUTHORS_STEPS, LATE))
        assert plain.coherence + 0.05 < authors.coherence <= late.coherence
        assert late.incoherent_rms < 0.5 * plain.incoherent_rms
        assert late.coherent_rms > 0.8 * plain.coherent_rms
