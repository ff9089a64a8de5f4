"""Progress inside a chunk, as a share in [0, 1]: parts tell how far they are, and what they are a part of adds up.

A tile knows nothing of its window, a step nothing of its lane; each is handed what it tells its own share to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

OnShare = Callable[[float], None]
"""Told the share that is done; may raise to stop."""


def unheard(share: float) -> None:
    """For computations that nobody watches."""


def parts_of(tell: OnShare, count: int) -> Iterator[OnShare]:
    """What each of ``count`` parts, which take about the same time, tells its own share to, in order."""
    for index in range(count):
        yield _part_of(tell, index, count)


def _part_of(tell: OnShare, index: int, count: int) -> OnShare:
    def told(share: float) -> None:
        tell((index + share) / count)

    return told
