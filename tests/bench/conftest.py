"""Small clips and a method that costs nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from limpid.bench.datasets import find_dataset
from limpid.bench.frames import read_frames, write_frames
from limpid.bench.jobs import JobOutcome, Variant
from limpid.bench.run import Bench

METRICS = ("psnr", "m2-coherent", "ewarp")


def moving_clip(seed: int, *, frames: int = 4, size: int = 64) -> np.ndarray:
    """A random pattern that moves by a pixel per frame, uint8 ``t h w 3``."""
    noise = np.random.default_rng(seed).uniform(0, 255, (size, size + frames, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(noise, (0, 0), 2.0)
    picture = (picture - picture.min()) / (picture.max() - picture.min()) * 255
    return np.stack([picture[:, t : t + size] for t in range(frames)]).astype(np.uint8)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of three clips."""
    for seed, name in enumerate(("boat", "car", "tree")):
        write_frames(tmp_path / "clips" / name, moving_clip(seed))
    return tmp_path / "clips"


@dataclass
class FakeUpscale:
    """Bicubic, softened for the method ``soft``; fails or is interrupted where it is told to."""

    fails: set[tuple[str, str]] = field(default_factory=set)
    stops_after: int | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)

    def __call__(
        self, variant: Variant, source: Path, target: Path, *, fps: str, settings: dict[str, Any]
    ) -> JobOutcome:
        if self.stops_after is not None and len(self.calls) >= self.stops_after:
            raise KeyboardInterrupt
        self.calls.append((source.name, variant.label))
        if (source.name, variant.label) in self.fails:
            return JobOutcome(error="the sky fell down <b>")
        frames, _ = read_frames(source)
        large = [cv2.resize(frame, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC) for frame in frames]
        if variant.method == "soft":
            large = [cv2.GaussianBlur(frame, (0, 0), 3.0) for frame in large]
        target.parent.mkdir(parents=True, exist_ok=True)
        write_frames(target, np.stack(large))
        return JobOutcome(seconds=2.0, restore_s=1.0, peak_bytes=2**30, device="cpu", borders=(2,))


@pytest.fixture
def make_bench(clips: Path, tmp_path: Path) -> Callable[..., Bench]:
    """A run of two fake methods over the three clips."""

    def make(out: str = "run", labels: tuple[str, ...] = ("sharp", "soft"), **changes: Any) -> Bench:
        variants = tuple(Variant(label=label, method=label, changes={}) for label in labels)
        plain = {"dataset": find_dataset("folder"), "root": clips, "out": tmp_path / out, "variants": variants}
        return Bench(**{**plain, "metrics": METRICS, "pipeline": "bicubic", **changes})

    return make


@pytest.fixture
def fake() -> type[FakeUpscale]:
    """Makes stand-ins for the processes that upscale."""
    return FakeUpscale
