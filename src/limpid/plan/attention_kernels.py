"""Kernels of attention, PyTorch's own: they give nearly the same numbers, at other speeds and with other memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from limpid.types import SettingsError

_BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}
_HALF_ONLY = ("flash", "cudnn")
"""On GPUs these take float16 and bfloat16."""


def kernels_of(device: torch.device) -> list[str]:
    """The kernels that PyTorch has for a device."""
    if device.type == "cpu":
        return ["flash", "math"]
    if device.type != "cuda":
        return ["math"]
    flash = ["flash"] if torch.backends.cuda.is_flash_attention_available() else []
    cudnn = ["cudnn"] if torch.version.cuda is not None else []
    return [*flash, "efficient", "math", *cudnn]


def check_kernel(name: str, device: torch.device, dtype: str) -> None:
    """Raises SettingsError for a kernel that the device does not have, or not in this number format."""
    if name == "auto":
        return
    here = kernels_of(device)
    if name not in here:
        raise SettingsError(
            f"attention_kernel is {name}, which PyTorch does not have for {device} here; it has {' and '.join(here)}"
        )
    if device.type == "cuda" and name in _HALF_ONLY and dtype == "float32":
        raise SettingsError(f"attention_kernel {name} needs dtype float16 or bfloat16; efficient and math take float32")


@contextmanager
def attention_by(name: str) -> Iterator[None]:
    """Attention computed by that kernel while the block runs; by the plain one where it cannot compute a layer.

    auto: by PyTorch's choice. Some layers have heads that are too wide for the fast kernels, decoders' for instance.
    """
    if name == "auto":
        yield
        return
    with sdpa_kernel([_BACKENDS[name], SDPBackend.MATH]):
        yield
