"""The point of all strategies: texture that a network makes up must not change from window to window.

A denoiser that makes up texture from its window's noise runs through the engine; the measures of stability, seams and
long ranges must fail when every window is left to itself and pass with strategies. Which one helps against what:

- propagation (along the flow) calms the texture of neighbouring frames, on moving scenes too, and forgets it after a
  few frames; where windows are lanes of their own it cannot reach over them;
- rescheduled noise keeps the texture over any length where the camera stands still, and does not calm single frames;
- the transition, like windows that overlap as much, hides where windows meet, and nothing else.
"""

from __future__ import annotations

import pytest

from .bars import COMPOSITIONS, STEPS, is_kept, is_stable, make_clip, no_seam, passed
from .hallucination import Hallucinating, method, run, to_arrays


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", set()),
        ("overlap", {"no seam"}),
        ("propagation", {"stable", "no seam"}),
        ("rescheduling", {"no seam", "kept"}),
        ("transition", {"no seam"}),
        ("rescheduling + transition", {"no seam", "kept"}),
        ("rescheduling + propagation", {"stable", "no seam", "kept"}),
        ("all three", {"stable", "no seam", "kept"}),
    ],
)
def test_texture_over_many_windows_of_a_scene_that_stands_still(name: str, expected: set[str]) -> None:
    given, chosen = make_clip(40, 24, 32, speed=0), COMPOSITIONS[name]
    prior = Hallucinating()
    out = to_arrays(run(method(prior, chosen.strategy, steps=STEPS, **chosen.changes), prior, given.lr))
    borders = range(chosen.meets, 40 - chosen.meets + 1, chosen.every)
    checks = {
        "stable": lambda: is_stable(out, given),
        "no seam": lambda: no_seam(out, given, borders),
        "kept": lambda: is_kept(out, given),
    }
    assert passed(checks) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", set()),
        ("rescheduling + transition", {"no seam"}),
        ("propagation", {"stable", "no seam"}),
        ("rescheduling + propagation", {"stable", "no seam"}),
        ("all three", {"stable"}),
    ],
)
def test_texture_over_many_windows_of_a_scene_that_moves(name: str, expected: set[str]) -> None:
    """By one LR pixel per frame. The same noise stays where it is on the screen, so it is the flow that helps."""
    given, chosen = make_clip(32, 32, 48, speed=4), COMPOSITIONS[name]
    prior = Hallucinating(speed=4)
    out = to_arrays(run(method(prior, chosen.strategy, steps=STEPS, **chosen.changes), prior, given.lr))
    borders = range(chosen.meets, 32 - chosen.meets + 1, chosen.every)
    checks = {"stable": lambda: is_stable(out, given), "no seam": lambda: no_seam(out, given, borders)}
    assert passed(checks) == expected
