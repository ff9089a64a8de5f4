"""Seconds on the clock by what they were spent on, counted from several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Times:
    """Sums by name. On an accelerator the network's time is that of handing work over, unless it is waited for."""

    seconds: dict[str, float] = field(default_factory=dict)
    side_by_side: int = 1
    """How many computed at once; sums are over all of them."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Adds the time that the block takes, also when it ends by an exception."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - began)

    def add(self, name: str, seconds: float) -> None:
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def clear(self) -> None:
        with self._lock:
            self.seconds.clear()

    def of_run(self, whole_s: float) -> dict[str, float]:
        """What a report says, in seconds; ``outside_network`` is the share of ``whole_s`` that was not the network's.

        Of several workers the sums are told, and the share is that of ``whole_s`` for each of them.

        ``decode`` and ``encode`` go on beside the others; ``finish`` is colours, sizes and rounding, and loading of
        networks; the two ``wait`` are what the computation lost to either side. ``commit`` is making segments durable.
        With workers, ``transfer`` is what reading waited until frames had arrived, and ``idle`` what workers had
        nothing to do.
        """
        got = self.seconds
        network = got.get("network", 0.0)
        values = {
            "decode": got.get("decode", 0.0),
            "network": network,
            "finish": max(got.get("compute", 0.0) - network, 0.0),
            "encode": got.get("encode", 0.0),
            "wait_for_frames": got.get("wait_for_frames", 0.0),
            **{name: got.get(name, 0.0) for name in ("wait_for_encoder", "transfer", "commit", "idle")},
        }
        share = 1 - min(network / (whole_s * self.side_by_side), 1.0) if whole_s > 0 and network else 1.0
        return {name: round(value, 3) for name, value in (*values.items(), ("outside_network", share))}
