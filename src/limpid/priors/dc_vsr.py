"""The prior of DC-VSR: Stable Video Diffusion, told of the latent of the bicubic-upscaled LR frames.

Networks are those of diffusers. The denoiser predicts v with EDM's preconditioning (c_noise = ln(sigma) / 4); frame by
frame the scaled noisy latent and the LR latent are stacked along the channels, ``[x_t, l]`` (DC-VSR section 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from limpid.diffusion.noise import noise_clip
from limpid.diffusion.parametrisations import from_v
from limpid.tiling.blend import Axis, Blender, Grid
from limpid.tiling.plan import even_length
from limpid.types import Prediction, Scene, Step, Tile, Window

PIXELS_PER_LATENT = 8
LATENT_MULTIPLE = 8
"""The denoiser halves its input three times."""
_ENCODE_TILE, _ENCODE_OVERLAP = 64, 16
"""Most edge of an encoder's tile and least overlap, in latent pixels; tiles of a frame are equally long. The encoder
attends over all of what it is given, and in training that was 512x512 pixels."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class DCVSRNetworks(Protocol):
    """Gives a network that is ready on the device; see `limpid.priors.load.offload.Parts`."""

    def use(self, name: Literal["unet", "vae", "image_encoder"]) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class SVDConditioning:
    """Settings of DC-VSR's condition: what the denoiser is told besides the noisy latent.

    The paper gives motion and frame rate only; the other values are choices of ours, each with its reason.
    """

    image_embedding: Literal["zero", "clip"] = "zero"
    """The stand-in for SVD's CLIP embedding of the first frame; the paper does not say. ``zero`` is what SVD was
    trained to see for a fifth of its clips, is the same for all tiles, windows and segments, and needs no encoder of
    630 million parameters; ``clip`` embeds the first LR frame of each window, whole."""
    condition_scale: float = 1.0
    """Factor of the LR latent. SVD's own image latent is the encoder's mean as it is; only what is denoised is
    multiplied by 0.18215, and fine-tuning started from there."""
    noise_augmentation: float = 0.0
    """Standard deviation of noise on the upscaled frames in [-1, 1], which the network is told. SVD adds 0.02 to a
    clean picture; LR frames are degraded enough, and what is lost in them cannot come back."""
    motion_bucket: int = 127
    """SVD's measure of how much moves; DC-VSR supplement A."""
    fps_id: int = 7
    """The frame rate that the network is told, as SVD counts it: one less than the rate, as diffusers' pipeline has it,
    too. DC-VSR supplement A says 8 frames per second."""
    unconditional: Literal["all", "embedding"] = "all"
    """The part that classifier-free guidance leaves out: embedding and LR latent, as SVD does, or the embedding alone,
    which would leave out nothing while it is zero."""

    def __post_init__(self) -> None:
        if self.unconditional == "embedding" and self.image_embedding == "zero":
            raise ValueError("without an image embedding, guidance has to leave out the LR latent: unconditional='all'")
        if self.condition_scale <= 0 or self.noise_augmentation < 0:
            raise ValueError(f"the scale of a condition is above 0, its noise is not below it: {self}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DCVSRCondition:
    """A condition: what DC-VSR's denoiser is told of some frames; on the device, in its number format.

    ``latent``: ``b 4 t h w``; ``embedding``: ``b t c``, of which the first frame's counts; ``time_ids``: ``b 3``: frame
    rate, motion, noise augmentation.
    """

    latent: Tensor
    embedding: Tensor
    time_ids: Tensor
    without_latent: bool = True
    """Whether `unconditional` leaves the LR latent out."""

    def crop(self, window: Window, tile: Tile) -> DCVSRCondition:
        frames = slice(window.start, window.stop)
        latent = self.latent[..., frames, tile.top : tile.bottom, tile.left : tile.right]
        return replace(self, latent=latent, embedding=self.embedding[:, frames])

    def unconditional(self) -> DCVSRCondition:
        latent = torch.zeros_like(self.latent) if self.without_latent else self.latent
        return replace(self, latent=latent, embedding=torch.zeros_like(self.embedding))

    def both(self) -> DCVSRCondition:
        none = self.unconditional()
        return replace(
            self,
            latent=torch.cat([none.latent, self.latent]),
            embedding=torch.cat([none.embedding, self.embedding]),
            time_ids=torch.cat([self.time_ids, self.time_ids]),
        )


@dataclass(frozen=True, kw_only=True)
class DCVSRPrior:
    """The prior of DC-VSR (a `limpid.method.Prior`). A latent pixel stands for two LR pixels in each direction.

    ``self_attentions``: the spatial self-attentions of the denoiser from input to output with their names; their tokens
    are ``(b t) (h w) c``. For attention propagation and guidance.
    """

    networks: DCVSRNetworks
    self_attentions: tuple[tuple[str, nn.Module], ...]
    conditioning: SVDConditioning
    device: torch.device
    dtype: torch.dtype
    embedding_channels: int = 1024
    latent_scale: float = 0.18215
    """The factor of a latent of the autoencoder to become what the denoiser works on."""
    scale: int = 4
    latent_channels: int = 4
    warnings: tuple[str, ...] = ()

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        return latent_edge(height, self.scale), latent_edge(width, self.scale)

    def condition(self, lr: Tensor, scene: Scene) -> DCVSRCondition:
        lr = lr.to(self.device, torch.float32)
        # motion and frame rate, and l, the latents of the upscaled frames
        told = self.conditioning
        ids = [told.fps_id, told.motion_bucket, told.noise_augmentation]
        latent = torch.cat([self._encode_frame(picture) for picture in self._upscaled(lr, scene)], dim=2)
        return DCVSRCondition(
            latent=(told.condition_scale * latent).to(self.dtype),
            embedding=self._embedding(lr).to(self.dtype),
            time_ids=torch.tensor([ids], device=self.device, dtype=self.dtype),
            without_latent=told.unconditional == "all",
        )

    def _upscaled(self, lr: Tensor, scene: Scene) -> Iterator[Tensor]:
        """I^up, frame by frame ``1 3 H W`` in [-1, 1], as large as the latent canvas: LR frames are reflected there."""
        rows, columns = self.latent_size(*lr.shape[-2:])
        size = PIXELS_PER_LATENT * rows, PIXELS_PER_LATENT * columns
        below, right = (edge // self.scale - had for edge, had in zip(size, lr.shape[-2:], strict=True))
        for frame, picture in zip(scene.frames, lr, strict=True):
            padded = F.pad(picture[None], (0, right, 0, below), mode="reflect")
            large = F.interpolate(padded, size, mode="bicubic", align_corners=False).clamp_(0, 1).mul_(2).sub_(1)
            if self.conditioning.noise_augmentation:
                noise = noise_clip(scene.seed, "lr", [frame], 0, 3, *size)[:, :, 0]
                large += self.conditioning.noise_augmentation * noise.to(large)
            yield large

    def _encode_frame(self, picture: Tensor) -> Tensor:
        """``1 3 H W`` in [-1, 1] to the mean of its latent, ``1 4 1 h w`` float32, not scaled; tile by tile."""
        vae, factor = self.networks.use("vae"), PIXELS_PER_LATENT
        edges = [edge // factor for edge in picture.shape[-2:]]
        rows, columns = (
            Axis.overlapping(edge, even_length(edge, _ENCODE_TILE, _ENCODE_OVERLAP), _ENCODE_OVERLAP, "gaussian")
            for edge in edges
        )
        blender = Blender(Grid(Axis.overlapping(1, None, 0), rows, columns))
        for index in range(blender.grid.num_tiles):
            t = blender.grid.tile(index)
            part = picture[..., factor * t.top : factor * t.bottom, factor * t.left : factor * t.right]
            part = part.to(vae.dtype, memory_format=torch.channels_last)
            blender.add(vae.encode(part).latent_dist.mode().float()[:, :, None], 0, index)
        return blender.result()

    def _embedding(self, lr: Tensor) -> Tensor:
        """The image embedding of each frame, ``1 t c``."""
        if self.conditioning.image_embedding == "zero":
            return lr.new_zeros(1, len(lr), self.embedding_channels)
        encoder = self.networks.use("image_encoder")
        return torch.cat([embed_image(encoder, picture[None]) for picture in lr])[None]

    def encode(self, condition: DCVSRCondition) -> Tensor:
        """The latent of the upscaled input, which the denoiser is told already, in the scale of what is denoised."""
        return condition.latent.float() * (self.latent_scale / self.conditioning.condition_scale)

    def denoise(self, z: Tensor, step: Step, condition: DCVSRCondition) -> Prediction:
        # D(x) = c_skip x + c_out F(c_in x, c_noise): c_in here, c_skip and c_out in from_v
        scaled = (z / math.hypot(step.alpha, step.sigma)).to(self.dtype)
        out = predicted(self.networks.use("unet"), scaled, torch.tensor(step.t, device=z.device), condition)
        return from_v(z, out.float(), step)

    def decode(self, z: Tensor, condition: DCVSRCondition) -> Tensor:
        vae = self.networks.use("vae")
        pictures = (z / self.latent_scale)[0].transpose(0, 1).to(vae.dtype, memory_format=torch.channels_last)
        frames = vae.decode(pictures, num_frames=len(pictures), return_dict=False)[0]
        done: Tensor = frames.float().clamp(-1, 1).add_(1).div_(2)
        return done


def latent_edge(edge_px: int, scale: int = 4) -> int:
    """Latent pixels along an edge of the denoiser's canvas, for an edge of LR frames: as many as it can halve, or more.

    A run enlarges ``scale`` times, so a latent pixel stands for ``8 / scale`` LR pixels.
    """
    return LATENT_MULTIPLE * -(-edge_px // (PIXELS_PER_LATENT * LATENT_MULTIPLE // scale))


def predicted(unet: Any, scaled: Tensor, t: Tensor, condition: DCVSRCondition) -> Tensor:
    """The denoiser's raw output F, ``b 4 t h w``, for noisy latents divided by their levels' radius.

    ``t``: c_noise, one number for all, or ``b``.
    """
    # [x_t, l]: noisy latent and LR latent, frame by frame
    frames = torch.cat([scaled, condition.latent], dim=1).transpose(1, 2)
    folded = frames.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    out: Tensor = unet(
        torch.unflatten(folded, 0, frames.shape[:2]),
        t,
        encoder_hidden_states=condition.embedding[:, :1],
        added_time_ids=condition.time_ids,
        return_dict=False,
    )[0]
    return out.transpose(1, 2)


def embed_image(encoder: Any, frames: Tensor) -> Tensor:
    """CLIP's embedding of ``t 3 h w`` in [0, 1]: ``t c`` float32; of the whole picture, as SVD's pipeline does it."""
    edge = encoder.config.image_size
    small = F.interpolate(frames, (edge, edge), mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
    mean, std = (small.new_tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
    embedded: Tensor = encoder(((small - mean) / std).to(encoder.dtype)).image_embeds
    return embedded.float()


def spatial_self_attentions(unet: nn.Module) -> tuple[tuple[str, nn.Module], ...]:
    """The spatial self-attentions of SVD's denoiser in the order of a call: down, middle, up.

    Those of ``temporal_transformer_blocks`` attend over frames and are not among them.
    """
    found = [(name, module) for name, module in unet.named_modules() if is_spatial(name)]
    return tuple(sorted(found, key=lambda item: ("down_blocks", "mid_block", "up_blocks").index(item[0].split(".")[0])))


def is_spatial(name: str) -> bool:
    return name.endswith(".attn1") and ".transformer_blocks." in name
