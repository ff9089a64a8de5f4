"""Sweep over codecs and pixel formats: every file that PyAV can write, read by Limpid and by FFmpeg's own decoder.

``python benchmarks/media_sweep.py [--only WORD] [--keep DIR]`` writes more than 90 small files and compares, for each,
the number of frames, their times, and their pixels: Limpid's RGB against planes from FFmpeg's decoder, converted by the
equations of ITU-T H.273 in float64. The last lines are the differences, of which there should be none that
`EXPLAINED` does not explain; the exit code is 1 when there are.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from limpid.types import LimpidError, Window
from limpid.video import FrameReader, probe, scan

os.environ.setdefault("SVT_LOG", "1")
FRAMES, RATE = 8, Fraction(24000, 1001)
LEAST_SIZE = (64, 48)
MOST_OFF = 0.012
"""Of full scale, for the mean over a picture: chroma that is resampled by another filter stays far below."""
EXPLAINED: dict[str, str] = {}
"""The beginning of a sentence on a difference -> why it is right. Nothing needs one with FFmpeg 8.1."""


@dataclass(frozen=True, kw_only=True)
class Case:
    encoder: str
    pix_fmt: str
    suffix: str
    size: tuple[int, int] = LEAST_SIZE
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.encoder} {self.pix_fmt} {self.suffix}"


X264 = "yuv420p yuvj420p yuv422p yuv444p nv12 yuv420p10le yuv422p10le yuv444p10le gray gray10le"
X265 = "yuv420p yuv422p yuv444p yuv420p10le yuv422p10le yuv444p10le yuv420p12le yuv444p12le gbrp gbrp10le gray gray10le"
VP9 = "yuv420p yuv422p yuv440p yuv444p yuv420p10le yuv422p10le yuv444p10le yuv420p12le gbrp gbrp10le yuva420p"
FFV1 = (
    "yuv410p yuv411p yuv420p yuv422p yuv440p yuv444p yuva420p yuva422p yuva444p yuv420p9le yuv420p10le yuv422p10le "
    "yuv444p10le yuv420p12le yuv444p12le yuv444p14le yuv420p16le yuv444p16le yuva444p10le yuva444p16le gray gray10le "
    "gray12le gray16le ya8 bgr0 bgra gbrp9le gbrp10le gbrp12le gbrp14le gbrp16le gbrap10le gbrap12le gbrap16le rgb48le "
    "rgba64le"
)
TABLE: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("libx264", X264, ".mp4", {}),
    ("libx264", "yuv420p", ".mkv", {}),
    ("libx264", "yuv420p", ".mov", {}),
    ("libx264", "yuv420p", ".ts", {}),
    ("libx264", "yuv420p", ".flv", {}),
    ("libx264", "yuv420p", ".avi", {"options": {"bf": "0"}}),
    ("libx264rgb", "rgb24 bgr24 bgr0", ".mkv", {}),
    ("libx265", X265, ".mp4", {"size": (96, 64), "options": {"x265-params": "log-level=none"}}),
    ("libvpx", "yuv420p yuva420p", ".webm", {}),
    ("libvpx-vp9", VP9, ".webm", {}),
    ("libaom-av1", "yuv420p yuv444p yuv420p10le gbrp gray", ".mkv", {"options": {"cpu-used": "8"}}),
    ("libsvtav1", "yuv420p yuv420p10le", ".mp4", {"size": (96, 64)}),
    ("mpeg1video", "yuv420p", ".mpg", {}),
    ("mpeg2video", "yuv420p yuv422p", ".mpg", {}),
    ("mpeg4", "yuv420p", ".avi", {}),
    ("msmpeg4", "yuv420p", ".avi", {}),
    ("wmv2", "yuv420p", ".asf", {}),
    ("flv", "yuv420p", ".flv", {}),
    ("h263p", "yuv420p", ".mkv", {}),
    ("libtheora", "yuv420p yuv422p yuv444p", ".ogv", {}),
    ("mjpeg", "yuvj420p yuvj422p yuvj444p", ".avi", {}),
    ("ffv1", FFV1, ".mkv", {}),
    ("ffvhuff", "yuv420p yuv422p10le gbrp gray16le", ".avi", {}),
    ("huffyuv", "yuv422p rgb24 bgra", ".avi", {}),
    ("utvideo", "yuv420p yuv422p yuv444p gbrp gbrap", ".avi", {}),
    ("prores_ks", "yuv422p10le yuv444p10le yuva444p10le", ".mov", {}),
    ("dnxhd", "yuv422p", ".mov", {"size": (256, 128), "options": {"profile": "dnxhr_hq"}}),
    ("dnxhd", "yuv422p10le", ".mov", {"size": (256, 128), "options": {"profile": "dnxhr_hqx"}}),
    ("rawvideo", "yuv420p yuyv422 uyvy422 rgb24 bgra gray", ".nut", {}),
    ("v210", "yuv422p10le", ".mov", {}),
    ("qtrle", "rgb24 argb gray", ".mov", {}),
    ("png", "rgb24 rgba rgb48be rgba64be gray gray16be ya8 monob", ".mov", {}),
    ("tiff", "rgb24 rgb48le gray", ".mov", {}),
    ("jpeg2000", "rgb24 yuv420p yuv444p", ".mov", {}),
    ("dvvideo", "yuv420p", ".avi", {"size": (720, 576)}),
)


def cases() -> Iterator[Case]:
    for encoder, formats, suffix, more in TABLE:
        for pix_fmt in formats.split():
            yield Case(encoder=encoder, pix_fmt=pix_fmt, suffix=suffix, **more)


def picture(index: int, size: tuple[int, int]) -> np.ndarray:
    """Smooth and moving, so that lossy coding changes little: RGB uint16 ``h w 3``."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = [np.sin((x + 2 * index) / 13 + c) * 0.4 + np.cos((y - index) / 17 + 2 * c) * 0.1 + 0.5 for c in range(3)]
    return np.rint(np.clip(np.stack(waves, axis=-1), 0, 1) * 65535).astype(np.uint16)


