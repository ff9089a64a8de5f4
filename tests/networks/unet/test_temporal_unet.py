"""What a person does with the temporal U-Net: save, load, offload, choose a backend, train, any size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limpid.convert.start_unet import unet_kinds
from limpid.networks.unet.config import official_unet_config
from limpid.networks.unet.temporal_unet import TemporalUNet

OFFICIAL = {
    "block_out_channels": [32, 64],
    "attention_head_dim": 2,
    "cross_attention_dim": 16,
    "num_class_embeds": 30,
    "only_cross_attention": [True, False],
    "msatten": True,
    "temporal_module_config": {"attention_block_types": ["", ""]},
    "down_block_types": ["DownBlock3D", "CrossAttnDownBlock3D"],
    "up_block_types": ["CrossAttnUpBlock3D", "UpBlock3D"],
}


def run(unet: TemporalUNet, inputs: Any) -> Tensor:
    args, more = inputs
    with torch.no_grad():
        out: Tensor = unet(*args, **more)
    return out


@pytest.mark.parametrize("size", [(1, 8), (3, 5), (9, 14), (17, 1)])
@pytest.mark.parametrize("msta", [False, True])
def test_any_size(make_unet: Any, make_inputs: Any, size: tuple[int, int], msta: bool) -> None:
    inputs = make_inputs(2, 2, *size)
    assert run(make_unet(msta=msta), inputs).shape == inputs[0][0].shape


def test_clips_of_a_batch_do_not_see_each_other(make_unet: Any, make_inputs: Any) -> None:
    unet, (args, more) = make_unet(msta=True), make_inputs(batch=2)
    whole = run(unet, (args, more))
    for clip in range(2):
        one = slice(clip, clip + 1)
        alone = run(unet, ((args[0][one], args[1]), {name: value[one] for name, value in more.items()}))
        torch.testing.assert_close(alone, whole[one], rtol=0, atol=1e-5)


def test_a_timestep_per_clip(make_unet: Any, make_inputs: Any) -> None:
    unet, ((sample, _), more) = make_unet(), make_inputs(batch=2)
    both = run(unet, ((sample, torch.tensor([10, 900])), more))
    torch.testing.assert_close(both[:1], run(unet, ((sample, 10), more))[:1])
    torch.testing.assert_close(both[1:], run(unet, ((sample, torch.tensor(900.0)), more))[1:])


@pytest.mark.parametrize("changes", [{"msta": True, "norm_scope": "frame"}, {"temporal": False}], ids=str)
def test_saved_and_loaded_again(make_unet: Any, make_inputs: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    unet, inputs = make_unet(**changes), make_inputs()
    unet.save_pretrained(tmp_path)
    again = TemporalUNet.from_pretrained(tmp_path).eval()
    assert dict(again.config)["block_out_channels"] == [32, 64, 64, 96]
    assert all(again.state_dict()[name].equal(tensor) for name, tensor in unet.state_dict().items())
    # not the same bits: read from a file, tensors begin at other multiples of bytes, and sums are made in another order
    torch.testing.assert_close(run(again, inputs), run(unet, inputs), rtol=0, atol=1e-5)
    assert TemporalUNet.from_pretrained(tmp_path, torch_dtype=torch.bfloat16).dtype == torch.bfloat16


def test_low_precision(make_unet: Any, make_inputs: Any) -> None:
    unet, (args, more) = make_unet(msta=True), make_inputs()
    wanted = run(unet, (args, more))
    low = {name: value.to(torch.bfloat16) if value.is_floating_point() else value for name, value in more.items()}
    out = run(unet.to(torch.bfloat16), ((args[0].to(torch.bfloat16), args[1]), low))
    assert out.dtype == torch.bfloat16
    assert (out.float() - wanted).norm() < 0.1 * wanted.norm()


def test_attention_backends_reach_every_layer(make_unet: Any, make_inputs: Any) -> None:
    unet, inputs = make_unet(msta=True), make_inputs()
    wanted = run(unet, inputs)
    try:
        for backend in ("native", "_native_math"):
            unet.set_attention_backend(backend)
            layers = [module for module in unet.modules() if hasattr(module, "processor")]
            # 3 levels: 1 + 2 transformers each, and the middle; each has two layers in space, two over time
            assert len(layers) == 4 * (3 * (1 + 2) + 1)
            assert {layer.processor._attention_backend.value for layer in layers} == {backend}
            torch.testing.assert_close(run(unet, inputs), wanted, rtol=0, atol=1e-5)
    finally:
        unet.set_attention_backend("native")


def test_processors_of_diffusers_fit_into_attention_in_space(make_unet: Any, make_inputs: Any) -> None:
    """Guidance and attention propagation put their own processors there."""
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0

    unet, inputs = make_unet(), make_inputs(batch=2)
    wanted = run(unet, inputs)
    for module in unet.modules():
        if isinstance(module, Attention):
            module.set_processor(AttnProcessor2_0())
    torch.testing.assert_close(run(unet, inputs), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["block_level", "leaf_level"])
def test_group_offloading_changes_nothing(make_unet: Any, make_inputs: Any, kind: str) -> None:
    """To the CPU and back: every parameter has to be used through a module that offloading knows of."""
    unet, inputs = make_unet(msta=True), make_inputs()
    wanted = run(unet, inputs)
    device = torch.device("cpu")
    unet.enable_group_offload(device, device, offload_type=kind, num_blocks_per_group=1)
    torch.testing.assert_close(run(unet, inputs), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scope", ["window", "frame"])
def test_memory_stays_channels_last(make_unet: Any, make_inputs: Any, scope: str) -> None:
    """Convolutions on CPUs are several times slower otherwise."""
    unet = make_unet(msta=True, norm_scope=scope)
    seen: list[str] = []
    lost: list[str] = []

    def watch(name: str) -> Any:
        def look(module: nn.Module, args: tuple[Any, ...]) -> None:
            seen.append(name)
            if not args[0].is_contiguous(memory_format=torch.channels_last):
                lost.append(name)

        return look

    convolutions = {
        name: module
        for name, module in unet.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d))
    }
    for name, module in convolutions.items():
        module.register_forward_pre_hook(watch(name))
    # 17 x 14: odd sizes on the way down, and none of them 1, where layouts cannot be told apart
    run(unet, make_inputs(2, 3, 34, 28))
    assert set(seen) == set(convolutions)
    assert not lost


@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_reaches_every_parameter(make_unet: Any, make_inputs: Any, checkpointing: bool) -> None:
    unet, (args, more) = make_unet(msta=True).train(), make_inputs()
    if checkpointing:
        unet.enable_gradient_checkpointing()
    unet(*args, **more).square().mean().backward()
    assert [name for name, p in unet.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_gradients_are_right(make_unet: Any, make_inputs: Any) -> None:
    """What is done in place must not spoil them: compared with the slope between two points."""
    unet, (args, more) = make_unet(msta=True).double(), make_inputs(height=8)
    sample = args[0].double().requires_grad_()
    more = {name: value.double() if value.is_floating_point() else value for name, value in more.items()}
    unet(sample, args[1], **more).square().sum().backward()
    direction, step = torch.randn_like(sample), 1e-5
    with torch.no_grad():
        ends = [unet(sample + sign * step * direction, args[1], **more).square().sum() for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    assert sample.grad is not None
    torch.testing.assert_close((sample.grad * direction).sum(), slope, rtol=1e-5, atol=1e-7)


def test_kinds_of_parameters_are_all_there(make_unet: Any) -> None:
    unet = make_unet(msta=True)
    kinds = unet_kinds(unet)
    assert sorted(name for names in kinds.values() for name in names) == sorted(n for n, _ in unet.named_parameters())
    assert all(kinds.values())
    without = unet_kinds(make_unet(temporal=False))
    assert {kind for kind, names in without.items() if names} == {"spatial"}
    assert without["spatial"] == kinds["spatial"]


def test_an_official_configuration() -> None:
    options = official_unet_config(OFFICIAL)
    assert options["num_heads"] == 2
    assert options["msta"]
    assert options["temporal"]
    assert options["norm_scope"] == "window"
    assert official_unet_config({**OFFICIAL, "only_cross_attention": True})["only_cross_attention"] == (True, True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"attention_head_dim": [1, 2]}, "one number for all levels"),
        ({"dual_cross_attention": True}, "dual_cross_attention = True"),
        ({"down_temporal_idx": [0]}, "down_temporal_idx"),
        ({"down_block_types": ["DownBlock3D", "DownBlock3D"]}, "down_block_types"),
        ({"temporal_module_config": {"attention_block_types": ["Temporal_Self", ""]}}, "attention_block_types"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_configurations_of_other_networks_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        official_unet_config({**OFFICIAL, **change})


def test_what_is_missing_in_a_configuration_is_named() -> None:
    with pytest.raises(ValueError, match="lacks block_out_channels"):
        official_unet_config({})
