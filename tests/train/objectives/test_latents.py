"""Latents for decoders: stored by what the LR clip looks like, imitated, or made by a method without its decoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import sample
from torch import Tensor

from limpid.methods.sd_x4_upscaler import sd_x4_upscaler
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.objectives.latents import LatentSource, clip_key, denoiser, make_latents, stored
from limpid.train.starts.random import random_start
from limpid.types import InputError, Placement, Scene, Segment, Window


class Halves:
    """An autoencoder whose latents are the frames at a quarter of their size, times the inverse of its factor."""

    class config:
        scaling_factor = 0.5

    def encode(self, frames: Tensor, num_frames: int = 1) -> tuple[Tensor, Tensor]:
        mean = torch.nn.functional.avg_pool2d(frames, 4)
        return mean, torch.zeros_like(mean)


def make_batch(numbers: tuple[int, ...] = (0, 1)) -> ClipBatch:
    hr = torch.stack([torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(n)) for n in numbers])
    lr = torch.nn.functional.avg_pool2d(hr.flatten(0, 1), 4).reshape(len(numbers), 3, 3, 4, 4)
    words = ("",) * len(numbers)
    return ClipBatch(numbers=numbers, hr=hr, lr=lr, captions=words, keys=words)


def test_made_once_and_found_by_the_clip(tmp_path: Path) -> None:
    calls: list[Tensor] = []

    def denoise(lr: Tensor) -> Tensor:
        calls.append(lr)
        return lr.mean((1, 2, 3), keepdim=True).expand(-1, 4, 4, 4)

    batch = make_batch()
    assert make_latents([batch], denoise, tmp_path) == 2
    assert make_latents([batch, make_batch((1, 2))], denoise, tmp_path) == 1
    assert len(calls) == 3 and not list(tmp_path.glob("*.part"))
    found = stored(tmp_path, batch.lr)
    assert found.shape == (6, 4, 4, 4)
    assert torch.allclose(found[:, 0, 0, 0], batch.lr.mean((2, 3, 4)).flatten(), atol=1e-3)
    source = LatentSource(folder=tmp_path)
    assert torch.equal(source.clips(Halves(), batch, ClipRandom(0, batch.numbers)), found / 0.5)


def test_other_clips_are_refused_but_can_be_previewed(tmp_path: Path) -> None:
    source, batch = LatentSource(folder=tmp_path), make_batch()
    with pytest.raises(InputError, match="without random crops"):
        source.clips(Halves(), batch, ClipRandom(0, batch.numbers))
    shown = source.clips(Halves(), batch, ClipRandom(0, batch.numbers), preview=True)
    assert torch.equal(shown, source.imitated(Halves(), batch, ClipRandom(0, batch.numbers)))
    assert "previews" in source.note()


def test_keys_know_clips_as_8_bit_pictures_do() -> None:
    lr = make_batch().lr[0].mul(255).round().div(255)
    assert clip_key(lr) == clip_key(lr + 0.001) != clip_key(lr + 0.01)
    assert clip_key(lr) != clip_key(lr.flip(0))
    assert clip_key(lr[:, :, :2]) != clip_key(lr[:, :, :, :2])


def test_imitated_latents_are_the_mean_with_noise_of_a_clip_s_own_strength() -> None:
    batch = make_batch(tuple(range(64)))
    source, random = LatentSource(noise=0.2), ClipRandom(0, batch.numbers)
    mean = Halves().encode(batch.hr.flatten(0, 1) * 2 - 1)[0]
    error = (source.clips(Halves(), batch, random) - mean).unflatten(0, (64, 3)) * 0.5
    strength = error.flatten(1).std(1)
    assert strength.max() < 0.25 and strength.min() < 0.05 and 0.07 < strength.mean() < 0.13
    one = replace(batch, numbers=(5,), hr=batch.hr[5:6], lr=batch.lr[5:6])
    alone = source.clips(Halves(), one, ClipRandom(0, (5,)))
    assert torch.equal(alone, source.clips(Halves(), batch, random)[15:18])
    assert "imitated" in source.note()


def test_assets_may_hold_the_latents(tmp_path: Path) -> None:
    assert LatentSource().inside(tmp_path).folder is None and LatentSource().inside(None).folder is None
    (tmp_path / "latents").mkdir()
    assert LatentSource().inside(tmp_path).folder == tmp_path / "latents"
    assert LatentSource(folder=tmp_path).inside(tmp_path).folder == tmp_path


def test_a_method_without_its_decoder(tmp_path: Path) -> None:
    """Decoded, its latents are the frames of the method."""
    method = sd_x4_upscaler(weights=str(random_start(tmp_path)))
    prior: Any = method.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
    steps, lr = method.make_schedule(1), torch.rand(3, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    latent = denoiser(method, prior, steps, seed=4)(lr)
    assert latent.shape == (3, 4, 8, 12)
    window = Window(start=0, stop=3)
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=3, core=window, halo=window)
    frames = sample(method, prior, lr, segment, steps=steps, seed=4, color="none")
    condition = prior.condition(lr, Scene(seed=4, frames=range(3), shot=0))
    with torch.no_grad():
        decoded = prior.decode(latent.transpose(0, 1)[None], condition)
    assert (decoded - frames).abs().max() < 1e-4
