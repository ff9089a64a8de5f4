"""What stands in the way of a cluster is said at once, in a sentence, before the input is read."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest

from limpid import upscale
from limpid.cluster import reach
from limpid.types import ResourceError, SettingsError


def test_where_nothing_listens_the_run_ends_with_a_sentence(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    asked = []

    def refuse(place: tuple[str, int], seconds: float) -> None:
        asked.append((place, seconds))
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(ResourceError, match=r"no Ray cluster answers at .*head-node:6379.* \(Connection refused\)"):
        upscale(clip, clip.parent / "never.mp4", cluster="head-node:6379")
    assert asked == [(("head-node", 6379), reach.LET_IN_S)]
    assert not (clip.parent / "never.mp4").exists()


def test_without_ray_it_says_what_to_install(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else real(name, *more))
    with pytest.raises(SettingsError, match=r"pip install 'limpid-video\[ray\]'"):
        upscale(clip, clip.parent / "never.mp4", workers="2")
