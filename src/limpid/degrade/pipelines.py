"""The named pipelines: numbers of the papers as plain values.

Sources: RealBasicVSR as configured in mmagic (``realbasicvsr_wogan-c64b20``), MGLD-VSR and DOVE as published,
Real-ESRGAN ``options/train_realesrgan_x4plus.yml``, DiffVSR section 3.5. docs/degradation.md has them side by side.
"""

from __future__ import annotations

from dataclasses import replace
from math import pi
from types import MappingProxyType
from typing import Final

from limpid.degrade.chances import (
    AreaShrink,
    BitsPerPixel,
    ClipNoise,
    ConstantQuality,
    OneOf,
    Sharpening,
    Sometimes,
    Squeeze,
)
from limpid.degrade.drawing import Pipeline
from limpid.degrade.ranges import Blur, CodecStep, DamageStep, Fixed, Jpeg, Noise, Resize, Shuffled, ToTarget, Unsharp

_BLUR = (Blur(), Blur(prob=0.8, sigma=(0.2, 1.5)))
_RESIZE = (Resize(), Resize(modes=(0.3, 0.4, 0.3), scale=(0.3, 1.2), step=0.03))
_NOISE = (Noise(), Noise(sigma=(1.0, 25.0), poisson=(0.05, 2.5)))
_SINC = Blur(kinds=(0, 0, 0, 0, 0, 0, 1), prob=0.8, omega=(pi / 3, pi))


def _realbasicvsr(
    *, codec: CodecStep, shuffled: bool = True, sharpened: bool = True
) -> tuple[DamageStep | Shuffled, ...]:
    first = (_BLUR[0], _RESIZE[0], _NOISE[0], Jpeg(), codec)
    second = (_BLUR[1], _RESIZE[1], _NOISE[1], Jpeg())
    shrink = (ToTarget(), _SINC)
    last: tuple[DamageStep | Shuffled, ...] = (Shuffled(groups=((codec,), shrink)),) if shuffled else (codec, *shrink)
    return (*((Unsharp(),) if sharpened else ()), *first, *second, *last)


def _steady(step: DamageStep | Shuffled) -> DamageStep | Shuffled:
    """A step without its random walk; JPEG keeps its own."""
    if isinstance(step, Blur):
        return _steady_blur(step)
    if isinstance(step, Resize):
        return replace(step, step=0.0)
    if isinstance(step, Noise):
        return replace(step, sigma_step=0.0, poisson_step=0.0)
    if isinstance(step, Shuffled):
        return Shuffled(groups=tuple(tuple(_steady(each) for each in group) for group in step.groups))  # type: ignore[misc]
    return step


_KERNELS = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)


def _image_blur(*, prob: float = 1.0, sigma: tuple[float, float]) -> Blur:
    """The blur of Real-ESRGAN: a sinc with probability 0.1, else the six others."""
    kinds = (*(0.9 * chance for chance in _KERNELS), 0.1)
    return replace(_steady_blur(Blur(kinds=kinds, prob=prob, sigma=sigma)), beta_halves=True, beta_mixed=False)


def _steady_blur(blur: Blur) -> Blur:
    return replace(blur, sigma_step=0.0, angle_step=0.0, beta_gaussian_step=0.0, beta_plateau_step=0.0, omega_step=0.0)


def _image_noise(sigma: float, poisson: float) -> Noise:
    return Noise(sigma=(1.0, sigma), poisson=(0.05, poisson), sigma_step=0.0, poisson_step=0.0, white=255.0)


