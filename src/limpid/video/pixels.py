"""Decoded frames to upright full-range RGB, with the right matrix, range and bit depth.

8-bit YUV goes through swscale with accurate rounding and interpolated chroma (its fast path is biased by about one code
value). Deeper YUV only has its chroma resampled there: swscale maps 10-bit white to 65283 of 65535, so the matrix is
applied here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation, VideoReformatter

from limpid.types import Clip, ColorTags, InputError
from limpid.video.side_data import side_data_of

Family = Literal["rgb", "gray", "yuv"]

ACCURATE = int(
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
FULL = 2
"""AVCOL_RANGE_JPEG."""
_YCGCO = 8
_BT601 = (0.299, 0.114)
_KR_KB = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: _BT601, 6: _BT601, 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Luma weights of red and blue by H.273 matrix code (H.273, table 4)."""
_LIMITED_GRAY_CODECS = frozenset({"h264", "hevc", "vvc", "av1", "libdav1d", "mpeg2video"})


def family(fmt: Any) -> Family:
    """Whether a PyAV pixel format is RGB-like (palettes, XYZ and Bayer too), grey, or YUV."""
    name: str = fmt.name
    if fmt.is_rgb or fmt.has_palette or name.startswith(("xyz", "bayer", "mono")):
        return "rgb"
    colours = [part for part in fmt.components if not part.is_alpha]
    return "gray" if len(colours) == 1 else "yuv"


def bit_depth(fmt: Any) -> int:
    """Bits per channel of a PyAV pixel format; 16 for floats, 8 for palettes and packed 5-6-5."""
    return max(8, min(16, max(int(part.bits) for part in fmt.components)))


def has_alpha(fmt: Any) -> bool:
    """Whether a PyAV pixel format holds an alpha channel."""
    return any(bool(part.is_alpha) for part in fmt.components)


def resolve_color(frame: av.VideoFrame, codec: str) -> tuple[ColorTags, tuple[str, ...]]:
    """The frame's colour description with the unspecified parts decided, and what had to be assumed against the tags.

    Matrix unspecified: BT.601 (6) up to 576 lines, BT.709 (1) above, as players do. RGB is matrix 0, full range. Range
    unspecified: limited for YUV, full for grey outside of the broadcast codecs. Primaries and transfer stay as tagged.
    """
    kind = family(frame.format)
    primaries, transfer = frame.color_primaries or 2, frame.color_trc or 2
    if kind == "rgb":
        return ColorTags(primaries=primaries, transfer=transfer, matrix=0, full_range=True), ()
    matrix, notes = _resolve_matrix(frame.colorspace, frame.height, primaries)
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    if kind == "gray" and frame.color_range == 0:
        full = codec not in _LIMITED_GRAY_CODECS
    return ColorTags(primaries=primaries, transfer=transfer, matrix=matrix, full_range=full), notes


def _own_color(frame: av.VideoFrame, color: ColorTags) -> ColorTags:
    """``color`` with the frame's own matrix and range, as far as it has any that can be used."""
    matrix = frame.colorspace if frame.colorspace in _KR_KB or frame.colorspace == _YCGCO else color.matrix
    known = frame.color_range in (1, FULL)
    full = frame.color_range == FULL if known else color.full_range
    if (matrix, full) == (color.matrix, color.full_range):
        return color
    return replace(color, matrix=matrix, full_range=full)


def _resolve_matrix(tagged: int, height: int, primaries: int) -> tuple[int, tuple[str, ...]]:
    if tagged in _KR_KB or tagged == _YCGCO:
        return tagged, ()
    guess = 9 if primaries == 9 else 6 if height <= 576 else 1
    if tagged in (0, 2, 3, 12):
        return guess, ()
    return guess, (f"colour matrix {tagged} is not supported; matrix {guess} is used, so colours may be off",)


def yuv_matrix(matrix: int, bits: int, full_range: bool, white: int) -> np.ndarray:
    """Affine map ``3 x 4`` from YUV code values of ``bits`` to RGB where ``white`` is 1.0 (H.273, section 8.3)."""
    if full_range:
        luma, chroma, black = 2.0**bits - 1, 2.0**bits - 1, 0.0
    else:
        luma, chroma, black = 219.0 * 2 ** (bits - 8), 224.0 * 2 ** (bits - 8), 16.0 * 2 ** (bits - 8)
    if matrix == _YCGCO:
        mix = np.array([[1.0, -1, 1], [1, 1, 0], [1, -1, -1]])
    else:
        kr, kb = _KR_KB[matrix]
        kg = 1 - kr - kb
        mix = np.array(
            [[1, 0, 2 * (1 - kr)], [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg], [1, 2 * (1 - kb), 0]]
        )
    scaled = mix / np.array([luma, chroma, chroma]) * white
    offset = scaled @ np.array([black, 2.0 ** (bits - 1), 2.0 ** (bits - 1)])
    return np.concatenate([scaled, -offset[:, None]], axis=1)


