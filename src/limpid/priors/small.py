"""`small`: a network of plain convolutions at the size of the input; sharper than `tiny`, and slower.

All of its work is done at single LR pixels, where what a codec did can be told from what was filmed; `tiny` works at a
quarter of the positions. Its form is that of the compact networks of Real-ESRGAN (Wang et al. 2021): one convolution
after the other with a learned slope for what is negative, and the pixels of the result as channels of the last. Two
things are added. The first layer is told where in the codec's 8x8 blocks a pixel lies, see `limpid.priors.cleaned`. And
some layers read a few channels of the frames before and after, beside their own.

There is no noise in it: one call makes what bicubic upscaling misses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.bounded import check_fields, cut, items, json_object, parse_json
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.method import Direct
from limpid.networks.temporal.shift import with_neighbours
from limpid.priors.cleaned import CODEC_BLOCK_PX, tiled_places
from limpid.priors.patch_frames import PatchDirect, Residuals
from limpid.priors.tiny import bicubic_patches, fill, save_weights
from limpid.types import Prediction, Scene, Step, Tile, WeightsError, Window

_MOST_LAYERS, _MOST_CHANNELS = 64, 1024
_LAYOUT = torch.channels_last


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallConfig:
    """Shape of the network; stored in the header of the weight file."""

    channels: int = 64
    layers: int = 16
    """Convolutions between the first and the last."""
    mixing: tuple[int, ...] = (3, 6, 9, 12)
    """Those of them that read the neighbours; each widens the field of view by one frame a side."""
    mixed_channels: int = 8
    """How many channels of either neighbour they read."""
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
        return len(self.mixing)

    @property
    def work_bytes_per_px(self) -> int:
        """What a clip takes per LR pixel at most as it goes through frame by frame, float32: two frames at each layer
        that mixes time, and four where there is work."""
        return 4 * (2 * len(self.mixing) + 4) * self.channels


class SmallNetwork(nn.Module):
    """What bicubic upscaling misses of LR frames, in patch space."""

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        width, more, side = config.channels, 2 * config.mixed_channels, config.grid_px
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Conv2d(width + (more if n in config.mixing else 0), width, 3, padding=1) for n in range(config.layers)
        )
        self.leave = nn.Conv2d(width, 3 * config.scale**2, 3, padding=1)
        self.slopes = nn.Parameter(torch.full((config.layers + 1, width), 0.1))
        self.place = nn.Parameter(torch.zeros(width, side, side))

    def places(self, height: int, width: int) -> Tensor:
        """What is added to the first layer of a picture with a block in its top left corner, ``1 c h w``."""
        return tiled_places(self.place, height, width)

    def forward(self, lr: Tensor, frames: int, places: Tensor | None = None) -> Tensor:
        """LR frames ``(b t) 3 h w`` in [0, 1] -> residuals ``(b t) 3 s^2 h w`` (`F.pixel_unshuffle`).

        ``places``: of each picture or of all, as `places` gives them; None where nothing is known of the blocks.
        """
        x = self.enter(lr)
        x = negative_slope(x if places is None else x + places, self.slopes[0])
        for n, layer in enumerate(self.body):
            if n in self.config.mixing:
                x = with_neighbours(x, frames, self.config.mixed_channels)
            x = negative_slope(layer(x), self.slopes[n + 1])
        out: Tensor = self.leave(x)
        return out


def negative_slope(x: Tensor, slopes: Tensor) -> Tensor:
    """What is negative times the slope of its channel, as `F.prelu`, whose gradient takes four times as long."""
    return F.relu(x) - slopes.to(x.dtype)[:, None, None] * F.relu(-x)


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallCondition:
    """LR frames ``t 3 h w`` whose top left corner is that of a block, and what of them is only there for that."""

    lr: Tensor
    above_px: int = 0
    before_px: int = 0

    def crop(self, window: Window, tile: Tile) -> SmallCondition:
        top, left = self.above_px + tile.top, self.before_px + tile.left
        above, before = top % CODEC_BLOCK_PX, left % CODEC_BLOCK_PX
        rows = slice(top - above, self.above_px + tile.bottom)
        columns = slice(left - before, self.before_px + tile.right)
        part = self.lr[window.start : window.stop, :, rows, columns]
        return SmallCondition(lr=part, above_px=above, before_px=before)


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
        return SmallCondition(lr=lr.to(self.device))

    def encode(self, condition: SmallCondition) -> Tensor:
        raise NotImplementedError("small starts from nothing but the frames")

    def denoise(self, z: Tensor, step: Step, condition: SmallCondition) -> Prediction:
        """The finished frames as latents ``1 3s^2 t h w``; ``z`` says nothing."""
        base = bicubic_patches(condition.lr, self.scale, self.config.patch_px)
        for frame, residual in zip(base, self.residuals(frame[None] for frame in condition.lr), strict=True):
            frame.add_(residual.permute(2, 0, 1))
        latents = base[..., condition.above_px :, condition.before_px :].transpose(0, 1)[None]
        return Prediction(x0=latents, eps=latents.new_zeros(1).expand_as(latents))

    def decode(self, z: Tensor, condition: SmallCondition) -> Tensor:
        return F.pixel_shuffle(z[0].transpose(0, 1), self.scale)

    def direct(self, step: Step) -> Direct:
        return PatchDirect(self.config, self.device, self.residuals)


class SmallConvolutions:
    """The network frame after frame, in PyTorch: `limpid.priors.patch_frames.Residuals`.

    A layer that mixes time holds a frame and a few channels of the one before, so the memory of a call depends on the
    picture and not on how many frames come. Nothing else is held between two frames: `map` keeps no reference to what
    it has been given, as a loop with ``yield`` would.
    """

    def __init__(self, network: SmallNetwork) -> None:
        """``network``: on the device and in the number format that it is to run in."""
        self.network = network.to(memory_format=_LAYOUT).eval().requires_grad_(False)  # type: ignore[call-overload]
        self._places = lru_cache(1)(network.places)

    def __call__(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        config = self.network.config
        starts = sorted({0, *config.mixing, config.layers})
        features: Iterator[Tensor] = map(self._entered, frames)
        for start, stop in pairwise(starts):
            mixed = mixed_with_neighbours(features, config.mixed_channels) if start in config.mixing else features
            features = map(partial(self._through, start, stop), mixed)
        return map(self._left, features)

    def _entered(self, lr: Tensor) -> Tensor:
        x = self.network.enter(lr.to(self.network.place).contiguous(memory_format=_LAYOUT))
        return F.prelu(x.add_(self._places(*lr.shape[-2:])), self.network.slopes[0])

    def _through(self, start: int, stop: int, x: Tensor) -> Tensor:
        for n in range(start, stop):
            x = F.prelu(self.network.body[n](x), self.network.slopes[n + 1])
        return x

    def _left(self, x: Tensor) -> Tensor:
        out: Tensor = self.network.leave(x)[0].permute(1, 2, 0)
        return out


def mixed_with_neighbours(frames: Iterator[Tensor], channels: int) -> Iterator[Tensor]:
    """Frames ``1 c h w`` as `limpid.networks.temporal.shift.with_neighbours` makes them of a clip: one frame behind."""
    here = next(frames, None)
    before = None if here is None else here[:, :channels]
    while here is not None and before is not None:
        after = next(frames, None)
        yield _beside(here, before, here if after is None else after)
        before, here = here[:, :channels].clone(), after


def _beside(here: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Written with slice copies because concatenating on the channel axis may lose the channels_last layout."""
    channels, width = before.shape[1], here.shape[1]
    shape = (1, width + 2 * channels, *here.shape[-2:])
    mixed = torch.empty(shape, dtype=here.dtype, device=here.device, memory_format=_LAYOUT)
    mixed[:, :width] = here
    mixed[:, width : width + channels] = before
    mixed[:, width + channels :] = after[:, channels : 2 * channels]
    return mixed


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
        config = SmallConfig(**{**values, "mixing": tuple(items(values["mixing"], most=_MOST_LAYERS))})
        check_fields(config, most=_MOST_CHANNELS)
        _check_sizes(config)
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} has no weights of small that can be used: {cut(str(error), 200)}") from error
    return config


def _check_sizes(config: SmallConfig) -> None:
    known = config.layers <= _MOST_LAYERS and config.grid_px == CODEC_BLOCK_PX and 1 <= config.scale <= 16
    mixed = 2 * config.mixed_channels <= config.channels and all(n < config.layers for n in config.mixing)
    if not known or not mixed or config.channels < 1:
        raise ValueError("a network of this size is not known")


def load_small(path: Path) -> SmallNetwork:
    """Read a network written by `save_small`. Raises WeightsError."""
    network = SmallNetwork(read_small_config(path))
    fill(network, path)
    return network
