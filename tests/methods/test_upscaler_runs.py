"""The SD x4 upscaler family from a checkpoint in the makers' format to a finished video, with small random networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import limpid
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.methods import find_method
from limpid.settings import Settings
from limpid.types import Interrupted, SettingsError, WeightsError, Window
from limpid.video import FrameReader, probe, scan

NAMES = ("upscale-a-video", "diffvsr")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Converted random checkpoints by the name of the method."""
    root = tmp_path_factory.mktemp("weights")
    for name in NAMES:
        make_random_weights(name, "tiny", root / f"official-{name}")
        convert_weights(name, root / f"official-{name}", root / name)
    return {name: root / name for name in NAMES}


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32x24, 20 frames with sound, a cut at frame 14."""
    import media

    def draw(index: int) -> np.ndarray:
        return media.shot_picture(index, 32, 24, [14])

    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return Path(media.make_video(path, width=32, height=24, frames=20, audio=True, draw=draw))


def pixels_of(path: Path) -> np.ndarray:
    clip = probe(path)
    timeline = scan(clip, detect_cuts=False)
    with FrameReader(clip, timeline) as reader:
        return np.stack([frame.pixels for frame in reader.read(Window(start=0, stop=timeline.num_frames))])


def run(film: Path, out: Path, folders: dict[str, Path], name: str, **changes: Any) -> limpid.Report:
    options = {"steps": 2, "segment_frames": 6, "calibrate": False, "codec": "ffv1", **changes}
    return limpid.upscale(film, out, method=name, weights=str(folders[name]), **options)


@pytest.mark.parametrize("name", NAMES)
def test_a_film_keeps_its_frames_and_sound_and_says_that_weights_are_random(
    name: str, film: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    report = run(film, tmp_path / "out.mkv", folders, name, propagation_steps=None)
    clip = probe(tmp_path / "out.mkv")
    assert (clip.width, clip.height, report.frames) == (128, 96, 20)
    assert [stream.kind for stream in clip.side_streams] == ["audio"]
    facts = json.loads((tmp_path / "out.mkv.limpid.json").read_text())
    assert facts["random_weights"] is True
    assert len(pixels_of(tmp_path / "out.mkv")) == 20


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_was_stopped_ends_with_the_same_pixels(
    name: str, film: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    """What one segment hands to the next one is in the journal."""

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "segment":
            raise Interrupted("stopped by the test")

    changes = {"propagation_steps": "1", "consistency": "propagation"} if name == "upscale-a-video" else {}
    run(film, tmp_path / "whole.mkv", folders, name, **changes)
    with pytest.raises(Interrupted):
        run(film, tmp_path / "parts.mkv", folders, name, on_event=stop, **changes)
    report = run(film, tmp_path / "parts.mkv", folders, name, **changes)
    assert report.resumed_segments >= 1
    assert np.array_equal(pixels_of(tmp_path / "whole.mkv"), pixels_of(tmp_path / "parts.mkv"))


def test_segments_of_diffvsr_change_next_to_nothing(film: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    """A joint is one more border of windows: latents are those of the whole shot. Only decoder chunks see the cut."""
    common = {"color": "none", "detect_cuts": False}
    run(film, tmp_path / "cut.mkv", folders, "diffvsr", segment_frames=8, **common)
    run(film, tmp_path / "whole.mkv", folders, "diffvsr", segment_frames=100, **common)
    cut, whole = pixels_of(tmp_path / "cut.mkv").astype(float), pixels_of(tmp_path / "whole.mkv").astype(float)
    assert np.abs(cut - whole).mean() < 1.0


def test_prompts_guidance_and_decoders_have_an_effect(film: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    base = {"preview": "0-0.1", "color": "none"}
    made: dict[str, np.ndarray] = {}
    changes: dict[str, dict[str, Any]] = {
        "plain": {},
        "prompt": {"prompt": "a street at night"},
        "per shot": {"prompts": "1: a street at night"},
        "negative": {"negative_prompt": "snow"},
        "no guidance": {"guidance": "none"},
        "guidance": {"guidance_scale": 1.0},
        "dssag": {"guidance": "dssag"},
        "sag": {"guidance": "sag"},
        "pag": {"guidance": "pag"},
        "noise": {"noise_level": 300},
        "decoder": {"autoencoder": "image"},
        "released": {"released": True},
        "no propagation": {"consistency": "none"},
        "early propagation": {"propagation_steps": "0"},
        "strength": {"strength": 0.5},
        "tiles": {"tile_px": 16},
    }
    for name, change in changes.items():
        path = tmp_path / f"{name}.mkv"
        run(film, path, folders, "upscale-a-video", **base, **change)
        made[name] = pixels_of(path)
    assert np.array_equal(made["prompt"], made["per shot"])
    assert np.array_equal(made["guidance"], made["no guidance"])
    different = [name for name in changes if name not in ("plain",) and np.array_equal(made[name], made["plain"])]
    assert not different


def test_the_decoder_follows_the_input_as_strongly_as_it_is_told(folders: dict[str, Path]) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)

    def made(**changes: Any) -> np.ndarray:
        where = {"method": "upscale-a-video", "weights": str(folders["upscale-a-video"])}
        plain = {"steps": 1, "guidance": "none", "consistency": "none", "color": "none"}
        return np.stack(list(limpid.restore(frames, **where, **plain, **changes)))

    whole, half, off = (made(decoder_weight=weight) for weight in (1.0, 0.5, 0.0))
    assert np.array_equal(whole, made())
    assert not np.array_equal(whole, half) and not np.array_equal(half, off)


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("diffvsr", {}, "decoder_weight has no effect with the method diffvsr and its video decoder"),
        ("upscale-a-video", {"autoencoder": "image"}, "decoder_weight has no effect with"),
    ],
)
def test_a_decoder_that_does_not_see_the_input_has_no_weight_of_it(
    name: str, changes: dict[str, Any], says: str, folders: dict[str, Path]
) -> None:
    settings = Settings(method=name, weights=str(folders[name]), **changes)
    with pytest.raises(SettingsError, match=says):
        find_method(name, settings.replace(decoder_weight=0.5))


def test_a_dry_run_says_what_fits_and_why(
    film: Path, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpid.plan.device.cpu_budget", lambda **_: 200 << 20)
    report = run(film, tmp_path / "x.mkv", folders, "upscale-a-video", dry_run=True)
    assert report.plan["rung"]["window_frames"] is None and report.plan["offload"] == "none"
    assert report.plan["peak_bytes"] > 0
    assert not list(tmp_path.iterdir())


def test_frames_from_memory_are_those_of_the_file(film: Path, folders: dict[str, Path], tmp_path: Path) -> None:
    settings = {"method": "diffvsr", "weights": str(folders["diffvsr"]), "steps": 1, "segment_frames": 8}
    frames = pixels_of(film)
    streamed = np.stack(list(limpid.restore(frames, cuts=[14], **settings)))
    run(film, tmp_path / "x.mkv", folders, "diffvsr", steps=1, segment_frames=8)
    assert np.array_equal(streamed, pixels_of(tmp_path / "x.mkv"))


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("diffvsr", {"autoencoder": "image"}, "has no autoencoder image; it can be video or light"),
        (
            "diffvsr",
            {"autoencoder": "light"},
            "no light decoder .*--recipe diffvsr/light-decoder",
        ),
        ("upscale-a-video", {"autoencoder": "light", "released": True}, "do not go together"),
        ("diffvsr", {"propagation_steps": "1"}, "without propagation"),
        ("diffvsr", {"flow": "dis"}, "without propagation or motion"),
        ("upscale-a-video", {"flow": "dis", "consistency": "none"}, "without propagation or motion"),
        ("upscale-a-video", {"propagation_steps": ""}, "names no step"),
        ("diffvsr", {"joint_frames": 3}, "joint_frames is 3"),
        ("upscale-a-video", {"propagation_steps": "2"}, "step 2 does not exist"),
        ("upscale-a-video", {"prompts": "9: nothing"}, "shot 9"),
        ("upscale-a-video", {"flow": "raft", "propagation_steps": "1"}, "RAFT"),
        ("upscale-a-video", {"guidance": "none", "guidance_scale": 3.0}, "guidance_scale 3 has no effect"),
        ("upscale-a-video", {"guidance": "dssag", "compile": True}, "compile has no effect"),
        ("tiny", {"guidance": "cfg"}, "guidance has no effect"),
        ("tiny", {"prompt": "x"}, "prompt has no effect"),
        ("tiny", {"caption": "auto"}, "caption has no effect"),
        ("tiny", {"consistency": "propagation"}, "does not fit the method tiny"),
    ],
)
def test_options_that_cannot_work_are_refused_before_anything_is_read(
    name: str, changes: dict[str, Any], says: str, film: Path, folders: dict[str, Path], tmp_path: Path
) -> None:
    weights = {"weights": str(folders[name])} if name in folders else {}
    with pytest.raises((SettingsError, WeightsError), match=says):
        limpid.upscale(film, tmp_path / "x.mkv", method=name, steps=2, **weights, **changes)
    assert not (tmp_path / "x.mkv").exists()


def test_tiny_can_share_noise_among_frames(film: Path, tmp_path: Path) -> None:
    limpid.upscale(film, tmp_path / "x.mkv", method="tiny", steps=2, consistency="noise", calibrate=False)
    assert len(pixels_of(tmp_path / "x.mkv")) == 20


def test_missing_weights_are_one_sentence() -> None:
    with pytest.raises(WeightsError, match=r"limpid weights convert diffvsr"):
        find_method("diffvsr", Settings())


@pytest.mark.parametrize("name", ["upscale-a-video", "mgld-vsr"])
def test_a_loaded_network_is_told_another_text_and_gives_what_a_new_one_does(
    name: str, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limpid.priors.load import mgld_vsr, upscaler

    settings: dict[str, Any] = {"method": name, "weights": str(folders.get(name, tmp_path / "weights")), "steps": 1}
    if name not in folders:
        make_random_weights(name, "tiny", tmp_path / "official")
        convert_weights(name, tmp_path / "official", tmp_path / "weights")
        settings |= {"guidance": "cfg", "consistency": "none"}
    picture, text = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8), {"prompt": "a park"}
    with limpid.Upscaler(**settings, prompt="a street at night") as kept:
        first, read = kept.image(picture), list[str]()
        for module in (upscaler, mgld_vsr):
            monkeypatch.setattr(module, "from_folder", lambda *arguments: read.append("network"))
        told = kept.image(picture, **text)
        assert not read
    monkeypatch.undo()
    assert np.array_equal(told, limpid.Upscaler(**settings, **text).image(picture)) and not np.array_equal(told, first)
