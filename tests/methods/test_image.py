"""Image networks of other people as a method: tiles without seams, whole runs, PyTorch's files, what is refused."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from image_networks import blurring, leveling, nearest, unpadded
from media import make_video
from ncnn_here import needs_ncnn, needs_vulkan
from passing import frame_times, sound

from limpid.api import restore, upscale
from limpid.cuts.blended import Blended
from limpid.cuts.local import Local
from limpid.methods import find_method
from limpid.priors.load import image as module
from limpid.settings import Settings
from limpid.types import Interrupted, SettingsError, WeightsError


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what was found about networks is kept."""
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path / "cache"))
    return tmp_path / "cache" / "probed"


def clip(weights: Path, frames: np.ndarray, **options: Any) -> np.ndarray:
    settings = {"method": "image", "weights": str(weights), "device": "cpu", "threads": 1, **options}
    return np.stack(list(restore(iter(frames), fps=Fraction(25), **settings)))


def pictures(count: int = 2, height: int = 50, width: int = 70) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


@needs_ncnn
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_frames_are_what_the_network_makes_of_them(tmp_path: Path, scale: int) -> None:
    frames = pictures()
    made = clip(nearest(tmp_path / "n", scale, gain=0.5), frames)
    assert np.abs(made.astype(float) - frames.repeat(scale, 1).repeat(scale, 2) / 2).max() <= 0.51


@needs_ncnn
def test_tiles_of_a_network_that_looks_a_little_around_show_no_seams(tmp_path: Path) -> None:
    weights, frames = blurring(tmp_path / "b", layers=5), pictures()
    assert find_method("image", Settings(weights=str(weights))).cuts == Local(reach_px=8)
    whole = clip(weights, frames)
    assert np.abs(whole.astype(int) - clip(weights, frames, tile_px=24)).max() <= 1
    assert np.array_equal(whole, clip(weights, frames, segment_frames=1))


@needs_ncnn
def test_one_that_looks_at_everything_has_blended_tiles(tmp_path: Path) -> None:
    weights = leveling(tmp_path / "l")
    method = find_method("image", Settings(weights=str(weights)))
    assert isinstance(method.cuts, Blended) and method.cuts.tile_px
    flat = np.full((2, 40, 48, 3), 100, np.uint8)
    assert np.array_equal(clip(weights, flat), np.full((2, 80, 96, 3), 200, np.uint8))
    assert np.array_equal(clip(weights, flat, tile_px=32), np.full((2, 80, 96, 3), 200, np.uint8))


@needs_ncnn
def test_the_edges_that_a_network_loses_are_given_to_it_before(tmp_path: Path) -> None:
    frames = pictures()
    made = clip(unpadded(tmp_path / "u"), frames)
    padded = np.pad(frames.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2)).mean((-1, -2))
    assert np.abs(made - windows.repeat(2, 1).repeat(2, 2)).max() <= 0.51


@needs_ncnn
def test_a_film_keeps_its_sound_and_times_and_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    source, whole, output = (tmp_path / name for name in ("in.mkv", "whole.mkv", "out.mkv"))
    pts = [0, 40, 80, 140, 180, 220, 260, 300, 340]
    make_video(source, frames=9, pts=pts, time_base=Fraction(1, 1000), audio=True)
    options = {"method": "image", "weights": str(blurring(tmp_path / "b")), "segment_frames": 3, "threads": 1}
    upscale(source, whole, **options)
    assert frame_times(whole) == frame_times(source)
    assert np.array_equal(sound(whole)[0], sound(source)[0])

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "segment":
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        upscale(source, output, **options, on_event=stop)
    assert upscale(source, output, **options).resumed_segments
    assert output.read_bytes() == whole.read_bytes()


@needs_vulkan
def test_on_a_vulkan_device(tmp_path: Path) -> None:
    weights, frames = blurring(tmp_path / "b"), pictures(1)
    on_vulkan = clip(weights, frames, device="vulkan")
    assert np.abs(on_vulkan.astype(int) - clip(weights, frames)).max() <= 1


