"""Videos that a page carries inside: they start at 0, hold every frame, and look like what went in."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from writing import decode_all

from limpid.video import inline_mp4, probe


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(1790, 60)])
def test_frames_are_at_their_times_and_in_their_colours(fps: Fraction, tmp_path: Path) -> None:
    colours = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (120, 120, 120)] * 5
    frames = [np.full((48, 64, 3), colour, np.uint8) for colour in colours]
    path = tmp_path / "x.mp4"
    path.write_bytes(inline_mp4(frames, fps=fps, crf=16))
    decoded = decode_all(path)
    assert [round(float(frame.time) * fps, 2) for frame in decoded] == list(range(len(frames)))
    assert probe(path).color.matrix == 1
    for frame, colour in zip(decoded, colours, strict=True):
        middle = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()[24, 32].astype(int)
        assert abs(middle - colour).max() <= 6


def test_no_frames_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        inline_mp4([], fps=Fraction(25), crf=16)
