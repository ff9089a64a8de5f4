"""The catalogue: equality with libraries, its promises for every entry, and what it answers where there is no value."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from limpid.metrics import METRICS, Clips, Measured, measure
from limpid.metrics.fidelity import frame_ms_ssim, frame_psnr, frame_ssim, studio_luma
from limpid.types import SettingsError

Clip = tuple[list[np.ndarray], list[np.ndarray]]
REFERENCE = ["psnr", "psnr-y", "ssim", "ssim-y", "ms-ssim"]


def noisy(frames: np.ndarray, sigma: float = 8.0, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, frames.shape)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def truth(clip: Clip) -> np.ndarray:
    return np.stack(clip[0])


@pytest.fixture(scope="module")
def clips(clip: Clip, truth: np.ndarray) -> Clips:
    return Clips(noisy(truth), truth, np.stack(clip[1]), borders=(2,), tile_columns=(128,))


# ------------------------------------------------------------------------------- equality with libraries


def test_psnr_equals_torchmetrics(clips: Clips, truth: np.ndarray) -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    ours = measure(["psnr"], clips)["psnr"]
    assert ours.per_frame is not None
    for value, a, b in zip(ours.per_frame, clips.sr, truth, strict=True):
        theirs = peak_signal_noise_ratio(torch.tensor(a).double(), torch.tensor(b).double(), data_range=255.0)
        assert value == pytest.approx(float(theirs), abs=1e-4)
    assert ours.value == pytest.approx(np.mean(ours.per_frame))


def test_ssim_equals_scikit_image(clips: Clips, truth: np.ndarray) -> None:
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    for a, b in zip(clips.sr[:2], truth[:2], strict=True):
        whole = structural_similarity(a.astype(float), b.astype(float), channel_axis=2, **options)
        assert frame_ssim(a, b) == pytest.approx(whole, abs=1e-7)
        y = studio_luma(a), studio_luma(b)
        assert frame_ssim(*y) == pytest.approx(structural_similarity(*y, **options), abs=1e-7)


def test_ms_ssim_is_near_torchmetrics_whose_windows_are_padded(clips: Clips, truth: np.ndarray) -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as theirs

    a, b = clips.sr[0], truth[0]
    pair = (torch.tensor(x).permute(2, 0, 1)[None].double() for x in (a, b))
    assert frame_ms_ssim(a, b) == pytest.approx(float(theirs(*pair, data_range=255.0)), abs=3e-3)


def test_y_is_that_of_matlab() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert studio_luma(colours)[0] == pytest.approx([16, 235, 81.481, 144.553, 40.966])


# --------------------------------------------------------------------------------------- properties


def test_a_clip_against_itself_is_the_best_value(truth: np.ndarray) -> None:
    found = measure([*REFERENCE, "tof"], Clips(truth, truth))
    assert [found[n].value for n in ("psnr", "psnr-y")] == [float("inf")] * 2
    assert [found[n].value for n in ("ssim", "ssim-y", "ms-ssim")] == pytest.approx([1.0] * 3, abs=1e-12)
    assert found["tof"].value == 0


@given(seed=st.integers(0, 99), sigma=st.floats(1, 60))
def test_symmetric_and_in_range(seed: int, sigma: float) -> None:
    a = np.random.default_rng(seed).integers(0, 256, (24, 20, 3), np.uint8)
    b = noisy(a, sigma, seed)
    assert frame_psnr(a, b) == frame_psnr(b, a) >= 0
    assert frame_ssim(a, b) == pytest.approx(frame_ssim(b, a))
    assert -1 <= frame_ssim(a, b) <= 1
    assert frame_psnr(a, b) > frame_psnr(a, noisy(a, 4 * sigma, seed))


def test_more_noise_is_worse_and_a_clip_is_the_mean_of_its_frames(truth: np.ndarray) -> None:
    found = [measure(REFERENCE, Clips(noisy(truth, s), truth)) for s in (2, 6, 18)]
    singles = [measure(REFERENCE, Clips(noisy(truth, 6)[n : n + 1], truth[n : n + 1])) for n in range(len(truth))]
    for name in REFERENCE:
        values = [f[name].value or 0 for f in found]
        assert values == sorted(values, reverse=True)
        assert values[1] == pytest.approx(np.mean([s[name].value or 0 for s in singles]))


def test_every_entry_is_described_and_answers(clips: Clips) -> None:
    found = measure(METRICS, clips)
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.label and metric.definition and metric.source and metric.licence
        assert found[name].value is not None or found[name].reason, name
        if found[name].value is not None and metric.kind == "full_reference" and name != "vmaf":
            assert len(found[name].per_frame or ()) == len(clips.sr)
        assert "failed" not in (found[name].reason or ""), found[name]


def test_every_entry_has_a_reason_where_everything_is_missing(truth: np.ndarray) -> None:
    for name, answer in measure(METRICS, Clips(truth[:1, :8, :8])).items():
        if METRICS[name].needs:
            assert str(answer).startswith("n/a: "), name
        assert "failed" not in (answer.reason or ""), answer


# ----------------------------------------------------------------------- alignment and bad input


def moved(frames: np.ndarray, x: int, y: int) -> np.ndarray:
    return np.roll(frames, (y, x), (1, 2))


def zoomed(frames: np.ndarray, margin: int) -> np.ndarray:
    import cv2

    h, w = frames.shape[1:3]
    inner = frames[:, margin:-margin, margin:-margin]
    return np.stack([cv2.resize(f, (w, h), interpolation=cv2.INTER_CUBIC) for f in inner])


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda f: f[:-1], "has 4 frames, the truth 5"),
        (lambda f: f[:, :-2], "256x190, the truth 256x192"),
        (lambda f: moved(f, 2, -1), r"shifted by \(\+2.0, -1.0\)"),
        (lambda f: noisy(moved(f, 1, 0), 3), r"shifted by \(\+1.0, [+-]0.0\)"),
        (lambda f: zoomed(f, 8), "zoomed or cropped"),
        (lambda f: np.concatenate([f[:1], f[:-1]]), "1 frame late"),
        (lambda f: np.concatenate([f[1:], f[-1:]]), "1 frame early"),
    ],
)
def test_a_result_in_the_wrong_place_is_reported_and_not_measured(wrong, reason, truth: np.ndarray) -> None:
    found = measure(["psnr", "ssim-y", "tof", "ewarp"], Clips(wrong(truth), truth))
    for answer in found.values():
        assert answer.value is None
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found["psnr"].reason)


def test_blur_noise_and_brightness_are_no_shift(truth: np.ndarray) -> None:
    import cv2

    blurred = np.stack([cv2.GaussianBlur(f, (0, 0), 4) for f in truth])
    for sr in (blurred, noisy(truth, 40), truth // 2, np.zeros_like(truth), noisy(np.zeros_like(truth))):
        assert measure(["psnr"], Clips(sr, truth))["psnr"].reason is None


def test_what_cannot_be_measured_says_why(clip: Clip, truth: np.ndarray) -> None:
    lr = np.stack(clip[1])
    found = measure(["m1-lr-psnr", "psnr", "m5-lag32"], Clips(truth[:, :-4], None, lr))
    assert found["psnr"].reason == "needs the truth (GT)"
    assert "not four times the input of 64x48" in (found["m1-lr-psnr"].reason or "")
    assert "more than 32 frames" in (measure(["m5-lag32"], Clips(truth, lr=lr))["m5-lag32"].reason or "")
    assert "uint8" in (measure(["psnr"], Clips(truth / 255.0, truth))["psnr"].reason or "")
    with pytest.raises(SettingsError, match="there is no metric 'psrn'"):
        measure(["psrn"], Clips(truth))
    with pytest.raises(ValueError, match="reason"):
        Measured(None)


def test_the_catalogue_is_light() -> None:
    code = "import sys, limpid.metrics.catalogue; sys.exit(','.join({'torch', 'numpy', 'cv2'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_learned_metrics_name_what_they_need(truth: np.ndarray, tmp_path) -> None:
    for name in ("lpips", "dists", "tlp", "brisque", "vbench-background", "nrqm", "musiq", "clipiqa-official", "dover"):
        answer = measure([name], Clips(truth, truth), weights_folder=tmp_path)[name]
        assert answer.value is None
        assert f"not found in {tmp_path}" in str(answer)
    dover = str(measure(["dover"], Clips(truth), tmp_path)["dover"])
    assert "DOVER.pth" in dover and "non-commercial" in dover


def test_the_documentation_has_every_definition(repository) -> None:
    page = (repository / "docs" / "metrics.md").read_text()
    for metric in METRICS.values():
        assert f"| `{metric.name}` " in page
        assert metric.definition.replace("|", "\\|") in page, f"docs/metrics.md has another definition of {metric.name}"