@dataclass(frozen=True, slots=True)
class Turn:
    """How stored pictures become upright ones: mirrored left to right first, then turned clockwise."""

    degrees: int = 0
    mirrored: bool = False

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """``h w c`` -> upright, contiguous."""
        if self.mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(np.rot90(pixels, -self.degrees // 90))


def turn_of(frame: av.VideoFrame) -> tuple[Turn, tuple[str, ...]]:
    """Read the display matrix of a frame (nine numbers, ISO 14496-12, 8.2.2); odd angles are named and not applied."""
    data = side_data_of(frame).get(SideDataType.DISPLAYMATRIX)
    if data is None:
        return Turn(), ()
    a, b, _, c, d = (float(value) for value in np.frombuffer(data, np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    angle = float(np.degrees(np.arctan2(b, a))) % 360
    degrees = round(angle / 90) * 90
    note = f"the file asks for a turn by {angle:.0f} degrees; {degrees % 360} is used"
    return Turn(degrees % 360, mirrored), () if abs(angle - degrees) < 1 else (note,)


def stored_size(clip: Clip) -> tuple[int, int]:
    """Width and height of the pictures as they are decoded: before they are cropped and turned."""
    width, height = (clip.height, clip.width) if clip.rotation in (90, 270) else (clip.width, clip.height)
    return width + clip.crop.left + clip.crop.right, height + clip.crop.top + clip.crop.bottom


class PixelConverter:
    """Turns decoded frames of one clip into upright ``h w 3|4`` uint8 or full-scale uint16 RGB(A)."""

    def __init__(self, clip: Clip) -> None:
        self._color = self._clip_color = clip.color
        self._deep, self._alpha = clip.bit_depth > 8, clip.has_alpha
        self._turn = Turn(clip.rotation, clip.mirrored)
        self._crop = clip.crop
        width, height = stored_size(clip)
        self._size = {"width": width, "height": height}
        self._white = 65535 if self._deep else 255
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        """Frames of another size than the clip's (some broadcasts change it) are scaled to the clip's size.

        Matrix and range are those of the frame where it names any: recordings are joined that differ in them.
        """
        self._color = _own_color(frame, self._clip_color)
        try:
            pixels = self._turn.apply(self._shown(self._to_rgb(frame)))
        except av.FFmpegError as error:
            raise InputError(f"pictures of format {frame.format.name} cannot be converted to RGB ({error})") from error
        pixels.flags.writeable = False
        return pixels

    def _shown(self, pixels: np.ndarray) -> np.ndarray:
        left, top, right, bottom = self._crop
        return pixels[top : pixels.shape[0] - bottom, left : pixels.shape[1] - right]

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        kind = family(frame.format)
        if kind == "gray" and frame.format.name.startswith("gray") and "f" not in frame.format.name:
            return self._from_gray(frame)
        if kind == "yuv" and (self._deep or self._color.matrix not in _KR_KB):
            return self._from_deep_yuv(frame)
        return self._direct(frame)

    def _reformat(self, frame: av.VideoFrame, fmt: str, **more: Any) -> av.VideoFrame:
        return self._reformatter.reformat(frame, format=fmt, interpolation=ACCURATE, threads=1, **self._size, **more)

    def _direct(self, frame: av.VideoFrame) -> np.ndarray:
        is_rgb = family(frame.format) == "rgb"
        frame.colorspace = 0 if is_rgb else self._color.matrix
        frame.color_range = FULL if is_rgb or self._color.full_range else 1
        name = ("rgba" if self._alpha else "rgb") + (("64le" if self._alpha else "48le") if self._deep else "")
        name = "rgb24" if name == "rgb" else name
        return np.asarray(self._reformat(frame, name, dst_color_range=FULL).to_ndarray())

    def _from_gray(self, frame: av.VideoFrame) -> np.ndarray:
        bits = bit_depth(frame.format)
        _neutral(frame)
        codes = plane_array(self._reformat(frame, "gray" if bits == 8 else f"gray{bits}le"), 0)
        scale, offset = _gray_scale(bits, self._color.full_range, self._white)
        level = self._round(codes.astype(np.float32) * np.float32(scale) + np.float32(offset))
        rgb = np.repeat(level[:, :, None], 4 if self._alpha else 3, axis=2)
        if self._alpha:
            rgb[:, :, 3] = self._white
        return rgb

    def _from_deep_yuv(self, frame: av.VideoFrame) -> np.ndarray:
        bits, alpha = bit_depth(frame.format), has_alpha(frame.format)
        bits = bits if bits in (8, 9, 10, 12, 16) else 16
        _neutral(frame)
        name = f"yuv{'a' if alpha else ''}444p" + ("" if bits == 8 else f"{bits}le")
        full = self._reformat(frame, name)
        codes = cv2.merge([plane_array(full, i) for i in range(3)])
        dtype = np.uint16 if self._deep else np.uint8
        shift = yuv_matrix(self._color.matrix, bits, self._color.full_range, self._white)
        if codes.dtype != dtype:
            rgb = self._round(cv2.transform(codes.astype(np.float32), shift))
        else:
            rgb = np.asarray(cv2.transform(codes, shift))
        if not self._alpha:
            return np.asarray(rgb)
        opacity = np.full(rgb.shape[:2], self._white, dtype)
        if alpha:
            opacity = self._round(plane_array(full, 3).astype(np.float32) * np.float32(self._white / (2**bits - 1)))
        return np.dstack([rgb, opacity])

    def _round(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(np.rint(values), 0, self._white).astype(np.uint16 if self._deep else np.uint8))


def _neutral(frame: av.VideoFrame) -> None:
    """Make swscale treat the planes as numbers: the same tags on both sides, which it all supports."""
    frame.colorspace, frame.color_range = 1, FULL


def _gray_scale(bits: int, full_range: bool, white: int) -> tuple[float, float]:
    if full_range:
        return white / (2**bits - 1), 0.0
    scale = white / (219.0 * 2 ** (bits - 8))
    return scale, -16.0 * 2 ** (bits - 8) * scale


def plane_array(frame: av.VideoFrame, index: int) -> np.ndarray:
    """One plane as ``h w`` uint8 or uint16, without the padding of its lines; a view while the frame lives."""
    plane: Any = frame.planes[index]
    dtype = np.dtype("<u2" if bit_depth(frame.format) > 8 else "u1")
    lines = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
    return lines[: plane.height, : plane.width]
