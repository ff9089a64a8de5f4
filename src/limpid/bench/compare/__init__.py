"""A page that shows results side by side: one file, no network. Names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limpid.lazy import names_of

if TYPE_CHECKING:
    from limpid.bench.compare.run import Wishes as Wishes
    from limpid.bench.compare.run import compare_videos as compare_videos

_HOME = {"compare_videos": ".run", "Wishes": ".run"}

__all__ = list(_HOME)

__getattr__ = names_of(__name__, _HOME)
