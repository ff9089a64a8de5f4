"""MGLD-VSR from a checkpoint in its makers' format to finished frames, with small random networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import sample

import limpid
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.cuts.base import Cut
from limpid.cuts.blended import Blended
from limpid.method import Method, Prior
from limpid.methods import find_method
from limpid.methods.ablations import ABLATIONS
from limpid.restoration.loop import canvas_of
from limpid.settings import Settings
from limpid.types import Placement, Segment, SettingsError, WeightsError, Window
from limpid.video import probe

NAME = "mgld-vsr"


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("weights")
    make_random_weights(NAME, "tiny", root / "official")
    return str(convert_weights(NAME, root / "official", root / NAME))


@pytest.fixture(scope="session")
def loaded(weights: str) -> Prior:
    """With the options of the method as they are."""
    return find(weights).load(Placement(device=torch.device("cpu"), dtype=torch.float32))


def find(weights: str, **options: Any) -> Method:
    return find_method(NAME, Settings(method=NAME, weights=weights, **options))


def restored(method: Method, prior: Prior, frames: int, height: int, width: int, steps: int = 2) -> torch.Tensor:
    """One shot as one segment."""
    whole = Window(start=0, stop=frames)
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=frames, core=whole, halo=whole)
    ramp = torch.linspace(0, 1, width).expand(frames, 3, height, width)
    noise = torch.rand(frames, 3, height, width, generator=torch.Generator().manual_seed(0))
    lr = 0.7 * ramp.roll(3, dims=-1) + 0.3 * noise
    return sample(method, prior, lr, segment, steps=method.make_schedule(steps), seed=0)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (60, 100)])
def test_sizes(weights: str, loaded: Prior, height: int, width: int) -> None:
    out = restored(find(weights), loaded, 1, height, width)
    assert out.shape == (1, 3, 4 * height, 4 * width) and bool(out.isfinite().all())


@pytest.mark.slow
def test_a_wide_picture(weights: str, loaded: Prior) -> None:
    """Eight tiles of the denoiser; one step, in which there is nothing for motion guidance to do."""
    out = restored(find(weights, consistency="none"), loaded, 1, 180, 320, steps=1)
    assert out.shape == (1, 3, 720, 1280) and bool(out.isfinite().all()) and float(out.std()) > 0


@pytest.mark.parametrize("frames", [1, 4, 5, 6, 31])
def test_numbers_of_frames(weights: str, loaded: Prior, frames: int) -> None:
    out = restored(find(weights), loaded, frames, 9, 8)
    assert out.shape == (frames, 3, 36, 32) and bool(out.isfinite().all())
    assert float(out.std(dim=0).max() if frames > 1 else 1.0) > 0


def test_a_wide_picture_is_seen_in_tiles(weights: str, loaded: Prior) -> None:
    """Of 320x180, in tiles of 64x64 latent pixels that overlap by half."""
    method = find(weights)
    whole = Window(start=0, stop=31)
    segment = Segment(index=0, shot=0, shot_start=0, shot_stop=31, core=whole, halo=whole)
    z = torch.empty(1, 4, 31, *loaded.latent_size(180, 320))
    grid = method.cuts.denoise_grid(canvas_of(loaded, z, segment, 0), Cut(tile_px=method.cuts.tile_px, window_frames=5))
    tiles = [grid.tile(index) for index in range(grid.num_tiles)]
    assert [(tile.top, tile.left) for tile in tiles] == [(row, column) for row in (0, 26) for column in (0, 32, 64, 96)]
    assert {(tile.height, tile.width) for tile in tiles} == {(64, 64)}
    starts = [grid.window(index).start for index in range(len(grid.frames.spans))]
    assert starts == [0, 3, 6, 9, 12, 15, 18, 21, 24, 26]


OF_THE_PRIOR = ("prompt", "autoencoder", "decoder_weight")
"""Options for which networks are loaded, or texts embedded, anew."""


@pytest.fixture(scope="session")
def made(weights: str, loaded: Prior) -> Callable[..., torch.Tensor]:
    """The result of a few frames with changed settings; those that need no other networks share them.

    The smallest maps are 2x2: attention in the middle, which ``pag`` weakens, has something to look at.
    """
    results: dict[str, torch.Tensor] = {}
    priors: dict[str, Prior] = {}

    def make(**options: Any) -> torch.Tensor:
        key, own = repr(sorted(options.items())), {name: options.get(name) for name in OF_THE_PRIOR}
        if key not in results:
            method = find(weights, **options)
            if not any(value is not None for value in own.values()):
                priors[repr(own)] = loaded
            elif repr(own) not in priors:
                priors[repr(own)] = method.load(Placement(device=torch.device("cpu"), dtype=torch.float32))
            # with two steps next to no noise is left between them
            results[key] = restored(method, priors[repr(own)], 2, 18, 18, steps=3)
        return results[key]

    return make


CHANGES: dict[str, dict[str, Any]] = {
    "plain sampler": {"consistency": "none"},
    "weaker": {"motion_guidance": 5.0},
    "limited": {"motion_guidance_limit": 0.1},
    "ddim": {"sampler": "ddim"},
    "dpm++": {"sampler": "dpm++"},
    "image decoder": {"autoencoder": "image"},
    "decoder weight": {"decoder_weight": 1.0},
    "prompt": {"prompt": "a street at night", "guidance_scale": 4.0},
    "attention guidance": {"guidance": "pag"},
    "released": {"released": True},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_options_have_an_effect(made: Any, change: dict[str, Any]) -> None:
    out = made(**change)
    assert bool(out.isfinite().all()) and differ(out, made())


def differ(first: torch.Tensor, second: torch.Tensor) -> bool:
    """By more than rounding could, which is about 1e-6."""
    return float((first - second).abs().max()) > 1e-3


def test_samplers_differ(made: Any) -> None:
    assert differ(made(sampler="ddim"), made(sampler="dpm++"))


def test_ablation_rows_differ(made: Any) -> None:
    """Table 3 and Fig. 7 of the paper; rows of flow networks whose weights are not here are refused."""
    rows = []
    for row in ABLATIONS[NAME].values():
        if row.get("flow") is None:
            rows.append(made(**row))
            continue
        with pytest.raises(WeightsError, match="needs the weights of"):
            made(**row)
    assert len(rows) == 9
    assert torch.equal(rows[3], made())
    for i, first in enumerate(rows):
        assert all(differ(first, second) for second in rows[i + 1 :])


def geometry(method: Method) -> tuple[int, int, int]:
    cuts = method.cuts
    assert isinstance(cuts, Blended)
    return cuts.window_overlap_frames, cuts.joint_frames, cuts.segment_grid_frames


def test_released_windows_know_nothing_of_each_other(weights: str) -> None:
    ours, theirs = find(weights), find(weights, released=True)
    assert geometry(ours) == (2, 2, 3)
    assert geometry(theirs) == (0, 0, 5)
    assert isinstance(theirs.cuts, Blended) and theirs.cuts.tile_weights == "gaussian_compat"
    assert ours.color == theirs.color == "adain"


def test_the_schedule_is_that_of_the_makers(weights: str) -> None:
    steps = find(weights).make_schedule(50)
    assert (len(steps), steps[0].t, steps[-1].t, steps[-1].alpha_next) == (50, 999.0, 0.0, 1.0)


def test_a_film_keeps_its_frames_and_sound(weights: str, tmp_path: Path) -> None:
    import media

    film = media.make_video(tmp_path / "film.mp4", width=24, height=16, frames=7, audio=True, draw=draw)
    options: dict[str, Any] = {"method": NAME, "weights": weights, "steps": 2, "segment_frames": 3, "calibrate": False}
    report = limpid.upscale(film, tmp_path / "out.mkv", codec="ffv1", **options)
    clip = probe(tmp_path / "out.mkv")
    assert (clip.width, clip.height, report.frames) == (96, 64, 7)
    assert len(report.plan["segments"]) == 2
    assert [stream.kind for stream in clip.side_streams] == ["audio"]


def draw(index: int) -> np.ndarray:
    import media

    return np.asarray(media.shot_picture(index, 24, 16, []))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"decoder_weight": 0.5, "autoencoder": "image"}, "decoder_weight has no effect"),
        ({"autoencoder": "light"}, "has no autoencoder light; it can be image or video"),
        ({"consistency": "transition"}, "does not fit the method mgld-vsr"),
        (
            {"consistency": "none", "motion_guidance": 5.0},
            "motion_guidance has no effect without motion; leave consistency",
        ),
        ({"consistency": "none", "flow": "dis"}, "flow has no effect without motion; leave consistency out, or"),
        ({"flow": "raft"}, "RAFT"),
        ({"guidance_scale": 2.0}, "give a prompt"),
        ({"negative_prompt": "blur"}, "negative_prompt has no effect"),
        ({"released": True, "joint_frames": 2}, "joint_frames is 2"),
        ({"noise_level": 5}, "noise_level has no effect"),
    ],
)
def test_options_that_cannot_work_are_refused(weights: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises((SettingsError, WeightsError), match=says):
        find(weights, **options)


def test_missing_weights_are_one_sentence() -> None:
    with pytest.raises(WeightsError, match=r"fetch them by hand .* limpid weights convert mgld-vsr"):
        find_method(NAME, Settings())
