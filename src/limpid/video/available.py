"""Which of Limpid's output codecs this build of FFmpeg can encode."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, get_args

import av

from limpid.types import OutputSpec
from limpid.video.encode import encoder_setup

VideoCodec = Literal["h264", "h265", "av1", "ffv1", "prores"]


def available_encoders() -> dict[str, str | None]:
    """Codec -> FFmpeg's name of the encoder that would be used, or None when this build lacks it."""
    return {codec: _encoder(codec) for codec in get_args(VideoCodec)}


def _encoder(codec: VideoCodec) -> str | None:
    rate = Fraction(25)
    spec = OutputSpec(codec=codec, container="mkv", width=64, height=64, fps=rate, time_base=1 / rate)
    name = encoder_setup(spec).name
    try:
        return av.Codec(name, "w").name
    except av.codec.codec.UnknownCodecError:
        return None
