"""`small`: a network of plain convolutions at the size of the input; sharper than `tiny`, and slower.

All of its work is done at single LR pixels, where what a codec did can be told from what was filmed; `tiny` works at a
quarter of the positions. Its form is that of the compact networks of Real-ESRGAN (Wang et al. 2021): one convolution
after the other with a learned slope for what is negative, and the pixels of the result as channels of the last. Two
things are added to what the first layer reads: where in the codec's 8x8 blocks a pixel lies, see
`limpid.priors.cleaned`, and the neighbouring frames, moved onto the frame along optical flow (`limpid.flow.aligned`).

There is no noise in it: one call makes what bicubic upscaling misses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.bounded import check_fields, cut, items, json_object, parse_json
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.method import Direct
from limpid.priors.cleaned import CODEC_BLOCK_PX, tiled_places
from limpid.priors.patch_frames import PatchDirect, Residuals
from limpid.priors.tiny import bicubic_patches, fill, save_weights
from limpid.types import Prediction, Scene, Step, Tile, WeightsError, Window

_MOST_LAYERS, _MOST_CHANNELS = 64, 1024
_MOST_DISTANCE = 8
_LAYOUT = torch.channels_last
DIFFERENCE_UNITS = 32
"""What is told of neighbours, in these parts of the range: they differ by little, and weights stay of one size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallConfig:
    """Shape of the network; stored in the header of the weight file."""

    channels: int = 64
    layers: int = 16
    """Convolutions between the first and the last."""
    neighbours: tuple[int, ...] = (-2, -1, 1, 2)
    """Frames that the first layer reads beside each frame, by their distance; see `limpid.cuts.base.Cuts`."""
    grid_px: int = CODEC_BLOCK_PX
    """Side of the codec's blocks in which the network is told the place."""
    scale: int = 4

    patch_px = 1
    """LR pixels per place of the result, along one axis; see `limpid.priors.patch_frames.PatchFrame`."""

    @property
    def radius_px(self) -> int:
        """The reach of one evaluation, LR pixels a side."""
        return self.layers + 2

    @property
    def radius_frames(self) -> int:
        return max(map(abs, self.neighbours), default=0)

    @property
    def work_bytes_per_px(self) -> int:
        """What the work on one frame takes per LR pixel at most, float32; half of it must hold what it takes with half
        the bytes, where what is told is still float32. Measured: 1.6 kB, in bfloat16 1.1."""
        return 4 * (9 * self.channels + 2 * self.told_channels)

    @property
    def told_channels(self) -> int:
        """Channels of what the first layer reads: the colours, and what is told of the neighbours."""
        return 3 + 3 * len(self.neighbours)