def _real_esrgan(*, light: bool = False) -> tuple[DamageStep | Shuffled, ...]:
    """The steps of Real-ESRGAN, drawn once per image there and so once per clip here; ``light``: StableSR's ranges."""
    jpegs = [Jpeg(quality=(60 if light else 30, 95), step=0.0, swapped=False)]
    jpegs.append(replace(jpegs[0], quality=(60, 100) if light else (30, 95)))
    noises = (_image_noise(15, 2), _image_noise(12, 1)) if light else (_image_noise(30, 3), _image_noise(25, 2.5))
    scales = ((0.3, 1.5), (0.6, 1.2)) if light else ((0.15, 1.5), (0.3, 1.2))
    resizes = (
        Resize(scale=scales[0], step=0.0),
        Resize(modes=(0.3, 0.4, 0.3), scale=scales[1], step=0.0, to_target=True),
    )
    first = (_image_blur(sigma=(0.2, 3.0)), resizes[0], noises[0], jpegs[0])
    second = (_image_blur(prob=0.5 if light else 0.8, sigma=(0.2, 1.5)), resizes[1], noises[1])
    last = Shuffled(groups=((ToTarget(), _steady_blur(_SINC)), (jpegs[1],)))
    return (*(() if light else (Unsharp(),)), *first, *second, last)


_CODEC = CodecStep()
_SIMPLE: tuple[DamageStep, ...] = (
    Fixed({"op": "simple_shrink", "blur_sigma": 1.0}, shrinks=True),
    Fixed({"op": "gaussian_noise", "gray": False, "sigma": [5.0]}),
    Fixed({"op": "codec", "codec": "libx264", "crf": 26}),
)

_LIGHT: tuple[DamageStep, ...] = (
    AreaShrink(sigma=(0.4, 2.0)),
    ClipNoise(sigmas=((0.0, 0.0), (0.0, 12.0), (2.0, 8.0))),
    Sometimes(prob=0.2, step=Jpeg(quality=(40, 95), step=0.0, swapped=False)),
    Sometimes(prob=0.85, step=ConstantQuality(crf=(18, 32))),
)
_AREA_CODEC = replace(_CODEC, reference_pixels=256 * 256)
_FIRST: tuple[DamageStep, ...] = (_BLUR[0], _RESIZE[0], _NOISE[0], Jpeg(), _AREA_CODEC, ToTarget())

_AREA, _CUBIC = ToTarget(ops=(("area", 1.0),)), ToTarget(ops=(("bicubic", 1.0),))
_ROUND = _steady_blur(Blur(kinds=(1, 0, 0, 0, 0, 0, 0), sigma=(1.2, 2.2)))
_OLD_CODECS = (
    (BitsPerPixel(codec="mpeg4", bits=(0.15, 1.2)),),
    (BitsPerPixel(codec="mpeg2video", bits=(0.15, 1.2)),),
)
_OLD = OneOf(groups=_OLD_CODECS, chances=(2 / 3, 1 / 3))
_WORN: tuple[DamageStep | Shuffled | OneOf, ...] = (
    Sometimes(prob=0.15, step=Sharpening(sizes=(11, 21, 51), weight=(0.3, 0.8), threshold=10.0)),
    OneOf(groups=((AreaShrink(sigma=(0.2, 2.4)),), (_AREA,), (_ROUND, _CUBIC)), chances=(0.7, 0.15, 0.15)),
    Sometimes(prob=0.12, step=Squeeze(factor=(0.6, 0.95))),
    _CUBIC,
    Sometimes(prob=0.2, step=Sharpening(sizes=(3, 5, 7), weight=(0.3, 1.2))),
    Sometimes(prob=0.55, step=ClipNoise(sigmas=((0.0, 12.0),), gray_prob=0.4)),
    Sometimes(prob=0.2, step=Jpeg(quality=(30, 92), step=0.0, swapped=False)),
    OneOf(
        groups=((), (ConstantQuality(crf=(24, 38)),), (ConstantQuality(crf=(24, 36), codec="libx265"),), (_OLD,)),
        chances=(0.08, 0.6, 0.12, 0.2),
    ),
    OneOf(
        groups=((), (ConstantQuality(crf=(18, 32)),), (ConstantQuality(crf=(24, 36), codec="libx265"),), (_OLD,)),
        chances=(0.68, 0.2, 0.05, 0.07),
    ),
)
"""Damage as people have it: sharpened, stretched, blocks of several codecs, compressed twice."""

