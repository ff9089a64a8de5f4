"""What stands in the way of a cluster is said at once, in a sentence, before the input is read."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path

import pytest

from limpid import upscale
from limpid.cluster import start
from limpid.types import ResourceError, SettingsError


class _Open:
    def close(self) -> None:
        return None


def test_where_nothing_listens_the_run_ends_with_a_sentence(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    asked = []

    def refuse(place: tuple[str, int], seconds: float) -> _Open:
        asked.append((place, seconds))
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(ResourceError, match=r"no Ray cluster answers at .*head-node:6379.* \(Connection refused\)"):
        upscale(clip, clip.parent / "never.mp4", cluster="head-node:6379")
    assert asked == [(("head-node", 6379), start.LET_IN_S)]
    assert not (clip.parent / "never.mp4").exists()


@pytest.mark.parametrize(
    ("address", "place"),
    [("10.0.0.1:6379", ("10.0.0.1", 6379)), ("[::1]:10001", ("::1", 10001)), ("ray://head:10001", ("head", 10001))],
)
def test_addresses(monkeypatch: pytest.MonkeyPatch, address: str, place: tuple[str, int]) -> None:
    asked = []
    monkeypatch.setattr(socket, "create_connection", lambda where, seconds: asked.append(where) or _Open())
    start.check_address(address)
    assert asked == [place]


@pytest.mark.parametrize("address", ["auto", "head", "head:", "head:99999", ":6379"])
def test_what_is_no_host_and_port_is_left_to_ray(address: str) -> None:
    start.check_address(address)


def test_without_ray_it_says_what_to_install(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "ray" else real(name, *more))
    with pytest.raises(SettingsError, match=r"pip install 'limpid-video\[ray\]'"):
        upscale(clip, clip.parent / "never.mp4", workers="2")
