"""Pictures into encoders: rounding, colours, exactness, sizes, and bytes that never change."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from writing import CONSTANT, RATE, UNIT, decode_all, pictures, rgb16, write_segments

from limpid.types import ColorTags, OutputSpec, SettingsError
from limpid.video.encode import AV1_PRESETS, X26X_PRESETS, check_preset, encoder_setup
from limpid.video.picture import LUMA_WEIGHTS, quantise, rgb_to_yuv, rgb_to_yuv_matrix
from limpid.video.segments import count_frames
from limpid.video.setup import av1_crf

SPEC = OutputSpec(
    codec="h264", container="mkv", width=64, height=48, fps=RATE, time_base=UNIT, color=ColorTags(matrix=1), crf=16
)
VIDEO = ("h264", "h265", "av1", "ffv1", "prores")


def test_quantise_rounds_to_nearest_and_clamps() -> None:
    values = torch.tensor([-0.2, 0.0, 0.49 / 255, 0.51 / 255, 0.5, 1.0, 1.7]).reshape(1, 1, 1, 7).expand(1, 3, 1, 7)
    assert quantise(values, 8, 1, 7)[0, 0, :, 0].tolist() == [0, 0, 0, 1, 128, 255, 255]
    assert quantise(values, 10, 1, 7).max() == 1023
    assert quantise(values, 16, 1, 7)[0, 0, 4, 0] in (32767, 32768)


def test_quantise_matches_the_obvious_formula() -> None:
    frames = pictures(2)
    for depth in (8, 10, 16):
        expected = np.rint(frames.double().numpy() * (2**depth - 1)).transpose(0, 2, 3, 1)
        assert np.abs(quantise(frames, depth, 48, 64).astype(int) - expected).max() <= (depth == 16)


def test_quantise_pads_one_row_and_column_by_repeating_them() -> None:
    out = quantise(pictures(1, height=15, width=17), 8, 16, 18)
    assert (out[0, 15] == out[0, 14]).all()
    assert (out[0, :, 17] == out[0, :, 16]).all()


@pytest.mark.parametrize("shape", [(1, 3, 14, 16), (1, 3, 17, 16), (1, 2, 16, 16), (3, 16, 16)])
def test_quantise_refuses_frames_that_do_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        quantise(torch.zeros(shape), 8, 16, 16)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_quantise_refuses_what_is_not_a_number(bad: float) -> None:
    frames = torch.zeros(1, 3, 16, 16)
    frames[0, 1, 3, 3] = bad
    with pytest.raises(ValueError, match="not numbers"):
        quantise(frames, 8, 16, 16)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("depth", [8, 10])
def test_yuv_is_rounded_once_and_without_bias(depth: int, full_range: bool) -> None:
    random = np.random.default_rng(0)
    patches = random.integers(0, 256, (128, 128, 3)).astype(np.uint8)
    for matrix in LUMA_WEIGHTS:
        tags = ColorTags(matrix=matrix, full_range=full_range)
        table = rgb_to_yuv_matrix(tags, depth)
        due = np.einsum("ij,hwj->ihw", table[:, :3], patches / 255.0) + table[:, 3, None, None]
        for source, tolerance in ((patches, 0.501), (patches.astype(np.uint16) * 257, 0.502)):
            for plane, exact in zip(rgb_to_yuv(source, tags, depth, "444"), due, strict=True):
                error = plane - np.clip(exact, 0, 2**depth - 1)
                assert np.abs(error).max() <= tolerance
                assert abs(error.mean()) < 0.015


def test_chroma_is_sited_on_even_columns_and_between_rows() -> None:
    ramp = np.zeros((4, 16, 3), np.uint8)
    ramp[..., 2] = np.arange(16) * 8
    ramp[2:, :, 2] += 4
    tags = ColorTags(matrix=1)
    full = rgb_to_yuv(ramp, tags, 10, "444")[1].astype(float)
    half = rgb_to_yuv(ramp, tags, 10, "420")[1].astype(float)
    assert np.abs(half[:, 1:] - full[::2, 2::2]).max() <= 1


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("depth", [8, 10, 16])
def test_ffv1_gives_back_the_quantised_pictures_exactly(tmp_path: Path, depth: int, alpha: bool) -> None:
    from limpid.video.join import _plane

    spec = replace(SPEC, codec="ffv1", bit_depth=depth, alpha=alpha, width=33, height=17)
    frames = pictures(3, height=17, width=33, channels=4 if alpha else 3)
    (path,) = write_segments(tmp_path, spec, frames, CONSTANT[:3], [3])
    due = quantise(frames, depth, 17, 33)
    for frame, exact in zip(decode_all(path), due, strict=True):
        if depth == 8:
            got = _plane(frame, 0, np.uint8, 4)[..., [2, 1, 0, 3][: exact.shape[-1]]]
        else:
            order = (2, 0, 1, 3)[: exact.shape[-1]]
            got = np.stack([_plane(frame, i, np.uint16, 1)[..., 0] for i in order], -1)
        assert (got == exact).all()


COLOURS = [("h264", d, m, f) for d in (8, 10) for m in (1, 6, 9) for f in (False, True)]
COLOURS += [("h265", 10, 1, False), ("av1", 8, 1, False), ("prores", 10, 1, False)]


@pytest.mark.parametrize(("codec", "depth", "matrix", "full_range"), COLOURS)
def test_colours_do_not_shift(tmp_path: Path, codec: str, depth: int, matrix: int, full_range: bool) -> None:
    color = ColorTags(primaries=1, transfer=1, matrix=matrix, full_range=full_range)
    spec = replace(SPEC, codec=codec, bit_depth=depth, color=color, crf=0)  # type: ignore[arg-type]
    flat = torch.nn.functional.interpolate(torch.rand(2, 3, 3, 4, generator=torch.Generator().manual_seed(1)), (48, 64))
    (path,) = write_segments(tmp_path, spec, flat, CONSTANT[:2], [2])
    for frame, due in zip(decode_all(path), flat, strict=True):
        assert (frame.colorspace, frame.color_range) == (matrix, 2 if full_range else 1)
        error = (rgb16(frame) - due.permute(1, 2, 0).numpy())[4::16, 6::16]  # inside the patches, away from edges
        assert abs(error.mean()) < 0.004
        assert np.abs(error).max() < (0.012 if codec in ("h264", "prores") else 0.03)


@pytest.mark.parametrize("depth", [8, 10])
@pytest.mark.parametrize("codec", VIDEO)
def test_encoding_twice_gives_the_same_bytes(tmp_path: Path, codec: str, depth: int) -> None:
    spec = replace(SPEC, codec=codec, bit_depth=depth)  # type: ignore[arg-type]
    frames = pictures(10)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_segments(tmp_path / name, spec, frames, CONSTANT[:10], [10])
    assert (tmp_path / "a/segment0000").read_bytes() == (tmp_path / "b/segment0000").read_bytes()


@pytest.mark.parametrize(("width", "height"), [(16, 16), (34, 18), (18, 50)])
@pytest.mark.parametrize("codec", VIDEO)
def test_small_sizes_and_single_frames(tmp_path: Path, codec: str, width: int, height: int) -> None:
    spec = replace(SPEC, codec=codec, bit_depth=10 if codec == "prores" else 8, width=width, height=height)  # type: ignore[arg-type]
    (path,) = write_segments(tmp_path, spec, pictures(1, height=height, width=width), [7], [1])
    (frame,) = decode_all(path)
    assert (frame.width, frame.height) == (width, height)
    assert count_frames(path) == 1


def test_rates_that_encoders_find_odd(tmp_path: Path) -> None:
    for number, rate in enumerate((Fraction(45000, 1499), Fraction(24000, 1001), Fraction(1, 2), Fraction(1000))):
        for codec in VIDEO[:3]:
            folder = tmp_path / f"{number}{codec}"
            folder.mkdir()
            spec = replace(SPEC, codec=codec, fps=rate, time_base=1 / rate)  # type: ignore[arg-type]
            (path,) = write_segments(folder, spec, pictures(3), [0, 1, 2], [3])
            assert len(decode_all(path)) == 3


def test_presets_and_quality_scales() -> None:
    assert check_preset("h264", None) == "veryfast"
    assert check_preset("av1", "6") == "6"
    for codec, preset in (("h264", "8"), ("av1", "fast"), ("ffv1", "fast"), ("prores", "slow")):
        with pytest.raises(SettingsError):
            check_preset(codec, preset)
    scale = [av1_crf(crf) for crf in range(52)]
    assert scale == sorted(scale)
    assert (scale[0], scale[-1]) == (1, 63)
    assert len(X26X_PRESETS) == 9
    assert len(AV1_PRESETS) == 14


def test_prores_profile_follows_alpha_and_hevc_carries_the_tag_players_need() -> None:
    assert encoder_setup(replace(SPEC, codec="prores", alpha=True)).pix_fmt == "yuva444p10le"
    assert encoder_setup(replace(SPEC, codec="prores")).pix_fmt == "yuv422p10le"
    assert encoder_setup(replace(SPEC, codec="h265", container="mp4")).codec_tag == "hvc1"


def test_x264_keeps_to_routines_whose_bytes_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those for AVX-512 read memory that nobody wrote; where the processor has none, x264 chooses by itself."""
    for there, said in ((True, True), (False, False)):
        monkeypatch.setattr("limpid.video.encode.cv2.checkHardwareSupport", lambda feature, there=there: there)
        assert (":asm=avx2" in encoder_setup(SPEC).options["x264-params"]) == said
