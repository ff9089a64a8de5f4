"""Teaching a denoiser: noise clean latents, let the network predict, compare.

What differs between systems (how clips become latents, what the network is told, which noise levels it sees) is a
`System`; what is the same for all is here. Targets follow `limpid.diffusion.parametrisations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from limpid.diffusion.samplers import DDIM
from limpid.diffusion.schedules import Betas
from limpid.method import Prior
from limpid.priors.load.offload import place_network
from limpid.train.learner import ClipBatch, ClipRandom
from limpid.train.losses.diffusion import edm_loss, eps_loss, expanded, noised, v_loss
from limpid.types import Placement, Step

if TYPE_CHECKING:
    from limpid.train.objectives.texts import Texts


class Levels(NamedTuple):
    """Noise levels of a batch, ``b`` each: ``z = alpha x0 + sigma eps``; ``t`` is what the network is told."""

    t: Tensor
    alpha: Tensor
    sigma: Tensor


Predicts = Literal["v", "eps", "x0"]


class System(Protocol):
    """A denoiser with all that training it needs."""

    network: Any
    predicts: Predicts
    """``v`` holds for EDM levels too, see `limpid.diffusion.parametrisations.from_v`."""

    @property
    def sigma_data(self) -> float:
        """Deviation of clean latents that the loss reckons with; for v and eps it is 1 by their definition."""
        ...

    def kinds(self) -> Mapping[str, Sequence[str]]: ...

    def levels(self, random: ClipRandom) -> Levels: ...

    def clean(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """HR clips as latents ``b c t h w``; no gradient."""
        ...

    def condition(self, batch: ClipBatch, random: ClipRandom) -> Any:
        """What the network is told of the LR clips; with gradients where a part of it learns."""
        ...

    def raw(self, z: Tensor, levels: Levels, condition: Any) -> Tensor:
        """What the network puts out, ``b c t h w``."""
        ...

    def save(self, folder: Path) -> None: ...

    def restore(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        """A quick look: frames ``b t 3 H W`` in [0, 1] after few steps."""
        ...


class DenoisingLearner:
    """Learner of a denoiser, by the error of its prediction: see `limpid.train.learner.Learner`."""

    def __init__(self, system: System) -> None:
        self.system = system

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {"model": self.system.network}

    def kinds(self) -> Mapping[str, Sequence[str]]:
        return self.system.kinds()

    def losses(self, player: str, batch: ClipBatch, random: ClipRandom) -> Mapping[str, Tensor]:
        x0, levels, condition = noised_batch(self.system, batch, random)
        eps = random.normal("noise", x0.shape[1:], x0.device)
        out = self.system.raw(noised(x0, eps, levels.alpha, levels.sigma), levels, condition)
        return {"denoising": prediction_error(self.system, out, x0, eps, levels).mean()}

    def save(self, folder: Path) -> None:
        self.system.save(folder)

    def preview(self, batch: ClipBatch, random: ClipRandom) -> Tensor:
        return self.system.restore(batch, random)


def noised_batch(system: System, batch: ClipBatch, random: ClipRandom) -> tuple[Tensor, Levels, Any]:
    """Clean latents, their noise levels on the same device, and the condition."""
    with torch.no_grad():
        x0 = system.clean(batch, random).float()
    levels = Levels(*(part.to(x0.device) for part in system.levels(random)))
    return x0, levels, system.condition(batch, random)


def prediction_error(system: System, out: Tensor, x0: Tensor, eps: Tensor, levels: Levels) -> Tensor:
    """The loss of each clip, ``b``, of what the network put out for ``alpha x0 + sigma eps``.

    v is that of levels on the unit circle: ``(alpha eps - sigma x0) / sqrt(alpha^2 + sigma^2)``.
    """
    if system.predicts == "eps":
        return eps_loss(out, eps)
    if system.predicts == "x0":
        return edm_loss(out, x0, levels.sigma, system.sigma_data)
    radius = (levels.alpha**2 + levels.sigma**2).sqrt()
    return v_loss(out, x0, eps, levels.alpha / radius, levels.sigma / radius)


def clean_latent(system: System, z: Tensor, levels: Levels, condition: Any) -> Tensor:
    """What the network takes for ``x0`` in ``z``: `limpid.diffusion.parametrisations` with a level per clip."""
    out = system.raw(z, levels, condition).float()
    alpha, sigma = (expanded(level, z) for level in (levels.alpha, levels.sigma))
    if system.predicts == "x0":
        return out
    if system.predicts == "eps":
        return (z - sigma * out) / alpha
    radius = (alpha**2 + sigma**2).sqrt()
    return (alpha * z / radius - sigma * out) / radius


def edm_levels(sigma: Tensor) -> Levels:
    """EDM levels: alpha is 1, the network is told ``ln(sigma) / 4``."""
    return Levels(t=sigma.log() / 4, alpha=torch.ones_like(sigma), sigma=sigma)


def even_timesteps(betas: Betas, random: ClipRandom) -> Levels:
    """A timestep per clip, each of the schedule equally likely; ``t`` is float."""
    t = random.integers("timestep", 0, betas.count)
    cumulative = torch.as_tensor(betas.alphas_cumprod())[t].double()
    return Levels(t=t.float(), alpha=cumulative.sqrt().float(), sigma=(1 - cumulative).sqrt().float())


class NetworksInMemory(dict[str, Any]):
    """Networks by name for a prior that previews are made with; they stay where they are, because they learn.

    See `limpid.priors.load.offload.Parts`, which moves them about instead.
    """

    use = dict.__getitem__


@dataclass(frozen=True)
class EmptyPrompts:
    """Prompts for previews: no text on either side of guidance (see `limpid.priors.upscaler.Prompts`)."""

    texts: Texts

    def positive(self, shot: int) -> Tensor:
        return self.texts.embed([""])

    def negative(self) -> Tensor:
        return self.texts.embed([""])


def told_by_keywords(network: Any, z: Tensor, levels: Levels, condition: Mapping[str, Tensor]) -> Tensor:
    """What a U-Net puts out whose condition is its keyword arguments, ``b c t h w``."""
    out: Tensor = network(z, levels.t, **condition)
    return out


def encoded_clips(vae: Any, batch: ClipBatch, random: ClipRandom) -> Tensor:
    """HR clips as latents ``b c t h w`` by one of our autoencoders, drawn as its encoder spreads them."""
    t = batch.hr.shape[1]
    mean, logvar = vae.encode(batch.hr.flatten(0, 1) * 2 - 1, num_frames=t)
    return drawn_latents(mean, logvar, t, float(vae.config.scaling_factor), random)


def drawn_latents(mean: Tensor, logvar: Tensor, frames: int, scale: float, random: ClipRandom) -> Tensor:
    """Latents as the encoder spreads them, times ``scale``: ``(b t) c h w`` to ``b c t h w``."""
    noise = random.normal("encode", (frames, *mean.shape[1:]), mean.device).flatten(0, 1)
    latent = (mean + (0.5 * logvar).exp() * noise) * scale
    return torch.unflatten(latent, 0, (-1, frames)).transpose(1, 2)


def ready_to_train(network: nn.Module, device: torch.device) -> nn.Module:
    """Float32, on the device, in the layout that convolutions want, ready to learn."""
    return place_network(network, Placement(device=device, dtype=torch.float32)).to(device).requires_grad_(True).train()


def sample(prior: Prior, z: Tensor, steps: Sequence[Step], condition: Any) -> Tensor:
    """Plain deterministic sampling from ``z``, for previews: the clean latent."""
    for step in steps:
        prediction = prior.denoise(z, step, condition)
        z, _ = DDIM().step(z, prediction.x0, prediction.eps, step, None, no_noise)
    return z


def each_restored(network: nn.Module, batch: ClipBatch, restore: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Previews ``b t 3 H W``; ``restore`` takes an LR clip ``t 3 h w`` and its number. No dropout for that long."""
    network.eval()
    done = [restore(lr, number) for lr, number in zip(batch.lr, batch.numbers, strict=True)]
    network.train()
    return torch.stack(done)


def no_noise() -> Tensor:
    raise AssertionError("a deterministic sampler draws no noise")