class SmallNetwork(nn.Module):
    """What bicubic upscaling misses of LR frames, in patch space."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        width, side = config.channels, config.grid_px
        self.enter = nn.Conv2d(config.told_channels, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(config.layers))
        self.leave = nn.Conv2d(width, 3 * config.scale**2, 3, padding=1)
        self.slopes = nn.Parameter(torch.full((config.layers + 1, width), 0.1))
        self.place = nn.Parameter(torch.zeros(width, side, side))

    def places(self, height: int, width: int) -> Tensor:
        """What is added to the first layer of a picture with a block in its top left corner, ``1 c h w``."""
        return tiled_places(self.place, height, width)

    def forward(self, told: Tensor, places: Tensor | None = None) -> Tensor:
        """Frames ``n c h w`` -> residuals ``n 3 s^2 h w`` (`F.pixel_unshuffle`).

        ``told``: LR frames in [0, 1], behind them by how much their neighbours differ (`limpid.flow.aligned`).
        ``places``: of each picture or of all, as `places` gives them; None where nothing is known of the blocks.
        """
        x = self.enter(in_units(told))
        x = negative_slope(x if places is None else x + places, self.slopes[0])
        for layer, slopes in zip(self.body, self.slopes[1:], strict=True):
            x = negative_slope(layer(x), slopes)
        out: Tensor = self.leave(x)
        return out


def in_units(told: Tensor) -> Tensor:
    """What the first layer reads, ``n c h w``: differences of neighbours in `DIFFERENCE_UNITS`."""
    return torch.cat([told[:, :3], told[:, 3:] * DIFFERENCE_UNITS], 1)


def negative_slope(x: Tensor, slopes: Tensor) -> Tensor:
    """What is negative times the slope of its channel, as `F.prelu`, whose gradient takes four times as long."""
    return F.relu(x) - slopes.to(x.dtype)[:, None, None] * F.relu(-x)


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallCondition:
    """Frames whose top left corner is that of a block, and what of them is only there for that."""

    told: Tensor
    """``t c h w``, as `SmallNetwork.forward` reads them."""
    above_px: int = 0
    before_px: int = 0

    def crop(self, window: Window, tile: Tile) -> SmallCondition:
        top, left = self.above_px + tile.top, self.before_px + tile.left
        above, before = top % CODEC_BLOCK_PX, left % CODEC_BLOCK_PX
        rows = slice(top - above, self.above_px + tile.bottom)
        columns = slice(left - before, self.before_px + tile.right)
        part = self.told[window.start : window.stop, :, rows, columns]
        return SmallCondition(told=part, above_px=above, before_px=before)


class SmallPrior:
    """The prior of `small` (a `limpid.method.Prior`): what it "predicts" is the finished frame.

    The latent is that frame with the pixels of each LR pixel as channels, as in `limpid.priors.image.ImagePrior`.
    """

    def __init__(self, config: SmallConfig, residuals: Residuals, device: torch.device) -> None:
        """``residuals``: what computes the network, frame after frame."""
        self.config, self.residuals, self.device = config, residuals, device
        self.scale, self.latent_channels = config.scale, 1
        self.warnings: tuple[str, ...] = ()

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return height, width

    def condition(self, lr: Tensor, scene: Scene | None = None) -> SmallCondition:
        """The frames themselves; nothing but the pixels matters here, ``scene`` is not used."""
        return SmallCondition(told=lr.to(self.device))

    def encode(self, condition: SmallCondition) -> Tensor:
        raise NotImplementedError("small starts from nothing but the frames")

    def denoise(self, z: Tensor, step: Step, condition: SmallCondition) -> Prediction:
        """The finished frames as latents ``1 3s^2 t h w``; ``z`` says nothing."""
        told = condition.told
        base = bicubic_patches(told[:, :3], self.scale, self.config.patch_px)
        for frame, residual in zip(base, self.residuals(each[None] for each in told), strict=True):
            frame.add_(residual.permute(2, 0, 1))
        latents = base[..., condition.above_px :, condition.before_px :].transpose(0, 1)[None]
        return Prediction(x0=latents, eps=latents.new_zeros(1).expand_as(latents))

    def decode(self, z: Tensor, condition: SmallCondition) -> Tensor:
        return F.pixel_shuffle(z[0].transpose(0, 1), self.scale)

    def direct(self, step: Step) -> Direct:
        return PatchDirect(self.config, self.device, self.residuals)


class SmallConvolutions:
    """The network frame after frame, in PyTorch: `limpid.priors.patch_frames.Residuals`.

    `map` keeps no reference to what it has been given, as a loop with ``yield`` would.
    """

    def __init__(self, network: SmallNetwork) -> None:
        """``network``: on the device and in the number format that it is to run in."""
        self.network = network.to(memory_format=_LAYOUT).eval().requires_grad_(False)  # type: ignore[call-overload]
        self._places = lru_cache(1)(network.places)

    def __call__(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        return map(self._residual, frames)

    def _residual(self, told: Tensor) -> Tensor:
        """The slow twin is `SmallNetwork.forward`."""
        network, places = self.network, self._places(*told.shape[-2:])
        x = network.enter(in_units(told).to(network.place).contiguous(memory_format=_LAYOUT))
        x = F.prelu(x.add_(places), network.slopes[0])
        for layer, slopes in zip(network.body, network.slopes[1:], strict=True):
            x = F.prelu(layer(x), slopes)
        out: Tensor = network.leave(x)[0].permute(1, 2, 0)
        return out


def save_small(network: SmallNetwork, path: Path) -> None:
    """Write weights (float32) with the configuration in the header."""
    save_weights(network, path, "small", asdict(network.config))


def read_small_config(path: Path) -> SmallConfig:
    """The configuration in the header of a weight file; reads no tensor. Raises WeightsError."""
    header = SafetensorsFile(path).file.metadata() or {}
    if "small" not in header:
        raise WeightsError(f"{path} has no weights of small, by its header; weights of tiny need the method tiny")
    try:
        values = json_object(parse_json(header["small"]))
        config = SmallConfig(**{**values, "neighbours": tuple(items(values["neighbours"], most=2 * _MOST_DISTANCE))})
        check_fields(config, least=-_MOST_DISTANCE, most=_MOST_CHANNELS)
        _check_sizes(config)
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} has no weights of small that can be used: {cut(str(error), 200)}") from error
    return config


def _check_sizes(config: SmallConfig) -> None:
    known = 0 <= config.layers <= _MOST_LAYERS and config.grid_px == CODEC_BLOCK_PX and 1 <= config.scale <= 16
    near = all(0 < abs(distance) <= _MOST_DISTANCE for distance in config.neighbours)
    if not known or not near or config.channels < 1:
        raise ValueError("a network of this size is not known")


def load_small(path: Path) -> SmallNetwork:
    """Read a network written by `save_small`. Raises WeightsError."""
    network = SmallNetwork(read_small_config(path))
    fill(network, path)
    return network
