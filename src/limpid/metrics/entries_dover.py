"""Entries of the catalogue for DOVER: the fused score, those of its two halves, and how much they depend on chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from limpid.metrics.files import MetricFile, entry, paths_of, stamp
from limpid.metrics.kinds import Clips, Measured

if TYPE_CHECKING:
    from limpid.metrics.dover import DoverResult

DOVER_FILE = MetricFile("DOVER.pth", "about 240 MB", "non-commercial use only (S-Lab)")
_NOTE = "mean of 3 draws of frames and fragments, seeds 0 to 2; the weights are for non-commercial use only"
_HOW = (
    "Frames and fragments as the authors' program draws them, seeds 0, 1, 2, mean of the three; whole frames made "
    "small without antialiasing, as their libraries did."
)


def _scores(clips: Clips, files: Sequence[MetricFile], *, pick: Callable[[DoverResult], float]) -> Measured:
    (path,) = paths_of(clips, files)
    key = "dover", stamp(path)
    if key not in clips.kept:
        from limpid.metrics.dover import dover_scores

        clips.kept[key] = dover_scores(clips.sr, path)
    return Measured(pick(clips.kept[key]), note=_NOTE)


DOVER_METRICS = (
    entry(
        "dover",
        "DOVER (fused, 0 to 1; weights non-commercial)",
        "higher",
        "x = 0.6104 (t - 0.1107) / 0.07355 + 0.3896 (a + 0.08285) / 0.03774 of the technical and aesthetic scores, "
        f"1 / (1 + exp(-x)). {_HOW} MGLD-VSR and DiffVSR print this, DC-VSR 100 times this; Upscale-A-Video's 2.5 to "
        "11.7 is another quantity.",
        "Wu et al. 2023, as in the authors' evaluate_one_video.py; own code",
        (DOVER_FILE,),
        how=partial(_scores, pick=lambda found: found.mean.overall),
    ),
    entry(
        "dover-technical",
        "DOVER, technical (0 to 1; weights non-commercial)",
        "higher",
        f"1 / (1 + exp(-(t - 0.1107) / 0.07355)) of DOVER's technical score. {_HOW}",
        "Wu et al. 2023; own code",
        (DOVER_FILE,),
        how=partial(_scores, pick=lambda found: found.mean.technical),
    ),
    entry(
        "dover-aesthetic",
        "DOVER, aesthetic (0 to 1; weights non-commercial)",
        "higher",
        f"1 / (1 + exp(-(a + 0.08285) / 0.03774)) of DOVER's aesthetic score. {_HOW}",
        "Wu et al. 2023; own code",
        (DOVER_FILE,),
        how=partial(_scores, pick=lambda found: found.mean.aesthetic),
    ),
    replace(
        entry(
            "dover-spread",
            "DOVER, spread over draws (weights non-commercial)",
            "lower",
            "Largest difference between the fused scores of the three draws: differences between methods below it mean "
            "nothing. 0 for small and short clips, where there is nothing to draw.",
            "Limpid",
            (DOVER_FILE,),
            how=partial(_scores, pick=lambda found: found.spread),
        ),
        ranked=False,
    ),
)
