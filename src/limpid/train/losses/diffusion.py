"""What a denoiser is taught: to predict eps, v, or (EDM) the clean latent.

``x0``, ``eps`` and what the network put out are ``b ...``; levels are one number per clip, ``b``. A noised latent is
``z = alpha x0 + sigma eps``. Results are ``b``.
"""

from __future__ import annotations

from torch import Tensor


def per_clip(values: Tensor) -> Tensor:
    """Mean of each clip, ``b ...`` to ``b`` float32."""
    return values.flatten(1).float().mean(1)


def expanded(level: Tensor, like: Tensor) -> Tensor:
    """``b`` as ``b 1 1 ...``, to be multiplied with ``like``."""
    return level.to(like.device, like.dtype).reshape(-1, *[1] * (like.ndim - 1))


def noised(x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """``alpha x0 + sigma eps`` (Ho et al. 2020, DDPM Eq. 4)."""
    return expanded(alpha, x0) * x0 + expanded(sigma, x0) * eps


def v_target(x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """``v = alpha eps - sigma x0`` (Salimans and Ho 2022); UAV section 3.1, DiffVSR section 3.1."""
    return expanded(alpha, x0) * eps - expanded(sigma, x0) * x0


def v_loss(out: Tensor, x0: Tensor, eps: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    """Mean squared error of ``v``; UAV Eq. 1, DiffVSR Eq. 1."""
    return per_clip((out.float() - v_target(x0, eps, alpha, sigma).float()).square())


def eps_loss(out: Tensor, eps: Tensor) -> Tensor:
    """Mean squared error of the noise (Ho et al. 2020, DDPM Eq. 14), as in MGLD section 3.1.

    Latent diffusion can add a share of the variational bound's weight; its models were trained with none.
    """
    return per_clip((out.float() - eps.float()).square())


def edm_sigmas(normal: Tensor, mean: float = -1.2, deviation: float = 1.2) -> Tensor:
    """Noise levels of training, ``ln sigma`` normal (Karras et al. 2022, EDM Table 1), from standard normal numbers."""
    return (mean + deviation * normal).exp()


def edm_weight(sigma: Tensor, sigma_data: float = 0.5) -> Tensor:
    """``(sigma^2 + sigma_data^2) / (sigma sigma_data)^2`` (Karras et al. 2022, EDM Table 1).

    With it the error of what the network itself puts out has weight 1.
    """
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def edm_loss(denoised: Tensor, x0: Tensor, sigma: Tensor, sigma_data: float = 0.5) -> Tensor:
    """Weighted squared error of the clean latent (Karras et al. 2022, EDM Eq. 2, EDM Table 1).

    ``denoised`` is what the preconditioned network says, ``skip z + out F``.
    """
    error = per_clip((denoised.float() - x0.float()).square())
    return edm_weight(sigma, sigma_data).to(error) * error
