"""A software encoder under the names of encoders of graphics processors, in this process and in that of the trial."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from limpid.types import OutputSpec
from limpid.video import choice, hardware, trial
from limpid.video.encode import repeatable_x264

_CHILD = """
import sys
from limpid.video import hardware, trial
from stand_ins import names_of, told
hardware.ffmpeg_name, hardware._QUALITY = names_of({encoders!r}), told({encoders!r})
trial.print_answers(sys.argv[1:])
"""


def names_of(encoders: tuple[str, ...]) -> Any:
    """x264 answers to these names, for H.264 only; all others are not built."""
    return lambda codec, encoder: "libx264" if encoder in encoders and codec == "h264" else "libnothing"


def told(encoders: tuple[str, ...]) -> dict[str, Any]:
    """What x264 is told under these names; nobody is told anything under the others."""
    return {encoder: _told if encoder in encoders else lambda spec: {} for encoder in hardware.HARDWARE}


def _told(spec: OutputSpec) -> dict[str, str]:
    params = ":".join(["threads=1", "stitchable=1", "aud=1", *repeatable_x264()])
    return {"preset": "veryfast", "crf": str(spec.crf), "x264-params": params}


def stand_in(monkeypatch: pytest.MonkeyPatch, *encoders: str) -> list[int]:
    """Makes x264 stand for these encoders. Returns a list that grows by one with each trial."""

    def command() -> list[str]:
        runs.append(1)
        return [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}" + _CHILD.format(encoders=encoders)]

    runs: list[int] = []
    monkeypatch.setattr(hardware, "ffmpeg_name", names_of(encoders))
    monkeypatch.setattr(choice, "ffmpeg_name", names_of(encoders))
    monkeypatch.setattr(hardware, "_QUALITY", told(encoders))
    monkeypatch.setattr(trial, "_command", command)
    trial.answers.cache_clear()
    return runs
