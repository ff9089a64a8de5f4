"""Clips from photos: a virtual camera pans, zooms and turns over a still picture, so the motion is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraPath:
    """A camera that moves over a photo at constant speed, with a little shake.

    ``center``: where the camera looks in the first frame, in photo pixels (x, y). ``velocity``: photo pixels per frame.
    ``zoom``: output pixels per photo pixel. ``zoom_rate`` and ``turn_rate``: change per frame (factor, radians).
    ``shake``: standard deviation of the hand's tremble, photo pixels.
    """

    center: tuple[float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    zoom: float = 1.0
    zoom_rate: float = 1.0
    angle: float = 0.0
    turn_rate: float = 0.0
    shake: float = 0.0

    def matrix(self, frame: int, width: int, height: int, tremble: np.ndarray) -> np.ndarray:
        """The camera at one frame: 2x3 affine map from output pixels to photo pixels."""
        scale = 1.0 / (self.zoom * self.zoom_rate**frame)
        theta = self.angle + self.turn_rate * frame
        a, b = scale * np.cos(theta), scale * np.sin(theta)
        x = self.center[0] + self.velocity[0] * frame + tremble[0]
        y = self.center[1] + self.velocity[1] * frame + tremble[1]
        cx, cy = (width - 1) / 2, (height - 1) / 2
        return np.array([[a, -b, x - a * cx + b * cy], [b, a, y - b * cx - a * cy]])


def photo_clip(
    photo: np.ndarray, path: CameraPath, *, num_frames: int, width: int, height: int, seed: int = 0
) -> np.ndarray:
    """Film a photo.

    Args:
        photo: RGB uint8, ``h w 3``. Reduce it beforehand when the camera zooms out: the sampling is
            Lanczos without a prefilter.
        seed: fixes the tremble.

    Returns:
        RGB uint8, ``num_frames height width 3``; outside of the photo its mirror image is seen.
    """
    tremble = np.random.default_rng(seed).normal(0.0, 1.0, (num_frames, 2)) * path.shake
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return np.stack(
        [
            cv2.warpAffine(
                photo,
                path.matrix(index, width, height, tremble[index]),
                (width, height),
                flags=flags,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            for index in range(num_frames)
        ]
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class MovingLayer:
    """A part of a photo that moves in its own way. ``mask``: ``h w`` float32 of the photo's size, 0..1; None: all."""

    path: CameraPath
    mask: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Filmed:
    """A clip whose motion is known: ``frames`` uint8 ``t h w 3``; flows float32 ``t-1 2 h w``, x then y, in pixels.

    ``forward[i]`` leads from frame ``i`` to frame ``i + 1``, ``backward[i]`` from frame ``i + 1`` to frame ``i``. Where
    a soft edge mixes layers, the flow is that of the one that shows most; where a layer in front will hide a point, the
    flow is that of the point.
    """

    frames: np.ndarray
    forward: np.ndarray
    backward: np.ndarray


def layered_clip(
    photo: np.ndarray,
    layers: Sequence[MovingLayer],
    *,
    num_frames: int,
    stride: int,
    width: int,
    height: int,
    seed: int = 0,
) -> Filmed:
    """Film a photo whose layers move differently (parallax).

    Args:
        photo: as for `photo_clip`.
        layers: from back to front; the first must have no mask.
        stride: steps of the camera paths between frames.
        seed: fixes the tremble, which is the same hand's for all layers.
    """
    tremble = np.random.default_rng(seed).normal(0.0, 1.0, (num_frames, 2))
    maps = [
        [layer.path.matrix(i * stride, width, height, tremble[i] * layer.path.shake) for i in range(num_frames)]
        for layer in layers
    ]
    shot = [_composite(photo, layers, [each[i] for each in maps], width, height) for i in range(num_frames)]
    owners = [owner for _, owner in shot]
    steps, shape = range(num_frames - 1), (num_frames - 1, 2, height, width)
    return Filmed(
        frames=np.stack([frame for frame, _ in shot]),
        forward=np.reshape([_flow([(m[i], m[i + 1]) for m in maps], owners[i]) for i in steps], shape),
        backward=np.reshape([_flow([(m[i + 1], m[i]) for m in maps], owners[i + 1]) for i in steps], shape),
    )


def _composite(
    photo: np.ndarray, layers: Sequence[MovingLayer], maps: list[np.ndarray], width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """One frame of all layers, and the number of the layer that shows most at each of its pixels."""
    seen = _seen(photo, maps[0], width, height, cv2.INTER_LANCZOS4)
    if len(layers) == 1:
        return seen, np.zeros((height, width), np.uint8)
    picture, shares = seen.astype(np.float32), [np.ones((height, width), np.float32)]
    for layer, matrix in zip(layers[1:], maps[1:], strict=True):
        assert layer.mask is not None
        mask = _seen(layer.mask, matrix, width, height, cv2.INTER_LINEAR)
        front = _seen(photo, matrix, width, height, cv2.INTER_LANCZOS4)
        picture += mask[..., None] * (front - picture)
        shares = [*(share * (1 - mask) for share in shares), mask]
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), np.argmax(shares, 0).astype(np.uint8)


def _seen(plane: np.ndarray, matrix: np.ndarray, width: int, height: int, how: int) -> np.ndarray:
    flags, border = how | cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT_101
    return np.asarray(cv2.warpAffine(plane, matrix, (width, height), flags=flags, borderMode=border))


def _flow(pairs: list[tuple[np.ndarray, np.ndarray]], owner: np.ndarray) -> np.ndarray:
    """Displacement of every pixel when the map of its layer changes from the first to the second of a pair."""
    y, x = np.indices(owner.shape, np.float32)
    flow = np.empty((2, *owner.shape), np.float32)
    for number, (here, there) in enumerate(pairs):
        turned = np.linalg.solve(there[:, :2], here[:, :2])
        shift = np.linalg.solve(there[:, :2], here[:, 2] - there[:, 2])
        moved = [
            (row[0] * x + row[1] * y + s).astype(np.float32) for row, s in zip(turned - np.eye(2), shift, strict=True)
        ]
        flow = np.stack(moved) if number == 0 else np.where(owner == number, np.stack(moved), flow)
    return flow
