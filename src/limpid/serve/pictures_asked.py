"""What `limpid.serve.pictures` is asked for; apart from it, because that loads OpenCV, which the server must not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ABOUT = "about.json"
"""The file that says what was made, written last."""


@dataclass(frozen=True, kw_only=True)
class PicturesAsked:
    """What is to be made: of a result (or a segment of it) whose first frame is frame ``first`` of the input."""

    folder: str
    input: str
    result: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    first: int = 0
    start_s: float = 0.0
    seconds: float = 10.0
    video: bool = True
    known_scan: str = ""
    """Folder in which the engine, or this process before, left the timeline of the input."""
    more: dict[str, Any] = field(default_factory=dict)
    """What is to be said besides of what was made."""
    width: int = 0
    """Width in pixels of one small picture of the input, and nothing else; 0: as above."""
