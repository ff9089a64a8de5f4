"""The numbers that the four papers print, with the table each stands in, and what is known to be wrong with them.

They are data (``published.csv``), shown beside our own results and never mixed with them: no two of the papers share a
degraded test set, and several metrics exist in variants that share a name. Metric names carry the variant.

The papers: Zhou et al., Upscale-A-Video, CVPR 2024; Yang et al., Motion-Guided Latent Diffusion for Temporally
Consistent Real-world VSR (MGLD-VSR), ECCV 2024; Li et al., DiffVSR, 2025; Han et al., DC-VSR, 2025.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

WARNING = (
    "Published numbers do not compare with each other or with ours: each paper degraded its test sets in its own way "
    "(PSNR of plain bicubic on REDS4 is 22.13 dB in MGLD-VSR and 25.92 dB in DC-VSR), none released the low-quality "
    "frames, and colour space, crop and prompts are mostly not stated. Only MUSIQ on VideoLQ agrees across papers "
    "(Real-ESRGAN 49.84, RealBasicVSR 55.96 to 55.98): use it to check this harness."
)

METRIC_WARNINGS = {
    "DOVER_UAVscale": "DOVER of Upscale-A-Video is another quantity (2.5 to 11.7) than the fused score of the others.",
    "DOVER_fused": "DOVER: fused score, 0 to 1 (MGLD-VSR, DiffVSR); DC-VSR prints it times 100.",
    "DOVER_fused_x100": "DOVER of DC-VSR: the fused score times 100.",
    "CLIP-IQA": (
        "CLIP-IQA: the papers use different prompts or preprocessing (Real-ESRGAN on VideoLQ is 0.360 in "
        "Upscale-A-Video and 0.633 in DiffVSR)."
    ),
    "Ewarp_x1e-3": (
        "E_warp times 1000: flow, mask and the frames it is taken from are not stated and differ (RealBasicVSR on "
        "SPMCS is 0.559 and 0.638); blur lowers it."
    ),
    "WE_L1": "WE of MGLD-VSR: L1 without an occlusion mask, unit not stated; blur lowers it, as that paper says.",
    "LPIPS": "LPIPS: no paper states the network; AlexNet is the usual one.",
    "PSNR": "PSNR: no paper states colour space or crop; RGB without crop is usual. On luma it is 1.3 to 2.2 dB more.",
    "VBench_BC": "VBench scores favour less motion and less detail and hardly separate methods.",
    "VBench_TF": "VBench scores favour less motion and less detail and hardly separate methods.",
}

KNOWN_ERRORS = {
    ("DiffVSR", "MVSR4x"): (
        "DiffVSR Table 1: the DOVER row of MVSR4x is identical in all 8 columns to that of YouHQ40 (complex); one of "
        "the two is wrong."
    ),
    ("DiffVSR", "YouHQ40-complex"): (
        "DiffVSR Table 1: the DOVER row of YouHQ40 (complex) is identical in all 8 columns to that of MVSR4x; one of "
        "the two is wrong."
    ),
    (
        "DC-VSR",
        "REDS4",
    ): "DC-VSR Table 1: MUSIQ and DOVER of Upscale-A-Video on REDS4 are both 57.06; one is likely wrong.",
    (
        "DC-VSR",
        "UDM10",
    ): "DC-VSR Table 1: SSIM of Upscale-A-Video and of StableSR on UDM10 are both 0.7975; one is likely wrong.",
    ("Upscale-A-Video", "SPMCS"): "Upscale-A-Video swaps the citations of SPMCS and UDM10.",
    ("Upscale-A-Video", "UDM10"): (
        "Upscale-A-Video swaps the citations of SPMCS and UDM10; others measure 3.3 dB less PSNR for it on UDM10."
    ),
    ("DiffVSR", "VideoLQ"): "DiffVSR Table 6: NRQM 6.252 of DiffVSR may be 6.25 with a footnote mark.",
}

PUBLISHED_DATASETS = {
    "reds4": ("REDS4",),
    "reds30": ("REDS30",),
    "udm10": ("UDM10",),
    "spmcs": ("SPMCS",),
    "youhq40": ("YouHQ40", "YouHQ40-complex"),
    "videolq": ("VideoLQ",),
    "mvsr4x": ("MVSR4x",),
    "aigc30": ("AIGC30",),
    "realvideo10": ("RealVideo10",),
}
"""Name of a data set here -> its names in the papers."""


@dataclass(frozen=True, slots=True)
class Published:
    """One number of one paper; ``metric`` names the variant, such as ``DOVER_fused_x100``."""

    paper: str
    table: str
    method: str
    dataset: str
    metric: str
    value: float
    printed: str
    """The number with the digits that the paper prints."""


@cache
def published() -> tuple[Published, ...]:
    """Every number, in the order of the papers' tables."""
    text = files("limpid.bench").joinpath("published.csv").read_text(encoding="utf-8")
    rows = csv.reader(text.splitlines()[1:])
    return tuple(Published(row[0], row[1], row[2], row[3], row[4], float(row[5]), row[5]) for row in rows)


def published_for(dataset: str) -> list[Published]:
    """The numbers for one of our data sets (``udm10``); none for a folder of one's own."""
    names = PUBLISHED_DATASETS.get(dataset, ())
    return [number for number in published() if number.dataset in names]


def warnings_for(numbers: list[Published]) -> list[str]:
    """What has to stand beside these numbers: the general warning, variants of metrics, and known errors."""
    if not numbers:
        return []
    metrics = dict.fromkeys(number.metric for number in numbers)
    places = dict.fromkeys((number.paper, number.dataset) for number in numbers)
    about = [METRIC_WARNINGS[metric] for metric in metrics if metric in METRIC_WARNINGS]
    errors = [KNOWN_ERRORS[place] for place in places if place in KNOWN_ERRORS]
    return list(dict.fromkeys([WARNING, *about, *errors]))
