"""Where segments of a shot meet: the frames that both have denoised are merged, and nothing is lost or repeated."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
import torch
from fakes import CPU, FakeTransition, PooledPrior, method, sample, video
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from limpid.color import steady_levels
from limpid.consistency.transition import LatentTransition
from limpid.cuts.blended import Blended
from limpid.method import Lane, Method, Strategy
from limpid.plan.segments import choose_cutting, plan_segments
from limpid.restoration.loop import JOINT, reflected
from limpid.types import Segment, Window


def run(m: Method, lr: Tensor, segment_frames: int, num_steps: int = 3) -> Tensor:
    """The whole clip, segment by segment, with what one hands to the next."""
    around = m.cuts.around(num_steps, m.strategy.halo_frames(num_steps))
    assert isinstance(m.cuts, Blended)
    cutting = choose_cutting(
        fps=Fraction(25),
        around=around,
        segment_frames=segment_frames,
        grid_frames=m.cuts.segment_grid_frames,
        joint_frames=m.cuts.joint_frames,
    )
    segments = plan_segments([(0, len(lr))], Window(start=0, stop=len(lr)), cutting)
    prior, carry, parts = m.load(CPU), dict[str, Tensor](), []
    for segment in segments:
        out: dict[str, Tensor] = {}
        frames = lr[segment.halo.start : segment.halo.stop]
        steps = m.make_schedule(num_steps)
        parts.append(sample(m, prior, frames, segment, steps=steps, seed=0, carry_in=carry, carry_out=out))
        carry = out
    return torch.cat(parts)


@settings(deadline=None, max_examples=15)
@given(frames=st.integers(1, 40), length=st.sampled_from([8, 12, 20]))
def test_segments_of_windows_that_are_merged_once_equal_the_whole(frames: int, length: int) -> None:
    """The joint is then just another window border: nothing is computed twice, and every bit is the same."""
    joined = method(PooledPrior, strategy=FakeTransition(), joint_frames=4, segment_grid_frames=4)
    lr = video(frames)
    torch.testing.assert_close(run(joined, lr, length), run(joined, lr, 1000), rtol=0, atol=0)


def test_without_joint_frames_segments_know_nothing_of_each_other() -> None:
    lr = video(24)
    plain = method(PooledPrior, strategy=FakeTransition(), segment_grid_frames=4)
    assert not torch.equal(run(plain, lr, 12), run(plain, lr, 24))


def test_frames_at_a_joint_go_over_from_one_segment_to_the_next() -> None:
    m = method(PooledPrior, joint_frames=4)
    lr = video(16)
    steps, prior, carry = m.make_schedule(3), m.load(CPU), dict[str, Tensor]()
    left = Segment(
        index=0, shot=0, shot_start=0, shot_stop=16, core=Window(start=0, stop=8), halo=Window(start=0, stop=12)
    )
    right = Segment(
        index=1, shot=0, shot_start=0, shot_stop=16, core=Window(start=8, stop=16), halo=Window(start=8, stop=16)
    )
    sample(m, prior, lr[:12], left, steps=steps, seed=0, carry_out=carry)
    assert carry[JOINT].shape == (1, 3, 4, 4, 6)
    own = sample(m, prior, lr[8:], right, steps=steps, seed=0)
    joined = sample(m, prior, lr[8:], right, steps=steps, seed=0, carry_in=carry)
    moved = (joined - own).abs().amax(dim=(1, 2, 3))
    assert (moved[:4] > 0).all()
    assert (moved[4:] == 0).all()
    assert moved[0] > moved[3]


def test_the_last_segment_of_a_shot_hands_nothing_on() -> None:
    m, carry = method(PooledPrior, joint_frames=4), dict[str, Tensor]()
    whole = Segment(
        index=0, shot=0, shot_start=0, shot_stop=6, core=Window(start=0, stop=6), halo=Window(start=0, stop=6)
    )
    sample(m, m.load(CPU), video(6), whole, steps=m.make_schedule(1), seed=0, carry_out=carry)
    assert not carry


def test_what_neighbours_merge_to_lies_between_them() -> None:
    merged = Strategy().merge(torch.zeros(1, 2, 4, 1, 1), torch.ones(1, 2, 4, 1, 1))
    assert merged[0, 0, :, 0, 0].tolist() == [0.125, 0.375, 0.625, 0.875]
    assert Strategy().merge(torch.zeros(1, 1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1)).item() == 0.5


@pytest.mark.parametrize(
    ("frames", "padding", "wanted"),
    [(4, 0, [0, 1, 2, 3]), (4, 3, [0, 1, 2, 3, 2, 1, 0]), (3, 5, [0, 1, 2, 1, 0, 1, 2, 1])],
)
def test_padding_reflects(frames: int, padding: int, wanted: list[int]) -> None:
    lr = torch.arange(float(frames)).reshape(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    assert reflected(lr, range(frames), padding)[:, 0, 0, 0].tolist() == wanted


def test_padding_of_a_single_frame_repeats_it() -> None:
    assert reflected(torch.ones(1, 3, 2, 2), range(1), 7).shape == (8, 3, 2, 2)


def test_a_padded_lane_gives_the_frames_of_its_window() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Padded(Strategy):
        def lanes(self, segment: Segment) -> tuple[Lane, ...]:
            return (Lane(window=segment.halo, padding=3),)

    lr = video(5)
    assert run(method(PooledPrior, strategy=Padded()), lr, 100).shape[0] == 5
    assert not torch.equal(run(method(PooledPrior, strategy=Padded()), lr, 100), run(method(PooledPrior), lr, 100))


@pytest.mark.parametrize("frames", [3, 9, 10, 13, 15])
def test_padding_is_as_if_the_clip_were_longer(frames: int) -> None:
    """The released code of DiffVSR reflects a clip to a multiple of 8 frames, and cuts the result."""
    lr = video(frames)
    longer = reflected(lr, range(frames), -frames % 8)
    padded = method(PooledPrior, strategy=LatentTransition(padding_compat=True, fusion_compat=True))
    plain = method(PooledPrior, strategy=LatentTransition(fusion_compat=True))
    torch.testing.assert_close(run(padded, lr, 100), run(plain, longer, 100)[:frames], rtol=0, atol=1e-6)


def test_steady_levels_smooth_what_pumps_and_keep_a_flash() -> None:
    frames = video(12, 16, 16) * 0.2 + 0.4
    frames = frames - frames.mean(dim=(1, 2, 3), keepdim=True) + 0.5
    pumping = frames + torch.tensor([1.0, -1.0] * 6).reshape(-1, 1, 1, 1) / 255
    steady = steady_levels(pumping).mean(dim=(1, 2, 3))
    assert steady.std() < 0.2 * pumping.mean(dim=(1, 2, 3)).std()
    flash = frames.clone()
    flash[6] += 0.3
    torch.testing.assert_close(steady_levels(flash)[6].mean(), flash[6].mean(), rtol=0, atol=1e-4)
    torch.testing.assert_close(steady_levels(frames[:1]), frames[:1], rtol=0, atol=1e-6)
