"""A short clip as the bytes of an MP4 file that every browser plays, for pages that carry their video inside."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np

from limpid.types import ColorTags, OutputError
from limpid.video.available import available_encoders
from limpid.video.picture import to_av_frame

BT709 = ColorTags(primaries=1, transfer=1, matrix=1)
_GOP = 12
"""Key frames this often: stepping backwards decodes at most so many frames."""


def inline_mp4(frames: Iterable[np.ndarray], *, fps: Fraction, crf: int) -> bytes:
    """H.264 in MP4, 4:2:0, BT.709, at a constant rate and without sound.

    ``frames``: RGB uint8 ``h w 3``, all of one even size, at least one. Frame ``n`` is shown from ``n / fps`` on: there
    are no frames out of order, so the file starts at 0 exactly.
    Raises `OutputError` where this build of FFmpeg has no H.264 encoder.
    """
    name = available_encoders()["h264"]
    if name is None:
        raise OutputError("this build of PyAV cannot encode H.264, which browsers play: pip install --upgrade av")
    buffer = io.BytesIO()
    with cast(Any, av.open(buffer, "w", format="mp4", container_options={"fflags": "+bitexact"})) as container:
        stream = None
        for number, pixels in enumerate(frames):
            stream = stream or _stream(container, name, pixels.shape, fps, crf)
            frame = to_av_frame(np.ascontiguousarray(pixels), "yuv420p", BT709)
            frame.pts, frame.time_base = number, stream.codec_context.time_base
            container.mux(stream.encode(frame))
        if stream is None:
            raise ValueError("a clip needs at least one frame")
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _stream(container: Any, name: str, shape: tuple[int, ...], fps: Fraction, crf: int) -> Any:
    options = {"preset": "medium", "crf": str(crf), "bf": "0", "g": str(_GOP)}
    rate = fps.limit_denominator(1001)
    stream = container.add_stream(name, rate=rate, options=options)
    stream.height, stream.width, stream.pix_fmt = shape[0], shape[1], "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / rate
    context.color_primaries, context.color_trc = BT709.primaries, BT709.transfer
    context.colorspace, context.color_range = BT709.matrix, 1
    return stream
