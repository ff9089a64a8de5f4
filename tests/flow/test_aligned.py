"""Neighbours moved onto a frame: a moved picture is found again, parts are told what they are within the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.flow.aligned import ClipFlows, Neighbours, with_neighbours

AROUND = (-2, -1, 1, 2)


def panned(frames: int, height: int, width: int, step: int = 2) -> Tensor:
    """A smooth random picture that moves ``step`` pixels to the left from frame to frame, ``t 3 h w``."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // 4, (width + frames * step) // 4 + 1, generator=random)
    scene = F.interpolate(coarse, scale_factor=4, mode="bicubic").clamp(0, 1)[0, :, :height]
    return torch.stack([scene[..., n * step : n * step + width] for n in range(frames)])


def test_what_has_moved_is_found_again() -> None:
    clip = panned(5, 48, 64)
    inner = (slice(None), slice(8, -8), slice(8, -8))
    told = with_neighbours(clip, AROUND)[2, 3:].unflatten(0, (4, 3))
    for moved, distance in zip(told, AROUND, strict=True):
        plain = (clip[2 + distance] - clip[2])[inner]
        assert moved[inner].abs().mean() < 0.05 * plain.abs().mean()


def test_beyond_the_ends_there_is_nothing() -> None:
    told = with_neighbours(panned(3, 32, 40), AROUND)[:, 3:].unflatten(1, (4, 3))
    there = told.abs().amax(dim=(2, 3, 4)) > 0
    assert there.tolist() == [[False, False, True, True], [False, True, True, False], [True, True, False, False]]
    assert not with_neighbours(panned(1, 32, 40), AROUND)[:, 3:].any()


@pytest.mark.parametrize("kept", [False, True])
def test_a_part_is_told_what_it_is_within_the_whole(kept: bool) -> None:
    clip = torch.rand(3, 3, 37, 50, generator=torch.Generator().manual_seed(0))
    whole = Neighbours(flows=ClipFlows(clip.__getitem__, 3, (-1, 1), kept=kept))
    part = whole.part(slice(5, 30), slice(8, 50)).part(slice(1, None), slice(2, 17))
    for number in range(3):
        assert torch.equal(part(number), whole(number)[:, 6:30, 10:25])


def test_flow_is_computed_once_where_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counted(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        asked.append(1)
        return np.zeros((*first.shape, 2), np.float32)

    monkeypatch.setattr("limpid.flow.aligned.dis_flow", counted)
    clip = panned(3, 32, 40)
    for kept, times in ((True, 4), (False, 8)):
        asked.clear()
        whole = Neighbours(flows=ClipFlows(clip.__getitem__, 3, (-1, 1), kept=kept))
        for columns in (slice(0, 20), slice(20, 40)):
            for number in range(3):
                whole.part(slice(0, 32), columns)(number)
        assert len(asked) == times


@pytest.mark.parametrize("size", [(1, 1), (7, 90), (31, 33)])
def test_pictures_of_any_size_can_be_searched(size: tuple[int, int]) -> None:
    clip = torch.rand(2, 3, *size)
    told = with_neighbours(clip, (1,))
    assert told.shape == (2, 6, *size) and torch.isfinite(told).all() and torch.equal(told[:, :3], clip)