def write(case: Case, folder: Path) -> Path:
    path = folder / f"{case.name.replace(' ', '-').replace('-.', '.')}"
    rate = Fraction(25) if case.encoder == "dvvideo" else RATE
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(case.encoder, rate=rate, options=dict(case.options))
        stream.width, stream.height = case.size
        stream.pix_fmt = case.pix_fmt
        stream.codec_context.thread_count = 1
        stream.bit_rate = 4_000_000
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(index, case.size), format="rgb48le").reformat(
                format=case.pix_fmt
            )
            frame.pts, frame.time_base = index, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def by_ffmpeg(path: Path, codec: str) -> tuple[list[Fraction], list[np.ndarray]]:
    """Times, and pixels in [0, 1] from the decoder's own planes: the oracle."""
    from limpid.video.pixels import resolve_color

    times, pixels = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            times.append(Fraction(frame.pts or 0) * Fraction(frame.time_base))
            color, _ = resolve_color(frame, codec)
            pixels.append(planes_to_rgb(frame, color.matrix, color.full_range))
    return times, pixels


def planes_to_rgb(frame: av.VideoFrame, matrix: int, full_range: bool) -> np.ndarray:
    """``h w 3`` float64 in [0, 1]. Only chroma is resampled by swscale, as planes, without any conversion of values."""
    from limpid.video.pixels import bit_depth, family, yuv_matrix

    kind, bits = family(frame.format), bit_depth(frame.format)
    if kind == "rgb":
        rgb = frame.reformat(format="rgb48le" if bits > 8 else "rgb24").to_ndarray()
        return rgb.astype(np.float64) / np.iinfo(rgb.dtype).max
    frame.colorspace, frame.color_range = 1, 2
    bits = bits if bits in (8, 9, 10, 12, 14, 16) else 16
    full = frame.reformat(format=f"yuv444p{bits}le" if bits > 8 else "yuv444p", dst_color_range=2)
    dtype = np.dtype("<u2" if bits > 8 else "u1")
    codes = []
    for plane in full.planes:
        rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
        codes.append(rows[: plane.height, : plane.width].astype(np.float64))
    if kind == "gray":
        codes[1:] = [np.full_like(codes[0], 2 ** (bits - 1))] * 2
        matrix = 1
    affine = yuv_matrix(matrix, bits, full_range, 1)
    rgb = np.stack(codes, axis=-1) @ affine[:, :3].T + affine[:, 3]
    return np.clip(rgb, 0, 1)


def differences(case: Case, path: Path) -> list[str]:
    """What Limpid makes of a file that FFmpeg's decoder does not."""
    clip = probe(path)
    timeline = scan(clip, detect_cuts=False)
    times, expected = by_ffmpeg(path, clip.codec)
    found = []
    if timeline.num_frames != len(times):
        return [f"frames {case.suffix[1:]}: {timeline.num_frames} instead of {len(times)}"]
    ours = [pts * timeline.time_base for pts in timeline.pts]
    late = max(abs(a - b) for a, b in zip(ours, times, strict=True))
    if late:
        found.append(f"times: off by up to {float(late) * 1000:.3f} ms")
    with FrameReader(clip, timeline) as reader:
        for index, pixels in enumerate(expected):
            frame = reader.read(Window(start=index, stop=index + 1))[0].pixels
            off = np.abs(frame[..., :3].astype(np.float64) / np.iinfo(frame.dtype).max - pixels)
            if off.mean() > MOST_OFF:
                found.append(f"pixels: frame {index} is off by {off.mean():.4f} of full scale in the mean")
                break
    return found


def explained(sentence: str) -> str | None:
    return next((why for start, why in EXPLAINED.items() if sentence.startswith(start)), None)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases with this word in their names")
    parser.add_argument("--keep", type=Path, help="a folder in which the files stay")
    options = parser.parse_args(arguments)
    counts = {"same": 0, "not written here": 0, "explained": 0, "different": 0}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for case in (case for case in cases() if options.only in case.name):
            counts[_one(case, folder)] += 1
    print(", ".join(f"{number} {what}" for what, number in counts.items()))
    return int(counts["different"] > 0)


def _one(case: Case, folder: Path) -> str:
    try:
        path = write(case, folder)
    except (av.FFmpegError, ValueError) as error:
        print(f"{case.name}: not written by this FFmpeg ({str(error)[:60]})")
        return "not written here"
    try:
        found = differences(case, path)
    except LimpidError as error:
        found = [f"refused: {error}"]
    reasons = [explained(sentence) for sentence in found]
    for sentence, why in zip(found, reasons, strict=True):
        print(f"{case.name}: {sentence}" + (f" ({why})" if why else ""), flush=True)
    return "same" if not found else "explained" if all(reasons) else "different"


if __name__ == "__main__":
    sys.exit(main())
