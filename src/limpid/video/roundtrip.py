"""Codec round trips in memory: what a lossy codec does to frames, for degradation and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

import av
import numpy as np

from limpid.video.encode import repeatable_x264
from limpid.video.opening import open_input
from limpid.video.priority import kept_priority

_GLOBAL_HEADER = 1 << 22
"""As in MP4 and Matroska files: headers are not counted as bits of the first frame, nor repeated."""
_DECODERS = {"av1": "libdav1d"}
"""Where FFmpeg's own decoder needs a graphics card."""

_LEAST_SIDE = {"libx265": 64}
"""x265 4.1 writes beyond its memory when a picture is narrower than its blocks. Smaller ones are padded; so are those
below 16 for the others."""


def codec_roundtrip(
    frames: np.ndarray,
    *,
    codec: str = "libx264",
    crf: int | None = 26,
    bit_rate: int | None = None,
    preset: str = "medium",
    rate: int = 25,
) -> np.ndarray:
    """Encode and decode frames in memory.

    Args:
        frames: RGB uint8, ``t h w 3``; any size (odd and tiny ones are padded by replication and cropped back).
        codec: an FFmpeg encoder name.
        crf: constant rate factor of x264 and x265, or None.
        bit_rate: bits per second, for encoders that have no rate factor.
        preset: speed preset, for encoders that have one.
        rate: frames per second; with ``bit_rate`` it gives the bits per frame.

    Returns:
        RGB uint8 of the same shape.
    """
    decoded = stream_roundtrip(frames, codec=codec, crf=crf, bit_rate=bit_rate, preset=preset, rate=rate)
    return np.stack(list(decoded))


def stream_roundtrip(
    frames: Iterable[np.ndarray],
    *,
    codec: str = "libx264",
    crf: int | None = 26,
    bit_rate: int | None = None,
    preset: str = "medium",
    rate: int = 25,
) -> Iterator[np.ndarray]:
    """`codec_roundtrip` of a stream: as many frames come out, some tens of frames later, as the encoder looks ahead.

    All frames have the size of the first. Encoder and decoder run on one thread each, so that the result does not
    depend on the machine's processors. Raises RuntimeError when the codec loses a frame.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    h, w = first.shape[:2]
    options = {"preset": preset} if codec in ("libx264", "libx265") else {}
    if crf is not None:
        options["crf"] = str(crf)
    if codec == "libx264" and (params := repeatable_x264()):
        options["x264-params"] = ":".join(params)
    if codec == "libx265":
        options["x265-params"] = "log-level=none"  # it writes to stderr by itself
    sent: list[int] = []
    least = _LEAST_SIDE.get(codec, 16)
    encoder = _encoder(codec, max(least, h + h % 2), max(least, w + w % 2), options, bit_rate, rate)
    packets = _encode(encoder, _counted(chain([first], frames), sent))
    received = 0
    for pixels in _decode(_decoder(codec, encoder.extradata), packets):
        received += 1
        yield np.ascontiguousarray(pixels[:h, :w])
    if received != len(sent):
        raise RuntimeError(f"{codec} gave back {received} of {len(sent)} frames")


def _counted(frames: Iterable[np.ndarray], sent: list[int]) -> Iterator[np.ndarray]:
    for number, frame in enumerate(frames):
        sent.append(number)
        yield frame


def _encoder(codec: str, height: int, width: int, options: dict[str, str], bit_rate: int | None, rate: int) -> Any:
    context = cast(Any, av.CodecContext.create(codec, "w"))
    context.height, context.width, context.pix_fmt = height, width, "yuv420p"
    context.framerate, context.time_base = Fraction(rate), Fraction(1, rate)
    context.thread_count, context.options = 1, options
    context.flags |= _GLOBAL_HEADER
    if bit_rate is not None:
        context.bit_rate = int(bit_rate)
    with kept_priority():
        context.open()
    return context


def _decoder(codec: str, headers: bytes | None) -> Any:
    name = av.Codec(codec, "w").canonical_name
    context = cast(Any, av.CodecContext.create(_DECODERS.get(name, name), "r"))
    context.thread_count = 1
    if headers:
        context.extradata = headers
    return context


def _encode(encoder: Any, frames: Iterable[np.ndarray]) -> Iterator[Any]:
    for number, pixels in enumerate(frames):
        h, w = pixels.shape[:2]
        even = np.pad(pixels, ((0, encoder.height - h), (0, encoder.width - w), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame.pts, frame.time_base = number, encoder.time_base
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def _decode(decoder: Any, packets: Iterable[Any]) -> Iterator[np.ndarray]:
    for packet in chain(packets, [None]):
        for frame in decoder.decode(packet):
            yield frame.to_ndarray(format="rgb24")


def decode_frames(path: Path, first: int, count: int) -> list[np.ndarray]:
    """``count`` frames from number ``first`` on, RGB uint8 ``h w 3``; fewer where the file ends."""
    with open_input(path) as container:
        frames = islice(container.decode(video=0), first, first + count)
        return [frame.to_ndarray(format="rgb24") for frame in frames]
