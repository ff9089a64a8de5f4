"""The LR side of a clip: levels of difficulty, and any pipeline by name."""

from __future__ import annotations

import numpy as np

from limpid.degrade import PIPELINES, Pipeline, apply_to_clip, draw
from limpid.degrade.ranges import SMALLEST_RESULT
from limpid.train.stage import ClipSpec
from limpid.types import SettingsError

_LEVELS = {"none": "bicubic", "simple": "blur-bicubic", "complex": "realbasicvsr-area"}
"""Pipelines of the levels. ``simple`` is the first stage of DiffVSR; the first pass of RealBasicVSR, which is harder,
has its own name, ``realbasicvsr-first``. Those of RealBasicVSR get bits per frame in proportion to the area (as for
256x256), so that crops of other sizes look the same. ``simple`` is a level here; the pipeline of that name has no
ranges and is for tests, so it cannot be asked for."""


def pipeline_of(spec: ClipSpec) -> Pipeline:
    """The pipeline of ``spec.degradation``. Raises `SettingsError` for an unknown name and for crops too small."""
    name = _LEVELS.get(spec.degradation, spec.degradation)
    if name not in PIPELINES:
        names = ", ".join([*_LEVELS, *(each for each in PIPELINES if each not in _LEVELS)])
        raise SettingsError(f"there is no degradation {spec.degradation!r}: use one of {names}")
    if spec.crop_px // spec.scale < SMALLEST_RESULT:
        least = SMALLEST_RESULT * spec.scale
        raise SettingsError(f"crops of {spec.crop_px} px are too small to be degraded: use {least} or more")
    return PIPELINES[name]


def degraded_clip(hr: np.ndarray, spec: ClipSpec, pipeline: Pipeline, seed: int) -> np.ndarray:
    """RGB uint8 ``t H W 3`` -> ``t H/scale W/scale 3``."""
    frames, height, width = hr.shape[:3]
    drawn = draw(pipeline, num_frames=frames, height=height, width=width, seed=seed, scale=spec.scale)
    return apply_to_clip(hr, drawn)
