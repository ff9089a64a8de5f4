"""`tiny`: a small residual diffusion model for plain CPUs, in the patch space of the picture.

The latent is what bicubic upscaling misses: ``HR - bicubic(LR)``, cut into patches of ``8x8`` output pixels (``2x2`` LR
pixels), so one latent pixel has 192 channels and the canvas is half the LR size. Most of the work happens there, at a
few thousand positions per frame. Noise follows EDM (Karras et al. 2022): ``z = x0 + sigma eps``.

Two choices make a small network enough. The latent is the DCT of the patch in opponent colours: an orthonormal change
of basis, so white noise stays white, but the scene's energy gathers in few of the 192 coefficients. And the network
says what it expects, ``m``, and how sure it is, ``s``, per coefficient and place; the prediction is the Wiener
estimate ``x0 = m + s^2 / (s^2 + sigma^2) (z - m)``, exact if the unknown part were Gaussian. So nothing has to be
learned to get rid of noise: flat places ignore ``z``, textured ones follow it, and one step from pure noise is a
plain regression.
Time is mixed by shifting a few channels one frame back and forth (TSM, Lin et al. 2019): free of arithmetic, and the
field of view is exactly one frame a side per shift.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.bounded import check_fields, cut, items, json_object, parse_json, real
from limpid.checkpoints.tensor_files import SafetensorsFile
from limpid.diffusion.parametrisations import from_x0
from limpid.method import Direct
from limpid.networks.temporal.shift import shift_time
from limpid.types import Prediction, Scene, Step, Tile, WeightsError, Window

MOST_BLOCKS, MOST_CHANNELS = 64, 4096
"""Largest numbers of blocks and channels of a network whose form stands in a file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyConfig:
    """Shape of the network and of its latent space; stored in the header of the weight file."""

    channels: int = 64
    blocks: int = 10
    shifts: tuple[int, ...] = (1, 3, 5, 7)
    """Blocks that mix time; each widens the field of view by one frame a side."""
    shift_fraction: int = 8
    """Channels per shifted channel: one part in so many comes from the previous frame, and as many from the next."""
    patch_px: int = 2
    """LR pixels per latent pixel, along one axis."""
    scale: int = 4
    latent_scale: float = 8.0
    """Factor from a residual in [-1, 1] to the latent, so that its standard deviation is about 0.5."""

    @property
    def latent_channels(self) -> int:
        return 3 * (self.patch_px * self.scale) ** 2

    @property
    def radius_px(self) -> int:
        """The reach of one evaluation, LR pixels a side: two 3x3 convolutions per block, one before and one after."""
        return self.patch_px * (2 * self.blocks + 2)

    @property
    def radius_frames(self) -> int:
        return len(self.shifts)


