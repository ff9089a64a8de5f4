"""What stands in the way of a cluster is said at once, in a sentence, before the input is read."""

from __future__ import annotations

import importlib.util
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from limpid import upscale
from limpid.cluster import reach, start
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


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n"),
            "has other versions.*Ray: 2.9.0",
        ),
        (
            ConnectionError("Failed to connect to Ray cluster at head:6379"),
            "RAY_AUTH_TOKEN must be those of the cluster",
        ),
        (
            RuntimeError("InvalidAuthToken: Authentication token is missing"),
            "RAY_AUTH_TOKEN must be those of the cluster",
        ),
        (ValueError("something else\non two lines"), r"no Ray cluster answers at .* \(ValueError: something else\)"),
    ],
    ids=["versions", "no connection", "token", "other"],
)
def test_a_cluster_that_lets_nobody_in_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def refuse(**about: object) -> None:
        raise error

    ray = SimpleNamespace(is_initialized=lambda: False, init=refuse, shutdown=lambda: None)
    monkeypatch.setattr(start, "import_ray", lambda own: ray)
    with pytest.raises(ResourceError, match=sentence), start.running_cluster("head:6379"):
        pass
