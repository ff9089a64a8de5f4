"""Entries of the catalogue that compare pixels with the truth and need no weights; VMAF needs FFmpeg with libvmaf."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from limpid.metrics.kinds import Clips, Measured, Metric, mean_of

if TYPE_CHECKING:
    import numpy as np


def _per_frame(of: Callable[[np.ndarray, np.ndarray], float], clips: Clips, *, y: bool) -> Measured:
    from limpid.metrics.fidelity import studio_luma

    pairs = zip(clips.sr, clips.truth, strict=True)
    return mean_of([of(studio_luma(a), studio_luma(b)) if y else of(a, b) for a, b in pairs])


def _psnr(clips: Clips, *, y: bool) -> Measured:
    from limpid.metrics.fidelity import frame_psnr

    return _per_frame(frame_psnr, clips, y=y)


def _ssim(clips: Clips, *, y: bool) -> Measured:
    from limpid.metrics.fidelity import frame_ssim

    return _per_frame(frame_ssim, clips, y=y)


def _ms_ssim(clips: Clips) -> Measured:
    from limpid.metrics.fidelity import frame_ms_ssim

    return _per_frame(frame_ms_ssim, clips, y=False)


def _vmaf(clips: Clips) -> Measured:
    from limpid.metrics.vmaf import frames_vmaf

    return mean_of(frames_vmaf(clips.sr, clips.truth))


_STUDIO_Y = "Y of MATLAB's rgb2ycbcr (BT.601, 16..235), not rounded, peak 255"
_WINDOWS = "Gaussian 11x11, sigma 1.5, valid windows (no padding), C1 = (0.01*255)^2, C2 = (0.03*255)^2"

REFERENCE = (
    Metric(
        name="psnr",
        label="PSNR (RGB)",
        kind="full_reference",
        better="higher",
        unit="dB",
        definition="10 log10(255^2 / MSE) over all three channels of uint8 frames, no crop, float64; mean over frames.",
        source="as basicsr and mmagic by default; torchmetrics per frame",
        licence="Apache-2.0 (own code)",
        measure=lambda clips: _psnr(clips, y=False),
        needs=("gt",),
    ),
    Metric(
        name="psnr-y",
        label="PSNR (Y)",
        kind="full_reference",
        better="higher",
        unit="dB",
        definition=f"PSNR of {_STUDIO_Y}; no crop, mean over frames. 1 to 2 dB above RGB.",
        source="as basicsr with test_y_channel",
        licence="Apache-2.0 (own code)",
        measure=lambda clips: _psnr(clips, y=True),
        needs=("gt",),
    ),
    Metric(
        name="ssim",
        label="SSIM (RGB)",
        kind="full_reference",
        better="higher",
        definition=f"{_WINDOWS}, per channel of RGB 0..255, mean of channels; mean over frames.",
        source="Wang et al. 2004, as basicsr and mmagic",
        licence="Apache-2.0 (own code)",
        measure=lambda clips: _ssim(clips, y=False),
        needs=("gt",),
    ),
    Metric(
        name="ssim-y",
        label="SSIM (Y)",
        kind="full_reference",
        better="higher",
        definition=f"SSIM of {_STUDIO_Y}: {_WINDOWS}; mean over frames.",
        source="Wang et al. 2004, as basicsr with test_y_channel",
        licence="Apache-2.0 (own code)",
        measure=lambda clips: _ssim(clips, y=True),
        needs=("gt",),
    ),
    Metric(
        name="ms-ssim",
        label="MS-SSIM (RGB)",
        kind="full_reference",
        better="higher",
        definition=f"Five scales halved by 2x2 means, weights .0448 .2856 .3001 .2363 .1333, {_WINDOWS}; negative "
        "terms count as 0; per channel, mean of channels, mean over frames. Both sides must exceed 160 pixels.",
        source="Wang, Simoncelli and Bovik 2003",
        licence="Apache-2.0 (own code)",
        measure=_ms_ssim,
        needs=("gt",),
    ),
    Metric(
        name="vmaf",
        label="VMAF (vmaf_v0.6.1)",
        kind="full_reference",
        better="higher",
        definition="Netflix libvmaf, model vmaf_v0.6.1 built into FFmpeg, luma, at full size; RGB to 8-bit yuv420p by "
        "FFmpeg's scale (BT.601, 16..235, bicubic+accurate_rnd+full_chroma_int); mean over frames. A clip against "
        "itself has about 97 to 100. Rewards sharpening.",
        source="Netflix libvmaf",
        licence="ffmpeg with libvmaf: GPL program, BSD-2-Clause-Patent model",
        measure=_vmaf,
        needs=("gt",),
    ),
)
