"""Degradation as real footage has it: blur, downscaling, noise and compression; and clips made from photos.

A pipeline (`PIPELINES`) is ranges and probabilities; `draw` makes the parameters of one clip from it, as plain data;
`apply` is a pure function of frames and parameters. `degrade` is the simple way for tests, without ranges.
"""

from limpid.degrade.applying import apply, apply_to_clip
from limpid.degrade.camera import CameraPath, Filmed, MovingLayer, layered_clip, photo_clip
from limpid.degrade.drawing import Drawn, Pipeline, draw, drawn_damage
from limpid.degrade.ops import unsharp
from limpid.degrade.pipelines import PIPELINES
from limpid.degrade.simple import Degradation, degrade

__all__ = [
    "PIPELINES",
    "CameraPath",
    "Degradation",
    "Drawn",
    "Filmed",
    "MovingLayer",
    "Pipeline",
    "apply",
    "apply_to_clip",
    "degrade",
    "draw",
    "drawn_damage",
    "layered_clip",
    "photo_clip",
    "unsharp",
]
