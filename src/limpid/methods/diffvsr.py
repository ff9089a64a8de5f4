"""DiffVSR (Li et al. 2025): multi-scale temporal attention, rescheduled noise, windows that are blended once (ILT)."""

from __future__ import annotations

from functools import partial

from limpid.methods.upscaler_family import LIGHT, FamilyMember, compose
from limpid.priors import prompts as words

_MEMBER = FamilyMember(
    name="diffvsr",
    steps=50,
    noise_level=50,
    guidance_scale=5.0,
    negative=words.DIFFVSR_NEGATIVE,
    suffix=words.DIFFVSR_SUFFIX,
    consistency=frozenset({"noise", "transition"}),
    autoencoder="video",
    autoencoder_folders={"video": "vae", "light": LIGHT},
    window_overlap_frames=4,
    decode_frames=6,
    released_decode_frames=4,
    pools_norms=False,
    linear_betas=True,
)

diffvsr = partial(compose, _MEMBER)
"""The method; its options are the keyword parameters of `limpid.methods.upscaler_family.compose`."""
