"""What holds for every autoencoder: files, layouts, checks, training, offloading."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


def inputs(count: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Frames, latents and LR frames; the latents are 5x7."""
    generator = torch.Generator().manual_seed(4)
    sizes = ((count, 3, 20, 28), (count, 4, 5, 7), (count, 3, 5, 7))
    hr, z, lr = (torch.randn(size, generator=generator) for size in sizes)
    return hr, z, lr


class Convolutions(TorchDispatchMode):
    """Notes the layout of what goes into and out of every convolution, however it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.convolution.default:
            for tensor in (args[0], result):
                self.seen.append(tensor.is_contiguous(memory_format=torch.channels_last))
        return result


@pytest.mark.parametrize("grad", [False, True], ids=["fused", "autograd"])
def test_every_convolution_is_channels_last(any_vae: Any, grad: bool) -> None:
    hr, z, lr = inputs()
    with torch.set_grad_enabled(grad), Convolutions() as found:
        mean, _ = any_vae.encode(hr, 2)
        image = any_vae.decode(z, 2, lr)
    assert len(found.seen) > 80
    assert all(found.seen)
    assert mean.shape == z.shape
    assert image.shape == hr.shape
    assert image.is_contiguous(memory_format=torch.channels_last)


def test_saved_and_loaded_again(any_vae: Any, tmp_path: Path) -> None:
    any_vae.save_pretrained(tmp_path)
    again = type(any_vae).from_pretrained(tmp_path)
    _, z, lr = inputs()
    with torch.no_grad():
        assert torch.equal(again.decode(z, 2, lr), any_vae.decode(z, 2, lr))
    for name, value in any_vae.config.items():
        if not name.startswith("_"):
            assert again.config[name] == (list(value) if isinstance(value, tuple) else value)


def test_gradients_reach_every_parameter(any_vae: Any) -> None:
    hr, z, lr = inputs()
    any_vae.train()
    mean, logvar = any_vae.encode(hr, 2)
    (any_vae.decode(z, 2, lr).square().mean() + mean.square().mean() + logvar.square().mean()).backward()
    idle = [name for name, value in any_vae.named_parameters() if value.grad is None or not value.grad.any()]
    assert not idle
    assert (any_vae(hr, 2, lr)).requires_grad


def test_two_clips_in_one_call(any_vae: Any) -> None:
    _, z, lr = inputs(6)
    with torch.no_grad():
        both = any_vae.decode(z, 3, lr)
        alone = torch.cat([any_vae.decode(z[part], 3, lr[part]) for part in (slice(0, 3), slice(3, 6))])
    assert (both - alone).abs().max() < 1e-5


def test_the_video_decoder_looks_at_the_lr_frames(any_vae: Any) -> None:
    _, z, lr = inputs()
    with torch.no_grad():
        full, none, other = (any_vae.decode(z, 2, frames, 1.0) for frames in (lr, lr * 0, lr + 1))
        if any_vae.config.lr_condition:
            assert not torch.equal(full, none)
            half = any_vae.decode(z, 2, lr, 0.5)
            assert not torch.equal(half, full)
        else:
            assert torch.equal(full, other)


def test_what_cannot_be_worked_on_is_refused(any_vae: Any) -> None:
    hr, z, lr = inputs()
    with pytest.raises(ValueError, match="multiples of 4"):
        any_vae.encode(hr[:, :, :18], 2)
    with pytest.raises(ValueError, match="whole clips of 3"):
        any_vae.decode(z, 3, lr)
    with pytest.raises(ValueError, match="folded"):
        any_vae.decode(hr, 2, lr)
    if any_vae.config.lr_condition:
        with pytest.raises(ValueError, match="conditioned"):
            any_vae.decode(z, 2)
        with pytest.raises(ValueError, match="size of the latents"):
            any_vae.decode(z, 2, hr)


@pytest.mark.parametrize("level", ["block_level", "leaf_level"])
def test_group_offloading(any_vae: Any, level: str) -> None:
    hr, z, lr = inputs()
    with torch.no_grad():
        wanted = any_vae.encode(hr, 2)[0], any_vae.decode(z, 2, lr)
        blocks = {"num_blocks_per_group": 1} if level == "block_level" else {}
        any_vae.enable_group_offload(torch.device("cpu"), torch.device("cpu"), offload_type=level, **blocks)
        found = any_vae.encode(hr, 2)[0], any_vae.decode(z, 2, lr)
    assert all(torch.equal(a, b) for a, b in zip(wanted, found, strict=True))
