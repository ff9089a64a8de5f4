"""Tiles of local methods are cut, computed and put together without a trace; sizes are what was asked."""

from __future__ import annotations

import pytest
import torch
from fakes import local_method, segment_of, video
from hypothesis import given
from hypothesis import strategies as st

from limpid.cuts.local import tile_spans
from limpid.method import Method
from limpid.methods import find_method
from limpid.plan.device import choose_machine
from limpid.plan.segments import Rung
from limpid.restoration.chunk import Chunk
from limpid.restoration.restorer import Restorer, resize, target_size
from limpid.settings import Settings
from limpid.types import SettingsError


def restored(method: Method, lr: torch.Tensor, tile_px: int | None, steps: int) -> torch.Tensor:
    scale = method.scale
    restorer = Restorer(
        method=method,
        settings=Settings(steps=steps),
        machine=choose_machine("cpu", "float32"),
        width=lr.shape[3] * scale,
        height=lr.shape[2] * scale,
    )
    count = len(lr)
    segment = segment_of((2, count), (0, count), (0, count))
    return restorer(Chunk(frames=lr, segment=segment, rung=Rung(chunk_frames=count, tile_px=tile_px)))


@pytest.mark.parametrize("tile_px", [16, 24, 40])
def test_tiles_leave_no_trace(tile_px: int) -> None:
    method, lr = local_method(), video(6, 36, 50)
    assert torch.equal(restored(method, lr, None, 2), restored(method, lr, tile_px, 2))


def test_tiles_of_the_shipped_model_leave_no_trace() -> None:
    method, lr = find_method("tiny"), video(4, 34, 150)
    whole, tiled = restored(method, lr, None, 1), restored(method, lr, 32, 1)
    # Convolutions of other sizes may add in another order; nothing that shows in 16 bits is allowed.
    assert (whole - tiled).abs().max() < 1e-5


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
    assert resize(frames, 20, 30) is frames
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
