"""Float RGB frames -> the planes an encoder takes, with exact rounding.

swscale is not used here: measured on flat patches (FFmpeg 8.1), it shifts 10-bit luma by +1.7 of 1023 when fed 16-bit
RGB, and full-range chroma by -0.5 of 255. The conversion below is the matrix of ITU-T H.273 eqs. 38-46, rounded once.
"""

from __future__ import annotations

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


def quantise(frames: Tensor, depth: int, height: int, width: int) -> np.ndarray:
    """Frames ``t c H W`` in [0, 1] -> ``t height width c``, uint8 (depth 8) or uint16 (up to 16), rounded to nearest.

    Frames one row or column smaller than asked (even rounding) are padded by replication; others raise ValueError.
    """
    import torch

    if frames.ndim != 4 or frames.shape[1] not in (3, 4):
        raise ValueError(f"frames must be t 3 H W or t 4 H W, not {tuple(frames.shape)}")
    if not (0 <= height - frames.shape[2] <= 1 and 0 <= width - frames.shape[3] <= 1):
        raise ValueError(f"frames are {frames.shape[3]}x{frames.shape[2]}, the output is {width}x{height}")
    if not bool(torch.isfinite(frames).all()):
        raise ValueError("frames hold values that are not numbers; they are not written")
    scaled = (frames.detach().to("cpu", torch.float32).clamp(0, 1) * (2**depth - 1)).round()
    pixels = scaled.to(torch.uint8 if depth == 8 else torch.int32).permute(0, 2, 3, 1).numpy()
    pad = ((0, 0), (0, height - frames.shape[2]), (0, width - frames.shape[3]), (0, 0))
    if any(after for _, after in pad):
        pixels = np.pad(pixels, pad, mode="edge")
    return np.ascontiguousarray(pixels if depth == 8 else pixels.astype(np.uint16))


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
    return np.asarray((plane[0::2] + plane[1::2]) * np.float32(0.5))


def _halve_columns(plane: np.ndarray) -> np.ndarray:
    """Chroma sits on the even luma columns (left siting, what players assume): taps 1/4, 1/2, 1/4."""
    right = plane[:, 1::2]
    left = np.empty_like(right)
    left[:, 1:] = right[:, :-1]
    left[:, 0] = plane[:, 0]
    return np.asarray(plane[:, 0::2] * np.float32(0.5) + (left + right) * np.float32(0.25))


def rgb_to_yuv(rgb: np.ndarray, color: ColorTags, depth: int, subsampling: str) -> list[np.ndarray]:
    """RGB ``h w 3`` (uint8 or full-scale uint16) -> Y, Cb, Cr planes of ``depth`` bits, sampled 420, 422 or 444."""
    full_scale = 255.0 if rgb.dtype == np.uint8 else 65535.0
    matrix = rgb_to_yuv_matrix(color, depth)
    matrix[:, :3] /= full_scale
    yuv = cv2.transform(rgb.astype(np.float32), matrix.astype(np.float32))
    planes = [np.ascontiguousarray(yuv[..., i]) for i in range(3)]
    if subsampling in ("420", "422"):
        planes[1:] = [_halve_columns(_halve_rows(p) if subsampling == "420" else p) for p in planes[1:]]
    dtype = np.uint8 if depth == 8 else np.uint16
    return [np.clip(np.rint(p), 0, 2**depth - 1).astype(dtype) for p in planes]


def _fill(frame: av.VideoFrame, planes: list[np.ndarray]) -> av.VideoFrame:
    for target, source in zip(frame.planes, planes, strict=True):
        row = target.line_size // source.itemsize
        view = np.frombuffer(cast(Any, target), source.dtype).reshape(-1, row)
        view[: source.shape[0], : source.shape[1]] = source
    return frame


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
    subsampling = next(s for s in ("420", "422", "444") if s in pix_fmt)
    planes = rgb_to_yuv(pixels[..., :3], color, depth, subsampling)
    if pix_fmt.startswith("yuva"):
        alpha = pixels[..., 3].astype(np.float32) * np.float32((2**depth - 1) / np.iinfo(pixels.dtype).max)
        planes.append(np.rint(alpha).astype(planes[0].dtype))
    return _fill(frame, planes)
