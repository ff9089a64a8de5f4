"""A file through everything but the network: read, encoded at its own size, joined with its sound; what is heard."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from limpid.types import Clip, OutputSpec, Timeline, Window
from limpid.video import (
    FrameReader,
    SegmentWriter,
    alpha_of,
    assemble,
    probe,
    resolve_output,
    scan,
    to_tensor,
)


@dataclass(frozen=True, kw_only=True)
class Passed:
    """The result and all that was said on the way."""

    output: Path
    clip: Clip
    timeline: Timeline
    spec: OutputSpec
    said: tuple[str, ...]

    def says(self, *words: str) -> bool:
        """Whether one sentence has all the words."""
        return any(all(word in sentence for word in words) for sentence in self.said)


def pass_through(source: Path, output: Path, **options: Any) -> Passed:
    """``source`` as ``output``, frames as they are. ``options``: codec, preview (a `Window`), deinterlace."""
    clip = probe(source)
    timeline = scan(clip, deinterlace=options.get("deinterlace", "auto"))
    spec, notes = resolve_output(
        clip,
        timeline,
        output,
        width=clip.width,
        height=clip.height,
        codec=options.get("codec"),
        crf=options.get("crf", 12),
        bit_depth=None,
        threads=1,
    )
    segment = output.with_name(f"{output.name}-segment")
    reader = FrameReader(clip, timeline, deinterlace=options.get("deinterlace", "auto"))
    with reader, SegmentWriter(segment, spec) as writer:
        for index in range(timeline.num_frames):
            frames = reader.read(Window(start=index, stop=index + 1))
            pixels, opacity = to_tensor(frames), alpha_of(frames)
            if opacity is not None:
                pixels = torch.cat([pixels, opacity], dim=1)
            writer.write(pixels, timeline.pts[index : index + 1])
    late = assemble([segment], output, spec, clip, timeline)
    return Passed(output=output, clip=clip, timeline=timeline, spec=spec, said=(*timeline.warnings, *notes, *late))


def frame_times(path: Path) -> list[float]:
    """When the pictures of a file are shown, in seconds, as FFmpeg decodes it."""
    with av.open(f"file:{path}") as container:
        return [float(frame.time or 0) for frame in container.decode(video=0)]


def sound(path: Path, index: int = 0) -> tuple[np.ndarray, int]:
    """All samples ``channels samples`` of one sound stream, put where their times say, and the rate."""
    with av.open(f"file:{path}") as container:
        stream = container.streams.audio[index]
        rate = stream.codec_context.sample_rate
        pieces: list[tuple[int, np.ndarray]] = []
        packed = None
        for decoded in container.decode(stream):
            packed = packed or av.AudioResampler("flt", decoded.layout.name, rate)
            (frame,) = packed.resample(decoded)  # PyAV reads beyond its memory in planar frames of 8 channels
            values = frame.to_ndarray().reshape(-1, frame.layout.nb_channels).T
            time = Fraction(frame.pts) * Fraction(frame.time_base) if frame.pts is not None else Fraction(0)
            start = round(time * rate)
            follows = pieces[-1][0] + pieces[-1][1].shape[1] if pieces else start
            pieces.append((follows if abs(follows - start) < 0.003 * rate else start, values))  # Matroska rounds to ms
    whole = np.zeros((pieces[0][1].shape[0], max(start + p.shape[1] for start, p in pieces)), np.float32)
    for start, piece in pieces:
        skip = max(0, -start)
        whole[:, start + skip : start + piece.shape[1]] = piece[:, skip:]
    return whole, rate


def pitch(samples: np.ndarray, rate: int, start_s: float, stop_s: float) -> float:
    """The loudest frequency of a part, in Hz; 0 where it is silent."""
    part = samples[round(start_s * rate) : round(stop_s * rate)]
    if not part.size or np.abs(part).max() < 0.01:
        return 0.0
    spectrum = np.abs(np.fft.rfft(part * np.hanning(part.size), 1 << 17))
    return float(np.argmax(spectrum) * rate / (1 << 17))
