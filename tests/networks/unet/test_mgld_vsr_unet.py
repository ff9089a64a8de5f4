"""The U-Net of MGLD-VSR: official numbers and names, any size, and the image model that it is made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from limpid.checkpoints.renames import compare, rename_all
from limpid.convert import ldm_keys
from limpid.networks.temporal.convolution import as_clips, as_frames
from limpid.networks.unet.mgld_vsr_unet import StructuredUNet
from limpid.train.starts.mgld_vsr_unet import is_new, load_image_model

TOLERANCE = 5e-5
GOLDEN: dict[str, Any] = {
    "block_out_channels": (32, 32, 32, 64),
    "layers_per_block": 1,
    "head_channels": 32,
    "cross_attention_dim": 48,
    "structure_channels": 64,
    "structure_block_channels": (32, 64, 64, 64),
    "structure_layers_per_block": 1,
    "structure_heads": 2,
}
SMALL: dict[str, Any] = {**GOLDEN, "cross_attention_dim": 16, "structure_channels": 32}


@pytest.fixture
def golden_unet(golden_folder: Path) -> StructuredUNet:
    unet = ldm_keys.to_ours(ldm_keys.unet_pairs(1))
    structure = ldm_keys.to_ours(ldm_keys.structure_pairs(1), place="structure.")
    state = rename_all(load_file(golden_folder / "mgld_unet.weights.safetensors"), unet)
    state |= rename_all(load_file(golden_folder / "mgld_struct.weights.safetensors"), structure)
    with torch.device("meta"):
        made: StructuredUNet = StructuredUNet(**GOLDEN)
    made.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    return made.eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", range(3))
def test_equals_the_official_modules(
    golden_folder: Path, golden_unet: StructuredUNet, case: int, dtype: torch.dtype
) -> None:
    """The smallest level of case 2 is 1x2. Norms over four numbers there make much of rounding: the official numbers,
    float32, are 4.8e-5 from ours in float64 (2e-6 in the other cases), and so a few 1e-5 from ours in float32."""
    tensors = load_file(golden_folder / "mgld_unet.cases.safetensors")

    def given(name: str) -> Tensor:
        tensor = tensors[f"case{case}/in/{name}"]
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    nn.Module.to(golden_unet, dtype)
    x, structure, times = as_clips(given("x"), 5), given("struct_latent"), given("timesteps")[::5]
    with torch.no_grad():
        levels = golden_unet.structure(structure, 5, times)
        eps = golden_unet(x, times, structure=as_clips(structure, 5), encoder_hidden_states=given("context"))
    compared = 0
    for level in levels:
        wanted = tensors.get(f"case{case}/out/struct_cond/{level.shape[-1]}")
        if wanted is not None:
            torch.testing.assert_close(level.float(), wanted, rtol=0, atol=TOLERANCE)
            compared += 1
    assert compared >= 3
    torch.testing.assert_close(as_frames(eps).float(), tensors[f"case{case}/out/eps"], rtol=0, atol=TOLERANCE)


def test_inner_modules_equal_the_official_ones(golden_folder: Path, golden_unet: StructuredUNet) -> None:
    trace = load_file(golden_folder / "mgld_unet.trace.safetensors")
    tensors = load_file(golden_folder / "mgld_unet.cases.safetensors")
    rules = ldm_keys.to_ours(ldm_keys.unet_pairs(1))
    names = {name.removeprefix("unet.").removeprefix("model.diffusion_model.") + ".": name for name in trace}
    wanted = {ours[:-1]: trace[theirs] for ours, theirs in rename_all(names, rules).items()}
    seen: dict[str, Tensor] = {}
    for name, module in golden_unet.named_modules():
        if name in wanted:
            module.register_forward_hook(lambda module, args, out, name=name: seen.update({name: out.clone()}))
    x, structure = (as_clips(tensors[f"case0/in/{name}"], 5) for name in ("x", "struct_latent"))
    with torch.no_grad():
        golden_unet(x, 980, structure=structure, encoder_hidden_states=tensors["case0/in/context"])
    assert len(seen) >= 4, f"{sorted(wanted)} of {sorted(trace)}"
    for name, out in seen.items():
        assert out.numel() == wanted[name].numel(), name
        same = out.reshape(wanted[name].shape) if out.ndim != wanted[name].ndim else out
        torch.testing.assert_close(same, wanted[name], rtol=0, atol=TOLERANCE, msg=name)


def test_real_sizes_fit_one_to_one_there_and_back(golden_folder: Path) -> None:
    theirs: dict[str, tuple[int, ...]] = {}
    for item, prefix in (("mgld_unet", ldm_keys.LDM_UNET_PREFIX), ("mgld_struct", ldm_keys.STRUCTURE)):
        schema = json.loads((golden_folder / "schemas" / f"{item}.json").read_text())
        theirs |= {f"{prefix}{key}": tuple(shape) for key, shape in schema.items()}
    assert len(theirs) == 876 + 200
    with torch.device("meta"):
        ours = {name: tuple(value.shape) for name, value in StructuredUNet().state_dict().items()}
    others: dict[str, tuple[int, ...]] = {
        "betas": (1000,),
        "first_stage_model.encoder.conv_in.weight": (1,),
        "cond_stage_model.x": (1,),
    }
    wrong = compare(rename_all(theirs | others, ldm_keys.MGLD_VSR_UNET_KEYS), ours)
    assert not wrong, wrong.sentence()
    wrong = compare(rename_all(ours, ldm_keys.MGLD_VSR_UNET_NAMES), theirs)
    assert not wrong, wrong.sentence()


# ------------------------------------------------------------------------------------------ the image model


@pytest.fixture
def make_unet() -> Callable[..., StructuredUNet]:
    def make(**changes: Any) -> StructuredUNet:
        torch.manual_seed(0)
        made: StructuredUNet = StructuredUNet(**{**SMALL, **changes})
        return made.eval()

    return make


def inputs(batch: int, frames: int, height: int, width: int) -> tuple[Tensor, dict[str, Tensor]]:
    chance = torch.Generator().manual_seed(1)
    x, structure = (torch.randn(batch, 4, frames, height, width, generator=chance) for _ in range(2))
    return x, {"structure": structure, "encoder_hidden_states": torch.randn(batch, 5, 16, generator=chance)}


def image_unet() -> Any:
    """diffusers' network in the form of Stable Diffusion 2.1."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(2)
    return diffusers.UNet2DConditionModel(
        block_out_channels=SMALL["block_out_channels"],
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=(1, 1, 1, 2),
        use_linear_projection=True,
    ).eval()


