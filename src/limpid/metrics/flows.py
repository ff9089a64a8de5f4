"""Optical flow between neighbouring frames of a clip, computed when it is asked for and kept as far as memory goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limpid.flow import dis_flow, visible_in_both

FlowPair = tuple[np.ndarray, np.ndarray]
"""The flow from one frame to the next ``h w 2``, and where it is trusted ``h w``."""
_MOST_BYTES = 1 << 30
"""Most bytes of flows and masks that are kept; what is beyond is computed again when it is asked for again."""


@dataclass(frozen=True)
class FlowMethod:
    """How metrics find the flow between two frames.

    ``name`` is what tables call it; ``prepare`` makes of a frame RGB uint8 ``h w 3`` what ``flow`` takes twice, which
    gives ``h w 2`` in pixels, x first: where each pixel of the first is in the second.
    """

    name: str
    prepare: Callable[[np.ndarray], Any]
    flow: Callable[[Any, Any], np.ndarray]


class PairFlows(Sequence[FlowPair]):
    """Flows of a clip, for each frame but the last: the flow to the next one ``h w 2`` in pixels, and its mask ``h w``.

    ``prepare`` gives what ``flow`` is of, by default luma ``h w`` 0..255 at the flow's size for DIS. Trusted is what
    Lai et al. do not mask.
    """

    def __init__(
        self,
        frames: Sequence[np.ndarray] | np.ndarray,
        prepare: Callable[[np.ndarray], Any],
        flow: Callable[[Any, Any], np.ndarray] = dis_flow,
    ) -> None:
        self._frames, self._prepare, self._flow = frames, prepare, flow
        self._kept: dict[int, FlowPair] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return max(len(self._frames) - 1, 0)

    def __getitem__(self, number):  # type: ignore[no-untyped-def]
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        if not -len(self) <= number < len(self):
            raise IndexError(f"there is no flow {number}, there are {len(self)}")
        number %= len(self)
        if number in self._kept:
            return self._kept[number]
        return self._computed(number, self._prepare(self._frames[number]), self._prepare(self._frames[number + 1]))

    def __iter__(self) -> Iterator[FlowPair]:
        """All pairs in order, where each picture is made once."""
        before: Any = None
        for number in range(len(self)):
            if number in self._kept:
                before = None
                yield self._kept[number]
                continue
            first = self._prepare(self._frames[number]) if before is None else before
            before = self._prepare(self._frames[number + 1])
            yield self._computed(number, first, before)

    def _computed(self, number: int, first: Any, second: Any) -> FlowPair:
        forward = self._flow(first, second)
        pair = forward, visible_in_both(forward, self._flow(second, first))
        size = pair[0].nbytes + pair[1].nbytes
        if self._bytes + size <= _MOST_BYTES:
            self._kept[number] = pair
            self._bytes += size
        return pair
