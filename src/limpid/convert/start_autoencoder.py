"""Weights of the image autoencoder as the start of a video autoencoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from limpid.checkpoints.renames import compare, rename_all
from limpid.convert.vae_keys import SD_X4_VAE
from limpid.networks.autoencoder.official import official_vae_config
from limpid.networks.autoencoder.upscaler_vae import UpscalerVAE

WEIGHTS = "diffusion_pytorch_model.safetensors"
NEW = ("condition.", ".temporal_norm.", ".temporal_conv.")
"""Parts of the names of tensors that the image autoencoder does not have."""


def inflate_vae(folder: Path, **config: Any) -> UpscalerVAE:
    """An `UpscalerVAE` with the weights of a saved diffusers ``AutoencoderKL``; what is new in it does nothing yet.

    ``config``: what to change, for example ``temporal_decoder=True, lr_condition=True, norm_scope="window"``. With
    ``lr_condition`` the result is the image autoencoder's for ``lr_weight`` 0. Raises ValueError when names or shapes
    do not fit, OSError when the files cannot be read.
    """
    name, values = official_vae_config(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    if name != UpscalerVAE.__name__:
        raise ValueError(f"{folder} is not an image autoencoder")
    vae: UpscalerVAE = UpscalerVAE(**{**values, **config})
    state = rename_all(load_file(folder / WEIGHTS), SD_X4_VAE)
    wanted = {key: value for key, value in vae.state_dict().items() if not any(part in key for part in NEW)}
    wrong = compare({k: v.shape for k, v in state.items()}, {k: v.shape for k, v in wanted.items()})
    if wrong:
        raise ValueError(f"the autoencoder in {folder} does not fit: {wrong.sentence()}")
    vae.load_state_dict(state, strict=False)
    return vae.eval()
