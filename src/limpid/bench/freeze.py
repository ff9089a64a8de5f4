"""The low-quality frames of a run, made once and frozen: PNG on disk, seed and hash beside them.

A comparison is only one if every method sees the same bytes, today and after a crash. So each clip's input is written
before the first method runs, and its hash is checked each time it is read again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from limpid.bench.datasets import SCALE, ClipFiles
from limpid.bench.frames import cropped, pixel_hash, read_frames, write_frames
from limpid.degrade import PIPELINES, apply_to_clip, draw
from limpid.types import InputError, SettingsError

GIVEN = "given"
DEFAULT = "realbasicvsr"
"""How the papers made theirs, each with choices of its own."""
SIDE_MULTIPLE = 8
"""Ground truth is cropped to multiples of this, so that every metric and pipeline can work on it and on its quarter."""


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """One clip as the methods and the metrics get it: ``lr`` and ``truth`` RGB uint8 ``t h w 3``."""

    name: str
    folder: Path
    lr: np.ndarray
    truth: np.ndarray | None
    fps: Fraction
    sha256: str
    truth_path: Path | None = None
    """Where the ground truth lies, uncropped."""


def freeze_clip(clip: ClipFiles, place: Path, *, pipeline: str, seed: int, count: int | None) -> Frozen:
    """The frozen input of a clip under ``place``, made now or found from an earlier start, and its ground truth.

    Raises:
        InputError: the clip cannot be read, or the frozen frames are not those that were written.
    """
    truth, fps = read_frames(clip.truth, count) if clip.truth is not None else (None, Fraction(24))
    folder, card = place / clip.name, place / f"{clip.name}.json"
    if card.is_file():
        lr, said = _recall(folder, card)
        fps = Fraction(said["fps"])
    else:
        lr, fps, facts = _make(clip, truth, fps, pipeline=pipeline, seed=seed, count=count)
        write_frames(folder, lr)
        said = {"sha256": pixel_hash(lr), "fps": str(fps), "shape": list(lr.shape), **facts}
        card.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return Frozen(
        name=clip.name,
        folder=folder,
        lr=lr,
        truth=_fitted(truth, lr),
        fps=fps,
        sha256=said["sha256"],
        truth_path=clip.truth,
    )


def _recall(folder: Path, card: Path) -> tuple[np.ndarray, dict[str, Any]]:
    said = json.loads(card.read_text(encoding="utf-8"))
    lr, _ = read_frames(folder)
    if pixel_hash(lr) != said["sha256"]:
        raise InputError(
            f"{folder}: the frozen frames have changed since they were made; delete {card} to make them anew"
        )
    return lr, said


def _make(
    clip: ClipFiles, truth: np.ndarray | None, fps: Fraction, *, pipeline: str, seed: int, count: int | None
) -> tuple[np.ndarray, Fraction, dict[str, Any]]:
    if pipeline == GIVEN:
        if clip.lr is None:
            raise InputError(f"{clip.name}: there are no low-quality frames; --pipeline {DEFAULT} makes them")
        lr, fps = read_frames(clip.lr, count)
        return lr, fps, {"pipeline": GIVEN}
    if truth is None:
        raise InputError(
            f"{clip.name}: there is no ground truth to degrade; --pipeline {GIVEN} takes the frames as they are"
        )
    own = clip_seed(seed, clip.name)
    lr, facts = degraded_input(_whole(truth), pipeline, own)
    return lr, fps, {"pipeline": pipeline, "seed": own, **facts}


def clip_seed(seed: int, name: str) -> int:
    """A seed per clip that does not depend on which other clips are there."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:6], "big")


def degraded_input(truth: np.ndarray, pipeline: str, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Truth -> low-quality frames, and everything that was drawn for them as JSON values."""
    check_pipeline(pipeline)
    frames, height, width = truth.shape[:3]
    drawn = draw(PIPELINES[pipeline], num_frames=frames, height=height, width=width, seed=seed, scale=SCALE)
    return apply_to_clip(truth, drawn), {"drawn": drawn.to_json()}


def check_pipeline(name: str) -> None:
    """Raises SettingsError for a name that is neither `GIVEN` nor one of `limpid.degrade.PIPELINES`."""
    if name != GIVEN and name not in PIPELINES:
        raise SettingsError(f"there is no degradation {name!r}; there are {', '.join((GIVEN, *PIPELINES))}")


def _whole(truth: np.ndarray) -> np.ndarray:
    height, width = (side // SIDE_MULTIPLE * SIDE_MULTIPLE for side in truth.shape[1:3])
    if not height or not width:
        raise InputError(f"frames of {truth.shape[2]}x{truth.shape[1]} are too small to degrade; 32x32 is the least")
    return cropped(truth, height, width)


def _fitted(truth: np.ndarray | None, lr: np.ndarray) -> np.ndarray | None:
    """Ground truth on the grid of the result; one of quite another size is left as it is, for the metrics to refuse."""
    if truth is None:
        return None
    height, width = lr.shape[1] * SCALE, lr.shape[2] * SCALE
    close = 0 <= truth.shape[1] - height < SIDE_MULTIPLE and 0 <= truth.shape[2] - width < SIDE_MULTIPLE
    return cropped(truth, height, width) if close else truth
