"""The grid that shows, as a loss: the metric's own number, no grid without blocks, and that it can be learned away."""

from __future__ import annotations

import numpy as np
import torch

from limpid.metrics.blocks import blockiness
from limpid.train.losses.blocks import grid_excess


def blocky(strength: float) -> torch.Tensor:
    """Noise, and blocks of 8x8 pixels that differ by as much as is said, ``2 1 3 64 64``; the second has none."""
    random = torch.Generator().manual_seed(0)
    steps = torch.rand(8, 8, generator=random).repeat_interleave(8, 0).repeat_interleave(8, 1)
    noise = torch.rand(64, 64, generator=random)
    clips = torch.stack([0.5 * noise + strength * steps, 0.5 * noise])
    return clips[:, None, None].expand(2, 1, 3, 64, 64)


def test_at_the_coded_size_it_is_the_metric() -> None:
    clips = blocky(0.3)
    made = grid_excess(clips, 1, 8)
    for clip, excess in zip(clips, made, strict=True):
        frame = (clip[0].permute(1, 2, 0) * 255).numpy()
        np.testing.assert_allclose(excess.item(), blockiness([frame], 1), atol=0.02)
    assert made[0] > made[1] + 0.2
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(grid_excess(clips, 1, 8), made)


def test_plain_clips_and_ramps_show_no_grid_and_enlarged_blocks_do() -> None:
    ramp = torch.linspace(0, 1, 256).expand(1, 2, 3, 256, 256)
    for clip in (torch.full((1, 2, 3, 256, 256), 0.5), ramp):
        assert torch.allclose(grid_excess(clip, 4, 8), torch.zeros(1), atol=1e-3)
    enlarged = blocky(0.3).repeat_interleave(4, -1).repeat_interleave(4, -2)
    torch.testing.assert_close(grid_excess(enlarged, 4, 8), grid_excess(blocky(0.3), 1, 8))


def test_a_step_down_its_gradient_shows_less_of_the_grid() -> None:
    clips = blocky(0.3).clone().requires_grad_()
    excess = grid_excess(clips, 1, 8)
    (gradient,) = torch.autograd.grad(excess[0], clips)
    assert not gradient[1].any()
    touched = gradient[0].abs().sum((0, 1)) > 0
    places = torch.arange(64)
    beside = ((places % 8 < 2) | (places % 8 > 5)) & (places > 1) & (places < 62)  # the steps to both sides of borders
    assert touched.any() and not touched[~(beside[:, None] | beside)].any()
    assert grid_excess(clips - 0.05 * gradient / gradient.norm(), 1, 8)[0] < excess[0]
