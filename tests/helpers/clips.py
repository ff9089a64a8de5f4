"""Descriptions of inputs that are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limpid.types import Clip


def clip_at(path: Path, **changes: Any) -> Clip:
    values: dict[str, Any] = {
        "path": str(path),
        "kind": "video",
        "width": 64,
        "height": 48,
        "fps": 25,
        "time_base": 1,
        "codec": "h264",
        "pix_fmt": "yuv420p",
        "bit_depth": 8,
    }
    return Clip(**{**values, **changes})
