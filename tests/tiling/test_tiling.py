from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor

from limpid.method import Weights
from limpid.tiling.blend import Axis, Blender, Grid, blend_weights, kinds_of_axes, raw_weights
from limpid.tiling.plan import even_length, haloed_spans, overlapping_spans, plan_tiles

kinds = st.sampled_from(["ramp", "gaussian", "box"])


@st.composite
def cuts(draw: st.DrawFn, most: int = 60) -> tuple[int, int, int, int]:
    """Count, length, overlap and offset of an axis."""
    length = draw(st.integers(1, most // 3))
    return draw(st.integers(1, most)), length, draw(st.integers(0, length - 1)), draw(st.integers(0, 50))


@given(cuts())
@settings(deadline=None)
def test_overlapping_spans_cover_all_and_overlap_enough(cut: tuple[int, int, int, int]) -> None:
    count, length, overlap, offset = cut
    spans = overlapping_spans(count, length, overlap, offset)
    assert {p for s in spans for p in range(s.start, s.stop)} == set(range(count))
    assert all(s.stop - s.start == min(length, count) for s in spans)
    for before, after in pairwise(spans):
        assert before.start < after.start
        assert before.stop - after.start >= overlap


@given(cuts())
@settings(deadline=None)
def test_even_pieces_are_as_few_and_no_longer(cut: tuple[int, int, int, int]) -> None:
    count, longest, overlap, _ = cut
    even = overlapping_spans(count, even_length(count, longest, overlap), overlap)
    full = overlapping_spans(count, longest, overlap)
    assert len(even) == len(full) and all(s.stop - s.start <= min(longest, count) for s in even)
    assert all(before.stop - after.start >= overlap for before, after in pairwise(even))


@given(cuts())
@settings(deadline=None)
def test_inner_windows_lie_on_the_grid_of_the_shot(cut: tuple[int, int, int, int]) -> None:
    count, length, overlap, offset = cut
    for window in overlapping_spans(count, length, overlap, offset)[1:-1]:
        assert (window.start + offset) % (length - overlap) == 0


@pytest.mark.parametrize(("count", "starts"), [(8, [0]), (9, [0, 1]), (14, [0, 6]), (15, [0, 6, 7]), (20, [0, 6, 12])])
def test_windows_of_eight_with_overlap_two(count: int, starts: list[int]) -> None:
    """As in Upscale-A-Video, without its duplicated last window for 14, 20 ... frames."""
    assert [w.start for w in overlapping_spans(count, 8, 2)] == starts


@given(count=st.integers(1, 60), length=st.one_of(st.none(), st.integers(1, 70)), halo=st.integers(0, 12))
@settings(deadline=None)
def test_haloed_cores_lie_side_by_side_with_all_the_context_there_is(count: int, length: int | None, halo: int) -> None:
    spans = haloed_spans(count, length, halo)
    assert [p for s in spans for p in range(s.keep_start, s.keep_stop)] == list(range(count))
    for s in spans:
        assert s.start == max(0, s.keep_start - halo)
        assert s.stop == min(count, s.keep_stop + halo)
        assert length is None or s.keep_stop - s.keep_start <= length


@pytest.mark.parametrize(("count", "length", "overlap"), [(0, 4, 1), (10, 4, 4), (10, 4, -1)])
def test_cuts_that_make_no_sense_are_refused(count: int, length: int, overlap: int) -> None:
    with pytest.raises(ValueError):
        overlapping_spans(count, length, overlap)


def test_tiles_cover_the_canvas_row_by_row() -> None:
    tiles = plan_tiles(10, 7, 6, 2)
    assert [(t.top, t.left) for t in tiles] == [(0, 0), (0, 1), (4, 0), (4, 1)]
    assert {(t.height, t.width) for t in tiles} == {(6, 6)}


@given(cuts(), kinds)
@settings(deadline=None)
def test_weights_are_a_partition_of_unity(cut: tuple[int, int, int, int], kind: str) -> None:
    count, length, overlap, offset = cut
    spans = overlapping_spans(count, length, overlap, offset)
    total = torch.zeros(count)
    for span, weights in zip(spans, blend_weights(spans, kind), strict=True):
        assert (weights > 0).all()
        total[span.start : span.stop] += weights
    torch.testing.assert_close(total, torch.ones(count))


def slow_blend(pieces: list[tuple[Tensor, tuple[slice, ...], Tensor]], shape: tuple[int, ...]) -> Tensor:
    """The obvious way: sum of weight times value, over sum of weights."""
    top, bottom = torch.zeros(shape), torch.zeros(shape)
    for value, where, weight in pieces:
        top[where] += value * weight
        bottom[where] += weight
    return top / bottom


def test_ramps_blend_linearly_between_two_pieces() -> None:
    spans = overlapping_spans(12, 8, 4)
    left, right = blend_weights(spans, "ramp")
    torch.testing.assert_close(left, torch.tensor([1, 1, 1, 1, 0.875, 0.625, 0.375, 0.125]))
    torch.testing.assert_close(right, left.flip(0))


def test_box_weights_are_the_mean_of_what_is_there() -> None:
    spans = overlapping_spans(15, 8, 2)
    values = [1.0, 2.0, 4.0]
    pieces = [
        (torch.full((8,), v), (slice(s.start, s.stop),), torch.ones(8)) for v, s in zip(values, spans, strict=True)
    ]
    grid = Grid(Axis.overlapping(15, 8, 2, "box"), Axis.haloed(1, None, 0), Axis.haloed(1, None, 0))
    blender = Blender(grid)
    for i, value in enumerate(values):
        blender.add(torch.full((8, 1, 1), value), i, 0)
    torch.testing.assert_close(blender.result().flatten(), slow_blend(pieces, (15,)))


@st.composite
def grids(draw: st.DrawFn) -> tuple[Grid, tuple[int, int, int]]:
    size, axes = [], []
    for _ in range(3):
        count, length, overlap, offset = draw(cuts(most=12))
        size.append(count)
        if draw(st.booleans()):
            axes.append(Axis.overlapping(count, length, overlap, draw(kinds), offset))
        else:
            axes.append(Axis.haloed(count, length, overlap))
    return Grid(*axes), tuple(size)


@given(grids())
@settings(max_examples=40, deadline=None)
def test_tile_and_blend_of_the_identity_is_the_identity(case: tuple[Grid, tuple[int, int, int]]) -> None:
    grid, size = case
    canvas = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(0))
    blender = Blender(grid)
    for window in range(len(grid.frames.spans)):
        for tile in range(grid.num_tiles):
            blender.add(canvas[..., *grid.slices(window, tile)], window, tile)
    torch.testing.assert_close(blender.result(), canvas, rtol=1e-5, atol=1e-5)
    if all(axis.weights is None for axis in (grid.frames, grid.rows, grid.columns)):
        assert torch.equal(blender.result(), canvas)


@given(cuts(), kinds, st.integers(1, 4))
@settings(deadline=None)
def test_a_finer_axis_has_the_same_pieces(cut: tuple[int, int, int, int], kind: str, factor: int) -> None:
    count, length, overlap, offset = cut
    axis = Axis.overlapping(count, length, overlap, kind, offset)
    fine = axis.scaled(factor, kind)
    assert [(s.start * factor, s.stop * factor) for s in axis.spans] == [(s.start, s.stop) for s in fine.spans]
    if fine.weights is not None:
        assert [len(w) for w in fine.weights] == [s.stop - s.start for s in fine.spans]


@pytest.mark.parametrize(
    ("count", "windows"),
    [
        (8, [(0, 8)]),
        (10, [(0, 8), (2, 10)]),
        (13, [(0, 8), (5, 13)]),
        (14, [(0, 8), (6, 14), (6, 14)]),
        (20, [(0, 8), (6, 14), (12, 20), (12, 20)]),
    ],
)
def test_windows_of_released_code(count: int, windows: list[tuple[int, int]]) -> None:
    axis = Axis.visited(count, 8, 2)
    assert [(s.start, s.stop) for s in axis.spans] == windows
    slow = torch.zeros(count)
    pieces = [
        torch.rand(s.stop - s.start, generator=torch.Generator().manual_seed(i)) for i, s in enumerate(axis.spans)
    ]
    seen = torch.zeros(count, dtype=torch.bool)
    for span, piece in zip(axis.spans, pieces, strict=True):
        part = slice(span.start, span.stop)
        slow[part] = torch.where(seen[part], 0.5 * slow[part] + 0.5 * piece, piece)
        seen[part] = True
    if axis.weights is not None:
        fast = torch.zeros(count)
        for span, piece, weight in zip(axis.spans, pieces, axis.weights, strict=True):
            fast[span.start : span.stop] += piece * weight
        torch.testing.assert_close(fast, slow)


def test_chunks_of_released_decoders() -> None:
    assert [(s.start, s.stop) for s in Axis.chunked(10, 3).spans] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert Axis.chunked(2, None).spans[0].stop == 2


@given(cuts())
@settings(deadline=None)
def test_symmetric_weights_mirror_and_those_of_released_code_do_not(cut: tuple[int, int, int, int]) -> None:
    length = cut[1]
    assert torch.allclose(raw_weights(length, "gaussian", 0, 0), raw_weights(length, "gaussian", 0, 0).flip(0))
    late = raw_weights(length + length % 2, "gaussian_compat", 0, 0)
    assert late[len(late) // 2] == late.max() == 1
    assert not torch.allclose(late, late.flip(0))


def test_released_weights_of_a_tile() -> None:
    path = Path(__file__).resolve().parents[2].parent / "shared" / "golden" / "mgld_schedule.cases.safetensors"
    if not path.exists():
        pytest.skip("the golden tensors are not here")
    wanted = load_file(path)["gaussian_w64_h64"][0, 0]
    rows, columns = (raw_weights(64, kind, 0, 0) for kind in kinds_of_axes("gaussian_compat"))
    found = rows[:, None] * columns
    torch.testing.assert_close(found / found.max(), wanted / wanted.max(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(16, 16), (18, 40), (64, 100)])
@pytest.mark.parametrize("kind", ["gaussian", "gaussian_compat"])
def test_small_canvases_are_covered_by_tiles_of_any_size(size: tuple[int, int], kind: Weights) -> None:
    axes = [Axis.overlapping(count, 16, 8, one) for count, one in zip(size, kinds_of_axes(kind), strict=True)]
    blender = Blender(Grid(Axis.overlapping(1, None, 0), *axes))
    canvas = torch.rand(1, 4, 1, *size)
    for tile in range(blender.grid.num_tiles):
        blender.add(canvas[(..., *blender.grid.slices(0, tile))], 0, tile)
    torch.testing.assert_close(blender.result(), canvas)