def test_idle_layers_leave_the_image_model(make_unet: Callable[..., StructuredUNet]) -> None:
    """Frame by frame. SPADE's norm stays when it modulates nothing, so the image model is given it, too."""
    image, unet = image_unet(), make_unet()
    load_image_model(unet, image.state_dict())
    for name, module in unet.named_modules():
        if name.endswith(".spade"):
            nn.init.normal_(module.norm.weight)
            block = image.get_submodule(name.removesuffix(".spade"))
            block.conv2 = nn.Sequential(block.conv2, nn.GroupNorm(32, module.norm.num_channels))
            block.conv2[1].load_state_dict(module.norm.state_dict())
    x, more = inputs(2, 3, 16, 24)
    with torch.no_grad():
        ours = unet(x, 321, **more)
        frames = [image(frame, 321, more["encoder_hidden_states"]).sample for frame in x.unbind(2)]
        torch.testing.assert_close(ours, torch.stack(frames, dim=2), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["temporal_convs.0", "temporal_attention", "temporal_convs.1"])
def test_layers_over_time_begin_as_nothing_and_can_be_more(make_unet: Callable[..., StructuredUNet], name: str) -> None:
    unet = make_unet()
    x, more = inputs(1, 3, 16, 16)
    with torch.no_grad():
        alone = torch.cat([unet(x[:, :, t : t + 1], 9, **of_frame(more, t)) for t in range(3)], dim=2)
        torch.testing.assert_close(unet(x, 9, **more), alone, rtol=0, atol=1e-5)
        unet.get_parameter(f"mid_block.{name}.alpha").fill_(0.5)
        assert (unet(x, 9, **more) - alone).abs().max() > 1e-3


