"""What encoders keep in memory: a model of their parts, measured frame by frame with this build of PyAV.

x264 and x265 keep each frame with a copy at half size and with vectors while they look ahead, and coded frames with
their interpolated planes while others refer to them, one more with each thread. How many, their presets say.
"""

from __future__ import annotations

from limpid.cuts.cost import EncoderBytes
from limpid.types import OutputSpec
from limpid.video.encode import DEFAULT_PRESET

X264_FIXED, X264_WAITING, X264_CODED = 10.0, 3.2, 7.5
"""Bytes per pixel at 8 bits. 1920x1080 and 3840x2160, 30 to 64 frames, 1 to 8 threads, three presets: the model is
within 8 % of what was measured at the end."""
_X264_LOOKS_AHEAD = {"ultrafast": 0, "superfast": 0, "veryfast": 10, "faster": 20, "fast": 30, "medium": 40, "slow": 50}
_X264_REFERENCES = {"slow": 5, "slower": 8, "veryslow": 16}
X264_DEEP = 1.8
"""What 10 bits take over 8: some of it is as it was."""
X265_FIXED, X265_WAITING, X265_CODED = 5.5, 4.55, 12.6
"""Bytes per pixel of x265: 1920x1080, 30 to 40 frames, 1 to 4 threads."""
X265_DEEP = 1.65
_X265_LOOKS_AHEAD = {"ultrafast": 5, "superfast": 10, "medium": 20, "slow": 25, "slower": 40, "veryslow": 40}
_X265_REFERENCES = {"ultrafast": 1, "superfast": 1, "veryfast": 2, "faster": 2, "slow": 4, "slower": 5, "veryslow": 5}
_X265_B_FRAMES = 4
_MOST_X265_FRAME_THREADS = 4
_AV1_FIXED = {1: 42.0, 2: 80.0, 3: 130.0, 4: 181.0, 5: 275.0, 6: 370.0}
"""By the level of parallelism, which follows the threads up to 6 (3 and 5 are not measured but lie between)."""
_AV1_WAITING, _AV1_MOST_WAITING, _AV1_CODED = 2.2, 42, 48.0
_PLAIN = {"ffv1": 79.0, "prores": 22.0, "images": 14.0}
"""Encoders that keep nothing: the frame at hand, the packet, tables."""
_PLAIN_DEEP = 1.33
_HARDWARE = 24.0
"""Not measured: the picture as YUV, its copy for the driver, and some that wait; the rest is the graphics memory's."""


def encoder_bytes(spec: OutputSpec) -> EncoderBytes:
    """Memory of the encoder of a spec."""
    if spec.encoder != "software":
        return _model(spec, fixed=_HARDWARE, deep=_PLAIN_DEEP)
    models = {"h264": _x264, "h265": _x265, "av1": _av1}
    return (
        models[spec.codec](spec) if spec.codec in models else _model(spec, fixed=_PLAIN[spec.codec], deep=_PLAIN_DEEP)
    )


def _x264(spec: OutputSpec) -> EncoderBytes:
    preset, threads = spec.preset or DEFAULT_PRESET["h264"], spec.threads
    plain, b_frames = preset == "ultrafast", 8 if preset == "veryslow" else 3
    ahead = max(_X264_LOOKS_AHEAD.get(preset, 60), 0 if plain else b_frames)
    # With several threads one of them looks ahead by itself, by some frames more.
    waiting = ahead + (1 if threads == 1 or plain else b_frames + 2)
    kept = 1 if plain else max(_X264_REFERENCES.get(preset, 3), 4)  # a pyramid of B-frames needs four
    return _model(
        spec, fixed=X264_FIXED, waiting=(waiting, X264_WAITING), coded=(kept + threads, X264_CODED), deep=X264_DEEP
    )


def _x265(spec: OutputSpec) -> EncoderBytes:
    preset = spec.preset or DEFAULT_PRESET["h265"]
    waiting = _X265_LOOKS_AHEAD.get(preset, 15) + _X265_B_FRAMES + 2
    kept = _X265_REFERENCES.get(preset, 3) + 2 + -(-5 * min(spec.threads, _MOST_X265_FRAME_THREADS) // 3)
    return _model(spec, fixed=X265_FIXED, waiting=(waiting, X265_WAITING), coded=(kept, X265_CODED), deep=X265_DEEP)


def _av1(spec: OutputSpec) -> EncoderBytes:
    fixed = _AV1_FIXED[min(max(spec.threads, 1), max(_AV1_FIXED))]
    return _model(spec, fixed=fixed, waiting=(_AV1_MOST_WAITING, _AV1_WAITING), coded=(1, _AV1_CODED), deep=1.0)


def _model(
    spec: OutputSpec,
    *,
    fixed: float,
    waiting: tuple[int, float] = (0, 0.0),
    coded: tuple[int, float] = (0, 0.0),
    deep: float,
) -> EncoderBytes:
    """Counts of frames, and bytes per pixel at 8 bits; ``deep``: what more bits take over these."""
    unit = spec.width * spec.height * (deep if spec.bit_depth > 8 else 1.0)
    return EncoderBytes(
        fixed=int(fixed * unit),
        most_waiting=waiting[0],
        waiting=int(waiting[1] * unit),
        most_coded=coded[0],
        coded=int(coded[1] * unit),
    )
