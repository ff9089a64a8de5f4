"""Small pictures and timelines for the tests of output; nothing here is taken from real clips."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from limpid.types import Clip, OutputSpec, Timeline
from limpid.video.segments import SegmentWriter

RATE = Fraction(25)
UNIT = Fraction(1, 12800)
CONSTANT = tuple(512 * i for i in range(12))
VARIABLE = (0, 512, 540, 2000, 2900, 2930, 7000, 7077, 9000, 20000, 20026, 21000)


def pictures(count: int, *, height: int = 48, width: int = 64, channels: int = 3, seed: int = 0) -> Tensor:
    """Smooth moving colour gradients ``t c h w`` with a little grain, so that encoders use every kind of frame."""
    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    frames = []
    for t in range(count):
        planes = [0.5 + 0.45 * torch.sin(6 * (x * (c + 1) + y) + 0.3 * t + c + seed) for c in range(channels)]
        frames.append(torch.stack(planes) + 0.01 * torch.rand(channels, height, width, generator=random))
    return torch.stack(frames).clamp(0, 1)


def timeline(pts: Sequence[int] = CONSTANT, *, unit: Fraction = UNIT, last: int = 512) -> Timeline:
    return Timeline(pts=tuple(pts), time_base=unit, cuts=(0,), last_duration=last)


def clip(path: Path | str = "none.mp4", **changes: object) -> Clip:
    fields: dict[str, object] = {
        "path": str(path),
        "kind": "video",
        "width": 64,
        "height": 48,
        "fps": RATE,
        "time_base": UNIT,
        "codec": "h264",
        "pix_fmt": "yuv420p",
        "bit_depth": 8,
    }
    return Clip(**{**fields, **changes})  # type: ignore[arg-type]


def write_segments(
    folder: Path, spec: OutputSpec, frames: Tensor, pts: Sequence[int], lengths: Sequence[int]
) -> list[Path]:
    """One segment per entry of ``lengths``."""
    paths, start = [], 0
    for number, length in enumerate(lengths):
        path = folder / f"segment{number:04d}"
        with SegmentWriter(path, spec, first_frame=start) as writer:
            middle = start + length // 2  # two calls of write, as the engine may do
            for a, b in ((start, middle), (middle, start + length)):
                if b > a:
                    writer.write(frames[a:b], pts[a:b])
        paths.append(path)
        start += length
    assert start == len(frames) == len(pts)
    return paths


def make_source(
    path: Path,
    *,
    count: int = 12,
    audio: str | None = "aac",
    container: str | None = None,
    first_pts: int = 0,
    rate: int = 48000,
) -> Path:
    """A source file with the timeline ``CONSTANT`` and a tone; AAC has its usual priming before 0."""
    with av.open(str(path), "w", format=container) as out:
        video = out.add_stream(
            "libx264", rate=25, width=64, height=48, pix_fmt="yuv420p", options={"preset": "ultrafast"}
        )
        video.time_base = UNIT
        sound = out.add_stream(audio, rate=rate) if audio else None
        for i in range(count):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([40 + 10 * i % 200]) * plane.buffer_size)
            frame.pts, frame.time_base = i + first_pts, 1 / RATE
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound is not None:
            for packet in _tone(sound, rate, count, first_pts):
                out.mux(packet)
    return path


def _tone(sound: av.AudioStream, rate: int, count: int, first: int) -> list[av.Packet]:
    context = sound.codec_context
    if not context.is_open:
        context.open()
    size = context.frame_size or 1024
    wave = (8000 * np.sin(0.05 * np.arange(rate * count // 25))).astype(np.int16)
    block = np.stack([wave, wave], axis=1).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(block, format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = rate, first * rate // 25, Fraction(1, rate)
    resampler = av.AudioResampler(context.format, "stereo", rate, frame_size=size)
    packets = []
    for piece in resampler.resample(frame) + resampler.resample(None):
        packets += sound.encode(piece)
    return packets + sound.encode(None)


def packets_of(path: Path, kind: str, index: int = 0) -> list[tuple[bytes, Fraction]]:
    """(bytes, time in seconds) of the packets of one stream."""
    with av.open(str(path)) as container:
        stream = [s for s in container.streams if s.type == kind][index]
        return [(bytes(p), p.pts * Fraction(p.time_base)) for p in container.demux(stream) if p.size]


def decode_all(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def rgb16(frame: av.VideoFrame) -> np.ndarray:
    """The frame as ``h w 3`` float in [0, 1], by the formulas, chroma repeated (an oracle without swscale)."""
    from limpid.types import ColorTags
    from limpid.video.picture import rgb_to_yuv_matrix

    name = frame.format.name
    depth = 10 if "10" in name else 8
    planes = []
    for plane in frame.planes[:3]:
        dtype = np.uint16 if depth > 8 else np.uint8
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width].astype(np.float64)
        up = (frame.height // plane.height, frame.width // plane.width)
        planes.append(np.repeat(np.repeat(rows, up[0], 0), up[1], 1))
    tags = ColorTags(matrix=int(frame.colorspace), full_range=int(frame.color_range) == 2)
    matrix = rgb_to_yuv_matrix(tags, depth)
    return np.einsum("ij,jhw->hwi", np.linalg.inv(matrix[:, :3]), np.stack(planes) - matrix[:, 3, None, None])