def of_frame(more: dict[str, Tensor], frame: int) -> dict[str, Tensor]:
    return {**more, "structure": more["structure"][:, :, frame : frame + 1]}


@pytest.mark.parametrize("size", [(5, 7), (9, 14), (1, 3), (23, 8)])
@pytest.mark.parametrize("frames", [1, 4])
def test_any_size(make_unet: Callable[..., StructuredUNet], size: tuple[int, int], frames: int) -> None:
    unet = make_unet()
    x, more = inputs(1, frames, *size)
    with torch.no_grad():
        out = unet(x, 500, **more)
        assert out.shape == x.shape and bool(out.isfinite().all())
        assert (unet(x, 500, **{**more, "structure": -more["structure"]}) - out).abs().max() > 1e-4
        assert (unet(x, 20, **more) - out).abs().max() > 1e-4


def test_every_layer_is_called(make_unet: Callable[..., StructuredUNet]) -> None:
    """What is offloaded layer by layer comes to the device when it is called, not when its weights are used."""
    unet, called = make_unet(), set[str]()
    layers = [name for name, module in unet.named_modules() if isinstance(module, nn.Linear | nn.modules.conv._ConvNd)]
    for name in layers:
        unet.get_submodule(name).register_forward_hook(lambda *_, name=name: called.add(name))
    x, more = inputs(1, 3, 8, 8)
    with torch.no_grad():
        unet(x, 1, **more)
    assert called == set(layers)


def test_spatial_self_attentions_in_the_order_in_which_they_run(make_unet: Callable[..., StructuredUNet]) -> None:
    unet, ran = make_unet(layers_per_block=2), list[str]()
    attentions = unet.self_attentions
    for name, module in attentions:
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    x, more = inputs(1, 1, 8, 8)
    with torch.no_grad():
        unet(x, 1, **more)
    assert ran == [name for name, _ in attentions] and len(ran) == 16
    assert ran[:2] == [f"down_blocks.0.attentions.{n}.transformer_blocks.0.attn1" for n in (0, 1)]
    assert ran[-2:] == [f"up_blocks.3.attentions.{n}.transformer_blocks.0.attn1" for n in (1, 2)]


def test_gradients_reach_what_is_trained(make_unet: Callable[..., StructuredUNet]) -> None:
    unet = make_unet().train()
    x, more = inputs(1, 2, 8, 8)
    unet.enable_gradient_checkpointing()
    with torch.no_grad():
        for name in ("temporal_convs.0", "temporal_attention", "temporal_convs.1"):
            unet.get_parameter(f"mid_block.{name}.alpha").fill_(0.5)
    unet(x, 3, **more).square().mean().backward()
    idle = [name for name, parameter in unet.named_parameters() if parameter.grad is None]
    assert not idle


def test_a_checkpoint_of_the_image_model_finds_its_place_in_the_middle(
    make_unet: Callable[..., StructuredUNet],
) -> None:
    """Its transformer and second residual block have other numbers than in MGLD-VSR's own checkpoint."""
    unet = make_unet(layers_per_block=2)
    image = {name: tensor.clone() for name, tensor in unet.state_dict().items() if not is_new(name)}
    theirs = rename_all(image, ldm_keys.to_theirs(ldm_keys.unet_pairs(temporal=False), ldm_keys.LDM_UNET_PREFIX))
    begin = f"{ldm_keys.LDM_UNET_PREFIX}middle_block"
    assert f"{begin}.1.proj_in.weight" in theirs and f"{begin}.2.in_layers.2.weight" in theirs
    theirs = {name: tensor + 1 for name, tensor in theirs.items()} | {"cond_stage_model.x": torch.ones(1)}
    load_image_model(unet, theirs)
    for name, tensor in unet.state_dict().items():
        if not is_new(name):
            assert torch.equal(tensor, image[name] + 1), name
    assert not unet.get_parameter("mid_block.resnets.0.spade.gamma.weight").any()
    with pytest.raises(ValueError, match="1 missing"):
        load_image_model(unet, {name: tensor for name, tensor in theirs.items() if not name.endswith("out.2.bias")})