@needs_ncnn
def test_what_was_found_is_kept_by_the_hash_of_the_files(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = nearest(tmp_path / "n", 3)
    assert find_method("image", Settings(weights=str(weights))).scale == 3
    (kept,) = own_cache.iterdir()
    monkeypatch.setattr(module, "examine_network", None)
    assert find_method("image", Settings(weights=str(weights.with_suffix(".bin")))).scale == 3
    monkeypatch.undo()
    monkeypatch.setenv("LIMPID_WEIGHTS", str(tmp_path / "cache"))
    kept.write_text('{"scale": 99}')
    assert find_method("image", Settings(weights=str(weights.with_suffix("")))).scale == 3


@needs_ncnn
def test_detail_is_averaged_along_the_motion_where_that_is_asked_for(tmp_path: Path) -> None:
    weights, frames = blurring(tmp_path / "b"), pictures(1).repeat(3, 0)
    method = find_method("image", Settings(weights=str(weights), consistency="filter"))
    assert isinstance(method.cuts, Blended) and method.cuts.context_frames == 1
    made, plain = clip(weights, frames, consistency="filter"), clip(weights, frames)
    assert np.abs(made.astype(int) - plain).max() <= 1, "nothing moves or flickers"
    assert np.array_equal(made, clip(weights, frames, consistency="filter"))
    with pytest.raises(SettingsError, match="consistency noise does not fit the method image; it can be none or filt"):
        find_method("image", Settings(weights=str(weights), consistency="noise"))


# ---------------------------------------------------------------------------------------------- spandrel


class Descriptor:
    """What spandrel gives for a network it knows: here pixels repeated and multiplied by the only weight."""

    input_channels = output_channels = 3
    supports_half = supports_bfloat16 = False

    def __init__(self, gain: float) -> None:
        self.model = torch.nn.Identity()
        self.gain = gain

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        return F.interpolate(frames, scale_factor=2, mode="nearest") * self.gain


class ModelLoader:
    def __init__(self, device: str) -> None:
        assert device == "cpu"

    def load_from_state_dict(self, state: dict[str, torch.Tensor]) -> Descriptor:
        if "gain" not in state:
            raise RuntimeError("Unsupported model")
        return Descriptor(float(state["gain"]))


@pytest.fixture
def spandrel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package, which needs torchvision."""
    monkeypatch.setitem(sys.modules, "spandrel", SimpleNamespace(ModelLoader=ModelLoader))


def saved(path: Path, name: str = "gain") -> Path:
    torch.save({"params_ema": {name: torch.tensor(0.5)}}, path)
    return path


@pytest.mark.usefixtures("spandrel")
def test_files_of_pytorch_are_read_without_running_them(tmp_path: Path) -> None:
    frames = pictures()
    made = clip(saved(tmp_path / "x.pth"), frames)
    assert np.abs(made.astype(float) - frames.repeat(2, 1).repeat(2, 2) / 2).max() <= 0.51
    with pytest.raises(WeightsError, match=r"y\.pth: spandrel knows no network of this form .*Unsupported model"):
        find_method("image", Settings(weights=str(saved(tmp_path / "y.pth", "other"))))
    with pytest.raises(SettingsError, match="runtime ncnn has no effect with this network, which runs in torch only"):
        clip(saved(tmp_path / "x.pth"), frames, runtime="ncnn")


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="the method image needs --weights MODEL"):
        find_method("image")
    with pytest.raises(WeightsError, match=r"no\.param: there is no such file"):
        find_method("image", Settings(weights=str(tmp_path / "no.param")))
    with pytest.raises(WeightsError, match=r"no\.pth: there is no such file"):
        find_method("image", Settings(weights=str(tmp_path / "no.pth")))
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(SettingsError, match=r"the package spandrel.*pip install spandrel, or limpid-video\[spandrel"):
        find_method("image", Settings(weights=str(saved(tmp_path / "x.pth"))))


def test_architectures_that_spandrel_knows(tmp_path: Path) -> None:
    pytest.importorskip("spandrel", reason="spandrel needs torchvision, which is not here", exc_type=ImportError)
    from spandrel.architectures.Compact import Compact
    from spandrel.architectures.ESRGAN import RRDBNet
    from spandrel.architectures.SPAN import SPAN

    torch.manual_seed(0)
    made = {
        "compact": Compact.SRVGGNetCompact(num_feat=16, num_conv=2, upscale=2),
        "esrgan": RRDBNet.RRDBNet(num_filters=8, num_blocks=1, scale=4),
        "span": SPAN.SPAN(num_in_ch=3, num_out_ch=3, feature_channels=16, upscale=2),
    }
    for name, network in made.items():
        path = tmp_path / f"{name}.pth"
        torch.save(network.state_dict(), path)
        frames = pictures(1)
        scale = find_method("image", Settings(weights=str(path))).scale
        assert clip(path, frames).shape == (1, 50 * scale, 70 * scale, 3)