_STREAMED: tuple[DamageStep | OneOf, ...] = (
    AreaShrink(sigma=(0.4, 1.8)),
    Sometimes(prob=0.3, step=ClipNoise(sigmas=((0.0, 4.0),))),
    OneOf(
        groups=((ConstantQuality(crf=(26, 38)),), (ConstantQuality(crf=(27, 38), codec="libx265"),)), chances=(0.8, 0.2)
    ),
)

_ALL: Final = (
    Pipeline(name="bicubic", summary="antialiased bicubic", steps=(Fixed({"op": "bicubic"}, shrinks=True),)),
    Pipeline(
        name="blur-downsample",
        summary="Gaussian blur of 1.6 pixels, sampled at the centres of the new pixels",
        steps=(Fixed({"op": "blur_downsample", "sigma": 1.6, "corner": False}, shrinks=True),),
    ),
    Pipeline(
        name="blur-downsample-corner",
        summary="the same, sampled at every fourth pixel from the first: shifted, as published BD sets are",
        steps=(Fixed({"op": "blur_downsample", "sigma": 1.6, "corner": True}, shrinks=True),),
    ),
    Pipeline(
        name="blur-bicubic",
        summary="a round Gaussian blur of 0.2 to 3 pixels, antialiased bicubic: the first stage of DiffVSR",
        steps=(_steady_blur(Blur(kinds=(1, 0, 0, 0, 0, 0, 0))), Fixed({"op": "bicubic"}, shrinks=True)),
    ),
    Pipeline(name="simple", summary="blur, area averaging, a little noise, H.264", steps=_SIMPLE),
    Pipeline(name="light", summary="the same with ranges, once per clip, and sometimes JPEG", steps=_LIGHT),
    Pipeline(
        name="realbasicvsr-first",
        summary="the first pass of RealBasicVSR only, not sharpened, bits per frame in proportion to the area",
        steps=_FIRST,
    ),
    Pipeline(name="worn", summary="footage as people have it: sharpened, stretched, compressed twice", steps=_WORN),
    Pipeline(name="streamed", summary="soft, hardly noisy, strongly compressed by H.264 or H.265", steps=_STREAMED),
    Pipeline(
        name="mixed",
        summary="light (40 %), worn (45 %) or realbasicvsr-first (15 %)",
        steps=(
            OneOf(
                groups=(_LIGHT, _WORN, _FIRST),
                chances=(0.4, 0.45, 0.15),
                names=("light", "worn", "realbasicvsr-first"),
            ),
        ),
    ),
    Pipeline(name="realbasicvsr", summary="RealBasicVSR, as configured", steps=_realbasicvsr(codec=_CODEC)),
    Pipeline(
        name="realbasicvsr-area",
        summary="RealBasicVSR, bits per frame in proportion to the area (as configured for 256x256)",
        steps=_realbasicvsr(codec=_AREA_CODEC),
    ),
    Pipeline(
        name="mgld",
        summary="RealBasicVSR as in the code of MGLD-VSR: not sharpened, the last steps never swapped",
        steps=_realbasicvsr(codec=_CODEC, shuffled=False, sharpened=False),
    ),
    Pipeline(
        name="dove",
        summary="RealBasicVSR as in the code of DOVE: constant over a clip, but for the JPEG quality",
        steps=tuple(_steady(step) for step in _realbasicvsr(codec=_CODEC)),
    ),
    Pipeline(name="real-esrgan", summary="Real-ESRGAN, drawn once per clip, no video codec", steps=_real_esrgan()),
    Pipeline(
        name="stablesr", summary="Real-ESRGAN with the lighter ranges of StableSR", steps=_real_esrgan(light=True)
    ),
)

PIPELINES = MappingProxyType({pipeline.name: pipeline for pipeline in _ALL})
"""All pipelines by their names."""
