"""With idle layers over time the U-Net is diffusers' image upscaler, frame by frame."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from limpid.convert.start_unet import inflate_unet, unet_kinds
from limpid.networks.unet.temporal_unet import TemporalUNet

diffusers = pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def image_unet() -> Any:
    """Configured like the x4 upscaler, small."""
    torch.manual_seed(3)
    return diffusers.UNet2DConditionModel(
        in_channels=7,
        out_channels=4,
        block_out_channels=(32, 64, 64, 96),
        layers_per_block=1,
        down_block_types=("DownBlock2D", *["CrossAttnDownBlock2D"] * 3),
        up_block_types=(*["CrossAttnUpBlock2D"] * 3, "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        num_class_embeds=30,
        only_cross_attention=[True, True, True, False],
        use_linear_projection=True,
    ).eval()


@pytest.fixture(scope="module")
def folder(image_unet: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upscaler") / "unet"
    image_unet.save_pretrained(path)
    return path


def reference(image_unet: Any, args: tuple[Tensor, int], more: dict[str, Tensor]) -> Tensor:
    """Each frame by itself through diffusers."""
    sample, timestep = args
    both = torch.cat((sample, more["low_res"]), dim=1)
    frames = [
        image_unet(frame, timestep, more["encoder_hidden_states"], class_labels=more["noise_level"]).sample
        for frame in both.unbind(2)
    ]
    return torch.stack(frames, dim=2)


def close(unet: Any, image_unet: Any, inputs: Any) -> None:
    args, more = inputs
    with torch.no_grad():
        torch.testing.assert_close(unet(*args, **more), reference(image_unet, args, more), rtol=0, atol=1e-5)


@pytest.mark.parametrize("msta", [False, True])
@pytest.mark.parametrize("frames", [1, 3])
def test_any_number_of_frames_with_norms_per_frame(
    folder: Path, image_unet: Any, make_inputs: Any, frames: int, msta: bool
) -> None:
    unet = inflate_unet(folder, norm_scope="frame", msta=msta)
    close(unet, image_unet, make_inputs(batch=2, frames=frames))


@pytest.mark.parametrize("size", [(9, 14), (8, 16), (5, 7)])
def test_one_frame_with_norms_over_the_window(
    folder: Path, image_unet: Any, make_inputs: Any, size: tuple[int, int]
) -> None:
    close(inflate_unet(folder), image_unet, make_inputs(2, 1, *size))


def test_frames_that_are_all_the_same_with_norms_over_the_window(
    folder: Path, image_unet: Any, make_inputs: Any
) -> None:
    (sample, timestep), more = make_inputs(frames=1)
    more["low_res"] = more["low_res"].repeat(1, 1, 4, 1, 1)
    close(inflate_unet(folder), image_unet, ((sample.repeat(1, 1, 4, 1, 1), timestep), more))


def test_without_layers_over_time_it_is_the_image_model(folder: Path, image_unet: Any, make_inputs: Any) -> None:
    unet = inflate_unet(folder, temporal=False)
    assert set(unet.state_dict()) == set(image_unet.state_dict())
    close(unet, image_unet, make_inputs(batch=2, frames=3, height=12, width=20))


def test_layers_over_time_do_something_when_they_are_not_idle(
    folder: Path, image_unet: Any, make_inputs: Any, make_unet: Callable[..., TemporalUNet]
) -> None:
    """One kind after the other is switched on, so that none is idle in the tests above for another reason."""
    args, more = make_inputs()
    for kind, names in unet_kinds(inflate_unet(folder, msta=True, norm_scope="frame")).items():
        if kind == "spatial":
            continue
        unet = inflate_unet(folder, msta=True, norm_scope="frame")
        with torch.no_grad():
            for name in names:
                parameter = unet.get_parameter(name)
                if not parameter.any():
                    parameter.normal_(std=0.1)
            difference = (unet(*args, **more) - reference(image_unet, args, more)).abs().max()
        assert difference > 1e-3, kind


def test_files_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "block_out_channels": [32, 64, 64, 64]}))
    with pytest.raises(FileNotFoundError, match=r"diffusion_pytorch_model\.safetensors"):
        inflate_unet(tmp_path)
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(
        (folder / "diffusion_pytorch_model.safetensors").read_bytes()
    )
    with pytest.raises(ValueError, match="of another shape"):
        inflate_unet(tmp_path)


def test_half_precision_and_split_files_are_read(image_unet: Any, tmp_path: Path) -> None:
    wanted = image_unet.state_dict()["conv_in.weight"]
    image_unet.save_pretrained(tmp_path / "split", max_shard_size="1MB")
    assert not (tmp_path / "split" / "diffusion_pytorch_model.safetensors").exists()
    assert inflate_unet(tmp_path / "split").conv_in.weight.equal(wanted)
    image_unet.save_pretrained(tmp_path / "half", variant="fp16")
    assert inflate_unet(tmp_path / "half").conv_in.weight.equal(wanted)
