"""Features of frames by the image half of CLIP ViT-B/32, and VBench's background consistency of them.

The network is that of Radford et al. 2021; names of tensors are those of transformers, from whose checkpoint
``openai/clip-vit-base-patch32`` the weights come. On the CPU, in float32.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.metrics.files import stamp
from limpid.metrics.kinds import NotMeasurableError
from limpid.metrics.perceptual import WeightTensors, read_weights

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
BATCH = 16
HEAD = 64
"""Channels of an attention head in every CLIP."""


class Shape(NamedTuple):
    """Sizes of the network: ``side`` and ``patch`` in pixels, the others in channels."""

    side: int
    patch: int
    width: int
    inner: int
    layers: int
    out: int


VIT_B32 = Shape(side=224, patch=32, width=768, inner=3072, layers=12, out=512)


def background_consistency(features: Tensor) -> list[float]:
    """VBench's background consistency: the mean of each frame's cosines with the frame before and with the first.

    One number for each frame but the first; cosines below 0 count as 0.
    ``features``: of unit length, ``t c``. Source: VBench. Raises NotMeasurableError below two frames.
    """
    if len(features) < 2:
        raise NotMeasurableError("needs at least two frames")
    before = (features[1:] * features[:-1]).sum(1).clamp(min=0)
    first = (features[1:] @ features[0]).clamp(min=0)
    values: list[float] = ((before + first) / 2).tolist()
    return values


@torch.no_grad()
def clip_features(frames: np.ndarray, path: Path, shape: Shape) -> Tensor:
    """Features of unit length ``t out`` of RGB uint8 frames ``t h w 3``; the path is that of the weights.

    Raises NotMeasurableError where the file is not that of this network.
    """
    weights = _weights(*stamp(path), shape)
    parts = [frames[n : n + BATCH] for n in range(0, len(frames), BATCH)]
    return torch.cat(
        [F.normalize(encode_pictures(clip_pixels(part, shape.side), weights, shape), dim=-1) for part in parts]
    )


def clip_pixels(frames: np.ndarray, side: int) -> Tensor:
    """Frames as CLIP takes them, ``t 3 side side``.

    The shorter side by bicubic without antialiasing, rounded; the centre; CLIP's colours.
    """
    h, w = frames.shape[1:3]
    size = [int(side * length / min(h, w)) for length in (h, w)]
    small = []
    for frame in frames:  # one at a time: floats of a whole clip of large frames would be much
        x = torch.from_numpy(np.array(frame, np.float32)).permute(2, 0, 1)[None]
        x = F.interpolate(x, size, mode="bicubic", align_corners=False).clamp(0, 255).round()
        top, left = (round((length - side) / 2) for length in size)
        small.append(x[..., top : top + side, left : left + side])
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (torch.cat(small) / 255 - mean) / std


def encode_pictures(pictures: Tensor, weights: WeightTensors, shape: Shape) -> Tensor:
    """Features of prepared pictures, as CLIP's ``encode_image``: ``n 3 side side`` -> ``n out``."""
    patches = F.conv2d(pictures, weights["vision_model.embeddings.patch_embedding.weight"], stride=shape.patch)
    tokens = patches.flatten(2).transpose(1, 2)
    start = weights["vision_model.embeddings.class_embedding"].expand(len(tokens), 1, -1)
    x = torch.cat([start, tokens], 1) + weights["vision_model.embeddings.position_embedding.weight"]
    x = _norm(x, weights, "vision_model.pre_layrnorm")
    for number in range(shape.layers):
        layer = f"vision_model.encoder.layers.{number}"
        x = x + _attention(_norm(x, weights, f"{layer}.layer_norm1"), weights, f"{layer}.self_attn")
        inner = _linear(_norm(x, weights, f"{layer}.layer_norm2"), weights, f"{layer}.mlp.fc1")
        x = x + _linear(inner * torch.sigmoid(1.702 * inner), weights, f"{layer}.mlp.fc2")
    return _norm(x[:, 0], weights, "vision_model.post_layernorm") @ weights["visual_projection.weight"].T


def _attention(x: Tensor, weights: WeightTensors, name: str) -> Tensor:
    heads = (len(x), x.shape[1], -1, HEAD)
    q, k, v = (_linear(x, weights, f"{name}.{part}_proj").reshape(heads).transpose(1, 2) for part in ("q", "k", "v"))
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    return _linear(mixed, weights, f"{name}.out_proj")


def _norm(x: Tensor, weights: WeightTensors, name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])


def _linear(x: Tensor, weights: WeightTensors, name: str) -> Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


@lru_cache(maxsize=1)
def _weights(path: Path, _: int, __: int, shape: Shape) -> WeightTensors:
    return read_weights(path, _shapes(shape))


def _shapes(s: Shape) -> dict[str, tuple[int, ...]]:
    """Shapes of every tensor of the image half, by their names."""
    w, embeddings = s.width, "vision_model.embeddings"
    lines = {"visual_projection": (s.out, w)}
    norms = ["vision_model.pre_layrnorm", "vision_model.post_layernorm"]
    for layer in (f"vision_model.encoder.layers.{n}" for n in range(s.layers)):
        norms += [f"{layer}.layer_norm1", f"{layer}.layer_norm2"]
        lines |= {f"{layer}.self_attn.{part}_proj": (w, w) for part in ("q", "k", "v", "out")}
        lines |= {f"{layer}.mlp.fc1": (s.inner, w), f"{layer}.mlp.fc2": (w, s.inner)}
    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in lines.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in lines.items() if name != "visual_projection"}
    shapes |= {f"{name}.{part}": (w,) for name in norms for part in ("weight", "bias")}
    shapes[f"{embeddings}.class_embedding"] = (w,)
    shapes[f"{embeddings}.patch_embedding.weight"] = (w, 3, s.patch, s.patch)
    shapes[f"{embeddings}.position_embedding.weight"] = ((s.side // s.patch) ** 2 + 1, w)
    return shapes
