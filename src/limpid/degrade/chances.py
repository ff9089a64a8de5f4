"""Steps whose parameters are drawn once per clip: the light degradation that `tiny` learns from."""

from __future__ import annotations

from dataclasses import dataclass

from limpid.degrade.ranges import Course, DamageStep, DrawnStep, Limits


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
    """A step of Gaussian colour noise of the same strength in all frames.

    It is drawn from one of the ranges, each as likely; sigma in levels of 255.
    """

    sigmas: tuple[Limits, ...]

    def draw(self, course: Course) -> DrawnStep | None:
        random = course.random
        sigma = float(random.uniform(*self.sigmas[int(random.integers(len(self.sigmas)))]))
        noise = {"op": "gaussian_noise", "gray": False, "seed": int(random.integers(2**32)), "sigma": [sigma]}
        return noise if sigma > 0 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstantQuality:
    """A step of x264 at a rate factor; both ends of the range are included."""

    crf: tuple[int, int]

    def draw(self, course: Course) -> DrawnStep | None:
        return {"op": "codec", "codec": "libx264", "crf": int(course.random.integers(self.crf[0], self.crf[1] + 1))}
