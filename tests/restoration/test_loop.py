"""Invariants of the loop, for local and for blended methods."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from fakes import (
    CPU,
    FakeMotionGuidance,
    FakePropagation,
    FakeTransition,
    PixelPrior,
    PooledPrior,
    local_method,
    method,
    repeat_pixels,
    sample,
    segment_of,
    video,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from limpid.diffusion.noise import noise_clip
from limpid.diffusion.samplers import DDIM, DDPM, DPMSolverPP2M, Euler
from limpid.diffusion.schedules import vp_steps
from limpid.method import Method, Strategy
from limpid.types import Segment, Window

SAMPLERS = [DDIM(), DDIM(eta=0.5), DDPM(), Euler(), DPMSolverPP2M()]


def restore(m: Method, lr: Tensor, segment: Segment, num_steps: int = 3, seed: int = 0, **options: Any) -> Tensor:
    """``lr``: all frames of the shot."""
    prior = m.load(CPU)
    frames = lr[segment.halo.start : segment.halo.stop]
    steps = m.make_schedule(num_steps)
    return sample(m, prior, frames, segment, steps=steps, seed=seed, **options)


def segments(m: Method, count: int, length: int, num_steps: int) -> list[Segment]:
    halo, _ = m.cuts.around(num_steps, m.strategy.halo_frames(num_steps))
    cores = [(a, min(a + length, count)) for a in range(0, count, length)]
    return [segment_of((a, b), (max(a - halo, 0), min(b + halo, count)), (0, count)) for a, b in cores]


# ------------------------------------------------------------------------------------------ local methods


@given(
    length=st.integers(2, 7),
    tile_px=st.one_of(st.none(), st.integers(2, 9)),
    window_frames=st.one_of(st.none(), st.integers(1, 5)),
    num_steps=st.integers(1, 3),
    sampler=st.sampled_from(SAMPLERS),
)
@settings(max_examples=10, deadline=None)
def test_local_methods_give_the_same_bits_for_any_cut(
    length: int, tile_px: int | None, window_frames: int | None, num_steps: int, sampler: Any
) -> None:
    m, lr = local_method(sampler=sampler, color="wavelet"), video(7, 9, 11)
    expected = restore(m, lr, whole(7), num_steps)
    parts = [
        restore(m, lr, s, num_steps, tile_px=tile_px, window_frames=window_frames)
        for s in segments(m, 7, length, num_steps)
    ]
    assert torch.equal(torch.cat(parts), expected)


def test_the_cut_matters_when_the_halo_is_too_small() -> None:
    """So that the test above can fail."""
    m, lr = local_method(reach_px=1, color="none"), video(6, 10, 13)
    assert not torch.equal(restore(m, lr, whole(6), tile_px=5), restore(m, lr, whole(6)))


def test_a_segment_with_too_little_halo_is_refused() -> None:
    with pytest.raises(ValueError, match="needs frames 0 to 10"):
        restore(local_method(), video(12), segment_of((4, 6), (2, 8), (0, 12)))


@pytest.mark.parametrize("decode_frames", [None, 1, 3])
def test_the_decoder_of_a_local_method_may_be_cut_in_time(decode_frames: int | None) -> None:
    lr = video(9, 6, 7)
    expected = restore(local_method(), lr, whole(9))
    assert torch.equal(restore(local_method(decode_frames=decode_frames), lr, whole(9)), expected)


# ---------------------------------------------------------------------------------------- blended methods


@given(
    frames=st.integers(1, 10),
    window=st.one_of(st.none(), st.integers(1, 9)),
    tile_px=st.one_of(st.none(), st.integers(1, 9)),
    overlap=st.integers(0, 6),
    decode_frames=st.one_of(st.none(), st.integers(1, 5)),
    kind=st.sampled_from(["ramp", "gaussian", "box"]),
    sampler=st.sampled_from(SAMPLERS),
)
@settings(max_examples=30, deadline=None)
def test_a_denoiser_that_ignores_its_cut_gives_the_input_for_any_cut(
    frames: int, window: Any, tile_px: Any, overlap: int, decode_frames: Any, kind: Any, sampler: Any
) -> None:
    m = method(
        sampler=sampler,
        window_frames=window,
        window_overlap_frames=overlap,
        tile_px=tile_px,
        tile_overlap_px=overlap,
        tile_weights=kind,
        window_weights=kind,
        decode_frames=decode_frames,
        decode_overlap_frames=1,
    )
    lr = video(frames, 7, 5)
    torch.testing.assert_close(restore(m, lr, whole(frames)), repeat_pixels(lr), rtol=0, atol=2e-5)


def test_only_the_core_is_returned() -> None:
    lr = video(12)
    for m in (method(), method(decode_frames=4, decode_overlap_frames=2), method(window_frames=4)):
        out = restore(m, lr, segment_of((5, 8), (2, 11), (0, 12)))
        torch.testing.assert_close(out, repeat_pixels(lr[5:8]), rtol=0, atol=1e-5)


def test_chunks_of_the_decoder_without_kept_frames_are_skipped() -> None:
    seen: list[int] = []

    class Counting(PixelPrior):
        def decode(self, z: Tensor, condition: Any) -> Tensor:
            seen.append(z.shape[2])
            return super().decode(z, condition)

    m = method(Counting, decode_frames=3)
    restore(m, video(12), segment_of((4, 5), (0, 12), (0, 12)))
    assert seen == [3]


# -------------------------------------------------------------------------------------------- strategies

ZERO_STRENGTH = [
    FakePropagation(),
    FakePropagation(at_steps=frozenset({0, 1, 2}), fusion_weight=0.0),
    FakeMotionGuidance(strength=0.0),
    FakeTransition(length=100, overlap=0),
]


@pytest.mark.parametrize("strategy", ZERO_STRENGTH, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_strategy_of_zero_strength_is_the_plain_sampler(strategy: Strategy, sampler: Any) -> None:
    lr, options = video(10), {"window_frames": 8, "window_overlap_frames": 2, "sampler": sampler}
    plain = restore(method(PooledPrior, **options), lr, whole(10))
    assert torch.equal(restore(method(PooledPrior, strategy=strategy, **options), lr, whole(10)), plain)


# ------------------------------------------------------------------------------------- start and strength


class EchoPrior(PixelPrior):
    """Believes that what it sees is clean: the result is the start, at its own scale."""

    def clean(self, z: Tensor, step: Any, lr: Tensor) -> Tensor:
        return z / 100


@pytest.mark.parametrize("seed", [0, 5])
def test_a_run_starts_from_the_noise_of_absolute_frames(seed: int) -> None:
    m = method(EchoPrior, make_schedule=lambda n: vp_steps(n, spacing="trailing"))
    out = restore(m, video(9), segment_of((3, 6), (2, 8), (0, 9)), num_steps=1, seed=seed)
    noise = noise_clip(seed, "init", range(3, 6), 0, 3, 4, 6)[0].transpose(0, 1) / 100
    torch.testing.assert_close(out, repeat_pixels(noise).clamp(0, 1))


def test_less_strength_starts_from_the_noised_input() -> None:
    m, lr = method(EchoPrior), video(4)
    schedule = m.make_schedule(3)
    out = restore(m, lr, whole(4), strength=1 / 3)
    noise = noise_clip(0, "init", range(4), 0, 3, 4, 6)[0].transpose(0, 1)
    torch.testing.assert_close(out, repeat_pixels((lr + schedule[-1].sigma * noise) / 100).clamp(0, 1))


def test_a_method_may_always_start_from_the_noised_input() -> None:
    lr = video(4)
    full, from_input = (restore(method(EchoPrior, start=s), lr, whole(4)) for s in ("noise", "noised_input"))
    assert not torch.equal(full, from_input)


@pytest.mark.parametrize("strength", [0.0, 1.5])
def test_impossible_strengths_are_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        restore(method(), video(3), whole(3), strength=strength)


# ------------------------------------------------------------------------------------------------- others


def test_frames_must_fit_the_segment() -> None:
    with pytest.raises(ValueError, match="needs 5 frames"):
        restore(method(), video(4), whole(5))


def test_lanes_must_cover_the_segment() -> None:
    class Gap(Strategy):
        def lanes(self, segment: Segment) -> Any:
            return FakeTransition(length=3, overlap=0).lanes(segment)[::2]

    with pytest.raises(ValueError, match="do not cover"):
        restore(method(strategy=Gap()), video(9), whole(9))


def test_progress_counts_the_steps_of_all_lanes_and_the_decoding_and_can_stop_the_run() -> None:
    seen: list[float] = []
    m = method(strategy=FakeTransition(length=8, overlap=4))
    restore(m, video(12), whole(12), on_share=seen.append)
    assert seen == [0, *(pytest.approx(i / 7) for i in range(1, 8))]

    def stop(share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(m, video(12), whole(12), on_share=stop)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_progress_moves_with_every_tile_of_every_window(strength: float) -> None:
    seen: list[float] = []
    sizes = {"tile_px": 8, "window_frames": 4, "decode_tile_px": 8}
    restore(method(), video(12, 24, 24), whole(12), on_share=seen.append, strength=strength, **sizes)
    assert seen[0] == 0 and seen[-1] == pytest.approx(1)
    assert seen == sorted(seen)
    assert max(b - a for a, b in pairwise(seen)) < 0.05


def test_segments_of_a_shot_can_hand_tensors_over() -> None:
    class Handing(Strategy):
        def on_latent(self, z: Tensor, step: Any, context: Any, state: Any) -> Tensor:
            context.carry_out["tail"] = z[:, :, -1:] + context.carry_in.get("tail", torch.zeros(()))
            return z

    m, lr, carried = method(strategy=Handing(carries=True)), video(4), {}
    first: dict[str, Tensor] = {}
    restore(m, lr, segment_of((0, 2), (0, 2), (0, 4)), carry_out=first)
    restore(m, lr, segment_of((2, 4), (2, 4), (0, 4)), carry_in=first, carry_out=carried)
    torch.testing.assert_close(carried["tail"][0, :, 0], lr[1] + lr[3])


def test_a_canvas_larger_than_the_picture_is_cropped() -> None:
    class Rounded(PixelPrior):
        def latent_size(self, height: int, width: int) -> tuple[int, int]:
            return -(-height // 4) * 4, -(-width // 4) * 4

        def condition(self, lr: Tensor, scene: Any = None) -> Any:
            height, width = self.latent_size(*lr.shape[-2:])
            pad = (0, width - lr.shape[-1], 0, height - lr.shape[-2])
            return super().condition(torch.nn.functional.pad(lr, pad, mode="replicate"), scene)

    lr = video(3, 5, 6)
    for tile_px in (None, 4):
        out = restore(method(Rounded, tile_px=tile_px), lr, whole(3))
        torch.testing.assert_close(out, repeat_pixels(lr), rtol=0, atol=1e-5)


def test_one_window_and_one_tile_reach_the_denoiser_as_they_are() -> None:
    pointers: list[tuple[int, int]] = []

    class Seeing(PixelPrior):
        def condition(self, lr: Tensor, scene: Any = None) -> Any:
            self.whole = super().condition(lr, scene)
            return self.whole

        def clean(self, z: Tensor, step: Any, lr: Tensor) -> Tensor:
            pointers.append((lr.data_ptr(), self.whole.lr.data_ptr()))
            return lr

    restore(method(Seeing), video(3), whole(3))
    assert all(a == b for a, b in pointers)


def test_windows_of_a_segment_inside_a_shot() -> None:
    lr = video(20)
    m = method(PooledPrior, window_frames=8, window_overlap_frames=2)
    out = restore(
        m,
        lr,
        Segment(
            index=1, shot=0, shot_start=0, shot_stop=20, core=Window(start=12, stop=18), halo=Window(start=6, stop=20)
        ),
    )
    assert out.shape == (6, 3, 8, 12)
