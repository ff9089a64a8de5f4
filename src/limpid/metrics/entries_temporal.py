"""Entries of the catalogue that are temporal measures of the literature and need no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limpid.metrics.kinds import Clips, FlowPairs, Measured, Metric, NotMeasurableError, mean_of

if TYPE_CHECKING:
    import numpy as np

GAMED = "Blur lowers it: never read it without a measure of detail."


def lai_warping(clips: Clips, flows: FlowPairs) -> Measured:
    """Lai's warping error times 1000, along these flows."""
    from limpid.metrics.warping import warping_errors

    errors = warping_errors(clips.sr, flows)
    seen = [1000 * e for e in errors if e is not None]
    if not seen:
        raise NotMeasurableError("no two neighbouring frames have a pixel whose flow can be trusted")
    return Measured(sum(seen) / len(seen), tuple(float("nan") if e is None else 1000 * e for e in errors))


def _l1(clips: Clips, guide: np.ndarray) -> Measured:
    from limpid.metrics.warping import warping_l1

    return mean_of(warping_l1(clips.sr, guide))


def input_at_size(clips: Clips) -> np.ndarray:
    """The input by bicubic at the size of the result, ``t h w 3``."""
    import cv2
    import numpy as np

    height, width = clips.sr.shape[1:3]
    small = clips.small
    return np.stack([cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in small])


def _tof(clips: Clips) -> Measured:
    from limpid.metrics.warping import flow_differences

    return mean_of(flow_differences(clips.sr, clips.truth))


def _flickering(clips: Clips) -> Measured:
    from limpid.metrics.warping import flickering

    return mean_of(flickering(clips.sr))


TEMPORAL_METRICS = (
    Metric(
        name="ewarp",
        label="E*warp x1e-3 (Lai, DIS flow of GT)",
        kind="temporal",
        better="lower",
        unit="1e-3",
        definition="Frame t+1 fetched to t (bilinear, border replicated), squared difference of RGB in [0, 1], mean "
        "over channels and pixels not occluded (Lai's thresholds), mean over pairs, times 1000. DIS flow of the truth. "
        f"{GAMED}",
        source="Lai et al., ECCV 2018; DIS in place of FlowNet2",
        licence="Apache-2.0 (own code)",
        measure=lambda clips: lai_warping(clips, clips.truth_flows),
        needs=("gt",),
    ),
    Metric(
        name="ewarp-lr",
        label="E*warp x1e-3 (Lai, DIS flow of LR)",
        kind="temporal",
        better="lower",
        unit="1e-3",
        definition=f"As ewarp, with DIS flow of the enlarged input, for clips without a truth. {GAMED}",
        source="Lai et al., ECCV 2018; DIS in place of FlowNet2",
        licence="Apache-2.0 (own code)",
        measure=lambda clips: lai_warping(clips, clips.flows),
        needs=("lr",),
    ),
    Metric(
        name="we",
        label="WE (MGLD, L1, levels, DIS flow of GT)",
        kind="temporal",
        better="lower",
        unit="levels",
        definition="Mean absolute difference of frame t+1 and frame t fetched along backward flow, RGB 0..255, all "
        f"pixels (no occlusion mask), mean over pairs. DIS flow of the truth. {GAMED}",
        source="MGLD section 4.2; DIS in place of Flow1D, the paper's unit is unknown",
        licence="Apache-2.0 (own code)",
        measure=lambda clips: _l1(clips, clips.truth),
        needs=("gt",),
    ),
    Metric(
        name="we-lr",
        label="WE (MGLD, L1, levels, DIS flow of LR)",
        kind="temporal",
        better="lower",
        unit="levels",
        definition=f"As we, with DIS flow of the input enlarged by bicubic, for clips without a truth. {GAMED}",
        source="MGLD section 4.2; DIS in place of Flow1D",
        licence="Apache-2.0 (own code)",
        measure=lambda clips: _l1(clips, input_at_size(clips)),
        needs=("lr",),
    ),
    Metric(
        name="tof",
        label="tOF (TecoGAN, Farneback, no crop)",
        kind="temporal",
        better="lower",
        unit="pixels",
        definition="Farneback flow (0.5, 3, 15, 3, 5, 1.2, 0) of grey frames of result and of truth; mean length of "
        "the difference, mean over pairs. Unlike TecoGAN no border is cropped and no frame dropped.",
        source="TecoGAN (Chu et al. 2020)",
        licence="Apache-2.0 (own code)",
        measure=_tof,
        needs=("gt",),
    ),
    Metric(
        name="vbench-flickering",
        label="VBench temporal flickering",
        kind="temporal",
        better="higher",
        definition="(255 - mean |f_t - f_t+1|) / 255 of RGB, mean over pairs; no flow, meant for clips that stand "
        "still. Blur raises it: never read it without a measure of detail.",
        source="VBench (Huang et al. 2024)",
        licence="Apache-2.0 (own code)",
        measure=_flickering,
    ),
)
