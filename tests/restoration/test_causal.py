"""Methods whose frame depends on the decoded frame before it: the hooks, the order, and what segments hand on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import CPU, FakeCondition, PixelPrior, method, segment_of, video
from torch import Tensor

import limpid
from limpid.cuts.blended import Blended
from limpid.method import Lane, LaneContext, Method, Strategy
from limpid.methods import METHODS
from limpid.restoration.chunk import Chunk
from limpid.restoration.loop import sample_segment
from limpid.types import Segment, Window
from limpid.video import FrameReader, probe, scan

WEIGHT = 0.5


@dataclass(frozen=True, kw_only=True)
class FrameByFrame(Strategy):
    """The network is told half of the frame's own LR pixels and half of the picture that the frame before became."""

    carries: bool = True
    causal: bool = True

    def lanes(self, segment: Segment) -> tuple[Lane, ...]:
        return tuple(Lane(window=Window(start=i, stop=i + 1)) for i in range(segment.halo.start, segment.halo.stop))

    def on_condition(self, condition: FakeCondition, context: LaneContext, state: Any) -> FakeCondition:
        if "before" not in context.carry_in:
            return condition
        return FakeCondition((1 - WEIGHT) * condition.lr + WEIGHT * context.carry_in["before"])

    def on_frames(self, frames: Tensor, context: LaneContext, state: Any) -> None:
        context.carry_out["before"] = frames[None, :, :, ::2, ::2].transpose(1, 2).clone()


def causal_method(**changes: Any) -> Method:
    return method(PixelPrior, strategy=FrameByFrame(), cuts=Blended(), **changes)


def expected(lr: Tensor) -> Tensor:
    """The same as a plain loop."""
    frames = [lr[0]]
    for frame in lr[1:]:
        frames.append((1 - WEIGHT) * frame + WEIGHT * frames[-1])
    return torch.stack(frames).repeat_interleave(2, -1).repeat_interleave(2, -2)


@pytest.mark.parametrize("length", [1, 3, 7])
def test_a_frame_is_told_the_frame_before_over_lanes_and_segments(length: int) -> None:
    m, lr, carry, parts = causal_method(), video(7), dict[str, Tensor](), []
    for start in range(0, 7, length):
        core = (start, min(start + length, 7))
        chunk = Chunk(frames=lr[slice(*core)], segment=segment_of(core, core, (0, 7)), carry_in=carry)
        parts.append(sample_segment(m, m.load(CPU), chunk, steps=m.make_schedule(2), seed=0))
        carry = chunk.carry_out
    torch.testing.assert_close(torch.cat(parts), expected(lr), rtol=0, atol=1e-6)


def test_frames_around_the_core_are_refused() -> None:
    m = causal_method()
    chunk = Chunk(frames=video(7), segment=segment_of((0, 5), (0, 7), (0, 7)))
    with pytest.raises(ValueError, match="cannot use"):
        sample_segment(m, m.load(CPU), chunk, steps=m.make_schedule(1), seed=0)


def pixels_of(path: Path) -> np.ndarray:
    film = probe(path)
    timeline = scan(film, detect_cuts=False)
    with FrameReader(film, timeline) as reader:
        return np.stack([f.pixels for f in reader.read(Window(start=0, stop=timeline.num_frames))])


def test_a_stopped_run_goes_on_from_the_frame_that_was_handed_on(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "causal", lambda: causal_method(name="causal"))
    options: dict[str, Any] = {"method": "causal", "codec": "ffv1", "segment_frames": 6}
    limpid.upscale(clip, tmp_path / "whole.mkv", **options)

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "segment" and event["index"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(limpid.types.Interrupted):
        limpid.upscale(clip, tmp_path / "out.mkv", on_event=stop, **options)
    assert limpid.upscale(clip, tmp_path / "out.mkv", **options).resumed_segments >= 1
    assert (tmp_path / "out.mkv").read_bytes() == (tmp_path / "whole.mkv").read_bytes()
    # One long segment: the same frames, because what is handed on is all that a segment knows of the one before.
    limpid.upscale(clip, tmp_path / "long.mkv", **{**options, "segment_frames": 40})
    assert np.array_equal(pixels_of(tmp_path / "long.mkv"), pixels_of(tmp_path / "whole.mkv"))


def test_what_is_told_is_what_the_decoder_sees_too() -> None:
    seen: list[Any] = []

    class Watching(PixelPrior):
        def decode(self, z: Tensor, condition: FakeCondition) -> Tensor:
            seen.append(condition.lr)
            return super().decode(z, condition)

    m = replace(causal_method(), load=lambda placement: Watching())
    lr = video(2)
    chunk = Chunk(frames=lr, segment=segment_of((0, 2), (0, 2), (0, 2)))
    sample_segment(m, m.load(CPU), chunk, steps=m.make_schedule(1), seed=0)
    assert torch.equal(seen[1], (1 - WEIGHT) * lr[1:].transpose(0, 1)[None] + WEIGHT * lr[:1].transpose(0, 1)[None])
