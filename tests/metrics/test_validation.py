"""Every fault is flagged by the measure that is named after it, blur never wins, and what is right is not flagged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from limpid.metrics import METRICS, Clips, Measured, measure

Clip = tuple[list[np.ndarray], list[np.ndarray]]
Answers = dict[str, float]

PAN = [
    *("m1-lr-psnr", "m1-block-psnr", "m1-bias", "m1-flicker", "m2-coherent", "m3-coherence", "m3-incoherent"),
    *("m4-segment-seam", "m4-tile-jump", "static-flicker", "colour-drift"),
]
STILL = ["m5-lag1", "m5-lag8", "m5-lag32", "static-flicker", "colour-drift", "m1-flicker"]
TOLERANCE = {"dB": 0.5, "levels": 0.1, "levels RMS": 0.1, "": 0.05}
"""By unit: how much better than the truth counts as better. Truth and blur are equal where there is no fault."""


def levels(frames: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def blurred(frames: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in frames])


def enlarged(lr: np.ndarray) -> np.ndarray:
    size = (4 * lr.shape[2], 4 * lr.shape[1])
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_CUBIC) for f in lr])


def with_texture(frames: np.ndarray, seeds: list[int], speed: tuple[float, float] = (0, 0)) -> np.ndarray:
    """Fine texture on top, another for each seed; it moves by ``speed`` pixels a frame."""
    h, w = frames.shape[1:3]
    out = []
    for number, (frame, seed) in enumerate(zip(frames, seeds, strict=True)):
        noise = np.random.default_rng(seed).normal(0, 24, (h + 32, w + 32)).astype(np.float32)
        texture = cv2.GaussianBlur(noise, (0, 0), 0.6) - cv2.GaussianBlur(noise, (0, 0), 2)
        move = np.array([[1, 0, speed[0] * number], [0, 1, speed[1] * number]], np.float32)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        seen = cv2.warpAffine(texture, move, (w, h), flags=flags)
        out.append(frame + seen[..., None])
    return levels(np.stack(out))


def flickering(frames: np.ndarray, size: float) -> np.ndarray:
    signs = np.where(np.arange(len(frames)) % 2, size / 2, -size / 2)
    return levels(frames + signs[:, None, None, None])


def drifting(frames: np.ndarray, size: float) -> np.ndarray:
    """Only red."""
    ramp = np.linspace(0, size, len(frames))[:, None, None, None] * np.array([1, 0, 0])
    return levels(frames + ramp)


def stepped(frames: np.ndarray, size: float) -> np.ndarray:
    step = np.where(np.arange(frames.shape[2]) < 80, -size / 2, size / 2)
    return levels(frames + step[:, None])


def averaged(frames: np.ndarray) -> np.ndarray:
    return levels(np.stack([frames[max(0, n - 2) : n + 3].mean(0) for n in range(len(frames))]))


def numbers(answers: dict[str, Measured]) -> Answers:
    assert not [a for a in answers.values() if a.value is None], answers
    return {name: a.value or 0.0 for name, a in answers.items()}


@pytest.fixture(scope="module")
def pan(long_pan: Clip) -> Clips:
    return Clips(np.stack(long_pan[0]), lr=np.stack(long_pan[1]), borders=(8,), tile_columns=(80,))


@pytest.fixture(scope="module")
def table(pan: Clips) -> dict[str, Answers]:
    """The spec's table on a pan over a photo, with a segment border at frame 8 and a tile seam at column 80."""
    assert pan.lr is not None
    truth, low = pan.sr, enlarged(pan.lr)
    pan_speed = (1.3, 0.6)
    variants = {
        "truth": truth,
        "bicubic": low,
        "blur 1.5": blurred(truth, 1.5),
        "blur 4": blurred(truth, 4),
        "moving texture": with_texture(low, [0] * 16, pan_speed),
        "texture per segment": with_texture(low, [0] * 8 + [1] * 8, pan_speed),
        "texture per frame": with_texture(low, list(range(16))),
        "dirty window": with_texture(low, [0] * 16),
        "flicker": flickering(truth, 2),
        "tile offset": stepped(truth, 2),
        "average of 5": averaged(truth),
        "drift": drifting(truth, 8),
    }
    return {name: of_pan(frames, pan) for name, frames in variants.items()}


def of_pan(frames: np.ndarray, pan: Clips) -> Answers:
    clips = Clips(frames, lr=pan.lr, borders=pan.borders, tile_columns=pan.tile_columns)
    clips.__dict__["flows"] = pan.flows  # they belong to the input, which is the same
    return numbers(measure(PAN, clips))


def test_every_fault_is_flagged_by_its_measure(table: dict[str, Answers]) -> None:
    truth, bicubic = table["truth"], table["bicubic"]
    assert table["blur 4"]["m1-lr-psnr"] < bicubic["m1-lr-psnr"] - 6
    assert table["blur 4"]["m2-coherent"] < 0.5 * bicubic["m2-coherent"]
    assert table["texture per segment"]["m4-segment-seam"] > 2
    assert table["texture per frame"]["m3-coherence"] < 0.3
    assert table["texture per frame"]["m3-incoherent"] > 2
    assert table["dirty window"]["m3-coherence"] < 0.3
    assert table["dirty window"]["m3-incoherent"] > 2
    assert table["flicker"]["m1-flicker"] > 1.5
    assert table["flicker"]["static-flicker"] > 1.5
    assert table["tile offset"]["m4-tile-jump"] > 1.5
    assert table["drift"]["colour-drift"] > 4
    assert table["average of 5"]["m1-lr-psnr"] < bicubic["m1-lr-psnr"] - 1
    assert truth["m2-coherent"] > 1.5 * bicubic["m2-coherent"]


