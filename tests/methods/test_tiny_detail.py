"""`detail` and `denoise`: between tiny's ends. Exact there, monotonic, in key and sidecar, refused elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_film import by_detail
from skimage import data

import limpid
from limpid.cuts.local import Local
from limpid.degrade import CameraPath, photo_clip
from limpid.degrade.ops import to_bytes
from limpid.degrade.shrink import area
from limpid.methods import TINY_WEIGHTS, find_method
from limpid.methods.between import Between
from limpid.methods.tiny import tiny
from limpid.methods.tiny_ends import (
    CLEAN_FILE,
    TINY_DENOISE,
    TINY_DETAIL,
    VIVID_CLEAN_FILE,
    VIVID_FILE,
    find_ends,
)
from limpid.metrics.blocks import blockiness
from limpid.priors.cleaned import CleanedPrior, load_cleaner, read_cleaner_config
from limpid.priors.tiny import TinyConfig, TinyNetwork, TinyPrior, load_tiny, save_tiny
from limpid.run.sidecar import from_sidecar
from limpid.settings import Settings
from limpid.types import Placement, SettingsError, WeightsError
from limpid.video.roundtrip import codec_roundtrip

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)
VIVID, CLEAN, VIVID_CLEAN = (TINY_WEIGHTS.with_name(name) for name in (VIVID_FILE, CLEAN_FILE, VIVID_CLEAN_FILE))


def weights_at(detail: float | None) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Those of the network, and of the cleaner before it."""
    ends = find_ends(TINY_WEIGHTS, detail, None)
    assert ends.cleaner is not None
    networks = ends.network.load(load_tiny), ends.cleaner.load(load_cleaner)
    return tuple(list(network.state_dict().values()) for network in networks)


def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_exact_at_the_ends_and_in_between_elsewhere() -> None:
    files = (load_tiny, (TINY_WEIGHTS, VIVID)), (load_cleaner, (CLEAN, VIVID_CLEAN))
    for network, (load, paths) in enumerate(files):
        ends = [list(load(path).state_dict().values()) for path in paths]
        assert equal(weights_at(0)[network], ends[0]) and equal(weights_at(1)[network], ends[1])
        assert equal(weights_at(None)[network], weights_at(TINY_DETAIL)[network])
        for middle, a, b in zip(weights_at(0.25)[network], *ends, strict=True):
            assert torch.allclose(middle, 0.75 * a + 0.25 * b, atol=1e-6)
        assert not equal(ends[0], ends[1])


def test_without_denoise_the_network_runs_alone() -> None:
    assert isinstance(tiny(denoise=0).load(CPU), TinyPrior)
    assert isinstance(tiny().load(CPU), CleanedPrior)


def test_denoise_has_a_digest_of_its_own_and_widens_what_is_seen() -> None:
    assert len({tiny(detail=0.3, denoise=value).weights.digest() for value in (0, 0.2, 0.4, 1)}) == 4
    assert tiny(detail=0.3, denoise=TINY_DENOISE).weights.digest() == tiny(detail=0.3).weights.digest()
    plain, cleaned = tiny(denoise=0).cuts, tiny(denoise=0.1).cuts
    assert isinstance(plain, Local) and isinstance(cleaned, Local)
    assert cleaned.reach_px == plain.reach_px + read_cleaner_config(CLEAN).radius_px


def strongly_compressed(photo: np.ndarray) -> np.ndarray:
    path = CameraPath(center=(225, 150), velocity=(1.0, 0.5))
    hr = photo_clip(np.ascontiguousarray(photo), path, num_frames=4, width=384, height=256)
    return codec_roundtrip(np.stack([to_bytes(area(frame, 4, blur_sigma=0.7)) for frame in hr]), crf=38)


