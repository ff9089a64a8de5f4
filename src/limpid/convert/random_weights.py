"""Random weights in the makers' format: for tests, and to measure speed and memory without their files.

Numbers are scaled by the number of inputs of each layer, so that activations stay of order one; the layers that the
makers added to the image model are smaller, but not zero. The same seed gives the same files.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from limpid.checkpoints.folders import new_folder
from limpid.checkpoints.renames import rename
from limpid.checkpoints.tensor_files import write_safetensors
from limpid.convert import dc_vsr_configs as svd_configs
from limpid.convert import official_names
from limpid.convert.contents import CONTENTS, Contents, NetworkPart
from limpid.convert.flow_files import random_flow
from limpid.convert.official_configs import TEXT_CONFIG
from limpid.convert.sources import RANDOM_MARK
from limpid.convert.tiny_tokenizer import write_tokenizer
from limpid.networks.by_name import make_network, make_official, shapes_of
from limpid.networks.temporal.positions import rotary_frequencies
from limpid.types import SettingsError

WeightSize = Literal["tiny", "full"]
_GAIN = 0.8
NEW_GAIN = 0.3
"""Gain of the layers that the makers added to the image model."""
_NEW = (
    *("temporal", "shift_conv", "conv_3d", "condition_fuse", "time_mix", "time_conv_out", "spade", "fusion_layer"),
    *("controlnet_down", "controlnet_mid"),
)
EMBEDDING_STD = 0.05

TINY: dict[str, dict[str, Any]] = {
    "unet": {
        "block_out_channels": [32, 32, 32, 64],
        "layers_per_block": 1,
        "attention_head_dim": 1,
        "cross_attention_dim": 32,
    },
    "vae": {
        "block_out_channels": [32, 32, 64],
        "condition_channels": 32,
        "encoder_block_out_channels": [16, 16, 16],
        "decoder_block_out_channels": [16, 16, 16],
    },
    "mgld_vsr_unet": {
        "block_out_channels": [32, 32, 32, 64],
        "head_channels": 32,
        "cross_attention_dim": 32,
        "structure_channels": 32,
        "structure_block_channels": [32, 32, 32, 32],
        "structure_heads": 1,
    },
    "sd_unet": {
        "block_out_channels": [32, 32, 32, 64],
        "attention_head_dim": [1, 1, 1, 2],
        "cross_attention_dim": 32,
    },
    "sd_vae": {"block_out_channels": [32, 32, 32, 32]},
    "svd_unet": svd_configs.TINY_UNET,
    "svd_vae": svd_configs.TINY_VAE,
    "mgld_vsr_vae": {"block_out_channels": [32, 32, 32, 32]},
    "stream_diffvsr_branch": {
        "block_out_channels": [32, 32, 32, 64],
        "layers_per_block": 1,
        "attention_head_dim": 1,
        "cross_attention_dim": 32,
        "conditioning_embedding_out_channels": [16, 16, 32],
    },
}
"""Heads of 32 channels, the least that the rotary embedding takes; widths are multiples of the 32 groups of norms."""
TINY_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "projection_dim": 32,
    "vocab_size": 600,
}
WRAPPED = {
    "DiffVSR_UNet.pt": "ema",
    "lavie_vsr.pt": "ema",
    "mgldvsr_unet.ckpt": "state_dict",
    "video_vae_cfw.ckpt": "state_dict",
}
"""Files whose tensors lie under a name."""


def make_random_weights(name: str, size: WeightSize, out: Path, *, seed: int = 0) -> Path:
    """Write a checkpoint of ``name`` as its makers offer it into the new folder ``out``, and return it.

    ``tiny`` has a few million numbers in all, and leaves optional files out; ``full`` the real sizes, 2 to 3 GB on disk
    (float16) and in memory as much as its largest file. Raises WeightsError when the folder exists, SettingsError for
    unknown names.
    """
    if name not in CONTENTS or size not in ("tiny", "full"):
        raise SettingsError(f"random weights can be made for {', '.join(CONTENTS)}, tiny or full; not {name}, {size}")
    recipe = CONTENTS[name]
    with new_folder(out) as folder:
        for part in recipe.networks:
            _write_network(folder, part, size, seed)
        if recipe.networks and recipe.text:
            _write_rest(folder / (recipe.base_folder if recipe.base else "."), recipe, size, seed)
        if recipe.image_encoder:
            _write_image_encoder(folder / "image_encoder", size, seed)
        if recipe.flow and (size == "full" or not recipe.networks):  # it has one size, which is not tiny
            file = recipe.flow[0]
            _save(folder / file, random_flow(file, lambda key, shape: _numbers(key, shape, seed)))
        _write_json(folder / RANDOM_MARK, {"random": True, "name": name, "size": size, "seed": seed})
    return out


def _write_network(folder: Path, part: NetworkPart, size: WeightSize, seed: int) -> None:
    config = official_config(part, size)
    network = make_official(part.kind, config, temporal=part.temporal)
    names = {rename(key, part.names): shape for key, shape in shapes_of(network).items()}
    state = {key: _numbers(key, shape, seed) for key, shape in names.items()}
    state |= {key: rotary_frequencies() for key in official_names.frequencies(names)}
    target = folder / part.files[0]
    _save(target, {WRAPPED[target.name]: state} if target.name in WRAPPED else state)
    _write_json(folder / part.config, config)


def official_config(part: NetworkPart, size: WeightSize) -> dict[str, Any]:
    """The makers' configuration, or the same with small numbers."""
    config = dict(part.default_config)
    small = {key: value for key, value in TINY[part.kind].items() if key in config}
    return {**config, **small} if size == "tiny" else config


