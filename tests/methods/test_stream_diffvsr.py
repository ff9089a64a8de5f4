"""Stream-DiffVSR from a checkpoint in the makers' layout to a finished video, with small random networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import limpid
from limpid.checkpoints.folders import read_card
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.convert.verify import verify_weights
from limpid.flow.installed import flow_file_used
from limpid.flow.tiled import TiledFlow
from limpid.methods import find_method
from limpid.networks.flow.raft import RAFTFlow
from limpid.settings import Settings
from limpid.types import Interrupted, SettingsError, WeightsError

NAME = "stream-diffvsr"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    make_random_weights(NAME, "tiny", root / "official")
    return convert_weights(NAME, root / "official", root / NAME)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """7 frames of 17x25 that move by a pixel each; no side is a multiple of 4."""
    picture = np.random.default_rng(0).integers(0, 256, (17, 50, 3), dtype=np.uint8)
    return np.stack([picture[:, i : i + 25] for i in range(7)])


def restored(frames: np.ndarray, folder: Path, **options: Any) -> np.ndarray:
    chosen = {"fps": 25, "cuts": [], "steps": 1, **options}
    return np.stack(list(limpid.restore(list(frames), method=NAME, weights=str(folder), **chosen)))


def test_any_size_is_made_four_times_as_large_and_only_later_frames_know_earlier_ones(
    frames: np.ndarray, folder: Path
) -> None:
    whole = restored(frames, folder)
    assert whole.shape == (7, 68, 100, 3)
    assert np.array_equal(restored(frames[:3], folder), whole[:3])
    # a frame that begins a shot is told nothing; those after it are told of it
    cut = restored(frames, folder, cuts=[4])
    same = [np.array_equal(a, b) for a, b in zip(cut, whole, strict=True)]
    assert same == [True] * 4 + [False] * 3


@pytest.mark.parametrize("length", [1, 3])
def test_segments_make_no_difference(length: int, frames: np.ndarray, folder: Path) -> None:
    assert np.array_equal(restored(frames, folder, segment_frames=length), restored(frames, folder))


def test_tiles_of_denoiser_and_decoder_see_their_part_of_the_frame_before(frames: np.ndarray, folder: Path) -> None:
    """Every piece is told of as much as it makes; what comes out is near to what is made at once."""
    tiled, whole = restored(frames, folder, tile_px=16), restored(frames, folder)
    assert not np.array_equal(tiled, whole)
    assert np.abs(tiled.astype(float) - whole).mean() < 4


def test_a_run_that_was_stopped_ends_with_the_same_bytes(clip: Path, folder: Path, tmp_path: Path) -> None:
    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "segment" and event["index"] == 0:
            raise Interrupted("stopped by the test")

    options: dict[str, Any] = {"method": NAME, "weights": str(folder), "steps": 1, "segment_frames": 6}
    options |= {"calibrate": False, "codec": "ffv1", "preview": "0-0.6"}
    limpid.upscale(clip, tmp_path / "whole.mkv", **options)
    with pytest.raises(Interrupted):
        limpid.upscale(clip, tmp_path / "parts.mkv", on_event=stop, **options)
    report = limpid.upscale(clip, tmp_path / "parts.mkv", **options)
    assert report.resumed_segments >= 1
    assert (tmp_path / "whole.mkv").read_bytes() == (tmp_path / "parts.mkv").read_bytes()
    assert json.loads((tmp_path / "parts.mkv.limpid.json").read_text())["random_weights"] is True


def test_the_method_is_as_released(folder: Path) -> None:
    method = find_method(NAME, Settings(weights=str(folder)))
    steps = method.make_schedule(method.num_steps(Settings()))
    assert [step.t for step in steps] == [999, 749, 499, 249]
    assert method.carries and method.strategy.causal
    assert method.guidance is None
    assert method.weights.random
    assert set(method.weights.network_bytes) == {"unet", "controlnet", "vae"}
    assert verify_weights(folder) == []
    assert any("optical flow" in note for note in read_card(folder).notes)


def test_steps_of_the_folder_are_followed(folder: Path, tmp_path: Path) -> None:
    """Students of fewer steps say so in their card; the schedule is the one in the folder."""
    from dataclasses import replace

    from limpid.checkpoints.folders import write_card

    for path in folder.rglob("*"):
        target = tmp_path / "student" / path.relative_to(folder)
        target.mkdir(parents=True) if path.is_dir() else target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            target.write_bytes(path.read_bytes())
    write_card(tmp_path / "student", replace(read_card(folder), defaults={"steps": 2}))
    schedule = tmp_path / "student" / "scheduler" / "scheduler_config.json"
    schedule.write_text(json.dumps({**json.loads(schedule.read_text()), "timestep_spacing": "leading"}))
    method = find_method(NAME, Settings(weights=str(tmp_path / "student")))
    assert [step.t for step in method.make_schedule(method.steps)] == [501, 1]


def test_raft_beside_the_weights_is_used_in_tiles_and_belongs_to_their_hash(folder: Path, tmp_path: Path) -> None:
    make_random_weights("raft-large", "tiny", tmp_path / "raft")
    (file,) = (tmp_path / "raft").glob("*.pth")
    make_random_weights(NAME, "tiny", tmp_path / "official")
    # the file that it was trained with has another name, and the same tensors
    file.rename(tmp_path / "official" / "raft_large_C_T_SKHT_V2-ff5fadd5.pth")
    convert_weights(NAME, tmp_path / "official", tmp_path / NAME)
    found = {flow: find_method(NAME, Settings(weights=str(tmp_path / NAME), flow=flow)) for flow in ("raft", "dis")}
    estimator: Any = found["raft"].strategy
    assert isinstance(estimator.estimator, TiledFlow)
    inner: Any = estimator.estimator.estimator
    assert isinstance(inner, RAFTFlow) and inner.iterations == 12
    assert flow_file_used(estimator.estimator) == tmp_path / NAME / "flow" / "model.safetensors"
    assert found["raft"].weights.digest() != found["dis"].weights.digest()
    with pytest.raises(WeightsError, match="raft-things"):
        find_method(NAME, Settings(weights=str(folder), flow="raft"))


@pytest.mark.parametrize("option", [{"consistency": "motion"}, {"prompt": "a cat"}, {"released": True}])
def test_what_it_does_not_have_is_refused(option: dict[str, Any], folder: Path) -> None:
    with pytest.raises(SettingsError, match="has no effect with the method stream-diffvsr"):
        find_method(NAME, Settings(weights=str(folder), **option))


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(SettingsError, match="stream-diffvsr"):
        find_method("stream-difvsr")


def test_missing_weights_say_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"Jamichsu/Stream-DiffVSR.*limpid weights convert stream-diffvsr"):
        find_method(NAME)


def test_a_frame_of_one_latent_pixel_along_a_side(folder: Path) -> None:
    """Less than the temporal processors average over."""
    frames = np.random.default_rng(1).integers(0, 256, (3, 4, 40, 3), dtype=np.uint8)
    assert restored(frames, folder).shape == (3, 16, 160, 3)


def test_what_is_handed_on_is_not_clipped(folder: Path) -> None:
    """The frame before is told as the decoder made it, which the network was trained with."""
    from fakes import CPU, segment_of

    from limpid.restoration.chunk import Chunk
    from limpid.restoration.loop import sample_segment

    method = find_method(NAME, Settings(weights=str(folder)))
    lr = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    chunk = Chunk(frames=lr, segment=segment_of((0, 2), (0, 2), (0, 9)))
    shown = sample_segment(method, method.load(CPU), chunk, steps=method.make_schedule(1), seed=0)
    assert shown.min() >= 0 and shown.max() <= 1
    left = chunk.carry_out["previous"]
    assert left.shape == (1, 3, 64, 64) and left.min() < 0
    torch.testing.assert_close(left.clamp(0, 1), shown[1:])
    assert torch.equal(chunk.carry_out["previous_lr"], lr[1:])
