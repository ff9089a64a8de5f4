"""`detail` with `small`: exact at the ends, monotonic, in the sidecar; what it has not is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from photo_film import by_detail

import limpid
from limpid.methods import SMALL_WEIGHTS, find_method
from limpid.methods.small import SMALL_DETAIL, SMALL_VIVID_FILE, small
from limpid.priors.small import load_small
from limpid.restoration.direct import without_noise
from limpid.run.prepare import check_options
from limpid.settings import Settings
from limpid.types import Placement, SettingsError

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)
VIVID = SMALL_WEIGHTS.with_name(SMALL_VIVID_FILE)


def loaded(detail: float) -> list[torch.Tensor]:
    return [value.clone() for value in small(detail=detail).load(CPU).residuals.network.state_dict().values()]  # type: ignore[attr-defined]


def test_exact_at_the_ends_and_in_between_elsewhere() -> None:
    ends = [list(load_small(path).state_dict().values()) for path in (SMALL_WEIGHTS, VIVID)]
    for detail, end in zip((0.0, 1.0), ends, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(loaded(detail), end, strict=True))
    for middle, a, b in zip(loaded(0.25), *ends, strict=True):
        assert torch.allclose(middle, 0.75 * a + 0.25 * b, atol=1e-6)


def test_more_detail_is_more_detail() -> None:
    error, coherent = by_detail("small")
    assert error[0] > error[2] and error[1] > error[2]
    assert coherent[0] < coherent[1] < coherent[2]


def test_each_value_has_a_digest_of_its_own() -> None:
    assert len({small(detail=value).weights.digest() for value in (0, 0.3, 0.30001, 1)}) == 4
    assert small().weights.digest() == small(detail=SMALL_DETAIL).weights.digest()


def test_weights_of_your_own_have_one_end(tmp_path: Path) -> None:
    shutil.copy(VIVID, tmp_path / "small.safetensors")
    assert small(weights=tmp_path).weights.digest() == small(detail=1).weights.digest()
    assert small(weights=tmp_path).chosen == {}
    with pytest.raises(SettingsError, match=f"detail 0.5 has no effect with .*: {SMALL_VIVID_FILE} is not beside it"):
        small(weights=tmp_path, detail=0.5)


@pytest.mark.parametrize("option", [{"denoise": 0.5}, {"consistency": "noise"}])
def test_what_it_does_not_have_is_refused(option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(SettingsError, match=f"{name} has no effect with the method small"):
        find_method("small", Settings(method="small", **option))  # type: ignore[arg-type]


def test_the_sidecar_keeps_what_was_chosen(tmp_path: Path) -> None:
    import media

    film = media.make_video(tmp_path / "film.mp4", width=32, height=24, frames=3)
    for name, given, kept in (("a", {}, SMALL_DETAIL), ("b", {"detail": 0.25}, 0.25)):
        limpid.upscale(film, tmp_path / f"{name}.mkv", method="small", calibrate=False, **given)
        assert json.loads((tmp_path / f"{name}.mkv.limpid.json").read_text())["resolved"]["detail"] == kept
    assert (tmp_path / "a.mkv").read_bytes() != (tmp_path / "b.mkv").read_bytes()


def test_a_seed_is_told_to_have_no_effect_and_not_refused() -> None:
    check_options(small(), Settings(seed=3))
    (sentence,) = without_noise(small(), Settings(seed=3))
    assert sentence == "seed 3 has no effect: small draws nothing"


@pytest.mark.parametrize("option", [{"steps": 2}, {"strength": 0.5}, {"window_frames": 4}])
def test_what_the_engine_could_do_only_with_noise_is_refused(option: dict[str, float]) -> None:
    (name,) = option
    with pytest.raises(SettingsError, match=f"{name} has no effect with the method small; .* choose the method tiny"):
        check_options(small(), Settings(**option))  # type: ignore[arg-type]


def test_tiles_have_the_bits_of_the_whole() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 96, 128, 3), np.uint8)
    made = [
        np.stack(list(limpid.restore(iter(frames), fps=25, method="small", dtype="float32", tile_px=tile)))
        for tile in (None, 64)
    ]
    assert np.array_equal(*made)
