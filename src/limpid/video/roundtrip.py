"""Codec round trips in memory: what a lossy codec does to frames, for degradation and tests."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np


def codec_roundtrip(
    frames: np.ndarray,
    *,
    codec: str = "libx264",
    crf: int | None = 26,
    bit_rate: int | None = None,
    preset: str = "medium",
) -> np.ndarray:
    """Encode and decode frames in memory.

    Args:
        frames: RGB uint8, ``t h w 3``; any size (odd sizes are padded by replication and cropped back).
        codec: an FFmpeg encoder name.
        crf: constant rate factor of x264 and x265, or None.
        bit_rate: bits per second at 25 frames/s, for encoders that have no rate factor.
        preset: speed preset, for encoders that have one.

    Returns:
        RGB uint8 of the same shape.
    """
    t, h, w, _ = frames.shape
    padded = np.pad(frames, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    options = {"preset": preset, "threads": "1"} if codec in ("libx264", "libx265") else {}
    if crf is not None:
        options["crf"] = str(crf)
    decoded = _decode(_encode(padded, codec, options, bit_rate))
    if len(decoded) != t:
        raise RuntimeError(f"{codec} gave back {len(decoded)} of {t} frames")
    return np.stack(decoded)[:, :h, :w]


def _encode(frames: np.ndarray, codec: str, options: dict[str, str], bit_rate: int | None) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = cast(Any, container.add_stream(codec, rate=25, options=options))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        if bit_rate is not None:
            stream.bit_rate = int(bit_rate)
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _decode(data: bytes) -> list[np.ndarray]:
    with cast(Any, av.open(io.BytesIO(data))) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def decode_frames(path: Path, first: int, count: int) -> list[np.ndarray]:
    """``count`` frames from number ``first`` on, RGB uint8 ``h w 3``; fewer where the file ends."""
    with cast(Any, av.open(str(path))) as container:
        frames = islice(container.decode(video=0), first, first + count)
        return [frame.to_ndarray(format="rgb24") for frame in frames]
