"""Several strategies at once, each doing its part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from limpid.method import Lane, LaneContext, Strategy
from limpid.types import Segment, Step


@dataclass(frozen=True, kw_only=True)
class Combined(Strategy):
    """Several strategies as one: each hook runs through all in order; lanes and their merging are those of one of them.

    Raises ValueError when two strategies cut lanes, or two merge them.
    """

    strategies: tuple[Strategy, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "carries", any(s.carries for s in self.strategies))
        self._owner("lanes")
        self._owner("merge")

    def _owner(self, hook: str) -> Strategy:
        """The strategy with a ``hook`` of its own; a plain one where there is none."""
        plain = getattr(Strategy, hook)
        owners = [s for s in self.strategies if getattr(type(s), hook) is not plain]
        if len(owners) > 1:
            names = " and ".join(type(s).__name__ for s in owners)
            raise ValueError(f"{names} each have their own {hook}; only one strategy of a combination can")
        return owners[0] if owners else Strategy()

    def check(self, steps: tuple[Step, ...]) -> None:
        for strategy in self.strategies:
            strategy.check(steps)

    @property
    def whole_shots(self) -> bool:
        """Not where lanes are cut, beyond which nothing reaches."""
        return type(self._owner("lanes")) is Strategy and any(s.whole_shots for s in self.strategies)

    def halo_frames(self, num_steps: int) -> tuple[int, int]:
        halos = [s.halo_frames(num_steps) for s in self.strategies]
        return max((before for before, _ in halos), default=0), max((after for _, after in halos), default=0)

    def lanes(self, segment: Segment) -> tuple[Lane, ...]:
        return self._owner("lanes").lanes(segment)

    def noise_frames(self, frames: Sequence[int], segment: Segment, seed: int) -> Sequence[int]:
        for strategy in self.strategies:
            frames = strategy.noise_frames(frames, segment, seed)
        return frames

    def begin(self, context: LaneContext) -> tuple[Any, ...]:
        return tuple(strategy.begin(context) for strategy in self.strategies)

    def on_x0(self, x0: Tensor, step: Step, context: LaneContext, state: tuple[Any, ...]) -> Tensor:
        for strategy, own in zip(self.strategies, state, strict=True):
            x0 = strategy.on_x0(x0, step, context, own)
        return x0

    def on_latent(self, z: Tensor, step: Step, context: LaneContext, state: tuple[Any, ...]) -> Tensor:
        for strategy, own in zip(self.strategies, state, strict=True):
            z = strategy.on_latent(z, step, context, own)
        return z

    def merge(self, left: Tensor, right: Tensor) -> Tensor:
        return self._owner("merge").merge(left, right)