class TinyBlock(nn.Module):
    """Residual block of two 3x3 convolutions; the noise level is a bias in the middle."""

    def __init__(self, channels: int, shift: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.noise_bias = nn.Linear(channels, channels)
        self.shift = shift

    def forward(self, x: Tensor, noise: Tensor, frames: int) -> Tensor:
        """``x``: (b t) c h w; ``noise``: (b t) c or 1 c, the embedded noise level."""
        h = self.conv1(shift_time(x, frames, self.shift) if self.shift else x)
        h = F.relu(h.add_(self.noise_bias(noise)[:, :, None, None]), inplace=True)
        out: Tensor = x + self.conv2(h)
        return out


class TinyNetwork(nn.Module):
    """The network of `tiny`: LR frames and noisy residual, both in patch space -> mean and spread of the residual."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        width, shift = config.channels, config.channels // config.shift_fraction
        self.conv_lr = nn.Conv2d(3 * config.patch_px**2, width, 3, padding=1)
        self.conv_z = nn.Conv2d(config.latent_channels, width, 1)
        self.noise = nn.Sequential(nn.Linear(2 * NOISE_FREQUENCIES, width), nn.SiLU())
        self.blocks = nn.ModuleList(TinyBlock(width, shift if i in config.shifts else 0) for i in range(config.blocks))
        self.conv_out = nn.Conv2d(width, config.latent_channels, 3, padding=1)
        self.conv_spread = nn.Conv2d(width, 3, 3, padding=1)
        self.data_scale: Tensor
        self.register_buffer("data_scale", torch.ones(config.latent_channels))
        """Standard deviation of each latent channel over the training data; the unit of the output."""
        self.spread_scale: Tensor
        self.register_buffer("spread_scale", torch.ones(config.latent_channels))
        """Typical error of a one-step prediction in each latent channel; the unit of the spread."""

    def forward(self, lr: Tensor, z: Tensor, sigma: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """Mean and spread: what is expected of the residual and how uncertain it is.

        ``lr``: (b t) 12 h w around 0; ``z``: (b t) 192 h w; ``sigma``: (b t) or 1. Returns the mean (b t) 192 h w in
        units of `data_scale`, and the logarithm of the spread, (b t) 3 h w for the three colour coefficients.
        """
        # c_noise, embedded; the noisy latent is scaled down by as much as it is noise (c_in)
        noise = self.noise(noise_features(sigma).to(lr.dtype))
        spread = self.spread_scale.float()[:, None, None]
        x = self.conv_lr(lr) + self.conv_z((z * (spread / (sigma[:, None, None, None] ** 2 + spread**2))).to(lr.dtype))
        for block in self.blocks:
            x = block(x, noise, frames)
        return self.conv_out(x), self.conv_spread(x)


NOISE_FREQUENCIES = 8


def noise_features(sigma: Tensor) -> Tensor:
    """Features of a noise level that the network is told: sines of ``ln(sigma) / 4``, EDM's c_noise; n -> n 16."""
    c_noise = sigma.float().log()[:, None] / 4
    frequencies = torch.arange(1, NOISE_FREQUENCIES + 1, device=sigma.device) * (torch.pi / 4)
    return torch.cat([torch.sin(c_noise * frequencies), torch.cos(c_noise * frequencies)], dim=1)


MeanAndSpread = Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""What computes `TinyNetwork.forward`: the network itself, or what does so in another runtime."""


def wiener_prediction(
    network: TinyNetwork, z: Tensor, sigma: Tensor, lr: Tensor, frames: int, compute: MeanAndSpread | None = None
) -> Tensor:
    """The clean latent that the network sees in ``z``: ``m + s^2 / (s^2 + sigma^2) (z - m)``.

    Args:
        z: noisy latent, ``(b t) 192 h w``.
        sigma: noise level per picture, ``(b t)`` or ``1``.
        lr: LR frames in patch space, around 0, ``(b t) 12 h w``.
        compute: what computes mean and spread in place of the network.
    """
    # m, and ln s
    raw, log_spread = (compute or network)(lr, z, sigma, frames)
    mean: Tensor = raw.to(z.dtype).mul_(network.data_scale.to(z.dtype)[:, None, None])
    # s^2 / (s^2 + sigma^2) is a logistic function of the logarithm of the ratio
    log_ratio = 2 * log_spread.to(z.dtype) - 2 * sigma.log()[:, None, None, None]
    per_color = network.config.latent_channels // 3
    gain = log_ratio.repeat_interleave(per_color, dim=1)
    gain = gain.add_(2 * network.spread_scale.to(z.dtype).log()[:, None, None]).sigmoid_()
    return torch.lerp(mean, z, gain)


def bicubic_taps(scale: int, a: float = -0.75) -> Tensor:
    """Weights of the LR pixels -2..2 around each of the ``scale`` output pixels of one LR pixel: ``scale 5``, float64.

    Keys' kernel with the slope that OpenCV and PyTorch use.
    """
    phase = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    d = (phase[:, None] - torch.arange(-2, 3)[None]).abs()
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def bicubic_reach(patch_px: int) -> int:
    """Patches a side that bicubic upscaling of a patch reads: it looks two LR pixels far."""
    return -(-2 // patch_px)


@cache
def bicubic_weight(scale: int, patch_px: int) -> Tensor:
    """Bicubic upscaling as a convolution from patches to patches: ``3 (scale patch)^2, 3 patch^2, k, k``, with ``k``
    of 3 or, for patches of one pixel, 5."""
    taps, p, reach = bicubic_taps(scale), patch_px, bicubic_reach(patch_px)
    axis = torch.zeros(scale * p, 2 * reach + 1, p, dtype=torch.float64)  # output pixel; patch; LR pixel in it
    for out in range(scale * p):
        for tap in range(5):
            patch, inside = divmod(out // scale + tap - 2, p)
            axis[out, patch + reach, inside] += taps[out % scale, tap]
    both = torch.einsum("yui,xvj,cd->cyxdijuv", axis, axis, torch.eye(3, dtype=torch.float64))
    kernel = both.reshape(3 * (scale * p) ** 2, 3 * p * p, 2 * reach + 1, 2 * reach + 1)
    return kernel.float().contiguous(memory_format=torch.channels_last)


def bicubic_patches(lr: Tensor, scale: int, patch_px: int) -> Tensor:
    """Bicubic upscaling in patch space, ``t 3 h w`` -> ``t 3 (scale patch)^2 h/patch w/patch``.

    ``F.pixel_shuffle`` of it equals ``F.interpolate(mode="bicubic")``; on CPUs it is several times faster, and the
    residual can be added before the one pass over the large picture.
    """
    around = patch_px * bicubic_reach(patch_px)
    patches = F.pixel_unshuffle(F.pad(lr, (around,) * 4, mode="replicate"), patch_px)
    patches = patches.contiguous(memory_format=torch.channels_last)
    return F.conv2d(patches, bicubic_weight(scale, patch_px).to(lr))


@cache
def patch_basis(size: int) -> Tensor:
    """Orthonormal basis of ``3 size size`` patches, rows: colour (sum, two differences), then DCT-II row and column."""
    i = torch.arange(size, dtype=torch.float64)
    dct = torch.cos(torch.pi / size * (i[None] + 0.5) * i[:, None]) * (2 / size) ** 0.5
    dct[0] /= 2**0.5
    colors = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64)
    colors /= colors.norm(dim=1, keepdim=True)
    rows = torch.einsum("kc,ui,vj->kuvcij", colors, dct, dct)
    return rows.reshape(3 * size * size, 3 * size * size).float()


def to_latent(residual: Tensor, config: TinyConfig) -> Tensor:
    """Latent pictures from a residual in patch space, ``t 192 h w`` (`F.pixel_unshuffle`), of the same shape."""
    basis = patch_basis(config.patch_px * config.scale).to(residual)
    return F.conv2d(residual, (basis * config.latent_scale)[..., None, None])


def from_latent(pictures: Tensor, config: TinyConfig) -> Tensor:
    """Residual in patch space from latent pictures: the inverse of `to_latent`."""
    basis = patch_basis(config.patch_px * config.scale).to(pictures)
    return F.conv2d(pictures, (basis.T / config.latent_scale)[..., None, None])


def residual_picture(pictures: Tensor, config: TinyConfig) -> Tensor:
    """The residual that latent pictures stand for, ``t 192 h w`` -> ``t 3 8h 8w``, in their unit; it keeps norms.

    A patch cannot be moved by part of itself; the residual that it was cut from can.
    """
    return F.pixel_shuffle(from_latent(pictures, config) * config.latent_scale, config.patch_px * config.scale)


@dataclass(frozen=True, kw_only=True, slots=True)
class TinyCondition:
    """A condition: LR frames ``t 3 h w`` in [0, 1], padded to whole patches, and the same in patch space around 0."""

    lr: Tensor
    patches: Tensor
    patch_px: int

    def crop(self, window: Window, tile: Tile) -> TinyCondition:
        """The part under a window of frames and a tile of the latent canvas; the whole is returned as it is."""
        t, _, h, w = self.patches.shape
        if (window.start, window.stop, tile.top, tile.bottom, tile.left, tile.right) == (0, t, 0, h, 0, w):
            return self
        p, frames = self.patch_px, slice(window.start, window.stop)
        lr = self.lr[frames, :, tile.top * p : tile.bottom * p, tile.left * p : tile.right * p]
        patches = self.patches[frames, :, tile.top : tile.bottom, tile.left : tile.right]
        return TinyCondition(lr=lr, patches=patches.contiguous(memory_format=torch.channels_last), patch_px=p)


class TinyPrior:
    """The prior of `tiny` (a `limpid.method.Prior`): the denoiser with its way from frames to latents and back."""

    def __init__(
        self,
        network: TinyNetwork,
        *,
        device: torch.device,
        dtype: torch.dtype,
        compute: MeanAndSpread | None = None,
        direct: Callable[[TinyNetwork, float], Direct] | None = None,
    ) -> None:
        """``compute``: what computes the network in place of PyTorch; it reads and makes pictures plane by plane.

        ``direct``: makes the way without latents of the network and a noise level.
        """
        self.compute = compute
        self._direct = direct
        self.layout = torch.channels_last if compute is None else torch.contiguous_format
        network = network.to(device, dtype).to(memory_format=self.layout)  # type: ignore[call-overload]
        self.network = network.eval().requires_grad_(False)
        self.config = network.config
        self.scale = self.config.scale
        self.latent_channels = self.config.latent_channels
        self.warnings: tuple[str, ...] = ()
        self.device, self.dtype = device, dtype

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        p = self.config.patch_px
        return -(-height // p), -(-width // p)

    def condition(self, lr: Tensor, scene: Scene | None = None) -> TinyCondition:
        """The condition of LR frames ``t 3 h w``; nothing but the pixels matters here, ``scene`` is not used."""
        p = self.config.patch_px
        h, w = lr.shape[-2:]
        padded = F.pad(lr.to(self.device), (0, -w % p, 0, -h % p), mode="replicate")
        patches = F.pixel_unshuffle(padded - 0.5, p).to(self.dtype)
        return TinyCondition(lr=padded, patches=patches.contiguous(memory_format=self.layout), patch_px=p)

    def encode(self, condition: TinyCondition) -> Tensor:
        """The latent of the plainly upscaled input, a residual of zero: ``1 192 t h w``."""
        t, _, h, w = condition.patches.shape
        return torch.zeros(1, self.latent_channels, t, h, w, device=self.device)

    def denoise(self, z: Tensor, step: Step, condition: TinyCondition) -> Prediction:
        pictures = z[0].transpose(0, 1).contiguous(memory_format=self.layout)
        sigma = torch.full((1,), step.sigma, device=self.device)
        x0 = wiener_prediction(self.network, pictures, sigma, condition.patches, z.shape[2], self.compute)
        return from_x0(z, x0.transpose(0, 1)[None], step)

    def direct(self, step: Step) -> Direct:
        """The way from LR frames to pixels without latents; raises TypeError where the prior was made without it."""
        if self._direct is None:
            raise TypeError("this prior of tiny was made without a way past latents")
        return self._direct(self.network, step.sigma)

    def decode(self, z: Tensor, condition: TinyCondition) -> Tensor:
        base = bicubic_patches(condition.lr, self.scale, self.config.patch_px)
        pictures = z[0].transpose(0, 1).to(base.dtype).contiguous(memory_format=torch.channels_last)
        return F.pixel_shuffle(base.add_(from_latent(pictures, self.config)), self.config.patch_px * self.scale)


# --------------------------------------------------------------------------------------------- weights


def save_tiny(network: TinyNetwork, path: Path, **notes: str | float) -> None:
    """Write weights (float32) with the configuration and the notes in the header, all in one entry: several would
    stand in any order, and equal weights should be equal files."""
    save_weights(network, path, "config", {**asdict(network.config), **({"notes": notes} if notes else {})})


def save_weights(network: nn.Module, path: Path, entry: str, form: Mapping[str, Any]) -> None:
    """Write the weights of a network of ours, as float32; ``entry`` of the header says of which form it is."""
    from safetensors.torch import save_file

    state = {name: value.detach().float().contiguous().cpu() for name, value in network.state_dict().items()}
    save_file(state, path, metadata={entry: json.dumps(form)})


def fill(network: nn.Module, path: Path) -> None:
    """Give a network of the form in the header its weights. Raises WeightsError where they do not fit it."""
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit its own header: {cut(' '.join(str(error).split()), 200)}") from error


def _header(path: Path) -> dict[str, Any]:
    file = SafetensorsFile(path).file
    try:
        return json_object(parse_json((file.metadata() or {})["config"]))
    except (ValueError, KeyError) as error:
        raise WeightsError(f"{path} has no weights of tiny: its header does not say of which form they are") from error


def read_tiny_config(path: Path) -> TinyConfig:
    """The configuration in the header of a weight file; reads no tensor."""
    values = {name: value for name, value in _header(path).items() if name != "notes"}
    try:
        config = TinyConfig(**{**values, "shifts": tuple(items(values["shifts"], most=MOST_BLOCKS))})
        check_fields(config, most=MOST_CHANNELS)
        if config.blocks > MOST_BLOCKS or config.scale > 16 or min(config.channels, config.patch_px, config.scale) < 1:
            raise ValueError("a network of this size is not known")
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{path} has no weights of tiny that can be used: {cut(str(error), 200)}") from error
    return config


def trained_schedule(path: Path) -> dict[str, float]:
    """The schedule that weights are for, if the file's header says it: ``steps``, ``sigma_min``, ``sigma_max``."""
    notes = _header(path).get("notes", {})
    try:
        known = {name: notes[name] for name in ("steps", "sigma_min", "sigma_max") if name in json_object(notes)}
        return {name: real(value, least=1 if name == "steps" else 1e-6, most=1000) for name, value in known.items()}
    except ValueError as error:
        raise WeightsError(f"{path} says how it is run in a way that cannot be: {error}") from error


def load_tiny(path: Path) -> TinyNetwork:
    """Read a network written by `save_tiny`."""
    network = TinyNetwork(read_tiny_config(path))
    fill(network, path)
    return network
