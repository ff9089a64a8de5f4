"""Upscale-A-Video (Zhou et al. 2024): a text-guided video U-Net, propagation of x0 along the flow, a video decoder."""

from __future__ import annotations

from functools import partial

from limpid.methods.upscaler_family import LIGHT, FamilyMember, compose
from limpid.priors import prompts as words

_MEMBER = FamilyMember(
    name="upscale-a-video",
    steps=30,
    noise_level=120,
    guidance_scale=6.0,
    negative=words.UPSCALE_A_VIDEO_NEGATIVE,
    suffix=words.UPSCALE_A_VIDEO_SUFFIX,
    consistency=frozenset({"propagation"}),
    autoencoder="video",
    autoencoder_folders={"image": "vae", "video": "video_vae", "light": LIGHT},
    released_decode_frames=3,
)

upscale_a_video = partial(compose, _MEMBER)
"""The method; its options are the keyword parameters of `limpid.methods.upscaler_family.compose`."""
