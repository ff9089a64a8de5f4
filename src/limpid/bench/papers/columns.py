"""Columns of the papers' tables as metrics of the catalogue: which one is meant, in which unit, and what differs."""

from __future__ import annotations

from dataclasses import dataclass

from limpid.bench.published import Published


@dataclass(frozen=True, kw_only=True)
class Column:
    """How a published metric is measured here. ``factor``: the paper's unit over ours."""

    metric: str
    factor: float = 1.0
    without_truth: str = ""
    """The metric to take where there is no ground truth."""
    differs: str = ""
    """What is not the same as in the papers, or not known."""

    def here(self, *, has_truth: bool) -> str:
        return self.metric if has_truth or not self.without_truth else self.without_truth


COLUMNS = {
    "PSNR": Column(metric="psnr"),
    "SSIM": Column(metric="ssim"),
    "LPIPS": Column(metric="lpips"),
    "DISTS": Column(metric="dists"),
    "VMAF": Column(metric="vmaf"),
    "NIQE": Column(metric="niqe"),
    "BRISQUE": Column(metric="brisque"),
    "NRQM": Column(metric="nrqm"),
    "MUSIQ": Column(metric="musiq"),
    "CLIP-IQA": Column(metric="clipiqa-pyiqa", differs="which prompts the paper took is not known"),
    "DOVER_fused": Column(metric="dover"),
    "DOVER_fused_x100": Column(metric="dover", factor=100.0),
    "Ewarp_x1e-3": Column(
        metric="ewarp",
        without_truth="ewarp-lr",
        differs="the paper's flow is not known; ours is DIS, see ewarp-raft",
    ),
    "WE_L1": Column(metric="we", without_truth="we-lr", differs="the paper's flow is Flow1D's, its unit not stated"),
    "tOF_RAFT": Column(metric="tof-raft"),
    "tLP_x100": Column(metric="tlp"),
    "VBench_BC": Column(metric="vbench-background"),
    "VBench_TF": Column(metric="vbench-flickering"),
}
"""Name in `limpid.bench.published` -> what is measured here."""

NOT_HERE = {
    "DOVER_UAVscale": "Upscale-A-Video prints another quantity under this name, and nobody knows which",
    "seconds_per_frame": "depends on the machine; the paper's are of an A100",
    "trainable_params": "see limpid train --dry-run",
    "total_params": "see limpid train --dry-run",
    "IS": "limpid bench guidance measures it",
    "FID": "limpid bench guidance measures it",
    "feedforward_per_iter": "follows from the method",
    "preference_percent": "people were asked",
}
"""Published quantities that are not columns of a run, and why."""


def columns_of(numbers: list[Published]) -> list[str]:
    """Published metrics of a table in its order."""
    return list(dict.fromkeys(number.metric for number in numbers))
