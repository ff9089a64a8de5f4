"""Clips from photos: a hand-held camera with random pan, zoom, turn and tremble, over one to three layers."""

from __future__ import annotations

from math import cos, pi, sin

import cv2
import numpy as np

from limpid.degrade.camera import CameraPath, Filmed, MovingLayer, layered_clip

PARALLAX_SHARE = 0.4
"""Share of the clips with nearer layers that move by themselves; the others move as a whole."""
MOST_DRIFT = 0.5
"""A camera does not move further than this part of the photo's shorter side."""


def film_photo(photo: np.ndarray, random: np.random.Generator, *, num_frames: int, stride: int, crop: int) -> Filmed:
    """Film a photo RGB ``h w 3`` whose sides are at least ``crop``; frames are ``crop`` pixels square."""
    height, width = photo.shape[:2]
    path = _path(random, height, width, (num_frames - 1) * stride, crop)
    layers = [MovingLayer(path=path)]
    if random.random() < PARALLAX_SHARE:
        for _ in range(int(random.integers(1, 3))):
            layers.append(MovingLayer(path=_nearer(random, path), mask=soft_mask(random, height, width)))
    seed = int(random.integers(1 << 31))
    return layered_clip(photo, layers, num_frames=num_frames, stride=stride, width=crop, height=crop, seed=seed)


def _path(random: np.random.Generator, height: int, width: int, steps: int, crop: int) -> CameraPath:
    speed = _one_of(random, 0.0, (0.0, 2.0), (0.0, 10.0))
    speed = min(speed, MOST_DRIFT * min(height, width) / max(1, steps))
    heading = random.uniform(0, 2 * pi)
    dx, dy = speed * cos(heading), speed * sin(heading)
    return CameraPath(
        center=(_start(random, width, crop, dx * steps), _start(random, height, crop, dy * steps)),
        velocity=(dx, dy),
        zoom_rate=_one_of(random, 1.0, (0.99, 1.01)),
        angle=random.uniform(-0.3, 0.3),
        turn_rate=_one_of(random, 0.0, (-0.008, 0.008)),
        shake=_one_of(random, 0.0, (0.0, 0.8)),
    )


def _start(random: np.random.Generator, side: int, crop: int, drift: float) -> float:
    """Where the centre starts so that the picture stays on the photo where it can, turns and zoom aside."""
    low, high = crop / 2 + max(0.0, -drift), side - crop / 2 - max(0.0, drift)
    return random.uniform(low, high) if low < high else (side - drift) / 2


def _one_of(random: np.random.Generator, *choices: float | tuple[float, float]) -> float:
    """A number, or one from a range; each choice is as likely as the others."""
    choice = choices[int(random.integers(len(choices)))]
    return random.uniform(*choice) if isinstance(choice, tuple) else choice


def _nearer(random: np.random.Generator, path: CameraPath) -> CameraPath:
    """The path of a nearer layer: what moves sideways moves more, and a little by itself."""
    gain, own = random.uniform(1.1, 2.0), random.uniform(0.0, 2.5)
    heading = random.uniform(0, 2 * pi)
    return CameraPath(
        center=path.center,
        velocity=(gain * path.velocity[0] + own * cos(heading), gain * path.velocity[1] + own * sin(heading)),
        zoom_rate=path.zoom_rate * _one_of(random, 1.0, (0.995, 1.005)),
        angle=path.angle,
        turn_rate=path.turn_rate,
        shake=gain * path.shake,
    )


def soft_mask(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Random blobs, ``h w`` float32 in 0..1: smooth noise, cut at a level with an edge of some pixels."""
    cells = int(random.integers(3, 8))
    grid = random.standard_normal((cells + 2, round(cells * width / height) + 2), np.float32)
    noise = np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC))
    level, soft = random.uniform(-0.5, 0.7), random.uniform(0.01, 0.1)
    return np.asarray(np.clip(0.5 + (noise - np.float32(level)) / np.float32(soft), 0, 1))
