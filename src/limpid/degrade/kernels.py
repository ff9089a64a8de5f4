"""Blur kernels of the RealBasicVSR and Real-ESRGAN pipelines, as pure functions of their parameters.

The elliptical ones are functions of the Mahalanobis distance ``m`` of a pixel from the centre (``m`` = squared distance
in standard deviations): Gaussian ``exp(-m/2)``, generalised Gaussian ``exp(-m^beta / 2)``, plateau ``1/(1 + m^beta)``.
The last one, ``sinc``, is the ideal circular low-pass filter, which rings as sharpening filters do.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Final

import numpy as np

KERNEL_KINDS: Final = ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "sinc")

_PROFILES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "gaussian": lambda m, _: np.exp(-0.5 * m),
    "generalized": lambda m, beta: np.exp(-0.5 * m**beta),
    "plateau": lambda m, beta: 1.0 / (1.0 + m**beta),
}


def elliptical(
    size: int, sigma_x: float, sigma_y: float, angle: float, *, profile: str = "gaussian", beta: float = 1.0
) -> np.ndarray:
    """A kernel ``size size`` with sum 1.

    Args:
        size: side in pixels, odd.
        sigma_x: standard deviation along the first axis of the ellipse, pixels.
        sigma_y: along the second.
        angle: by which the axes are turned, radians.
        profile: ``gaussian``, ``generalized`` or ``plateau``.
        beta: exponent of the last two; 1 gives the Gaussian, and for the plateau its heaviest tail.
    """
    y, x = _grid(size)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = _PROFILES[profile]((along / sigma_x) ** 2 + (across / sigma_y) ** 2, beta)
    return np.asarray(kernel / kernel.sum())


def sinc(size: int, omega: float) -> np.ndarray:
    """The circular low-pass filter with cutoff ``omega`` (radians per pixel, pi lets all pass), sum 1."""
    y, x = _grid(size)
    radius = np.hypot(x, y)
    radius[size // 2, size // 2] = 1.0  # replaced below: the limit there is omega^2 / 4 pi
    kernel = omega * bessel_j1(omega * radius) / (2 * pi * radius)
    kernel[size // 2, size // 2] = omega**2 / (4 * pi)
    return np.asarray(kernel / kernel.sum())


def bessel_j1(x: np.ndarray) -> np.ndarray:
    """The Bessel function J1 for 0 <= x < 100, from its integral; the sum over a period converges exponentially."""
    nodes = 2 * pi * np.arange(256) / 256
    return np.asarray(np.cos(nodes - x[..., None] * np.sin(nodes)).mean(-1))


def kernel(
    kind: str, size: int, *, sigma_x: float, sigma_y: float, angle: float, beta: float, omega: float
) -> np.ndarray:
    """The kernel of a kind in `KERNEL_KINDS`; what a kind does not have is ignored (iso: only ``sigma_x`` counts)."""
    if kind == "sinc":
        return sinc(size, omega)
    if kind.endswith("iso") and not kind.endswith("aniso"):
        sigma_y, angle = sigma_x, 0.0
    profile = kind.split("_")[0] if "_" in kind else "gaussian"
    return elliptical(size, sigma_x, sigma_y, angle, profile=profile, beta=beta)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    if size % 2 == 0 or size < 1:
        raise ValueError(f"a kernel needs an odd size, not {size}")
    half = size // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    return y, x
