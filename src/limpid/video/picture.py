"""Float RGB frames -> the planes an encoder takes, with exact rounding.

swscale is not used here: measured on flat patches (FFmpeg 8.1), it shifts 10-bit luma by +1.7 of 1023 when fed 16-bit
RGB, and full-range chroma by -0.5 of 255. The conversion below is the matrix of ITU-T H.273 eqs. 38-46, rounded once.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import av
import cv2
import numpy as np

from limpid.types import ColorTags

if TYPE_CHECKING:
    from torch import Tensor

LUMA_WEIGHTS: dict[int, tuple[float, float]] = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""(Kr, Kb) by H.273 matrix code: the matrices that frames can be encoded with."""


def encodable_color(color: ColorTags, height: int) -> ColorTags:
    """``color`` with a matrix that YUV can be made with: one that is unknown or unusual becomes that of the size."""
    if color.matrix in LUMA_WEIGHTS:
        return color
    if color.matrix in (10, 14) or color.primaries == 9:
        return replace(color, matrix=9)
    return replace(color, matrix=1 if height >= 720 else 6)


def quantise(frames: Tensor, depth: int, height: int, width: int) -> np.ndarray:
    """Frames ``t c H W`` in [0, 1] -> ``t height width c``, uint8 (depth 8) or uint16 (up to 16), rounded to nearest.

    Frames that are quantised already, ``t H W c`` integers, are taken as they are. Those one row or column smaller than
    asked (even rounding) are padded by replication; others raise ValueError.
    """
    done = not frames.is_floating_point()
    channels, rows, columns = (
        (frames.shape[i] for i in ((3, 1, 2) if done else (1, 2, 3))) if frames.ndim == 4 else (0,) * 3
    )
    if channels not in (3, 4):
        raise ValueError(f"frames must be t 3 H W or t 4 H W, not {tuple(frames.shape)}")
    if not (0 <= height - rows <= 1 and 0 <= width - columns <= 1):
        raise ValueError(f"frames are {columns}x{rows}, the output is {width}x{height}")
    pictures = frames.numpy() if done else np.stack([_quantise_one(frame, depth) for frame in _values(frames)])
    if pictures.dtype != (np.uint8 if depth == 8 else np.uint16):
        raise ValueError(f"frames are {pictures.dtype}, the output has {depth} bits")
    pad = ((0, 0), (0, height - rows), (0, width - columns), (0, 0))
    return np.pad(pictures, pad, mode="edge") if any(after for _, after in pad) else pictures


def _values(frames: Tensor) -> np.ndarray:
    return np.asarray(frames.detach().to("cpu").float().numpy())


def _quantise_one(frame: np.ndarray, depth: int) -> np.ndarray:
    """``c h w`` float -> ``h w c``. OpenCV's saturating casts round to nearest and clamp in one pass."""
    if not math.isfinite(float(frame.sum())):
        raise ValueError("frames hold values that are not numbers; they are not written")
    top = 2**depth - 1
    planes = [_scaled(np.ascontiguousarray(plane), top, cv2.CV_8U if depth == 8 else cv2.CV_16U) for plane in frame]
    merged = cv2.merge(planes)
    return merged if depth in (8, 16) else np.minimum(merged, np.uint16(top))


def rounded_values(values: np.ndarray) -> np.ndarray:
    """Values in [0, 1] of any shape to whole steps of 1/255, uint8: the rounding of `quantise`, clamped."""
    flat = np.ascontiguousarray(values).reshape(1, -1)
    return _scaled(flat, 255, cv2.CV_8U).reshape(values.shape)


def _scaled(plane: np.ndarray, scale: float, kind: int) -> np.ndarray:
    return np.asarray(cv2.multiply(plane, cast(Any, (scale, 0, 0, 0)), dtype=kind))


def merge_planes(planes: np.ndarray, out: np.ndarray) -> None:
    """Writes planes ``c h w`` into a picture ``h w c`` of the same type."""
    merged = cv2.merge([np.ascontiguousarray(plane) for plane in planes])
    out[:] = merged


def rgb_to_yuv_matrix(color: ColorTags, depth: int) -> np.ndarray:
    """The 3x4 affine map from RGB in [0, 1] to Y, Cb, Cr code values of ``depth`` bits (H.273, section 8.3)."""
    kr, kb = LUMA_WEIGHTS[color.matrix]
    y = np.array([kr, 1 - kr - kb, kb])
    cb = (np.array([0, 0, 1]) - y) / (2 * (1 - kb))
    cr = (np.array([1, 0, 0]) - y) / (2 * (1 - kr))
    unit = 2 ** (depth - 8)
    if color.full_range:
        luma, chroma, floor = 256 * unit - 1, 256 * unit - 1, 0
    else:
        luma, chroma, floor = 219 * unit, 224 * unit, 16 * unit
    offset = np.array([floor, 128 * unit, 128 * unit])
    return np.hstack([np.stack([y * luma, cb * chroma, cr * chroma]), offset[:, None]])


