"""Steps of a pipeline, what they may do to a clip: ranges and probabilities as plain values, and drawing from them.

A step's ``draw`` gives the step as it will be applied to one clip: a dict of JSON values (``op`` names the operation in
`limpid.degrade.applying`), or None when its ``prob`` leaves it out. What a clip has once (kernel type, codec ...) is a
single value; what changes from frame to frame is a list, a random walk: it starts anywhere in its range, takes uniform
steps of at most ``step``, and is held at the ends of the range. A longer clip begins with the values of a shorter one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any, Protocol

import numpy as np

from limpid.degrade.kernels import KERNEL_KINDS

Limits = tuple[float, float]
Chances = tuple[tuple[str, float], ...]
"""Names with their probabilities."""
DrawnStep = dict[str, Any]
"""A step as it was drawn for a clip; JSON values only."""

SMALLEST_SIDE = 16
"""Least side in pixels after a random resize: codecs and kernels need something to work on."""
SMALLEST_RESULT = 8
"""Least side of the result in pixels."""
LEAST_BITS = 1000
"""Least bits per frame: x264 counts in thousands of bits and refuses zero."""


@dataclass(slots=True)
class Course:
    """A clip on its way through a pipeline while its steps are drawn."""

    random: np.random.Generator
    num_frames: int
    source: tuple[int, int]
    """Height and width of the ground truth."""
    target: tuple[int, int]
    """Height and width of the result."""
    size: tuple[int, int]
    """Height and width of the first frame here; the original measures every resize by it."""


class DamageStep(Protocol):
    """One step of a pipeline."""

    def draw(self, course: Course) -> DrawnStep | None:
        """The step for one clip. Takes as many random numbers from ``course`` as it likes and updates its size."""
        ...


def walk(random: np.random.Generator, start: float, step: float, limits: Limits, num_frames: int) -> list[float]:
    """A random walk of ``num_frames`` values from ``start``, held inside ``limits`` at every step."""
    values = [start]
    for change in random.uniform(-step, step, num_frames - 1).tolist():
        values.append(min(max(values[-1] + change, limits[0]), limits[1]))
    return values


def pick(random: np.random.Generator, chances: Chances) -> str:
    """A name with the probability that it has."""
    weights = np.array([chance for _, chance in chances])
    return chances[int(random.choice(len(weights), p=weights / weights.sum()))][0]


def _started(course: Course, limits: Limits, step: float) -> list[float]:
    """A walk that starts anywhere in its range, with a generator of its own: other walks don't depend on its length."""
    own = course.random.spawn(1)[0]
    return walk(own, float(own.uniform(*limits)), step, limits, course.num_frames)


