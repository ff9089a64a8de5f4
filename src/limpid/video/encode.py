"""Encoders: which one stands for an `OutputSpec`, with which options, and frames in -> packets out.

Frames are numbered 0, 1, 2 ... for the encoder, and packets get their true timestamps afterwards: encoders then never
see odd clocks or variable rates, and their bytes depend on pictures, settings and thread count alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.codec.hwaccel import HWAccel

from limpid.types import OutputSpec, SettingsError
from limpid.video.extras import av1_params, x26x_params
from limpid.video.hardware import HARDWARE, hardware_setup
from limpid.video.picture import encodable_color, to_av_frame
from limpid.video.priority import kept_priority
from limpid.video.setup import EncoderSetup, av1_crf

X26X_PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
AV1_PRESETS = tuple(str(n) for n in range(14))
DEFAULT_PRESET = {"h264": "veryfast", "h265": "fast", "av1": "8"}
"""Speed for size: at one CRF, slower presets save bytes and hardly change how the picture looks."""

_REORDER_DEPTH = {"h264": 2, "h265": 2}
"""x264 and x265 use B-pyramids of depth 2; all others have no frames that wait for later ones."""

_GLOBAL_HEADER, _BITEXACT = 1 << 22, 1 << 23
_MAX_ENCODER_FPS = 240


def check_preset(codec: str, preset: str | None) -> str | None:
    """The preset to use; raises SettingsError for a name that the codec does not know."""
    if codec not in DEFAULT_PRESET:
        if preset is not None:
            raise SettingsError(f"--preset {preset} has no effect with {codec}: leave it out")
        return None
    known = AV1_PRESETS if codec == "av1" else X26X_PRESETS
    if preset is not None and preset not in known:
        raise SettingsError(f"preset {preset!r} is unknown to {codec}: use one of {', '.join(known)}")
    return preset or DEFAULT_PRESET[codec]


def _h264(spec: OutputSpec) -> EncoderSetup:
    # aud: a one-frame segment makes two IDR pictures meet that look alike; a delimiter keeps them apart in any stream.
    params = f"threads={spec.threads}:sliced-threads=0:open-gop=0:stitchable=1:aud=1:scenecut=40"
    params += x26x_params(spec, "mastering-display", "cll")
    options = {
        "preset": check_preset("h264", spec.preset) or "",
        "crf": str(spec.crf),
        "x264-params": ":".join([params, *repeatable_x264()]),
    }
    ten = spec.bit_depth > 8
    return EncoderSetup(
        name="libx264", pix_fmt="yuv420p10le" if ten else "yuv420p", depth=16 if ten else 8, options=options
    )


_CPU_AVX_512F = 13
"""OpenCV's number for it, which its Python module does not name."""


def repeatable_x264() -> list[str]:
    """Parameters that keep x264 from its routines for AVX-512, whose bytes do not repeat.

    On a Zen 5, 100 runs over the same frames, in memory that had been used before, gave 4 results; those for AVX2 gave
    one. x264 believes what it is told of the processor, so nothing is said where AVX-512 is not there.
    """
    return ["asm=avx2"] if cv2.checkHardwareSupport(_CPU_AVX_512F) else []


def _h265(spec: OutputSpec) -> EncoderSetup:
    params = (
        f"log-level=error:info=0:open-gop=0:repeat-headers=0:bframes=4:b-pyramid=1:"
        f"pools={spec.threads}:frame-threads={min(spec.threads, 4)}"
    ) + x26x_params(spec, "master-display", "max-cll")
    options = {"preset": check_preset("h265", spec.preset) or "", "crf": str(spec.crf), "x265-params": params}
    ten = spec.bit_depth > 8
    tag = "hvc1" if spec.container in ("mp4", "mov") else None  # players by Apple know hvc1 only
    pix_fmt = "yuv420p10le" if ten else "yuv420p"
    return EncoderSetup(name="libx265", pix_fmt=pix_fmt, depth=16 if ten else 8, options=options, codec_tag=tag)


def _av1(spec: OutputSpec) -> EncoderSetup:
    os.environ.setdefault("SVT_LOG", "1")  # errors only: the library prints a page to stderr otherwise
    options = {
        "preset": check_preset("av1", spec.preset) or "",
        "crf": str(av1_crf(spec.crf)),
        "svtav1-params": f"lp={min(spec.threads, 6)}:irefresh-type=2{av1_params(spec)}",
    }
    ten = spec.bit_depth > 8
    return EncoderSetup(
        name="libsvtav1", pix_fmt="yuv420p10le" if ten else "yuv420p", depth=16 if ten else 8, options=options
    )


