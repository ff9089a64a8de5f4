"""The same bytes with any number of workers: whole runs of every large method and of `tiny`, answers in any order.

Workers are threads of the test with real networks of small random weights, so that there is time for all of them. See
test_ray.py for processes, nodes, and what is killed.
"""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import crews
import media
import numpy as np
import pytest
from torch import Tensor

import limpid
from limpid.cluster.engine import Workers
from limpid.convert.convert import convert_weights
from limpid.convert.random_weights import make_random_weights
from limpid.cuts.blended import Blended
from limpid.durable.files import sha256_of
from limpid.restoration.chunk import Chunk
from limpid.restoration.restorer import Restorer

CUTS = [7, 12]
METHODS: dict[str, dict[str, Any]] = {
    "tiny": {"segment_frames": 5},
    "upscale-a-video": {"steps": 2, "segment_frames": 4, "consistency": "propagation", "propagation_steps": "1"},
    "diffvsr": {"steps": 1, "segment_frames": 4},
    "mgld-vsr": {"steps": 2, "segment_frames": 5},
    "dc-vsr": {"steps": 1, "segment_frames": 7},
}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16x16, 16 frames, drawn as three shots."""

    def draw(index: int) -> np.ndarray:
        return media.shot_picture(index, 16, 16, CUTS)

    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return Path(media.make_video(path, width=16, height=16, frames=16, draw=draw))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders of converted random checkpoints by the name of the method."""
    root = tmp_path_factory.mktemp("weights")
    large = [name for name in METHODS if name != "tiny"]
    return {
        name: str(convert_weights(name, make_random_weights(name, "tiny", root / f"official-{name}"), root / name))
        for name in large
    }


def run(name: str, film: Path, out: Path, weights: dict[str, str], **changes: Any) -> limpid.Report:
    common = {"threads": 1, "calibrate": False, "codec": "ffv1", "weights": weights.get(name)}
    return limpid.upscale(film, out, method=name, **{**common, **METHODS[name], **changes})


@pytest.fixture(scope="module")
def alone(film: Path, weights: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of what runs without workers make."""
    root, found = tmp_path_factory.mktemp("alone"), {}
    for name in METHODS:
        run(name, film, root / f"{name}.mkv", weights)
        found[name] = sha256_of(root / f"{name}.mkv")
    return found


@pytest.fixture
def _one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's bfloat16 on processors does not repeat its bits where threads of one process compute at once.

    True workers are processes of their own.
    """
    compute, lock = Restorer.__call__, threading.Lock()

    def locked(self: Restorer, chunk: Chunk) -> Tensor:
        with lock:
            return compute(self, chunk)

    monkeypatch.setattr(Restorer, "__call__", locked)


@pytest.mark.usefixtures("_one_at_a_time")
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("name", METHODS)
def test_any_number_of_workers_and_any_order_of_answers(
    name: str,
    workers: int,
    film: Path,
    weights: dict[str, str],
    alone: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = random.Random(f"{name} {workers}")
    crew = crews.RealShops(tmp_path / "workers", Blended(), count=workers, shuffled=order)
    monkeypatch.setattr(Workers, "_hire", lambda self, settings, threads: (crew, 1))
    events: list[dict[str, Any]] = []
    run(name, film, tmp_path / "out.mkv", weights, workers=str(workers), on_event=events.append)
    assert sha256_of(tmp_path / "out.mkv") == alone[name]
    assert sum(event["event"] == "segment" for event in events) >= 2
    assert crew.hired == workers
