"""Entries of the catalogue that are Limpid's own: they need no truth and no weights, and blur does not win them."""

from __future__ import annotations

import itertools
from functools import partial

from limpid.metrics.kinds import Clips, Measured, Metric, NotMeasurableError, mean_of

_LEAST_DETAIL = 0.01
"""Least detail in levels: less is rounding."""
_OWN = "Apache-2.0 (own code)"


def _lr_psnr(clips: Clips) -> Measured:
    from limpid.metrics.faithful import lr_psnr

    return mean_of(lr_psnr(clips.sr, clips.small))


def _block_psnr(clips: Clips) -> Measured:
    from limpid.metrics.faithful import block_psnr

    return mean_of(block_psnr(clips.sr, clips.small))


def _bias(clips: Clips) -> Measured:
    from limpid.metrics.faithful import bias

    offsets = bias(clips.sr, clips.small)
    return Measured(abs(sum(offsets) / len(offsets)), tuple(offsets))


def _brightness_flicker(clips: Clips) -> Measured:
    from limpid.metrics.faithful import bias

    offsets = bias(clips.sr, clips.small)
    return mean_of([abs(b - a) for a, b in itertools.pairwise(offsets)])


def _coherent(clips: Clips) -> Measured:
    from limpid.metrics.detail import stability_of

    return Measured(stability_of(clips.energies).coherent_rms)


def _coherence(clips: Clips) -> Measured:
    from limpid.metrics.detail import stability_of

    frames = tuple(float("nan") if p is None else p[0] / max(p[0] + p[1], 1e-9) for p in clips.energies)
    return Measured(stability_of(clips.energies).coherence, frames)


def _incoherent_share(clips: Clips) -> Measured:
    from limpid.metrics.detail import stability_of

    found = stability_of(clips.energies)
    if max(found.coherent_rms, found.incoherent_rms) < _LEAST_DETAIL:
        raise NotMeasurableError("the result has no detail beyond the input")
    return Measured(found.incoherent_rms / max(found.coherent_rms, _LEAST_DETAIL))


def _segment_seam(clips: Clips) -> Measured:
    from limpid.metrics.seams import seam_of

    return Measured(seam_of(clips.energies, clips.borders).ratio)


def _tile_jump(clips: Clips) -> Measured:
    from limpid.metrics.seams import tile_jump

    jumps = [tile_jump(clips.sr, clips.small, clips.tile_columns)] if clips.tile_columns else []
    if clips.tile_rows:
        jumps.append(tile_jump(clips.sr, clips.small, clips.tile_rows, across="rows"))
    return Measured(max(jump.levels for jump in jumps))


def _long_range(clips: Clips, lag: int) -> Measured:
    from limpid.metrics.persistence import long_range

    if len(clips.sr) <= lag:
        raise NotMeasurableError(f"needs more than {lag} frames, not {len(clips.sr)}")
    value = long_range(clips.sr, clips.small, lags=(lag,)).correlation[lag]
    if value is None:
        raise NotMeasurableError(f"too little of the input stands still over {lag} frames, or it has no detail")
    return Measured(value)


def _static_flicker(clips: Clips) -> Measured:
    from limpid.metrics.faithful import static_flicker

    pairs = static_flicker(clips.sr, clips.small)
    still = [p for p in pairs if p is not None]
    if not still:
        raise NotMeasurableError("too little of the input stands still in any two neighbouring frames")
    return Measured(sum(still) / len(still), tuple(float("nan") if p is None else p for p in pairs))


def _drift(clips: Clips) -> Measured:
    from limpid.metrics.faithful import colour_drift

    return Measured(colour_drift(clips.sr, clips.small))


def _blocks(clips: Clips) -> Measured:
    from limpid.metrics.blocks import blockiness

    _ = clips.small  # four times as large as the input, whose grid is looked for
    values = tuple(100 * blockiness([frame]) for frame in clips.sr)
    return Measured(100 * blockiness(clips.sr), values)


_DETAIL = (
    "Detail n = Y - U(D(Y)), D antialiased bicubic /4, U bicubic x4; W: Lanczos along DIS flow of the enlarged input"
)

