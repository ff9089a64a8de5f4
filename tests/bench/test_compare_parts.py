"""The parts of a comparison that are plain functions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from limpid.bench.compare.charts import Chart, mean_text, nice_step, svg
from limpid.bench.compare.crops import Crop, choose_crops, place_crops, usual_size
from limpid.bench.compare.film import encode_comparison, lay_out, plan_layout
from limpid.bench.compare.measures import Measures, disagreement, measure_frames
from limpid.bench.compare.pictures import heat_map, heat_top
from limpid.bench.compare.profiles import choose_line, profile, slice_of
from limpid.bench.compare.sources import default_labels, eight_bits
from limpid.types import OutputError, SettingsError


def noise(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (height, width, 3), dtype=np.uint8)


def measured(faulty_frame: int = 2, by: int = 50) -> Measures:
    """Base and two outputs; the second differs in one rectangle of one frame."""
    rows = []
    for number in range(4):
        base = noise(number)
        other = base.copy()
        if number == faulty_frame:
            other[40:72, 80:112] += by
        rows.append([base, base, other])
    return measure_frames(rows, [1, 2])


def test_an_injected_difference_is_found_in_space_and_time() -> None:
    (crop,) = choose_crops(measured().disagreement, (32, 32), (128, 96), 3)
    assert crop == Crop(80, 40, 32, 32, 2)


def test_crops_do_not_overlap_and_stay_inside() -> None:
    spread = np.random.default_rng(0).random((3, 17, 23), np.float32)
    crops = choose_crops(spread, (64, 48), (181, 133), 4)
    assert len(crops) == 4
    for n, a in enumerate(crops):
        assert a.x >= 0 and a.y >= 0 and a.x + a.width <= 181 and a.y + a.height <= 133
        for b in crops[:n]:
            assert a.x + a.width <= b.x + 8 or b.x + b.width <= a.x + 8 or abs(a.y - b.y) >= a.height - 8


def test_without_any_difference_the_middle_is_shown() -> None:
    assert choose_crops(np.zeros((2, 12, 16), np.float32), (64, 48), (128, 96), 3) == [Crop(32, 24, 64, 48, 0)]


@pytest.mark.parametrize("size", [(1280, 720), (176, 144), (40, 30)])
def test_the_usual_crop_fits(size: tuple[int, int]) -> None:
    wide, high = usual_size(*size)
    assert 8 <= wide <= size[0] and 8 <= high <= size[1]


def test_crops_by_hand_take_the_frame_that_differs_most() -> None:
    (crop,) = place_crops([(70, 30, 50, 50)], measured().disagreement, (128, 96))
    assert crop.frame == 2
    for box in ((100, 0, 50, 50), (-1, 0, 20, 20), (0, 0, 4, 20)):
        with pytest.raises(SettingsError, match="--crop"):
            place_crops([box], measured().disagreement, (128, 96))


def test_curves_react_to_what_they_are_named_after() -> None:
    found = measured()
    assert found.psnr[0] is None
    assert found.psnr[1] == (np.inf,) * 4
    assert found.psnr[2] is not None and [np.isfinite(v) for v in found.psnr[2]] == [False, False, True, False]
    share = 32 * 32 / (96 * 128)
    assert found.psnr[2][2] == pytest.approx(10 * np.log10(255**2 / (50**2 * share)), abs=1e-6)
    assert found.level[2][2] - found.level[0][2] == pytest.approx(50 * share, abs=1e-6)
    assert found.change[0][0] is None and found.change[1] == found.change[0]
    assert found.difference[2][50, 90] == pytest.approx(50 / 4) and found.difference[2][0, 0] == 0


def test_disagreement_is_the_range_over_the_outputs() -> None:
    planes = [np.full((20, 20), v, np.uint8) for v in (10, 50, 30)]
    cells = disagreement(planes)
    assert cells.shape == (3, 3) and cells[0, 0] == 40 and cells[2, 2] == 10  # a quarter of the last cell is picture


def test_profiles_run_over_time() -> None:
    frames = [noise(n) for n in range(5)]
    column = choose_line(Crop(80, 40, 32, 32, 0), (128, 96))
    assert column == ("column", 96, 0, 96)
    picture = profile([slice_of(frame, column) for frame in frames], column)
    assert picture.shape == (96, 5, 3) and (picture[:, 3] == frames[3][:, 96]).all()
    row = choose_line(Crop(0, 0, 32, 32, 0), (1280, 720), "row", 7)
    assert row == ("row", 7, 0, 240)
    assert profile([noise(1, 720, 1280)[7, :240]] * 3, row).shape == (3, 240, 3)


@pytest.mark.parametrize(("count", "size"), [(2, (1280, 720)), (4, (1920, 1080)), (5, (3840, 2160)), (3, (177, 145))])
def test_every_decoder_takes_the_tiles(count: int, size: tuple[int, int]) -> None:
    layout = plan_layout(count, *size)
    wide, high = layout.columns * layout.tile[0], layout.rows * layout.tile[1]
    assert max(wide, high) <= 4096 and wide * high <= 36864 * 256 and layout.columns * layout.rows >= count
    assert layout.tile[0] % 16 == layout.tile[1] % 16 == 0
    if count * size[0] * size[1] < 9e6:
        assert (layout.width, layout.height) == size


def test_tiles_hold_their_source() -> None:
    pictures = [noise(n, 145, 177) for n in range(3)]
    layout = plan_layout(3, 177, 145)
    canvas = lay_out(pictures, layout)
    for n, picture in enumerate(pictures):
        row, column = divmod(n, layout.columns)
        top, left = row * layout.tile[1], column * layout.tile[0]
        assert (canvas[top : top + 145, left : left + 177] == picture).all()


def test_quality_gives_way_to_size() -> None:
    frames = [[noise(n), noise(n + 9)] for n in range(3)]
    layout = plan_layout(2, 128, 96)
    large = encode_comparison(lambda: frames, layout, fps=Fraction(25), crf=16, most_bytes=10**7)
    assert large.crf == 16 and large.data[4:8] == b"ftyp"
    small = encode_comparison(lambda: frames, layout, fps=Fraction(25), crf=16, most_bytes=len(large.data) * 3 // 4)
    assert small.crf > 16 and len(small.data) <= len(large.data) * 3 // 4
    with pytest.raises(OutputError, match="--frames"):
        encode_comparison(lambda: frames, layout, fps=Fraction(25), crf=36, most_bytes=100)


def test_heat_maps_share_a_scale() -> None:
    flat = np.zeros((60, 1280), np.float32)
    hot = flat + 20
    assert heat_top([flat, hot]) == 20 and heat_top([flat]) == 1
    assert heat_map(hot, 20).shape == (30, 640, 3)
    assert heat_map(hot, 20).sum() > heat_map(flat, 20).sum()


def test_charts_leave_gaps_and_escape_names() -> None:
    curves = ((1.0, 2.0, None, float("inf"), 3.0), None)
    drawn = svg(Chart(title='a"b', unit="", note="", curves=curves), ["<x>", "y"], 10)
    assert drawn.count("<path") == 1 and drawn.count("M") == 2
    assert "&lt;x&gt;" in drawn and "<x>" not in drawn and 'a"b' not in drawn
    assert ">10<" in drawn and ">14<" in drawn
    assert "n/a" in svg(Chart(title="", unit="", note="", curves=((1.0,),)), ["x"], 0)


def test_steps_and_means() -> None:
    assert [nice_step(v) for v in (0.013, 0.2, 3, 70)] == pytest.approx([0.02, 0.2, 5, 100])
    assert mean_text(None) == "–" and mean_text((float("inf"),)) == "identical"
    assert mean_text((1.0, 2.0)) == "1.50" and mean_text((1.0, float("inf"))) == "1.00 (1 frames identical)"
    assert mean_text((None,)).startswith("n/a")


def test_labels_are_told_apart() -> None:
    assert default_labels(["x/a.mp4", "x/b.mkv"]) == ["a", "b"]
    assert default_labels(["x/a.mp4", "x/a.mkv"]) == ["a.mp4", "a.mkv"]
    assert default_labels(["x/a.mp4", "y/a.mp4"]) == ["x/a.mp4", "y/a.mp4"]
    assert default_labels(["a.mp4", "a.mp4"]) == ["1: a.mp4", "2: a.mp4"]


def test_deep_pictures_become_eight_bits() -> None:
    deep = np.array([[[0, 257, 65535, 1]]], np.uint16)
    assert eight_bits(deep).tolist() == [[[0, 1, 255]]] and eight_bits(deep).dtype == np.uint8