def test_more_denoise_leaves_fewer_blocks_of_compression() -> None:
    made = []
    for denoise in (0.0, 0.5, 1.0):
        grids = []
        for photo in (data.chelsea(), data.astronaut(), data.coffee()):
            lr = strongly_compressed(photo)
            grids.append(
                blockiness(
                    np.stack(list(limpid.restore(iter(lr), fps=25, method="tiny", denoise=denoise, dtype="float32")))
                )
            )
        made.append(np.mean(grids))
    assert made[0] > made[1] + 0.01 and made[1] > made[2] + 0.01


def test_more_detail_is_more_detail_and_less_psnr() -> None:
    error, coherent = by_detail("tiny")
    assert error[0] > error[1] > error[2]
    assert coherent[0] < coherent[1] < coherent[2]


def test_weights_of_your_own_have_one_end(tmp_path: Path) -> None:
    own = tmp_path / "tiny.safetensors"
    shutil.copy(VIVID, own)
    assert tiny(weights=own).weights.digest() == tiny(detail=1, denoise=0).weights.digest()
    assert tiny(weights=own).chosen == {}
    with pytest.raises(SettingsError, match=f"detail 0.5 has no effect with .*: {VIVID_FILE} is not beside it"):
        tiny(weights=own, detail=0.5)
    with pytest.raises(SettingsError, match=f"denoise 0.5 has no effect with .*: {CLEAN_FILE} is not beside it"):
        tiny(weights=own, denoise=0.5)
    shutil.copy(VIVID, tmp_path / VIVID_FILE)
    assert tiny(weights=tmp_path, detail=0.5).chosen == {"detail": 0.5}
    shutil.copy(CLEAN, tmp_path / CLEAN_FILE)
    assert tiny(weights=tmp_path, denoise=0.5).chosen == {"detail": TINY_DETAIL, "denoise": 0.5}
    one, two = tiny(weights=tmp_path, detail=1).weights.digest(), tiny(detail=1).weights.digest()
    assert one != two  # one cleaner before both ends


def test_each_value_has_a_digest_of_its_own() -> None:
    assert len({tiny(detail=value).weights.digest() for value in (0, 0.3, 0.30001, 1)}) == 4
    assert tiny().weights.digest() == tiny(detail=TINY_DETAIL).weights.digest()


def test_networks_of_other_shapes_are_refused(tmp_path: Path) -> None:
    save_tiny(TinyNetwork(TinyConfig(channels=16)), tmp_path / "small.safetensors")
    with pytest.raises(WeightsError, match="different shapes"):
        Between(first=TINY_WEIGHTS, second=tmp_path / "small.safetensors", share=0.5).load(load_tiny)


@pytest.mark.parametrize("method", ["mgld-vsr", "diffvsr"])
def test_other_methods_refuse_it(method: str) -> None:
    with pytest.raises(SettingsError, match=f"detail has no effect with the method {method}"):
        find_method(method, Settings(method=method, detail=0.5))
    with pytest.raises(SettingsError, match=f"denoise has no effect with the method {method}"):
        find_method(method, Settings(method=method, denoise=0.5))


@pytest.mark.parametrize("detail", [-0.1, 1.1])
def test_the_range_is_from_0_to_1(detail: float) -> None:
    with pytest.raises(SettingsError, match="detail is"):
        Settings(detail=detail)


def test_the_sidecar_keeps_what_was_chosen(tmp_path: Path) -> None:
    import media

    film = media.make_video(tmp_path / "film.mp4", width=32, height=24, frames=3)
    for name, given, kept in (("a", {}, TINY_DETAIL), ("b", {"detail": 0.25}, 0.25)):
        limpid.upscale(film, tmp_path / f"{name}.mkv", method="tiny", calibrate=False, **given)
        sidecar = tmp_path / f"{name}.mkv.limpid.json"
        assert json.loads(sidecar.read_text())["resolved"]["detail"] == kept
        assert json.loads(sidecar.read_text())["resolved"]["denoise"] == TINY_DENOISE
        assert from_sidecar(sidecar)[1].detail == kept
    assert (tmp_path / "a.mkv").read_bytes() != (tmp_path / "b.mkv").read_bytes()
