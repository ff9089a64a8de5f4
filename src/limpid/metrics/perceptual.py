"""LPIPS and DISTS: distances between features of networks that were trained to classify pictures.

The weights are other people's files; see `limpid.metrics.entries_learned` for their names. They are read without
running what is in them. All is computed on the CPU in float32, a few frames at a time.

Sources: Zhang et al. 2018 (LPIPS, version 0.1), Ding et al. 2020 (DISTS). AlexNet is that of Krizhevsky 2014, VGG16
that of Simonyan and Zisserman 2014; layers are numbered as in torchvision, from which the weights come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from limpid.checkpoints.pickles import read_pickle
from limpid.metrics.files import stamp
from limpid.metrics.kinds import NotMeasurableError
from limpid.types import LimpidError

WeightTensors = dict[str, Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]

MAX_BATCH_PIXELS = 1 << 20
"""Pixels of a batch of frames; VGG16's first layer has 64 numbers for each of them, so that is 256 MB."""

# number of the layer: (channels in, channels out, kernel, stride, padding)
ALEXNET = {0: (3, 64, 11, 4, 2), 3: (64, 192, 5, 1, 2), 6: (192, 384, 3, 1, 1), 8: (384, 256, 3, 1, 1)}
ALEXNET[10] = (256, 256, 3, 1, 1)
ALEXNET_POOLED = (3, 6)
"""Layers that come behind a maximum over 3x3, every second pixel."""
ALEXNET_MIN_SIDE = 31
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
LPIPS_EPS = 1e-10

VGG16: tuple[tuple[tuple[int, int], ...], ...] = (
    ((0, 3), (2, 64)),
    ((5, 64), (7, 128)),
    ((10, 128), (12, 256), (14, 256)),
    ((17, 256), (19, 512), (21, 512)),
    ((24, 512), (26, 512), (28, 512)),
)
"""Five stages of convolutions 3x3: number of the layer, channels in."""
VGG16_WIDTHS = (64, 128, 256, 512, 512)
DISTS_FEATURES = 3 + sum(VGG16_WIDTHS)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DISTS_C = 1e-6
L2_EPS = 1e-12


# --------------------------------------------------------------------------------------------- files


def read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> WeightTensors:
    """Weights of a network: the named tensors as float32; others in the file are left alone.

    Raises NotMeasurableError where the file cannot be read, or lacks one of them in that shape with finite numbers.
    """
    found = read_tensors(path)
    weights: WeightTensors = {}
    for name, shape in shapes.items():
        tensor = found.get(name)
        if not isinstance(tensor, Tensor):
            raise NotMeasurableError(f"{path} has no {name}; it is another file than the one needed")
        if tuple(tensor.shape) != shape:
            raise NotMeasurableError(f"{path} has {name} of shape {tuple(tensor.shape)}, needed is {shape}")
        weights[name] = tensor.float()
        if not bool(torch.isfinite(weights[name]).all()):
            raise NotMeasurableError(f"{path} has numbers in {name} that are not finite")
    return weights


def read_tensors(path: Path) -> WeightTensors:
    """All tensors by name, without running what is in the file. Raises NotMeasurableError where it cannot be read."""
    found = _read(path)
    return {str(name): t for name, t in found.items() if isinstance(t, Tensor)} if isinstance(found, Mapping) else {}


def _read(path: Path) -> object:
    try:
        if path.suffix != ".safetensors":
            return read_pickle(path)
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise NotMeasurableError(f"{path} cannot be read: {error}") from error
    except LimpidError as error:
        raise NotMeasurableError(str(error)) from error


# --------------------------------------------------------------------------------------------- LPIPS


def lpips(a: np.ndarray, b: np.ndarray, backbone: Path, heads: Path) -> list[float]:
    """LPIPS v0.1 with AlexNet of each pair of frames; ``a``, ``b``: uint8 RGB ``t h w 3``, at least 31 pixels a side.

    Raises NotMeasurableError for smaller frames and for files that are not the weights.
    """
    if min(a.shape[1:3]) < ALEXNET_MIN_SIDE:
        raise NotMeasurableError(f"needs frames of at least {ALEXNET_MIN_SIDE} pixels a side")
    weights = _lpips_weights(*stamp(backbone), *stamp(heads))
    return _in_batches(lambda x, y: lpips_distance(x, y, weights), a, b)


@lru_cache(maxsize=1)
def _lpips_weights(backbone: Path, _: int, __: int, heads: Path, ___: int, ____: int) -> WeightTensors:
    return read_lpips(backbone, heads)


def read_lpips(backbone: Path, heads: Path) -> WeightTensors:
    """Weights for `lpips_distance` from the two files. Raises NotMeasurableError where they are not that."""
    layers = {f"features.{n}.weight": (out, width, k, k) for n, (width, out, k, _, _) in ALEXNET.items()}
    biases = {f"features.{n}.bias": (out,) for n, (_, out, _, _, _) in ALEXNET.items()}
    lines = {_head(i): (1, out, 1, 1) for i, (_, out, _, _, _) in enumerate(ALEXNET.values())}
    return read_weights(backbone, {**layers, **biases}) | read_weights(heads, lines)


def _head(number: int) -> str:
    return f"lin{number}.model.1.weight"