def _write_rest(folder: Path, recipe: Contents, size: WeightSize, seed: int) -> None:
    """Text encoder, tokenizer and schedules."""
    config = {**TEXT_CONFIG, **TINY_TEXT} if size == "tiny" else TEXT_CONFIG
    shapes = shapes_of(make_network("CLIPTextModel", config))
    state = {
        f"text_model.{key.removeprefix('text_model.')}": _numbers(f"text {key}", shape, seed)
        for key, shape in shapes.items()
    }
    _save(folder / "text_encoder" / "model.safetensors", state)
    _write_json(folder / "text_encoder" / "config.json", config)
    write_tokenizer(folder / "tokenizer")
    for name, values in recipe.schedules.items():
        _write_json(folder / name / "scheduler_config.json", values)


def _write_image_encoder(folder: Path, size: WeightSize, seed: int) -> None:
    config = {**svd_configs.IMAGE_ENCODER, **(svd_configs.TINY_IMAGE_ENCODER if size == "tiny" else {})}
    shapes = shapes_of(make_network("CLIPVisionModelWithProjection", config))
    _save(folder / "model.safetensors", {key: _numbers(f"image {key}", shape, seed) for key, shape in shapes.items()})
    _write_json(folder / "config.json", config)


def _numbers(key: str, shape: tuple[int, ...], seed: int) -> Tensor:
    """The tensor of that name, in float16; it depends on seed, name and shape only."""
    chance = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(f"{seed} {key}".encode()).digest()[:7]))
    noise = torch.randn(shape, generator=chance)
    return (_center(key, shape) + _spread(key, shape) * noise).half()


def _center(key: str, shape: tuple[int, ...]) -> float:
    return 1.0 if len(shape) == 1 and key.endswith("weight") else 0.0


def _spread(key: str, shape: tuple[int, ...]) -> float:
    if len(shape) < 2:
        return 0.5 if "mix_factor" in key or key.endswith("alpha") else 0.02
    if ("embedding" in key and "time_embedding" not in key) or "relative_attention_bias" in key:
        return EMBEDDING_STD
    gain = NEW_GAIN if any(word in key for word in _NEW) else _GAIN
    return gain / math.sqrt(math.prod(shape[1:]))


def _save(path: Path, state: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        write_safetensors(path, state)
    else:
        torch.save(state, path)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(values), indent=2) + "\n", encoding="utf-8")
