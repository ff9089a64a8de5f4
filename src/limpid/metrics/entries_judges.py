"""Entries of the catalogue that a program of other people computes: pyiqa, where it is installed.

The weights are looked for in the folder of weights, and never fetched.
"""

from __future__ import annotations

from collections.abc import Sequence

from limpid.metrics.files import MetricFile, entry, paths_of
from limpid.metrics.kinds import Clips, Measured, mean_of

PYIQA_LICENCE = "pyiqa: PolyForm-Noncommercial-1.0.0, parts S-Lab 1.0: no commercial use"
_MEAN = "RGB frames at full size, mean over frames."


def _pyiqa(clips: Clips, files: Sequence[MetricFile], *, judge: str) -> Measured:
    from limpid.metrics import pyiqa_adapter

    (path,) = paths_of(clips, files, "" if pyiqa_adapter.pyiqa_installed() else f"; {pyiqa_adapter.HOW_TO_INSTALL}")
    return mean_of(pyiqa_adapter.scores(judge, clips.sr, path))


def _nrqm(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    return _pyiqa(clips, files, judge="nrqm")


def _musiq(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    return _pyiqa(clips, files, judge="musiq")


def _clipiqa(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    return _pyiqa(clips, files, judge="clipiqa")


def _clipiqa_official(clips: Clips, files: Sequence[MetricFile]) -> Measured:
    return _pyiqa(clips, files, judge="clipiqa-official")


_RN50 = MetricFile("RN50.pt", "244 MB", "MIT")

JUDGES = (
    entry(
        "nrqm",
        "NRQM (Ma et al., pyiqa)",
        "higher",
        f"Random forests and a linear regression over statistics of frequencies and gradients, 0 to 10; {_MEAN}",
        "Ma et al. 2017, as pyiqa computes it",
        (
            MetricFile(
                "NRQM_model.mat", "size not stated by its mirror", "as MIT by its authors, CC-BY-NC-SA-4.0 at pyiqa"
            ),
        ),
        how=_nrqm,
        also=PYIQA_LICENCE,
    ),
    entry(
        "musiq",
        "MUSIQ (KonIQ-10k)",
        "higher",
        "Transformer over patches of three scales (longer side 224, 384, and full), checkpoint KonIQ-10k, 0 to 100; "
        + _MEAN,
        "Ke et al. 2021, as pyiqa computes it: what the papers call MUSIQ",
        (MetricFile("musiq_koniq_ckpt-e95806b9.pth", "109 MB", "Apache-2.0 by its authors, CC-BY-NC-SA-4.0 at pyiqa"),),
        how=_musiq,
        also=PYIQA_LICENCE,
    ),
    entry(
        "clipiqa-official",
        "CLIP-IQA (one pair of prompts: 'Good photo.', 'Bad photo.')",
        "higher",
        f"CLIP RN50 without positions, share of 'Good photo.' against 'Bad photo.', 0 to 1; {_MEAN}",
        "Wang et al. 2023, prompts of its authors; network as pyiqa computes it",
        (_RN50,),
        how=_clipiqa_official,
        also=PYIQA_LICENCE,
    ),
    entry(
        "clipiqa-pyiqa",
        "CLIP-IQA (five pairs of prompts, pyiqa)",
        "higher",
        "CLIP RN50 without positions, mean over five pairs: 'Good image', 'bad image'; 'Sharp image', 'blurry image'; "
        "'sharp edges', 'blurry edges'; 'High resolution image', 'low resolution image'; 'Noise-free image', 'noisy "
        f"image'. Other numbers than clipiqa-official under the same name, 0 to 1; {_MEAN}",
        "Wang et al. 2023, as pyiqa computes it",
        (_RN50,),
        how=_clipiqa,
        also=PYIQA_LICENCE,
    ),
)
