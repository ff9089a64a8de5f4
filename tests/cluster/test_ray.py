"""Runs on a real Ray: the same bytes on one and two nodes, whoever is killed, and nothing left behind.

Every run is a process of its own, as users start it; see `benchmarks/cluster_chaos.py` and
`benchmarks/cluster_same_bytes.py` for many more.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cluster_nodes as land
import cluster_same_bytes as same
import media
import numpy as np
import pytest

from limpid.durable.files import sha256_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]

CUT = ("--segment-frames", "8")
LARGE = ("upscale-a-video", "dc-vsr")
"""Of two families of networks; the benchmark has all."""


@dataclass(frozen=True, kw_only=True)
class LargeRuns:
    """A film, and what to type for each large method and the hash of what that makes without Ray."""

    film: Path
    words: dict[str, tuple[str, ...]]
    truths: dict[str, str]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 frames, two cuts."""

    def draw(index: int) -> np.ndarray:
        return media.shot_picture(index, 64, 48, [50, 90])

    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return Path(media.make_video(path, width=64, height=48, frames=160, draw=draw))


@pytest.fixture(scope="module")
def alone(film: Path) -> str:
    """The hash of what a run without Ray makes."""
    with land.short_folder() as folder:
        run = land.upscale(folder, film, film.parent / "alone.mp4", *CUT)
        assert run.wait() == 0, run.messages
    return sha256_of(film.parent / "alone.mp4")


@pytest.fixture(scope="module")
def nodes() -> Iterator[land.Nodes]:
    """A cluster of two nodes with a core each."""
    with land.short_folder() as folder:
        found = land.Nodes(folder, 2)
        yield found
        found.close()


def is_segment(event: dict[str, Any]) -> bool:
    return bool(event["event"] == "segment")


def committed(*runs: land.Command) -> list[int]:
    return sorted(event["index"] for run in runs for event in run.named("segment"))


def test_one_worker_of_a_running_cluster(tmp_path: Path, film: Path, alone: str, nodes: land.Nodes) -> None:
    run = land.upscale(nodes.folder, film, tmp_path / "a.mp4", *CUT, "--cluster", nodes.address, "--workers", "1")
    assert run.wait() == 0, run.messages
    assert sha256_of(tmp_path / "a.mp4") == alone
    assert len(set(committed(run))) == len(committed(run)) == run.named("segment")[0]["of"]
    (times,) = run.named("times")
    assert times["network"] > 0
    assert times["encode"] > 0
    assert 0 <= times["outside_network"] < 1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> LargeRuns:
    """What runs of large methods without Ray make."""
    film = same.make_film(tmp_path_factory.mktemp("large") / "film.mp4")
    words = {method: same.words_of(method, film.parent) for method in LARGE}
    with land.short_folder() as folder:
        return LargeRuns(film=film, words=words, truths=same.truths_of(folder, film, words))


@pytest.mark.parametrize("method", LARGE)
def test_what_segments_hand_on_over_two_nodes(method: str, tmp_path: Path, large: LargeRuns, nodes: land.Nodes) -> None:
    """A large method with small random weights, two shots, each with its segments in order."""
    words = (*large.words[method], "--cluster", nodes.address, "--workers", "2")
    run = land.upscale(nodes.folder, large.film, tmp_path / "many.mkv", *words)
    assert run.wait() == 0, run.messages
    assert sha256_of(tmp_path / "many.mkv") == large.truths[method]
    assert len(committed(run)) >= 4


def test_unlike_nodes_share_a_film_by_its_shots(tmp_path: Path, film: Path) -> None:
    """Two nodes of which one computes without vector instructions, as on an old processor."""
    with land.short_folder() as folder:
        unlike = land.Nodes(folder, 2, unlike=True)
        run = land.upscale(
            folder, film, tmp_path / "a.mp4", *CUT, "--dtype=float32", "--cluster", unlike.address, "--mixed"
        )
        assert run.wait() == 0, run.messages
        unlike.close()
    kinds = json.loads((tmp_path / "a.mp4.limpid.json").read_text())["kinds"]
    assert sorted(shot for kind in kinds for shot in kind["shots"]) == [0, 1, 2]
    assert len({kind["machine"]["model"] for kind in kinds}) == len(kinds)
    assert ("kinds of machines made this" in run.messages) == (len(kinds) > 1)


def test_a_killed_actor_on_two_nodes(tmp_path: Path, film: Path, alone: str, nodes: land.Nodes) -> None:
    run = land.upscale(nodes.folder, film, tmp_path / "a.mp4", *CUT, "--cluster", nodes.address)
    assert run.until(is_segment)
    working = land.actors(nodes.folder)
    assert len(working) == 2
    land.kill(working[0])
    assert run.wait() == 0, run.messages
    assert "is gone" in run.messages
    assert sha256_of(tmp_path / "a.mp4") == alone
    assert committed(run) == list(range(run.named("segment")[0]["of"]))


def test_a_killed_head_goes_on_by_the_same_command(tmp_path: Path, film: Path, alone: str) -> None:
    with land.short_folder() as folder:
        words = (film, tmp_path / "a.mp4", *CUT, "--workers", "2")
        first = land.upscale(folder, *words)
        assert first.until(is_segment)
        land.kill(first.process.pid)
        first.wait()
        assert not land.gone(folder, only=land.ACTOR)
        second = land.upscale(folder, *words)
        assert second.wait() == 0, second.messages
        assert second.named("resume")
        assert not [path for path in folder.iterdir() if path.name.startswith("limpid-")]
    assert sha256_of(tmp_path / "a.mp4") == alone
    assert len(set(committed(first, second))) == len(committed(first, second))


def test_ctrl_c_leaves_no_process_and_no_file(tmp_path: Path, film: Path) -> None:
    with land.short_folder() as folder:
        run = land.upscale(folder, film, tmp_path / "a.mp4", *CUT, "--workers", "1")
        assert run.until(is_segment)
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == 130, run.messages
        assert "the same command goes on" in run.messages
        assert not land.gone(folder)
        assert not [path for path in folder.iterdir() if path.name.startswith("limpid-")]


def test_a_killed_node(tmp_path: Path, film: Path, alone: str, nodes: land.Nodes) -> None:
    """The last one, because the cluster has one node less after it."""
    run = land.upscale(nodes.folder, film, tmp_path / "a.mp4", *CUT, "--cluster", nodes.address)
    assert run.until(is_segment)
    land.kill(nodes.raylets[1])
    assert run.wait() == 0, run.messages
    assert not land.gone(nodes.folder, only=land.ACTOR)
    assert sha256_of(tmp_path / "a.mp4") == alone
    assert committed(run) == list(range(run.named("segment")[0]["of"]))
