"""Damaged weights are noticed by a dry run, before anything is written: truncated, changed, of something else."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from media import make_video
from safetensors.torch import load_file, save_file

import limpid
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.types import WeightsError

SHIPPED = Path(limpid.__file__).parent / "weights"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(make_video(tmp_path_factory.mktemp("film") / "in.mp4", width=32, height=32, frames=2))


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("upscaler")
    make_random_weights("upscale-a-video", "tiny", folder / "official")
    return convert_weights("upscale-a-video", folder / "official", folder / "converted")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def cut_in_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"\x1b[31m" + b"x" * 5000)


def changed_header(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[40] ^= 0xFF
    path.write_bytes(bytes(data))


def a_header_without_end(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


def a_tensor_less(path: Path) -> None:
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[len(tensors) // 2])
    save_file(tensors, path)


def another_shape(path: Path) -> None:
    tensors = load_file(path)
    name = max(tensors, key=lambda key: tensors[key].ndim)
    tensors[name] = torch.zeros(*tensors[name].shape, 2)
    save_file(tensors, path)


DAMAGES = [
    *(truncated, cut_in_the_header, empty, garbage, changed_header, a_header_without_end, a_tensor_less, another_shape)
]


def check_noticed(film: Path, method: str, weights: Path) -> None:
    before = sorted(film.parent.iterdir())
    with pytest.raises(WeightsError) as found:
        options = {"method": method, "weights": str(weights), "dry_run": True, "calibrate": False}
        limpid.upscale(film, film.with_name("out.mkv"), threads=1, dtype="float32", **options)
    assert "\x1b" not in str(found.value).replace("\\x1b", "") and len(str(found.value)) < 2000
    assert sorted(film.parent.iterdir()) == before


@pytest.mark.parametrize("name", ["small", "tiny"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_of_what_ships(film: Path, tmp_path: Path, damage: Callable[[Path], None], name: str) -> None:
    broken = shutil.copy(SHIPPED / f"{name}.safetensors", tmp_path / f"{name}.safetensors")
    damage(broken)
    check_noticed(film, name, broken)


@pytest.mark.parametrize("part", ["unet", "video_vae", "text_encoder"])
@pytest.mark.parametrize("damage", [truncated, garbage, a_tensor_less, another_shape])
def test_of_a_large_method(
    film: Path, upscaler: Path, tmp_path: Path, part: str, damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(upscaler, folder)
    files = sorted((folder / part).glob("*.safetensors"))
    damage(files[0])
    check_noticed(film, "upscale-a-video", folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"in_channels": -1}', '{"in_channels": "many"}'])
def test_configs(film: Path, upscaler: Path, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(upscaler, folder)
    (folder / "unet" / "config.json").write_text(text)
    check_noticed(film, "upscale-a-video", folder)
