"""What stands in the way of a cluster is said at once, in a sentence, before the input is read."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from limpid import upscale
from limpid.cluster import ray_crew, reach, start
from limpid.cluster.crew import ClusterLostError
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


@pytest.fixture
def stuck_ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A Ray that never starts, and that nobody may end; what it starts with, to be called instead."""
    end = threading.Event()

    def init(**about: object) -> None:
        end.wait()

    def shutdown() -> None:
        raise AssertionError("it would wait for ever")

    ray = SimpleNamespace(is_initialized=lambda: False, init=init, shutdown=shutdown)
    monkeypatch.setattr(start, "import_ray", lambda own: ray)
    yield shutdown
    end.set()


def test_a_cluster_that_is_gone_while_it_lets_us_in_is_told(
    stuck_ray: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_crew, "listens", lambda address, seconds: False)
    monkeypatch.setattr(start, "_NOT_IN_AFTER_S", -1)
    ended: list[object] = []
    monkeypatch.setattr(start.atexit, "unregister", ended.append)
    with pytest.raises(ClusterLostError, match="nothing listens at head:6379"), start.running_cluster("head:6379"):
        pass
    assert ended == [stuck_ray]


@pytest.mark.parametrize(
    "seen", [[{}, {7: True}, {}], [{}, {7: True, 8: True}, {7: True, 8: False}], [{5: False}, {5: False, 7: False}]]
)
def test_a_part_of_ray_that_ends_while_it_starts_is_told(
    seen: list[dict[int, bool]], stuck_ray: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what is there one after the other, alive or not; 5 belongs to a cluster before."""
    now = iter(seen)
    monkeypatch.setattr(start, "_parts", lambda: next(now))
    monkeypatch.setattr(start, "_short_base", lambda: tmp_path)
    ended: list[object] = []
    monkeypatch.setattr(start.atexit, "unregister", ended.append)
    with pytest.raises(ResourceError, match="does not start here: a part of it has ended"), start.own_cluster(1):
        pass
    assert ended == [stuck_ray]
    assert not list(tmp_path.iterdir())