def lpips_distance(a: Tensor, b: Tensor, weights: WeightTensors) -> Tensor:
    """LPIPS of frames ``n 3 h w`` in [0, 1], ``n``: weighted squared differences of features of unit length."""
    total = a.new_zeros(len(a))
    pairs = zip(_alexnet(2 * a - 1, weights), _alexnet(2 * b - 1, weights), strict=True)
    for number, (x, y) in enumerate(pairs):
        total = total + F.conv2d((_unit(x) - _unit(y)) ** 2, weights[_head(number)]).mean((1, 2, 3))
    return total


def _unit(features: Tensor) -> Tensor:
    # unlike the root of a sum of squares, the norm of zeros has a derivative that is finite
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (length + LPIPS_EPS)


def _alexnet(frames: Tensor, weights: WeightTensors) -> list[Tensor]:
    """Features of AlexNet behind each of its five convolutions."""
    x, found = (frames - _colour(LPIPS_SHIFT, frames)) / _colour(LPIPS_SCALE, frames), []
    for number, (_, _, _, stride, padding) in ALEXNET.items():
        if number in ALEXNET_POOLED:
            x = F.max_pool2d(x, 3, 2)
        name = f"features.{number}"
        x = F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding))
        found.append(x)
    return found


# --------------------------------------------------------------------------------------------- DISTS


def dists(a: np.ndarray, b: np.ndarray, backbone: Path, heads: Path) -> list[float]:
    """DISTS of each pair of frames at their own size; ``a``, ``b``: uint8 RGB ``t h w 3``.

    Raises NotMeasurableError for files that are not the weights.
    """
    weights = _dists_weights(*stamp(backbone), *stamp(heads))
    return _in_batches(lambda x, y: dists_distance(x, y, weights), a, b)


@lru_cache(maxsize=1)
def _dists_weights(backbone: Path, _: int, __: int, heads: Path, ___: int, ____: int) -> WeightTensors:
    shapes: dict[str, tuple[int, ...]] = {}
    for stage, out in zip(VGG16, VGG16_WIDTHS, strict=True):
        for number, width in stage:
            shapes |= {f"features.{number}.weight": (out, width, 3, 3), f"features.{number}.bias": (out,)}
    shares = read_weights(heads, dict.fromkeys(("alpha", "beta"), (1, DISTS_FEATURES, 1, 1)))
    total = float(shares["alpha"].sum() + shares["beta"].sum())
    if total <= 0:
        raise NotMeasurableError(f"{heads} has alpha and beta whose sum is not positive")
    return read_weights(backbone, shapes) | {name: share.flatten() / total for name, share in shares.items()}


def dists_distance(a: Tensor, b: Tensor, weights: WeightTensors) -> Tensor:
    """DISTS of frames ``n 3 h w`` in [0, 1], ``n``: 1 - weighted similarity of means and of variations of features.

    ``alpha`` and ``beta`` of ``weights`` add up to one, so that the weighted sum of (1 - similarity) is the same.
    """
    total, start = a.new_zeros(len(a)), 0
    for x, y in zip(_vgg16(a, weights), _vgg16(b, weights), strict=True):
        part = slice(start, start + x.shape[1])
        start = part.stop
        texture, structure = _texture_and_structure(x, y)
        total = total + texture @ weights["alpha"][part] + structure @ weights["beta"][part]
    return total


def _texture_and_structure(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of features, ``n c``: 1 - similarity of the means, and of what varies about them."""
    mx, my = x.mean((2, 3), keepdim=True), y.mean((2, 3), keepdim=True)
    x, y = x - mx, y - my
    covariance, variances = (x * y).mean((2, 3)), x.square().mean((2, 3)) + y.square().mean((2, 3))
    mx, my = mx[..., 0, 0], my[..., 0, 0]
    means = (2 * mx * my + DISTS_C) / (mx.square() + my.square() + DISTS_C)
    return 1 - means, 1 - (2 * covariance + DISTS_C) / (variances + DISTS_C)


def _vgg16(frames: Tensor, weights: WeightTensors) -> list[Tensor]:
    """Features of VGG16: the frames themselves, then those at the end of each of the five stages."""
    found = [frames]
    x = (frames - _colour(IMAGENET_MEAN, frames)) / _colour(IMAGENET_STD, frames)
    for number, stage in enumerate(VGG16):
        x = _l2_pool(x) if number else x
        for layer, _ in stage:
            name = f"features.{layer}"
            x = F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1))
        found.append(x)
    return found


def _l2_pool(x: Tensor) -> Tensor:
    """Pooling to half the size, in place of VGG's maximum.

    It is the root of the mean square under a Hann window of 3x3 (1 2 1, twice).
    """
    line = x.new_tensor([0.25, 0.5, 0.25])
    window = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + L2_EPS).sqrt()


# --------------------------------------------------------------------------------------------- frames


def _colour(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return like.new_tensor(values).view(1, 3, 1, 1)


@torch.no_grad()
def _in_batches(distance: Distance, a: np.ndarray, b: np.ndarray) -> list[float]:
    step = max(1, MAX_BATCH_PIXELS // (a.shape[1] * a.shape[2]))
    values: list[float] = []
    for n in range(0, len(a), step):
        values += distance(_tensor(a[n : n + step]), _tensor(b[n : n + step])).tolist()
    return values


def _tensor(frames: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(frames, np.float32)).permute(0, 3, 1, 2) / 255