def _ffv1(spec: OutputSpec) -> EncoderSetup:
    options = {"level": "3", "context": "0", "slices": "4", "slicecrc": "1"}
    if spec.bit_depth == 8:
        return EncoderSetup(name="ffv1", pix_fmt="bgra" if spec.alpha else "bgr0", depth=8, options=options)
    depth = 10 if spec.bit_depth == 10 else 16
    pix_fmt = f"{'gbrap' if spec.alpha else 'gbrp'}{depth}le"
    return EncoderSetup(name="ffv1", pix_fmt=pix_fmt, depth=depth, options=options)


def _prores(spec: OutputSpec) -> EncoderSetup:
    options = {"profile": "4444" if spec.alpha else "hq", "vendor": "apl0"}
    return EncoderSetup(
        name="prores_ks", pix_fmt="yuva444p10le" if spec.alpha else "yuv422p10le", depth=16, options=options
    )


_SETUPS: dict[str, Callable[[OutputSpec], EncoderSetup]] = {
    "h264": _h264,
    "h265": _h265,
    "av1": _av1,
    "ffv1": _ffv1,
    "prores": _prores,
}


def encoder_setup(spec: OutputSpec) -> EncoderSetup:
    """Encoder, pixel format and options for a video spec (not for image folders)."""
    return hardware_setup(spec) if spec.encoder in HARDWARE else _SETUPS[spec.codec](spec)


def reorder_depth(spec: OutputSpec) -> int:
    """How many frames decoding order may run ahead of showing order."""
    return _REORDER_DEPTH.get(spec.codec, 0) if spec.encoder == "software" else 0


def picture_depth(spec: OutputSpec) -> int:
    """Bits per value of the pictures that a spec is written from, see `limpid.video.picture.quantise`."""
    if spec.codec == "images":
        return 16 if spec.bit_depth > 8 else 8
    return encoder_setup(spec).depth


def add_video_stream(container: Any, spec: OutputSpec) -> Any:
    """A video stream with an opened encoder; header, colour tags and sample aspect are complete before any frame."""
    setup = encoder_setup(spec)
    rate = spec.fps.limit_denominator(2**30)
    size = {"width": spec.width, "height": spec.height, "pix_fmt": setup.pix_fmt}
    device: dict[str, Any] = {} if setup.device is None else {"hwaccel": HWAccel(setup.device)}
    options = dict(setup.options)
    stream = container.add_stream(setup.name, rate=rate, options=options, time_base=1 / rate, **size, **device)
    context = stream.codec_context
    if rate > _MAX_ENCODER_FPS:  # SVT-AV1 refuses more; the rate only steers the encoder, timestamps come later
        context.framerate, context.time_base = Fraction(_MAX_ENCODER_FPS), Fraction(1, _MAX_ENCODER_FPS)
    context.thread_count = spec.threads
    context.flags |= _GLOBAL_HEADER | _BITEXACT
    if spec.codec in DEFAULT_PRESET:
        context.gop_size = max(12, min(300, round(5 * spec.fps)))
    context.sample_aspect_ratio = spec.sample_aspect
    _tag_colors(context, spec)
    if setup.codec_tag is not None and container.format.name in ("mp4", "mov"):
        context.codec_tag = setup.codec_tag
    with kept_priority():
        context.open()
    context.reorder_depth = reorder_depth(spec)  # libx265's wrapper leaves it at 0
    stream.time_base = spec.time_base
    return stream


def _tag_colors(target: Any, spec: OutputSpec) -> None:
    target.color_primaries = spec.color.primaries
    target.color_trc = spec.color.transfer
    rgb = spec.codec == "ffv1"
    target.colorspace = 0 if rgb else encodable_color(spec.color, spec.height).matrix
    target.color_range = 2 if rgb or spec.color.full_range else 1


class FrameEncoder:
    """Pictures in, packets out in decoding order, numbered by frame: ``packet.pts`` counts frames from 0."""

    def __init__(self, stream: Any, spec: OutputSpec) -> None:
        self._context = stream.codec_context
        self._spec = spec
        self._setup = encoder_setup(spec)
        self._color = encodable_color(spec.color, spec.height)
        self._unit = Fraction(self._context.time_base)
        self._count = 0

    @property
    def depth(self) -> int:
        """Bits that `encode` expects its pictures to be quantised to."""
        return self._setup.depth

    def encode(self, pictures: Sequence[np.ndarray] | np.ndarray) -> Iterator[Any]:
        """Quantised pictures ``h w c`` -> the packets that became ready."""
        for pixels in pictures:
            frame = to_av_frame(pixels, self._setup.pix_fmt, self._color)
            frame.pts, frame.time_base = self._count, self._unit
            _tag_colors(frame, self._spec)  # ProRes writes the tags of each frame
            self._count += 1
            yield from self._context.encode(frame)

    def finish(self) -> Iterator[Any]:
        """The packets still inside the encoder."""
        yield from self._context.encode(None)
