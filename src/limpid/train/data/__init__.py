"""Training clips: read from a folder, degraded, and handed over in a fixed order. Names are loaded when first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limpid.lazy import names_of

if TYPE_CHECKING:
    from limpid.train.data.clips import ClipSample as ClipSample
    from limpid.train.data.clips import TrainingClips as TrainingClips
    from limpid.train.data.clips import open_clips as open_clips
    from limpid.train.data.loader import Batches as Batches
    from limpid.train.data.loader import Loaded as Loaded
    from limpid.train.data.loader import batches as batches

_HOME = {
    "open_clips": ".clips",
    "TrainingClips": ".clips",
    "ClipSample": ".clips",
    "batches": ".loader",
    "Batches": ".loader",
    "Loaded": ".loader",
}

__all__ = list(_HOME)

__getattr__ = names_of(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(_HOME)
