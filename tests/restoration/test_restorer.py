"""Tiles of local methods are cut, computed and put together without a trace; sizes are what was asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fakes import local_method, segment_of, video
from hypothesis import given, settings
from hypothesis import strategies as st

from limpid.cuts.local import tile_spans
from limpid.method import Method
from limpid.methods import find_method
from limpid.plan.device import choose_machine
from limpid.plan.segments import Rung
from limpid.restoration.chunk import Chunk
from limpid.restoration.resize import resize
from limpid.restoration.restorer import Restorer, target_size
from limpid.settings import Settings
from limpid.types import SettingsError, VideoFrame
from limpid.video import quantise


def restored(
    method: Method,
    lr: torch.Tensor,
    tile_px: int | None,
    steps: int,
    size: tuple[int, int] | None = None,
    depth: int | None = None,
    **options: Any,
) -> torch.Tensor:
    height, width = size or (lr.shape[2] * method.scale, lr.shape[3] * method.scale)
    restorer = Restorer(
        method=method,
        settings=Settings(steps=steps, **options),
        machine=choose_machine("cpu", "float32"),
        width=width,
        height=height,
        depth=depth,
    )
    count = len(lr)
    segment = segment_of((2, count), (0, count), (0, count))
    return restorer(Chunk(frames=lr, segment=segment, rung=Rung(chunk_frames=count, tile_px=tile_px)))


@pytest.mark.parametrize("tile_px", [16, 24, 40])
def test_tiles_leave_no_trace(tile_px: int) -> None:
    method, lr = local_method(), video(6, 36, 50)
    assert torch.equal(restored(method, lr, None, 2), restored(method, lr, tile_px, 2))


@pytest.mark.parametrize("size", [None, (34, 150), (68, 300), (41, 97)])
@pytest.mark.parametrize("color", ["wavelet", "adain"])
def test_tiles_of_the_shipped_model_leave_no_trace(size: tuple[int, int] | None, color: str) -> None:
    method, lr = find_method("tiny"), video(4, 34, 150)
    whole, tiled = (restored(method, lr, tile, 1, size, color=color) for tile in (None, 32))
    assert torch.equal(whole, tiled)


@given(
    size=st.tuples(st.integers(16, 90), st.integers(16, 110)),
    lr=st.tuples(st.integers(16, 40), st.integers(16, 60)),
    tile_px=st.integers(8, 40),
    color=st.sampled_from(["wavelet", "adain", "none"]),
)
@settings(max_examples=25, deadline=None)
def test_any_tiles_give_the_same_bits_at_any_size(
    size: tuple[int, int], lr: tuple[int, int], tile_px: int, color: str
) -> None:
    method, frames = local_method(), video(4, *lr)
    whole, tiled = (restored(method, frames, tile, 1, size, color=color) for tile in (None, tile_px))
    assert torch.equal(whole, tiled)


@pytest.mark.parametrize("depth", [8, 10, 16])
def test_frames_in_the_format_of_the_encoder_are_the_rounded_ones(depth: int) -> None:
    method, lr = local_method(), video(5, 20, 30)
    plain, size = restored(method, lr, 16, 1, (31, 47)), (31, 47)
    pictures = restored(method, lr, 16, 1, size, depth)
    assert pictures.dtype == (torch.uint8 if depth == 8 else torch.uint16)
    assert (pictures.numpy() == quantise(plain, depth, *size)).all()
    assert (quantise(pictures, depth, *size) == pictures.numpy()).all()


@pytest.mark.parametrize("tile_px", [None, 16])
def test_transparency_is_put_together_from_tiles(tile_px: int | None) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 4), np.uint8)
    segment = segment_of((0, 1), (0, 1), (0, 1))
    restorer = Restorer(
        method=local_method(),
        settings=Settings(steps=1),
        machine=choose_machine("cpu", "float32"),
        width=70,
        height=60,
        alpha=True,
    )
    chunk = Chunk(frames=[VideoFrame(0, pixels)], segment=segment, rung=Rung(chunk_frames=1, tile_px=tile_px))
    alpha = torch.from_numpy(pixels[None, :, :, 3].astype(np.float32) / 255)[None]
    assert torch.equal(restorer(chunk)[:, 3:], resize(alpha, 60, 70))


@given(st.integers(16, 500), st.one_of(st.none(), st.integers(16, 300)), st.integers(0, 60))
def test_spans_cover_an_axis_and_have_their_halo(length: int, tile_px: int | None, halo: int) -> None:
    spans = tile_spans(length, tile_px, halo)
    assert [p for s in spans for p in range(s.keep_start, s.keep_stop)] == list(range(length))
    for span in spans:
        assert span.start % 8 == 0
        assert span.start <= max(span.keep_start - halo, 0)
        assert span.stop >= min(span.keep_stop + halo, length)


def test_resizing_does_not_depend_on_the_neighbours() -> None:
    frames = video(9, 20, 30)
    out = resize(frames, 13, 17)
    assert out.shape == (9, 3, 13, 17)
    assert torch.equal(out[7:], resize(frames[7:], 13, 17))
    assert resize(frames, 20, 30).equal(frames)
    assert resize(torch.ones(1, 3, 8, 8), 5, 5).max() <= 1


@pytest.mark.parametrize(
    ("options", "size"),
    [({}, (256, 192)), ({"scale": 3.5}, (224, 168)), ({"height": 1080}, (1440, 1080)), ({"scale": 0.5}, (32, 24))],
)
def test_target_sizes(options: dict[str, float], size: tuple[int, int]) -> None:
    assert target_size(64, 48, 4, Settings(**options)) == size  # type: ignore[arg-type]


def test_sizes_that_are_no_pictures_are_refused() -> None:
    for options in ({"scale": 0.1}, {"height": 16384}):
        with pytest.raises(SettingsError, match="16 to 16384"):
            target_size(64, 48, 4, Settings(**options))  # type: ignore[arg-type]


def test_the_refusal_says_what_fits() -> None:
    with pytest.raises(SettingsError, match=r"30720x17280; .*: --scale 2.13 or --height 9216 is the largest that fits"):
        target_size(7680, 4320, 4, Settings())
    assert target_size(7680, 4320, 4, Settings(scale=2.13)) == (16358, 9202)
    assert target_size(7680, 4320, 4, Settings(height=9216)) == (16384, 9216)
    with pytest.raises(SettingsError, match=r"--scale 0\.34 or --height 16 is the smallest that fits"):
        target_size(64, 48, 4, Settings(scale=0.1))
