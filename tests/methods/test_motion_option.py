"""Motion guidance as an option of methods: through the engine, on several segments, and where it is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes import sample
from torch import Tensor

import limpid
from limpid.consistency.combine import Combined
from limpid.consistency.motion_guidance import MOTION_LIMIT, MotionGuidance
from limpid.consistency.propagation import LatentPropagation
from limpid.flow.estimate import LastFlows
from limpid.methods import find_method
from limpid.methods.upscaler_family import family_strategy
from limpid.priors.tiny import TinyConfig, from_latent, residual_picture
from limpid.settings import Settings
from limpid.types import Placement, Segment, SettingsError, Window


class Counting:
    """An estimator that says how often it was asked; everything moves right by a pixel."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        self.asked += 1
        flow = first.new_zeros(len(first), 2, *first.shape[-2:])
        flow[:, 0] = 1.0 if self.asked % 2 else -1.0
        return flow


def whole(frames: int) -> Segment:
    window = Window(start=0, stop=frames)
    return Segment(index=0, shot=0, shot_start=0, shot_stop=frames, core=window, halo=window)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32x24, 20 frames, a cut at frame 14."""
    import media

    def draw(index: int) -> np.ndarray:
        return media.shot_picture(index, 32, 24, [14])

    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return Path(media.make_video(path, width=32, height=24, frames=20, draw=draw))


def test_a_film_by_tiny_with_motion_and_shared_noise(film: Path, tmp_path: Path) -> None:
    report = limpid.upscale(
        film, tmp_path / "x.mkv", method="tiny", steps=2, consistency="noise+motion", segment_frames=6, calibrate=False
    )
    assert report.frames == 20


def test_flow_is_estimated_once_in_a_lane_and_the_result_is_calmer() -> None:
    picture = torch.rand(1, 3, 18, 60, generator=torch.Generator().manual_seed(0))
    lr = torch.cat([picture[..., i : i + 25] for i in range(4)])  # odd sizes: the canvas reaches over the picture
    method = find_method("tiny", Settings(consistency="motion"))
    prior = method.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
    counting, found = Counting(), {}
    for scale in (0.0, 10.0):
        strategy = replace(method.strategy, scale=scale, estimator=counting)  # type: ignore[type-var,call-arg]
        guided, steps = replace(method, strategy=strategy), method.make_schedule(4)
        found[scale] = sample(guided, prior, lr, whole(4), steps=steps, seed=0)
    assert counting.asked == 2
    assert found[0.0].shape == found[10.0].shape == (4, 3, 72, 100)

    def change(frames: Tensor) -> float:
        return float((frames[1:, ..., :-4] - frames[:-1, ..., 4:]).abs().mean())

    assert change(found[10.0]) < change(found[0.0])


def test_the_plane_of_tiny_keeps_norms_and_is_its_residual() -> None:
    config = TinyConfig()
    z = torch.randn(2, 192, 3, 4, generator=torch.Generator().manual_seed(1))
    picture = residual_picture(z, config)
    assert picture.shape == (2, 3, 24, 32)
    assert float(picture.norm() / z.norm()) == pytest.approx(1, rel=1e-5)
    residual = torch.nn.functional.pixel_shuffle(from_latent(z, config), 8)
    torch.testing.assert_close(picture, residual * config.latent_scale)


def test_propagation_and_guidance_share_one_flow(tmp_path: Path) -> None:
    strategy = family_strategy(frozenset({"propagation", "motion"}), tmp_path, 4, steps="1", motion=(3.0, None))
    assert isinstance(strategy, Combined)
    propagation, guidance = strategy.strategies
    assert isinstance(propagation, LatentPropagation)
    assert isinstance(guidance, MotionGuidance)
    assert propagation.estimator is guidance.estimator
    assert (guidance.scale, guidance.limit) == (3, MOTION_LIMIT)
    counting, frames = Counting(), torch.rand(3, 3, 8, 8)
    last = LastFlows(counting)
    answers = [last(frames[:-1], frames[1:]), last(frames[1:], frames[:-1])]
    assert torch.equal(last(frames[:-1].clone(), frames[1:]), answers[0])
    assert torch.equal(last(frames[1:], frames[:-1]), answers[1])
    assert counting.asked == 2
    assert isinstance(family_strategy(frozenset({"motion"}), tmp_path, 4, flow="dis"), MotionGuidance)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"consistency": "motion"}, "no effect in 1 step:"),
        ({"consistency": "motion", "steps": 2, "strength": 0.5}, "no effect in 1 step:"),
        ({"motion_guidance": 5.0, "steps": 2}, "without motion; add it to consistency"),
        ({"consistency": "motion", "motion_guidance": 0.0}, "must be above 0"),
        ({"sampler": "ddim"}, "sampler has no effect with the method tiny"),
        ({"consistency": "motion+transition", "steps": 2}, "can be none, or noise, motion"),
    ],
)
def test_what_has_no_effect_is_refused(changes: dict[str, float], says: str, film: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=says):
        limpid.upscale(film, tmp_path / "x.mkv", method="tiny", **changes)
