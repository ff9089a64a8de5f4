"""The cleaner before tiny: local, frame by frame, the same on both ways, in tiles, and refused where it is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import limpid
from limpid.methods import TINY_WEIGHTS
from limpid.methods.tiny import tiny
from limpid.plan.segments import ALIGN_PX
from limpid.priors.cleaned import (
    CODEC_BLOCK_PX,
    CleanedPrior,
    Cleaner,
    CleanerConfig,
    Cleaning,
    changes_in_torch,
    load_cleaner,
    save_cleaner,
)
from limpid.priors.tiny import load_tiny
from limpid.priors.tiny_ncnn import placed_tiny
from limpid.types import Placement, WeightsError

CPU = Placement(device=torch.device("cpu"), dtype=torch.float32)
CONFIG = CleanerConfig(channels=8, blocks=2)
TOLD = replace(CONFIG, grid_px=CODEC_BLOCK_PX)


@pytest.fixture(params=[CONFIG, TOLD], ids=["as it looks", "told of the blocks"])
def cleaner(request: pytest.FixtureRequest) -> Cleaner:
    torch.manual_seed(0)
    made = Cleaner(request.param).requires_grad_(False)
    if made.place is not None:
        made.place.normal_(std=0.3)
    return made


def random_frames(count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def cleaned(cleaner: Cleaner, lr: torch.Tensor, share: float = 1.0) -> torch.Tensor:
    return torch.stack(list(Cleaning(changes=changes_in_torch(cleaner), share=share)(lr)))


def test_share_is_how_far_frames_are_moved(cleaner: Cleaner) -> None:
    lr = 0.3 + 0.4 * random_frames(2, 12, 10)
    change = cleaner(lr, cleaner.places(12, 10))
    for share in (0.0, 0.4, 1.0):
        assert torch.allclose(cleaned(cleaner, lr, share), (lr + share * change).clamp(0, 1), atol=1e-6)


def test_one_frame_by_itself_has_the_bits_it_has_among_others(cleaner: Cleaner) -> None:
    lr = random_frames(3, 20, 24)
    among = cleaned(cleaner, lr)
    assert all(torch.equal(cleaned(cleaner, lr[n : n + 1])[0], among[n]) for n in range(3))


def test_nothing_depends_on_pixels_beyond_the_radius(cleaner: Cleaner) -> None:
    r = CONFIG.radius_px
    lr = random_frames(1, 2 * r + 1, 2 * r + 1)
    for far, reached in ((r, True), (r + 1, False)):
        canvas = torch.nn.functional.pad(lr, (1, 1, 1, 1))
        other = canvas.clone()
        other[..., r + 1 - far, r + 1] += 0.5
        same = torch.equal(cleaned(cleaner, canvas)[..., r + 1, r + 1], cleaned(cleaner, other)[..., r + 1, r + 1])
        assert same is not reached


def test_it_is_told_the_place_of_each_pixel_in_its_block() -> None:
    cleaner = Cleaner(TOLD).requires_grad_(False)
    assert cleaner.place is not None
    cleaner.place.copy_(torch.arange(8 * 64.0).reshape(8, 8, 8))
    places = cleaner.places(19, 10)
    assert places is not None and places.shape == (1, 8, 19, 10)
    assert all(torch.equal(places[0, :, y, x], cleaner.place[:, y % 8, x % 8]) for y in range(19) for x in range(10))
    assert Cleaner(CONFIG).places(19, 10) is None


def test_what_is_known_of_the_places_is_added_before_the_first_bend() -> None:
    torch.manual_seed(0)
    plain, told = Cleaner(CONFIG).requires_grad_(False), Cleaner(TOLD).requires_grad_(False)
    told.load_state_dict(plain.state_dict(), strict=False)
    assert told.place is not None and plain.enter.bias is not None
    lr, offset = random_frames(2, 16, 18), torch.randn(8)
    assert torch.equal(told(lr), plain(lr))
    told.place.copy_(offset[:, None, None].expand(8, 8, 8))
    plain.enter.bias += offset
    torch.testing.assert_close(told(lr, told.places(16, 18)), plain(lr))


def test_pieces_of_a_picture_begin_at_blocks() -> None:
    assert ALIGN_PX % CODEC_BLOCK_PX == 0


def test_both_ways_to_pixels_see_the_cleaned_frames(cleaner: Cleaner) -> None:
    plain = placed_tiny(load_tiny(TINY_WEIGHTS), CPU)
    cleaning, lr = Cleaning(changes=changes_in_torch(cleaner), share=0.7), random_frames(2, 16, 20)
    prior, clean = CleanedPrior(plain, cleaning), cleaned(cleaner, lr, 0.7)
    assert not torch.equal(clean, lr)
    assert torch.equal(prior.condition(lr).lr, plain.condition(clean).lr)
    step = tiny().make_schedule(1)[0]
    ours, wanted = prior.direct(step)(iter(lr)), plain.direct(step)(iter(clean))
    for mine, other in zip(ours, wanted, strict=True):
        assert torch.equal(mine.picture(None), other.picture(None))


def test_tiles_have_the_bits_of_the_whole() -> None:
    frames = (random_frames(2, 96, 128).permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)
    made = [
        np.stack(list(limpid.restore(iter(frames), fps=25, method="tiny", denoise=1.0, dtype="float32", tile_px=tile)))
        for tile in (None, 64)
    ]
    assert np.array_equal(*made)


def test_a_file_keeps_the_network(cleaner: Cleaner, tmp_path: Path) -> None:
    save_cleaner(cleaner, tmp_path / "c.safetensors")
    again = load_cleaner(tmp_path / "c.safetensors")
    assert again.config == cleaner.config
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), cleaner.state_dict().values(), strict=True)
    )


def test_other_files_are_refused(cleaner: Cleaner, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights of a cleaner"):
        load_cleaner(TINY_WEIGHTS)
    odd = {"does not fit its own header": {"channels": 16}, "of this size is not known": {"grid_px": 7}}
    for says, values in odd.items():
        cleaner.config = replace(CONFIG, **values)
        save_cleaner(cleaner, tmp_path / "c.safetensors")
        with pytest.raises(WeightsError, match=says):
            load_cleaner(tmp_path / "c.safetensors")
