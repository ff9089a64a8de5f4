"""The image model that Upscale-A-Video and DiffVSR are made from, frame by frame, to compare with."""

from __future__ import annotations

from functools import partial

from limpid.methods.upscaler_family import FamilyMember, compose

_MEMBER = FamilyMember(
    name="sd-x4-upscaler",
    steps=30,
    noise_level=20,
    guidance_scale=6.0,
    temporal=False,
)

sd_x4_upscaler = partial(compose, _MEMBER)
"""The method; its options are the keyword parameters of `limpid.methods.upscaler_family.compose`."""
