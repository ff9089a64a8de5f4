"""DC-VSR from a checkpoint in the makers' format to finished frames, with small random networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.consistency.attention_propagation import AttentionPropagation
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.guidance.dssag import DetailSuppression
from limpid.method import Method
from limpid.methods import find_method
from limpid.methods.dc_vsr import dc_vsr, kept_bytes
from limpid.settings import Settings
from limpid.types import SettingsError, WeightsError
from limpid.video import probe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    return convert_weights("dc-vsr", make_random_weights("dc-vsr", "tiny", root / "official"), root / "dc-vsr")


def restored(folder: Path, frames: np.ndarray, **changes: Any) -> np.ndarray:
    options = {"method": "dc-vsr", "weights": str(folder), "steps": 2, **changes}
    return np.stack(list(limpid.restore(frames, cuts=[], **options)))


def noisy(count: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("count", "height", "width", "changes"),
    [
        (1, 16, 16, {}),
        (3, 17, 15, {"steps": 1}),
        (14, 16, 16, {}),
        (40, 16, 15, {"segment_frames": 14, "attention": "tap", "guidance": "none"}),
        (2, 20, 34, {"tile_px": 16}),
    ],
    ids=["one frame", "not divisible", "a window", "segments and windows", "tiles"],
)
def test_sizes(folder: Path, count: int, height: int, width: int, changes: dict[str, Any]) -> None:
    frames = restored(folder, noisy(count, height, width), **changes)
    assert frames.shape == (count, 4 * height, 4 * width, 3)
    assert frames.std() > 0


def test_attention_that_finds_nothing_to_look_at_is_told(folder: Path, tmp_path: Path) -> None:
    import media

    film = media.make_video(tmp_path / "film.mp4", width=40, height=24, frames=9)

    def notes(**changes: Any) -> list[str]:
        options = {"method": "dc-vsr", "weights": str(folder), "dry_run": True, "calibrate": False, **changes}
        report = limpid.upscale(film, tmp_path / "out.mp4", **options)
        return [note.split(":")[0] for note in report.notes if "attention" in note]

    sap, tap = "attention sap has no effect here", "attention tap has no effect here"
    assert notes() == [], "nothing was asked for"
    assert notes(attention="sap") == [sap]
    assert notes(attention="sap+tap") == [sap, tap]
    assert notes(attention="sap+tap", tile_px=16) == [tap]
    assert notes(attention="sap+tap", window_frames=4) == [sap]
    assert notes(attention="sap+tap", tile_px=16, window_frames=4) == []
    assert notes(attention="none") == []


def test_a_film_keeps_its_frames_and_sound_and_says_that_weights_are_random(folder: Path, tmp_path: Path) -> None:
    import media

    film = media.make_video(tmp_path / "film.mp4", width=24, height=16, frames=9, audio=True)
    out = tmp_path / "out.mkv"
    options = {"steps": 1, "segment_frames": 7, "joint_frames": 2, "calibrate": False, "attention": "none"}
    report = limpid.upscale(film, out, method="dc-vsr", weights=str(folder), guidance="none", **options)
    clip = probe(out)
    assert (clip.width, clip.height, report.frames) == (96, 64, 9)
    assert [stream.kind for stream in clip.side_streams] == ["audio"]
    assert json.loads(Path(f"{out}.limpid.json").read_text())["random_weights"] is True


def test_every_option_has_an_effect(folder: Path) -> None:
    frames = noisy(1, 32, 16)
    tiles = {"tile_px": 16, "color": "none"}
    changes: dict[str, dict[str, Any]] = {
        "plain": {},
        "no attention": {"attention": "none"},
        "sap": {"attention": "sap"},
        "rate": {"attention_rate": 1.0},
        "none": {"guidance": "none"},
        "scale": {"guidance_scale": 3.0},
        "clip": {"image_embedding": "clip"},
        "strength": {"strength": 0.5},
    }
    made = {name: restored(folder, frames, **tiles, **change) for name, change in changes.items()}
    # One window: there is nothing for tap to take from.
    same = {"sap"}
    assert {name for name in changes if name != "plain" and np.array_equal(made[name], made["plain"])} == same
    long = noisy(16, 16, 16)
    counts = [restored(folder, long, attention_frames=n, guidance="none", color="none") for n in (1, 4)]
    assert not np.array_equal(*counts)


def method(folder: Path, **settings: Any) -> Method:
    return find_method("dc-vsr", Settings(method="dc-vsr", weights=str(folder), **settings))


def test_composition(folder: Path) -> None:
    made = method(folder)
    assert isinstance(made.attention, AttentionPropagation) and isinstance(made.guidance, DetailSuppression)
    assert (made.attention.spatial_rate, made.attention.temporal_frames) == (1 / 16, 4)
    assert made.guidance.scale == 2.0 and "compile" not in made.options
    only = method(folder, attention="tap", attention_frames=2, guidance="none", joint_frames=0)
    assert isinstance(only.attention, AttentionPropagation) and only.guidance is None and not only.carries
    assert (only.attention.spatial_rate, only.attention.temporal_frames) == (0.0, 2)
    plain = method(folder, attention="none", guidance="cfg", guidance_scale=4.0)
    assert plain.attention is None and "compile" in plain.options
    assert set(made.weights.network_bytes) == {"unet", "vae"} and made.weights.random
    assert set(method(folder, image_embedding="clip").weights.network_bytes) == {"unet", "vae", "image_encoder"}
    steps = made.make_schedule(25)
    assert (steps[0].sigma, len(steps)) == (pytest.approx(700.0), 25) and steps[-1].sigma == pytest.approx(0.002)


def test_memory_between_calls(folder: Path) -> None:
    """The figures of docs/attention.md, which are for two bytes per number, for 1920x1080 made of 480x270."""
    size: dict[str, Any] = {"width": 480, "height": 270, "frames": 14, "tile_px": 128, "channels": 320}
    found = kept_bytes(AttentionPropagation(), **size, branches=2)
    assert found == 2 * 4480 << 20
    only = AttentionPropagation(temporal_frames=0)
    assert kept_bytes(only, **size, branches=2) == pytest.approx(2 * 1102 << 20, rel=1e-3)
    whole = kept_bytes(AttentionPropagation(), **{**size, "tile_px": None}, branches=2)
    assert whole == found * (136 * 240) // (28 * 64 * 64)  # nothing overlaps
    for changes, branches in (({}, 2), ({"guidance": "none"}, 1), ({"guidance": "sag"}, 3), ({"guidance": "pag"}, 3)):
        made = method(folder, **changes)
        assert (
            made.cost.kept_bytes is not None and made.cost.kept_bytes(480, 270, 14, 128) == found * 32 * branches // 640
        )
    assert method(folder, attention="none").cost.kept_bytes is None


def test_a_dry_run_says_what_is_kept_between_calls(folder: Path, tmp_path: Path) -> None:
    """4 layers of 32 channels, 2 branches, keys and values of 4 frames of 9 tiles of 8x8 latents in float32."""
    import media

    film = media.make_video(tmp_path / "film.mp4", width=32, height=32, frames=5)
    options = {"tile_px": 16, "calibrate": False, "dry_run": True, "weights": str(folder), "dtype": "float32"}
    with_bank, without = (
        limpid.upscale(film, tmp_path / "x.mkv", method="dc-vsr", attention=attention, guidance="cfg", **options)
        for attention in ("sap+tap", "none")
    )
    kept = 4 * 32 * 2 * 2 * 4 * 9 * 64 * 4
    assert with_bank.plan["peak_bytes"] - without.plan["peak_bytes"] == kept
    said = [reason for reason in with_bank.plan["reasons"] if "keys and values are kept" in reason]
    assert len(said) == 1 and not any("keys and values" in reason for reason in without.plan["reasons"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attention": "tap", "attention_rate": 0.5}, "attention_rate has no effect"),
        ({"attention": "none", "attention_frames": 2}, "attention_frames has no effect"),
        ({"guidance": "none", "guidance_scale": 2.0}, "guidance_scale 2 has no effect"),
        ({"prompt": "a street"}, "prompt has no effect"),
        ({"noise_level": 3}, "noise_level has no effect"),
    ],
)
def test_options_without_effect_are_refused(folder: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        method(folder, **changes)


def test_missing_weights_are_one_sentence() -> None:
    with pytest.raises(WeightsError, match=r"limpid weights fetch dc-vsr from https://huggingface.co/Janghyeok"):
        dc_vsr()
