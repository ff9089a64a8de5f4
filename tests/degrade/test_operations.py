"""What the steps do to pixels: against libraries, and against slow versions that follow the formulas."""

from __future__ import annotations

from math import pi

import cv2
import numpy as np
import pytest
from scipy import integrate, ndimage, special  # type: ignore[import-untyped]

from limpid.degrade import PIPELINES, Drawn, apply, apply_to_clip, draw, kernels, ops, shrink
from limpid.degrade.applying import kernel_at
from limpid.video.roundtrip import codec_roundtrip, stream_roundtrip

RANDOM = np.random.default_rng(0)
PHOTO = np.clip(ndimage.gaussian_filter(RANDOM.uniform(-900, 1150, (50, 70, 3)), (2, 2, 0)), 0, 255).astype(np.uint8)


def moving(t: int, h: int, w: int) -> np.ndarray:
    y, x = np.mgrid[0:h, 0:w]
    frames = [np.stack([(2 * x + 3 * i) % 256, (3 * y + i) % 256, (x + y) % 256], -1) for i in range(t)]
    return np.stack(frames).astype(np.uint8)


# ------------------------------------------------------------------------------------------------ kernels


@pytest.mark.parametrize("profile", ["gaussian", "generalized", "plateau"])
def test_elliptical_kernels_against_their_formulas(profile: str) -> None:
    size, sx, sy, angle, beta = 9, 2.1, 0.8, 0.7, 1.0 if profile == "gaussian" else 1.6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.diag([sx**2, sy**2]) @ turn.T)
    slow = np.empty((size, size))
    for row in range(size):
        for column in range(size):
            at = np.array([column - size // 2, row - size // 2])
            m = at @ inverse @ at
            slow[row, column] = 1 / (1 + m**beta) if profile == "plateau" else np.exp(-0.5 * m**beta)
    assert np.allclose(kernels.elliptical(size, sx, sy, angle, profile=profile, beta=beta), slow / slow.sum())


def test_the_isotropic_gaussian_is_opencvs() -> None:
    line = cv2.getGaussianKernel(15, 1.7)
    found = kernels.kernel("iso", 15, sigma_x=1.7, sigma_y=9, angle=1, beta=3, omega=0)
    assert np.allclose(found, line @ line.T, atol=1e-7)


def test_the_bessel_function_is_scipys() -> None:
    x = np.linspace(0, 50, 2000)
    assert np.abs(kernels.bessel_j1(x) - special.j1(x)).max() < 1e-12


@pytest.mark.parametrize(("size", "omega"), [(7, pi / 3), (21, pi / 5), (13, pi)])
def test_sinc_is_the_transform_of_a_disc(size: int, omega: float) -> None:
    kernel = kernels.sinc(size, omega)
    assert kernel.sum() == pytest.approx(1)

    def value(radius: float) -> float:
        """The inverse Fourier transform of a disc of radius omega, in polar coordinates."""
        total, _ = integrate.quad(lambda k: k * special.j0(k * radius), 0, omega)
        return float(total / (2 * pi))

    slow = np.array([[value(np.hypot(x - size // 2, y - size // 2)) for x in range(size)] for y in range(size)])
    assert np.allclose(kernel, slow / slow.sum(), atol=1e-8)


@pytest.mark.parametrize("kind", kernels.KERNEL_KINDS)
def test_kernels_are_symmetric_and_keep_brightness(kind: str) -> None:
    kernel = kernels.kernel(kind, 11, sigma_x=1.5, sigma_y=0.6, angle=0.4, beta=1.3, omega=1.5)
    assert kernel.shape == (11, 11) and kernel.sum() == pytest.approx(1)
    assert np.allclose(kernel, kernel[::-1, ::-1])
    assert np.allclose(kernel, kernel.T) == ("aniso" not in kind)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd size, not 8"):
        kernels.sinc(8, 1.0)


def test_the_exponent_lies_between_1_and_the_walk() -> None:
    step = {"kind": "plateau_iso", "size": 7, "sigma_x": [1.0], "beta": [2.0], "beta_mix": [0.0, 0.5, 1.0]}
    for number, beta in enumerate((1.0, 1.5, 2.0)):
        assert np.array_equal(kernel_at(step, number), kernels.elliptical(7, 1, 1, 0, profile="plateau", beta=beta))


# ------------------------------------------------------------------------------------------------- pixels


def test_blur_is_correlation_with_mirrored_edges() -> None:
    kernel = kernels.elliptical(7, 2, 1, 0.5)
    slow = ndimage.correlate(PHOTO.astype(float), kernel[..., None], mode="mirror")
    assert np.abs(ops.blur(PHOTO.astype(np.float32), kernel) - slow).max() < 1e-3
    assert np.abs(ops.blur(PHOTO, kernel).astype(float) - slow).max() <= 0.501


def test_unsharp_against_a_slow_version() -> None:
    wide = PHOTO.astype(np.float64)
    line = cv2.getGaussianKernel(51, 0.3 * ((51 - 1) * 0.5 - 1) + 0.8)[:, 0]

    def smooth(picture: np.ndarray) -> np.ndarray:
        return np.asarray(
            ndimage.correlate1d(ndimage.correlate1d(picture, line, 0, mode="mirror"), line, 1, mode="mirror")
        )

    detail = wide - smooth(wide)
    soft = smooth((np.abs(detail) > 10).astype(float))
    slow = soft * np.clip(wide + 0.5 * detail, 0, 255) + (1 - soft) * wide
    assert np.abs(ops.unsharp(PHOTO) - slow).max() < 0.01
    assert ops.unsharp(PHOTO).std() > PHOTO.std()
    flat = np.full((60, 60, 3), 90, np.uint8)
    assert np.array_equal(ops.unsharp(flat), flat)


def test_gaussian_noise_has_its_strength_and_grey_is_the_same_in_all_channels() -> None:
    flat = np.full((200, 200, 3), 100.0, np.float32)
    color = ops.gaussian_noise(flat, 12, gray=False, random=np.random.default_rng(1)) - flat
    gray = ops.gaussian_noise(flat, 12, gray=True, random=np.random.default_rng(1)) - flat
    assert abs(color.std() - 12) < 0.2 and abs(gray.std() - 12) < 0.3
    assert np.array_equal(gray[..., 0], gray[..., 2])
    assert abs(np.corrcoef(color[..., 0].ravel(), color[..., 1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("white", [1.0, 255.0])
def test_poisson_noise_has_the_variance_of_counting(white: float, gray: bool) -> None:
    frame = np.full((200, 200, 3), 80.0, np.float32)
    frame[:100] = 160.0
    noise = ops.poisson_noise(frame, 1.5, gray=gray, white=white, random=np.random.default_rng(2)) - frame
    for part, level in ((noise[100:], 80), (noise[:100], 160)):
        assert part.std() == pytest.approx(1.5 * (level * white / 2) ** 0.5, rel=0.03)
        assert abs(part.mean()) < 0.03 * part.std()
    assert np.array_equal(noise[..., 0], noise[..., 1]) == gray


def test_jpeg_is_opencvs_and_a_swap_of_channels_is_seen_in_the_colours() -> None:
    ok, data = cv2.imencode(".jpg", PHOTO[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    assert ok and np.array_equal(ops.jpeg(PHOTO, 40), np.asarray(cv2.imdecode(data, 1))[..., ::-1])
    assert np.array_equal(ops.jpeg(PHOTO, 40, swapped=True), ops.jpeg(PHOTO[..., ::-1], 40)[..., ::-1])
    assert not np.array_equal(ops.jpeg(PHOTO, 40, swapped=True), ops.jpeg(PHOTO, 40))
    outside = PHOTO.astype(np.float32) * 2 - 100
    assert np.array_equal(ops.jpeg(outside, 90), ops.jpeg(np.clip(np.rint(outside), 0, 255).astype(np.uint8), 90))


# ---------------------------------------------------------------------------------------------- downscaling


def test_bicubic_is_that_of_antialiasing_libraries() -> None:
    torch = pytest.importorskip("torch")
    frame = RANDOM.uniform(0, 255, (64, 96, 3)).astype(np.float32)
    batch = torch.from_numpy(frame).permute(2, 0, 1)[None]
    library = torch.nn.functional.interpolate(batch, (16, 24), mode="bicubic", antialias=True)[0].permute(1, 2, 0)
    inside = (slice(3, -3), slice(3, -3))  # the library cuts the kernel off at the edges, MATLAB repeats them
    assert np.abs(shrink.bicubic(frame, 4)[inside] - library.numpy()[inside]).max() < 0.01


def test_blur_downsample_samples_where_it_says() -> None:
    x = np.broadcast_to(np.arange(96.0)[None, :, None], (64, 96, 3))
    center, corner = shrink.blur_downsample(x, 4), shrink.blur_downsample(x, 4, corner=True)
    assert np.allclose(center[8, 3:-3, 0], np.arange(24)[3:-3] * 4 + 1.5, atol=1e-3)
    assert np.allclose(corner[8, 3:-3, 0], np.arange(24)[3:-3] * 4, atol=1e-3)
    frame = RANDOM.uniform(0, 255, (64, 96, 3))
    slow = ndimage.gaussian_filter(frame, (1.6, 1.6, 0), mode="nearest", truncate=5)[::4, ::4]
    assert np.abs(shrink.blur_downsample(frame, 4, corner=True) - slow).max() < 0.05


# -------------------------------------------------------------------------------------------------- codecs


@pytest.mark.parametrize("codec", ["libx264", "h264", "mpeg4", "libx265"])
@pytest.mark.parametrize("size", [(8, 11), (33, 47), (64, 90)])
def test_a_codec_keeps_count_and_size(codec: str, size: tuple[int, int]) -> None:
    for t in (1, 2, 13):
        frames = moving(t, *size)
        out = codec_roundtrip(frames, codec=codec, crf=None, bit_rate=20_000, rate=1)
        assert out.shape == frames.shape and out.dtype == np.uint8
        assert np.abs(out.astype(int) - frames).mean() < 70


def test_fewer_bits_per_frame_do_more_harm() -> None:
    frames = np.clip(moving(8, 96, 96) + RANDOM.normal(0, 20, (8, 96, 96, 3)), 0, 255).astype(np.uint8)
    errors = [
        np.abs(codec_roundtrip(frames, codec="mpeg4", crf=None, bit_rate=bits, rate=1).astype(int) - frames).mean()
        for bits in (3_000, 15_000, 60_000)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_a_stream_is_taken_frame_by_frame() -> None:
    taken = []

    def source() -> object:
        for number in range(150):
            taken.append(number)
            yield np.full((32, 32, 3), number, np.uint8)

    out = stream_roundtrip(source(), codec="libx264", crf=20)  # type: ignore[arg-type]
    next(out)
    assert len(taken) < 100
    assert sum(1 for _ in out) == 149
    assert list(stream_roundtrip([])) == []


# ------------------------------------------------------------------------------------------------ pipelines


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_is_a_function_of_its_seed_and_keeps_odd_sizes(name: str) -> None:
    frames = moving(4, 76, 92)  # 19x23 in the end, and most steps before it are even
    for seed in (0, 1):
        drawn = draw(PIPELINES[name], num_frames=4, height=76, width=92, seed=seed)
        first = apply_to_clip(frames, drawn)
        assert first.shape == (4, 19, 23, 3) and first.dtype == np.uint8
        assert np.array_equal(first, apply_to_clip(frames, Drawn.from_json(drawn.to_json())))
        assert np.array_equal(first, apply_to_clip(frames.astype(np.float64), drawn))
        reference = shrink.bicubic(frames[0], 4)
        assert abs(first.mean() - reference.mean()) < 25


@pytest.mark.parametrize("name", PIPELINES)
def test_the_smallest_clip_goes_through_every_pipeline(name: str) -> None:
    for seed in range(3):
        drawn = draw(PIPELINES[name], num_frames=2, height=32, width=36, seed=seed)
        assert apply_to_clip(moving(2, 32, 36), drawn).shape == (2, 8, 9, 3)


def test_a_strong_pipeline_is_worse_than_bicubic_and_seeds_differ() -> None:
    frames = np.stack([cv2.resize(PHOTO, (256, 192))] * 4)
    clean = np.rint(shrink.bicubic(frames[0], 4))
    results = []
    for seed in range(4):
        drawn = draw(PIPELINES["realbasicvsr"], num_frames=4, height=192, width=256, seed=seed)
        results.append(apply_to_clip(frames, drawn))
        assert np.abs(results[-1][0] - clean).mean() > 1
    assert len({result.tobytes() for result in results}) == 4


def test_noise_is_new_in_every_frame() -> None:
    drawn = draw(PIPELINES["simple"], num_frames=3, height=64, width=64, seed=0)
    noisy = Drawn.from_json(drawn.to_json() | {"steps": drawn.steps[:2]})
    a, b, _ = apply_to_clip(np.full((3, 64, 64, 3), 128, np.uint8), noisy).astype(int)
    assert abs(np.corrcoef((a - 128).ravel(), (b - 128).ravel())[0, 1]) < 0.2
    assert (a - 128).std() == pytest.approx(5, rel=0.15)


def test_frames_that_do_not_fit_are_refused() -> None:
    drawn = draw(PIPELINES["bicubic"], num_frames=3, height=64, width=64, seed=0)
    with pytest.raises(ValueError, match="for 3 frames, and there are 2"):
        apply_to_clip(moving(2, 64, 64), drawn)
    with pytest.raises(ValueError, match="for 3 frames, and there are more"):
        apply_to_clip(moving(4, 64, 64), drawn)
    with pytest.raises(ValueError, match=r"frame 0 has shape \(64, 68, 3\)"):
        list(apply(moving(3, 64, 68), drawn))
