from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.diffusion.noise import noise, noise_clip, noise_key, start_scale
from limpid.diffusion.schedules import karras_steps, vp_steps

keys = st.tuples(
    st.integers(0, 2**62),
    st.sampled_from(["init", "ancestral", "lr", "encode"]),
    st.integers(0, 10**6),
    st.integers(0, 999),
)


@given(a=keys, b=keys)
@settings(deadline=None)
def test_keys_differ_where_anything_differs(a: tuple, b: tuple) -> None:
    assert (noise_key(*a) == noise_key(*b)) == (a == b)


@given(start=st.integers(0, 50), length=st.integers(1, 6), cut=st.integers(0, 6), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_frame_has_the_same_noise_in_any_clip(start: int, length: int, cut: int, seed: int) -> None:
    frames = range(start, start + length)
    whole = noise_clip(seed, "init", frames, 0, 4, 6, 5)
    cut = min(cut, length)
    parts = [noise_clip(seed, "init", part, 0, 4, 6, 5) for part in (frames[:cut], frames[cut:])]
    assert torch.equal(whole, torch.cat(parts, dim=2))
    assert whole.shape == (1, 4, length, 6, 5)


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    noise(0, "init", 0, 0, 4, 8, 8)
    assert torch.equal(state, torch.get_rng_state())


def test_noise_is_standard_normal_and_independent() -> None:
    size = (4, 64, 64)
    draws = [
        noise(s, stream, f, k, *size)
        for s, stream, f, k in [
            (0, "init", 0, 0),
            (1, "init", 0, 0),
            (0, "ancestral", 0, 0),
            (0, "init", 1, 0),
            (0, "init", 0, 1),
        ]
    ]
    for draw in draws:
        assert abs(draw.mean()) < 0.03
        assert abs(draw.std() - 1) < 0.03
        assert abs((draw**4).mean() - 3) < 0.2
    correlation = torch.corrcoef(torch.stack([d.flatten() for d in draws]))
    assert (correlation - torch.eye(len(draws))).abs().max() < 0.03


def test_pure_noise_has_the_scale_of_the_first_level() -> None:
    assert start_scale(karras_steps(3, 0.1, 80.0)[0]) == 80.0
    assert abs(start_scale(vp_steps(3)[0]) - 1.0) < 1e-12


def test_parts_of_a_canvas_have_the_noise_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for most in (1 << 26, 100):  # drawn whole, and in blocks
        monkeypatch.setattr("limpid.diffusion.noise.MOST_WHOLE_VALUES", most)
        whole = noise_clip(3, "init", [5, 6], 0, 2, 70, 45)
        part = noise_clip(3, "init", [5, 6], 0, 2, 70, 45, rows=range(20, 66), columns=range(31, 45))
        assert torch.equal(part, whole[..., 20:66, 31:45])
        assert abs(float(whole.mean())) < 0.05 and abs(float(whole.std()) - 1) < 0.05