OWN_METRICS = (
    Metric(
        name="m1-lr-psnr",
        label="M1 LR-PSNR (Y)",
        kind="input",
        better="higher",
        unit="dB",
        definition="PSNR of luma between the result (reduced /4, antialiased bicubic) and the input; mean over frames.",
        source="Limpid M1",
        licence=_OWN,
        measure=_lr_psnr,
        needs=("lr",),
    ),
    Metric(
        name="m1-block-psnr",
        label="M1 block-PSNR (Y)",
        kind="input",
        better="higher",
        unit="dB",
        definition="M1 LR-PSNR of the means of 8x8 LR pixels, so that noise that was removed does not count.",
        source="Limpid M1",
        licence=_OWN,
        measure=_block_psnr,
        needs=("lr",),
    ),
    Metric(
        name="m1-bias",
        label="M1 brightness bias",
        kind="input",
        better="lower",
        unit="levels",
        definition="Absolute mean over the clip of (luma of the reduced result - luma of the input); good below 1.",
        source="Limpid M1",
        licence=_OWN,
        measure=_bias,
        needs=("lr",),
    ),
    Metric(
        name="m1-flicker",
        label="M1 brightness flicker",
        kind="input",
        better="lower",
        unit="levels",
        definition="Mean absolute change between frames of the mean of (reduced result - input); good below 0.3.",
        source="Limpid M1",
        licence=_OWN,
        measure=_brightness_flicker,
        needs=("lr",),
    ),
    Metric(
        name="m2-coherent",
        label="M2 coherent detail",
        kind="input",
        better="higher",
        unit="levels RMS",
        definition=f"{_DETAIL}. sqrt(mean n_t W(n_t+1)) over trusted pixels: detail that moves with the scene.",
        source="Limpid M2",
        licence=_OWN,
        measure=_coherent,
        needs=("lr",),
    ),
    Metric(
        name="m3-coherence",
        label="M3 coherence of detail",
        kind="input",
        better="higher",
        definition=f"{_DETAIL}. Share of the energy of detail that is coherent, 0 to 1.",
        source="Limpid M3",
        licence=_OWN,
        measure=_coherence,
        needs=("lr",),
    ),
    Metric(
        name="m3-incoherent",
        label="M3 incoherent / coherent detail",
        kind="input",
        better="lower",
        definition=f"{_DETAIL}. RMS of what does not move with the scene over RMS of what does (a ratio, because blur "
        "lowers both); good below 0.5.",
        source="Limpid M3",
        licence=_OWN,
        measure=_incoherent_share,
        needs=("lr",),
    ),
    Metric(
        name="m4-segment-seam",
        label="M4 segment seam",
        kind="input",
        better="lower",
        definition="Lost share of detail (1 - coherence) at segment borders over the median elsewhere; 1 = no seam.",
        source="Limpid M4",
        licence=_OWN,
        measure=_segment_seam,
        needs=("lr", "borders"),
    ),
    Metric(
        name="m4-tile-jump",
        label="M4 tile jump",
        kind="input",
        better="lower",
        unit="levels",
        definition="Median along a known tile seam of the step (4 | 4 pixels) of the mean over time of (result - "
        "enlarged input), luma; the larger of columns and rows; good below 0.5.",
        source="Limpid M4",
        licence=_OWN,
        measure=_tile_jump,
        needs=("lr", "tiles"),
    ),
    *(
        Metric(
            name=f"m5-lag{lag}",
            label=f"M5 long range, {lag} frames",
            kind="input",
            better="higher",
            definition=f"Correlation of detail {lag} frames on, where the blurred input changed by less than 1 level.",
            source="Limpid M5",
            licence=_OWN,
            measure=partial(_long_range, lag=lag),
            needs=("lr",),
        )
        for lag in (1, 8, 16, 32)
    ),
    Metric(
        name="static-flicker",
        label="Flicker of still regions",
        kind="input",
        better="lower",
        unit="levels",
        definition="Mean absolute change, from frame to frame, of (result - input) over blocks of 32x32 pixels that "
        "stand still in the input (blurred luma changes by less than one level).",
        source="Limpid",
        licence=_OWN,
        measure=_static_flicker,
        needs=("lr",),
    ),
    Metric(
        name="colour-drift",
        label="Colour drift",
        kind="input",
        better="lower",
        unit="levels",
        definition="Offset (mean of result - mean of input, per RGB channel) averaged over each quarter of the clip; "
        "the largest difference between two quarters, of the worst channel.",
        source="Limpid",
        licence=_OWN,
        measure=_drift,
        needs=("lr",),
    ),
    Metric(
        name="blockiness",
        label="Blockiness",
        kind="input",
        better="lower",
        unit="%",
        definition="Jumps of the reduced luma across the borders of 8x8 LR pixels (step minus the mean of the two "
        "beside it, averaged along the border), mean size over that at all other phases of the grid, less 1.",
        source="Limpid",
        licence=_OWN,
        measure=_blocks,
        needs=("lr",),
    ),
)