def _halve_rows(plane: np.ndarray) -> np.ndarray:
    """``h w c`` -> ``h/2 w c``."""
    return cv2.addWeighted(plane[0::2], 0.5, plane[1::2], 0.5, 0)


def _halve_columns(plane: np.ndarray) -> np.ndarray:
    """Chroma sits on the even luma columns (left siting, what players assume): taps 1/4, 1/2, 1/4."""
    taps, one = np.array([0.25, 0.5, 0.25], np.float32), np.ones(1, np.float32)
    smooth = cv2.sepFilter2D(plane, -1, taps, one, borderType=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(smooth[:, ::2])


_BAND_ROWS = 128
"""Rows that are turned into YUV at once: an even number, and few enough that float copies stay small."""


def rgb_to_yuv(rgb: np.ndarray, color: ColorTags, depth: int, subsampling: str) -> list[np.ndarray]:
    """RGB ``h w 3`` (uint8 or full-scale uint16) -> Y, Cb, Cr planes of ``depth`` bits, sampled 420, 422 or 444.

    In bands of rows: no sample depends on rows of two bands.
    """
    matrix = rgb_to_yuv_matrix(color, depth)
    matrix[:, :3] /= 255.0 if rgb.dtype == np.uint8 else 65535.0
    matrix = matrix.astype(np.float32)
    bands = [
        [_rounded(plane, depth) for plane in _band_to_yuv(rgb[start : start + _BAND_ROWS], matrix, subsampling)]
        for start in range(0, len(rgb), _BAND_ROWS)
    ]
    return bands[0] if len(bands) == 1 else [np.concatenate(parts) for parts in zip(*bands, strict=True)]


def _band_to_yuv(rgb: np.ndarray, matrix: np.ndarray, subsampling: str) -> list[np.ndarray]:
    values = rgb.astype(np.float32)
    luma = cv2.transform(values, matrix[:1])
    if subsampling == "420":
        values = _halve_rows(values)
    both = cv2.transform(values, matrix[1:])  # the map is affine: averaging before it is averaging after it
    chroma = [cv2.extractChannel(both, i) for i in range(2)]
    if subsampling in ("420", "422"):
        chroma = [_halve_columns(plane) for plane in chroma]
    return [luma, *chroma]


def _rounded(plane: np.ndarray, depth: int) -> np.ndarray:
    if depth == 8:
        return _scaled(plane, 1.0, cv2.CV_8U)
    return np.asarray(np.minimum(_scaled(plane, 1.0, cv2.CV_16U), np.uint16(2**depth - 1)))


def _fill(frame: av.VideoFrame, planes: list[np.ndarray]) -> av.VideoFrame:
    for target, source in zip(frame.planes, planes, strict=True):
        row = target.line_size // source.itemsize
        view = np.frombuffer(cast(Any, target), source.dtype).reshape(-1, row)
        view[: source.shape[0], : source.shape[1]] = source
    return frame


def _semi_planar(planes: list[np.ndarray], depth: int) -> list[np.ndarray]:
    """Y, and Cb and Cr in turns, as hardware takes them; ten bits lie in the upper ones of sixteen."""
    luma, *chroma = planes
    pairs = np.stack(chroma, axis=-1).reshape(len(chroma[0]), -1)
    return [luma, pairs] if depth == 8 else [luma << 6, pairs << 6]


def to_av_frame(pixels: np.ndarray, pix_fmt: str, color: ColorTags) -> av.VideoFrame:
    """One quantised picture ``h w 3|4`` as a frame of ``pix_fmt``; ffv1's RGB formats are exact copies.

    For YUV formats ``pixels`` is uint8 or full-scale uint16; for RGB formats it already has the format's own depth.
    """
    height, width = pixels.shape[:2]
    frame = av.VideoFrame(width, height, pix_fmt)
    if pix_fmt in ("bgr0", "bgra"):
        packed = np.zeros((height, width, 4), np.uint8)
        packed[..., :3] = pixels[..., 2::-1]
        if pix_fmt == "bgra":
            packed[..., 3] = pixels[..., 3]
        return _fill(frame, [packed.reshape(height, width * 4)])
    if pix_fmt.startswith("gbr"):
        order = (1, 2, 0, 3) if pix_fmt.startswith("gbrap") else (1, 2, 0)
        return _fill(frame, [pixels[..., c] for c in order])
    depth = 10 if "10" in pix_fmt else 8
    if pix_fmt in ("nv12", "p010le"):
        return _fill(frame, _semi_planar(rgb_to_yuv(pixels[..., :3], color, depth, "420"), depth))
    subsampling = next(s for s in ("420", "422", "444") if s in pix_fmt)
    planes = rgb_to_yuv(pixels[..., :3], color, depth, subsampling)
    if pix_fmt.startswith("yuva"):
        alpha = pixels[..., 3].astype(np.float32) * np.float32((2**depth - 1) / np.iinfo(pixels.dtype).max)
        planes.append(np.rint(alpha).astype(planes[0].dtype))
    return _fill(frame, planes)
