"""Colour conversion against the defining equations, orientation against FFmpeg's own filters."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import media
import numpy as np
import pytest
from av.filter import Graph

from limpid.types import Clip, ColorTags, VideoFrame, Window
from limpid.video import FrameReader, alpha_of, probe, scan, to_tensor
from limpid.video.pixels import PixelConverter, resolve_color, turn_of, yuv_matrix

KR_KB = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}


def _clip(**changes: Any) -> Clip:
    base: dict[str, Any] = {
        "path": "x",
        "kind": "video",
        "width": 32,
        "height": 32,
        "fps": Fraction(25),
        "time_base": Fraction(1, 25),
    }
    base |= {"codec": "x", "pix_fmt": "yuv444p", "bit_depth": 8}
    return Clip(**{**base, **changes})


def _flat(fmt: str, codes: tuple[int, ...], size: int = 32) -> av.VideoFrame:
    frame = av.VideoFrame(size, size, fmt)
    for plane, code in zip(frame.planes, codes, strict=True):
        deep = frame.format.components[0].bits > 8
        np.frombuffer(plane, np.uint16 if deep else np.uint8)[:] = code  # type: ignore[call-overload]
    return frame


def _expected(codes: tuple[int, ...], bits: int, matrix: int, full: bool) -> np.ndarray:
    """RGB in [0, 1] from the text of H.273, written out plainly."""
    y, u, v = codes[:3]
    unit = 2 ** (bits - 8)
    if full:
        luma, cb, cr = y / (2**bits - 1), (u - 128 * unit) / (2**bits - 1), (v - 128 * unit) / (2**bits - 1)
    else:
        luma, cb, cr = (y / unit - 16) / 219, (u / unit - 128) / 224, (v / unit - 128) / 224
    if matrix == 8:
        return np.clip([luma - cb + cr, luma + cb, luma - cb - cr], 0, 1)
    kr, kb = KR_KB[matrix]
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    green = (luma - kr * red - kb * blue) / (1 - kr - kb)
    return np.clip([red, green, blue], 0, 1)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 8, 9])
@pytest.mark.parametrize("fmt", ["yuv444p", "yuv420p", "yuv420p10le", "yuv422p12le", "yuv444p16le"])
def test_yuv_to_rgb_by_the_equations(fmt: str, matrix: int, full: bool) -> None:
    frame = _flat(fmt, (1, 1, 1))
    bits = frame.format.components[0].bits
    for codes8 in ((16, 128, 128), (235, 128, 128), (120, 100, 150), (90, 160, 110), (128, 128, 128)):
        codes = tuple(code << (bits - 8) for code in codes8)
        color = ColorTags(matrix=matrix, full_range=full)
        pixels = PixelConverter(_clip(bit_depth=bits, color=color))(_flat(fmt, codes))
        white = 255 if bits == 8 else 65535
        assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
        expected = _expected(codes, bits, matrix, full) * white
        assert np.abs(pixels[16, 16] - expected).max() <= 1.0, (codes, expected)


def test_ten_bit_white_is_white_and_black_is_black() -> None:
    convert = PixelConverter(_clip(bit_depth=10, color=ColorTags(matrix=1)))
    assert np.all(convert(_flat("yuv420p10le", (940, 512, 512))) == 65535)
    assert np.all(convert(_flat("yuv420p10le", (64, 512, 512))) == 0)


@pytest.mark.parametrize(
    ("fmt", "code", "full", "expected"),
    [
        ("gray", 16, False, 0),
        ("gray", 235, False, 255),
        ("gray", 77, True, 77),
        ("gray10le", 940, False, 65535),
        ("gray10le", 1023, True, 65535),
        ("gray16le", 4660, True, 4660),
    ],
)
def test_grey(fmt: str, code: int, full: bool, expected: int) -> None:
    frame = _flat(fmt, (code,))
    pixels = PixelConverter(_clip(bit_depth=frame.format.components[0].bits, color=ColorTags(full_range=full)))(frame)
    assert pixels.shape == (32, 32, 3)
    assert np.all(pixels == expected)


@pytest.mark.parametrize("fmt", ["rgb24", "bgr24", "bgra", "gbrp", "rgb48le", "gbrp16le"])
def test_rgb_passes_through(fmt: str) -> None:
    frame = media.to_frame(
        media.picture(3).astype(np.uint16) * 257 if "16" in fmt or "48" in fmt else media.picture(3), fmt
    )
    deep = frame.format.components[0].bits > 8
    tags, notes = resolve_color(frame, "x")
    assert (tags.matrix, tags.full_range, notes) == (0, True, ())
    pixels = PixelConverter(_clip(width=64, height=48, bit_depth=16 if deep else 8, color=tags))(frame)
    expected = media.picture(3).astype(np.uint16) * 257 if deep else media.picture(3)
    np.testing.assert_array_equal(pixels, expected)


def test_deep_alpha_is_full_scale() -> None:
    convert = PixelConverter(_clip(bit_depth=12, has_alpha=True, color=ColorTags(matrix=1)))
    pixels = convert(_flat("yuva444p12le", (3760, 2048, 2048, 4095)))
    assert pixels.shape == (32, 32, 4)
    assert np.all(pixels == 65535)


def test_chroma_is_interpolated_not_repeated() -> None:
    """A step in chroma must not come out as 2-pixel stairs: both paths interpolate between chroma samples."""
    for fmt, bits, dtype in (("yuv420p", 8, np.uint8), ("yuv420p10le", 10, np.uint16)):
        frame = _flat(fmt, (128 << (bits - 8),) * 3)
        chroma: Any = np.frombuffer(frame.planes[2], dtype).reshape(16, -1)
        chroma.flags.writeable = True
        chroma[:, 8:] = 180 << (bits - 8)
        row = PixelConverter(_clip(bit_depth=bits, color=ColorTags(matrix=1)))(frame)[16, 8:24, 0].astype(int)
        assert len(np.unique(row)) > 3


def test_resolve_matrix_of_unsupported_codes_is_said() -> None:
    frame = _flat("yuv420p", (1, 1, 1))
    frame.colorspace = 14
    tags, notes = resolve_color(frame, "x")
    assert tags.matrix == 6
    assert "14" in notes[0]


def test_affine_map_has_the_right_shape() -> None:
    assert yuv_matrix(1, 10, False, 65535).shape == (3, 4)


# ---------------------------------------------------------------------------------------- orientation


def _upright_by_ffmpeg(pixels: np.ndarray, rotation: int, mirrored: bool) -> np.ndarray:
    """Players' way: turn clockwise by ``rotation``, then mirror (as `make_video` writes it), by FFmpeg's filters."""
    names = {
        0: [],
        90: [("transpose", "clock")],
        180: [("hflip", None), ("vflip", None)],
        270: [("transpose", "cclock")],
    }
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    graph = Graph()
    nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))]
    nodes += [graph.add(name, args) for name, args in names[rotation] + ([("hflip", None)] if mirrored else [])]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull().to_ndarray(format="rgb24")


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_frames_are_upright(tmp_path: Path, rotation: int, mirrored: bool) -> None:
    path = media.make_video(
        tmp_path / "a.mp4", codec="libx264rgb", pix_fmt="rgb24", options={"qp": "0"}, frames=2, rotation=rotation,
        mirrored=mirrored,
    )  # fmt: skip
    clip = probe(path)
    with FrameReader(clip, scan(clip)) as reader:
        pixels = reader.read(Window(start=0, stop=2))[1].pixels
    np.testing.assert_array_equal(pixels, _upright_by_ffmpeg(media.picture(1), rotation, mirrored))
    assert pixels.shape[:2] == (clip.height, clip.width)


def test_odd_angles_are_rounded_and_said(tmp_path: Path) -> None:
    path = media.make_video(tmp_path / "a.mp4", frames=2, rotation=100)
    with av.open(str(path)) as container:
        turn, notes = turn_of(next(container.decode(video=0)))
    assert turn.degrees == 90
    assert "100 degrees" in notes[0]


# -------------------------------------------------------------------------------------------- tensors


def test_to_tensor_and_alpha_of() -> None:
    eight = [VideoFrame(i, media.picture(i, channels=4)) for i in range(3)]
    tensor, alpha = to_tensor(eight), alpha_of(eight)
    assert tuple(tensor.shape) == (3, 3, 48, 64)
    assert alpha is not None
    assert tuple(alpha.shape) == (3, 1, 48, 64)
    np.testing.assert_array_equal(
        tensor[2].permute(1, 2, 0).numpy(), media.picture(2).astype(np.float32) / np.float32(255)
    )
    np.testing.assert_array_equal(alpha[1, 0].numpy(), eight[1].pixels[:, :, 3].astype(np.float32) / np.float32(255))
    sixteen = [VideoFrame(0, np.full((4, 5, 3), 65535, np.uint16))]
    assert to_tensor(sixteen).unique().tolist() == [1.0]
    assert alpha_of(sixteen) is None
    with pytest.raises(ValueError, match="no frames"):
        to_tensor([])
