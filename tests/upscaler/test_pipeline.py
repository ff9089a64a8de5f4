"""`limpid.LimpidPipeline`: folders and repositories that say what they are, and the pixels of the command line."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import limpid
from limpid.checkpoints.folders import CARD, INDEX
from limpid.cli.main import main
from limpid.convert.random_weights import make_random_weights
from limpid.types import InputError, SettingsError, WeightsError

PLAIN: dict[str, Any] = {"dtype": "float32", "guidance": "none"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted random weights of toy size."""
    root = tmp_path_factory.mktemp("weights")
    make_random_weights("sd-x4-upscaler", "tiny", root / "theirs")
    assert main(["weights", "convert", "sd-x4-upscaler", str(root / "theirs"), "--out", str(root / "ours")]) == 0
    return root / "ours"


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(made, tmp_path / "weights"))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """``t h w 3`` in 8 bits."""
    return np.random.default_rng(0).integers(0, 256, (2, 16, 24, 3), np.uint8)


def test_the_index_says_what_the_folder_is(made: Path) -> None:
    index, card = json.loads((made / INDEX).read_text()), json.loads((made / CARD).read_text())
    assert index["_class_name"] == "LimpidPipeline" and index["_limpid_version"] == limpid.__version__
    assert index["method"] == "sd-x4-upscaler" and index["files"] == card["files"]
    assert all(len(facts["sha256"]) == 64 for facts in index["files"].values())
    assert INDEX not in index["files"]
    assert main(["weights", "verify", str(made)]) == 0


def test_a_call_gives_the_pixels_of_the_command_line(made: Path, pictures: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / "in" / f"{number}.png"), picture[..., ::-1])
    command = ["upscale", str(tmp_path / "in"), str(tmp_path / "out"), "--method", "sd-x4-upscaler", "--fps", "25"]
    command += ["--weights", str(made), "--steps", "2", "--seed", "3", "--dtype", "float32", "--prompt", "a street"]
    assert main([*command, "--no-detect-cuts", "--quiet"]) == 0
    expected = [cv2.imread(str(path))[..., ::-1] for path in sorted((tmp_path / "out").glob("*.png"))]
    pipeline = limpid.LimpidPipeline.from_pretrained(made, torch_dtype=torch.float32)
    generator = torch.Generator().manual_seed(3)
    output = pipeline(video=pictures, prompt="a street", num_inference_steps=2, generator=generator, output_type="pil")
    (images,) = output.frames
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), np.stack(expected))


def test_what_comes_out_is_what_was_asked_for(made: Path, pictures: np.ndarray) -> None:
    pipeline = limpid.LimpidPipeline.from_pretrained(made, steps=1, **PLAIN)
    (arrays,) = pipeline(pictures).frames
    assert arrays.shape == (2, 64, 96, 3) and arrays.dtype == np.float32
    given = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    tensors = pipeline(given, output_type="pt")[0][0]
    assert tensors.dtype == torch.float32 and np.array_equal(tensors.permute(0, 2, 3, 1).numpy(), arrays)
    images = pipeline([Image.fromarray(picture) for picture in pictures], output_type="pil").frames[0]
    assert np.abs(np.stack([np.asarray(image) for image in images]) - arrays * 255).max() < 0.51
    assert not np.array_equal(pipeline(pictures, seed=1).frames[0], arrays)


def test_it_can_be_moved_and_its_upscaler_restores_films(made: Path, clip: Path, tmp_path: Path) -> None:
    pipeline = limpid.LimpidPipeline.from_pretrained(made, steps=1, **PLAIN)
    assert pipeline.to("cpu") is pipeline and pipeline.upscaler.settings.device == "cpu"
    report = pipeline.upscaler.film(clip, tmp_path / "out.mp4", preview="0-0.04")
    assert report.frames == 1
    with pytest.raises(SettingsError, match="device is 'abacus'"):
        pipeline.to("abacus")
    assert pipeline.upscaler.settings.device == "cpu"


def test_any_upscaler_will_do(pictures: np.ndarray) -> None:
    upscaler = limpid.Upscaler(detail=0.3)
    images = limpid.LimpidPipeline(upscaler)(pictures, output_type="pil").frames[0]
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), upscaler.clip(pictures))


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"video": "film.mp4"}, InputError, r"upscaler\.film\('film.mp4'\)"),
        ({"video": []}, InputError, "no frames"),
        ({"video": np.zeros((1, 16, 16), np.uint8)}, InputError, "numpy arrays h w 3"),
        ({"output_type": "latent"}, SettingsError, "np, pt, pil"),
        ({"prompt": "a street"}, SettingsError, "prompt has no effect"),
    ],
)
def test_what_cannot_be_is_said(values: dict[str, Any], error: type, says: str, pictures: np.ndarray) -> None:
    with pytest.raises(error, match=says):
        limpid.LimpidPipeline(limpid.Upscaler())(**{"video": pictures, **values})


# ---------------------------------------------------------------------------------------------- folders


