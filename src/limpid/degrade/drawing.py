"""Drawing the parameters of a clip from a pipeline: pure data in, pure data out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from limpid.degrade.chances import OneOf
from limpid.degrade.checking import check_drawn
from limpid.degrade.ranges import SMALLEST_RESULT, Course, DamageStep, DrawnStep, Shuffled

_FORMAT = 1
"""Version of the JSON of a `Drawn`."""
_CHOICES = 1000
"""Number of the stream of the first step's choice; the parameters of steps have the numbers below."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pipeline:
    """A named way to degrade clips."""

    name: str
    summary: str
    steps: tuple[DamageStep | Shuffled | OneOf, ...]
    scale: int = 4
    """Pixels of the ground truth per pixel of the result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """Drawn parameters: what happens to one clip, every parameter of every frame.

    Plain data; ``steps`` hold JSON values only.
    """

    pipeline: str
    seed: int
    scale: int
    num_frames: int
    source: tuple[int, int]
    """Height and width that the frames must have, multiples of ``scale``."""
    target: tuple[int, int]
    """Height and width of the result."""
    steps: tuple[DrawnStep, ...]

    def to_json(self) -> dict[str, Any]:
        """The parameters as plain values for `json.dumps`."""
        return {"format": _FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Drawn:
        """Parameters back from the values of `to_json`. Raises ValueError for anything else."""
        known = {name: values[name] for name in cls.__slots__ if name in values}
        if values.get("format") != _FORMAT or len(known) != len(cls.__slots__):
            raise ValueError(f"these are no parameters of a degradation in format {_FORMAT}")
        check_drawn(known)
        sizes = {name: (int(known[name][0]), int(known[name][1])) for name in ("source", "target")}
        return cls(**(known | sizes | {"steps": tuple(known["steps"])}))


def draw(pipeline: Pipeline, *, num_frames: int, height: int, width: int, seed: int, scale: int | None = None) -> Drawn:
    """Draw what `limpid.degrade.apply` will do to a clip.

    The same seed gives the same values on every machine, and the steps have random streams of their own: a longer clip
    begins with the values of a shorter one.

    Args:
        num_frames: how many frames the clip has; each has an entry in every random walk.
        height: of the ground truth, a multiple of the scale.
        width: likewise.
        seed: 0 or more.
        scale: instead of the pipeline's own.

    Raises:
        ValueError: an empty clip, a size that does not divide by the scale or is too small, a negative seed.
    """
    scale = pipeline.scale if scale is None else scale
    _check(num_frames, height, width, seed, scale)
    source, target = (height, width), (height // scale, width // scale)
    # groups are shuffled first; then each step draws from a stream of its own, told the size that it finds
    steps = _order(pipeline, seed)
    course = Course(random=_stream(seed, 0), num_frames=num_frames, source=source, target=target, size=source)
    drawn = []
    for number, step in steps:
        course.random = _stream(seed, number)
        drawn.append(step.draw(course))
    return Drawn(
        pipeline=pipeline.name,
        seed=seed,
        scale=scale,
        num_frames=num_frames,
        source=source,
        target=target,
        steps=tuple(step for step in drawn if step is not None),
    )


def drawn_damage(pipeline: Pipeline, seed: int) -> str:
    """Name of the pipeline that `draw` takes with this seed: one of several where one is chosen, else its own."""
    for number, step in enumerate(pipeline.steps):
        if isinstance(step, OneOf) and step.names:
            return step.names[step.choose(_stream(seed, _CHOICES + number))]
    return pipeline.name


def _order(pipeline: Pipeline, seed: int) -> list[tuple[int, DamageStep]]:
    """The steps in the order in which they will be taken, numbered."""
    steps: list[DamageStep] = []
    for number, step in enumerate(pipeline.steps):
        steps += step.order(_stream(seed, _CHOICES + number)) if isinstance(step, Shuffled | OneOf) else [step]
    return list(enumerate(steps, 1))


def _stream(seed: int, number: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))


def _check(num_frames: int, height: int, width: int, seed: int, scale: int) -> None:
    if num_frames < 1:
        raise ValueError(f"a clip needs at least one frame, not {num_frames}")
    if seed < 0:
        raise ValueError(f"the seed must be 0 or more, not {seed}")
    if scale < 1:
        raise ValueError(f"the scale must be 1 or more, not {scale}")
    if height % scale or width % scale:
        raise ValueError(f"{width}x{height} is not a multiple of the scale {scale}: crop the frames first")
    if min(height, width) // scale < SMALLEST_RESULT:
        least = SMALLEST_RESULT * scale
        raise ValueError(f"{width}x{height} is too small for scale {scale}: both sides need at least {least} pixels")