EVENLY: Chances = (("bilinear", 1 / 3), ("area", 1 / 3), ("bicubic", 1 / 3))


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsharp:
    """Sharpening of the ground truth that the input is made from."""

    def draw(self, course: Course) -> DrawnStep | None:
        return {"op": "unsharp", "size": 51, "weight": 0.5, "threshold": 10.0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Blur:
    """Convolution with a kernel of `limpid.degrade.kernels`. Sigma in pixels, angle and omega in radians."""

    kinds: tuple[float, ...] = (0.405, 0.225, 0.108, 0.027, 0.108, 0.027, 0.1)
    """Probability of each of `KERNEL_KINDS`, in order."""
    prob: float = 1.0
    sizes: tuple[int, ...] = (7, 9, 11, 13, 15, 17, 19, 21)
    sigma: Limits = (0.2, 3.0)
    sigma_step: float = 0.02
    angle: Limits = (-pi, pi)
    angle_step: float = 0.1 * pi
    beta_gaussian: Limits = (0.5, 4.0)
    beta_gaussian_step: float = 0.05
    beta_plateau: Limits = (1.0, 2.0)
    beta_plateau_step: float = 0.1
    omega: Limits | None = None
    """Range of the cutoff of sinc kernels. None: from pi/3 for kernels smaller than 13 pixels, from pi/5 for others; up
    to pi."""
    omega_step: float = 0.02 * pi
    beta_halves: bool = False
    """Whether half of the exponents are drawn below 1 and half above, as by Real-ESRGAN."""
    beta_mixed: bool = True
    """Whether the exponent of a frame lies anywhere between 1 and the value of the walk, as in RealBasicVSR's code."""

    def draw(self, course: Course) -> DrawnStep | None:
        random = course.random
        if random.uniform() > self.prob:
            return None
        kind = pick(random, tuple(zip(KERNEL_KINDS, self.kinds, strict=True)))
        size = int(random.choice(self.sizes))
        drawn: DrawnStep = {"op": "blur", "kind": kind, "size": size}
        if kind == "sinc":
            omega = self.omega or (pi / 3 if size < 13 else pi / 5, pi)
            return drawn | {"omega": _started(course, omega, self.omega_step)}
        drawn["sigma_x"] = _started(course, self.sigma, self.sigma_step)
        if "aniso" in kind:
            drawn["sigma_y"] = _started(course, self.sigma, self.sigma_step)
            drawn["angle"] = _started(course, self.angle, self.angle_step)
        return drawn | self._beta(kind, course)

    def _beta(self, kind: str, course: Course) -> DrawnStep:
        if "_" not in kind:
            return {}
        plateau = kind.startswith("plateau")
        limits = self.beta_plateau if plateau else self.beta_gaussian
        if self.beta_halves:
            limits = (limits[0], 1.0) if course.random.uniform() <= 0.5 else (1.0, limits[1])
        step = self.beta_plateau_step if plateau else self.beta_gaussian_step
        drawn: DrawnStep = {"beta": _started(course, limits, step)}
        if self.beta_mixed:
            drawn["beta_mix"] = course.random.spawn(1)[0].uniform(size=course.num_frames).tolist()
        return drawn


@dataclass(frozen=True, kw_only=True, slots=True)
class Resize:
    """A random resize: up, down or as it is, by a random factor."""

    modes: tuple[float, float, float] = (0.2, 0.7, 0.1)
    """Probability of up, down, keep."""
    scale: Limits = (0.15, 1.5)
    step: float = 0.015
    ops: Chances = EVENLY
    to_target: bool = False
    """Whether the factor is of the result's size (Real-ESRGAN), or of the size that frames have here (RealBasicVSR)."""

    def draw(self, course: Course) -> DrawnStep | None:
        random = course.random
        how = pick(random, self.ops)
        mode = pick(random, tuple(zip(("up", "down", "keep"), self.modes, strict=True)))
        start = {"up": (1.0, self.scale[1]), "down": (self.scale[0], 1.0), "keep": (1.0, 1.0)}[mode]
        factors = walk(
            random.spawn(1)[0], float(random.uniform(*start)), self.step, self.scale, course.num_frames
        )  # "keep" walks away from 1 too
        base = course.target if self.to_target else course.size
        sizes = [[_even(side * factor) for side in base] for factor in factors]
        course.size = (sizes[0][0], sizes[0][1])
        return {"op": "resize", "how": how, "mode": mode, "scale": factors, "sizes": sizes}


def _even(side: float) -> int:
    return max(SMALLEST_SIDE, 2 * int(side // 2))


@dataclass(frozen=True, kw_only=True, slots=True)
class ToTarget:
    """A resize to the size of the result."""

    ops: Chances = EVENLY

    def draw(self, course: Course) -> DrawnStep | None:
        course.size = course.target
        return {"op": "resize", "how": pick(course.random, self.ops), "sizes": [list(course.target)]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """Gaussian (sigma in levels of 255) or Poisson noise, in colour or grey; new in every frame."""

    gaussian_prob: float = 0.5
    sigma: Limits = (1.0, 30.0)
    sigma_step: float = 0.1
    poisson: Limits = (0.05, 3.0)
    poisson_step: float = 0.005
    gray_prob: float = 0.4
    white: float = 1.0
    """The level that counts as white in Poisson noise, see `limpid.degrade.ops.poisson_noise`."""

    def draw(self, course: Course) -> DrawnStep | None:
        random = course.random
        gaussian = bool(random.uniform() < self.gaussian_prob)
        drawn: DrawnStep = {"gray": bool(random.uniform() < self.gray_prob), "seed": int(random.integers(2**32))}
        if gaussian:
            return {"op": "gaussian_noise", **drawn, "sigma": _started(course, self.sigma, self.sigma_step)}
        scale = _started(course, self.poisson, self.poisson_step)
        return {"op": "poisson_noise", **drawn, "white": self.white, "scale": scale}


@dataclass(frozen=True, kw_only=True, slots=True)
class Jpeg:
    """JPEG compression; the quality is a whole number at every step of its walk."""

    quality: tuple[int, int] = (30, 95)
    step: float = 3.0
    swapped: bool = True
    """Whether red stands for blue, as in RealBasicVSR."""

    def draw(self, course: Course) -> DrawnStep | None:
        low, high = self.quality
        values = [round(float(course.random.uniform(low, high)))]
        for change in course.random.spawn(1)[0].uniform(-self.step, self.step, course.num_frames - 1):
            values.append(round(min(max(values[-1] + float(change), low), high)))
        return {"op": "jpeg", "quality": values, "swapped": self.swapped}


@dataclass(frozen=True, kw_only=True, slots=True)
class CodecStep:
    """A video codec at a bit rate. The original has one frame per second, so that its bits are bits per frame."""

    codecs: Chances = (("libx264", 1 / 3), ("h264", 1 / 3), ("mpeg4", 1 / 3))
    """Probabilities of the codecs. FFmpeg resolves h264 to libx264, which therefore has two of three chances."""
    bits_per_frame: tuple[int, int] = (10_000, 100_000)
    reference_pixels: int | None = None
    """Pixels of the ground truth that the bits are for; other sizes get theirs in proportion. None: no scaling."""

    def draw(self, course: Course) -> DrawnStep | None:
        codec = pick(course.random, self.codecs)
        bits = int(course.random.integers(self.bits_per_frame[0], self.bits_per_frame[1] + 1))
        pixels = course.source[0] * course.source[1]
        if self.reference_pixels is not None:
            bits = max(LEAST_BITS, round(bits * pixels / self.reference_pixels))
        return {"op": "codec", "codec": codec, "bits_per_frame": bits}


@dataclass(frozen=True, kw_only=True, slots=True)
class Shuffled:
    """Groups of steps, each group whole, in an order that is drawn once per clip."""

    groups: tuple[tuple[DamageStep, ...], ...]

    def order(self, random: np.random.Generator) -> Sequence[DamageStep]:
        """The steps of all groups in the order in which they will be taken."""
        return [step for index in random.permutation(len(self.groups)) for step in self.groups[index]]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A step without chance."""

    step: Mapping[str, Any]
    shrinks: bool = False

    def draw(self, course: Course) -> DrawnStep | None:
        if self.shrinks:
            course.size = course.target
        noisy = {"seed": int(course.random.integers(2**32))} if "noise" in self.step["op"] else {}
        return {**self.step, **noisy}