def refused(folder: Path, says: str) -> None:
    with pytest.raises(WeightsError, match=says):
        limpid.LimpidPipeline.from_pretrained(folder)


def test_a_folder_that_is_not_whole_is_refused(folder: Path) -> None:
    (folder / "unet" / "config.json").write_text("{}")
    refused(folder, r"unet/config\.json has changed")
    (folder / "unet" / "config.json").unlink()
    refused(folder, r"unet/config\.json is missing")


def test_what_is_no_index_of_ours_is_refused(folder: Path) -> None:
    index = json.loads((folder / INDEX).read_text())
    for change, says in (
        ({"_class_name": "StableDiffusionPipeline"}, "of the pipeline .*StableDiffusionPipeline"),
        ({"method": "abacus"}, "abacus.*is not here"),
        ({"method": 3}, "damaged"),
        ({"files": {"../outside": {"sha256": "0", "size": 1}}}, "does not lie in the folder"),
        ({"files": []}, "damaged"),
    ):
        (folder / INDEX).write_text(json.dumps({**index, **change}))
        refused(folder, says)
    (folder / INDEX).write_text("{")
    refused(folder, "damaged")
    (folder / INDEX).unlink()
    refused(folder, "limpid weights convert writes it")


# ---------------------------------------------------------------------------------------------- the hub


class FakeHub:
    """One repository, "org/ours", kept as the hub's cache does: links in a folder to files beside it."""

    def __init__(self, repository: Path, cache: Path) -> None:
        self.repository, self.cache, self.asked = repository, cache, list[str]()

    def hf_hub_download(self, *, repo_id: str, filename: str, revision: Any, cache_dir: Any) -> str:
        self.asked.append(filename)
        return str(self._have(repo_id, [filename]) / filename)

    def snapshot_download(
        self,
        *,
        repo_id: str,
        revision: Any,
        cache_dir: Any,
        allow_patterns: Any = (),
        local_files_only: bool = False,
    ) -> str:
        if local_files_only:
            if not (self.cache / "snapshot").is_dir():
                raise FileNotFoundError("not here")
            return str(self.cache / "snapshot")
        self.asked += allow_patterns
        return str(self._have(repo_id, allow_patterns))

    def _have(self, repo_id: str, names: list[str]) -> Path:
        if repo_id != "org/ours":
            raise OSError(f"404 Client Error: {repo_id}\nis not there")
        for name in names:
            blob, link = self.cache / "blobs" / name, self.cache / "snapshot" / name
            blob.parent.mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.repository / name, blob)
            link.unlink(missing_ok=True)
            link.symlink_to(blob)
        return self.cache / "snapshot"


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    (folder / "README.md").write_text("not Limpid's")
    fake = FakeHub(folder, tmp_path / "cache")
    calls = SimpleNamespace(hf_hub_download=fake.hf_hub_download, snapshot_download=fake.snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", calls)  # type: ignore[arg-type]
    return fake


def test_a_repository_is_fetched_only_when_that_is_asked_for(hub: FakeHub, made: Path, pictures: np.ndarray) -> None:
    with pytest.raises(WeightsError, match="download=True fetches it"):
        limpid.LimpidPipeline.from_pretrained("org/ours")
    assert hub.asked == []
    pipeline = limpid.LimpidPipeline.from_pretrained("org/ours", download=True, steps=1, **PLAIN)
    assert hub.asked[0] == INDEX and CARD in hub.asked and "README.md" not in hub.asked
    here = limpid.LimpidPipeline.from_pretrained(made, steps=1, **PLAIN)
    assert np.array_equal(pipeline(pictures).frames[0], here(pictures).frames[0])
    hub.asked.clear()
    limpid.LimpidPipeline.from_pretrained("org/ours")
    assert hub.asked == [], "what was downloaded is asked for again"


def test_nothing_of_a_repository_that_is_not_ours_is_fetched(hub: FakeHub) -> None:
    (hub.repository / INDEX).write_text('{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet"]}')
    with pytest.raises(WeightsError, match="of the pipeline"):
        limpid.LimpidPipeline.from_pretrained("org/ours", download=True)
    assert hub.asked == [INDEX]


def test_what_was_downloaded_is_checked_by_its_hash(hub: FakeHub) -> None:
    weights = hub.repository / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match=r"what came from org/ours is not what .* has changed"):
        limpid.LimpidPipeline.from_pretrained("org/ours", download=True)


def test_what_the_hub_says_becomes_a_sentence(hub: FakeHub) -> None:
    with pytest.raises(WeightsError, match=r"org/none cannot be had from the Hugging Face hub: 404 .* is not there"):
        limpid.LimpidPipeline.from_pretrained("org/none", download=True)


def test_without_its_package_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"limpid-video\[hub\]"):
        limpid.LimpidPipeline.from_pretrained("org/ours", download=True)
    with pytest.raises(WeightsError, match="download=True"):
        limpid.LimpidPipeline.from_pretrained("org/ours")
