"""Limpid restores real low-quality video.

Names are imported when they are first used, so that ``import limpid`` and ``limpid --help`` load no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limpid.lazy import names_of

if TYPE_CHECKING:
    from limpid.api import Report, from_sidecar, restore, upscale
    from limpid.methods import METHODS
    from limpid.settings import Settings
    from limpid.types import LimpidError
    from limpid.upscaler.pipeline import LimpidPipeline
    from limpid.upscaler.upscaler import Upscaler

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "LimpidError",
    "LimpidPipeline",
    "Report",
    "Settings",
    "Upscaler",
    "__version__",
    "from_sidecar",
    "restore",
    "upscale",
]

_HOMES = {
    "METHODS": "limpid.methods",
    "LimpidError": "limpid.types",
    "LimpidPipeline": "limpid.upscaler.pipeline",
    "Report": "limpid.api",
    "Settings": "limpid.settings",
    "Upscaler": "limpid.upscaler.upscaler",
    "from_sidecar": "limpid.api",
    "restore": "limpid.api",
    "upscale": "limpid.api",
}

__getattr__ = names_of(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
