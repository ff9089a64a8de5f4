"""The cleaner in ncnn against PyTorch, and the same bits for a frame whatever comes with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from ncnn_here import needs_ncnn, needs_vulkan

from limpid.priors.cleaned import CODEC_BLOCK_PX, Cleaner, CleanerConfig
from limpid.priors.cleaned_ncnn import placed_cleaner
from limpid.types import Placement

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)
NCNN = replace(CPU, runtime="ncnn")


@pytest.fixture(params=[0, CODEC_BLOCK_PX], ids=["as it looks", "told of the blocks"])
def cleaner(request: pytest.FixtureRequest) -> Cleaner:
    torch.manual_seed(0)
    made = Cleaner(CleanerConfig(channels=16, blocks=2, grid_px=request.param)).requires_grad_(False)
    if made.place is not None:
        made.place.normal_(std=0.3)
    return made


def changes(cleaner: Cleaner, placement: Placement, frames: torch.Tensor) -> torch.Tensor:
    return torch.stack(list(placed_cleaner(cleaner, placement)(iter(frames))))


@needs_ncnn
@pytest.mark.parametrize("count", [1, 5])
def test_it_computes_what_pytorch_computes(cleaner: Cleaner, count: int) -> None:
    frames = torch.rand(count, 3, 26, 31)
    found = changes(cleaner, replace(NCNN, threads=2), frames)
    torch.testing.assert_close(found, changes(cleaner, CPU, frames), atol=1e-4, rtol=0)


@needs_ncnn
def test_a_frame_has_its_bits_among_any_others_and_for_any_number_of_threads(cleaner: Cleaner) -> None:
    frames = torch.rand(5, 3, 20, 24)
    whole = changes(cleaner, replace(NCNN, threads=2), frames)
    assert torch.equal(whole, changes(cleaner, NCNN, frames))
    assert torch.equal(whole[2:4], changes(cleaner, NCNN, frames[2:4]))
    assert torch.equal(whole[3:4], changes(cleaner, NCNN, frames[3:4]))


@needs_ncnn
def test_no_frames_give_nothing(cleaner: Cleaner) -> None:
    assert list(placed_cleaner(cleaner, NCNN)(iter(()))) == []


@needs_vulkan
@pytest.mark.parametrize(("half", "atol"), [(False, 1e-3), (True, 2e-2)])
def test_it_computes_the_same_on_a_vulkan_device(cleaner: Cleaner, half: bool, atol: float) -> None:
    frames = torch.rand(2, 3, 26, 31)
    where = replace(NCNN, vulkan=0, dtype=torch.float16 if half else torch.float32)
    torch.testing.assert_close(changes(cleaner, where, frames), changes(cleaner, CPU, frames), atol=atol, rtol=0)
