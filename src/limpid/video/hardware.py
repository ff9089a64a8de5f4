"""Encoders of graphics processors: FFmpeg's names for them, and x264's scale of quality on theirs.

None of them has B-frames here: what kinds there are and how far they reorder differs by chip and driver, and without
them packets come in the order of the frames everywhere. Names of options are checked against PyAV's by the tests; what
the options do on a chip was never seen.
"""

from __future__ import annotations

from collections.abc import Callable

from limpid.types import OutputSpec
from limpid.video.setup import EncoderSetup, av1_crf

HARDWARE = ("nvenc", "qsv", "videotoolbox", "vaapi", "amf")
"""NVIDIA, Intel, Apple, Linux' own interface, AMD: the order in which ``auto`` tries them."""
HARDWARE_CODECS = ("h264", "h265", "av1")
_FFMPEG_CODECS = {"h264": "h264", "h265": "hevc", "av1": "av1"}
_QP_TO_LAMBDA = 118
"""FFmpeg's FF_QP2LAMBDA: what its general option of quality counts in."""


def ffmpeg_name(codec: str, encoder: str) -> str:
    """FFmpeg's encoder for a codec of `HARDWARE_CODECS`; PyAV may be built without it."""
    return f"{_FFMPEG_CODECS[codec]}_{encoder}"


def hardware_setup(spec: OutputSpec) -> EncoderSetup:
    """How an encoder of `HARDWARE` is opened for a spec."""
    ten = spec.bit_depth > 8
    named = ten and spec.codec == "h265" and spec.encoder in ("amf", "videotoolbox")
    return EncoderSetup(
        name=ffmpeg_name(spec.codec, spec.encoder),
        pix_fmt="p010le" if ten else "nv12",
        depth=16 if ten else 8,
        options={"bf": "0", **_QUALITY[spec.encoder](spec), **({"profile": "main10"} if named else {})},
        codec_tag="hvc1" if spec.codec == "h265" and spec.container in ("mp4", "mov") else None,
        device="vaapi" if spec.encoder == "vaapi" else None,
    )


def _nvenc(spec: OutputSpec) -> dict[str, str]:
    """Variable rate with a target quality; its scale is x264's, and 0 would mean "by bit rate"."""
    quality = av1_crf(spec.crf) if spec.codec == "av1" else max(1, spec.crf)
    return {"preset": "p5", "tune": "hq", "rc": "vbr", "cq": str(quality), "b": "0"} | _delimited(spec)


def _qsv(spec: OutputSpec) -> dict[str, str]:
    """Intel's "intelligent constant quality", 1 to 51, which a general quality without a bit rate chooses."""
    return {"global_quality": str(max(1, spec.crf)), "b": "0"} | _delimited(spec)


def _videotoolbox(spec: OutputSpec) -> dict[str, str]:
    """Apple's quality from 1 to 100, which chips since the M1 take: 100 - 2 crf."""
    quality = max(1, 100 - 2 * spec.crf)
    return {"flags": "+qscale", "global_quality": str(quality * _QP_TO_LAMBDA), "allow_sw": "0"}


def _vaapi(spec: OutputSpec) -> dict[str, str]:
    """One quantiser for all pictures, which every driver has."""
    return {"rc_mode": "CQP", "global_quality": str(_quantiser(spec))} | _delimited(spec)


def _amf(spec: OutputSpec) -> dict[str, str]:
    quantiser = str(_quantiser(spec))
    return {"rc": "cqp", "qp_i": quantiser, "qp_p": quantiser, "quality": "quality"} | _delimited(spec)


def _quantiser(spec: OutputSpec) -> int:
    """x264's scale is that of its quantiser; AV1 counts its own from 0 to 255, four to a step of its CRF."""
    return 4 * av1_crf(spec.crf) if spec.codec == "av1" else max(1, spec.crf)


def _delimited(spec: OutputSpec) -> dict[str, str]:
    """Two pictures that look alike and begin segments are kept apart by a delimiter; AV1 has one by itself."""
    return {} if spec.codec == "av1" else {"aud": "1"}


_QUALITY: dict[str, Callable[[OutputSpec], dict[str, str]]] = {
    "nvenc": _nvenc,
    "qsv": _qsv,
    "videotoolbox": _videotoolbox,
    "vaapi": _vaapi,
    "amf": _amf,
}
