"""Flow in tiles: what one call says where a picture is small, and nearly that where it is not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from limpid.flow.tiled import TiledFlow


class Seeing:
    """An estimator that keeps the sizes of what it is asked, and says how bright a place is."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        self.sizes.append(tuple(first.shape[-2:]))
        return torch.stack([first[:, 0], second[:, 1]], dim=1)


@pytest.mark.parametrize(("height", "width", "calls"), [(20, 32, 1), (32, 33, 2), (50, 70, 6), (100, 20, 4)])
def test_every_place_gets_what_the_estimator_says_of_it(height: int, width: int, calls: int) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(3, 3, height, width, generator=generator) for _ in range(2))
    seeing = Seeing()
    flow = TiledFlow(estimator=seeing, tile_px=32, overlap_px=8)(first, second)
    torch.testing.assert_close(flow, torch.stack([first[:, 0], second[:, 1]], dim=1), rtol=0, atol=1e-6)
    assert len(seeing.sizes) == calls
    assert all(max(size) <= 32 for size in seeing.sizes)
