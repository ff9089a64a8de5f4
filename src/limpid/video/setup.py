"""What is said to FFmpeg of an encoder, whichever it is, and the scale of AV1's quality."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EncoderSetup:
    """The FFmpeg encoder for a spec. ``depth``: bits per sample that frames are quantised to before it."""

    name: str
    pix_fmt: str
    depth: int
    options: dict[str, str]
    codec_tag: str | None = None
    device: str | None = None
    """FFmpeg's kind of device that frames are handed to, where an encoder does not take them from ordinary memory."""


def av1_crf(crf: int) -> int:
    """x264's CRF scale (0-51) on AV1's (1-63): x 1.5 gives about the same quality; 0 is taken as 1, AV1's best."""
    return min(63, max(1, round(crf * 1.5)))
