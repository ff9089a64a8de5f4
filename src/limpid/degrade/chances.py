"""Steps whose parameters are drawn once per clip, and choices between steps: the damage that `tiny` learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from limpid.degrade.ranges import LEAST_BITS, SMALLEST_SIDE, Course, DamageStep, DrawnStep, Limits, Shuffled


@dataclass(frozen=True, kw_only=True, slots=True)
class OneOf:
    """One of several groups of steps, drawn once per clip; a group may be empty."""

    groups: tuple[tuple[DamageStep | Shuffled | OneOf, ...], ...]
    chances: tuple[float, ...]
    """Probability of each group; their sum is 1."""
    names: tuple[str, ...] = ()
    """Names of the groups, where they are pipelines of their own."""

    def choose(self, random: np.random.Generator) -> int:
        """The number of a group."""
        return int(random.choice(len(self.groups), p=self.chances))

    def order(self, random: np.random.Generator) -> Sequence[DamageStep]:
        """The steps that will be taken."""
        chosen = self.groups[self.choose(random)]
        parts = (part.order(random) if isinstance(part, Shuffled | OneOf) else (part,) for part in chosen)
        return [step for part in parts for step in part]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sometimes:
    """A step that is taken with a probability."""

    prob: float
    step: DamageStep

    def draw(self, course: Course) -> DrawnStep | None:
        return self.step.draw(course) if course.random.uniform() < self.prob else None


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaShrink:
    """A step of Gaussian blur and area averaging to the size of the result; sigma in HR pixels."""

    sigma: Limits

    def draw(self, course: Course) -> DrawnStep | None:
        course.size = course.target
        return {"op": "simple_shrink", "blur_sigma": float(course.random.uniform(*self.sigma))}


@dataclass(frozen=True, kw_only=True, slots=True)
class ClipNoise:
    """A step of Gaussian noise of the same strength in all frames.

    It is drawn from one of the ranges, each as likely; sigma in levels of 255.
    """

    sigmas: tuple[Limits, ...]
    gray_prob: float = 0.0
    """Probability of noise that is the same for all channels."""

    def draw(self, course: Course) -> DrawnStep | None:
        random = course.random
        sigma = float(random.uniform(*self.sigmas[int(random.integers(len(self.sigmas)))]))
        seed = int(random.integers(2**32))
        gray = bool(random.uniform() < self.gray_prob)
        return {"op": "gaussian_noise", "gray": gray, "seed": seed, "sigma": [sigma]} if sigma > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstantQuality:
    """A step of x264 or x265 at a rate factor; both ends of the range are included."""

    crf: tuple[int, int]
    codec: str = "libx264"

    def draw(self, course: Course) -> DrawnStep | None:
        return {"op": "codec", "codec": self.codec, "crf": int(course.random.integers(self.crf[0], self.crf[1] + 1))}


@dataclass(frozen=True, kw_only=True, slots=True)
class BitsPerPixel:
    """A step of a codec at a bit rate in proportion to the size that frames have here, even in its logarithm."""

    codec: str
    bits: Limits

    def draw(self, course: Course) -> DrawnStep | None:
        per_pixel = exp(course.random.uniform(log(self.bits[0]), log(self.bits[1])))
        bits = max(LEAST_BITS, round(per_pixel * course.size[0] * course.size[1]))
        return {"op": "codec", "codec": self.codec, "bits_per_frame": bits}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sharpening:
    """A step of an unsharp mask, as players and DVDs have it: it rings, and codecs then make blocks of it."""

    sizes: tuple[int, ...]
    """Sizes of the kernel in pixels, odd; the standard deviation follows by OpenCV's rule (3: 0.8, 5: 1.1, 7: 1.4)."""
    weight: Limits
    threshold: float = 0.0

    def draw(self, course: Course) -> DrawnStep | None:
        size, weight = int(course.random.choice(self.sizes)), float(course.random.uniform(*self.weight))
        return {"op": "unsharp", "size": size, "weight": weight, "threshold": self.threshold}


@dataclass(frozen=True, kw_only=True, slots=True)
class Squeeze:
    """A step that makes frames narrower, and with even chances as much lower; `ToTarget` stretches them again."""

    factor: Limits

    def draw(self, course: Course) -> DrawnStep | None:
        factor = float(course.random.uniform(*self.factor))
        factors = (factor if course.random.uniform() < 0.5 else 1.0, factor)
        size = [max(SMALLEST_SIDE, round(side * by)) for side, by in zip(course.size, factors, strict=True)]
        course.size = (size[0], size[1])
        return {"op": "resize", "how": "area", "sizes": [size]}