@pytest.mark.parametrize("right", ["truth", "bicubic", "moving texture"])
def test_what_is_right_is_not_flagged(table: dict[str, Answers], right: str) -> None:
    """A clean pan, and detail that was invented but moves with the scene."""
    found = table[right]
    assert found["m4-segment-seam"] < 1.5
    assert found["m4-tile-jump"] < 0.5
    assert found["m1-flicker"] < 0.3
    assert found["static-flicker"] < 0.3
    assert found["colour-drift"] < 0.5
    assert found["m3-coherence"] > 0.8
    assert found["m3-incoherent"] < 0.5


def test_a_fault_does_not_trip_the_measures_of_others(table: dict[str, Answers]) -> None:
    for fault, own in [
        ("flicker", {"m1-flicker", "static-flicker"}),
        ("tile offset", {"m4-tile-jump"}),
        ("drift", {"colour-drift", "m1-bias", "m1-flicker", "static-flicker", "m2-coherent"}),
        ("texture per segment", {"m4-segment-seam", "m3-coherence", "m3-incoherent", "m4-tile-jump", "m2-coherent"}),
    ]:
        for name in set(PAN) - own - {"m1-lr-psnr", "m1-block-psnr", "m1-bias"}:
            base = table["moving texture" if "texture" in fault else "truth"][name]
            assert table[fault][name] == pytest.approx(base, rel=0.1, abs=0.25), (fault, name)


@pytest.mark.parametrize("blur", ["blur 1.5", "blur 4"])
def test_blur_never_wins(table: dict[str, Answers], blur: str) -> None:
    for name in PAN:
        metric = METRICS[name]
        gain = table[blur][name] - table["truth"][name]
        better = gain if metric.better == "higher" else -gain
        assert better <= TOLERANCE[metric.unit], (name, table[blur][name], table["truth"][name])


SIZES = (0, 1, 2, 4, 8)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (flickering, "m1-flicker"),
        (flickering, "static-flicker"),
        (drifting, "colour-drift"),
        (stepped, "m4-tile-jump"),
    ],
)
def test_faults_rank_by_their_size(pan: Clips, fault, name: str) -> None:
    clips = [Clips(fault(pan.sr, s), lr=pan.lr, tile_columns=(80,)) for s in SIZES]
    values = [measure([name], c)[name].value or 0.0 for c in clips]
    assert values == sorted(values)
    assert len(set(values)) == len(SIZES)


@pytest.fixture(scope="module")
def standing(still: Clip) -> dict[str, Answers]:
    """A fixed camera, 41 frames."""
    truth, lr = (np.stack(c) for c in still)
    random = np.random.default_rng(0)
    noisy = levels(truth + random.normal(0, 2, truth.shape))
    variants = {
        "truth": truth,
        "noisy": noisy,
        "blur 4": blurred(truth, 4),
        "blur of noisy": blurred(noisy, 4),
        "texture per segment": with_texture(truth, [n // 8 for n in range(41)]),
        "flicker": flickering(truth, 2),
        "drift": drifting(truth, 4),
    }
    return {name: numbers(measure(STILL, Clips(frames, lr=lr))) for name, frames in variants.items()}


def test_faults_of_a_still_clip(standing: dict[str, Answers]) -> None:
    assert standing["texture per segment"]["m5-lag8"] < 0.8
    assert standing["texture per segment"]["m5-lag32"] < 0.8
    assert standing["texture per segment"]["m5-lag1"] > 0.8
    assert standing["flicker"]["static-flicker"] == pytest.approx(2, rel=0.1)
    assert standing["flicker"]["colour-drift"] < 0.2
    assert standing["drift"]["colour-drift"] == pytest.approx(3, rel=0.1), "quarters of a ramp of 4"
    assert standing["drift"]["static-flicker"] < 0.3
    assert standing["truth"]["m5-lag32"] > 0.99
    assert standing["truth"]["static-flicker"] == 0
    for name in STILL:
        for blur, sharp in (("blur 4", "truth"), ("blur of noisy", "noisy")):
            gain = standing[blur][name] - standing[sharp][name]
            assert (gain if METRICS[name].better == "higher" else -gain) <= 0.01, (name, blur)


def test_the_measures_of_the_literature_reward_blur(pan: Clips) -> None:
    """Why they are never to be read alone; the one that compares with the truth does not."""
    names = ["ewarp", "we", "vbench-flickering", "tof"]
    truth, blur = (numbers(measure(names, Clips(f, pan.sr))) for f in (pan.sr, blurred(pan.sr, 4)))
    assert blur["ewarp"] < truth["ewarp"]
    assert blur["we"] < truth["we"]
    assert blur["vbench-flickering"] > truth["vbench-flickering"]
    assert blur["tof"] > truth["tof"] == 0


def test_warping_error_sees_a_change_of_known_size(still: Clip) -> None:
    truth = np.stack(still[0][:4]) // 2 + 60
    names = ["ewarp", "we", "vbench-flickering"]
    found = numbers(measure(names, Clips(flickering(truth, 4), truth)))
    assert found["ewarp"] == pytest.approx(1000 * (4 / 255) ** 2, rel=0.01)
    assert found["we"] == pytest.approx(4, rel=0.01)
    assert found["vbench-flickering"] == pytest.approx(251 / 255, rel=1e-3)
