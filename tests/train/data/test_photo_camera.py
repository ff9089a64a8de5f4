"""Photos become clips: the flow that is handed out leads to where each point really is."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest

from limpid.degrade import CameraPath, Filmed, MovingLayer, layered_clip, photo_clip
from limpid.train.data.flips import ClipFlip
from limpid.train.data.photo_camera import film_photo, soft_mask

SIDE = 96


def photo() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (400, 320), interpolation=cv2.INTER_CUBIC))


def path(**more: object) -> CameraPath:
    return CameraPath(center=(200.0, 160.0), **more)  # type: ignore[arg-type]


def filmed(*layers: MovingLayer, frames: int = 3, stride: int = 1) -> Filmed:
    return layered_clip(photo(), layers, num_frames=frames, stride=stride, width=SIDE, height=SIDE, seed=1)


def errors(frames: np.ndarray, forward: np.ndarray, backward: np.ndarray) -> list[np.ndarray]:
    """How far each frame is from the next and the previous one, fetched along the flow; only what is in the picture."""
    found = []
    for here, there, flow in [*zip(frames, frames[1:], forward), *zip(frames[1:], frames, backward)]:  # noqa: B905
        y, x = np.indices(flow.shape[1:], np.float32)
        x, y = x + flow[0], y + flow[1]
        fetched = cv2.remap(there, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        inside = (x > 2) & (x < SIDE - 3) & (y > 2) & (y < SIDE - 3)
        found.append(np.abs(fetched.astype(float) - here).mean(-1)[inside])
    return found


MOTIONS = {
    "pan": path(velocity=(3.3, -1.7)),
    "zoom": path(zoom_rate=1.03, zoom=0.8),
    "rotation": path(turn_rate=0.04, angle=0.5),
    "all": path(velocity=(-2.0, 1.0), zoom_rate=0.98, turn_rate=-0.03, angle=-0.2, shake=1.0),
}


@pytest.mark.parametrize("name", MOTIONS)
def test_flow_of_a_moving_camera_is_exact(name: str) -> None:
    made = filmed(MovingLayer(path=MOTIONS[name]))
    assert made.forward.shape == made.backward.shape == (2, 2, SIDE, SIDE) and made.forward.dtype == np.float32
    assert np.abs(made.forward).max() > 0.5
    for error in errors(made.frames, made.forward, made.backward):
        assert len(error) > 0.8 * SIDE * SIDE
        assert error.max() < 8 and error.mean() < 1.2
    if MOTIONS[name].shake == 0:
        assert np.array_equal(made.frames, photo_clip(photo(), MOTIONS[name], num_frames=3, width=SIDE, height=SIDE))


def test_parallax_gives_each_layer_its_own_flow() -> None:
    mask = np.zeros((320, 400), np.float32)
    mask[:, 200:] = 1  # a hard edge: nothing is mixed
    made = filmed(MovingLayer(path=path()), MovingLayer(path=path(velocity=(-4.0, 0.0)), mask=mask))
    kinds = {tuple(np.round(vector, 3)) for vector in made.forward.reshape(2, 2, -1)[0].T}
    assert kinds == {(0.0, 0.0), (4.0, 0.0)}
    edge = SIDE // 2
    assert not made.forward[0, :, :, : edge - 1].any() and (made.forward[0, 0, :, edge + 1 :] == 4).all()
    assert (made.backward[0, 0, :, edge + 5 :] == -4).all()
    for error in errors(made.frames, made.forward, made.backward):
        hidden = 5 * SIDE  # behind the layer in front
        assert np.sort(error)[:-hidden].max() < 8


def test_a_soft_mask_leaves_most_pixels_unmixed() -> None:
    random = np.random.default_rng(3)
    mask = soft_mask(random, 320, 400)
    assert mask.shape == (320, 400) and mask.dtype == np.float32 and mask.min() == 0 and mask.max() == 1
    made = filmed(MovingLayer(path=path()), MovingLayer(path=path(velocity=(2.0, 1.5), zoom_rate=1.01), mask=mask))
    for error in errors(made.frames, made.forward, made.backward):
        assert np.quantile(error, 0.7) < 3


@pytest.mark.parametrize("bits", list(product((False, True), repeat=4)))
def test_flow_follows_turns_mirrors_and_time(bits: tuple[bool, ...]) -> None:
    made = filmed(MovingLayer(path=MOTIONS["all"]))
    turn = ClipFlip(transposed=bits[0], mirrored=bits[1], upside_down=bits[2], backwards=bits[3])
    frames, (forward, backward) = turn.frames(made.frames), turn.flows(made.forward, made.backward)
    assert frames.flags.c_contiguous and forward.flags.c_contiguous
    for error in errors(frames, forward, backward):
        assert error.max() < 8 and error.mean() < 1.2
    kept = turn == ClipFlip()
    assert np.array_equal(frames, made.frames) == kept and np.array_equal(forward, made.forward) == kept


def test_a_stride_skips_frames() -> None:
    every, second = (filmed(MovingLayer(path=MOTIONS["zoom"]), frames=n, stride=s) for n, s in ((5, 1), (3, 2)))
    assert np.array_equal(every.frames[::2], second.frames)


def test_random_films_stay_near_the_photo_and_have_layers_sometimes() -> None:
    random = np.random.default_rng(0)
    layered = 0
    for _ in range(12):
        made = film_photo(photo(), random, num_frames=4, stride=3, crop=SIDE)
        assert made.frames.shape == (4, SIDE, SIDE, 3) and made.frames.dtype == np.uint8
        assert np.abs(made.forward).max() < 0.5 * 320 + 60
        second = np.abs(np.diff(made.forward[0], 2, axis=2)).max()
        layered += second > 0.05  # an affine flow has no second derivative
    assert 0 < layered < 12


def test_one_frame_has_no_flow() -> None:
    made = filmed(MovingLayer(path=path()), frames=1)
    assert made.forward.shape == (0, 2, SIDE, SIDE)
