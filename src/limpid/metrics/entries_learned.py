"""Entries of the catalogue that rest on learned weights or statistics, with Limpid's own code.

NIQE's statistics are here. All others are computed where their files lie in the folder of weights; each says what it
needs, how large that is, under which licence, and where it was looked for, so that a table shows the reason in place of
a number. Those that need a program of other people besides are in `limpid.metrics.entries_judges`.
"""

from __future__ import annotations

from collections.abc import Sequence

from limpid.metrics.files import MetricFile, entry, paths_of
from limpid.metrics.kinds import Clips, Measured, Metric, mean_of


def _lpips(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    backbone, heads = paths_of(clips, files)
    from limpid.metrics.perceptual import lpips

    return mean_of(lpips(clips.sr, clips.truth, backbone, heads))


def _tlp(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    backbone, heads = paths_of(clips, files)
    from limpid.metrics.perceptual import lpips

    truth, sr = (lpips(v[:-1], v[1:], backbone, heads) for v in (clips.truth, clips.sr))
    return mean_of([100 * abs(a - b) for a, b in zip(truth, sr, strict=True)])


def _dists(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    backbone, heads = paths_of(clips, files)
    from limpid.metrics.perceptual import dists

    return mean_of(dists(clips.sr, clips.truth, backbone, heads))


def _niqe(clips: Clips) -> Measured:
    from limpid.metrics.niqe import frame_niqe

    return mean_of([frame_niqe(f) for f in clips.sr])


def _brisque(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    model, ranges = paths_of(clips, files)
    from limpid.metrics.brisque import frames_brisque

    return mean_of(frames_brisque(clips.sr, model, ranges))


def _background(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    (path,) = paths_of(clips, files)
    from limpid.metrics.clip_vision import VIT_B32, background_consistency, clip_features

    return mean_of(background_consistency(clip_features(clips.sr, path, VIT_B32)))


_ALEX = MetricFile("alexnet-owt-7be5be79.pth", "233 MB", "BSD-3-Clause")
_VGG = MetricFile("vgg16-397923af.pth", "528 MB", "BSD-3-Clause")
_LPIPS = MetricFile("lpips_alex.pth", "6 kB", "BSD-2-Clause")
_CLIP_B32 = MetricFile("clip-vit-base-patch32.bin", "605 MB", "MIT")
_LIVE = "University of Texas at Austin, free use with credit"

LEARNED = (
    Metric(
        name="niqe",
        label="NIQE (Y, as basicsr)",
        kind="no_reference",
        better="lower",
        definition="Y of 16..235, rounded; blocks of 96x96 without overlap, 7x7 window, two scales, distance of the "
        "two Gaussians; all frames, mean. Depends on the size of the picture.",
        source="Mittal, Soundararajan and Bovik 2013, with the statistics that basicsr distributes",
        licence="Apache-2.0 (own code; statistics of basicsr, Apache-2.0)",
        measure=_niqe,
    ),
    entry(
        "lpips",
        "LPIPS (AlexNet, v0.1)",
        "lower",
        "Distance of AlexNet features with the linear heads of v0.1, RGB in [-1, 1], full size, mean over frames.",
        "Zhang et al. 2018",
        (_ALEX, _LPIPS),
        kind="full_reference",
        needs=("gt",),
        how=_lpips,
    ),
    entry(
        "dists",
        "DISTS (full size)",
        "lower",
        "Structure and texture similarity of VGG16 features at full size (the authors' program reduces the shorter "
        "side to 256), mean over frames.",
        "Ding et al. 2020",
        (_VGG, MetricFile("dists.pt", "12 kB", "MIT")),
        kind="full_reference",
        needs=("gt",),
        how=_dists,
    ),
    entry(
        "tlp",
        "tLP x100 (TecoGAN, AlexNet)",
        "lower",
        "|LPIPS of neighbouring truths - LPIPS of neighbouring results| x 100, AlexNet v0.1, mean over pairs. "
        "Unlike TecoGAN no border is cropped and no frame dropped.",
        "TecoGAN (Chu et al. 2020)",
        (_ALEX, _LPIPS),
        kind="temporal",
        needs=("gt",),
        how=_tlp,
    ),
    entry(
        "vbench-background",
        "VBench background consistency (CLIP ViT-B/32)",
        "higher",
        "Unit features of CLIP ViT-B/32 (shorter side to 224 by bicubic without antialiasing, centre 224x224); of each "
        "frame but the first the mean of its cosines with the frame before and with the first frame, each at least 0; "
        "mean over frames. Texture cannot be seen at 224 pixels.",
        "VBench (Huang et al. 2024); its mean over a set is over frames, here over clips",
        (_CLIP_B32,),
        kind="temporal",
        how=_background,
    ),
    entry(
        "brisque",
        "BRISQUE (LIVE)",
        "lower",
        "Support vector regression of 36 statistics of rounded grey at two scales, zeros beyond the border, LIVE's "
        "model and ranges; about 0 to 100, mean over frames.",
        "Mittal, Moorthy and Bovik 2012, features as pyiqa's brisque; not brisque_matlab",
        (MetricFile("brisque_allmodel.txt", "about 350 kB", _LIVE), MetricFile("brisque_allrange.txt", "1 kB", _LIVE)),
        how=_brisque,
    ),
)
