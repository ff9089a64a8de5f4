"""The video upscaler of LaVie (Wang et al. 2023), from which Upscale-A-Video and DiffVSR descend."""

from __future__ import annotations

from functools import partial

from limpid.methods.upscaler_family import FamilyMember, compose

_MEMBER = FamilyMember(
    name="lavie-vsr",
    steps=50,
    noise_level=50,
    guidance_scale=5.0,
    linear_betas=True,
)

lavie_vsr = partial(compose, _MEMBER)
"""The method; its options are the keyword parameters of `limpid.methods.upscaler_family.compose`."""
